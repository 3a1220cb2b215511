"""What holds for every agent of the registry."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from agents import roll_out
from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv
from tests.helpers.made_up_tables import SPACE
from train_eval.search.agents import (
    AGENTS,
    LABELS,
    SB3_PREFIX,
    benchmark_settings,
    find_agent,
    make_agent,
)


def play(label, seed, lookahead):
    """The networks of an agent that has learned all but the latest ``lookahead`` episodes."""
    if "tpe" in label:
        pytest.importorskip("optuna")
    settings = {**benchmark_settings(label, 60), "schedule": ((1.0, 20), (0.1, 40))}
    if settings["name"] != "metaqnn":
        del settings["schedule"]
    settings.pop("observe_size", None)
    agent = make_agent(settings, SPACE, seed)
    env = CNNArchEnv(search_space=SPACE, invalid_action="raise")
    pending, networks = deque(), []
    for _ in range(60):
        while len(pending) >= lookahead:
            agent.learn(pending.popleft())
        episode = roll_out(env, agent)
        networks.append(tuple(episode.actions.tolist()))
        reward = np.random.default_rng(list(networks[-1])).random()
        pending.append(replace(episode, reward=float(reward)))
    return networks


OURS = [name for name in LABELS if not LABELS[name](60)["name"].startswith(SB3_PREFIX)]


@pytest.mark.parametrize("lookahead", [1, 8])
@pytest.mark.parametrize("label", OURS)
def test_agents_play_legally_and_repeat_by_their_seed(label, lookahead):
    networks = play(label, 0, lookahead)
    assert networks == play(label, 0, lookahead)
    assert networks != play(label, 1, lookahead)


def test_every_agent_has_a_label_of_its_name():
    assert set(AGENTS) <= set(LABELS)
    assert all(LABELS[name](60)["name"] == name for name in AGENTS)


def test_the_paper_s_agent_stays_the_paper_s():
    agent = make_agent(benchmark_settings("metaqnn-paper", 2700), SPACE, 0)
    assert (agent.alpha, agent.gamma, agent.trace_decay, agent.replay) == (0.01, 1.0, 0.0, 100)
    assert agent.q_values(np.zeros(8)).tolist() == [0.5] * len(SPACE.actions)
    assert agent.schedule.phases[0] == (1.0, 1500)
    assert agent.schedule.total == 2700


def test_a_name_that_no_agent_has_is_called_so_whatever_the_reward():
    for vector in (False, True):
        with pytest.raises(InvalidInput, match="No agent 'nobody'"):
            find_agent("nobody", vector=vector)
    with pytest.raises(InvalidInput, match="does not learn from several objectives"):
        find_agent("metaqnn", vector=True)
