"""Fronts, ranks, distances and hypervolumes, each by another route."""

from itertools import combinations

import numpy as np
import pytest

from agents.nsga2 import best_first
from agents.pareto import crowding_distances, front, hypervolume, non_dominated_ranks

CASES = [(seed, k) for seed in range(10) for k in (2, 3)]


def points_of(seed, k, n=40):
    """On a coarse grid, so that ties and equal points come."""
    return np.random.default_rng(seed).integers(0, 7, (n, k)).astype(float)


def dominates(p, q):
    return all(a >= b for a, b in zip(p, q, strict=True)) and tuple(p) != tuple(q)


@pytest.mark.parametrize(("seed", "k"), CASES)
def test_the_front_is_what_no_point_dominates_each_point_once(seed, k):
    points = points_of(seed, k)
    undominated = {tuple(p) for p in points if not any(dominates(q, p) for q in points)}
    chosen = front(points)
    assert chosen == sorted(chosen)
    assert {tuple(points[i]) for i in chosen} == undominated
    assert len(chosen) == len(undominated)
    for i in chosen:  # of equal ones the first
        assert not any(np.array_equal(points[j], points[i]) for j in range(i))


def test_the_front_of_nothing_is_empty():
    assert front(np.array([])) == front(np.zeros((0, 2))) == []


@pytest.mark.parametrize(("seed", "k"), CASES)
def test_ranks_peel_one_front_after_the_other(seed, k):
    points = points_of(seed, k)
    expected, rest, rank = {}, list(range(len(points))), 0
    while rest:
        peeled = [i for i in rest if not any(dominates(points[j], points[i]) for j in rest)]
        expected |= dict.fromkeys(peeled, rank)
        rest = [i for i in rest if i not in peeled]
        rank += 1
    assert non_dominated_ranks(points).tolist() == [expected[i] for i in range(len(points))]


def test_crowding_distances_by_hand():
    line = np.array([[0.0, 10.0], [1.0, 6.0], [3.0, 5.0], [4.0, 0.0]])
    ours = crowding_distances(line)
    assert ours[[0, 3]].tolist() == [np.inf, np.inf]
    assert ours[1:3] == pytest.approx([3 / 4 + 5 / 10, 3 / 4 + 6 / 10])
    assert crowding_distances(np.ones((3, 2))).tolist()[1] == 0.0


def test_the_best_first_are_of_a_better_rank_or_lonelier():
    points = np.array([[0.0, 10.0], [1.0, 6.0], [3.0, 5.0], [4.0, 0.0], [0.5, 5.5], [0.0, 0.0]])
    assert best_first(points) == [0, 3, 2, 1, 4, 5]


@pytest.mark.parametrize(("seed", "k"), [(seed, k) for seed in range(5) for k in (2, 3, 4)])
def test_hypervolume_is_that_of_inclusion_and_exclusion(seed, k):
    points = np.random.default_rng(seed).uniform(-0.2, 1, (8, k))
    reference = np.zeros(k)
    volume = 0.0
    for number in range(1, len(points) + 1):
        for some in combinations(points, number):
            volume -= (-1) ** number * np.prod(np.maximum(np.min(some, axis=0) - reference, 0))
    assert hypervolume(points, reference) == pytest.approx(volume)


def test_hypervolume_is_the_share_of_random_points_that_are_dominated():
    rng = np.random.default_rng(0)
    points, drawn = rng.random((30, 3)), rng.random((50_000, 3))
    share = (points[:, None] >= drawn).all(axis=2).any(axis=0).mean()
    assert hypervolume(points, np.zeros(3)) == pytest.approx(share, abs=0.01)
    assert hypervolume(points, np.full(3, 1.0)) == 0.0
    assert hypervolume(np.zeros((0, 2)), np.zeros(2)) == 0.0
