"""A table of Q-values with Algorithm 3 of the paper as its update."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation

NextValues = Callable[[list[float]], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Trace:
    """An episode as positions in the table, ready to be replayed often.

    Attributes:
        last: Position of the last state and action.
        transitions: For each earlier step, the latest first: position of the state and action, and
            what reads the values of the next state's legal actions.
        reward: The episode's reward.
    """

    last: int
    transitions: tuple[tuple[int, NextValues], ...]
    reward: float


class QTable:
    """Q over (observation, action); every value starts at ``initial``.

    The values lie in one flat list, A per state, since a replayed step reads a handful of numbers:
    at that size plain Python floats are several times faster than NumPy.
    """

    def __init__(self, num_actions: int, initial: float) -> None:
        self.num_actions = num_actions
        self.initial = initial
        self._values: list[float] = []
        self._offsets: dict[bytes, int] = {}
        self._readers: dict[tuple[int, bytes], NextValues] = {}

    def row(self, observation: Observation) -> NDArray[np.float64]:
        """(A,) float64, a copy of the observation's Q-values."""
        offset = self._offsets.get(_key(observation))
        if offset is None:
            return np.full(self.num_actions, self.initial)
        return np.array(self._values[offset : offset + self.num_actions])

    def trace(self, episode: Episode) -> Trace:
        """Finds the episode's positions in the table, adding the states it lacks."""
        offsets = [self._offset(observation) for observation in episode.observations[:-1]]
        positions = [o + int(a) for o, a in zip(offsets, episode.actions, strict=True)]
        readers = [
            self._reader(offset, mask)
            for offset, mask in zip(offsets[1:], episode.action_masks[1:], strict=True)
        ]
        transitions = tuple(zip(positions[:-1], readers, strict=True))
        return Trace(positions[-1], transitions[::-1], float(episode.reward))

    def update(self, trace: Trace, alpha: float, gamma: float) -> None:
        """Algorithm 3: one pass over the episode in temporally reversed order.

        The last step moves towards the reward, each earlier one towards gamma times the best legal
        action of the state after it, which has just been updated.
        """
        values = self._values
        keep, discounted = 1.0 - alpha, alpha * gamma
        values[trace.last] = keep * values[trace.last] + alpha * trace.reward
        for position, next_values in trace.transitions:
            values[position] = keep * values[position] + discounted * max(next_values(values))

    def _offset(self, observation: Observation) -> int:
        key = _key(observation)
        offset = self._offsets.setdefault(key, len(self._values))
        if offset == len(self._values):
            self._values.extend([self.initial] * self.num_actions)
        return offset

    def _reader(self, offset: int, mask: NDArray[Any]) -> NextValues:
        """What reads the legal actions' values; shared by all visits with that mask."""
        key = offset, mask.tobytes()
        if key not in self._readers:
            legal = [offset + int(action) for action in np.flatnonzero(mask)]
            # With one index itemgetter returns a number, not a tuple: name it twice.
            self._readers[key] = itemgetter(*legal, legal[0])
        return self._readers[key]


def _key(observation: Observation) -> bytes:
    return np.asarray(observation, dtype=np.int64).tobytes()
