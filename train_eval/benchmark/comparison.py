"""Statistics over few runs.

After Agarwal et al., "Deep RL at the Edge of the Statistical Precipice", NeurIPS 2021.

Scores are (R, T): R runs on each of T tasks, lower is better. Intervals are percentiles of a
bootstrap that resamples runs within each task. Where one page compares many agents, p-values are
Holm's (Scandinavian Journal of Statistics, 1979), and their intervals wider by Bonferroni. The
interval of each agent's own mean is not, nor are ranks, which follow from these.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, trim_mean

Scores = NDArray[np.float64]

FEW = 5
"""Runs below which a bootstrap says too little: it is then as wide as can be."""

ADVISED = 20
"""Runs below which agents that differ are hardly told apart once many are compared."""

RESAMPLES = 2000
PAIR_RESAMPLES = 10_000  # tails of corrected intervals are thin
LEVEL = 0.95


def interquartile_mean(scores: Scores) -> NDArray[np.float64]:
    """The mean of the middle half of all runs; leading axes are kept: (..., R, T) -> (...)."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    mean: NDArray[np.float64] = trim_mean(flat, 0.25, axis=-1)
    return mean


def censored_median(scores: Scores, most: float) -> NDArray[np.float64]:
    """The median of all runs, where what exceeds the most is not known: (..., R, T) -> (...).

    Of an even number the mean of the middle two, unless the greater of them is not known.
    """
    greater = np.quantile(scores, 0.5, axis=(-2, -1), method="higher")
    median: NDArray[np.float64] = np.median(scores, axis=(-2, -1))
    return np.where(greater > most, greater, median)


def probability_of_improvement(ours: Scores, theirs: Scores) -> float:
    """That a run of ours is better than one of theirs, ties counting half; mean over the tasks."""
    return float(np.mean([_better(x, y).mean() for x, y in zip(ours.T, theirs.T, strict=True)]))


def performance_profile(scores: Scores, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of runs with a score of at most each threshold."""
    shares: NDArray[np.float64] = (scores[..., None] <= thresholds).mean(axis=(-3, -2))
    return shares


def resampled(scores: Scores, rng: np.random.Generator, resamples: int = RESAMPLES) -> Scores:
    """(B, R, T): B samples with replacement of the runs of each task (stratified bootstrap)."""
    runs, tasks = scores.shape
    chosen = rng.integers(runs, size=(resamples, runs, tasks))
    return scores[chosen, np.arange(tasks)]


def interval(
    scores: Scores,
    statistic: Callable[[Scores], NDArray[np.float64]],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """The 95 % interval of a statistic of (B, R, T) scores; infinite for fewer than FEW runs."""
    if len(scores) < FEW:
        return -math.inf, math.inf
    values = statistic(resampled(scores, np.random.default_rng(seed), resamples))
    return _percentiles(values)


def improvement_interval(
    ours: Scores,
    theirs: Scores,
    comparisons: int = 1,
    seed: int = 0,
    resamples: int = PAIR_RESAMPLES,
) -> tuple[float, float]:
    """The 95 % interval of the probability of improvement; both sides are resampled.

    All of [0, 1] for fewer than FEW runs.

    Args:
        ours: (R, T).
        theirs: (R', T).
        comparisons: Number of intervals that are to hold together: each is of the level
            1 - 0.05 / comparisons.
        seed: Seed of the bootstrap.
        resamples: Number of its samples.
    """
    if min(len(ours), len(theirs)) < FEW:
        return 0.0, 1.0
    rng = np.random.default_rng(seed)
    values = np.zeros(resamples)
    for x, y in zip(ours.T, theirs.T, strict=True):
        # How often each run is drawn: the share of pairs is then a product of matrices.
        xs = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), resamples) / len(x)
        ys = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), resamples) / len(y)
        values += ((xs @ _better(x, y)) * ys).sum(axis=1) / ours.shape[1]
    return _percentiles(values, 1 - (1 - LEVEL) / comparisons)


def p_value(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """That (R,) and (R',) scores differ by chance alone: the Mann-Whitney U test, two-sided."""
    if np.ptp(np.concatenate([ours, theirs])) == 0:
        return 1.0
    return float(mannwhitneyu(ours, theirs).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction, in their order."""
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.asarray(p_values)[order] * factors)
    return [float(p) for p in np.minimum(adjusted, 1.0)]


def ranks(intervals: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """The best and the worst rank of each interval: those that overlap are not told apart."""
    lows, highs = np.array(intervals).T
    best = [1 + int((highs < low).sum()) for low in lows]
    worst = [len(intervals) - int((lows > high).sum()) for high in highs]
    return list(zip(best, worst, strict=True))


def _better(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, R'), 1 where our run is better than theirs, 0.5 where they are equal."""
    differences = theirs[None, :] - ours[:, None]
    shares: NDArray[np.float64] = (np.sign(differences) + 1) / 2
    return shares


def _percentiles(values: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    tail = 50 * (1 - level)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
