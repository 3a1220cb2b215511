"""REINFORCE against the gradient by finite differences, and on a bandit."""

import numpy as np
import pytest

from agents import Episode, Reinforce

START, END = np.array([0, 1]), np.array([1, 0])


def episode(actions, masks, reward):
    observations = [START + i for i in range(len(actions))] + [END]
    return Episode(observations, actions, masks, reward)


def test_the_first_policy_is_the_random_walk():
    agent = Reinforce(4)
    assert agent.policy(START, [1, 0, 1, 1]) == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])


@pytest.mark.parametrize("entropy", [0.0, 0.3])
def test_a_step_follows_the_gradient(entropy):
    """d/dz [A log p(a) + c H(p)], numerically, with one illegal action."""
    mask = np.array([True, True, False, True])
    agent = Reinforce(4, learning_rate=1.0, baseline_decay=0.5, entropy=entropy)
    agent.learn(episode([0], [mask], 0.4))  # sets the baseline; the advantage is 0
    z = agent._row(START).copy()
    baseline, reward, action = 0.4, 1.0, 3

    def objective(logits):
        p = np.exp(logits[mask]) / np.exp(logits[mask]).sum()
        log_p = dict(zip(np.flatnonzero(mask), np.log(p), strict=True))
        return (reward - baseline) * log_p[action] - entropy * (p @ np.log(p))

    expected = np.zeros(4)
    for i in range(4):
        step = np.eye(4)[i] * 1e-6
        expected[i] = (objective(z + step) - objective(z - step)) / 2e-6
    agent.learn(episode([action], [mask], reward))
    assert agent._row(START) - z == pytest.approx(expected, abs=1e-6)
    assert agent._baseline == pytest.approx(0.7)


def test_it_learns_the_best_arm_and_never_takes_an_illegal_one():
    agent = Reinforce(4, seed=1, learning_rate=0.5)
    mask = np.array([True, True, False, True])
    rng = np.random.default_rng(0)
    taken = []
    for _ in range(500):
        action = agent.act(START, mask)
        taken.append(action)
        agent.learn(episode([action], [mask], {0: 0.2, 1: 0.5, 3: 0.8}[action] + rng.normal() / 20))
    assert 2 not in taken
    assert np.mean(np.array(taken[-100:]) == 3) > 0.8


@pytest.mark.parametrize("wrong", [{"learning_rate": 0}, {"baseline_decay": 1}, {"entropy": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="but they are"):
        Reinforce(4, **wrong)
