"""Tasks, which can be sent to any process or machine, and the evaluation of networks as one."""

import inspect
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gym_cnnarch import Architecture, Evaluation, Evaluator, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.evaluation import import_object
from train_eval.training.stopping import Decision

Result_co = TypeVar("Result_co", covariant=True)


class Task(Protocol[Result_co]):
    """Work on one network after the other, in any process: a task can be pickled.

    Attributes:
        time_limit: Seconds after which a network gives up by itself; None for no limit.
    """

    @property
    def time_limit(self) -> float | None: ...  # noqa: D102

    def prepare(self) -> object:
        """Called once in each process, before the first network: reads the images, say."""
        ...

    def __call__(self, architecture: Architecture, seed: int) -> Result_co:
        """Works on one network."""
        ...


@dataclass(frozen=True)
class EvaluationTask:
    """Evaluates by the evaluator's name, so that it can be sent to any process or machine.

    Attributes:
        evaluator: ``module:attribute``.
        arguments: The evaluator's keyword arguments, paths in them absolute.
        task: The evaluator's task, which it must have wherever it is made.
        time_limit: The recipe's, in seconds; None for no limit.
    """

    evaluator: str
    arguments: Mapping[str, Any]
    task: str
    time_limit: float | None = None

    def __call__(self, architecture: Architecture, seed: int, *decision: Decision) -> Evaluation:
        """Evaluates one architecture, until the decision ends it if there is one.

        Raises:
            InvalidInput: If the evaluator cannot be made here, or finds other data here.
        """
        evaluator: Any = self.prepare()
        evaluation: Evaluation = evaluator.evaluate(architecture, seed, *decision)
        return evaluation

    def prepare(self) -> Evaluator:
        """The evaluator, made once per process."""
        global _made
        if _made is None or _made[0] != self:
            _made = self, self._make()
        return _made[1]

    def _make(self) -> Evaluator:
        evaluator: Evaluator = import_object(self.evaluator)(**self.arguments)
        if evaluator.task != self.task:
            raise InvalidInput(
                f"A worker on {platform.node()} found other data or has other code than the "
                f"search: it would evaluate {evaluator.task}, not {self.task}; give it the same."
            )
        if hasattr(evaluator, "prepare"):
            evaluator.prepare()
        return evaluator


_made: tuple[EvaluationTask, Evaluator] | None = None  # of this process


def evaluation_task(env: CNNArchEnv) -> EvaluationTask:
    """The task of an environment's evaluator, or of the ``worker`` that it names.

    Raises:
        InvalidInput: If the evaluator was not made by its name.
    """
    if env.evaluator is None or env.evaluator_name is None:
        raise InvalidInput("Only an evaluator that is named 'module:attribute' can be sent away.")
    arguments = dict(env.evaluator_settings)
    name = getattr(env.evaluator, "worker", None)
    if name is not None:
        taken = inspect.signature(import_object(name)).parameters
        arguments = {key: value for key, value in arguments.items() if key in taken}
    recipe = getattr(env.evaluator, "recipe", None)
    limit = getattr(recipe, "time_limit", None)
    return EvaluationTask(name or env.evaluator_name, arguments, env.evaluator.task, limit)
