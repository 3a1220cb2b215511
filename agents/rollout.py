"""One episode of an agent in an environment."""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from agents import Agent, Episode


@dataclass(frozen=True)
class Rollout:
    """A finished episode of T steps.

    Attributes:
        observations: T + 1, the terminal one last.
        actions: T.
        action_masks: T, the legal actions at each step.
        reward: That of the last step.
        info: The last step's.
    """

    observations: list[np.ndarray]
    actions: list[int]
    action_masks: list[np.ndarray]
    reward: float
    info: dict[str, Any]

    def episode(self, reward: float) -> Episode:
        """What the agent learns from, with a reward that may have come later."""
        return Episode(
            np.array(self.observations), np.array(self.actions), np.array(self.action_masks), reward
        )


def roll_out(env: gym.Env[Any, Any], agent: Agent) -> Rollout:
    """Lets the agent act until the episode ends; it learns nothing yet."""
    observation, info = env.reset()
    observations, actions, masks = [observation], [], []
    reward, terminated = 0.0, False
    while not terminated:
        mask = info["action_mask"].astype(bool)
        action = int(agent.act(observation, mask))
        observation, given, terminated, _, info = env.step(action)
        reward = float(given)
        observations.append(observation)
        actions.append(action)
        masks.append(mask)
    return Rollout(observations, actions, masks, reward, info)
