"""One episode of an agent in an environment."""

import gymnasium as gym
import pytest

import gym_cnnarch  # noqa: F401  registers the ids
from agents import MetaQNN, RandomWalk, roll_out


@pytest.mark.parametrize("observation", ["multidiscrete", "onehot"])
def test_tabular_agents_learn_from_arrays(observation):
    env = gym.make("CNNArch-CIFAR10Table-v0", observation=observation)
    agent = MetaQNN(int(env.action_space.n), seed=0)
    for _ in range(5):
        episode = roll_out(env, agent)
        agent.learn(episode)
        assert len(episode.observations) == len(episode.actions) + 1
        assert episode.reward > 0


def test_other_observations_are_refused_with_what_to_do():
    env = gym.make("CNNArch-CIFAR10Table-v0", observation="dict")
    with pytest.raises(ValueError, match="came as dict: make the environment with observation='mu"):
        roll_out(env, RandomWalk(int(env.action_space.n), seed=0))
