"""Thompson sampling over mean returns, against a slow route over all episodes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from agents import Episode, ThompsonSampling

A = 3
LEVELS = ((), (1,))
MASKS = np.ones((2, A), bool)


def episode(first, second, reward) -> Episode:
    """Two steps: the state after the first action tells it."""
    return Episode(np.array([[0, 0], [first, 1], [0, 2]]), [first, second], MASKS, reward)


def slow_mean(played, observation, action) -> tuple[float, int]:
    """Shrunken mean return and visits, straight from the unique episodes."""
    unique = {tuple(e.actions.tolist()): e for e in reversed(played)}.values()
    mean = np.mean([e.reward for e in unique])
    for columns in (*LEVELS, (0, 1)):
        returns = [
            e.reward
            for e in unique
            for o, a in zip(e.observations[:-1], e.actions, strict=True)
            if a == action and all(o[c] == observation[c] for c in columns)
        ]
        mean = (np.sum(returns) + mean) / (len(returns) + 1)
    return mean, len(returns)


@settings(deadline=None, derandomize=True)
@given(
    st.lists(
        st.builds(episode, st.integers(0, A - 1), st.integers(0, A - 1), st.floats(0, 1)),
        min_size=1,
        max_size=12,
    )
)
def test_means_shrink_towards_those_of_the_coarser_table(played):
    agent = ThompsonSampling(A, levels=LEVELS)
    for each in played:
        agent.learn(each)
    for observation in ([0, 0], [1, 1], [2, 1], [9, 9]):
        means, visits = agent.means(np.array(observation))
        expected = [slow_mean(played, observation, action) for action in range(A)]
        assert list(zip(means, visits, strict=True)) == [pytest.approx(row) for row in expected]


def test_before_anything_is_learned_every_legal_action_is_equally_likely():
    agent = ThompsonSampling(A, levels=LEVELS)
    mask = np.array([True, False, True])
    taken = [agent.act(np.array([0, 0]), mask) for _ in range(2000)]
    assert set(taken) == {0, 2}
    assert binomtest(taken.count(0), 2000, 0.5).pvalue > 0.001


def test_the_better_action_is_taken_as_often_as_its_draw_is_higher():
    agent = ThompsonSampling(A, levels=())
    for action, reward in ((0, 0.4), (1, 0.6)):
        agent.learn(Episode([[0, 0], [1, 1]], [action], MASKS[:1], reward))
    # Means (0.4 + 0.5) / 2 and (0.6 + 0.5) / 2; deviations 0.5 * 0.1 / sqrt(2) each.
    expected = norm.cdf(0.1 / (np.sqrt(2) * 0.05 / np.sqrt(2)))
    mask = np.array([True, True, False])
    taken = [agent.act(np.array([0, 0]), mask) for _ in range(4000)]
    assert binomtest(taken.count(1), 4000, expected).pvalue > 0.001


@pytest.mark.parametrize("known", [0, 1, 2, 5])
def test_known_networks_in_a_row_make_the_next_layers_random(known):
    agent = ThompsonSampling(A, levels=())
    agent.learn(episode(0, 0, 1.0))
    for action in range(A - 1):
        for _ in range(200):  # all of them networks of their own, and worse
            length = len(agent._rewards)
            masks, end = np.ones((length, A)), np.zeros((length + 1, 2))
            agent.learn(Episode(end, np.full(length, 1 + action), masks, 0.0))
    for _ in range(known):
        agent.learn(episode(0, 0, 1.0))
    taken = [agent.act(np.array([0, 0]), np.ones(A)) for _ in range(3000)]
    random = min(1.0, known / 2)  # the best network has two layers
    assert binomtest(taken.count(0), 3000, 1 - random * (1 - 1 / A)).pvalue > 0.001
    agent.learn(episode(0, 1, 0.0))  # a new network ends it
    assert {agent.act(np.array([0, 0]), np.ones(A)) for _ in range(50)} == {0}


def test_columns_are_checked():
    with pytest.raises(ValueError, match="columns of an observation"):
        ThompsonSampling(A, levels=((-1,),))


def test_columns_that_observations_do_not_have_are_refused():
    with pytest.raises(ValueError, match="name column 6 of an observation, but it has 2"):
        ThompsonSampling(A).act(np.array([0, 0]), np.ones(A))
