"""A search space compiled to arrays, so that a step of the environment is a look-up."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch.space.architecture import (
    Architecture,
    Conv,
    FullyConnected,
    GlobalAveragePool,
    Layer,
    Pool,
    Softmax,
    Terminator,
)
from gym_cnnarch.space.costs import CostTables
from gym_cnnarch.space.rules import State
from gym_cnnarch.space.search_space import SearchSpace

ObserveSize = Literal["bin", "exact"]

OBSERVATION_FIELDS = (
    "layer type",
    "depth",
    "filters",
    "receptive field",
    "pool",
    "neurons",
    "size",
    "consecutive FC",
)
LAYER_TYPES: tuple[type[Layer], ...] = (Conv, Pool, FullyConnected, GlobalAveragePool, Softmax)
"""Layer type 1 to 5 of an observation; 0 is the start."""

START = 0
"""Index of the start state."""

Spent = NDArray[np.int64]
"""What a network costs so far, (K,) or (N, K), K being the number of limits on the cost."""


def size_bin(size: int) -> int:
    """The paper's bins of the representation size (appendix B): n >= 8, 4..7, 1..3 as 1, 2, 3.

    A state without a representation size (size 0) carries the last bin.
    """
    return 1 if size >= 8 else 2 if size >= 4 else 3


@dataclass(frozen=True, eq=False)
class MDP:
    """S states that Table 1 reaches and A actions.

    Limits on the cost look at what is spent too, which depends on the path to a state. It goes
    beside the state, from ``begin`` on; K is 0 where the space has no such limits.

    Attributes:
        states: The states in the order of their index; the start is 0.
        observations: (S, 8) int64, the state tuple as the agent sees it, see OBSERVATION_FIELDS.
        nvec: (8,) int64, the number of values of each field.
        legal: (S, A) bool, what Table 1 allows. A terminal state, which no action leaves, lists its
            last action alone, so that no mask is ever empty.
        next_state: (S, A) int64, -1 where illegal.
        terminal: (S,) bool.
        costs: What layers cost, and which the limits allow; None where there are no limits.
    """

    states: tuple[State, ...]
    observations: NDArray[np.int64]
    nvec: NDArray[np.int64]
    legal: NDArray[np.bool_]
    next_state: NDArray[np.int64]
    terminal: NDArray[np.bool_]
    costs: CostTables | None = None

    @property
    def num_limits(self) -> int:
        """K."""
        return 0 if self.costs is None else len(self.costs.limits)

    def begin(self) -> tuple[int, Spent, NDArray[np.bool_]]:
        """The start state, nothing spent, and (A,) the legal actions."""
        spent = np.zeros(self.num_limits, dtype=np.int64)
        return START, spent, self.mask(START, spent)

    def after(self, state: int, spent: Spent, action: int) -> tuple[int, Spent, NDArray[np.bool_]]:
        """The state after a legal action, what is spent then, and (A,) the legal actions."""
        following: int = self.next_state[state, action]
        if self.costs is None:
            return following, spent, self.legal[following]
        spent = spent + self.costs.cost[state, action]
        return following, spent, self.costs.legal(following, spent)

    def mask(self, state: int, spent: Spent) -> NDArray[np.bool_]:
        """(A,), the legal actions."""
        return self.legal[state] if self.costs is None else self.costs.legal(state, spent)

    def masks(self, states: NDArray[np.int64], spent: Spent) -> NDArray[np.bool_]:
        """(N, A), the legal actions of each of (N,) states."""
        if self.costs is None:
            return self.legal.take(states, axis=0)
        return self.costs.legal_of_each(states, spent)

    def allows(self, cells: NDArray[np.int64], spent: Spent) -> NDArray[np.bool_]:
        """(N,), whether each action is legal; ``cells`` are (state, action) as flat positions."""
        return self.legal.take(cells) if self.costs is None else self.costs.allows(cells, spent)

    def walk(self, actions: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(T + 1,) states that T legal actions pass, and (T, A) which are legal at each step."""
        state, spent, mask = self.begin()
        states, masks = [state], []
        for action in actions:
            masks.append(mask)
            state, spent, mask = self.after(state, spent, action)
            states.append(state)
        return np.array(states), np.array(masks)


