"""Local search."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation, Sequences
from agents.neighbours import Actions, neighbours


class LocalSearch:
    """Climbs from network to better neighbour (White, Nolen and Savani, UAI 2021).

    A start is the best of ``initial`` networks drawn uniformly. Neighbours differ by one layer that
    is changed, inserted or removed. They are met in random order, and the first that is better than
    the present network takes its place: with hundreds of neighbours, a budget would end before the
    best of them were known. Where none is better, the search starts anew.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of all draws.
        sequences: The legal action sequences.
        initial: Number of networks of which the best is a start.
        networks: The best of these is the first start, such as one that is in use; none for a start
            like the others.

    Raises:
        ValueError: If ``initial`` is below 1, or one of ``networks`` is not of the space.
    """

    def __init__(
        self,
        num_actions: int,
        seed: int = 0,
        *,
        sequences: Sequences,
        initial: int = 10,
        networks: tuple[Actions, ...] = (),
    ) -> None:
        if initial < 1:
            raise ValueError(f"initial must be at least 1, but is {initial}.")
        self.num_actions = num_actions
        self.initial = initial
        self._sequences = sequences
        self._rng = np.random.default_rng(seed)
        self._rewards: dict[Actions, float] = {}
        self._rest: list[int] = []
        self._present: Actions | None = None
        self._waiting: deque[Actions] = deque()
        self._start_anew()
        if networks:
            if not all(map(sequences.is_complete, networks)):
                raise ValueError(f"networks are not all of the space: {networks}.")
            self._waiting, self._starting = deque(networks), len(networks)

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The next action of the neighbour, or of the network of a start."""
        if not self._rest:
            if not self._waiting:
                self._start_anew()
            self._rest = list(self._waiting.popleft())
        return self._rest.pop(0)

    def learn(self, episode: Episode) -> None:
        """A network better than the present one takes its place."""
        actions = tuple(episode.actions.tolist())
        self._rewards[actions] = episode.reward
        if self._starting:
            self._starting -= 1
        if self._present is None or episode.reward > self._rewards[self._present]:
            self._present = actions
        elif self._starting or self._waiting:
            return
        if not self._starting:
            self._surround(self._present)

    def _start_anew(self) -> None:
        self._present = None
        self._waiting = deque(self._sequences.sample(self._rng) for _ in range(self.initial))
        self._starting = self.initial

    def _surround(self, centre: Actions) -> None:
        """The neighbours that are not known yet are what comes next."""
        around = neighbours(centre, self.num_actions, self._sequences)
        unknown = [network for network in around if network not in self._rewards]
        self._waiting = deque(unknown[i] for i in self._rng.permutation(len(unknown)))
