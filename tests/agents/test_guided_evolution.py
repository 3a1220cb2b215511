"""Evolution whose mutations are Thompson draws."""

from collections import Counter

import numpy as np
import pytest

from agents import Episode, GuidedEvolution
from agents.neighbours import neighbours

A, END = 5, 0
ALL = np.ones(A, bool)
TAUGHT = [(a, b, END) for a in (1, 2) for b in range(1, A)] + [(1, 1, 1, END), (3, END)]
BEST = TAUGHT[-3:]  # the cube root of ten, rounded up


class Toy:
    """Any actions, then the end."""

    @staticmethod
    def is_complete(actions):
        return len(actions) > 1 and actions[-1] == END and END not in actions[:-1]


def episode(actions, reward) -> Episode:
    states = np.stack([np.arange(len(actions) + 1), [0, *actions]], axis=1)
    return Episode(states, actions, np.ones((len(actions), A), bool), reward)


def taught(seed, **settings) -> GuidedEvolution:
    """An agent that has seen ten networks, of which the last are the best."""
    agent = GuidedEvolution(A, seed, levels=(), **settings)
    for number, actions in enumerate(TAUGHT):
        play(agent)
        agent.learn(episode(actions, number / 10))
    return agent


def play(agent) -> tuple[int, ...]:
    """A network of the agent, of at most 30 layers."""
    actions = [0]
    while actions[-1] != END or len(actions) == 1:
        mask = ALL.copy()
        mask[END] = len(actions) > 1  # a network has a layer
        if len(actions) == 30:
            mask[:] = np.arange(A) == END
        actions.append(agent.act(np.array([len(actions) - 1, actions[-1]]), mask))
    return tuple(actions[1:])


def is_edited(network, parent) -> bool:
    """Whether it follows from one edit; draws follow where the end was edited."""
    ended_early = network[:-1] == parent[: len(network) - 1]
    end_edited = network[: len(parent) - 1] == parent[:-1]
    return network in neighbours(parent, A, Toy) or ended_early or end_edited


def is_near(network) -> bool:
    """Whether it is one of the best with one layer edited, and nothing else."""
    return any(network in neighbours(parent, A, Toy) for parent in BEST)


def test_a_network_is_one_of_the_best_with_one_layer_edited():
    networks = [play(taught(seed, edited=1.0)) for seed in range(300)]
    assert all(any(is_edited(network, parent) for parent in BEST) for network in networks)
    exact = [p for network in networks for p in BEST if network in neighbours(p, A, Toy)]
    assert len(set(exact)) == len(BEST)
    lengths = Counter(len(n) for n in networks if n[:2] == (1, 1))
    assert min(lengths[3], lengths[4], lengths[5]) > 10  # removed, changed, inserted


def test_the_first_networks_and_some_later_ones_have_no_parent():
    assert len({play(GuidedEvolution(A, seed, levels=())) for seed in range(50)}) > 30
    near = [
        sum(is_near(play(taught(seed, edited=share))) for seed in range(200)) for share in (1, 0)
    ]
    assert near[0] > 2 * near[1]


def test_layers_that_are_no_longer_legal_are_drawn_anew():
    agent = taught(0, edited=1.0)
    mask = np.array([False, False, False, False, True])
    for kind in (bool, np.int8):  # Gymnasium's masks are of the latter
        assert [agent.act(np.array([i, 0]), mask.astype(kind)) for i in range(4)] == [4] * 4


def test_an_episode_that_is_not_learned_leaves_no_plan_behind():
    agent = taught(0, edited=1.0)
    begun = [agent.act(np.array([0, 0]), ALL) for _ in range(200)]
    assert {network[0] for network in BEST} <= set(begun)


def test_it_climbs():
    """The reward counts threes up to the sixth layer: of 500 random networks one has five."""
    agent, rewards = GuidedEvolution(A, 0, levels=()), []
    for _ in range(150):
        network = play(agent)
        rewards.append(network[:6].count(3) / 6)
        agent.learn(episode(network, rewards[-1]))
    assert max(rewards) == 1


@pytest.mark.parametrize("edited", [-0.1, 1.1])
def test_a_share_is_a_share(edited):
    with pytest.raises(ValueError, match="edited must be in"):
        GuidedEvolution(A, edited=edited)
