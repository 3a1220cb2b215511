"""Statistics over few runs.

After Agarwal et al., "Deep RL at the Edge of the Statistical Precipice", NeurIPS 2021.

Scores are (R, T): R runs on each of T tasks, lower is better. Intervals are percentiles of a
bootstrap that resamples runs within each task.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, trim_mean

Scores = NDArray[np.float64]

FEW = 5
"""Runs below which a bootstrap says too little: it is then as wide as can be."""

RESAMPLES = 2000
LEVEL = 0.95


def interquartile_mean(scores: Scores) -> NDArray[np.float64]:
    """The mean of the middle half of all runs; leading axes are kept: (..., R, T) -> (...)."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    mean: NDArray[np.float64] = trim_mean(flat, 0.25, axis=-1)
    return mean


def probability_of_improvement(ours: Scores, theirs: Scores) -> float:
    """That a run of ours is better than one of theirs, ties counting half; mean over the tasks."""
    return float(np.mean([_probability(x, y) for x, y in zip(ours.T, theirs.T, strict=True)]))


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
    ours: Scores, theirs: Scores, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The 95 % interval of the probability of improvement; both sides are resampled.

    All of [0, 1] for fewer than FEW runs.
    """
    if min(len(ours), len(theirs)) < FEW:
        return 0.0, 1.0
    rng = np.random.default_rng(seed)
    pairs = zip(resampled(ours, rng, resamples), resampled(theirs, rng, resamples), strict=True)
    return _percentiles(np.array([probability_of_improvement(x, y) for x, y in pairs]))


def ranks(intervals: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """The best and the worst rank of each interval: those that overlap are not told apart."""
    lows, highs = np.array(intervals).T
    best = [1 + int((highs < low).sum()) for low in lows]
    worst = [len(intervals) - int((lows > high).sum()) for high in highs]
    return list(zip(best, worst, strict=True))


def _probability(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """The Mann-Whitney U statistic, by ranks, as a share of all pairs."""
    together = rankdata(np.concatenate([theirs, ours]))
    u = together[: len(theirs)].sum() - len(theirs) * (len(theirs) + 1) / 2
    return float(u / (len(ours) * len(theirs)))


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
