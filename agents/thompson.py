"""Thompson sampling over mean returns, from coarse to fine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation
from agents.random_walk import random_legal

ENVIRONMENT_LEVELS = ((), (1,), (1, 6))
"""Of this project's environments with ``observation="multidiscrete"``, the default: nothing, depth,
depth and size of the representation."""


class ThompsonSampling:
    """Takes the action whose mean return, plus noise that shrinks with its visits, is the highest.

    The mean return of an action is kept in tables from coarse to fine, over all networks learned.
    Each table's mean shrinks towards that of the coarser one as by one more visit, the coarsest
    towards the mean of all networks. So what little is known of a state is completed by what is
    known of states like it, and no initial value, learning rate or schedule is needed. The noise
    has the standard deviation 0.5 s / sqrt(n + 1), s being that of all rewards and n the number of
    networks that took the action in this state (Thompson, 1933).

    An agent that meets known networks in a row explores: every layer is drawn uniformly with
    probability (known networks in a row) / (length of the best network).

    Args:
        num_actions: A, the number of actions.
        seed: Seed of all draws.
        levels: For each of the coarser tables, the columns of an observation that tell its states
            apart. The last table, of whole observations, always follows.
            By default those of ``ENVIRONMENT_LEVELS``.

    Raises:
        ValueError: If a column is negative.
    """

    def __init__(
        self,
        num_actions: int,
        seed: int = 0,
        *,
        levels: Sequence[Sequence[int]] = ENVIRONMENT_LEVELS,
    ) -> None:
        if any(column < 0 for columns in levels for column in columns):
            raise ValueError(f"levels name columns of an observation, 0 or more, not {levels}.")
        self.num_actions = num_actions
        self.levels = [list(columns) for columns in levels]
        self._last_column = max((column for columns in levels for column in columns), default=-1)
        self._rng = np.random.default_rng(seed)
        self._tables: dict[tuple[int, bytes], NDArray[np.float64]] = {}  # sums and visits, (2, A)
        self._rewards: dict[tuple[int, ...], float] = {}  # of the networks, by their actions
        self._best = (-np.inf, 1)  # reward and length
        self._known_in_a_row = 0
        self._mean, self._deviation = 0.0, 0.0  # of the rewards

    def means(self, observation: Observation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(A,), the shrunken mean return of each action here, and (A,), its number of visits."""
        means = np.full(self.num_actions, self._mean)
        for key in self._keys(observation):
            total, visits = self._tables.get(key, np.zeros((2, self.num_actions)))
            means = (total + means) / (visits + 1)
        return means, visits

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The legal action with the highest draw."""
        if self._rng.random() < self._known_in_a_row / self._best[1]:
            return random_legal(self._rng, action_mask)
        means, visits = self.means(observation)
        deviation = 0.5 * (self._deviation or 1.0) / np.sqrt(visits + 1)  # at first all are equal
        drawn = means + deviation * self._rng.standard_normal(self.num_actions)
        return int(np.where(action_mask, drawn, -np.inf).argmax())

    def learn(self, episode: Episode) -> None:
        """Adds the return of a new network to every table, for each state along its way."""
        network = tuple(episode.actions.tolist())
        if network in self._rewards:
            self._known_in_a_row += 1
            return
        self._known_in_a_row = 0
        self._rewards[network] = episode.reward
        self._best = max(self._best, (episode.reward, len(network)))
        rewards = np.fromiter(self._rewards.values(), np.float64)
        self._mean, self._deviation = float(rewards.mean()), float(rewards.std())
        for observation, action in zip(episode.observations[:-1], episode.actions, strict=True):
            for key in self._keys(observation):
                table = self._tables.setdefault(key, np.zeros((2, self.num_actions)))
                table[:, action] += episode.reward, 1

    def _keys(self, observation: Observation) -> list[tuple[int, bytes]]:
        """The observation's state in each table, the coarsest first."""
        whole = np.asarray(observation, dtype=np.int64)
        if len(whole) <= self._last_column:
            raise ValueError(
                f"levels name column {self._last_column} of an observation, but it has "
                f"{len(whole)}: name others, () for none."
            )
        coarse = [whole[columns].tobytes() for columns in self.levels]
        return list(enumerate([*coarse, whole.tobytes()]))
