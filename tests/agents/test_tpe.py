"""Optuna's sampler as an agent."""

import sys

import numpy as np
import pytest

from agents import TPE, RandomWalk, roll_out
from gym_cnnarch.env import CNNArchEnv
from tests.helpers.made_up_tables import SPACE

ACTIONS = len(SPACE.actions)


def play(agent, episodes):
    """Rewards for convolutions with many filters: what was built, and the rewards."""
    env = CNNArchEnv(search_space=SPACE, invalid_action="raise")
    networks, rewards = [], []
    for _ in range(episodes):
        episode = roll_out(env, agent)
        good = sum(str(SPACE.actions[a]).startswith("C(8") for a in episode.actions)
        networks.append(tuple(episode.actions.tolist()))
        rewards.append(good / SPACE.max_layers)
        object.__setattr__(episode, "reward", rewards[-1])
        agent.learn(episode)
    return networks, rewards


def test_tpe_finds_what_is_rewarded_and_repeats():
    pytest.importorskip("optuna")
    networks, rewards = play(TPE(ACTIONS, seed=0), 80)
    assert (networks, rewards) == play(TPE(ACTIONS, seed=0), 80)
    assert networks != play(TPE(ACTIONS, seed=1), 80)[0]
    assert np.mean(rewards[40:]) > np.mean(play(RandomWalk(ACTIONS), 400)[1]) + 0.2


def test_results_that_come_late_go_to_their_trials():
    pytest.importorskip("optuna")
    agent = TPE(ACTIONS, seed=0)
    env = CNNArchEnv(search_space=SPACE, invalid_action="raise")
    episodes = [roll_out(env, agent) for _ in range(5)]
    for number, episode in enumerate(episodes):
        object.__setattr__(episode, "reward", number / 10)
        agent.learn(episode)
    trials = agent._study.trials
    assert [trial.value for trial in trials] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert [list(trial.params.values()) for trial in trials] == [
        episode.actions.tolist() for episode in episodes
    ]


def test_without_optuna_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install 'gym-cnnarch\[optuna\]'"):
        TPE(ACTIONS)
