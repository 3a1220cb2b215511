"""Every algorithm of Stable-Baselines3 for discrete actions, with settings that it takes."""

import gymnasium as gym
import pytest

import gym_cnnarch  # noqa: F401  registers the ids
from agents import sb3

pytest.importorskip("sb3_contrib")

DISCRETE = ["A2C", "ARS", "DQN", "MaskablePPO", "PPO", "QRDQN", "RecurrentPPO", "TRPO"]


class Spent(Exception):
    """The environment has no steps left."""


class Limited(gym.Wrapper):
    """Ends a training after some steps."""

    left = 300

    def step(self, action):
        if self.left == 0:
            raise Spent
        self.left -= 1
        return self.env.step(action)

    def action_masks(self):
        return self.env.unwrapped.action_masks()


@pytest.mark.parametrize("name", DISCRETE)
def test_an_algorithm_trains_until_the_environment_ends_it(name):
    env = Limited(gym.make("CNNArch-CIFAR10Table-v0"))
    model = sb3.make_model(name, env, seed=0, settings={})
    assert getattr(model, "gamma", 1.0) == 1.0
    with pytest.raises(Spent):
        sb3.train(model, 1_000)


def test_settings_go_over_the_usual_ones_and_wrong_ones_are_one_sentence():
    env = gym.make("CNNArch-CIFAR10Table-v0")
    model = sb3.make_model("ARS", env, seed=0, settings={"policy": "LinearPolicy", "n_delta": 3})
    assert model.n_delta == 3
    with pytest.raises(ValueError, match=r"ARS cannot be used here: .*'gamma'"):
        sb3.make_model("ARS", env, seed=0, settings={"gamma": 0.9})
    with pytest.raises(ValueError, match="SAC cannot be used here: "):
        sb3.make_model("SAC", env, seed=0, settings={})
