"""What a network is judged by beside its accuracy: objectives, each a number to maximise."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.rewards.evaluation import Evaluation
from gym_cnnarch.space.architecture import Terminator
from gym_cnnarch.space.costs import Budget
from gym_cnnarch.space.search_space import SearchSpace

ACCURACY = "accuracy"
COSTS = ("parameters", "macs")

OBJECTIVES = (ACCURACY, *(f"-{cost}" for cost in COSTS))
"""The objectives by name; of a cost, which less of is better, the minus is part of it."""

DEFAULT_OBJECTIVES = (ACCURACY, "-parameters")
"""Of the front of networks that were found by one number."""


class Objectives:
    """The objectives of a network as numbers to maximise, all on a like scale.

    Accuracy is as it is. A cost is minus its place on a logarithmic scale between the space's
    cheapest network and its dearest one, or the limit if one is set: 0 for the cheapest, -1 for the
    dearest, and each doubling counts alike.

    Args:
        names: Of ``OBJECTIVES``, each once.
        space: The space that gives the scale.

    Attributes:
        names: As given.

    Raises:
        InvalidInput: If there is no such objective, or one comes twice.
    """

    def __init__(self, names: Sequence[str], space: SearchSpace) -> None:
        self.names = checked_objectives(names)
        self._ranges = [cost_range(space, n[1:]) for n in self.names if n != ACCURACY]

    def of(self, evaluation: Evaluation, accuracy: float) -> tuple[float, ...]:
        """The evaluation's objectives in their order; accuracy is what counts as such."""
        ranges = iter(self._ranges)
        return tuple(
            accuracy if name == ACCURACY else -_place(getattr(evaluation, name[1:]), *next(ranges))
            for name in self.names
        )

    def worst(self, accuracy: float) -> tuple[float, ...]:
        """The least of each objective, given that of accuracy."""
        return tuple(accuracy if name == ACCURACY else -1.0 for name in self.names)

    def best(self, accuracy: float) -> tuple[float, ...]:
        """The most of each objective, given that of accuracy."""
        return tuple(accuracy if name == ACCURACY else 0.0 for name in self.names)


def as_counted(result: Any, name: str) -> float:
    """An objective of a result without a scale: its accuracy, or minus its cost."""
    return float(result.accuracy if name == ACCURACY else -getattr(result, name[1:]))


def checked_objectives(names: Any) -> tuple[str, ...]:
    """The names of objectives, each of which there is, with its direction, and once.

    Raises:
        InvalidInput: If they are anything else.
    """
    known = f"{', '.join(OBJECTIVES[:-1])} and {OBJECTIVES[-1]}"
    for name in names:
        if name in COSTS:
            raise InvalidInput(f"The objective {name} is a cost: write -{name}, for less of it.")
        if name == f"-{ACCURACY}":
            raise InvalidInput(f"More {ACCURACY} is better: write {ACCURACY}, without a minus.")
        if name not in OBJECTIVES:
            raise InvalidInput(f"No objective {name!r}: there are {known}.")
    for name in OBJECTIVES:
        if list(names).count(name) > 1:
            raise InvalidInput(f"The objective {name} came twice: name each once.")
    return tuple(names)


def cost_range(space: SearchSpace, cost: str) -> tuple[int, int]:
    """The least and the most that networks of a space cost; a limit that is set is the most.

    Args:
        space: The space.
        cost: ``parameters`` or ``macs``.
    """
    low, high = _range_without_limits(space.of_any_cost, cost)
    return low, min(high, space.cost_limits.get(f"max_{cost}", high))


@cache
def _range_without_limits(space: SearchSpace, cost: str) -> tuple[int, int]:
    """Dynamic programming from the last layer backwards, as ``Budget`` does for the least."""
    limit: dict[str, Any] = {f"max_{cost}": 2**63 - 1}
    budget = Budget(replace(space, **limit))
    most = {node: 0.0 if isinstance(node.last, Terminator) else -math.inf for node in budget.steps}
    for _ in range(space.max_layers + 1):
        most = {
            node: max((paid[0] + most[after] for paid, after in steps.values()), default=most[node])
            for node, steps in budget.steps.items()
        }
    (low,) = min(budget.fronts[-1][budget.start])
    return low, int(most[budget.start])


def _place(cost: int, low: int, high: int) -> float:
    """From 0 for the lowest cost to 1 for the highest, by its logarithm."""
    if high == low:
        return 0.0
    place = math.log(max(cost, 1) / low) / math.log(high / low)
    return min(1.0, max(0.0, place))
