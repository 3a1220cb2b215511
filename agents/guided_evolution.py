"""Evolution whose mutations are Thompson draws."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Episode, Observation
from agents.thompson import ENVIRONMENT_LEVELS, ThompsonSampling

_FIRST = 10
"""Networks of Thompson draws alone."""

_ANY = -1
"""No action."""


class GuidedEvolution(ThompsonSampling):
    """Edits one of the best networks; what comes in a place is a draw of ``ThompsonSampling``.

    A parent is drawn uniformly from the n^(1/3) best of n networks. One of its layers is changed,
    preceded by another or removed, each kind equally likely; a known network met in a row is one
    layer more. Where regularised evolution (Real et al., 2019) takes a layer at random, the highest
    draw of mean return plus noise is taken, as it is where the parent's layers no longer fit or
    end. A tenth of the networks have no parent: they are Thompson draws from the first layer on.

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
        self._plan: deque[tuple[int, bool]] | None = None

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The parent's next action if it is legal, or the legal action with the highest draw."""
        if self._plan is None:
            self._plan = self._edited_parent()
        while self._plan:
            action, kept = self._plan.popleft()
            if not kept:
                others = np.array(action_mask, dtype=bool)
                if action != _ANY:
                    others[action] = False
                return super().act(observation, others if others.any() else action_mask)
            if action_mask[action]:
                return action
        return super().act(observation, action_mask)

    def learn(self, episode: Episode) -> None:
        """As in ``ThompsonSampling``; the next network is planned anew."""
        self._plan = None
        super().learn(episode)

    def _edited_parent(self) -> deque[tuple[int, bool]]:
        """Its actions, and for each whether it is kept or any other is drawn; none without one."""
        if len(self._rewards) < _FIRST or self._rng.random() >= self.edited:
            return deque()
        networks = list(self._rewards)
        rewards = np.fromiter(self._rewards.values(), np.float64)
        best = np.argsort(-rewards, kind="stable")[: int(np.ceil(len(networks) ** (1 / 3)))]
        parent = networks[self._rng.choice(best)]
        edits = min(1 + self._known_in_a_row, len(parent))
        places = set(self._rng.choice(len(parent), edits, replace=False).tolist())
        plan = deque[tuple[int, bool]]()
        for place, action in enumerate(parent):
            kind = int(self._rng.integers(3)) if place in places else None
            if kind == 0:
                plan.append((action, False))
            elif kind == 1:
                plan += [(_ANY, False), (action, True)]
            elif kind is None:
                plan.append((action, True))
        return plan
