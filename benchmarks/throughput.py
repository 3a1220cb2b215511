"""Measures how well a search uses two cores, or several processes one GPU.

Trains the same networks in four settings, one torch thread a process, and prints networks per hour
and the ratio 2 / 1 of each pair, with medians (of one GPU `benchmarks/gpu.py` asks the same):

- search: `LocalExecutor` with 1 worker and with 2, in turn; the same random walk, lookahead 8,
  store on disk. Worker processes are started before the clock.
- bare loop: one process that trains the networks one after another, and two such processes at the
  same time, each all of the networks; nothing but the training.

The search's ratio divided by the bare loop's is what the search makes of the machine:

    python benchmarks/throughput.py --pairs 5
    python benchmarks/throughput.py --pairs 5 --dataset folder:CIFAR --search-space metaqnn ...
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from command import run

from gym_cnnarch import Architecture
from train_eval import run_search
from train_eval.cli.options import specification
from train_eval.environments import make_env
from train_eval.parallel.executors import LocalExecutor, worker_environments
from train_eval.parallel.task import evaluation_task
from train_eval.search.search import Learned, Search

ENV = "CNNArch-v0"
LOOKAHEAD = 8


class Searched(NamedTuple):
    per_hour: float
    networks: list[str]
    own_share: float


BARE_LOOP = """
import json, sys, time
from gym_cnnarch import Architecture
from train_eval.training.evaluator import Trainer
settings, texts = json.loads(sys.stdin.readline())
settings.pop("search_space")
evaluator = Trainer(**settings)
evaluator.train(Architecture.parse(texts[0]))
print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
for text in texts:
    evaluator.train(Architecture.parse(text))
print(time.perf_counter() - started)
"""


def search(arguments: dict[str, Any], workers: int, budget: int, folder: Path) -> Searched:
    """Networks per hour of a search, the networks, and the search's own share of the time."""
    env = make_env(ENV, **arguments)
    task = evaluation_task(env)
    timed: list[float] = []

    def follow(search: Search) -> Iterator[Learned]:
        started = time.perf_counter()
        yield from search
        seconds = time.perf_counter() - started
        timed.extend([seconds, 1 - search.waited_seconds / seconds])

    with LocalExecutor(worker_environments(workers, arguments["device"])) as executor:
        warm_up = Architecture.parse(f"[SM({env.search_space.num_classes})]")
        for future in [executor.submit(task, warm_up, 0) for _ in range(workers)]:
            future.result()
        run = run_search(
            ENV, "random_walk", budget, run_dir=folder, lookahead=LOOKAHEAD, executor=executor,
            workers=workers, follow=follow, **arguments,
        )  # fmt: skip
    seconds, own = timed
    return Searched(3600 * budget / seconds, [n.architecture for n in run.networks], own)


def bare_loops(arguments: dict[str, Any], processes: int, networks: list[str]) -> float:
    """Networks per hour of independent processes that each train all networks."""
    line = json.dumps([arguments, networks]) + "\n"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", BARE_LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for process in running:
        process.stdin.write(line)
        process.stdin.flush()
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    seconds = [float(process.communicate()[0]) for process in running]
    return sum(3600 * len(networks) / s for s in seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--budget", type=int, default=60, help="networks (default: 60)")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--recipe", nargs="*", default=["digits"])
    parser.add_argument("--search-space", nargs="*", default=["digits"])
    arguments = parser.parse_args()
    env = {
        "dataset": arguments.dataset,
        "recipe": specification("paper", tuple(arguments.recipe)),
        "search_space": specification("metaqnn", tuple(arguments.search_space)),
        "device": "cpu",
    }
    ratios: dict[str, list[float]] = {"search": [], "bare loop": []}
    own = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(arguments.pairs):
            one, networks, _ = search(env, 1, arguments.budget, Path(folder) / f"{pair}-1")
            two, again, share = search(env, 2, arguments.budget, Path(folder) / f"{pair}-2")
            assert networks == again, "the number of workers must not change the search"
            bare_one = bare_loops(env, 1, networks)
            bare_two = bare_loops(env, 2, networks)
            own.append(share)
            ratios["search"].append(two / one)
            ratios["bare loop"].append(bare_two / bare_one)
            print(
                f"pair {pair}: search {one:,.0f} and {two:,.0f} networks per hour, ratio "
                f"{two / one:.3f}; bare loop {bare_one:,.0f} and {bare_two:,.0f}, ratio "
                f"{bare_two / bare_one:.3f}; the search itself {share:.2%} of the time",
                flush=True,
            )
    for name, values in ratios.items():
        print(f"{name}: median ratio {statistics.median(values):.3f}, {min(values):.3f} to "
              f"{max(values):.3f}")  # fmt: skip
    quotient = statistics.median(ratios["search"]) / statistics.median(ratios["bare loop"])
    print(f"search / bare loop: {quotient:.3f}; the search itself {statistics.median(own):.2%}")


if __name__ == "__main__":
    run(main)
