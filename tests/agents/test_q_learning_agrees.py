"""MetaQNN against a slow Q-learning over a dict, and what Q-learning must do in the end."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import Episode, EpsilonSchedule, MetaQNN

A = 4
STATES = 5


def slow_update(q, episode, alpha, gamma, trace_decay) -> None:
    """Algorithm 3, literally, over a dict of floats; its targets are lambda-returns.

    The weighted sum over n-step returns by which Sutton and Barto define them (equation 12.3).
    """
    last = len(episode.actions) - 1
    best = {}  # of the state after step t, when step t is updated
    for t in range(last, -1, -1):
        if t < last:
            legal = [a for a in range(A) if episode.action_masks[t + 1][a]]
            best[t] = max(q[tuple(episode.observations[t + 1]), a] for a in legal)
        steps = range(1, last - t + 1)
        target = (gamma * trace_decay) ** (last - t) * episode.reward + sum(
            (1 - trace_decay) * trace_decay ** (n - 1) * gamma**n * best[t + n - 1] for n in steps
        )
        key = tuple(episode.observations[t]), int(episode.actions[t])
        q[key] = (1 - alpha) * q[key] + alpha * target


@st.composite
def episodes(draw) -> Episode:
    """Episodes over few states, which may repeat within an episode, each with any legal set."""
    steps = draw(st.integers(1, 6))
    states = draw(st.lists(st.integers(0, STATES - 1), min_size=steps + 1, max_size=steps + 1))
    actions = draw(st.lists(st.integers(0, A - 1), min_size=steps, max_size=steps))
    masks = np.array(
        draw(
            st.lists(
                st.lists(st.booleans(), min_size=A, max_size=A), min_size=steps, max_size=steps
            )
        )
    )
    masks[np.arange(steps), actions] = True
    observations = np.array([[state, state % 2] for state in states])
    return Episode(observations, np.array(actions), masks, draw(st.floats(0, 1)))


@settings(deadline=None, derandomize=True)
@given(
    st.lists(episodes(), min_size=1, max_size=8),
    st.floats(0.01, 1),
    st.floats(0, 1),
    st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
    st.floats(0, 1),
)
def test_updates_agree_with_a_slow_dict(played, alpha, gamma, trace_decay, initial):
    agent = MetaQNN(A, alpha=alpha, gamma=gamma, trace_decay=trace_decay, initial_q=initial)
    q = defaultdict(lambda: initial)
    for episode in played:
        agent.update(episode)
        slow_update(q, episode, alpha, gamma, trace_decay)
    for state in range(STATES):
        expected = [q[(state, state % 2), action] for action in range(A)]
        assert agent.q_values(np.array([state, state % 2])) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, derandomize=True)
@given(st.lists(episodes(), min_size=1, max_size=8))
def test_values_stay_between_the_initial_value_and_the_rewards(played):
    agent = MetaQNN(A, alpha=0.3, replay=5, initial_q=0.5)
    for episode in played:
        agent.learn(episode)
    values = np.array([agent.q_values(np.array([s, s % 2])) for s in range(STATES)])
    rewards = [0.5, *(episode.reward for episode in played)]
    assert values.min() >= min(rewards) - 1e-12
    assert values.max() <= max(rewards) + 1e-12


@settings(deadline=None, derandomize=True)
@given(episodes())
def test_learning_replays_what_was_learned_even_if_the_caller_s_arrays_change(episode):
    first, second = (MetaQNN(A, replay=3) for _ in range(2))
    first.learn(episode)
    second.learn(episode)
    other = Episode(np.full((2, 2), 99), np.array([0]), np.ones((1, A), bool), 1.0)
    first.learn(other)
    for array in (episode.observations, episode.actions, episode.action_masks):
        array[...] = 0
    second.learn(other)
    for state in range(STATES):
        observation = np.array([state, state % 2])
        assert np.array_equal(first.q_values(observation), second.q_values(observation))


def test_monte_carlo_returns_converge_to_the_mean_of_what_was_met():
    rewards = np.random.default_rng(1).random((A - 1, A))
    explore = EpsilonSchedule(((1.0, 1),))
    agent = MetaQNN(A, alpha=0.001, trace_decay=1.0, schedule=explore)
    taken = search(agent, rewards, 400)
    drawn = [[rewards[pair] for pair in taken if pair[0] == first] for first in range(A - 1)]
    expected = [np.mean(row) for row in drawn]
    assert values(agent)[0, : A - 1] == pytest.approx(expected, abs=0.05)
    assert (rewards.max(axis=1) - expected > 0.2).all()  # what bootstrapping converges to


def search(agent: MetaQNN, rewards: np.ndarray, steps: int) -> list[tuple[int, ...]]:
    """Episodes of two choices, the first among A - 1 and the second among A actions."""
    masks = np.array([[True] * (A - 1) + [False], [True] * A])
    taken = []
    for _ in range(steps):
        first = agent.act(np.array([0, 0]), masks[0])
        second = agent.act(np.array([1, first]), masks[1])
        observations = np.array([[0, 0], [1, first], [2, 0]])
        actions = np.array([first, second])
        agent.learn(Episode(observations, actions, masks, float(rewards[first, second])))
        taken.append((first, second))
    return taken


def values(agent: MetaQNN) -> np.ndarray:
    return np.array(
        [agent.q_values(np.array(s)) for s in [(0, 0), *((1, a) for a in range(A - 1))]]
    )


def test_equal_seeds_choose_and_learn_equally_and_others_do_not():
    rewards = np.random.default_rng(0).random((A - 1, A))
    schedule = EpsilonSchedule(((1.0, 4), (0.5, 4), (0.1, 4)))
    agents = [MetaQNN(A, seed, alpha=0.1, replay=10, schedule=schedule) for seed in (7, 7, 8)]
    taken = [search(agent, rewards, 60) for agent in agents]
    assert taken[0] == taken[1]
    assert np.array_equal(values(agents[0]), values(agents[1]))
    assert taken[0] != taken[2]


def test_values_converge_to_the_best_reward_that_can_still_be_reached():
    rewards = np.random.default_rng(1).random((A - 1, A))
    explore = EpsilonSchedule(((1.0, 1),))
    agent = MetaQNN(A, alpha=0.1, replay=100, schedule=explore)
    search(agent, rewards, 200)
    learned = values(agent)
    assert learned[1:] == pytest.approx(rewards, abs=1e-3)
    assert learned[0, : A - 1] == pytest.approx(rewards.max(axis=1), abs=1e-3)
    agent.schedule = EpsilonSchedule(((0.0, 1),))
    assert set(search(agent, rewards, 20)) == {
        tuple(np.unravel_index(rewards.argmax(), (A - 1, A)))
    }
