"""Searches on real images with and without a rule that stops trainings early, in pairs.

Each seed is searched three times with the same budget, from an empty store each: without a rule,
with prediction, with halving. Printed are the epochs that were trained, wall time, the process's
own seconds, networks per hour of both, what the search itself took of the wall time (agent, fits
of the rule, store), and the best accuracy. Then the best five networks of each search are trained
whole anew with another seed, which is of no search's choosing, and their best accuracy is printed:

    python benchmarks/early_stopping_live.py --dataset folder:DATA

One thread on one core; the wall times are worth as much as the machine is idle.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from command import run

from gym_cnnarch import Architecture
from train_eval import Run, run_search
from train_eval.environments import make_env, needs_training
from train_eval.search.search import Learned, Search
from train_eval.training.stopping import Halving, Prediction

ENV = "CNNArch-v0"
RECIPE = {
    "preset": "quick", "epochs": 8, "decay_every": 3, "train_size": 1200, "validation_size": 1000,
    "image_size": 16, "batch_norm": True, "dropout": False,
}  # fmt: skip
SPACE = {"preset": "metaqnn", "max_layers": 5, "conv_filters": [8, 16, 32], "fc_neurons": [64]}


@dataclass(frozen=True)
class Found:
    """What a search found and took.

    Attributes:
        run: The search's run.
        wall: Seconds.
        busy: The process's own seconds.
        own: Share of the wall time that the search did not wait for trainings.
    """

    run: Run
    wall: float
    busy: float
    own: float


def search(folder: Path, rule: Prediction | Halving | None, seed: int, **options) -> Found:
    took: list[float] = []

    def timed(search: Search) -> Iterator[Learned]:
        wall, busy = time.perf_counter(), time.process_time()
        yield from search
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        took.extend((wall, busy, 1 - search.waited_seconds / wall))

    run = run_search(
        ENV, run_dir=folder, seed=seed, stop_early=rule, executor="inline", follow=timed,
        recipe=RECIPE, search_space=SPACE, **options,
    )  # fmt: skip
    return Found(run, *took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--dataset", required=True, help="folder:DATA, see docs/data.md")
    parser.add_argument("--budget", type=int, default=80, help="networks (default: 80)")
    parser.add_argument("--first", type=int, default=20, help="trained whole (default: 20)")
    parser.add_argument("--seeds", type=int, default=2, help="searches of each (default: 2)")
    parser.add_argument("--top", type=int, default=5, help="trained anew (default: 5)")
    parser.add_argument("--folder", type=Path, help="where the runs are kept (default: nowhere)")
    arguments = parser.parse_args()
    rules = {
        "none": None,
        "prediction": Prediction(first=arguments.first),
        "halving": Halving(first=arguments.first),
    }
    options = {"dataset": arguments.dataset, "device": "cpu"}
    env = make_env(ENV, recipe=RECIPE, search_space=SPACE, **options)
    evaluator = needs_training(env, ENV)
    evaluator.prepare()  # the images are read in no search's time
    cores = os.cpu_count()
    print(f"{platform.machine()}, {cores} cores, torch {torch.__version__}; {RECIPE}; {SPACE}\n")
    print(
        "| seed | rule | epochs | stopped | wall s | own s | networks / wall h | networks / own h "
        "| the search itself | best | best five, mean | anew: best | anew: mean |\n"
        "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(arguments.seeds):
            for name, rule in rules.items():
                folder = (arguments.folder or Path(temporary)) / f"{name}-{seed}"
                found = search(folder, rule, seed, budget=arguments.budget, **options)
                networks, best = found.run.networks, found.run.best(arguments.top)
                accuracies = [network.accuracy for network in best]
                anew = [
                    evaluator.evaluate(Architecture.parse(network.architecture), 1).accuracy
                    for network in best
                ]
                print(
                    f"| {seed} | {name} | {sum(len(n.curve) for n in networks)} "
                    f"| {len(found.run.summary.stopped)} | {found.wall:.0f} | {found.busy:.0f} "
                    f"| {3600 * len(networks) / found.wall:.0f} "
                    f"| {3600 * len(networks) / found.busy:.0f} | {found.own:.2%} "
                    f"| {accuracies[0]:.2%} | {mean(accuracies):.2%} "
                    f"| {max(anew):.2%} | {mean(anew):.2%} |",
                    flush=True,
                )


if __name__ == "__main__":
    run(main)
