"""What a search shows while it runs: a live display on a terminal, else a line now and then."""

import time
from collections import deque
from collections.abc import Iterable, Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from train_eval.search import Learned

_WINDOW = 100  # models of the rolling mean, as in the paper's figure 3
_LINES = 20  # lines of a whole search where there is no terminal


class SearchProgress:
    """Counts and draws; passes the episodes of a search on.

    Args:
        budget: Number of unique networks.
        console: Where to draw.
    """

    def __init__(self, budget: int, console: Console) -> None:
        self.unique = 0
        self._budget = budget
        self._console = console
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._best: Learned | None = None
        self._epsilon: float | None = None
        self._episodes = 0
        self._trained = 0
        self._started = time.monotonic()
        self._bar = Progress(
            TextColumn("unique networks"), BarColumn(bar_width=40), MofNCompleteColumn(),
        )  # fmt: skip
        self._task = self._bar.add_task("", total=budget)

    def follow(self, search: Iterable[Learned]) -> Iterator[Learned]:
        """Shows the progress of the search while its episodes pass through."""
        live = Live(get_renderable=self.render, console=self._console, refresh_per_second=4)
        if not self._console.is_terminal:
            for learned in search:
                self._count(learned)
                if learned.record.new and self.unique % max(1, self._budget // _LINES) == 0:
                    self._console.print(self._line(), soft_wrap=True)
                yield learned
            return
        with live:
            for learned in search:
                self._count(learned)
                yield learned

    def render(self) -> Group:
        """The live display."""
        table = Table.grid(padding=(0, 2))
        for name, value in self._facts():
            table.add_row(name, value)
        return Group(self._bar, table)

    def _count(self, learned: Learned) -> None:
        self._episodes += 1
        self._epsilon = learned.record.epsilon
        if not learned.record.new:
            return
        self.unique += 1
        self._trained += not learned.evaluation.cached
        self._recent.append(learned.evaluation.accuracy)
        if self._best is None or learned.evaluation.accuracy > self._best.evaluation.accuracy:
            self._best = learned
        self._bar.update(self._task, completed=self.unique)

    def _facts(self) -> list[tuple[str, str]]:
        facts = []
        if self._epsilon is not None:
            facts.append(("epsilon", f"{self._epsilon:.1f}"))
        if self._best is not None:
            best = self._best
            facts.append(("best", f"{best.evaluation.accuracy:.2%}  {best.record.architecture}"))
            mean = sum(self._recent) / len(self._recent)
            facts.append((f"mean of the last {len(self._recent)}", f"{mean:.2%}"))
        facts.append(("episodes", str(self._episodes)))
        elapsed = time.monotonic() - self._started
        if self._trained:
            rate = self._trained / elapsed
            left = (self._budget - self.unique) / rate
            facts.append(("networks per hour", f"{3600 * rate:,.0f}"))
            facts.append(("time left", duration(left)))
        facts.append(("elapsed", duration(elapsed)))
        return facts

    def _line(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self._facts())
        return f"{self.unique}/{self._budget} unique networks: {facts}"


def duration(seconds: float) -> str:
    """3725 as 1:02:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
