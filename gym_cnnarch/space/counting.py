"""Counting and numbering the architectures of a space, with and without limits on their cost."""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.space.architecture import Architecture, Layer, Terminator
from gym_cnnarch.space.costs import Budget
from gym_cnnarch.space.rules import Cost, State

if TYPE_CHECKING:
    from gym_cnnarch.space.search_space import SearchSpace

MOST_PLACES = 30_000_000
"""Pairs of a state and a cost that counting under limits keeps, some 16 bytes each."""

Place = TypeVar("Place")
Branch = tuple[int, tuple[int, int, int]]
Level = dict[int, NDArray[Any]]


class Counting(ABC, Generic[Place]):
    """The architectures in the lexicographic order of actions.

    Attributes:
        start: The place before the first layer.
        count: The number of architectures.
    """

    start: Place
    count: int

    @abstractmethod
    def branches(self, place: Place) -> Mapping[Layer, tuple[int, Place]]:
        """Each layer after a place with which a network can be finished, and the place after it.

        The number is how many ways to finish the network come before those with this layer: summed
        along an architecture, its rank.
        """

    def rank(self, architecture: Architecture) -> int | None:
        """The architecture's number, 0 to ``count`` - 1; None if it is none of the space."""
        rank, place = 0, self.start
        for layer in architecture.layers:
            branch = self.branches(place).get(layer)
            if branch is None:
                return None
            smaller, place = branch
            rank += smaller
        return rank

    def unrank(self, rank: int) -> Architecture:
        """The architecture of a number."""
        if not 0 <= rank < self.count:
            raise IndexError(f"The space has architectures 0 to {self.count - 1}, not {rank}.")
        place = self.start
        layers: list[Layer] = []
        while not layers or not isinstance(layers[-1], Terminator):
            branches = list(self.branches(place).items())
            layer, (smaller, place) = next(b for b in reversed(branches) if b[1][0] <= rank)
            rank -= smaller
            layers.append(layer)
        return Architecture(tuple(layers))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture drawn uniformly from all."""
        return self.unrank(_random_below(rng, self.count))


class CountingStates(Counting[State]):
    """By Table 1 alone: the ways to finish depend on the state."""

    def __init__(self, space: "SearchSpace") -> None:
        self.start = space.start
        self._branches: dict[State, dict[Layer, tuple[int, State]]] = {}
        ways: dict[State, int] = {}
        for state in reversed(list(space.successors)):
            ways[state] = int(isinstance(state.last, Terminator))
            branches = self._branches[state] = {}
            for layer, after in space.successors[state].items():
                branches[layer] = ways[state], after
                ways[state] += ways[after]
        self.count = ways[self.start]

    def branches(self, place: State) -> Mapping[Layer, tuple[int, State]]:
        """See ``Counting``."""
        return self._branches[place]


class CountingCosts(Counting[tuple[int, int, int]]):
    """Under limits: the ways to finish depend on the depth, the budget's node and the cost so far.

    A dynamic programme over all triples of these that occur, forwards to find them and backwards to
    count. A cost of K numbers is kept as one, a key, so that keys add up as costs do.

    Args:
        space: The space.
        budget: Its budget.
        grain: The costs of layers, and the limits, are divided by these and rounded down. With 1
            the count is exact. With more it takes less time, and networks somewhat beyond a limit
            are counted too, while none within them is left out.
        number_type: The dtype of counts: int64 where they are known to fit, else object.

    Raises:
        InvalidInput: If there are more than ``MOST_PLACES`` triples.
    """

    def __init__(
        self, space: "SearchSpace", budget: Budget, grain: Cost, number_type: type
    ) -> None:
        self._limits = [limit // g for limit, g in zip(budget.limits, grain, strict=True)]
        self._strides = [
            math.prod(limit + 1 for limit in self._limits[k + 1 :])
            for k in range(len(self._limits))
        ]
        numbers = {node: number for number, node in enumerate(budget.steps)}
        self._steps = [
            [
                (layer, parts, numbers[after])
                for layer, (cost, after) in steps.items()
                if self._within(parts := [c // g for c, g in zip(cost, grain, strict=True)])
            ]
            for steps in budget.steps.values()
        ]
        self._most_layers = space.max_layers
        keys = math.prod(limit + 1 for limit in self._limits)
        self._keys = self._find_keys(np.int64 if keys < 2**63 else object)
        self._ways = self._count(number_type)
        self._cached = lru_cache(maxsize=2**16)(self._find_branches)
        self.start = (0, 0, 0)
        self.count = int(self._ways[0][0][0])

    def branches(self, place: tuple[int, int, int]) -> Mapping[Layer, Branch]:
        """See ``Counting``; a place is a depth, the number of a node, and a key."""
        return self._cached(place)

    def _find_keys(self, dtype: Any) -> list[Level]:
        """For each depth, node -> its keys in ascending order."""
        levels: list[Level] = [{0: np.zeros(1, dtype=dtype)}]
        places = 1
        for _ in range(self._most_layers):
            arriving: dict[int, list[NDArray[Any]]] = defaultdict(list)
            for node, keys in levels[-1].items():
                for layer, cost, after in self._steps[node]:
                    if not isinstance(layer, Terminator):
                        fitting = keys[self._fits(keys, cost)]
                        arriving[after].append(fitting + self._key(cost))
            level = {node: np.unique(np.concatenate(keys)) for node, keys in arriving.items()}
            levels.append({node: keys for node, keys in level.items() if len(keys)})
            places += sum(map(len, level.values()))
            if places > MOST_PLACES:
                raise InvalidInput(
                    f"The architectures within these limits are too many to be counted exactly: it "
                    f"takes more than {MOST_PLACES:,} pairs of a state and what is spent there."
                )
            if not levels[-1]:
                break
        return levels

    def _count(self, dtype: Any) -> list[Level]:
        """For each depth, node -> the numbers of ways to finish, in the order of its keys."""
        counted: list[Level] = [{}]
        for depth in reversed(range(len(self._keys))):
            level: Level = {}
            for node, keys in self._keys[depth].items():
                ways = level[node] = np.zeros(len(keys), dtype=dtype)
                for layer, cost, after in self._steps[node]:
                    fits = self._fits(keys, cost)
                    if isinstance(layer, Terminator):
                        ways[fits] += 1
                    elif after in counted[-1]:
                        arrived = keys[fits] + self._key(cost)
                        positions = np.searchsorted(self._keys[depth + 1][after], arrived)
                        ways[fits] += counted[-1][after][positions]
            counted.append(level)
        return counted[:0:-1]

    def _find_branches(self, place: tuple[int, int, int]) -> Mapping[Layer, Branch]:
        depth, node, key = place
        branches: dict[Layer, Branch] = {}
        smaller = 0
        for layer, cost, after in self._steps[node]:
            if self._fits(key, cost):
                place = depth + 1, after, key + self._key(cost)
                ways = 1 if isinstance(layer, Terminator) else self._ways_to_finish(place)
                if ways:
                    branches[layer] = smaller, place
                    smaller += ways
        return branches

    def _ways_to_finish(self, place: tuple[int, int, int]) -> int:
        depth, node, key = place
        if depth == len(self._keys):
            return 0
        return int(self._ways[depth][node][np.searchsorted(self._keys[depth][node], key)])

    def _within(self, cost: Sequence[int]) -> bool:
        """Whether a layer alone is within the limits: keys of dearer ones would be too large."""
        return all(part <= limit for part, limit in zip(cost, self._limits, strict=True))

    def _key(self, cost: Sequence[int]) -> int:
        return sum(map(int.__mul__, cost, self._strides))

    def _fits(self, keys: Any, cost: Sequence[int]) -> Any:
        """Whether what was spent, one key or many, leaves room for a layer's cost."""
        fits = True
        for part, limit, stride in zip(cost, self._limits, self._strides, strict=True):
            spent, keys = keys // stride, keys % stride
            fits = fits & (spent <= limit - part)
        return fits


def _random_below(rng: np.random.Generator, bound: int) -> int:
    """A uniform integer in [0, bound), for bounds beyond 64 bits."""
    bits = bound.bit_length()
    while True:
        number = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)
        if number < bound:
            return number
