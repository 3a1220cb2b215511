"""The evaluator that looks up what was measured before."""

import copy
import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.rewards.evaluation import Evaluation
from gym_cnnarch.rewards.table import Table
from gym_cnnarch.space.architecture import Architecture
from gym_cnnarch.space.search_space import SearchSpace

_SHIPPED = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Optimum:
    """The best network of a table.

    Attributes:
        architecture: The network.
        validation: Its mean validation accuracy over the repeats.
        test: Its mean test accuracy over the repeats.
    """

    architecture: Architecture
    validation: float
    test: float


class TableEvaluator:
    """Answers from a table in which every network of a space was trained several times.

    Test accuracies are for judging an agent afterwards (``optimum``, ``regret``); no evaluation and
    so no reward contains them. ``train_seconds`` is the median of a network's repeats: seeds cost
    nearly the same, while now and then a machine had other work too.

    Args:
        dataset: None; a table says itself what its networks were trained on.
        table: A shipped table's name, or the path of a file that ``cnnarch table build`` wrote.
        repeat: ``sample``: an episode's result is one of the repeats, drawn by the environment's
            generator, as a network trained anew gives another result; ``mean``: the mean of the
            repeats, a failed training counting 0 whatever the environment's ``failure_reward``; or
            the number of one, 0 to R - 1. Without an environment, and so in ``cnnarch
            search``, whose evaluations have the seed 0, seed s gives repeat s modulo R.

    Attributes:
        task: Names the table and what of it is the result.
        table: The table.
        search_space: The space whose networks the table holds, or the part that is asked for.
        input_shape: (channels, n, n).
        num_classes: Number of classes.
        repeats: R, the number of trainings of each network; seeds that the table has only for a
            part of the networks do not count.
        choices: Number of results that an evaluation can have: R for ``sample``, otherwise 1.

    Raises:
        InvalidInput: If there is no such table, no seed of it is complete, or no such repeat.
    """

    def __init__(
        self,
        dataset: None = None,
        table: str | Path = "cifar10-16x16",
        repeat: Literal["sample", "mean"] | int = "sample",
    ) -> None:
        if dataset is not None:
            raise InvalidInput(f"A table has its results already: leave out dataset={dataset!r}.")
        if not isinstance(table, str | Path):
            raise InvalidInput(f"A table is a name or a file, not {table!r}.")
        self.table = Table.load(find_table(table))
        self.search_space = self.table.space
        self.input_shape = self.search_space.input_shape
        self.num_classes = self.search_space.num_classes
        self.repeats = len(self.table.complete)
        if self.repeats == 0:
            raise InvalidInput(f"{table} is not finished: build the rest with cnnarch table build.")
        allowed = ("sample", "mean", *range(self.repeats))
        if repeat not in allowed or type(repeat) not in (str, int):
            raise InvalidInput(f"repeat is one of {', '.join(map(repr, allowed))}, not {repeat!r}.")
        self.repeat = repeat
        self.choices = self.repeats if repeat == "sample" else 1
        self.task = f"table-{self.table.checksum()[:16]}-{repeat}"
        self._ranks = np.arange(self.search_space.count())  # in the table, by rank in the space
        self._known: dict[tuple[int, int], Evaluation] = {}

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        """The result of one repeat, or the mean.

        Raises:
            InvalidInput: If the architecture is not one of the space.
        """
        return self.result(self.search_space.rank(architecture), seed % self.choices)

    def draw_seed(self, rng: np.random.Generator) -> int:
        """A seed for ``evaluate``, each repeat equally likely."""
        return int(rng.random() * self.choices) if self.choices > 1 else 0

    def result(self, rank: int, choice: int) -> Evaluation:
        """The result by the architecture's rank and one of the ``choices``."""
        known = self._known.get((rank, choice))
        if known is None:
            known = self._known[rank, choice] = self._result(rank, choice)
        return known

    def restricted(self, space: SearchSpace) -> "TableEvaluator":
        """The same results for a part of the space; optimum and regret are then of that part."""
        part = copy.copy(self)
        for name in ("mean_validation", "mean_test", "_seconds"):
            vars(part).pop(name, None)
        part.search_space = space
        networks = [space.unrank(rank) for rank in range(space.count())]
        part._ranks = self._ranks[[self.search_space.rank(network) for network in networks]]
        part._known = {}
        return part

    def optimum(self, by: Literal["validation", "test"] = "test") -> Optimum:
        """The network whose mean accuracy over the repeats is the highest."""
        means = {"validation": self.mean_validation, "test": self.mean_test}
        if by not in means:
            raise InvalidInput(f"An optimum is by 'validation' or 'test', not {by!r}.")
        rank = int(means[by].argmax())
        return Optimum(
            self.search_space.unrank(rank),
            float(self.mean_validation[rank]),
            float(self.mean_test[rank]),
        )

    def regret(self, architecture: Architecture) -> float:
        """How much mean test accuracy the network lacks to the best of the space, at least 0."""
        rank = self.search_space.rank(architecture)
        return float(self.mean_test.max() - self.mean_test[rank])

    @cached_property
    def mean_validation(self) -> NDArray[np.float64]:
        """(N,), mean of the repeats' validation accuracies (0 where training failed), by rank."""
        mean: NDArray[np.float64] = self.table.validation[self.table.complete].mean(axis=0)
        return mean[self._ranks]

    @cached_property
    def mean_test(self) -> NDArray[np.float64]:
        """(N,), mean of the repeats' test accuracies (0 where training failed), by rank."""
        mean: NDArray[np.float64] = self.table.test[self.table.complete].mean(axis=0)
        return mean[self._ranks]

    @cached_property
    def _seconds(self) -> NDArray[np.float64]:
        """(N,), median of the repeats' seconds of training (the lower one of two), by rank."""
        seconds = self.table.train_seconds[self.table.complete].astype(np.float64)
        median: NDArray[np.float64] = np.quantile(seconds, 0.5, axis=0, method="lower")
        return median[self._ranks]

    def _result(self, rank: int, choice: int) -> Evaluation:
        if self.repeat == "mean":
            return self._mean(rank)
        position = choice if self.repeat == "sample" else int(self.repeat)
        evaluation = self.table.evaluation(
            int(self._ranks[rank]), int(self.table.complete[position])
        )
        return dataclasses.replace(
            evaluation, test_accuracy=None, train_seconds=float(self._seconds[rank])
        )

    def _mean(self, rank: int) -> Evaluation:
        """Accuracies averaged, a failed training counting 0; ``ok`` if one succeeded."""
        each = [self.table.evaluation(int(self._ranks[rank]), int(p)) for p in self.table.complete]
        succeeded = [e for e in each if e.status == "ok"]
        curves = [e.curve for e in succeeded] or [()]
        curve = np.sum(curves, axis=0) / len(each)
        return Evaluation(
            accuracy=float(self.mean_validation[rank]),
            status="ok" if succeeded else each[0].status,
            parameters=each[0].parameters,
            macs=each[0].macs,
            curve=tuple(curve.tolist()),
            train_seconds=float(self._seconds[rank]),
            cached=True,
        )


def find_table(table: str | Path) -> Path:
    """The file of a shipped table's name, or the path itself."""
    shipped = _SHIPPED / f"{table}.npz"
    if Path(table).name == str(table) and shipped.is_file():
        return shipped
    return Path(table).expanduser()
