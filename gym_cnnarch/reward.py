"""Evaluation -> reward."""

import math
from collections.abc import Callable

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.evaluation import Evaluation, import_object

RewardFunction = Callable[[Evaluation], float]


def accuracy(evaluation: Evaluation) -> float:
    """The best validation accuracy over the epochs, the paper's reward."""
    return evaluation.accuracy


def last_accuracy(evaluation: Evaluation) -> float:
    """The validation accuracy after the last epoch: no choice of an epoch by validation."""
    return evaluation.curve[-1] if evaluation.curve else evaluation.accuracy


_REWARDS: dict[str, RewardFunction] = {"accuracy": accuracy, "last_accuracy": last_accuracy}


def make_reward(name: str = "accuracy", failure_reward: float = 0.0) -> RewardFunction:
    """The reward function of an environment.

    Args:
        name: ``accuracy``, ``last_accuracy``, or ``module:function`` for one's own.
        failure_reward: The reward of every evaluation whose status is not ``ok``.

    Raises:
        InvalidInput: If there is no such reward.
    """
    if not isinstance(name, str) or (name not in _REWARDS and ":" not in name):
        raise InvalidInput(
            f"No reward {name!r}: expected {', '.join(_REWARDS)} or 'module:function'."
        )
    try:
        failure_reward = float(failure_reward)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"failure_reward must be a number, but is {failure_reward!r}."
        ) from error
    if not math.isfinite(failure_reward):
        raise InvalidInput(f"failure_reward must be finite, but is {failure_reward}.")
    function = _REWARDS[name] if name in _REWARDS else import_object(name)
    if not callable(function):
        raise InvalidInput(f"The reward {name!r} must be a function, but is {function!r}.")

    def reward(evaluation: Evaluation) -> float:
        if evaluation.status != "ok":
            return failure_reward
        value = float(function(evaluation))
        if not math.isfinite(value):
            raise InvalidInput(f"The reward {name!r} must be a finite number, but is {value}.")
        return value

    return reward
