"""The tabular agent without the command line: from gym.make to the best network of 40.

Each network is trained for its reward: about a minute on one core.

    python examples/metaqnn_by_hand.py
"""

import argparse
import json

import gymnasium as gym

import gym_cnnarch  # noqa: F401  registers the ids
from agents import PAPER_SCHEDULE, MetaQNN, roll_out

parser = argparse.ArgumentParser()
parser.add_argument("--networks", type=int, default=40)
parser.add_argument("--recipe", type=json.loads, default="digits")
arguments = parser.parse_args()

env = gym.make("CNNArch-Digits-v0", recipe=arguments.recipe)
space = env.unwrapped.search_space

# The paper's schedule, shortened; a larger learning rate, since there are fewer networks.
agent = MetaQNN(
    env.action_space.n, seed=0, alpha=0.1, schedule=PAPER_SCHEDULE.scaled(arguments.networks)
)
rewards: dict[tuple[int, ...], float] = {}
while len(rewards) < arguments.networks:
    epsilon = agent.epsilon
    episode = roll_out(env, agent)
    agent.learn(episode)
    actions = tuple(episode.actions.tolist())
    if actions not in rewards:
        layers = ", ".join(str(space.actions[action]) for action in actions)
        print(f"epsilon {epsilon:.1f}   accuracy {episode.reward:.1%}   [{layers}]")
    rewards[actions] = episode.reward
best = max(rewards, key=rewards.__getitem__)
print(f"best: {rewards[best]:.1%} of", ", ".join(str(space.actions[action]) for action in best))
