"""Evaluation -> reward: a number, or a vector of objectives."""

import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gym_cnnarch.errors import InvalidInput, first_line
from gym_cnnarch.rewards.evaluation import Evaluation, import_object
from gym_cnnarch.rewards.objectives import COSTS, OBJECTIVES, Objectives
from gym_cnnarch.space.search_space import SearchSpace

Reward = float | tuple[float, ...]
RewardFunction = Callable[[Evaluation], Reward]
Scalar = Callable[[Evaluation], float]


def accuracy(evaluation: Evaluation) -> float:
    """The best validation accuracy over the epochs, the paper's reward."""
    return evaluation.accuracy


def last_accuracy(evaluation: Evaluation) -> float:
    """The validation accuracy after the last epoch: no choice of an epoch by validation."""
    return evaluation.curve[-1] if evaluation.curve else evaluation.accuracy


_REWARDS: dict[str, Scalar] = {"accuracy": accuracy, "last_accuracy": last_accuracy}


def is_vector(reward: Any) -> bool:
    """Whether the argument ``reward`` asks for a vector."""
    return isinstance(reward, list | tuple)


def make_reward(reward: Any, failure_reward: float, space: SearchSpace) -> RewardFunction:
    """The reward function of an environment.

    Args:
        reward: ``accuracy``, ``last_accuracy``, ``module:function`` (or
            ``path/to/file.py:function``) for one's own, a scalarisation with its settings (see
            ``Linear`` and ``mnasnet``), or a list of objectives for a vector.
        failure_reward: The reward of every evaluation that failed: whose status is neither ``ok``
            nor ``stopped``; in a vector or a linear sum, its accuracy. A stopped training has the
            reward of its predicted accuracy: the function is given an evaluation with that as its
            accuracy, and without a curve.
        space: The search space, which gives costs their scale.

    Raises:
        InvalidInput: If there is no such reward. The returned function raises it too, if one's own
            fails or returns anything but a finite number.
    """
    if not _is_number(failure_reward):
        raise InvalidInput(f"failure_reward must be a finite number, but is {failure_reward!r}.")
    at_failure = float(failure_reward)
    if is_vector(reward):
        return _vector(reward, at_failure, space)
    function = _scalar(reward, space)
    if isinstance(function, Linear):  # costs are below 0, and count for a failed training as well
        of = function.of
        return lambda e: of(e, at_failure if _failed(e) else _with_predicted(e).accuracy)
    return lambda e: at_failure if _failed(e) else function(_with_predicted(e))


def illegal_reward(reward: Any, space: SearchSpace) -> Reward:
    """The reward of an illegal action: an accuracy of 0, and the greatest costs where they count.

    Args:
        reward: As ``make_reward`` took it.
        space: The search space.
    """
    if is_vector(reward):
        return Objectives(reward, space).worst(0.0)
    function = _scalar(reward, space)
    return function.worst if isinstance(function, Linear) else 0.0


class Linear:
    """The weighted sum of objectives.

    With ``{"accuracy": 1, "-parameters": 0.1}`` the largest network of the space must be 10 points
    of accuracy better than the smallest, and each doubling of the parameters counts alike.

    Args:
        space: The search space, which gives costs their scale.
        weights: Of objectives, by name.

    Raises:
        InvalidInput: If a weight or an objective cannot be one.
    """

    def __init__(self, space: SearchSpace, weights: Any) -> None:
        _check_weights(weights)
        self._objectives = Objectives(tuple(weights), space)
        self._factors = tuple(weights.values())

    def __call__(self, evaluation: Evaluation) -> float:
        """The sum of an evaluation."""
        return self.of(evaluation, evaluation.accuracy)

    def of(self, evaluation: Evaluation, accuracy: float) -> float:
        """The same, of another accuracy."""
        return self._sum(self._objectives.of(evaluation, accuracy))

    @property
    def worst(self) -> float:
        """Of an accuracy of 0 and the greatest costs."""
        return self._sum(self._objectives.worst(0.0))

    def _sum(self, values: tuple[float, ...]) -> float:
        return float(sum(f * v for f, v in zip(self._factors, values, strict=True)))


