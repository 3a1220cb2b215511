"""What the environment makes of its arguments."""

import inspect
from typing import Any

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.evaluation import Evaluator, load
from gym_cnnarch.registration import DATASET_INPUTS
from gym_cnnarch.search_space import SearchSpace


def make_evaluator(evaluator: str | Evaluator | None, settings: dict[str, Any]) -> Evaluator | None:
    """The evaluator that an argument names or is.

    Raises:
        InvalidInput: If it is none, or cannot take the settings.
    """
    if not isinstance(evaluator, str):
        if evaluator is None or hasattr(evaluator, "evaluate"):
            return evaluator
        raise InvalidInput(
            f"The evaluator must be 'module:attribute', an Evaluator or None, not {evaluator!r}."
        )
    make = load(evaluator)
    try:
        inspect.signature(make).bind(**settings)
    except TypeError as error:
        raise InvalidInput(f"{evaluator} cannot take these arguments: {error}.") from error
    made: Evaluator = make(**settings)
    return made


def make_search_space(spec: Any, evaluator: Evaluator | None, dataset: str | None) -> SearchSpace:
    """The space for the evaluator's data, or for a data set whose images are known without it.

    Raises:
        InvalidInput: If the evaluator knows the networks of another space only.
    """
    own: SearchSpace | None = getattr(evaluator, "search_space", None)
    if spec is None:
        spec = "metaqnn" if own is None else own
    input_shape, num_classes = DATASET_INPUTS.get(str(dataset), (None, None))
    space = SearchSpace.from_spec(
        spec,
        input_shape=getattr(evaluator, "input_shape", input_shape),
        num_classes=getattr(evaluator, "num_classes", num_classes),
    )
    if own not in (None, space):
        raise InvalidInput(
            "The evaluator knows the networks of another search space: leave search_space out."
        )
    return space


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuses an argument that is none of its choices."""
    if value not in choices:
        raise InvalidInput(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}.")
