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


@pytest.mark.parametrize(
    ("networks", "median"),
    [([100, 200, 501, 501], 501), ([100, 200, 300, 501], 250), ([501] * 4, 501), ([1, 2, 501], 2)],
)
def test_the_median_of_runs_half_of_which_never_get_there_is_not_known(networks, median):
    scores = np.array(networks, dtype=float)[:, None]
    assert comparison.censored_median(scores, 500) == median
    assert comparison.censored_median(np.stack([scores] * 2), 500).tolist() == [median] * 2


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


def test_corrected_intervals_are_wider_and_agree_with_resampling_the_runs():
    low, high = comparison.improvement_interval(OURS, THEIRS)
    wider = comparison.improvement_interval(OURS, THEIRS, comparisons=20)
    assert wider[0] < low < high < wider[1]
    rng = np.random.default_rng(1)
    drawn = [comparison.resampled(scores, rng, 2000) for scores in (OURS, THEIRS)]
    values = [comparison.probability_of_improvement(x, y) for x, y in zip(*drawn, strict=True)]
    assert (low, high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=0.01)


def test_holm_rejects_what_the_step_down_procedure_rejects():
    rng = np.random.default_rng(0)
    for _ in range(200):
        p_values = (rng.random(6) ** 4).tolist()
        adjusted = comparison.holm(p_values)
        for level in (0.01, 0.05, 0.2):
            rejected, left = set(), sorted(range(6), key=p_values.__getitem__)
            while left and p_values[left[0]] <= level / len(left):
                rejected.add(left.pop(0))
            assert {i for i, p in enumerate(adjusted) if p <= level} == rejected
    assert comparison.holm([]) == []


def test_equal_agents_are_told_apart_as_rarely_as_the_level_says():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        scores = rng.normal(size=(8, 20))
        p_values = [comparison.p_value(scores[0], other) for other in scores[1:]]
        found += min(comparison.holm(p_values)) < 0.05
    assert found / 200 < 0.09
    assert comparison.p_value(np.zeros(20), np.zeros(20)) == 1.0
    assert comparison.p_value(np.zeros(20), np.ones(20)) < 1e-6


def test_few_runs_have_no_interval():
    few = OURS[: comparison.FEW - 1]
    assert comparison.interval(few, comparison.interquartile_mean) == (-np.inf, np.inf)
    assert comparison.improvement_interval(few, THEIRS) == (0, 1)
    assert comparison.improvement_interval(OURS, few) == (0, 1)


def test_overlapping_intervals_share_ranks():
    assert comparison.ranks([(0, 1), (2, 3), (2.5, 4), (5, 6)]) == [(1, 1), (2, 3), (2, 3), (4, 4)]
    assert comparison.ranks([(0, 9)]) == [(1, 1)]
    assert comparison.ranks([(0, 2), (1, 4), (3, 5)]) == [(1, 2), (1, 3), (2, 3)]
