"""The command ``cnnarch table``: building a table of results, and looking at one."""

import contextlib
import signal
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from gym_cnnarch.table import Table
from gym_cnnarch.table_evaluator import find_table
from train_eval.cli.options import ExecutorOptions, TrainingOptions, check_positive, leave
from train_eval.environments import make_env, training_evaluator
from train_eval.records.run_directory import in_use
from train_eval.records.store import Store
from train_eval.search.progress import duration
from train_eval.tables.build import TableBuilder

_SAVE_SECONDS = 300.0  # between two versions of an unfinished table
_LINE_SECONDS = 60.0  # between two lines where there is no terminal

_out = Console()
_err = Console(stderr=True)


@dataclass
class BuildCommand(ExecutorOptions, TrainingOptions):
    """Train every network of a space, several times, and write one file of the results.

    The same command continues it, from the store or from the file alone.
    """

    out: Path = Path("table.npz")
    """The file of the table. What it holds already is not trained again."""
    seeds: int = 3
    """Trainings of each network, with seeds 0, 1, 2, ..."""
    store: Path | None = None
    """File that keeps each result at once. Default: beside the table, ending in .sqlite."""
    most: int | None = None
    """End after this many trainings, with a table that is not finished."""

    def run(self) -> None:
        """Trains what the table lacks, and writes it."""
        check_positive(self, "seeds", "most")
        self.check_executor()
        env = make_env(self.env, test=True, **self.kwargs())
        evaluator = training_evaluator(env)
        if evaluator is None:
            raise InvalidInput(f"{self.env} does not train: choose an environment that does.")
        store = Store(self.store or self.out.with_suffix(".sqlite"))
        builder = TableBuilder(env.search_space, evaluator, self.seeds, store)
        with in_use(self.out.with_suffix(".lock")):
            if self.out.exists():
                taken = builder.take(Table.load(self.out))
                _err.print(f"{self.out} holds {taken:,} trainings.", markup=False, soft_wrap=True)
            self._build(builder, *self.make_executor(env))
        _out.print(f"Table: {self.out}", markup=False, soft_wrap=True)

    def _build(
        self,
        builder: TableBuilder,
        executor: Executor,
        evaluate: Callable[[Architecture, int], Evaluation],
        workers: int,
    ) -> None:
        missing = builder.missing()
        total = builder.seeds * builder.space.count()
        begun, saved = total - len(missing), time.monotonic()
        with executor, _Progress(begun, total) as progress:
            try:
                results = builder.train(missing[: self.most], executor, evaluate, workers)
                with contextlib.closing(results):
                    for evaluation in results:
                        progress.count(evaluation.accuracy)
                        if time.monotonic() - saved > _SAVE_SECONDS:
                            builder.table(workers).save(self.out)
                            saved = time.monotonic()
            except KeyboardInterrupt:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending takes a moment: let it
                builder.table(workers).save(self.out)
                leave(f"Stopped; what is trained is in {self.out} and the store beside it.")
            builder.table(workers).save(self.out)


class _Progress:
    """A bar on a terminal, else a line a minute."""

    def __init__(self, done: int, total: int) -> None:
        self._done, self._total, self._begun = done, total, done
        self._started = self._printed = time.monotonic()
        self._best = 0.0
        self._bar = Progress(
            TextColumn("trainings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[best]}"), console=_err, disable=not _err.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=total, completed=done, best="")

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def count(self, accuracy: float) -> None:
        """One more training is recorded."""
        self._done += 1
        self._best = max(self._best, accuracy)
        best = f"best validation accuracy {self._best:.2%}"
        self._bar.update(self._task, completed=self._done, best=best)
        now = time.monotonic()
        if _err.is_terminal or now - self._printed < _LINE_SECONDS:
            return
        self._printed = now
        rate = (self._done - self._begun) / (now - self._started)
        left = duration((self._total - self._done) / rate)
        _err.print(f"{self._done}/{self._total} trainings, {left} left, {best}", soft_wrap=True)


@dataclass
class ShowTableCommand:
    """Describe a table: accuracies, noise between seeds, the best networks, the cost."""

    file: tyro.conf.Positional[Path]
    """The file of the table, or a shipped table's name, cifar10-16x16."""
    top: int = 10
    """Number of networks to list."""

    def run(self) -> None:
        """Prints the description."""
        from train_eval.tables.describe import describe

        check_positive(self, "top")
        for part in describe(Table.load(find_table(self.file)), self.top):
            _out.print(part, highlight=False)


@dataclass
class TableCommand:
    """Tables of results: rewards without training."""

    action: tyro.conf.OmitArgPrefixes[
        tyro.conf.OmitSubcommandPrefixes[
            Annotated[BuildCommand, tyro.conf.subcommand("build")]
            | Annotated[ShowTableCommand, tyro.conf.subcommand("show")]
        ]
    ]

    def run(self) -> None:
        """Runs the chosen action."""
        self.action.run()
