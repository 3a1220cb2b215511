"""The tabular Q-learning agent of the paper."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Beginnings, Episode, Observation, state_key
from agents.q_table import QTable, Trace
from agents.schedules import PAPER_SCHEDULE, EpsilonSchedule


class MetaQNN:
    """Q-learning with experience replay (Baker et al., ICLR 2017, Algorithms 1 to 3).

    An episode begins with the observation that came first of all, which none meets again later:
    where observations have no depth, networks would be counted wrongly.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of exploration, ties and replay.
        alpha: Learning rate of the Q-values, in (0, 1].
        gamma: Discount factor, in [0, 1].
        trace_decay: lambda, in [0, 1]: 0 is the paper, whose early layers learn what the best known
            network after them gives; 1 are Monte-Carlo returns, by which they learn what networks
            with them gave; see docs/benchmark.md.
        replay: K, the number of episodes replayed after each model.
        schedule: Epsilon by the number of unique models.
        initial_q: Every Q-value at the start.

    Raises:
        ValueError: If a setting is out of its range.
    """

    def __init__(
        self,
        num_actions: int,
        seed: int = 0,
        *,
        alpha: float = 0.01,
        gamma: float = 1.0,
        trace_decay: float = 0.0,
        replay: int = 100,
        schedule: EpsilonSchedule = PAPER_SCHEDULE,
        initial_q: float = 0.5,
    ) -> None:
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must be in (0, 1], but is {alpha}.")
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma must be in [0, 1], but is {gamma}.")
        if not 0 <= trace_decay <= 1:
            raise ValueError(f"trace_decay must be in [0, 1], but is {trace_decay}.")
        if replay < 0:
            raise ValueError(f"replay must be a number of episodes, 0 or more, but is {replay}.")
        self.num_actions = num_actions
        self.alpha = alpha
        self.gamma = gamma
        self.trace_decay = trace_decay
        self.replay = replay
        self.schedule = schedule
        self._rng = np.random.default_rng(seed)
        self._table = QTable(num_actions, initial_q)
        self._memory: list[Trace] = []
        self._models: set[tuple[int, ...]] = set()  # by their actions
        self._beginnings = Beginnings()
        self._building: list[int] = []  # actions of the latest episode

    @property
    def epsilon(self) -> float:
        """The share of random actions in the next episode.

        It counts the unique models that the agent has built or learned from: models that are still
        in training count too, so that a search that acts ahead of what it has learned goes through
        the whole schedule.
        """
        latest = tuple(self._building)
        return self.schedule.epsilon(
            len(self._models) + (bool(latest) and latest not in self._models)
        )

    def q_values(self, observation: Observation) -> NDArray[np.float64]:
        """(A,) float64, the Q-values of an observation, those of illegal actions among them."""
        return self._table.row(observation)

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """Epsilon-greedy over the legal actions, ties broken at random (Algorithm 2)."""
        key = state_key(observation)
        if self._beginnings.begins_at(key) and self._building:
            self._models.add(tuple(self._building))
            self._building = []
        legal = np.flatnonzero(action_mask).tolist()
        if self._rng.random() >= self.schedule.epsilon(len(self._models)):
            values = self._table.values(key)
            best = max([values[action] for action in legal])
            legal = [action for action in legal if values[action] == best]
        action: int = legal[int(self._rng.integers(len(legal)))] if len(legal) > 1 else legal[0]
        self._building.append(action)
        return action

    def learn(self, episode: Episode) -> None:
        """Remembers the episode, then replays K uniform draws with replacement (Algorithm 1)."""
        self._models.add(tuple(episode.actions.tolist()))
        self._memory.append(self._table.trace(episode))
        drawn = self._rng.integers(len(self._memory), size=self.replay).tolist()
        self._update(map(self._memory.__getitem__, drawn))

    def update(self, episode: Episode) -> None:
        """Algorithm 3 alone: updates the Q-values along one episode, without remembering it."""
        self._update([self._table.trace(episode)])

    def _update(self, traces: Iterable[Trace]) -> None:
        self._table.update(traces, self.alpha, self.gamma, self.trace_decay)
