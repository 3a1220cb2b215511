"""Evolution whose mutations are Thompson draws."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Beginnings, Observation, state_key
from agents.thompson import ENVIRONMENT_LEVELS, ThompsonSampling

_FIRST = 10
"""Networks of Thompson draws alone."""

_EDITS = ("change", "insert", "remove")

_ANY = -1
"""No action, so that any is another."""

_Plan = deque[tuple[int, bool]]
"""Actions, each with whether it is taken, or any other instead."""


class GuidedEvolution(ThompsonSampling):
    """Edits one of the best networks; what comes in a place is a draw of ``ThompsonSampling``.

    A parent is drawn uniformly from the best of n networks, n^(1/3) of them, rounded up. One of its
    layers is changed, preceded by another or removed, each equally likely; for each known network
    met in a row, one layer more. Where regularised evolution (Real et al., 2019) takes a layer at
    random, the highest draw of mean return plus noise is taken. Layers of the parent that are not
    legal are left out; where none is left, draws go on. A tenth of the networks have no parent:
    they are Thompson draws from the first layer on.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of all draws.
        edited: Share of the networks that have a parent.
        levels: See ``ThompsonSampling``.

    Raises:
        ValueError: If ``edited`` is not in [0, 1], or a column is negative.
    """

    def __init__(
        self,
        num_actions: int,
        seed: int = 0,
        *,
        edited: float = 0.9,
        levels: Sequence[Sequence[int]] = ENVIRONMENT_LEVELS,
    ) -> None:
        if not 0 <= edited <= 1:
            raise ValueError(f"edited must be in [0, 1], but is {edited}.")
        super().__init__(num_actions, seed, levels=levels)
        self.edited = edited
        self._beginnings = Beginnings()
        self._plan = _Plan()

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The next of the parent's actions that is legal, or the one with the highest draw."""
        key = state_key(observation)
        if self._beginnings.begins_at(key):
            self._plan = self._edited_parent()
        while self._plan:
            action, taken = self._plan.popleft()
            if not taken:
                others = np.array(action_mask, dtype=bool)
                if action != _ANY:
                    others[action] = False
                return super().act(observation, others if others.any() else action_mask)
            if action_mask[action]:
                return action
        return super().act(observation, action_mask)

    def _edited_parent(self) -> _Plan:
        """Its actions, each with whether it is taken, or any other instead; empty for no parent."""
        if len(self._rewards) < _FIRST or self._rng.random() >= self.edited:
            return _Plan()
        networks = list(self._rewards)
        rewards = np.fromiter(self._rewards.values(), np.float64)
        best = np.argsort(-rewards, kind="stable")[: int(np.ceil(len(networks) ** (1 / 3)))]
        parent = networks[self._rng.choice(best)]
        edits = min(1 + self._known_in_a_row, len(parent))
        places = set(self._rng.choice(len(parent), edits, replace=False).tolist())
        plan = _Plan()
        for place, action in enumerate(parent):
            edit = _EDITS[self._rng.integers(3)] if place in places else None
            if edit == "insert":
                plan.append((_ANY, False))
            if edit != "remove":
                plan.append((action, edit != "change"))
        return plan
