"""Random steps under limits on the cost, on every id: do any break a limit, or find none legal?

Each id without its data, under a limit on parameters, on MACs, and on both, with 1,024
environments at a time. Counts the steps, the finished networks, those of them beyond a limit, the
masks without a legal action, and the legal actions that were refused. The last columns are seconds
of CPU that ``gym.make`` took, and steps per second.

    python benchmarks/random_steps_within_limits.py --steps 1000000
"""

import argparse
import time

import gymnasium as gym
import numpy as np

from gym_cnnarch.mdp import compile_mdp
from gym_cnnarch.registration import ENVIRONMENTS

ENVS = 1024
SMALL = {"max_parameters": 5_000, "max_macs": 300_000}
LARGE = {"max_parameters": 1_000_000, "max_macs": 50_000_000}
LIMITS = {
    env_id: SMALL if arguments.get("search_space", "small") in ("small", "digits") else LARGE
    for env_id, arguments in ENVIRONMENTS.items()
}


def arguments_of(env_id, limits):
    registered = ENVIRONMENTS[env_id].get("search_space", "small")
    images = {"input_shape": [3, 32, 32], "num_classes": 10} if env_id == "CNNArch-v0" else {}
    table = "Table" in env_id
    return {
        "search_space": {"preset": registered, **images, **limits},
        **({} if table else {"evaluator": None}),
    }


def walk(env_id, limits, steps):
    """Figures of that many steps."""
    compile_mdp.cache_clear()
    began = time.process_time()
    gym.make(env_id, **arguments_of(env_id, limits))
    made = time.process_time() - began
    envs = gym.make_vec(env_id, ENVS, **arguments_of(env_id, limits)).unwrapped
    rng = np.random.default_rng(0)
    _, infos = envs.reset(seed=0)
    finished = beyond = empty = refused = 0
    stepping = 0.0
    for _ in range(-(-steps // ENVS)):
        masks = infos["action_mask"]
        empty += int((~masks.any(axis=1)).sum())
        actions = (rng.random(masks.shape) * masks).argmax(axis=1)
        began = time.perf_counter()
        _, _, _, _, infos = envs.step(actions)
        stepping += time.perf_counter() - began
        refused += int(infos.get("invalid_action", np.zeros(1)).sum())
        ended = infos.get("_parameters", np.zeros(ENVS, dtype=bool))
        finished += int(ended.sum())
        for name, limit in limits.items():
            costs = infos.get(name.removeprefix("max_"), np.zeros(ENVS))
            beyond += int((costs[ended] > limit).sum())
    steps = ENVS * -(-steps // ENVS)
    return steps, finished, beyond, empty, refused, made, steps / stepping


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    steps = parser.parse_args().steps
    print("steps, networks, beyond a limit, empty masks, refused, make in s of CPU, steps/s")
    for env_id, both in LIMITS.items():
        for limits in (*({name: limit} for name, limit in both.items()), both):
            *counts, made, rate = walk(env_id, limits, steps)
            figures = ", ".join(f"{count:,}" for count in counts)
            print(f"{env_id} {limits}: {figures}, {made:.2f}, {rate:,.0f}", flush=True)


if __name__ == "__main__":
    main()
