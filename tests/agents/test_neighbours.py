"""Networks that differ by one layer, against every network of a small space."""

from collections import Counter

import numpy as np
import pytest

from agents import Episode, LocalSearch
from agents.neighbours import mutate, neighbours
from gym_cnnarch.mdp import ActionSequences
from tests.helpers.made_up_tables import SPACE

ACTIONS = len(SPACE.actions)
SEQUENCES = ActionSequences(SPACE)
EVERY = [
    tuple(SPACE.actions.index(layer) for layer in SPACE.unrank(rank).layers)
    for rank in range(SPACE.count())
]
PARENTS = EVERY[:: len(EVERY) // 5]


def one_edit(child, parent):
    if len(child) == len(parent):
        return sum(a != b for a, b in zip(child, parent, strict=True)) == 1
    longer, shorter = sorted((child, parent), key=len, reverse=True)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


@pytest.mark.parametrize("parent", PARENTS)
def test_neighbours_are_the_networks_one_edit_away(parent):
    around = neighbours(parent, ACTIONS, SEQUENCES)
    assert Counter(around) == Counter(child for child in EVERY if one_edit(child, parent))
    for child in around:
        assert parent in neighbours(child, ACTIONS, SEQUENCES)


def test_mutations_reach_every_neighbour_and_nothing_else():
    parent = (0, ACTIONS - 1)
    rng = np.random.default_rng(0)
    reached = {mutate(parent, ACTIONS, SEQUENCES, rng) for _ in range(3000)}
    assert reached == set(neighbours(parent, ACTIONS, SEQUENCES))


def propose(agent):
    """The agent's next network."""
    actions = []
    while not SEQUENCES.is_complete(actions):
        actions.append(agent.act(np.zeros(1), np.ones(ACTIONS)))
    return tuple(actions)


def learn(agent, network, reward):
    steps = len(network)
    agent.learn(Episode(np.zeros((steps + 1, 1)), network, np.ones((steps, ACTIONS)), reward))


def test_local_search_climbs_to_a_local_optimum_then_starts_anew():
    rewards = dict(zip(EVERY, np.random.default_rng(0).random(len(EVERY)), strict=True))
    agent = LocalSearch(ACTIONS, seed=1, sequences=SEQUENCES, initial=2)
    drawn = [propose(agent) for _ in range(2)]  # before either result is known
    for network in drawn:
        learn(agent, network, rewards[network])
    present = max(drawn, key=rewards.__getitem__)
    met = set(drawn)
    while around := set(neighbours(present, ACTIONS, SEQUENCES)) - met:
        network = propose(agent)
        assert network in around  # a neighbour of the present network, and a new one
        met.add(network)
        learn(agent, network, rewards[network])
        present = max(present, network, key=rewards.__getitem__)  # the first better one
    best = max(neighbours(present, ACTIONS, SEQUENCES), key=rewards.__getitem__)
    assert rewards[present] > rewards[best]
    starts = {propose(LocalSearch(ACTIONS, s, sequences=SEQUENCES, initial=1)) for s in range(300)}
    assert len(starts) > len(EVERY) / 2  # from anywhere
    learn(agent, first := propose(agent), rewards[first])
    learn(agent, second := propose(agent), rewards[second])
    third = propose(agent)
    assert one_edit(third, max(first, second, key=rewards.__getitem__))


def test_local_search_needs_a_start():
    with pytest.raises(ValueError, match="initial must be at least 1, but is 0"):
        LocalSearch(ACTIONS, sequences=SEQUENCES, initial=0)


def test_local_search_begins_with_the_best_of_the_networks_that_it_is_given():
    worse, better = EVERY[3], EVERY[-3]
    agent = LocalSearch(ACTIONS, seed=1, sequences=SEQUENCES, networks=(worse, better))
    assert [propose(agent), propose(agent)] == [worse, better]
    learn(agent, worse, 0.4)
    learn(agent, better, 0.5)
    assert propose(agent) in neighbours(better, ACTIONS, SEQUENCES)
    with pytest.raises(ValueError, match="not all of the space"):
        LocalSearch(ACTIONS, sequences=SEQUENCES, networks=((0,),))


@pytest.mark.parametrize("lag", [1, 4, 16])
def test_local_search_begins_with_its_networks_and_climbs_from_them_however_late_results_are(lag):
    best = max(EVERY, key=lambda network: len(neighbours(network, ACTIONS, SEQUENCES)))
    around = neighbours(best, ACTIONS, SEQUENCES)
    agent = LocalSearch(ACTIONS, seed=1, sequences=SEQUENCES, networks=(best,))
    met = []
    while set(met) != {best, *around}:
        network = propose(agent)
        assert network == best or network in around
        met.append(network)
        if len(met) >= lag:
            late = met[len(met) - lag]
            learn(agent, late, float(late == best))
    assert met[0] == best
    assert len(met) < len(around) + 3 * lag  # hardly a network twice


@pytest.mark.parametrize("lag", [1, 4, 16])
def test_local_search_waits_for_all_that_it_drew_for_a_start_however_late_results_are(lag):
    drawn = []

    class Noted(ActionSequences):
        def sample(self, rng):
            drawn.append(super().sample(rng))
            return drawn[-1]

    rewards = dict(zip(EVERY, np.random.default_rng(0).random(len(EVERY)), strict=True))
    agent = LocalSearch(ACTIONS, seed=1, sequences=Noted(SPACE), initial=3)
    met, starts, groups = [], [0], [drawn[:3]]
    for number in range(300):
        begun = len(drawn)
        met.append(propose(agent))
        if len(drawn) == begun + 3:
            starts.append(number)
            groups.append(drawn[-3:])
        if number + 1 >= lag:
            late = met[number + 1 - lag]
            learn(agent, late, rewards[late])
    for start, group in zip(starts[:-1], groups[:-1], strict=True):
        assert met[start : start + 3] == group
    assert len(starts) > 3
    assert min(np.diff(starts)) >= 3 + lag - 1  # the last of a start is learned before the next
    if lag > 3:
        best = max(met[:3], key=rewards.__getitem__)
        assert met[lag + 2] in neighbours(best, ACTIONS, SEQUENCES)


def test_local_search_goes_on_after_episodes_of_a_recorded_run():
    """What it is told, without having begun it, neither ends its start nor is met again."""
    agent = LocalSearch(ACTIONS, seed=1, sequences=SEQUENCES, networks=tuple(EVERY[:4]))
    for network in (EVERY[0], EVERY[30], EVERY[31]):
        learn(agent, network, 0.1)
    met = [propose(agent) for _ in range(3)]
    assert met == EVERY[1:4]
