"""The baseline without the random walk's preference for short networks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation, Sequences


class Uniform:
    """Every complete action sequence, and so every architecture, equally likely.

    The random walk ends an episode with the same probability at every step, so that it draws short
    networks far more often than there are such networks.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of the draws.
        sequences: What to draw from.
    """

    vector_rewards = True

    def __init__(self, num_actions: int, seed: int = 0, *, sequences: Sequences) -> None:
        self.num_actions = num_actions
        self._sequences = sequences
        self._rng = np.random.default_rng(seed)
        self._rest: list[int] = []

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The next action of the drawn sequence."""
        if not self._rest:
            self._rest = list(self._sequences.sample(self._rng))
        return self._rest.pop(0)

    def learn(self, episode: Episode) -> None:
        """Nothing to learn."""
