"""Agents that step the environment themselves: the store makes them continue exactly."""

import gymnasium as gym
import pytest

from train_eval.records.store import Store

stable_baselines3 = pytest.importorskip("stable_baselines3")

RECIPE = {"preset": "digits", "epochs": 1, "train_size": 200}


class Recording(gym.Wrapper):
    """Notes every reward; stops like a kill after some steps."""

    def __init__(self, env, stop_after=None):
        super().__init__(env)
        self.rewards, self.stop_after = [], stop_after

    def step(self, action):
        if self.stop_after == len(self.rewards):
            raise KeyboardInterrupt
        result = self.env.step(action)
        self.rewards.append(result[1])
        return result


def learn(store, stop_after=None):
    env = Recording(gym.make("CNNArch-Digits-v0", recipe=RECIPE, store=str(store)), stop_after)
    model = stable_baselines3.PPO("MlpPolicy", env, n_steps=64, batch_size=64, seed=0, device="cpu")
    try:
        model.learn(192)
    except KeyboardInterrupt:
        assert stop_after is not None
    return env.rewards


def test_an_interrupted_sb3_agent_continues_exactly_on_its_store(tmp_path):
    whole = learn(tmp_path / "whole.sqlite")
    stopped = learn(tmp_path / "stopped.sqlite", stop_after=100)
    again = learn(tmp_path / "stopped.sqlite")
    assert len(whole) == 192
    assert stopped == whole[:100]
    assert again == whole


def test_subprocess_environments_share_a_store(tmp_path):
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import SubprocVecEnv

    path = tmp_path / "store.sqlite"
    envs = make_vec_env(
        "gym_cnnarch:CNNArch-Digits-v0",
        n_envs=2,
        seed=0,
        env_kwargs={"recipe": RECIPE, "store": str(path)},
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "spawn"},
    )
    found = {}
    envs.reset()
    for _ in range(40):
        _, rewards, dones, infos = envs.step([10, envs.action_space.sample()])
        for reward, done, info in zip(rewards, dones, infos, strict=True):
            if done and "architecture" in info:
                found.setdefault(info["architecture"], set()).add(round(float(reward), 6))
    envs.close()
    assert len(found) > 1
    assert all(len(rewards) == 1 for rewards in found.values())
    with Store(path)._db as db:
        kept = {text for (text,) in db.execute("SELECT architecture FROM evaluations")}
    assert kept == set(found)
