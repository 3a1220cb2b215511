"""Stable-Baselines3's agents learn on the environment as it is."""

import gymnasium as gym
import pytest

import gym_cnnarch  # noqa: F401  registers the ids

SMALL = {"n_steps": 250, "batch_size": 125, "n_epochs": 1, "device": "cpu", "seed": 0}


def make() -> gym.Env:
    return gym.make("CNNArch-Digits-v0", evaluator=None)


def test_a_stock_ppo_learns_for_1000_steps():
    sb3 = pytest.importorskip("stable_baselines3")
    model = sb3.PPO("MlpPolicy", make(), **SMALL)
    model.learn(1_000)
    assert model.num_timesteps == 1_000
    lengths = [episode["l"] for episode in model.ep_info_buffer]
    assert len(lengths) > 50
    assert max(lengths) <= 5  # at most 4 layers and a terminator


def test_a_maskable_ppo_never_takes_an_illegal_action():
    contrib = pytest.importorskip("sb3_contrib")
    callbacks = pytest.importorskip("stable_baselines3.common.callbacks")
    infos = []

    class Collect(callbacks.BaseCallback):
        def _on_step(self) -> bool:
            infos.extend(self.locals["infos"])
            return True

    contrib.MaskablePPO("MlpPolicy", make(), **SMALL).learn(500, callback=Collect())
    assert len(infos) == 500
    assert sum("architecture" in info for info in infos) > 50
    assert not any("invalid_action" in info for info in infos)
