"""Building a table: every architecture of a space, trained with several seeds."""

import os
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_cnnarch import Architecture, Evaluation, InvalidInput, SearchSpace
from gym_cnnarch.rewards.evaluation import STATUSES
from gym_cnnarch.rewards.table import MISSING, Table
from gym_cnnarch.space.shapes import count_macs, count_parameters
from train_eval.parallel.options import Workplace
from train_eval.parallel.worker import has_no_outcome, outcome_of
from train_eval.records.machine import made_with, processor
from train_eval.records.store import Store

if TYPE_CHECKING:
    from train_eval.training.evaluator import TrainingEvaluator

MAX_ARCHITECTURES = 1_000_000
"""Of a space that a table is built for."""

_AHEAD = 4  # networks handed out per worker, so that none waits for the driver


@dataclass(frozen=True)
class Job:
    """One training of the table.

    Attributes:
        rank: The architecture's number in the space.
        seed: Seed of the training.
    """

    rank: int
    seed: int


class TableBuilder:
    """Trains what a table lacks, through a store, and makes the table of what the store has.

    Seed by seed, and within a seed in an order that is drawn once: a table that is not finished is
    a fair sample of the space.

    Args:
        space: The space.
        evaluator: Trains, and measures the test accuracy too (``test=True``).
        seeds: Number of seeds.
        store: Where the results are kept.

    Raises:
        InvalidInput: If the space is too large, or the evaluator measures no test accuracy, or
            another metric.
    """

    def __init__(
        self, space: SearchSpace, evaluator: "TrainingEvaluator", seeds: int, store: Store
    ) -> None:
        if space.counts_more_than(MAX_ARCHITECTURES):
            raise InvalidInput(
                f"The space has more than the {MAX_ARCHITECTURES:,} architectures that a table can "
                f"hold: narrow the limits."
            )
        test = evaluator.data.test
        if test is None:
            raise InvalidInput("A table records test accuracies: the evaluator needs test=True.")
        if evaluator.recipe.metric != "accuracy":
            raise InvalidInput(
                f"A table counts images that are classified correctly, which no "
                f"{evaluator.recipe.metric} can be told from: leave out metric."
            )
        if seeds < 1:
            raise InvalidInput(f"A table needs at least 1 seed, not {seeds}.")
        self.space = space
        self.seeds = seeds
        self._evaluator, self._test = evaluator, test
        self._earlier: list[dict[str, Any]] = []
        self._store = store

    def jobs(self) -> Iterator[Job]:
        """All trainings of the table, in the order in which they are to be done."""
        for seed in range(self.seeds):
            order = np.random.default_rng(seed).permutation(self.space.count())
            yield from (Job(rank, seed) for rank in order.tolist())

    def missing(self) -> list[Job]:
        """The trainings that the store lacks, in order."""
        known = {(text, seed) for text, seed, _ in self._store.evaluations(self._evaluator.task)}
        texts = [str(self.space.unrank(rank)) for rank in range(self.space.count())]
        return [job for job in self.jobs() if (texts[job.rank], job.seed) not in known]

    def train(self, jobs: list[Job], workplace: Workplace) -> Generator[Evaluation]:
        """Trains and records each network; yields it when it is recorded."""
        ahead = _AHEAD * workplace.workers
        waiting = iter(jobs)
        running: dict[Future[Evaluation], tuple[Architecture, int]] = {}
        try:
            while True:
                while len(running) < ahead and (job := next(waiting, None)) is not None:
                    architecture = self.space.unrank(job.rank)
                    future = workplace.executor.submit(workplace.evaluate, architecture, job.seed)
                    running[future] = architecture, job.seed
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    recorded = self._record(future, *running[future])
                    del running[future]
                    yield recorded
        finally:
            for future in [f for f in running if f.done() and not has_no_outcome(f)]:
                self._record(future, *running[future])

    def take(self, table: Table) -> int:
        """Records what an earlier table of the same task holds, and returns how much that is.

        Raises:
            InvalidInput: If the table was built otherwise.
        """
        if table.metadata["task"] != self._evaluator.task or table.space != self.space:
            raise InvalidInput(
                "The table there is of another space, recipe or data set: name another file."
            )
        if len(table.seeds) > self.seeds:
            raise InvalidInput(
                f"The table there has {len(table.seeds)} seeds, not {self.seeds}: ask for as many, "
                f"or name another file."
            )
        self._earlier = [*table.metadata.get("earlier", []), _made(table.metadata)]
        taken = 0
        with self._store.transaction():
            for position, seed in enumerate(table.seeds):
                for rank in np.flatnonzero(table.status[position] != MISSING).tolist():
                    architecture = self.space.unrank(rank)
                    evaluation = table.evaluation(rank, position)
                    self._store.add(self._evaluator.task, architecture, seed, evaluation)
                    taken += 1
        return taken

    def table(self, workers: int) -> Table:
        """Returns the table of all that is recorded so far."""
        count, recipe = self.space.count(), self._evaluator.recipe
        epochs = recipe.epochs_of(len(self._evaluator.data.train))
        architectures = [self.space.unrank(rank) for rank in range(count)]
        shape = (self.seeds, count)
        table = Table(
            self._metadata(workers),
            np.full((*shape, epochs), MISSING, dtype=np.int32),
            np.full(shape, MISSING, dtype=np.int32),
            np.full(shape, MISSING, dtype=np.int8),
            np.zeros(shape, dtype=np.float32),
            np.zeros(shape, dtype=np.float32),
            np.array([count_parameters(a, self.space.input_shape) for a in architectures]),
            np.array([count_macs(a, self.space.input_shape) for a in architectures]),
        )
        ranks = {str(architecture): rank for rank, architecture in enumerate(architectures)}
        images, tests = table.metadata["validation_images"], table.metadata["test_images"]
        for text, seed, evaluation in self._store.evaluations(self._evaluator.task):
            if text not in ranks or seed >= self.seeds:
                continue
            cell = seed, ranks[text]
            table.status[cell] = STATUSES.index(evaluation.status)
            curve = np.rint(np.array(evaluation.curve) * images)
            table.correct_validation[cell][: len(curve)] = curve
            if evaluation.test_accuracy is not None:
                table.correct_test[cell] = round(evaluation.test_accuracy * tests)
            table.train_seconds[cell] = evaluation.train_seconds or 0.0
            table.learning_rate[cell] = evaluation.learning_rate or 0.0
        return table

    def _record(
        self, future: Future[Evaluation], architecture: Architecture, seed: int
    ) -> Evaluation:
        evaluation = outcome_of(future, architecture, self.space.input_shape)
        return self._store.add(self._evaluator.task, architecture, seed, evaluation)

    def _metadata(self, workers: int) -> dict[str, Any]:
        data, test = self._evaluator.data, self._test
        made = {
            "made_with": made_with(workers),
            "hardware": f"{processor()}, {os.cpu_count()} cores",
        }
        earlier = [other for other in self._earlier if other != _made(made)]
        return {
            "search_space": self.space.as_spec(),
            "task": self._evaluator.task,
            "dataset": self._evaluator.dataset.partition(":")[0],
            "fingerprints": self._evaluator.fingerprints,
            "recipe": asdict(self._evaluator.recipe),
            "training_images": len(data.train),
            "validation_images": len(data.validation),
            "test_images": len(test),
            "seeds": list(range(self.seeds)),
            **made,
            **({"earlier": earlier} if earlier else {}),  # on what other trainings of it were made
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _made(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What of it results may depend on, which they do not on the number of workers."""
    versions = dict(metadata.get("made_with", {}))
    versions.pop("workers", None)
    return {"made_with": versions, "hardware": metadata.get("hardware")}
