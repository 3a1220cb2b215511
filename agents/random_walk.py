"""The baseline that learns nothing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation


class RandomWalk:
    """Every legal action equally likely: the paper's exploration phase, epsilon = 1."""

    epsilon = 1.0
    vector_rewards = True

    def __init__(self, num_actions: int, seed: int = 0) -> None:
        self.num_actions = num_actions
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """A legal action, drawn uniformly."""
        return random_legal(self._rng, action_mask)

    def learn(self, episode: Episode) -> None:
        """Nothing to learn."""


def random_legal(rng: np.random.Generator, action_mask: NDArray[Any]) -> int:
    """A uniform draw from the non-zero entries of a mask, (A,)."""
    legal = np.flatnonzero(action_mask)
    return int(legal[rng.integers(len(legal))])