@lru_cache(maxsize=32)
def compile_mdp(space: SearchSpace, observe_size: ObserveSize = "bin") -> MDP:
    """Enumerates the reachable states and tabulates observations, masks and transitions.

    Args:
        space: The limits and rules.
        observe_size: Whether the size field is the paper's bin or the representation size n itself
            (0 after an FC layer).
    """
    states = tuple(space.successors)
    index = {state: number for number, state in enumerate(states)}
    number_of = {layer: action for action, layer in enumerate(space.actions)}
    next_state = np.full((len(states), len(space.actions)), -1, dtype=np.int64)
    for state, successors in space.successors.items():
        for layer, after in successors.items():
            next_state[index[state], number_of[layer]] = index[after]
    terminal = np.array([isinstance(state.last, Terminator) for state in states])
    legal = next_state >= 0
    legal[terminal, -1] = True
    observations = np.array([_observation(space, s, observe_size) for s in states], dtype=np.int64)
    costs = None if space.budget is None else space.budget.tabulate(states)
    nvec = _nvec(space, observe_size)
    for array in (observations, nvec, legal, next_state, terminal):
        array.setflags(write=False)  # the cache shares them between environments
    return MDP(states, observations, nvec, legal, next_state, terminal, costs)


def _observation(space: SearchSpace, state: State, observe_size: ObserveSize) -> tuple[int, ...]:
    filters = receptive_field = pool = neurons = 0
    layer_type = 0 if state.last is None else 1 + LAYER_TYPES.index(type(state.last))
    match state.last:
        case Conv(d, f):
            filters = 1 + space.conv_filters.index(d)
            receptive_field = 1 + space.conv_receptive_fields.index(f)
        case Pool(f, s):
            pool = 1 + space.pools.index((f, s))
        case FullyConnected(d):
            neurons = 1 + space.fc_neurons.index(d)
    size = state.size if observe_size == "exact" else size_bin(state.size)
    if isinstance(state.last, Terminator):
        size = 0
    return (
        layer_type,
        state.depth,
        filters,
        receptive_field,
        pool,
        neurons,
        size,
        state.consecutive_fc,
    )


def _nvec(space: SearchSpace, observe_size: ObserveSize) -> NDArray[np.int64]:
    """One more than each field's largest value; 0 means not applicable."""
    return 1 + np.array(
        [
            len(LAYER_TYPES),
            space.max_layers + 1,  # the terminator is a layer too
            len(space.conv_filters),
            len(space.conv_receptive_fields),
            len(space.pools),
            len(space.fc_neurons),
            space.input_shape[1] if observe_size == "exact" else 3,
            space.max_fc,
        ],
        dtype=np.int64,
    )


class ActionSequences:
    """The complete action sequences of a search space."""

    def __init__(self, space: SearchSpace) -> None:
        mdp = compile_mdp(space, "bin")
        self._space = space
        self._costs = None if mdp.costs is None else mdp.costs.cost.tolist()
        self._next = mdp.next_state.tolist()  # lists: single numbers are read
        self._terminal = mdp.terminal.tolist()
        self._actions = {layer: action for action, layer in enumerate(space.actions)}

    def sample(self, rng: np.random.Generator) -> tuple[int, ...]:
        """The actions of an architecture drawn uniformly from all."""
        return tuple(self._actions[layer] for layer in self._space.sample(rng).layers)

    def of(self, architecture: Architecture) -> tuple[int, ...]:
        """The actions of an architecture.

        Raises:
            InvalidInput: If it is not one of the space.
        """
        self._space.validate(architecture)
        return tuple(self._actions[layer] for layer in architecture.layers)

    def is_complete(self, actions: Sequence[int]) -> bool:
        """Whether the actions are legal one after the other and end an episode.

        A network that is within the limits is what finishes each of its parts within them.
        """
        states = [START]
        for action in actions:
            state = self._next[states[-1]][action]
            if self._terminal[states[-1]] or state < 0:
                return False
            states.append(state)
        return bool(self._terminal[states[-1]]) and self._is_affordable(states, actions)

    def _is_affordable(self, states: Sequence[int], actions: Sequence[int]) -> bool:
        if self._costs is None or self._space.budget is None:
            return True
        costs = [self._costs[state][action] for state, action in zip(states, actions, strict=False)]
        return self._space.budget.holds(tuple(map(sum, zip(*costs, strict=True))))
