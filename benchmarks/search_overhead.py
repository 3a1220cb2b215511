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
from train_eval import run_search


class InstantEvaluator:
    """Rewards made of the text's hash: nothing is trained."""

    task = "instant"

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        digest = hashlib.sha256(f"{seed}:{architecture}".encode()).digest()
        return Evaluation(digest[0] / 255, "ok", parameters=0, macs=0, train_seconds=0.0)


def search(folder: Path, seed: int) -> tuple[float, int]:
    """Seconds and episodes of one search."""
    started = time.perf_counter()
    run = run_search("CNNArch-CIFAR10-v0", run_dir=folder, seed=seed, evaluator=InstantEvaluator())
    seconds = time.perf_counter() - started
    return seconds, len(run.episodes)


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
            seconds, episodes = search(Path(folder) / str(seed), seed)
            times.append(seconds)
            print(f"seed {seed}: {seconds:.2f} s, {episodes} episodes, 2,700 unique networks")
    print(f"median {statistics.median(times):.2f} s")


if __name__ == "__main__":
    main()
