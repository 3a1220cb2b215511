"""What an evaluation is, what an evaluator does, and how one is found by its name."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from gym_cnnarch.architecture import Architecture
from gym_cnnarch.errors import InvalidInput

Status = Literal["ok", "diverged", "out_of_memory", "timeout", "error"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Evaluation:
    """The result of evaluating one architecture; a failure is a result too.

    Attributes:
        accuracy: Best validation accuracy over the epochs, in [0, 1]; 0.0 if no epoch was finished.
        status: ``ok``; ``diverged``: no learning rate beat chance (by a recipe's other rule: made
            the loss fall), or the loss became NaN or infinite; ``out_of_memory``; ``timeout``: the
            recipe's time limit; ``error``.
        parameters: Trainable parameters.
        macs: Multiply-accumulates of a forward pass of one image.
        curve: Validation accuracy after each epoch of the last try.
        train_seconds: Wall-clock seconds of training, all tries; None if nothing was trained.
        learning_rate: The initial learning rate of the last try; None if there is none.
        message: What went wrong, in words; empty if nothing did.
        cached: Whether the result was looked up rather than paid for now.
        test_accuracy: Accuracy on the test images after the last epoch, in [0, 1]; None where the
            test set was not opened. No reward uses it: see ``train_eval.tables``.
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

    def __post_init__(self) -> None:
        if not 0.0 <= self.accuracy <= 1.0:
            raise ValueError(f"An accuracy must be in [0, 1], but is {self.accuracy}.")
        if self.status not in STATUSES:
            raise ValueError(f"A status is one of {', '.join(STATUSES)}, not {self.status!r}.")


class Evaluator(Protocol):
    """Judges architectures: trains them, looks them up, predicts them.

    What else an evaluator may have, and the package then uses:

    - ``input_shape``, (channels, height, width), and ``num_classes``: the environment's search
      space is made for them;
    - ``search_space``: the only space whose networks it knows;
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


def evaluate_all(
    evaluator: Evaluator, architectures: Sequence[Architecture], seeds: Sequence[int]
) -> list[Evaluation]:
    """Evaluates several networks, together where the evaluator can and there is more than one.

    Raises:
        InvalidInput: If the evaluator returns something else than evaluations.
    """
    together = getattr(evaluator, "evaluate_many", None)
    if together is None or len(architectures) == 1:
        results = [evaluator.evaluate(*each) for each in zip(architectures, seeds, strict=True)]
    else:
        results = list(together(architectures, seeds))
        if len(results) != len(architectures):
            raise InvalidInput(
                f"{type(evaluator).__name__}.evaluate_many must return an Evaluation for each of "
                f"{len(architectures)} networks, but returned {len(results)}."
            )
    for result in results:
        if not isinstance(result, Evaluation):
            raise InvalidInput(
                f"{type(evaluator).__name__} must return an Evaluation of every network, but "
                f"returned {result!r}."
            )
    return results


def import_object(name: str) -> Any:
    """The object that ``module:attribute`` names.

    Raises:
        InvalidInput: If the name is not of that form, or there is no such module or attribute.
    """
    module, separator, attribute = name.partition(":")
    if not (separator and module and attribute) or module.startswith("."):
        raise InvalidInput(f"Expected 'module:attribute', but came {name!r}.")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"Cannot load {name!r}: {error}.") from error
