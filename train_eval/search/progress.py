"""What a search shows while it runs: a live display on a terminal, else a line now and then."""

import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Executor

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from train_eval.parallel.executors import LocalExecutor
from train_eval.search.search import Learned, Search

_WINDOW = 100  # models of the rolling mean, as in the paper's figure 3
_LINES = 20  # lines of a whole search where there is no terminal


class SearchProgress:
    """Counts and draws; passes the episodes of a search on.

    Args:
        search: The search.
        budget: Its number of unique networks.
        executor: Where its evaluations run.
        workers: Number of networks that are trained at a time.
        console: Where to draw.

    Attributes:
        unique: Number of unique networks learned.
        best: The episode with the best network; None before the first.
    """

    def __init__(
        self, search: Search, budget: int, executor: Executor, workers: int, console: Console
    ) -> None:
        self.unique = 0
        self.best: Learned | None = None
        self._search = search
        self._budget = budget
        self._executor = executor
        self._workers = workers
        self._console = console
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._epsilon: float | None = None
        self._episodes = 0
        self._trained = 0
        self._trained_seconds = 0.0
        self._started = time.monotonic()
        self._bar = Progress(
            TextColumn("unique networks"), BarColumn(bar_width=40), MofNCompleteColumn(),
        )  # fmt: skip
        self._task = self._bar.add_task("", total=budget)

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that was spent in training, of the finished networks."""
        return self._trained_seconds / (self._elapsed * self._workers)

    def follow(self) -> Generator[Learned]:
        """Runs the search and shows its progress while its episodes pass through."""
        live = Live(get_renderable=self.render, console=self._console, refresh_per_second=4)
        if self._console.is_terminal:
            with live:
                for learned in self._search:
                    self._count(learned)
                    yield learned
            return
        for learned in self._search:
            self._count(learned)
            if learned.record.new and self.unique % max(1, self._budget // _LINES) == 0:
                self._console.print(self._line(), soft_wrap=True)
            yield learned

    def render(self) -> Group:
        """The live display."""
        facts = Table.grid(padding=(0, 2))
        for name, value in self._facts():
            facts.add_row(name, Text(value))
        return Group(self._bar, facts, *self._worker_lines())

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _count(self, learned: Learned) -> None:
        self._episodes += 1
        self._epsilon = learned.record.epsilon
        if not learned.record.new:
            return
        self.unique += 1
        if not learned.evaluation.cached:
            self._trained += 1
            self._trained_seconds += learned.evaluation.train_seconds or 0.0
        self._recent.append(learned.evaluation.accuracy)
        if learned.evaluation.status == "ok" and (
            self.best is None or learned.evaluation.accuracy > self.best.evaluation.accuracy
        ):
            self.best = learned
        self._bar.update(self._task, completed=self.unique)

    def _facts(self) -> list[tuple[str, str]]:
        facts = []
        if self._epsilon is not None:
            facts.append(("epsilon", f"{self._epsilon:g}"))
        if self.best is not None:
            accuracy, text = self.best.evaluation.accuracy, self.best.record.architecture
            facts.append(("best", f"{accuracy:.2%}  {text}"))
        if self._recent:
            mean = sum(self._recent) / len(self._recent)
            facts.append((f"mean of the last {len(self._recent)}", f"{mean:.2%}"))
        facts.append(("episodes", str(self._episodes)))
        elapsed = self._elapsed
        if self._trained:
            rate = self._trained / elapsed
            facts.append(("networks per hour", f"{3600 * rate:,.0f}"))
            facts.append(("time left", duration((self._budget - self.unique) / rate)))
            own = 1 - self._search.waited_seconds / elapsed
            workers = f"{self._workers} worker{'s' if self._workers > 1 else ''}"
            facts.append(
                ("utilisation", f"{self.utilisation:.0%} of {workers}, the search itself {own:.1%}")
            )
        facts.append(("elapsed", duration(elapsed)))
        return facts

    def _worker_lines(self) -> list[Text]:
        """What each local worker trains, and how many networks wait for one."""
        if not isinstance(self._executor, LocalExecutor):
            return [Text(f"{self._search.in_flight} networks in flight")]
        now = time.monotonic()
        activity = sorted(self._executor.activity.items())
        lines = [
            Text(f"worker {worker}  {duration(now - since)}  {architecture}")
            for worker, (architecture, since) in activity
        ]
        waiting = max(0, self._search.in_flight - len(activity))
        return [*lines, Text(f"{waiting} waiting for a worker")]

    def _line(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self._facts())
        return f"{self.unique}/{self._budget} unique networks: {facts}"


def duration(seconds: float) -> str:
    """3725 as 1:02:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
