"""What bfloat16 gains on this machine, and whether accuracies stay what they are.

`speed`: images per CPU second of the bare training step (forward, backward, Adam) in float32 and
in bfloat16, one torch thread, images with 3 channels in batches of 64; for each network both in
turn, medians over rounds. `accuracy`: networks drawn at random, each trained on the embedded digits
with two seeds in float32 and in bfloat16; the difference between precisions beside the difference
between seeds:

    OMP_NUM_THREADS=1 python benchmarks/precision.py speed
    OMP_NUM_THREADS=1 python benchmarks/precision.py accuracy --networks 30
"""

import argparse
import math
import statistics
import time

import numpy as np
import torch
from bare_loop import Setting, seconds_of, step_of
from command import run

from gym_cnnarch import Architecture
from gym_cnnarch.space.search_space import SearchSpace
from gym_cnnarch.space.shapes import count_macs
from train_eval.training.evaluator import Trainer

CASES = ((16, 8), (32, 8), (16, 32), (32, 32), (64, 32), (128, 32), (256, 32))
"""Filters, and pixels of an image's side."""

BATCH = 64
PRECISIONS = ("float32", "bfloat16")
SPACE = {"preset": "small", "num_classes": 10, "max_layers": 6, "conv_filters": [16, 32]}


def speed(rounds: int, seconds: float) -> None:
    cpu = torch.device("cpu")
    print(f"{'network':60} side   MMACs  float32 bfloat16  ratio  (images per CPU second)")
    for f, side in CASES:
        shape = (3, side, side)
        network = Architecture.parse(
            f"[C({f},3,1), C({f},3,1), P(2,2), C({f},3,1), P(2,2), SM(10)]"
        )
        steps = {p: step_of(network, shape, Setting(cpu, p, BATCH)) for p in PRECISIONS}
        times: dict[str, list[float]] = {p: [] for p in PRECISIONS}
        for _ in range(rounds):
            for precision in PRECISIONS:
                times[precision].append(seconds_of(steps[precision], cpu, seconds, blocks=3))
        rates = [BATCH / statistics.median(times[p]) for p in PRECISIONS]
        ratios = [one / other for one, other in zip(*times.values(), strict=True)]
        print(
            f"{network!s:60} {side:4} {count_macs(network, shape) / 1e6:7.2f} {rates[0]:8,.0f} "
            f"{rates[1]:8,.0f} {statistics.median(ratios):6.2f}  ({min(ratios):.2f} to "
            f"{max(ratios):.2f})",
            flush=True,
        )


def accuracy(networks: int, dataset: str, recipe: dict[str, object]) -> None:
    trainers = {p: Trainer(dataset, recipe={**recipe, "precision": p}) for p in PRECISIONS}
    shape = trainers["float32"].input_shape
    space = SearchSpace.from_spec({**SPACE, "input_shape": list(shape)})
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(networks)]
    found = np.empty((len(PRECISIONS), 2, networks))  # precision, seed, network
    for number, network in enumerate(drawn):
        for row, precision in enumerate(PRECISIONS):
            for seed in range(2):
                evaluation = trainers[precision].evaluate(network, seed)
                found[row, seed, number] = evaluation.accuracy
        print(
            f"{number + 1:3} {found[:, :, number].ravel().round(4).tolist()} {network}", flush=True
        )
    between_seeds = (found[:, 0] - found[:, 1]).ravel()  # (2 N,)
    between = (found[1] - found[0]).ravel()  # (2 N,), the same seed
    means = found[1].mean(axis=0) - found[0].mean(axis=0)  # (N,)
    error = means.std(ddof=1) / math.sqrt(networks)
    print(f"accuracies, mean: float32 {found[0].mean():.2%}, bfloat16 {found[1].mean():.2%}")
    print(f"bfloat16 - float32, mean of networks: {means.mean():+.2%}, standard error {error:.2%}")
    for name, values in (("two seeds", between_seeds), ("two precisions, same seed", between)):
        print(
            f"difference between {name}: root mean square {math.sqrt((values**2).mean()):.2%}, "
            f"median of sizes {np.median(abs(values)):.2%}, largest {abs(values).max():.2%}"
        )
    ranks = found.argsort(axis=2).argsort(axis=2)
    of_seeds = [np.corrcoef(ranks[p, 0], ranks[p, 1])[0, 1] for p in range(2)]
    of_precisions = [np.corrcoef(ranks[0, s], ranks[1, s])[0, 1] for s in range(2)]
    print(f"rank correlation: of two seeds {np.round(of_seeds, 3).tolist()}, of two precisions "
          f"{np.round(of_precisions, 3).tolist()}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("what", choices=("speed", "accuracy"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.6, help="a network, precision and round")
    parser.add_argument("--networks", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    if arguments.what == "speed":
        speed(arguments.rounds, arguments.seconds)
    else:
        recipe = {"preset": "digits", "epochs": 8, "batch_norm": True, "dropout": False}
        accuracy(arguments.networks, "digits", recipe)
    print(f"{time.process_time() - started:.0f} CPU seconds, torch {torch.__version__}")


if __name__ == "__main__":
    run(main)
