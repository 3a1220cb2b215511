"""One episode of an agent in an environment."""

from typing import Any, Protocol

import numpy as np

from agents.base import Agent, Episode


class Environment(Protocol):
    """The part of a Gymnasium environment that an episode needs; infos have ``action_mask``."""

    def reset(self) -> tuple[Any, dict[str, Any]]:
        """Starts an episode: observation and info."""
        ...

    def step(self, action: Any, /) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Observation, reward, terminated, truncated and info after an action."""
        ...


def roll_out(env: Environment, agent: Agent) -> Episode:
    """Lets the agent act until the episode ends; ``agent.learn`` takes what is returned.

    Args:
        env: A Gymnasium environment whose infos hold ``action_mask``, (A,).
        agent: Chooses the actions; it learns nothing yet.

    Raises:
        ValueError: If observations are no arrays.
    """
    observation, info = env.reset()
    if not isinstance(observation, np.ndarray):
        raise ValueError(
            f"An episode's observations are arrays, but came as {type(observation).__name__}: make "
            f"the environment with observation='multidiscrete', the default."
        )
    observations, actions, masks = [observation], [], []
    reward: Any = 0.0
    ended = False
    while not ended:
        mask = info["action_mask"].astype(bool)
        action = int(agent.act(observation, mask))
        observation, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        observations.append(observation)
        actions.append(action)
        masks.append(mask)
    reward = reward if np.ndim(reward) else float(reward)
    return Episode(np.array(observations), np.array(actions), np.array(masks), reward)
