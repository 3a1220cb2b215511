"""Evaluation -> reward."""

import inspect
import math
from collections.abc import Callable
from dataclasses import replace

from gym_cnnarch.errors import InvalidInput, first_line
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
        name: ``accuracy``, ``last_accuracy``, or ``module:function`` (or
            ``path/to/file.py:function``) for one's own.
        failure_reward: The reward of every evaluation that failed: whose status is neither ``ok``
            nor ``stopped``. A stopped training has the reward of its predicted accuracy: the
            function is given an evaluation with that as its accuracy, and without a curve.

    Raises:
        InvalidInput: If there is no such reward. The returned function raises it too, if one's own
            fails or returns anything but a finite number.
    """
    if name == "balanced_accuracy":
        raise InvalidInput(
            "No reward 'balanced_accuracy': set the recipe's metric=balanced_accuracy, and the "
            "rewards accuracy and last_accuracy are balanced."
        )
    if not isinstance(name, str) or (name not in _REWARDS and ":" not in name):
        raise InvalidInput(
            f"No reward {name!r}: expected {', '.join(_REWARDS)} or 'module:function'."
        )
    if not isinstance(failure_reward, int | float) or not math.isfinite(failure_reward):
        raise InvalidInput(f"failure_reward must be a finite number, but is {failure_reward!r}.")
    at_failure = float(failure_reward)
    function = _REWARDS[name] if name in _REWARDS else _own_reward(name)

    def reward(evaluation: Evaluation) -> float:
        if evaluation.predicted is not None:
            return function(replace(evaluation, accuracy=evaluation.predicted, curve=()))
        return function(evaluation) if evaluation.status == "ok" else at_failure

    return reward


def _own_reward(name: str) -> RewardFunction:
    """The function of that name, whose failures are one sentence."""
    function = import_object(name)
    if not callable(function):
        raise InvalidInput(f"The reward {name!r} must be a function, but is {function!r}.")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise InvalidInput(
            f"The reward {name!r} must take one argument, an Evaluation: {error}."
        ) from error
    except ValueError:
        pass  # a built-in function that does not tell: its first call will

    def reward(evaluation: Evaluation) -> float:
        try:
            value = function(evaluation)
        except (Exception, SystemExit) as error:
            raise InvalidInput(
                f"The reward {name!r} of an Evaluation raised {first_line(error)}."
            ) from error
        try:
            number = math.nan if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise InvalidInput(f"The reward {name!r} must be a finite number, but is {value!r}.")
        return number

    return reward
