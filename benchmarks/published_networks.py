"""Trains networks of a published file of learning curves anew, and compares with what it says.

The networks of the file (Baker et al. 2017, "Accelerating Neural Architecture Search using
Performance Prediction") were trained with the paper's recipe; so are these, on the same data set.
Of those with at most `--max-macs`, some are taken from the worst to the best at equal distances:

    python benchmarks/published_networks.py --dataset cifar10 --curves metaqnn_cifar10.csv \\
        --networks 12 --max-macs 60000000

An epoch of a network of 60 million multiply-accumulates takes about a second and a half on an H200,
and a quarter of an hour on a CPU's core. Each network is a line when it is ready; `--seconds` ends
the wait for those that are not.
"""

import argparse
import sys
import time
from concurrent.futures import as_completed
from pathlib import Path

import numpy as np
from command import run
from scipy.stats import spearmanr

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.space.shapes import count_macs
from train_eval.cli.options import specification
from train_eval.environments import make_env
from train_eval.parallel.executors import LocalExecutor, worker_environments
from train_eval.parallel.task import evaluation_task
from train_eval.parallel.worker import outcome_of
from train_eval.records.published import read_published


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--curves", type=Path, required=True)
    parser.add_argument("--recipe", nargs="*", default=["paper"])
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--max-macs", type=int, default=60_000_000)
    parser.add_argument("--device")
    parser.add_argument("--workers-per-gpu", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="after which no further network is awaited")
    given = parser.parse_args()
    env = make_env(
        "CNNArch-v0", dataset=given.dataset, recipe=specification(None, given.recipe),
        search_space="metaqnn-18", device=given.device,
    )  # fmt: skip
    shape = env.search_space.input_shape
    chosen = choose(given.curves, shape, given.networks, given.max_macs)
    if len(chosen) < 2:
        sys.exit("Fewer than two networks are asked for, or have so few multiply-accumulates.")
    print("published    here  rate there  rate here  seconds  network", flush=True)
    found = []
    slots = worker_environments(None, given.device, given.workers_per_gpu)
    with LocalExecutor(slots) as executor:
        task = evaluation_task(env)
        futures = {executor.submit(task, row[0], env.evaluation_seed): row for row in chosen}
        try:
            for future in as_completed(futures, given.seconds):
                network, accuracy, rate = futures[future]
                ours = outcome_of(future, network, shape)
                if ours.status == "ok":
                    found.append((accuracy, ours.accuracy))
                print(
                    f"{accuracy:9.2%} {ours.accuracy:7.2%} {rate or float('nan'):11g}"
                    f" {ours.learning_rate or float('nan'):10g} {ours.train_seconds or 0:8.1f}"
                    f"  {network}" + ("" if ours.status == "ok" else f" ({ours.status})"),
                    flush=True,
                )
        except TimeoutError:
            print(f"{given.seconds:g} seconds are over.")
    if len(found) < 2:
        sys.exit(f"{len(found)} of {len(chosen)} networks: too few to compare.")
    published, here = np.array(found).T
    print(
        f"{len(found)} of {len(chosen)} networks: rank correlation "
        f"{spearmanr(published, here).statistic:.3f}, differences {np.mean(here - published):+.2%} "
        f"in the mean, {np.sqrt(np.mean((here - published) ** 2)):.2%} RMS"
    )


def choose(
    curves: Path, shape: tuple[int, int, int], number: int, max_macs: int
) -> list[tuple[Architecture, float, float | None]]:
    """Networks, their published accuracies and learning rates; the best first."""
    known = []
    for row in read_published(curves).rows:
        try:
            network = Architecture.parse(row.text)
            macs = count_macs(network, shape)
        except InvalidInput:  # of another space
            continue
        if macs <= max_macs:
            known.append((network, row.accuracy, row.learning_rate))
    known.sort(key=lambda each: -each[1])
    places = np.linspace(0, len(known) - 1, min(number, len(known))).round().astype(int)
    return [known[place] for place in places]


if __name__ == "__main__":
    started = time.monotonic()
    run(main)
    print(f"{time.monotonic() - started:.0f} seconds")
