"""The progress of a search, shown while it runs."""

from collections import deque
from collections.abc import Callable, Generator

from train_eval.output import console
from train_eval.output.console import duration
from train_eval.output.progress import Facts, Progress
from train_eval.parallel.executors import LocalExecutor
from train_eval.search.search import Learned, Search

_WINDOW = 100  # models of the rolling mean, as in the paper's figure 3


class SearchProgress:
    """Counts and shows; passes the episodes of a search on.

    Args:
        search: The search.
        seconds_left: Of a search that is ended by something else than its budget.

    Attributes:
        unique: Number of unique networks learned.
        best: The episode with the best network that was trained to its end; None before the first.
    """

    def __init__(self, search: Search, seconds_left: Callable[[], float] | None = None) -> None:
        self.best: Learned | None = None
        self._search = search
        self._seconds_left = seconds_left
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._epsilon: float | None = None
        self._episodes = 0
        self._trained = 0
        self._trained_seconds = 0.0
        self._failed = 0
        self._stopped = 0
        self._display = Progress(
            "unique networks",
            search.settings.budget if seconds_left is None else None,
            facts=self._facts,
            details=self._details,
        )

    @property
    def unique(self) -> int:
        """Number of unique networks learned."""
        return self._display.done

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that was spent in training, of the finished networks."""
        return self._trained_seconds / (self._display.elapsed * self._search.workers)

    def follow(self) -> Generator[Learned]:
        """Runs the search and shows its progress while its episodes pass through."""
        with self._display:
            for learned in self._search:
                self._count(learned)
                yield learned

    def _count(self, learned: Learned) -> None:
        self._episodes += 1
        self._epsilon = learned.record.epsilon
        if not learned.record.new:
            return
        if not learned.evaluation.cached:
            self._trained += 1
            self._trained_seconds += learned.evaluation.train_seconds or 0.0
        if learned.evaluation.status == "stopped":
            self._stopped += 1
        elif learned.evaluation.status != "ok":
            self._failed += 1
        else:
            self._recent.append(learned.evaluation.accuracy)
            best = self.best
            if best is None or learned.evaluation.accuracy > best.evaluation.accuracy:
                self.best = learned
        self._display.advance()
        if self._trained == max(2, self._search.workers) and not learned.evaluation.cached:
            self._estimate()

    def _estimate(self) -> None:
        """Says once how long the search will take, by the first networks."""
        left = self._search.settings.budget - self.unique
        if left and self._seconds_left is None:
            seconds = left * self._display.elapsed / self._trained
            console.note(
                f"By the first {self._trained}, the other {left} networks take about "
                f"{duration(seconds)}."
            )

    def _facts(self) -> Facts:
        facts = []
        if self._epsilon is not None:
            facts.append(("epsilon", f"{self._epsilon:g}"))
        if self.best is not None:
            accuracy, text = self.best.evaluation.accuracy, self.best.record.architecture
            facts.append(("best", f"{accuracy:.2%}  {text}"))
        if self._recent:
            mean = sum(self._recent) / len(self._recent)
            facts.append((f"mean of the last {len(self._recent)}", f"{mean:.2%}"))
        if self._stopped:
            facts.append(("stopped early", str(self._stopped)))
        if self._failed:
            facts.append(("failed", str(self._failed)))
        facts.append(("episodes", str(self._episodes)))
        elapsed = self._display.elapsed
        if self._trained:
            rate = self._trained / elapsed
            facts.append(("networks per hour", f"{3600 * rate:,.0f}"))
            own = 1 - self._search.waited_seconds / elapsed
            number = self._search.workers
            workers = f"{number} worker{'s' if number > 1 else ''}"
            facts.append(
                ("utilisation", f"{self.utilisation:.0%} of {workers}, the search itself {own:.1%}")
            )
        if (left := self._left()) is not None:
            facts.append(("time left", duration(left)))
        facts.append(("elapsed", duration(elapsed)))
        return facts

    def _left(self) -> float | None:
        """Seconds to the end, by what ends the search; None while that is not known."""
        if self._seconds_left is not None:
            return max(0.0, self._seconds_left())
        if not self._trained:
            return None
        elapsed, seconds = self._display.elapsed, self._search.seconds
        left = (self._search.settings.budget - self.unique) * elapsed / self._trained
        return left if seconds is None else max(0.0, min(left, seconds - elapsed))

    def _details(self) -> list[str]:
        """Lists what each local worker trains, and how many networks wait for one."""
        if not isinstance(self._search.executor, LocalExecutor):
            return [f"{self._search.in_flight} networks in flight"]
        activity = self._search.executor.activity_by_worker()
        lines = [
            f"worker {worker}  {duration(seconds)}  {architecture}"
            for worker, architecture, seconds in activity
        ]
        waiting = max(0, self._search.in_flight - len(activity))
        return [*lines, f"{waiting} waiting for a worker"]
