"""The statistics, against independent routes."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from train_eval.benchmark import comparison

RNG = np.random.default_rng(0)
OURS, THEIRS = RNG.normal(0, 1, (20, 3)), RNG.normal(0.3, 1, (15, 3))


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    scores = np.array([[100.0], [1], [2], [3], [4], [5], [6], [-100]])
    assert comparison.interquartile_mean(scores) == pytest.approx((2 + 3 + 4 + 5) / 4)
    together = comparison.interquartile_mean(np.stack([scores, scores + 1]))
    assert together == pytest.approx([3.5, 4.5])


def test_the_probability_of_improvement_counts_pairs():
    expected = [
        np.mean([(x < y) + 0.5 * (x == y) for x in ours for y in theirs])
        for ours, theirs in zip(OURS.T, THEIRS.T, strict=True)
    ]
    assert comparison.probability_of_improvement(OURS, THEIRS) == pytest.approx(np.mean(expected))
    u = mannwhitneyu(THEIRS[:, 0], OURS[:, 0]).statistic / (20 * 15)
    assert comparison.probability_of_improvement(OURS[:, :1], THEIRS[:, :1]) == pytest.approx(u)
    same = np.zeros((4, 1))
    assert comparison.probability_of_improvement(same, same) == 0.5


def test_the_profile_is_the_distribution():
    profile = comparison.performance_profile(OURS, np.array([-np.inf, 0.0, np.inf]))
    assert profile == pytest.approx([0, (OURS <= 0).mean(), 1])


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    covered = 0
    for repetition in range(200):
        scores = np.random.default_rng(repetition).normal(0, 1, (30, 1))
        low, high = comparison.interval(scores, comparison.interquartile_mean, resamples=300)
        covered += low <= 0 <= high
    assert 0.85 < covered / 200 < 0.99


def test_intervals_repeat_and_contain_the_estimate():
    first = comparison.improvement_interval(OURS, THEIRS, resamples=200)
    assert first == comparison.improvement_interval(OURS, THEIRS, resamples=200)
    assert first[0] < comparison.probability_of_improvement(OURS, THEIRS) < first[1]


def test_few_runs_have_no_interval():
    few = OURS[: comparison.FEW - 1]
    assert comparison.interval(few, comparison.interquartile_mean) == (-np.inf, np.inf)
    assert comparison.improvement_interval(few, THEIRS) == (0, 1)
    assert comparison.improvement_interval(OURS, few) == (0, 1)


def test_overlapping_intervals_share_ranks():
    assert comparison.ranks([(0, 1), (2, 3), (2.5, 4), (5, 6)]) == [(1, 1), (2, 3), (2, 3), (4, 4)]
    assert comparison.ranks([(0, 9)]) == [(1, 1)]
    assert comparison.ranks([(0, 2), (1, 4), (3, 5)]) == [(1, 2), (1, 3), (2, 3)]