def _check_weights(weights: Any) -> None:
    if not (isinstance(weights, Mapping) and weights) or not all(
        _is_number(weight) and weight >= 0 for weight in weights.values()
    ):
        raise InvalidInput(
            f"The weights of a linear reward must be like "
            f'{{"accuracy": 1, "-parameters": 0.1}}, numbers of at least 0, not {weights!r}.'
        )


def mnasnet(
    space: SearchSpace, target: Any, cost: Any = "parameters", exponent: Any = -0.07
) -> Scalar:
    """``accuracy * (cost / target) ** exponent`` (Tan et al., MnasNet, CVPR 2019, section 3.1).

    With their exponent of -0.07 a network of twice the cost must be about 5 % better.
    """
    if cost not in COSTS:
        raise InvalidInput(f"The cost of a mnasnet reward is {' or '.join(COSTS)}, not {cost!r}.")
    if not (_is_number(target) and target > 0 and _is_number(exponent) and exponent < 0):
        raise InvalidInput(
            f"A mnasnet reward has a target above 0 and an exponent below 0, not {target!r} and "
            f"{exponent!r}."
        )
    try:
        most = (1 / target) ** exponent
    except OverflowError:
        most = math.inf
    if not math.isfinite(most):
        raise InvalidInput(
            f"A mnasnet reward of target {target:g} and exponent {exponent:g} is infinite for a "
            f"small network."
        )
    return lambda e: float(e.accuracy * (max(getattr(e, cost), 1) / target) ** exponent)


_SCALARISATIONS: dict[str, Callable[..., Scalar]] = {"linear": Linear, "mnasnet": mnasnet}


def _vector(names: Any, at_failure: float, space: SearchSpace) -> RewardFunction:
    objectives = Objectives(names, space)
    if len(objectives.names) < 2:
        raise InvalidInput(
            f"A vector has two objectives or more of {', '.join(OBJECTIVES)}, but came as "
            f"{list(names)}: for one number, reward='accuracy'."
        )
    return lambda e: objectives.of(e, at_failure if _failed(e) else _with_predicted(e).accuracy)


def _failed(evaluation: Evaluation) -> bool:
    return evaluation.status not in ("ok", "stopped")


def _with_predicted(evaluation: Evaluation) -> Evaluation:
    """A stopped training as what it is predicted to have come to; any other as it is."""
    if evaluation.predicted is None:
        return evaluation
    return replace(evaluation, accuracy=evaluation.predicted, curve=())


def _scalar(reward: Any, space: SearchSpace) -> Scalar:
    if isinstance(reward, Mapping):
        return _scalarisation(reward, space)
    if reward == "balanced_accuracy":
        raise InvalidInput(
            "No reward 'balanced_accuracy': set the recipe's metric=balanced_accuracy, and the "
            "rewards accuracy and last_accuracy are balanced."
        )
    if isinstance(reward, str) and reward in _REWARDS:
        return _REWARDS[reward]
    if isinstance(reward, str) and ":" in reward:
        return _own_reward(reward)
    raise InvalidInput(
        f"No reward {reward!r}: expected {', '.join(_REWARDS)}, 'module:function', settings with "
        f"a name ({', '.join(_SCALARISATIONS)}), or a list of objectives "
        f"({', '.join(OBJECTIVES)})."
    )


def _scalarisation(given: Mapping[str, Any], space: SearchSpace) -> Scalar:
    settings = dict(given)
    name = settings.pop("name", None)
    make = _SCALARISATIONS.get(name) if isinstance(name, str) else None
    if make is None:
        raise InvalidInput(
            f"A reward with settings has the name {' or '.join(_SCALARISATIONS)}, but came as "
            f"{dict(given)!r}."
        )
    try:
        inspect.signature(make).bind(space, **settings)
    except TypeError as error:
        taken = ", ".join(list(inspect.signature(make).parameters)[1:])
        raise InvalidInput(
            f"The reward {name} has the settings {taken}, but came with "
            f"{', '.join(settings) or 'none'}."
        ) from error
    return make(space, **settings)


def _is_number(value: Any) -> bool:
    usual = isinstance(value, int | float) and not isinstance(value, bool)
    return usual and abs(value) <= sys.float_info.max


def _own_reward(name: str) -> Scalar:
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
