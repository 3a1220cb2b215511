"""A table of Q-values with Algorithm 3 of the paper as its update."""

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation, state_key

NextValues = Callable[[list[float]], tuple[float, ...]]


class Trace(NamedTuple):
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
        self._traces: dict[tuple[bytes, ...], Trace] = {}  # without their rewards

    def row(self, observation: Observation) -> NDArray[np.float64]:
        """(A,) float64, a copy of the observation's Q-values."""
        return np.array(self.values(state_key(observation)))

    def values(self, key: bytes) -> list[float]:
        """The same as a list, by the observation's bytes."""
        offset = self._offsets.get(key)
        if offset is None:
            return [self.initial] * self.num_actions
        return self._values[offset : offset + self.num_actions]

    def trace(self, episode: Episode) -> Trace:
        """Finds the episode's positions in the table, adding the states it lacks."""
        arrays = (episode.observations, episode.actions, episode.action_masks)
        key = tuple(array.tobytes() for array in arrays)
        known = self._traces.get(key)
        if known is None:
            known = self._traces[key] = self._make_trace(episode)
        return known._replace(reward=float(episode.reward))

    def _make_trace(self, episode: Episode) -> Trace:
        if episode.action_masks.shape[1] != self.num_actions:
            raise ValueError(
                f"The table has {self.num_actions} actions, but the episode "
                f"{episode.action_masks.shape[1]}."
            )
        offsets = [self._offset(observation) for observation in episode.observations[:-1]]
        positions = [o + int(a) for o, a in zip(offsets, episode.actions, strict=True)]
        readers = [
            self._reader(offset, mask)
            for offset, mask in zip(offsets[1:], episode.action_masks[1:], strict=True)
        ]
        transitions = tuple(zip(positions[:-1], readers, strict=True))
        return Trace(positions[-1], transitions[::-1], float(episode.reward))

    def update(
        self, traces: Iterable[Trace], alpha: float, gamma: float, trace_decay: float = 0.0
    ) -> None:
        """Algorithm 3 for one episode after the other, each in temporally reversed order.

        The last step moves towards the reward, each earlier one towards gamma times a mean: of the
        best legal action of the state after it, which has just been updated, and, weighing
        ``trace_decay``, of what the step after it has moved towards (the lambda-return; Sutton and
        Barto, 2018, section 12.1).
        """
        values = self._values
        keep, discounted = 1.0 - alpha, alpha * gamma
        if trace_decay == 0:
            for last, transitions, reward in traces:
                values[last] = keep * values[last] + alpha * reward
                for position, after in transitions:
                    values[position] = keep * values[position] + discounted * max(after(values))
            return
        from_best, from_return = gamma * (1.0 - trace_decay), gamma * trace_decay
        for last, transitions, reward in traces:
            values[last] = keep * values[last] + alpha * reward
            target = reward
            for position, after in transitions:
                target *= from_return
                if from_best:
                    target += from_best * max(after(values))
                values[position] = keep * values[position] + alpha * target

    def _offset(self, observation: Observation) -> int:
        key = state_key(observation)
        offset = self._offsets.setdefault(key, len(self._values))
        if offset == len(self._values):
            self._values.extend([self.initial] * self.num_actions)
        return offset

    def _reader(self, offset: int, mask: NDArray[Any]) -> NextValues:
        """Returns a reader of the legal actions' values, shared by all visits with that mask."""
        key = offset, mask.tobytes()
        if key not in self._readers:
            legal = [offset + int(action) for action in np.flatnonzero(mask)]
            # With one index itemgetter returns a number, not a tuple: name it twice.
            self._readers[key] = itemgetter(*legal, legal[0])
        return self._readers[key]
