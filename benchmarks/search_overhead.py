"""Measures everything of a search but the training.

The paper's full schedule for CIFAR-10 (2,700 unique networks, at most 18 layers, K = 100 replays a
network) with an evaluator that answers at once, the store on disk. Prints the seconds of each run
and their median, on one core:

    python benchmarks/search_overhead.py --runs 3
"""

import argparse
import hashlib
import platform
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from gym_cnnarch import Architecture, Evaluation
from train_eval.environments import describe, make_env
from train_eval.parallel.executors import InlineExecutor
from train_eval.records.run_directory import open_run
from train_eval.search.agents import make_agent, metaqnn_settings
from train_eval.search.search import Search


class InstantEvaluator:
    """Rewards made of the text's hash: nothing is trained."""

    task = "instant"

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        digest = hashlib.sha256(f"{seed}:{architecture}".encode()).digest()
        return Evaluation(digest[0] / 255, "ok", parameters=0, macs=0, train_seconds=0.0)


def run_search(folder: Path, seed: int) -> tuple[float, int]:
    """Seconds and episodes of one search."""
    env_id = "CNNArch-CIFAR10-v0"
    agent_settings, budget = metaqnn_settings(None)
    started = time.perf_counter()
    env = make_env(env_id, evaluator=None)
    agent = make_agent(agent_settings, env.search_space, seed)
    evaluator = InstantEvaluator()
    env.evaluator = evaluator
    settings = describe(env, agent_settings, seed, budget)
    store = open_run(folder, settings)
    search = Search(env, settings, agent, evaluator.evaluate, store, InlineExecutor())
    episodes = sum(1 for _ in search)
    return time.perf_counter() - started, episodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="searches to time (default: 3)")
    parser.add_argument("--folder", type=Path, help="where the stores lie (default: temporary)")
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, SQLite {sqlite3.sqlite_version}"
    )
    times = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for seed in range(arguments.runs):
            seconds, episodes = run_search(Path(folder) / str(seed), seed)
            times.append(seconds)
            print(f"seed {seed}: {seconds:.2f} s, {episodes} episodes, 2,700 unique networks")
    print(f"median {statistics.median(times):.2f} s")


if __name__ == "__main__":
    main()
