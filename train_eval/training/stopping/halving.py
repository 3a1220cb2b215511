"""Asynchronous successive halving in the form that stops: Li et al. 2018."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import linear_regression

from gym_cnnarch import InvalidInput
from train_eval.training.stopping.rule import Finished

RUNGS = (1, 3, 9)
"""Of trainings of 20 epochs; chosen on the published CIFAR-10 curves: docs/early_stopping.md."""


@dataclass(frozen=True)
class Halving:
    """At each rung a network goes on if it is among the best 1/eta of all that came so far.

    Source: L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, M. Hardt, B. Recht, A. Talwalkar, "A
    System for Massively Parallel Hyperparameter Tuning" (2018), in the form that stops trainings
    instead of pausing them. All that reached a rung count there, stopped and failed ones too.

    Attributes:
        rungs: Numbers of epochs after which to decide, ascending; None for ``RUNGS``, scaled to
            the recipe's epochs.
        eta: The reduction factor: one of eta goes on.
        first: Networks that are trained to the end before anything is stopped: among a handful the
            best third says little.
    """

    rungs: tuple[int, ...] | None = None
    eta: float = 3.0
    first: int = 20

    def __post_init__(self) -> None:
        rungs = self.rungs
        if rungs is not None and (not rungs or min(rungs) < 1 or list(rungs) != sorted(set(rungs))):
            raise InvalidInput(
                f"The rungs of successive halving are numbers of epochs from 1 on, ascending, such "
                f"as 2 and 6; came {rungs}."
            )
        if not self.eta >= 1:
            raise InvalidInput(f"The reduction factor eta is 1 or more, not {self.eta}.")
        if self.first < 1:
            raise InvalidInput(
                f"Successive halving compares with the first 1 or more networks, not {self.first}."
            )

    def for_epochs(self, epochs: int) -> "Halving":
        """See ``Rule``."""
        if self.rungs is None:
            scaled = sorted({max(1, rung * epochs // 20) for rung in RUNGS})
            return replace(self, rungs=tuple(scaled)).for_epochs(epochs)
        if self.rungs[-1] >= epochs:
            raise InvalidInput(
                f"Successive halving decides before the last epoch, but its last rung is "
                f"{self.rungs[-1]} and trainings have {epochs}: take earlier rungs or more epochs."
            )
        return self

    def decision(
        self, finished: Sequence[Finished], parameters: int, depth: int
    ) -> "HalvingDecision":
        """The bar at each rung; see ``Rule``."""
        if len(finished) < self.first:
            return HalvingDecision((), ())
        rungs = RUNGS if self.rungs is None else self.rungs
        return HalvingDecision(
            tuple((rung, self._bar(finished, rung)) for rung in rungs),
            tuple((rung, *_line(finished[: self.first], rung)) for rung in rungs),
        )

    def _bar(self, finished: Sequence[Finished], rung: int) -> float:
        """The least accuracy that goes on: fewer than a share 1/eta are better, itself counted."""
        reached = sorted(f.best_so_far[rung - 1] for f in finished if len(f.curve) >= rung)
        going_on = math.ceil((len(reached) + 1) / self.eta)
        return reached[-going_on] if len(reached) >= going_on else -math.inf


@dataclass(frozen=True)
class HalvingDecision:
    """A bar at each rung.

    Attributes:
        bars: (rung, accuracy): what is below it after so many epochs is stopped.
        lines: (rung, intercept, slope): final accuracy by the accuracy at that rung.
    """

    bars: tuple[tuple[int, float], ...]
    lines: tuple[tuple[int, float, float], ...]

    def stops(self, curve: Sequence[float], learning_rate: float) -> bool:
        """Whether the best accuracy so far is below the bar of this epoch; see ``Decision``."""
        return any(len(curve) == rung and max(curve) < bar for rung, bar in self.bars)

    def predicted(self, curve: Sequence[float], learning_rate: float) -> float:
        """By the line of the last rung that was reached; see ``Decision``."""
        best = max(curve, default=0.0)
        reached = [line for line in self.lines if line[0] <= len(curve)]
        if not reached:
            return best
        rung, intercept, slope = reached[-1]
        return min(1.0, max(best, round(intercept + slope * max(curve[:rung]), 6)))


def _line(first: Sequence[Finished], rung: int) -> tuple[float, float]:
    """Least squares of final accuracies on those at a rung: intercept, slope.

    Of the first networks, which were all trained to the end: what went on later is a selection, on
    which the line would be too flat.
    """
    whole = [f for f in first if f.complete and len(f.curve) >= rung]
    if len(whole) < 2:
        return 0.0, 1.0
    x = [f.best_so_far[rung - 1] for f in whole]
    y = [f.accuracy for f in whole]
    if len(set(x)) == 1:
        return math.fsum(y) / len(y), 0.0
    slope, intercept = linear_regression(x, y)
    return intercept, slope
