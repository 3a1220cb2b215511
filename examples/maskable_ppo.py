"""MaskablePPO of sb3-contrib, which never takes an illegal action: half a minute.

Rewards are looked up in a table of trained networks. Needs pip install 'gym-cnnarch[rl]'.

    python examples/maskable_ppo.py
"""

import argparse

import gymnasium as gym
from sb3_contrib import MaskablePPO

import gym_cnnarch  # noqa: F401  registers the ids

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=10_000)
arguments = parser.parse_args()

env = gym.make("CNNArch-CIFAR10Table-v0")
table = env.unwrapped.evaluator
model = MaskablePPO("MlpPolicy", env, n_steps=128, gamma=1.0, ent_coef=0.1, seed=0, device="cpu")
model.learn(arguments.steps)

observation, info = env.reset(seed=0)
terminated = False
while not terminated:
    masks = env.unwrapped.action_masks()
    action, _ = model.predict(observation, action_masks=masks, deterministic=True)
    observation, reward, terminated, _, info = env.step(action)
best = table.optimum("validation")
print(f"the policy's network: {reward:.1%} {info['architecture']}")
print(f"the best of all:      {best.validation:.1%} {best.architecture}")
