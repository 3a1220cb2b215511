"""How repeatable measured latencies are, and whether latencies of layers add up.

Draws networks uniformly from the paper's space for CIFAR-10, and from the preset `small`; measures
all of them twice, in five rounds each, one network at a time, one core. Prints the correlation of
the two measurements and how far they are apart: by the mean over the rounds, by the median of all
rounds, and by the least of the rounds' medians, which is what `cnnarch latency` reports.

Then each layer that occurs is measured alone, likewise, once for each shape of its input. Networks
are predicted by the sum of their layers, as it is and through a line, and by a line through their
multiply-accumulates. R-squared is against the first measurement:

    OMP_NUM_THREADS=1 python benchmarks/latency.py --networks 50 --passes 5
"""

import argparse
import time

import numpy as np
import torch
from command import run
from numpy.typing import NDArray

from gym_cnnarch import Architecture
from gym_cnnarch.space.search_space import SearchSpace
from gym_cnnarch.space.shapes import count_macs, layer_shapes
from train_eval.training.latency import conditions_of, measure_layers, round_medians

SHAPE, CLASSES = (3, 32, 32), 10
CPU = torch.device("cpu")

Numbers = NDArray[np.float64]


def draw(preset: str, count: int) -> list[Architecture]:
    space = SearchSpace.from_spec(
        {"preset": preset, "num_classes": CLASSES, "input_shape": list(SHAPE)}
    )
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(count)]


def estimates(rounds: Numbers) -> dict[str, Numbers]:
    """(R, N) medians of rounds to (N,) milliseconds, by each way to put them together."""
    return {
        "mean of the rounds": rounds.mean(axis=0),
        "median of the rounds": np.median(rounds, axis=0),
        "least of the rounds": rounds.min(axis=0),
    }


def compare(first: Numbers, second: Numbers) -> None:
    for name, one in estimates(first).items():
        other = estimates(second)[name]
        apart = abs(np.log(other / one))
        order = np.corrcoef(one.argsort().argsort(), other.argsort().argsort())[0, 1]
        print(
            f"  {name:22} correlation {np.corrcoef(one, other)[0, 1]:.5f}, of ranks {order:.4f}; "
            f"apart: median {np.median(apart):.2%}, nine in ten below "
            f"{np.quantile(apart, 0.9):.2%}, most {apart.max():.1%}"
        )


def sums_of_layers(networks: list[Architecture], passes: int) -> Numbers:
    """(N,) milliseconds: of the layers of each network, each measured alone."""
    of_network = [
        list(zip(network.layers, (SHAPE, *layer_shapes(network.layers, SHAPE)[:-1]), strict=True))
        for network in networks
    ]
    layers = list(dict.fromkeys(layer for each in of_network for layer in each))
    found = dict(zip(layers, measure_layers(layers, CPU, passes=passes), strict=True))
    print(f"  {len(layers)} layers, each with the shape of its input")
    return np.array([sum(found[layer] for layer in each) for each in of_network])


def r_squared(truth: Numbers, predicted: Numbers) -> float:
    return float(1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def explain(name: str, truth: Numbers, by: Numbers) -> None:
    """How well a line through a number says how long networks take."""
    slope, start = np.polyfit(by, truth, 1)
    line = start + slope * by
    wrong = abs(line / truth - 1)
    print(
        f"  {name}: R-squared of the line {start:.3f} ms + {slope:.4g} "
        f"x it {r_squared(truth, line):.4f}, wrong by {np.median(wrong):.1%} (median), "
        f"{np.quantile(wrong, 0.9):.1%} (nine in ten below), {wrong.max():.0%} (most)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--networks", type=int, default=50, help="of each space")
    parser.add_argument("--passes", type=int, default=5, help="of the paper's, in five rounds")
    arguments = parser.parse_args()
    print(conditions_of(CPU, passes=arguments.passes))
    for preset, passes in (("small", 100), ("metaqnn", arguments.passes)):
        started = time.monotonic()
        networks = draw(preset, arguments.networks)
        first, second = (
            np.array(round_medians(networks, SHAPE, CPU, passes=passes)) for _ in range(2)
        )
        truth = first.min(axis=0)
        print(
            f"{preset}: {len(networks)} networks, {truth.min():.2f} to {truth.max():.1f} ms, "
            f"{passes} passes, twice, {time.monotonic() - started:.0f} s"
        )
        compare(first, second)
        sums = sums_of_layers(networks, passes)
        macs = np.array([count_macs(network, SHAPE) for network in networks], float)
        print(f"  the second measurement: R-squared {r_squared(truth, second.min(axis=0)):.4f}")
        print(f"  the sum of layers as it is: R-squared {r_squared(truth, sums):.4f}")
        explain("sum of layers, in ms", truth, sums)
        explain("multiply-accumulates, in millions", truth, macs / 1e6)


if __name__ == "__main__":
    run(main)
