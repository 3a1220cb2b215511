"""Agents that look for the whole front."""

import numpy as np
import pytest

from agents import NSGA2, Episode, ParetoQ
from agents.neighbours import neighbours
from agents.pareto import front
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.mdp import ActionSequences
from tests.agents.test_uniform_and_evolution import play
from tests.helpers.made_up_tables import SPACE

ACTIONS = len(SPACE.actions)
SEQUENCES = ActionSequences(SPACE)


@pytest.fixture
def env():
    return CNNArchEnv(search_space=SPACE, invalid_action="raise")


def test_nsga2_never_loses_a_front_that_its_population_holds(env):
    agent, rng = NSGA2(ACTIONS, 0, sequences=SEQUENCES, population=30), np.random.default_rng(0)
    learned = {}
    for _ in range(120):
        actions, episode = play(agent, env)
        known = actions in {network for network, _ in agent._members}
        reward = learned.setdefault(actions, tuple(rng.integers(0, 5, 2).astype(float)))
        agent.learn(episode(reward))
        networks = [network for network, _ in agent._members]
        assert len(networks) == len(set(networks)) <= 30
        assert known or len(networks) == min(len(learned), 30) or actions not in networks
        points = np.array(list(learned.values()))
        held = {tuple(reward) for _, reward in agent._members}
        assert {tuple(points[i]) for i in front(points)} <= held


def test_nsga2_breeds_from_the_better_of_two_members(env):
    agent = NSGA2(ACTIONS, 0, sequences=SEQUENCES, population=2)
    episodes = {}
    while len(episodes) < 2:
        actions, episode = play(agent, env)
        episodes[actions] = episode
    (first, better), (second, worse) = episodes.items()
    agent.learn(worse((0.1, 0.1)))
    agent.learn(better((0.2, 0.2)))
    assert [network for network, _ in agent._members] == [first, second]
    children = [play(agent, env)[0] for _ in range(40)]
    near = [neighbours(parent, ACTIONS, SEQUENCES) for parent in (first, second)]
    assert all(child in near[0] or child in near[1] for child in children)
    assert sum(child in near[0] for child in children) > 20  # expected of three quarters


def test_a_pareto_q_value_is_the_front_of_the_returns_of_its_networks(env):
    agent, rng = ParetoQ(ACTIONS, 0), np.random.default_rng(0)
    returns = {}
    for _ in range(100):
        actions, episode = play(agent, env)
        reward = rng.random(2)
        learned: Episode = episode(reward)
        agent.learn(learned)
        for observation, action in zip(learned.observations[:-1], actions, strict=True):
            key = observation.tobytes(), action
            returns.setdefault(key, (observation, []))[1].append(reward)
    for (_, action), (observation, rewards) in returns.items():
        known = np.array(rewards)
        expected = sorted(map(tuple, known[front(known)]))
        assert sorted(map(tuple, agent.q_front(observation, action))) == expected


def test_greedy_pareto_q_takes_both_ends_of_a_front_and_the_middle_between(env):
    agent = ParetoQ(ACTIONS, 0, epsilon=0.0)
    wanted = {0: (1.0, 0.0), 1: (0.0, 1.0), 2: (0.8, 0.8), 3: (0.3, 0.3)}
    observation, info = env.reset()
    legal = np.flatnonzero(info["action_mask"])[:4].tolist()
    for number, reward in wanted.items():
        actions = [legal[number], ACTIONS - 1]
        met = [observation, observation + 1, observation + 2]
        agent.learn(Episode(met, actions, [info["action_mask"]] * 2, reward))
    chosen = [agent.act(observation, info["action_mask"]) for _ in range(300)]
    assert {legal.index(action) for action in chosen} == {0, 1, 2}


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="population must be at least 2, but is 1"):
        NSGA2(ACTIONS, sequences=SEQUENCES, population=1)
    with pytest.raises(ValueError, match="epsilon must be in"):
        ParetoQ(ACTIONS, epsilon=1.5)
