"""The limits of search spaces: the named ones, and what can be one."""

from typing import Any

import numpy as np

from gym_cnnarch.space.latencies import NANOSECONDS, LayerLatencies

PRESETS: dict[str, dict[str, Any]] = {
    "metaqnn": {},
    "metaqnn-18": {"max_layers": 18},
    "digits": {
        "max_layers": 4,
        "conv_filters": (8, 16, 32),
        "conv_receptive_fields": (1, 3),
        "pools": ((2, 2),),
        "fc_neurons": (64, 32),
    },
    "small": {
        "max_layers": 4,
        "conv_filters": (8, 16),
        "pools": ((3, 2), (2, 2)),
        "fc_neurons": (64,),
    },
}
"""Named limits: the paper's, the paper's for CIFAR-10 (at most 18 layers), and two small spaces,
for the digits and of the networks in the shipped table (6,386 for 16x16 images)."""


def as_tuple(value: Any) -> Any:
    """JSON's lists, and NumPy's arrays and integers, as tuples and Python's integers."""
    if isinstance(value, np.ndarray | np.integer):
        value = value.tolist()
    return tuple(map(as_tuple, value)) if isinstance(value, list | tuple) else value


def is_limit(name: str, value: Any) -> bool:
    """Whether a value can be the limit of that name."""
    match name:
        case "max_parameters" | "max_macs":
            return value is None or (_are_sizes((value,)) and value < 2**63)
        case "max_latency":
            return value is None or _is_latency(value)
        case "latencies":
            return value is None or isinstance(value, LayerLatencies)
        case "input_shape":
            return _are_sizes(value) and len(value) == 3
        case "conv_filters" | "conv_receptive_fields" | "fc_neurons":
            return _are_sizes(value) and len(set(value)) == len(value)
        case "pools":
            pairs = isinstance(value, tuple) and all(_are_sizes(p) and len(p) == 2 for p in value)
            return pairs and len(set(value)) == len(value)
    return _are_sizes((value,))


def kind_of_limit(name: str) -> str:
    """What can be the limit of that name, in words."""
    match name:
        case "input_shape":
            return "three positive integers"
        case "conv_filters" | "conv_receptive_fields" | "fc_neurons":
            return "positive integers, none twice"
        case "pools":
            return "pairs of positive integers, (receptive field, stride), none twice"
    return "a positive integer"


def _is_latency(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 1 / NANOSECONDS <= value < 2**63 / NANOSECONDS


def _are_sizes(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in value
    )
