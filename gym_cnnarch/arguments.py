"""Checks the environment's arguments and makes evaluator and search space of them."""

import inspect
from collections.abc import Mapping
from typing import Any

from gym_cnnarch.errors import InvalidInput, WrongArguments
from gym_cnnarch.image_size import side_of
from gym_cnnarch.registration import DATASET_INPUTS, EVALUATORS
from gym_cnnarch.rewards.evaluation import Evaluator, absolute_name, import_object
from gym_cnnarch.space.latencies import in_brief
from gym_cnnarch.space.search_space import SearchSpace

_SETTINGS = {"dataset", "data_root", "recipe", "device", "store", "table", "repeat"}
"""Registered arguments, and those of commands, which stay when ``evaluator`` takes their place."""


def full_name(evaluator: str) -> str:
    """Where the evaluator of a name is, ``module:attribute``; the same in every process.

    Raises:
        InvalidInput: If it is neither such a name nor a short one.
    """
    if ":" not in evaluator and evaluator not in EVALUATORS:
        raise InvalidInput(
            f"No evaluator {evaluator!r}: expected {', '.join(EVALUATORS)} or 'module:attribute'."
        )
    return EVALUATORS.get(evaluator, absolute_name(evaluator))


def make_evaluator(evaluator: str | Evaluator | None, settings: dict[str, Any]) -> Evaluator | None:
    """The evaluator that an argument names or is.

    Raises:
        InvalidInput: If it is none, or cannot take the settings.
    """
    if not isinstance(evaluator, str):
        for name in settings:
            if name not in _SETTINGS:
                raise WrongArguments(
                    f"The environment got an unexpected keyword argument {name!r}."
                )
        return None if evaluator is None else _checked(evaluator)
    make = import_object(evaluator)
    try:
        inspect.signature(make).bind(**settings)
    except (TypeError, ValueError) as error:  # ValueError: built-in types without a signature
        raise WrongArguments(
            f"{evaluator} cannot take these arguments: {error}; it is given dataset and what the "
            f"id registers or gym.make passes, {settings}."
        ) from error
    return _checked(make(**settings))


def _checked(evaluator: Any) -> Evaluator:
    if isinstance(evaluator, type) or not callable(getattr(evaluator, "evaluate", None)):
        raise InvalidInput(
            f"The evaluator must be 'module:attribute', an Evaluator or None, not {evaluator!r}."
        )
    made: Evaluator = evaluator
    return made


def make_search_space(
    spec: Any, evaluator: Evaluator | None, dataset: str | None, recipe: Any = None
) -> SearchSpace:
    """The space for the evaluator's data, or for a data set whose images are known without it.

    Without an evaluator a recipe that resizes the images says so in its ``image_size``.

    Raises:
        InvalidInput: If the evaluator does not know all networks of the space.
    """
    own: SearchSpace | None = getattr(evaluator, "search_space", None)
    if spec is None:
        spec = "metaqnn" if own is None else own
    elif own is not None and isinstance(spec, Mapping) and "preset" not in spec:
        spec = {**own.as_spec(), **spec}
    input_shape, num_classes = DATASET_INPUTS.get(str(dataset), (None, None))
    resized = recipe.get("image_size") if isinstance(recipe, Mapping) else None
    if input_shape is not None and resized is not None:
        input_shape = (input_shape[0], side_of(resized), side_of(resized))
    space = SearchSpace.from_spec(
        spec,
        input_shape=getattr(evaluator, "input_shape", input_shape),
        num_classes=getattr(evaluator, "num_classes", num_classes),
    )
    if own is not None and not own.contains(space):
        raise InvalidInput(
            f"The evaluator knows the networks of another search space: leave search_space out, or "
            f"keep within its limits, {in_brief(own.as_spec())}."
        )
    return space


def restrict(evaluator: Evaluator | None, space: SearchSpace) -> Evaluator | None:
    """The evaluator for a part of the space that it knows, where it makes a difference to it."""
    own: SearchSpace | None = getattr(evaluator, "search_space", None)
    restricted = getattr(evaluator, "restricted", None)
    if own in (None, space) or restricted is None:
        return evaluator
    made: Evaluator = restricted(space)
    return made


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuses an argument that is none of its choices."""
    if value not in choices:
        raise InvalidInput(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}.")
