"""The agent protocol, and the episodes that agents learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Observation = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Episode:
    """A finished episode of T steps among A actions; lists become arrays.

    Attributes:
        observations: (T + 1, k) int64, the terminal one last.
        actions: (T,) int64.
        action_masks: (T, A) bool, the legal actions at each step.
        reward: The reward of the last step, all others being 0: a float, or (k,) float64 where the
            environment's reward is a vector of k objectives.

    Raises:
        ValueError: If the shapes do not fit each other.
    """

    observations: NDArray[np.int64]
    actions: NDArray[np.int64]
    action_masks: NDArray[np.bool_]
    reward: Any

    def __post_init__(self) -> None:
        for name, dtype in (
            ("observations", np.int64),
            ("actions", np.int64),
            ("action_masks", np.bool_),
        ):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        if np.ndim(self.reward):
            object.__setattr__(self, "reward", np.asarray(self.reward, dtype=np.float64))
        steps = len(self.actions)
        if steps == 0 or len(self.observations) != steps + 1 or len(self.action_masks) != steps:
            raise ValueError(
                f"An episode of T steps has T + 1 observations, T actions and T masks, T > 0; came "
                f"{len(self.observations)}, {steps} and {len(self.action_masks)}."
            )
        inside = self.actions.min() >= 0 and self.actions.max() < self.action_masks.shape[-1]
        if self.action_masks.ndim != 2 or not inside:
            raise ValueError(
                f"An episode has masks (T, A) and actions 0 to A - 1; came masks of shape "
                f"{self.action_masks.shape} and actions {self.actions.tolist()}."
            )


def state_key(observation: Observation) -> bytes:
    """The state that an observation shows, as a key of a table."""
    return np.asarray(observation, dtype=np.int64).tobytes()


class Sequences(Protocol):
    """All complete action sequences of an environment, for agents that choose them as a whole."""

    def sample(self, rng: np.random.Generator) -> tuple[int, ...]:
        """A complete sequence, each equally likely."""
        ...

    def is_complete(self, actions: Sequence[int]) -> bool:
        """Whether the actions are legal one after the other and end an episode."""
        ...


class Agent(Protocol):
    """Chooses actions and learns from finished episodes; deterministic given its seed.

    Episodes are played to their end: an agent may keep track of the one that it is in. One that can
    learn from vector rewards has an attribute ``vector_rewards`` that is true.
    """

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """A legal action; ``action_mask`` is (A,), non-zero where legal."""
        ...

    def learn(self, episode: Episode) -> None:
        """Takes note of one finished episode."""
        ...


class Beginnings:
    """Tells at which states episodes begin: at the first of all, which has no layers yet."""

    def __init__(self) -> None:
        self._first: bytes | None = None

    def begins_at(self, key: bytes) -> bool:
        """Whether the state of this key begins an episode."""
        self._first = self._first or key
        return key == self._first
