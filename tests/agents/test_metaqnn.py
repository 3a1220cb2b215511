"""Algorithms 1 to 3 of the paper."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from agents import Episode, EpsilonSchedule, MetaQNN

A = 3  # actions
GREEDY = EpsilonSchedule(((0.0, 1),))
S0, S1, S2, END = np.array([[0, 0], [1, 0], [1, 1], [2, 0]])
ALL = [True] * A


def episode(actions, masks, reward, observations=(S0, S1, S2, END)) -> Episode:
    return Episode(np.array(observations), np.array(actions), np.array(masks), reward)


def single(action, reward, actions=A) -> Episode:
    """One step from the same state."""
    return episode([action], [[True] * actions], reward, (S0, END))


def chosen(agent, actions) -> list[float]:
    """The Q-values along S0, S1, S2."""
    return [agent.q_values(s)[a] for s, a in zip((S0, S1, S2), actions, strict=True)]


def test_algorithm_3_on_paper():
    agent = MetaQNN(A, alpha=0.1)
    good = episode([0, 1, 2], [ALL, ALL, ALL], reward=0.8)
    agent.update(good)
    # S2: 0.9 * 0.5   + 0.1 * 0.8            = 0.53
    # S1: 0.9 * 0.5   + 0.1 * max(.5 .5 .53) = 0.503
    # S0: 0.9 * 0.5   + 0.1 * max(.5 .503 .5) = 0.5003
    assert chosen(agent, [0, 1, 2]) == pytest.approx([0.5003, 0.503, 0.53], abs=1e-12)
    agent.update(good)
    # S2: 0.9 * 0.53   + 0.1 * 0.8    = 0.557
    # S1: 0.9 * 0.503  + 0.1 * 0.557  = 0.5084
    # S0: 0.9 * 0.5003 + 0.1 * 0.5084 = 0.50111
    assert chosen(agent, [0, 1, 2]) == pytest.approx([0.50111, 0.5084, 0.557], abs=1e-12)
    untouched = [agent.q_values(s)[a] for s, a in [(S0, 1), (S0, 2), (S1, 0), (S1, 2), (S2, 0)]]
    assert untouched == [0.5] * 5


def test_the_maximum_is_over_the_next_state_s_legal_actions_only():
    agent = MetaQNN(A, alpha=0.1)
    # Of S2 only action 2 is legal, of S1 actions 1 and 2; what is illegal still has 0.5.
    agent.update(episode([0, 1, 2], [ALL, [False, True, True], [False, False, True]], reward=0.2))
    # S2: 0.9 * 0.5 + 0.1 * 0.2           = 0.47
    # S1: 0.9 * 0.5 + 0.1 * 0.47          = 0.497
    # S0: 0.9 * 0.5 + 0.1 * max(.497 .5)  = 0.5
    assert chosen(agent, [0, 1, 2]) == pytest.approx([0.5, 0.497, 0.47], abs=1e-12)
    agent.update(episode([0, 2, 2], [ALL, [False, True, True], [False, False, True]], reward=0.2))
    # S2: 0.9 * 0.47 + 0.1 * 0.2             = 0.443
    # S1: 0.9 * 0.5  + 0.1 * 0.443           = 0.4943, on action 2
    # S0: 0.9 * 0.5  + 0.1 * max(.497 .4943) = 0.4997
    assert chosen(agent, [0, 2, 2]) == pytest.approx([0.4997, 0.4943, 0.443], abs=1e-12)


def test_later_rewards_are_discounted_and_the_last_is_not():
    agent = MetaQNN(A, alpha=0.1, gamma=0.5)
    agent.update(episode([0, 1, 2], [ALL, ALL, ALL], reward=0.8))
    # S2: 0.53; S1: 0.45 + 0.1 * 0.5 * 0.53 = 0.4765; S0: 0.45 + 0.1 * 0.5 * 0.5 = 0.475
    assert chosen(agent, [0, 1, 2]) == pytest.approx([0.475, 0.4765, 0.53], abs=1e-12)


def test_the_terminal_update_uses_the_reward_and_nothing_of_the_last_observation():
    agent = MetaQNN(A, alpha=0.1)
    agent.update(episode([1], [ALL], 1.0, (END, S0)))  # END now has an action worth 0.55
    agent.update(single(0, reward=0.2))
    assert agent.q_values(S0)[0] == pytest.approx(0.9 * 0.5 + 0.1 * 0.2)


def test_without_replay_learning_changes_no_value():
    agent = MetaQNN(A, replay=0)
    agent.learn(episode([0, 1, 2], [ALL, ALL, ALL], reward=0.9))
    assert all((agent.q_values(s) == 0.5).all() for s in (S0, S1, S2))


@pytest.mark.parametrize("replay", [1, 2, 7, 100])
def test_learning_replays_exactly_k_draws(replay):
    agent = MetaQNN(A, alpha=0.01, replay=replay)
    agent.learn(single(0, reward=0.9))
    # Each draw leaves 0.99 of the distance to the reward.
    assert agent.q_values(S0)[0] == pytest.approx(0.9 - 0.4 * 0.99**replay, rel=1e-12)


def test_replay_draws_uniformly_with_replacement_from_all_that_was_learned():
    actions, draws = 10, 2_000
    agent = MetaQNN(actions, alpha=0.001, replay=0)
    for action in range(actions - 1):
        agent.learn(single(action, reward=1.0, actions=actions))
    agent.replay = draws
    agent.learn(single(actions - 1, reward=1.0, actions=actions))
    # After n draws a value is 1 - 0.5 * 0.999^n.
    drawn = np.log(2 * (1 - agent.q_values(S0))) / math.log(0.999)
    assert drawn == pytest.approx(np.round(drawn), abs=1e-6)
    assert np.round(drawn).sum() == draws
    assert chisquare(np.round(drawn)).pvalue > 0.001


def test_epsilon_counts_unique_models():
    agent = MetaQNN(A, replay=0, schedule=EpsilonSchedule(((1.0, 2), (0.5, 1), (0.1, 1))))
    seen = [agent.epsilon]
    for action in (0, 0, 1, 1, 0, 2, 2):
        agent.learn(single(action, reward=0.5))
        seen.append(agent.epsilon)
    assert seen == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.1, 0.1]


def test_an_episode_that_is_the_start_of_another_is_another_model():
    agent = MetaQNN(A, replay=0, schedule=EpsilonSchedule(((1.0, 2), (0.1, 1))))
    agent.learn(episode([0, 1, 2], [ALL, ALL, ALL], reward=0.5))
    agent.learn(episode([0, 1], [ALL, ALL], 0.5, (S0, S1, END)))
    assert agent.epsilon == 0.1


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_no_illegal_action_is_ever_taken(epsilon):
    rng = np.random.default_rng(0)
    agent = MetaQNN(A, alpha=0.5, replay=1, schedule=EpsilonSchedule(((epsilon, 1),)))
    for _ in range(500):
        mask = rng.permutation([True, bool(rng.integers(2)), bool(rng.integers(2))])
        assert mask[agent.act(S0, mask)]
        agent.learn(single(int(rng.integers(A)), reward=float(rng.random())))  # any may be best


@pytest.mark.parametrize("dtype", [bool, np.int8])
def test_the_best_legal_action_is_taken_when_greedy(dtype):
    agent = MetaQNN(A, alpha=0.5, schedule=GREEDY)
    for action, reward in enumerate([0.9, 0.7, 0.2]):
        agent.update(single(action, reward))
    masks = {(1, 1, 1): 0, (0, 1, 1): 1, (0, 0, 1): 2, (1, 0, 1): 0}
    for mask, best in masks.items():
        assert {agent.act(S0, np.array(mask, dtype)) for _ in range(20)} == {best}


def test_ties_among_the_best_are_broken_at_random():
    agent = MetaQNN(4, alpha=0.5, schedule=GREEDY)
    agent.update(single(3, reward=0.0, actions=4))  # worse than the three that stay at 0.5
    taken = Counter(agent.act(S0, np.ones(4, bool)) for _ in range(3_000))
    assert set(taken) == {0, 1, 2}
    assert chisquare(list(taken.values())).pvalue > 0.001


def test_epsilon_is_the_share_of_uniform_draws():
    agent = MetaQNN(A, alpha=0.5, schedule=EpsilonSchedule(((0.6, 1),)))
    agent.update(single(1, reward=1.0))
    best = sum(agent.act(S0, np.ones(A, bool)) == 1 for _ in range(3_000))
    assert binomtest(best, 3_000, 0.4 + 0.6 / A).pvalue > 0.001


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("alpha", 0.0),
        ("alpha", -0.1),
        ("alpha", 1.1),
        ("alpha", math.nan),
        ("gamma", -0.1),
        ("gamma", 1.1),
        ("gamma", math.nan),
        ("trace_decay", -0.1),
        ("trace_decay", 1.1),
        ("trace_decay", math.nan),
        ("replay", -1),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name_and_value(setting, value):
    with pytest.raises(ValueError, match=rf"{setting} .*{value}"):
        MetaQNN(A, **{setting: value})
