"""Environment steps per second, next to Gymnasium's own environments, in one run.

The single environment against Taxi-v4, the vector environment at 1,024 against CartPole's: random
legal actions for ours, random actions for theirs, drawn before the clock starts. Then ours with
limits on the cost against ours without. The runs alternate; medians.

    python benchmarks/steps_per_second.py
"""

import argparse
import statistics
import time

import gymnasium as gym
import numpy as np
from command import run

import gym_cnnarch  # noqa: F401

TABLE = "CNNArch-CIFAR10Table-v0"
ONE = {"search_space": {"preset": "small", "max_parameters": 5_000}}
TWO = {"search_space": {"preset": "small", "max_parameters": 5_000, "max_macs": 300_000}}


def single(env_id, steps, **kwargs):
    """Steps per second of one environment, episodes begun anew when they end."""
    env = gym.make(env_id, **kwargs).unwrapped
    rng = np.random.default_rng(0)
    actions = []  # of whole episodes, found beforehand
    env.reset(seed=0)
    for _ in range(steps):
        masked = hasattr(env, "action_masks")
        action = rng.choice(np.flatnonzero(env.action_masks())) if masked else rng.integers(6)
        actions.append(int(action))
        _, _, terminated, _, _ = env.step(actions[-1])
        if terminated:
            env.reset()
    env.reset(seed=0)
    began = time.perf_counter()
    for action in actions:
        _, _, terminated, _, _ = env.step(action)
        if terminated:
            env.reset()
    return steps / (time.perf_counter() - began)


def vector(env_id, num_envs, steps, **kwargs):
    """Environment steps per second of all together."""
    env = gym.make_vec(env_id, num_envs, **kwargs).unwrapped
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    actions = []
    for _ in range(steps):
        if hasattr(env, "action_masks"):
            draws = rng.random(env.action_masks().shape) * env.action_masks()
            actions.append(draws.argmax(axis=1))
        else:
            actions.append(env.action_space.sample())
        env.step(actions[-1])
    env.reset(seed=0)
    began = time.perf_counter()
    for action in actions:
        env.step(action)
    return num_envs * steps / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--table", default="cifar10-16x16")
    arguments = parser.parse_args()
    table = {"table": arguments.table}
    for name, pair in (
        (
            "one environment, Taxi-v4",
            lambda: (single(TABLE, 20_000, **table), single("Taxi-v4", 20_000)),
        ),
        (
            "1,024 environments, CartPole-v1",
            lambda: (vector(TABLE, 1024, 500, **table), vector("CartPole-v1", 1024, 500)),
        ),
        (
            "one environment with a limit, without",
            lambda: (single(TABLE, 20_000, **table, **ONE), single(TABLE, 20_000, **table)),
        ),
        (
            "one environment with two limits, without",
            lambda: (single(TABLE, 20_000, **table, **TWO), single(TABLE, 20_000, **table)),
        ),
        (
            "1,024 environments with a limit, without",
            lambda: (vector(TABLE, 1024, 500, **table, **ONE), vector(TABLE, 1024, 500, **table)),
        ),
        (
            "1,024 environments with two limits, without",
            lambda: (vector(TABLE, 1024, 500, **table, **TWO), vector(TABLE, 1024, 500, **table)),
        ),
    ):
        pairs = [pair() for _ in range(arguments.pairs)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{name}: {ours:,.0f} steps/s against {theirs:,.0f}, ratio {ratio:.2f}")


if __name__ == "__main__":
    run(main)
