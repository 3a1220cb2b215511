"""The epsilon schedule, counted in unique models."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class EpsilonSchedule:
    """Epsilon by the number of unique models seen so far.

    Attributes:
        phases: (epsilon, number of unique models) in order.

    Raises:
        ValueError: If an epsilon is outside [0, 1] or a number of models is not positive.
    """

    phases: tuple[tuple[float, int], ...]

    def __post_init__(self) -> None:
        phases = tuple((float(epsilon), int(models)) for epsilon, models in self.phases)
        object.__setattr__(self, "phases", phases)
        if not phases or any(not 0 <= e <= 1 or n < 1 for e, n in phases):
            raise ValueError(
                f"A schedule is made of (epsilon in [0, 1], positive number of models), "
                f"but came as {self.phases}."
            )

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        """Number of unique models at which each phase ends."""
        return tuple(accumulate(models for _, models in self.phases))

    @property
    def total(self) -> int:
        """Number of unique models of the whole schedule."""
        return self._ends[-1]

    def epsilon(self, unique: int) -> float:
        """Epsilon after ``unique`` models; the last one for ever once the schedule has ended."""
        phase = bisect_right(self._ends, unique)
        return self.phases[min(phase, len(self.phases) - 1)][0]

    def scaled(self, total: int) -> "EpsilonSchedule":
        """The same proportions for ``total`` models; phases that round to nothing are dropped."""
        ends = [round(end * total / self.total) for end in self._ends]
        starts: Sequence[int] = [0, *ends]
        return EpsilonSchedule(
            tuple(
                (epsilon, end - start)
                for (epsilon, _), start, end in zip(self.phases, starts, ends, strict=False)
                if end > start
            )
        )


PAPER_SCHEDULE = EpsilonSchedule(
    (
        (1.0, 1500),
        *((epsilon, 100) for epsilon in (0.9, 0.8, 0.7)),
        *((epsilon, 150) for epsilon in (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)),
    )
)
"""Table 2 of the paper: 2,700 unique models."""
