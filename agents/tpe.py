"""Optuna's sampler as an agent.

Optuna is imported when the agent is made: ``pip install gym-cnnarch[optuna]``.
"""

import importlib
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Beginnings, Episode, Observation, state_key


class TPE:
    """The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) with Optuna's defaults.

    A network is a trial, and each layer a categorical parameter, whose name holds the depth and
    which actions are legal there: a categorical's choices may not change, and with only legal ones
    no suggestion is wasted. Parameters are conditional, as Optuna's trials define them by running.

    Args:
        num_actions: A, the number of actions.
        seed: Seed of the sampler.

    Raises:
        ValueError: If Optuna is missing.
    """

    def __init__(self, num_actions: int, seed: int = 0) -> None:
        try:
            optuna = importlib.import_module("optuna")
        except ImportError as error:
            raise ValueError(
                f"tpe needs {error.name}: pip install 'gym-cnnarch[optuna]'."
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.num_actions = num_actions
        sampler = optuna.samplers.TPESampler(seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._beginnings = Beginnings()
        self._trials: deque[Any] = deque()  # the latest last
        self._depth = 0

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """Returns the sampler's suggestion for the trial's next layer."""
        key = state_key(observation)
        if self._beginnings.begins_at(key):
            self._trials.append(self._study.ask())
            self._depth = 0
        self._depth += 1
        legal = np.flatnonzero(action_mask).tolist()
        name = f"layer {self._depth} of {legal}"
        return int(self._trials[-1].suggest_categorical(name, legal))

    def learn(self, episode: Episode) -> None:
        """Tells the study the reward of the earliest trial that has none."""
        self._study.tell(self._trials.popleft(), episode.reward)
