"""Learning from a run that is over: the recorded episodes, replayed to an agent in their order."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from agents import Agent, Episode
from gym_cnnarch import SearchSpace
from gym_cnnarch.mdp import ObserveSize, compile_mdp
from gym_cnnarch.rewards.reward import Reward


class Played(Protocol):
    """A recorded episode."""

    @property
    def actions(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def reward(self) -> Reward: ...  # noqa: D102


def learn_offline(
    agent: Agent,
    episodes: Sequence[Played],
    space: SearchSpace,
    observe_size: ObserveSize = "bin",
) -> None:
    """Tells the agent each recorded episode, as it was told the agent of the run."""
    mdp = compile_mdp(space, observe_size)
    for record in episodes:
        states, masks = mdp.walk(record.actions)
        agent.learn(
            Episode(mdp.observations[states], np.array(record.actions), masks, record.reward)
        )
