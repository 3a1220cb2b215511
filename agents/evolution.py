"""Regularised evolution."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation, Sequences


class RegularizedEvolution:
    """Ageing evolution (Real et al., AAAI 2019, Algorithm 1).

    The first ``population`` networks are drawn uniformly. After that each is the mutation of a
    parent, the best of ``tournament`` members drawn from the population; it takes the place of the
    oldest member. A mutation changes one layer, inserts one or removes one, each kind equally
    likely, and is drawn again until the network is legal.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of all draws.
        sequences: The legal action sequences.
        population: Number of members (P in the paper).
        tournament: Members that compete to be a parent (S in the paper), drawn with replacement.

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
    ) -> None:
        if population < 1 or tournament < 1:
            raise ValueError(
                f"population and tournament must be at least 1, but are {population}, {tournament}."
            )
        self.num_actions = num_actions
        self.population = population
        self.tournament = tournament
        self._sequences = sequences
        self._rng = np.random.default_rng(seed)
        self._members: deque[tuple[tuple[int, ...], float]] = deque(maxlen=population)
        self._begun = 0
        self._rest: list[int] = []

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The next action of the network that was drawn or mutated for this episode."""
        if not self._rest:
            self._rest = list(self._propose())
            self._begun += 1
        return self._rest.pop(0)

    def learn(self, episode: Episode) -> None:
        """The network becomes the youngest member; the oldest leaves a full population."""
        self._members.append((tuple(episode.actions.tolist()), episode.reward))

    def mutate(self, parent: tuple[int, ...]) -> tuple[int, ...]:
        """A legal sequence that differs from the parent by one action."""
        while True:
            child = list(parent)
            kind = self._rng.integers(3)
            position = int(self._rng.integers(len(parent) + (kind == 1)))
            action = int(self._rng.integers(self.num_actions))
            if kind == 0:
                child[position] = action
            elif kind == 1:
                child.insert(position, action)
            else:
                del child[position]
            if tuple(child) != parent and self._sequences.is_complete(child):
                return tuple(child)

    def _propose(self) -> tuple[int, ...]:
        if self._begun < self.population or not self._members:
            return self._sequences.sample(self._rng)
        drawn = self._rng.integers(len(self._members), size=self.tournament)
        best = max(drawn.tolist(), key=lambda member: self._members[member][1])
        return self.mutate(self._members[best][0])
