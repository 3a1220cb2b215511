"""What a regression knows of a network after some epochs, and its prediction in NumPy alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

KNOWN_BEFORE = 3
"""Columns of what is known before the first epoch."""


def known_before(parameters: int, depth: int, learning_rate: float) -> tuple[float, float, float]:
    """What is known of a network before its first epoch: sizes and rates by their magnitude."""
    magnitude = float(np.log10(max(learning_rate, 1e-12)))
    return float(np.log10(1 + parameters)), float(depth), magnitude


def features(curves: Array, before: Array) -> Array:
    """The curve so far, its first and second differences, and what was known before.

    Args:
        curves: (N, E), validation accuracy after each of the E epochs so far.
        before: (N, KNOWN_BEFORE).

    Returns:
        (N, F) with F = E + max(E - 1, 0) + max(E - 2, 0) + KNOWN_BEFORE.
    """
    return np.hstack([curves, np.diff(curves), np.diff(curves, n=2), before])


@dataclass(frozen=True, eq=False)
class Regression:
    """A fitted support-vector regression after E epochs, as plain arrays.

    Attributes:
        centre: (F,), the features' means.
        scale: (F,), their standard deviations, 1 where they do not vary.
        support: (S,) int64, rows of the curves that it was fitted to.
        weights: (S,), of the support vectors, in accuracy.
        intercept: In accuracy.
        gamma: Of the kernel exp(-gamma |x - x'|^2); None for the linear kernel.
        spread: Standard deviation of its errors in cross-validation, in accuracy.
    """

    centre: Array
    scale: Array
    support: NDArray[np.int64]
    weights: Array
    intercept: float
    gamma: float | None
    spread: float

    def predict(self, x: Array, fitted_to: Array) -> Array:
        """The final accuracies of M networks, (M,).

        Args:
            x: (M, F), their features.
            fitted_to: (N, F), those of the curves that it was fitted to.
        """
        x = ((x - self.centre) / self.scale)[:, np.newaxis]  # (M, 1, F)
        vectors = (fitted_to[self.support] - self.centre) / self.scale  # (S, F)
        # Sums in NumPy's own order, whatever BLAS a machine has.
        if self.gamma is None:
            kernel = np.sum(x * vectors, axis=2)
        else:
            kernel = np.exp(-self.gamma * np.sum((x - vectors) ** 2, axis=2))
        predicted: Array = np.sum(kernel * self.weights, axis=1) + self.intercept
        return predicted


@dataclass(frozen=True, eq=False)
class Regressions:
    """One regression for each epoch before the last, and the curves they were fitted to.

    Attributes:
        curves: (N, E), whole curves.
        before: (N, KNOWN_BEFORE).
        by_epoch: E - 1 regressions, the first for one epoch.
    """

    curves: Array
    before: Array
    by_epoch: tuple[Regression, ...]

    def predict(self, curve: Sequence[float], before: tuple[float, float, float]) -> float:
        """The best accuracy of a whole training, from 1 to E - 1 epochs of it.

        Not below the best so far, and rounded: the last digits of an exponential depend on the
        processor.
        """
        epochs = len(curve)
        x = features(np.array([curve]), np.array([before]))
        fitted_to = features(self.curves[:, :epochs], self.before)
        predicted = float(self.by_epoch[epochs - 1].predict(x, fitted_to)[0])
        return min(1.0, max(*curve, round(predicted, 6)))
