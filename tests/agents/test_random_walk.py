"""The baseline that learns nothing."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from agents import Episode, RandomWalk

OBSERVATION = np.zeros(8, np.int64)


def walk(agent: RandomWalk, mask: np.ndarray, steps: int) -> list[int]:
    return [agent.act(OBSERVATION, mask) for _ in range(steps)]


@pytest.mark.parametrize("dtype", [bool, np.int8])
@pytest.mark.parametrize("legal", [[0, 1, 2, 3, 4], [1, 3, 4], [0], [4]])
def test_draws_are_uniform_over_the_legal_actions(legal, dtype):
    mask = np.isin(np.arange(5), legal).astype(dtype)
    drawn = Counter(walk(RandomWalk(5, seed=0), mask, 2_000))
    assert set(drawn) == set(legal)
    assert len(legal) == 1 or chisquare(list(drawn.values())).pvalue > 0.001


def test_equal_seeds_walk_equally_and_others_do_not():
    mask = np.ones(5, bool)
    walks = [walk(RandomWalk(5, seed), mask, 50) for seed in (3, 3, 4)]
    assert walks[0] == walks[1]
    assert walks[0] != walks[2]


def test_learning_changes_no_step():
    mask = np.ones(5, bool)
    learned, ignorant = RandomWalk(5, seed=3), RandomWalk(5, seed=3)
    learned.learn(Episode(np.zeros((2, 8), np.int64), np.array([0]), mask[None], 1.0))
    assert walk(learned, mask, 50) == walk(ignorant, mask, 50)
    assert learned.epsilon == 1.0
