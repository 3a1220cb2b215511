"""A search space -> how long each of its layers takes here, for the limit ``max_latency``."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls

from gym_cnnarch import SearchSpace
from gym_cnnarch.space.architecture import Conv, Layer
from gym_cnnarch.space.costs import Budget
from gym_cnnarch.space.latencies import NANOSECONDS, LayerLatencies, key_of
from gym_cnnarch.space.shapes import Shape, layer_shapes
from train_eval.training.latency import PASSES, conditions_of, measure, measure_layers

LEAST_R_SQUARED = 0.95
"""Of the sums of layers on measured networks; where it is less, they are not to be relied on."""

_RIDGE = 0.1  # of the kinds' factors towards the common one; shares of a network's time are up to 1


def layers_of(space: SearchSpace) -> list[tuple[Layer, Shape]]:
    """Each layer that the space's rules reach, with each shape that it may read."""
    budget = Budget(replace(space.of_any_cost, max_macs=2**63 - 1))  # knows the shapes
    pairs = ((layer, node.shape) for node, steps in budget.steps.items() for layer in steps)
    return list(dict.fromkeys(pairs))


def measure_space(
    space: SearchSpace,
    device: torch.device,
    networks: int = 100,
    batch: int = 1,
    passes: int = PASSES,
) -> LayerLatencies:
    """Measures all layers of a space alone, and networks for how their sums compare.

    In a network a layer does not take what it takes alone, where all that it needs stays in the
    caches. So each kind of layer is multiplied by a factor that fits half of the networks; the
    others say how wrong the sums then are. Rounded to nanoseconds here, once.

    Args:
        space: The space; its limits on the cost do not matter.
        device: Where.
        networks: Networks that are drawn uniformly from the space; two at least.
        batch: Images of a forward pass.
        passes: Passes of each layer and each network.

    Raises:
        InvalidInput: If a batch does not fit into memory.
    """
    space = space.of_any_cost
    layers, shape = layers_of(space), space.input_shape
    alone = dict(zip(layers, measure_layers(layers, device, batch, passes), strict=True))
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(max(2, networks))]
    truth = np.array(measure(drawn, shape, device, batch, passes))
    kinds = list(dict.fromkeys(map(_kind, layers)))
    sums = np.zeros((len(drawn), len(kinds)))  # milliseconds of each kind, alone
    for number, network in enumerate(drawn):
        read = (shape, *layer_shapes(network.layers, shape)[:-1])
        for layer in zip(network.layers, read, strict=True):
            sums[number, kinds.index(_kind(layer))] += alone[layer]
    half = len(drawn) // 2
    factors = _factors(sums[:half], truth[:half])
    nanoseconds: dict[str, dict[str, int]] = {key_of(read): {} for _, read in layers}
    for layer, taken in alone.items():
        whole = max(1, round(factors[kinds.index(_kind(layer))] * taken * NANOSECONDS))
        nanoseconds[key_of(layer[1])][str(layer[0])] = whole
    return LayerLatencies.from_spec(
        {
            "input_shape": list(shape),
            "conditions": conditions_of(device, batch, passes).as_json(),
            "check": {
                "factors": dict(zip(kinds, factors.round(3).tolist(), strict=True)),
                **_comparison(sums[half:] @ factors, truth[half:]),
            },
            "nanoseconds": nanoseconds,
        }
    )


def _kind(layer: tuple[Layer, Shape]) -> str:
    """Layers that have a factor together: convolutions of a receptive field, or a class."""
    kind = layer[0]
    return f"C{kind.receptive_field}" if isinstance(kind, Conv) else type(kind).__name__


def _factors(sums: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) factors of kinds: non-negative least squares of the relative errors, by ridge.

    A kind that is rare keeps about the factor of all together.

    Args:
        sums: (N, K) milliseconds of N networks' layers alone, by kind.
        truth: (N,) milliseconds of the networks.
    """
    count = sums.shape[1]
    together = np.median(truth / sums.sum(axis=1))
    rows = np.vstack([sums / truth[:, None], _RIDGE * np.eye(count)])
    factors: NDArray[np.float64] = nnls(
        rows, np.concatenate([np.ones(len(truth)), np.full(count, _RIDGE * together)])
    )[0]
    return factors


def _comparison(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    wrong = abs(predicted / truth - 1)
    spread = max(float(((truth - truth.mean()) ** 2).sum()), 1e-12)
    return {
        "networks": len(truth),
        "r_squared": round(1 - float(((truth - predicted) ** 2).sum()) / spread, 4),
        "median_error": round(float(np.median(wrong)), 4),
        "most_error": round(float(wrong.max()), 4),
    }
