"""What an agent is told of a run that is over."""

from dataclasses import dataclass

import numpy as np
import pytest

from agents import RandomWalk
from agents.rollout import roll_out
from gym_cnnarch.env import CNNArchEnv
from train_eval.search.offline import learn_offline


@dataclass
class Played:
    actions: tuple[int, ...]
    reward: float


class Listening(RandomWalk):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.told = []

    def learn(self, episode):
        self.told.append(episode)


@pytest.mark.parametrize("observe_size", ["bin", "exact"])
@pytest.mark.parametrize("limits", [{}, {"max_parameters": 2_000, "max_macs": 60_000}])
def test_it_is_the_episodes_as_they_were_played(limits, observe_size):
    """With limits the legal actions of one state differ with what was spent before."""
    env = CNNArchEnv({"preset": "digits", **limits}, dataset="digits", observe_size=observe_size)
    space = env.search_space
    agent = Listening(len(space.actions), 0)
    episodes = [roll_out(env, agent) for _ in range(200)]
    played = [Played(tuple(e.actions.tolist()), e.reward) for e in episodes]
    learn_offline(agent, played, space, observe_size)
    for told, episode in zip(agent.told, episodes, strict=True):
        assert np.array_equal(told.observations, episode.observations)
        assert np.array_equal(told.actions, episode.actions)
        assert np.array_equal(told.action_masks, episode.action_masks)
        assert told.reward == episode.reward
    masks = {}
    for e in episodes:
        for observation, mask in zip(e.observations[:-1], e.action_masks, strict=True):
            masks.setdefault(observation.tobytes(), set()).add(mask.tobytes())
    assert (max(map(len, masks.values())) > 1) == bool(limits)
