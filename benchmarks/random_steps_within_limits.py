"""Random steps under limits on the cost, on every id: do any break a limit, or find none legal?

Each id without its data, under a limit on parameters, on MACs, and on both, with 1,024
environments at a time. Counts the steps, the finished networks, those of them beyond a limit, the
masks without a legal action, and the legal actions that were refused. The last columns are seconds
of CPU that ``gym.make`` took, and steps per second.

    python benchmarks/random_steps_within_limits.py --steps 1000000

With latencies, on one id, under a limit on these, with and without the other limits:

    cnnarch layers --env CNNArch-Digits-v0 --out layers.json
    python benchmarks/random_steps_within_limits.py --env CNNArch-Digits-v0 \\
        --latencies layers.json --max-latency 0.1
"""

import argparse
import time

import gymnasium as gym
import numpy as np
from command import run

from gym_cnnarch import Architecture
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
        for name in limits.keys() & {"max_parameters", "max_macs"}:
            costs = infos.get(name.removeprefix("max_"), np.zeros(ENVS))
            beyond += int((costs[ended] > limits[name]).sum())
        if (latencies := envs.search_space.latencies) is not None:
            most = round(limits["max_latency"] * 1e6)
            texts = infos.get("architecture", np.zeros(ENVS))[ended]
            beyond += sum(latencies.of_network(Architecture.parse(each)) > most for each in texts)
    steps = ENVS * -(-steps // ENVS)
    return steps, finished, beyond, empty, refused, made, steps / stepping


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--env", choices=LIMITS, help="one id alone")
    parser.add_argument("--latencies", help="of its layers, a file of cnnarch layers")
    parser.add_argument("--max-latency", type=float, help="milliseconds")
    arguments = parser.parse_args()
    print("steps, networks, beyond a limit, empty masks, refused, make in s of CPU, steps/s")
    chosen = LIMITS if arguments.env is None else {arguments.env: LIMITS[arguments.env]}
    for env_id, both in chosen.items():
        each = (*({name: limit} for name, limit in both.items()), both)
        if arguments.latencies is not None:
            slow = {"max_latency": arguments.max_latency, "latencies": arguments.latencies}
            each = ({**limits, **slow} for limits in ({}, *each))
        for limits in each:
            *counts, made, rate = walk(env_id, limits, arguments.steps)
            figures = ", ".join(f"{count:,}" for count in counts)
            print(f"{env_id} {limits}: {figures}, {made:.2f}, {rate:,.0f}", flush=True)


if __name__ == "__main__":
    run(main)
