"""A space's networks as sequences of actions, for agents that choose them as a whole."""

from collections.abc import Sequence

import numpy as np

from gym_cnnarch.mdp import START, compile_mdp
from gym_cnnarch.search_space import SearchSpace


class ActionSequences:
    """The complete action sequences of a search space."""

    def __init__(self, space: SearchSpace) -> None:
        mdp = compile_mdp(space, "bin")
        self._space = space
        self._next = mdp.next_state.tolist()  # lists: single numbers are read
        self._terminal = mdp.terminal.tolist()
        self._actions = {layer: action for action, layer in enumerate(space.actions)}

    def sample(self, rng: np.random.Generator) -> tuple[int, ...]:
        """The actions of an architecture drawn uniformly from all."""
        return tuple(self._actions[layer] for layer in self._space.sample(rng).layers)

    def is_complete(self, actions: Sequence[int]) -> bool:
        """Whether the actions are legal one after the other and end an episode."""
        state = START
        for action in actions:
            if self._terminal[state]:
                return False
            state = self._next[state][action]
            if state < 0:
                return False
        return bool(self._terminal[state])
