"""Agents that choose whole action sequences."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare, ks_2samp

from agents import Episode, RandomWalk, RegularizedEvolution, Uniform
from agents.neighbours import neighbours
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.mdp import ActionSequences
from tests.helpers.made_up_tables import SPACE

ACTIONS = len(SPACE.actions)
SEQUENCES = ActionSequences(SPACE)


def play(agent, env):
    """One episode: its actions and what the agent may learn from it, but for the reward."""
    observation, info = env.reset()
    observations, actions, masks = [observation], [], []
    terminated = False
    while not terminated:
        masks.append(info["action_mask"].astype(bool))
        actions.append(agent.act(observation, masks[-1]))
        observation, _, terminated, _, info = env.step(actions[-1])
        observations.append(observation)
    assert "architecture" in info
    return tuple(actions), lambda reward: Episode(observations, actions, masks, reward)


@pytest.fixture
def env():
    return CNNArchEnv(search_space=SPACE, invalid_action="raise")


def test_sequences_are_complete_exactly_when_the_environment_says_so(env):
    rng = np.random.default_rng(0)
    complete = 0
    for _ in range(2000):
        actions = rng.integers(ACTIONS, size=rng.integers(1, 5)).tolist()
        env.reset()
        expected = False
        for number, action in enumerate(actions, start=1):
            if not env.action_masks()[action]:
                break
            if env.step(action)[2]:
                expected = number == len(actions)
                break
        assert SEQUENCES.is_complete(actions) == expected
        complete += expected
    assert complete > 100
    assert not SEQUENCES.is_complete([])


def test_uniform_draws_every_network_equally_often(env):
    agent = Uniform(ACTIONS, seed=0, sequences=SEQUENCES)
    drawn = Counter(play(agent, env)[0] for _ in range(100 * SPACE.count()))
    assert len(drawn) == SPACE.count()
    assert chisquare(list(drawn.values())).pvalue > 0.001


def test_evolution_breeds_from_the_best_of_the_youngest(env, monkeypatch):
    agent = RegularizedEvolution(ACTIONS, 0, sequences=SEQUENCES, population=3, tournament=50)
    for reward in (0.9, 0.1, 0.2):
        _, episode = play(agent, env)
        agent.learn(episode(reward))
    oldest = agent._members[0][0]
    parents = []
    monkeypatch.setattr(
        "agents.evolution.mutate", lambda parent, *rest: parents.append(parent) or parent
    )
    _, episode = play(agent, env)
    assert parents == [oldest]  # the best, for a tournament of all
    agent.learn(episode(0.15))  # the oldest dies, however good it is
    assert [reward for _, reward in agent._members] == [0.1, 0.2, 0.15]
    play(agent, env)
    assert parents[1] == agent._members[1][0]


def test_evolution_starts_uniformly_or_as_the_random_walk(env):
    lengths = {}
    for start in ("uniform", "random_walk"):
        agent = RegularizedEvolution(ACTIONS, 0, sequences=SEQUENCES, population=400, start=start)
        walk = RandomWalk(ACTIONS, 1)
        lengths[start] = [len(play(agent, env)[0]) for _ in range(400)]
    lengths["walk"] = [len(play(walk, env)[0]) for _ in range(400)]
    assert ks_2samp(lengths["random_walk"], lengths["walk"]).pvalue > 0.001
    assert np.mean(lengths["uniform"]) > np.mean(lengths["walk"]) + 0.3
    _, episode = play(agent, env)
    agent.learn(episode(0.5))
    parent = agent._members[0][0]
    child, _ = play(agent, env)
    assert child in neighbours(parent, ACTIONS, SEQUENCES)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="start must be uniform or random_walk, but is 'none'"):
        RegularizedEvolution(ACTIONS, sequences=SEQUENCES, start="none")
    with pytest.raises(ValueError, match="at least 1"):
        RegularizedEvolution(ACTIONS, sequences=SEQUENCES, population=0)
