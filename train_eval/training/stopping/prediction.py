"""Stopping what is predicted not to matter: Baker, Gupta, Raskar, Naik 2018."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np

from gym_cnnarch import InvalidInput
from train_eval.training.stopping.curves import (
    Array,
    Regression,
    Regressions,
    features,
    known_before,
)
from train_eval.training.stopping.rule import Finished

Kernel = Literal["rbf", "linear"]

GROWTH = 1.1
"""The regressions are fitted anew when there are so many times the complete curves."""

NEWEST = 200
"""Curves that they are fitted to at most, so that a fit takes about half a second."""

FOLDS = 5


@dataclass(frozen=True)
class Prediction:
    """Stops a network when it will probably not end among the best n so far.

    Source: B. Baker, O. Gupta, R. Raskar, N. Naik, "Accelerating Neural Architecture Search using
    Performance Prediction" (2018), section 4. For each epoch a nu-SVR predicts the best accuracy of
    the whole training. Its errors count as normal, with the deviation that cross-validation finds.

    Attributes:
        delta: The probability at which a network is stopped, in (0.5, 1]; 1 never stops.
        best: The n of the best n so far, among networks that were trained to the end.
        first: Networks that are trained to the end before anything is predicted.
        kernel: Of the regression, ``rbf`` or ``linear``.
    """

    delta: float = 0.99
    best: int = 5
    first: int = 100
    kernel: Kernel = "rbf"

    def __post_init__(self) -> None:
        if not 0.5 < self.delta <= 1:
            raise InvalidInput(
                f"Networks are stopped at a probability delta above 0.5 and up to 1, such as 0.99; "
                f"came {self.delta}."
            )
        if self.best < 1 or self.first < max(2 * FOLDS, self.best):
            raise InvalidInput(
                f"Prediction learns from the first {2 * FOLDS} networks or more, and from the best "
                f"1 or more of them; came first = {self.first} and best = {self.best}."
            )
        if self.kernel not in get_args(Kernel):
            raise InvalidInput(
                f"The regression's kernel is {' or '.join(get_args(Kernel))}, not {self.kernel!r}."
            )

    def for_epochs(self, epochs: int) -> "Prediction":
        """See ``Rule``."""
        if epochs < 2:
            raise InvalidInput("Trainings of one epoch cannot be stopped early: take more epochs.")
        return self

    def decision(
        self, finished: Sequence[Finished], parameters: int, depth: int
    ) -> "PredictionDecision":
        """Regressions and bars; see ``Rule``."""
        complete = [f for f in finished if f.complete]
        if len(complete) < self.first:
            return PredictionDecision(parameters, depth, None, ())
        fitted_to = complete[: fitted_number(len(complete), self.first)][-NEWEST:]
        regressions = fit(tuple(fitted_to), self.kernel)
        bar = nlargest(self.best, (f.accuracy for f in complete))[-1]
        margin = math.inf if self.delta == 1 else NormalDist().inv_cdf(self.delta)
        bars = tuple(bar - margin * max(r.spread, 1e-6) for r in regressions.by_epoch)
        return PredictionDecision(parameters, depth, regressions, bars)


@dataclass(frozen=True, eq=False)
class PredictionDecision:
    """Regressions, and at each epoch the prediction at which a network is stopped.

    Attributes:
        parameters: Of the network that is decided about.
        depth: Of the same.
        regressions: None as long as too few curves are complete.
        bars: For each epoch before the last: a prediction up to it is stopped.
    """

    parameters: int
    depth: int
    regressions: Regressions | None
    bars: tuple[float, ...]

    def stops(self, curve: Sequence[float], learning_rate: float) -> bool:
        """Whether it ends among the best with a probability of 1 - delta or less."""
        return (
            0 < len(curve) <= len(self.bars)
            and self.predicted(curve, learning_rate) <= self.bars[len(curve) - 1]
        )

    def predicted(self, curve: Sequence[float], learning_rate: float) -> float:
        """By the regression of this epoch; see ``Decision``."""
        if self.regressions is None or not 0 < len(curve) <= len(self.bars):
            return max(curve, default=0.0)
        before = known_before(self.parameters, self.depth, learning_rate)
        return self.regressions.predict(curve, before)


def fitted_number(complete: int, first: int) -> int:
    """How many of the complete curves the regressions know: first, then ``GROWTH`` times as many.

    It depends on the number alone, so that a run that is repeated fits the same regressions.
    """
    number = first
    while (following := max(number + 1, int(number * GROWTH))) <= complete:
        number = following
    return number


@lru_cache(maxsize=1)
def fit(complete: tuple[Finished, ...], kernel: Kernel) -> Regressions:
    """Fits one regression for each epoch before the last; the latest fit is kept."""
    curves = np.array([f.curve for f in complete])
    before = np.array([known_before(f.parameters, f.depth, f.learning_rate) for f in complete])
    target = np.array([f.accuracy for f in complete])
    by_epoch = tuple(
        _fit_epoch(features(curves[:, :epochs], before), target, kernel)
        for epochs in range(1, curves.shape[1])
    )
    return Regressions(curves, before, by_epoch)


def _fit_epoch(x: Array, target: Array, kernel: Kernel) -> Regression:
    """The regression with its spread by cross-validation; arguments as of ``fit_once``."""
    errors = np.empty(len(target))
    for fold in range(FOLDS):  # every fifth network, so that each fold spans the whole search
        out = np.arange(len(target)) % FOLDS == fold
        fitted = fit_once(x[~out], target[~out], kernel)
        errors[out] = fitted.predict(x[out], x[~out]) - target[out]
    spread = float(np.sqrt(np.mean(errors**2)))
    return fit_once(x, target, kernel, spread)


def fit_once(x: Array, target: Array, kernel: Kernel, spread: float = 0.0) -> Regression:
    """Fits the regression after some epochs.

    Args:
        x: (N, F), features.
        target: (N,), final accuracies.
        kernel: Of the regression.
        spread: Of its errors.
    """
    from sklearn.svm import NuSVR  # workers decide without it

    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-12] = 1.0
    middle, unit = float(target.mean()), float(target.std()) or 1.0
    # Chosen on the published CIFAR-10 curves: see docs/early_stopping.md.
    gamma = 0.03 / x.shape[1] if kernel == "rbf" else None
    svr = (
        NuSVR(nu=0.5, C=10.0, gamma=gamma)
        if kernel == "rbf"
        else NuSVR(nu=0.8, C=0.1, kernel="linear")
    )
    svr.fit((x - centre) / scale, (target - middle) / unit)
    return Regression(
        centre, scale, svr.support_.astype(np.int64), svr.dual_coef_[0] * unit,
        float(svr.intercept_[0]) * unit + middle, gamma, spread,
    )  # fmt: skip
