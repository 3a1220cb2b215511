"""The one progress display: a bar with facts on a terminal, else a line now and then."""

import time
from collections.abc import Callable, Sequence

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from train_eval.output import console

Facts = Sequence[tuple[str, str]]

_LINES = 20  # of a whole count where there is no terminal
_SECONDS = 60.0  # without a terminal: the longest time without a line


class Progress:
    """Counts towards a total.

    Args:
        what: What is counted, in the plural.
        total: The number to reach; None if something else ends it.
        done: The number to begin with.
        facts: Name and value of what is shown beside the count.
        details: Further lines, on terminals alone.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        done: int = 0,
        facts: Callable[[], Facts] = tuple,
        details: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.done = self._begun = done
        self._what, self._total = what, total
        self._facts, self._details = facts, details
        self._started = self._printed = time.monotonic()
        self._bar = Bar(TextColumn(what), BarColumn(bar_width=40), MofNCompleteColumn())
        self._task = self._bar.add_task("", total=total, completed=done)
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if console.err.is_terminal:
            self._live = Live(get_renderable=self.render, console=console.err, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    @property
    def left(self) -> str:
        """The time to the total at the mean pace so far; empty before there is one."""
        counted = self.done - self._begun
        if self._total is None or not counted:
            return ""
        return console.duration((self._total - self.done) * self.elapsed / counted)

    def advance(self, quiet: bool = False) -> None:
        """Counts one more; ``quiet`` where something else says so."""
        self.done += 1
        self._bar.update(self._task, completed=self.done)
        total = self._total
        if total is not None and self.done % max(1, total // _LINES) == 0 and not quiet:
            self._say()
        else:
            self.remind()

    def remind(self) -> None:
        """Says how things are, if nothing was said for long."""
        if time.monotonic() - self._printed > _SECONDS:
            self._say()

    def _say(self) -> None:
        if console.err.is_terminal:
            return
        self._printed = time.monotonic()
        facts = ", ".join(f"{name} {value}" for name, value in self._facts())
        of = "" if self._total is None else f"/{self._total}"
        console.note(f"{self.done}{of} {self._what}{': ' if facts else ''}{facts}")

    def render(self) -> Group:
        """The live display."""
        grid = Table.grid(padding=(0, 2))
        for name, value in self._facts():
            grid.add_row(name, console.foreign(value))
        return Group(self._bar, grid, *map(console.foreign, self._details()))
