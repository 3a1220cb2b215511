"""Regularised evolution."""

from collections import deque
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agents.base import Beginnings, Episode, Observation, Sequences, state_key
from agents.neighbours import Actions, mutate
from agents.random_walk import random_legal


class RegularizedEvolution:
    """Ageing evolution (Real et al., AAAI 2019, Algorithm 1).

    The first ``population`` networks are drawn at random. After that each is the mutation of a
    parent, the best of ``tournament`` members drawn from the population; it takes the place of the
    oldest member. A mutation changes one layer, inserts one or removes one, see
    ``agents.neighbours``.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of all draws.
        sequences: The legal action sequences.
        population: Number of members (P in the paper).
        tournament: Members that compete to be a parent (S in the paper), drawn with replacement.
        start: How the first members are drawn: ``uniform``, every network equally likely, or
            ``random_walk``, every layer, so that short networks are more likely.

    Raises:
        ValueError: If a setting is out of its range.
    """

    def __init__(
        self,
        num_actions: int,
        seed: int = 0,
        *,
        sequences: Sequences,
        population: int = 50,
        tournament: int = 10,
        start: Literal["uniform", "random_walk"] = "uniform",
    ) -> None:
        if population < 1 or tournament < 1:
            raise ValueError(
                f"population and tournament must be at least 1, but are {population}, {tournament}."
            )
        if start not in ("uniform", "random_walk"):
            raise ValueError(f"start must be uniform or random_walk, but is {start!r}.")
        self.num_actions = num_actions
        self.start = start
        self.population = population
        self.tournament = tournament
        self._sequences = sequences
        self._rng = np.random.default_rng(seed)
        self._members: deque[tuple[Actions, float]] = deque(maxlen=population)
        self._beginnings = Beginnings()
        self._begun = 0
        self._rest: list[int] = []

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The next action of the network that was drawn or mutated for this episode."""
        key = state_key(observation)
        self._begun += self._beginnings.begins_at(key)
        if self._begun <= self.population and self.start == "random_walk":
            return random_legal(self._rng, action_mask)
        if not self._rest:
            self._rest = list(self._propose())
        return self._rest.pop(0)

    def learn(self, episode: Episode) -> None:
        """The network becomes the youngest member; the oldest leaves a full population."""
        self._members.append((tuple(episode.actions.tolist()), episode.reward))

    def _propose(self) -> Actions:
        if self._begun <= self.population or not self._members:
            return self._sequences.sample(self._rng)
        drawn = self._rng.integers(len(self._members), size=self.tournament)
        best = max(drawn.tolist(), key=lambda member: self._members[member][1])
        parent = self._members[best][0]
        return mutate(parent, self.num_actions, self._sequences, self._rng)
