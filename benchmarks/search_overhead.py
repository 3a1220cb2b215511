"""Measures everything of a search but the training.

A search of the paper's size for CIFAR-10 (2,700 unique networks, at most 18 layers; MetaQNN replays
K = 100 episodes a network) with an evaluator that answers at once, the store on disk. Prints the
seconds of each run, those of the process beside them, and the median, on one core:

    python benchmarks/search_overhead.py --runs 3
    python benchmarks/search_overhead.py --runs 1 --agent thompson
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
from command import run

from gym_cnnarch import Architecture, Evaluation
from train_eval import run_search
from train_eval.search.agents import benchmark_settings

BUDGET = 2700


class InstantEvaluator:
    """Rewards made of the text's hash: nothing is trained."""

    task = "instant"

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        digest = hashlib.sha256(f"{seed}:{architecture}".encode()).digest()
        return Evaluation(digest[0] / 255, "ok", parameters=0, macs=0, train_seconds=0.0)


def search(folder: Path, agent: str, seed: int) -> tuple[float, float, int]:
    """Seconds, processor seconds and episodes of one search."""
    settings = benchmark_settings(agent, BUDGET)
    started, busy = time.perf_counter(), time.process_time()
    run = run_search(
        "CNNArch-CIFAR10-v0", settings["name"], BUDGET, run_dir=folder, seed=seed,
        agent_settings={k: v for k, v in settings.items() if k not in ("name", "schedule")},
        evaluator=InstantEvaluator(),
    )  # fmt: skip
    seconds = time.perf_counter() - started
    return seconds, time.process_time() - busy, len(run.episodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="searches to time (default: 3)")
    parser.add_argument("--folder", type=Path, help="where the stores lie (default: temporary)")
    parser.add_argument("--agent", default="metaqnn", help="as in benchmarks (default: metaqnn)")
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, SQLite {sqlite3.sqlite_version}"
    )
    times = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for seed in range(arguments.runs):
            seconds, busy, episodes = search(Path(folder) / str(seed), arguments.agent, seed)
            times.append(seconds)
            print(
                f"seed {seed}: {seconds:.2f} s ({busy:.2f} s of the processor), "
                f"{episodes} episodes, {BUDGET:,} unique networks"
            )
    print(f"median {statistics.median(times):.2f} s")


if __name__ == "__main__":
    run(main)
