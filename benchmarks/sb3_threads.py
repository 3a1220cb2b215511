"""Steps per second of Stable-Baselines3 with all of torch's threads and with one, in one run.

The policies are networks of a few thousand weights, too small to share among threads. ``cnnarch
benchmark`` gives each run one, and each core a run.

    python benchmarks/sb3_threads.py
"""

import argparse
import statistics
import time

import gymnasium as gym
import torch

from agents import sb3


def steps_per_second(name: str, threads: int, steps: int) -> float:
    torch.set_num_threads(threads)
    env = gym.make("gym_cnnarch:CNNArch-CIFAR10Table-v0").unwrapped
    model = sb3.make_model(name, env, seed=0, settings={})
    began = time.perf_counter()
    model.learn(steps)
    return model.num_timesteps / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4096)
    arguments = parser.parse_args()
    every = torch.get_num_threads()
    print(f"{every} threads against 1; medians of {arguments.pairs} pairs")
    for name in sb3.DEFAULTS:
        pairs = [
            [steps_per_second(name, threads, arguments.steps) for threads in (every, 1)]
            for _ in range(arguments.pairs)
        ]
        before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{name}: {before:,.0f} steps/s, {after:,.0f} with one thread: x {after / before:.2f}"
        )


if __name__ == "__main__":
    main()
