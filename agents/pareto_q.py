"""Tabular Q-learning of fronts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Beginnings, Episode, Observation, state_key
from agents.pareto import Points, front
from agents.random_walk import random_legal


class ParetoQ:
    """Q-values that are sets of vectors (Pareto Q-learning; Van Moffaert and Nowé, JMLR 2014).

    The Q-value of a state and action is the front of the returns that networks with it gave. In a
    deterministic problem whose states are not mixed up this is what their update converges to; here
    states are (a bin hides the size), and a set that is only what was really reached promises
    nothing that no network gave.

    Each episode draws weights, uniformly among those that sum to 1. With probability ``epsilon`` a
    layer is drawn uniformly; otherwise it is one whose set holds the vector that is the best by
    Chebyshev's scalarisation with these weights, between the worst and the best reward so far in
    each objective.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of all draws.
        epsilon: The share of random actions.

    Raises:
        ValueError: If epsilon is out of its range.
    """

    vector_rewards = True

    def __init__(self, num_actions: int, seed: int = 0, *, epsilon: float = 0.5) -> None:
        if not 0 <= epsilon <= 1:
            raise ValueError(f"epsilon must be in [0, 1], but is {epsilon}.")
        self.num_actions = num_actions
        self.epsilon = epsilon
        self._rng = np.random.default_rng(seed)
        self._fronts: dict[tuple[bytes, int], Points] = {}
        self._range = np.zeros((2, 0))  # (2, k), the worst and the best so far
        self._beginnings = Beginnings()
        self._weights = np.zeros(0)

    def q_front(self, observation: Observation, action: int) -> Points:
        """(N, k), the Q-value of a state and action; no vector where nothing is known."""
        known = self._fronts.get((state_key(observation), action))
        return np.zeros((0, 0)) if known is None else known

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """Epsilon-greedy by the weights of this episode, ties broken at random."""
        key = state_key(observation)
        begins = self._beginnings.begins_at(key)
        if self._range.size == 0:
            return random_legal(self._rng, action_mask)
        if begins or len(self._weights) == 0:
            self._weights = self._rng.dirichlet(np.ones(self._range.shape[1]))
        if self._rng.random() < self.epsilon:
            return random_legal(self._rng, action_mask)
        losses = np.full(self.num_actions, np.inf)
        for action in np.flatnonzero(action_mask).tolist():
            known = self._fronts.get((key, action))
            if known is not None:
                losses[action] = self._loss(known)
        legal = np.asarray(action_mask, dtype=bool)
        return random_legal(self._rng, legal & (losses == losses[legal].min()))

    def learn(self, episode: Episode) -> None:
        """Adds the reward to the front of each step of the episode."""
        reward = np.atleast_1d(np.asarray(episode.reward, dtype=np.float64))
        extremes = [reward] if self._range.size == 0 else [*self._range, reward]
        self._range = np.array([np.min(extremes, axis=0), np.max(extremes, axis=0)])
        for observation, action in zip(episode.observations[:-1], episode.actions, strict=True):
            key = state_key(observation), int(action)
            known = np.array([*self._fronts.get(key, ()), reward])
            self._fronts[key] = known[front(known)]

    def _loss(self, points: Points) -> float:
        """The least of (N, k) points' largest weighted distances to the best of each objective."""
        worst, best = self._range
        span = np.where(best > worst, best - worst, 1.0)
        return float((self._weights * (best - points) / span).max(axis=1).min())
