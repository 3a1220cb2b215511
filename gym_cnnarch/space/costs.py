"""What a network may cost: the rule, and its tables for the compiled MDP."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.space.architecture import Architecture, Conv, Layer, Pool, Terminator
from gym_cnnarch.space.latencies import NANOSECONDS
from gym_cnnarch.space.rules import Cost, State, broken_rule_of_table_1
from gym_cnnarch.space.shapes import Shape, macs_of, parameters_of

if TYPE_CHECKING:
    from gym_cnnarch.space.search_space import SearchSpace

Front = tuple[Cost, ...]
"""Costs of which none is at most another in everything, in ascending order."""

COST_LIMITS = {"max_parameters": "parameters", "max_macs": "MACs", "max_latency": "ms"}
"""A limit's name -> what it counts. Milliseconds are counted in whole nanoseconds."""

BINS = 10
"""Equal parts of a limit, in which an agent may see how much is spent."""


class Budget:
    """The rule: a layer is legal if some way to finish the network stays within every limit.

    What finishing costs depends on the last layer's kind, the size, the channels and the FC layers
    (a node), and on how many layers may still come. With several limits the cheapest way in one
    need not be so in another, so that of each node the Pareto front of costs is kept. More layers
    stop making anything cheaper after a few, and there the iteration ends.

    Attributes:
        names: The limits that are set, K.
        limits: Their values.
        steps: Node -> each layer that Table 1 allows -> its cost, and the node after it.
        fronts: Number of layers that may still come, the terminator included -> node -> the costs
            of finishing. The last entry holds for all larger numbers.
    """

    def __init__(self, space: "SearchSpace") -> None:
        limits = space.cost_limits
        self.names, self.limits = tuple(limits), tuple(limits.values())
        self._cost_of = [_cost_function(name, space) for name in limits]
        self._most = space.max_layers + 1
        self._actions = space.actions
        self.start = node_of(space.start)
        self.steps = self._find_steps(space)
        self.fronts = self._find_fronts()
        self._check_that_a_network_fits()

    def cost(self, state: State, layer: Layer) -> Cost:
        """What a legal layer costs after the state."""
        return tuple(cost_of(layer, state.shape) for cost_of in self._cost_of)

    def spent_after(self, state: State, layer: Layer) -> Cost:
        """What is spent after a legal layer."""
        return _sum(state.spent, self.cost(state, layer))

    def needs(self, state: State, layer: Layer) -> Front:
        """What the layer and the cheapest ways to finish after it cost together."""
        cost, after = self.steps[node_of(state)][layer]
        fronts = self._fronts_for(self._most - state.depth - 1)
        return tuple(_sum(cost, finishing) for finishing in fronts[after])

    def broken_rule(self, state: State, layer: Layer) -> str | None:
        """Which limit a layer that Table 1 allows would break, None if it is legal."""
        needs = self.needs(state, layer)
        if any(self.holds(_sum(state.spent, need)) for need in needs):
            return None
        least = tuple(map(min, zip(*needs, strict=True)))
        beyond = self._beyond(_sum(state.spent, least))
        wanted = [self._text(least, beyond)]
        if not beyond:  # each limit alone would do
            wanted = [self._text(needs[0]), self._text(needs[-1])]
        spent = " and ".join(
            f"{self._number(k, state.spent[k])} of {self._limit(k)}"
            for k in beyond or range(len(self.limits))
        )
        return f"it and what must follow need at least {' or '.join(wanted)}, but spent are {spent}"

    def holds(self, cost: Cost) -> bool:
        """Whether a cost is within every limit."""
        return all(part <= limit for part, limit in zip(cost, self.limits, strict=True))

    def tabulate(self, states: Sequence[State]) -> "CostTables":
        """The rule as arrays over states of Table 1 (without what is spent) and actions."""
        nodes = list(self.steps)
        width = max(len(front) for fronts in self.fronts for front in fronts.values())
        shape = (len(nodes), len(self._actions))
        cost = np.zeros((*shape, len(self.limits)), dtype=np.int64)
        room = np.full((len(self.fronts), width, len(self.limits), *shape), -1, dtype=np.int64)
        number_of = {layer: action for action, layer in enumerate(self._actions)}
        for number, node in enumerate(nodes):
            for layer, (price, after) in self.steps[node].items():
                action = number_of[layer]
                cost[number, action] = [min(part, 2**63 - 1) for part in price]
                for left in range(1, len(self.fronts)):
                    needs = [_sum(price, rest) for rest in self._fronts_for(left - 1)[after]]
                    for point, need in enumerate(filter(self.holds, needs)):
                        room[left, point, :, number, action] = np.subtract(self.limits, need)
            if isinstance(node.last, Terminator):
                room[:, 0, :, number, -1] = self.limits
        numbers = {node: number for number, node in enumerate(nodes)}
        chosen = np.array([numbers[node_of(state)] for state in states])
        layers = np.array([min(self._most - state.depth, len(self.fronts) - 1) for state in states])
        tables = CostTables(
            np.array(self.limits, dtype=np.int64),
            cost[chosen],
            np.ascontiguousarray(np.moveaxis(room[layers, :, :, chosen], 0, 2)),
            np.array([[limit * b // BINS for b in range(BINS)] for limit in self.limits]),
        )
        for array in (tables.limits, tables.cost, tables.room, tables.edges):
            array.setflags(write=False)
        return tables

    def _find_steps(self, space: "SearchSpace") -> dict[State, dict[Layer, tuple[Cost, State]]]:
        steps: dict[State, dict[Layer, tuple[Cost, State]]] = {self.start: {}}
        nodes = [self.start]
        for node in nodes:  # grows while it is read
            for layer in space.actions:
                if broken_rule_of_table_1(space, node, layer) is None:
                    after = node_of(space.successor(node, layer))
                    steps[node][layer] = self.cost(node, layer), after
                    if after not in steps:
                        steps[after] = {}
                        nodes.append(after)
        return steps

    def _find_fronts(self) -> list[dict[State, Front]]:
        nothing: Front = ((0,) * len(self.limits),)
        ended = {node: nothing for node in self.steps if isinstance(node.last, Terminator)}
        fronts: list[dict[State, Front]] = [{node: ended.get(node, ()) for node in self.steps}]
        while len(fronts) <= self._most:
            before = fronts[-1]
            fronts.append(
                {
                    node: ended.get(node)
                    or _front(_sum(c, f) for c, after in steps.values() for f in before[after])
                    for node, steps in self.steps.items()
                }
            )
            if fronts[-1] == before:
                break
        return fronts

    def _fronts_for(self, left: int) -> Mapping[State, Front]:
        """Node -> the costs of finishing with at most that many layers, the terminator included."""
        return self.fronts[min(left, len(self.fronts) - 1)]

    def _check_that_a_network_fits(self) -> None:
        front = self._fronts_for(self._most)[self.start]
        if any(map(self.holds, front)):
            return
        beyond = self._beyond([min(cost[k] for cost in front) for k in range(len(self.limits))])
        which = beyond or range(len(self.limits))
        limits = " and ".join(map(self._limit, which))
        smallest = "; ".join(
            f"that of the fewest {COST_LIMITS[self.names[k]]}, {self._cheapest(k)}, has "
            f"{self._text(min(front, key=lambda cost: cost[k]))}"
            for k in which
        )
        raise InvalidInput(f"No network of the space is within {limits}: {smallest}.")

    def _cheapest(self, k: int) -> Architecture:
        """The network of the least cost in limit k, and of these the least in the others."""
        layers: list[Layer] = []
        node, left = self.start, self._most
        while not isinstance(node.last, Terminator):
            left -= 1
            fronts = self._fronts_for(left)
            least: dict[Layer, tuple[int, Cost]] = {}
            for layer, (cost, after) in reversed(self.steps[node].items()):  # terminators first
                for finishing in fronts[after]:
                    total = _sum(cost, finishing)
                    least[layer] = min(least.get(layer, (total[k], total)), (total[k], total))
            layers.append(min(least, key=lambda layer: least[layer]))
            node = self.steps[node][layers[-1]][1]
        return Architecture(tuple(layers))

    def _beyond(self, cost: Sequence[int]) -> list[int]:
        """Which of the limits the cost is beyond."""
        return [k for k, limit in enumerate(self.limits) if cost[k] > limit]

    def _text(self, cost: Cost, which: Sequence[int] = ()) -> str:
        """All of a cost in words, or some parts of it."""
        return " and ".join(
            f"{self._number(k, cost[k])} {COST_LIMITS[self.names[k]]}"
            for k in which or range(len(cost))
        )

    def _limit(self, k: int) -> str:
        return f"{self.names[k]} = {self._number(k, self.limits[k])}"

    def _number(self, k: int, amount: int) -> str:
        """A part of a cost, or a limit, as it is said."""
        if self.names[k] != "max_latency":
            return f"{amount:,}"
        return f"{amount / NANOSECONDS:,.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, eq=False)
class CostTables:
    """The rule for S states and A actions; S and A count as in the compiled MDP.

    Attributes:
        limits: (K,) int64.
        cost: (S, A, K) int64, what a layer costs; 0 where Table 1 forbids it.
        room: (P, K, S, A) int64, the most that may be spent before a layer, for each of P ways to
            finish after it; -1 where there is none.
        edges: (K, BINS) int64, from more than which on the share of a limit is in the next bin.
    """

    limits: NDArray[np.int64]
    cost: NDArray[np.int64]
    room: NDArray[np.int64]
    edges: NDArray[np.int64]

    def legal(self, state: int, spent: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(A,), the legal actions of a state with (K,) spent."""
        return _one_holds(self.room[:, :, state] >= spent[:, None])

    def legal_of_each(
        self, states: NDArray[np.int64], spent: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """(N, A), the same of (N,) states with (N, K) spent."""
        room = self.room.take(states, axis=2)
        return _one_holds(room >= spent.T[:, :, None])

    def allows(self, cells: NDArray[np.int64], spent: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N,), whether actions are legal; ``cells`` are (state, action) as flat positions."""
        room = self.room.reshape(*self.room.shape[:2], -1).take(cells, axis=2)
        return _one_holds(room >= spent.T)

    def of_each(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N, K), what layers cost; ``cells`` are (state, action) as flat positions."""
        return self.cost.reshape(-1, len(self.limits)).take(cells, axis=0)

    def shares(self, spent: NDArray[np.int64]) -> NDArray[np.int64]:
        """The share of each limit that (..., K) spent are: 0 for nothing, else 1 to ``BINS``.

        Bin b is more than (b - 1) / BINS of the limit, and at most b / BINS.
        """
        shares: NDArray[np.int64] = (spent[..., None] > self.edges).sum(axis=-1)
        return shares


def _one_holds(within: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(P, K, ...) to (...): whether one of P ways is within all K limits."""
    every = np.logical_and.reduce(within, axis=1)  # a fifth of the time of all() for one state
    return np.asarray(np.logical_or.reduce(every, axis=0))


def node_of(state: State) -> State:
    """The state without what changes nothing about the cost of finishing."""
    last = state.last
    if isinstance(last, Conv):
        last = Conv(last.filters, 1)
    elif isinstance(last, Pool):
        last = Pool(1, 1)
    return replace(state, last=last, depth=0, spent=())


def _cost_function(name: str, space: "SearchSpace") -> Callable[[Layer, Shape], int]:
    """How much of what a limit counts a layer adds, given what it reads."""
    if name == "max_latency" and space.latencies is not None:
        return space.latencies.of
    return parameters_of if name == "max_parameters" else macs_of


def _sum(first: Cost, second: Cost) -> Cost:
    return tuple(map(int.__add__, first, second))


def _front(costs: Iterable[Cost]) -> Front:
    front: list[Cost] = []
    for cost in sorted(set(costs)):
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for other in front):
            front.append(cost)
    return tuple(front)
