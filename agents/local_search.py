"""Local search."""

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation, Sequences
from agents.neighbours import Actions, neighbours


class _Begun(NamedTuple):
    """A network whose result is to come; whether its start, or the climb from it, waits for it."""

    network: Actions
    start: int
    awaited: bool


class LocalSearch:
    """Climbs from network to better neighbour (White, Nolen and Savani, UAI 2021).

    A start is the best of ``initial`` networks drawn uniformly. Neighbours differ by one layer that
    is changed, inserted or removed. They are met in random order, and the first that is better than
    the present network takes its place: with hundreds of neighbours, a budget would end before the
    best of them were known. Where none is better, the search starts anew.

    Results may come late, in the order of their networks. While a start, or the last neighbours,
    are waited for, random neighbours are met: of the best network of the start that is known.

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
        self._starts = 0
        self._present: Actions | None = None
        self._begun: deque[_Begun] = deque()
        self._start(self._drawn())
        if networks:
            if not all(map(sequences.is_complete, networks)):
                raise ValueError(f"networks are not all of the space: {networks}.")
            self._start(networks)

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The next action of the neighbour, or of the network of a start."""
        if not self._rest:
            if not self._waiting and not any(map(self._awaits, self._begun)):
                self._start(self._drawn())
            awaited = bool(self._waiting)
            network = self._waiting.popleft() if awaited else self._meanwhile()
            self._begun.append(_Begun(network, self._starts, awaited))
            self._rest = list(network)
        return self._rest.pop(0)

    def learn(self, episode: Episode) -> None:
        """A network better than the present one takes its place."""
        actions = tuple(episode.actions.tolist())
        self._rewards[actions] = episode.reward
        begun = self._begun.popleft() if self._begun else self._told(actions)
        if begun.start != self._starts:
            return
        started = bool(self._starting and begun.awaited)
        self._starting -= started
        better = self._present is None or episode.reward > self._rewards[self._present]
        if better:
            self._present = actions
        if self._present is not None and not self._starting and (better or started):
            self._surround(self._present)

    def _told(self, network: Actions) -> _Begun:
        """One that this agent did not begin: of a recorded run."""
        awaited = network in self._waiting
        if awaited:
            self._waiting.remove(network)
        return _Begun(network, self._starts, awaited)

    def _drawn(self) -> tuple[Actions, ...]:
        return tuple(self._sequences.sample(self._rng) for _ in range(self.initial))

    def _start(self, networks: tuple[Actions, ...]) -> None:
        """These come next, and the best of them is where the climb begins."""
        self._starts += 1
        self._starting = len(networks)
        self._first, self._present = networks[0], None
        self._waiting = deque(networks)

    def _surround(self, centre: Actions) -> None:
        """The neighbours that are not known yet are what comes next."""
        unknown = self._unknown(centre)
        self._waiting = deque(unknown[i] for i in self._rng.permutation(len(unknown)))

    def _meanwhile(self) -> Actions:
        unknown = self._unknown(self._present or self._first)
        if not unknown:
            return self._sequences.sample(self._rng)
        return unknown[self._rng.integers(len(unknown))]

    def _unknown(self, centre: Actions) -> list[Actions]:
        """Neighbours that were not met yet."""
        met = self._rewards.keys() | {begun.network for begun in self._begun}
        around = neighbours(centre, self.num_actions, self._sequences)
        return [network for network in around if network not in met]

    def _awaits(self, begun: _Begun) -> bool:
        return begun.awaited and begun.start == self._starts
