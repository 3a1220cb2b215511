"""Policy gradients without a network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation, state_key


class Reinforce:
    """REINFORCE with a tabular softmax policy (Williams, 1992), a baseline and an entropy bonus.

    One logit per state and action, 0 at first, so that the policy starts as the random walk;
    illegal actions have probability 0. The baseline is an exponential moving average of the
    rewards.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of the policy's draws.
        learning_rate: Of the logits.
        baseline_decay: Share that the baseline keeps of itself after an episode, in [0, 1).
        entropy: Weight of the policy's entropy in each visited state.

    Raises:
        ValueError: If a setting is out of its range.
    """

    def __init__(
        self,
        num_actions: int,
        seed: int = 0,
        *,
        learning_rate: float = 0.5,
        baseline_decay: float = 0.95,
        entropy: float = 0.01,
    ) -> None:
        if learning_rate <= 0 or not 0 <= baseline_decay < 1 or entropy < 0:
            raise ValueError(
                f"learning_rate must be positive, baseline_decay in [0, 1) and entropy at least 0, "
                f"but they are {learning_rate}, {baseline_decay}, {entropy}."
            )
        self.num_actions = num_actions
        self.learning_rate = learning_rate
        self.baseline_decay = baseline_decay
        self.entropy = entropy
        self._rng = np.random.default_rng(seed)
        self._logits: dict[bytes, NDArray[np.float64]] = {}
        self._baseline: float | None = None

    def policy(self, observation: Observation, action_mask: NDArray[Any]) -> NDArray[np.float64]:
        """(A,), the probability of each action; 0 where illegal."""
        legal = np.asarray(action_mask, dtype=bool)
        logits = np.where(legal, self._row(observation), -np.inf)
        weights = np.exp(logits - logits.max())
        probabilities: NDArray[np.float64] = weights / weights.sum()
        return probabilities

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """An action drawn from the policy."""
        cumulative = np.cumsum(self.policy(observation, action_mask))
        drawn = np.searchsorted(cumulative, self._rng.random() * cumulative[-1], side="right")
        return int(drawn)

    def learn(self, episode: Episode) -> None:
        """One step along (reward - baseline) grad log policy + entropy bonus, in every state."""
        baseline = episode.reward if self._baseline is None else self._baseline
        advantage = episode.reward - baseline
        self._baseline = self.baseline_decay * baseline + (1 - self.baseline_decay) * episode.reward
        for observation, action, mask in zip(
            episode.observations[:-1], episode.actions, episode.action_masks, strict=True
        ):
            p = self.policy(observation, mask)
            gradient = -advantage * p
            gradient[action] += advantage
            if self.entropy:
                logs = np.log(np.where(p > 0, p, 1.0))
                gradient -= self.entropy * p * (logs - p @ logs)
            self._row(observation)[:] += self.learning_rate * gradient

    def _row(self, observation: Observation) -> NDArray[np.float64]:
        key = state_key(observation)
        return self._logits.setdefault(key, np.zeros(self.num_actions))
