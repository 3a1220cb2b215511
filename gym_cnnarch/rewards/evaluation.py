"""Evaluations, the evaluator protocol, and objects by their name."""

import hashlib
import importlib
import importlib.util
import numbers
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, get_args

import numpy as np

from gym_cnnarch.errors import InvalidInput, first_line
from gym_cnnarch.space.architecture import Architecture

Status = Literal["ok", "diverged", "out_of_memory", "timeout", "error", "stopped"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Evaluation:
    """The result of evaluating one architecture; a failure is a result too.

    Attributes:
        accuracy: Best validation accuracy over the epochs, in [0, 1]; 0.0 if no epoch was finished.
            Balanced accuracy if the recipe's ``metric`` says so, here and below.
        status: ``ok``; ``diverged``: no learning rate beat chance (by a recipe's other rule: made
            the loss fall), or the loss became NaN or infinite; ``out_of_memory``; ``timeout``: the
            recipe's time limit; ``error``; ``stopped``: by a search's rule, see
            docs/early_stopping.md.
        parameters: Trainable parameters.
        macs: Multiply-accumulates of a forward pass of one image.
        curve: Validation accuracy after each epoch of the last try.
        train_seconds: Seconds of training, all tries: of the process on a CPU, whatever else the
            machine does, of a clock on a GPU. None if nothing was trained.
        learning_rate: The initial learning rate of the last try; None if there is none.
        message: What went wrong, in words; empty if nothing did.
        cached: Whether the result was looked up rather than paid for now.
        test_accuracy: Accuracy on the test images after the last epoch, in [0, 1]; None where the
            test set was not opened. No reward uses it: see ``train_eval.tables``.
        predicted: The accuracy that a stopped training is predicted to have had in the end, in
            [0, 1]; None for all others.
    """

    accuracy: float
    status: Status
    parameters: int
    macs: int
    curve: tuple[float, ...] = ()
    train_seconds: float | None = None
    learning_rate: float | None = None
    message: str = ""
    cached: bool = False
    test_accuracy: float | None = None
    predicted: float | None = None

    def __post_init__(self) -> None:
        """Turns NumPy's numbers into Python's, as files and databases need them."""
        for name, convert in _CONVERSIONS.items():
            object.__setattr__(self, name, convert(name, getattr(self, name)))
        if not 0.0 <= self.accuracy <= 1.0:
            raise InvalidInput(f"An accuracy must be in [0, 1], but is {self.accuracy}.")
        if self.status not in STATUSES:
            raise InvalidInput(f"A status is one of {', '.join(STATUSES)}, not {self.status!r}.")
        if (self.predicted is not None) != (self.status == "stopped"):
            raise InvalidInput(
                f"A stopped training has a predicted accuracy, and no other has; came status "
                f"{self.status} with {self.predicted}."
            )
        for name, values in (
            ("curve", self.curve),
            ("test_accuracy", (self.test_accuracy,)),
            ("predicted", (self.predicted,)),
        ):
            _check(name, values, 1.0)
        for name in ("train_seconds", "learning_rate"):
            _check(name, (getattr(self, name),), sys.float_info.max)


def _check(name: str, values: Iterable[float | None], most: float) -> None:
    for value in values:
        if value is not None and not 0.0 <= value <= most:
            limit = "in [0, 1]" if most == 1 else "finite and at least 0"
            raise InvalidInput(f"An evaluation's {name} must be {limit}, but is {value}.")


def _float(name: str, value: Any) -> float:
    if type(value) is float:
        return value
    if isinstance(value, numbers.Real):
        return float(value)
    raise InvalidInput(f"An evaluation's {name} must be a number, but is {value!r}.")


def _optional_float(name: str, value: Any) -> float | None:
    return None if value is None else _float(name, value)


def _size(name: str, value: Any) -> int:
    if isinstance(value, int | np.integer) and 0 <= value < 2**63:
        return int(value)
    raise InvalidInput(
        f"An evaluation's {name} must be an integer from 0 to 2^63 - 1, but is {value!r}."
    )


def _floats(name: str, values: Any) -> tuple[float, ...]:
    if isinstance(values, Iterable) and not isinstance(values, str):
        return tuple(_float(name, value) for value in values)
    raise InvalidInput(f"An evaluation's {name} must hold numbers, but is {values!r}.")


def _bool(name: str, value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InvalidInput(f"An evaluation's {name} must be True or False, but is {value!r}.")


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise InvalidInput(f"An evaluation's {name} must be a text, but is {value!r}.")


_CONVERSIONS: dict[str, Callable[[str, Any], Any]] = {
    "accuracy": _float,
    "status": _text,
    "parameters": _size,
    "macs": _size,
    "curve": _floats,
    "train_seconds": _optional_float,
    "learning_rate": _optional_float,
    "message": _text,
    "cached": _bool,
    "test_accuracy": _optional_float,
    "predicted": _optional_float,
}


class Evaluator(Protocol):
    """Judges architectures: trains them, looks them up, predicts them.

    What else an evaluator may have, and the package then uses:

    - ``input_shape``, (channels, height, width), and ``num_classes``: the environment's search
      space is made for them;
    - ``search_space``: the only space whose networks it knows;
    - ``restricted(space)``: the same evaluator for a part of that space;
    - ``evaluate_many(architectures, seeds)``: a list of what ``evaluate`` gives one by one, in less
      time; the vector environment asks it for the networks that are finished in one step;
    - ``draw_seed(rng)``: the seed of an episode's evaluation, drawn by the environment's generator,
      where a network has several results;
    - ``prepare()``: called once in each worker process of a search before anything is timed;
    - ``close()``: called by the environment that made it.

    Attributes:
        task: Names data, split and recipe: what makes two results comparable.
    """

    task: str

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        """Evaluates one architecture; equal seeds give equal results."""
        ...


def absolute_name(name: str) -> str:
    """``path/to/file.py:attribute`` with the absolute path: the same in every folder."""
    place, separator, attribute = name.rpartition(":")
    if not (separator and _is_file(place)):
        return name
    return f"{Path(place).expanduser().resolve()}:{attribute}"


def import_object(name: str) -> Any:
    """The object that ``module:attribute`` or ``path/to/file.py:attribute`` names.

    Raises:
        InvalidInput: If the name is not of that form, there is no such module, file or attribute,
            or the code cannot be imported.
    """
    place, separator, attribute = name.rpartition(":")
    if not (separator and place and attribute) or (place[0] == "." and not _is_file(place)):
        raise InvalidInput(
            f"Expected 'module:attribute' or 'path/to/file.py:attribute', but came {name!r}."
        )
    try:
        module = _import_file(place) if _is_file(place) else importlib.import_module(place)
        return getattr(module, attribute)
    except (ImportError, AttributeError, OSError) as error:
        raise InvalidInput(f"Cannot load {name!r}: {error}.") from error
    except (Exception, SystemExit) as error:  # whatever a user's file does when it is run
        raise InvalidInput(
            f"Cannot load {name!r}: importing it raised {first_line(error)}."
        ) from error


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def _import_file(place: str) -> ModuleType:
    """The module of a file, run once; its name is made of its path, so that it hides no other."""
    path = Path(place).expanduser().resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look it up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
