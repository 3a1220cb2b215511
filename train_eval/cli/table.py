"""The command ``cnnarch table``: building a table of results, and looking at one."""

import contextlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gym_cnnarch.rewards.table import Table
from gym_cnnarch.rewards.table_evaluator import find_table
from train_eval.cli.options import ExecutorOptions, TrainingOptions, check_positive
from train_eval.environments import make_env, needs_training
from train_eval.output import console
from train_eval.output.progress import Progress
from train_eval.parallel.options import Workplace
from train_eval.records.run_directory import in_use
from train_eval.records.store import Store
from train_eval.tables.build import TableBuilder

_SAVE_SECONDS = 300.0  # between two versions of an unfinished table


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
        evaluator = needs_training(env, self.env)
        store = Store(self.store or self.out.with_suffix(".sqlite"))
        builder = TableBuilder(env.search_space, evaluator, self.seeds, store)
        with in_use(self.out.with_suffix(".lock")):
            if self.out.exists():
                taken = builder.take(Table.load(self.out))
                console.note(f"{self.out} holds {taken:,} trainings.")
            with self.open(env, trains=True) as workplace:
                self._build(builder, workplace)
        console.say(f"Table: {self.out}")

    def _build(self, builder: TableBuilder, workplace: Workplace) -> None:
        missing = builder.missing()
        total = builder.seeds * builder.space.count()
        saved, best = time.monotonic(), 0.0
        progress = Progress(
            "trainings",
            total,
            total - len(missing),
            lambda: [
                ("left", progress.left),
                ("best validation accuracy", f"{best:.2%}"),
            ],
        )
        with progress:
            try:
                results = builder.train(missing[: self.most], workplace)
                with contextlib.closing(results):
                    for evaluation in results:
                        best = max(best, evaluation.accuracy)
                        progress.advance()
                        if time.monotonic() - saved > _SAVE_SECONDS:
                            builder.table(workplace.workers).save(self.out)
                            saved = time.monotonic()
            except KeyboardInterrupt:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending takes a moment: let it
                builder.table(workplace.workers).save(self.out)
                console.leave(f"Stopped; what is trained is in {self.out} and the store beside it.")
            builder.table(workplace.workers).save(self.out)


@dataclass
class ShowTableCommand:
    """Describe a table: accuracies, noise between seeds, the best networks, the cost."""

    file: tyro.conf.Positional[Path]
    """The file of the table, or the name of a shipped one: cifar10-16x16, cluttered-digits."""
    top: int = 10
    """Number of networks to list."""

    def run(self) -> None:
        """Prints the description."""
        from train_eval.tables.describe import description

        check_positive(self, "top")
        for part in description(Table.load(find_table(self.file)), self.top):
            console.out.print(part, highlight=False)


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
