"""Table 1 of the paper, written once more, against the compiled MDP and the environment.

A node of this file's own state machine is ``(last, depth, n, k)``: the last action as a tuple, the
number of layers, the true representation size (None where there is none), consecutive FC layers.
"""

from collections import Counter
from functools import cache

import gymnasium as gym
import numpy as np
import pytest

from gym_cnnarch import SearchSpace
from gym_cnnarch.mdp import START, compile_mdp

FILTERS, FIELDS, NEURONS = [64, 128, 256, 512], [1, 3, 5], [512, 256, 128]
POOLS = [(5, 3), (3, 2), (2, 2)]
ACTIONS = [
    *(("conv", d, f) for d in FILTERS for f in FIELDS),
    *(("pool", f, s) for f, s in POOLS),
    *(("fc", d) for d in NEURONS),
    ("gap",),
    ("sm",),
]
TYPES = ["start", "conv", "pool", "fc", "gap", "sm"]

every_space = pytest.mark.parametrize(("max_layers", "side"), [(12, 32), (18, 32), (12, 28)])
every_size = pytest.mark.parametrize("observe_size", ["bin", "exact"])


def is_legal(node, action, max_layers):
    (here, *limits), depth, n, k = node
    to = action[0]
    if here in ("gap", "sm"):
        return False
    if to == "sm":
        return True
    if to == "gap":
        return here != "fc"
    if depth == max_layers:
        return False
    if here == "fc":
        return to == "fc" and k < 2 and action[1] <= limits[0]
    if to == "fc":
        return n <= 7
    if to == "conv":
        return action[2] <= n
    return here == "conv" and action[1] <= n


def follow(node, action):
    _, depth, n, k = node
    if action[0] == "conv":
        return action, depth + 1, n, 0
    if action[0] == "pool":
        window, stride = action[1:]
        return action, depth + 1, len(range(0, n - window + 1, stride)), 0
    return action, depth + 1, None, k + 1 if action[0] == "fc" else 0


def observe(node, observe_size):
    (kind, *limits), depth, n, k = node
    filters = field = pool = neurons = 0
    if kind == "conv":
        filters, field = 1 + FILTERS.index(limits[0]), 1 + FIELDS.index(limits[1])
    if kind == "pool":
        pool = 1 + POOLS.index(tuple(limits))
    if kind == "fc":
        neurons = 1 + NEURONS.index(limits[0])
    if kind in ("gap", "sm"):
        size = 0
    elif observe_size == "exact":
        size = n or 0
    else:
        size = 3 if n is None or n <= 3 else 2 if n <= 7 else 1
    return [TYPES.index(kind), depth, filters, field, pool, neurons, size, k]


def start(side):
    return ("start",), 0, side, 0


@every_space
@every_size
def test_the_compiled_mdp_is_table_1_in_every_reachable_state(max_layers, side, observe_size):
    space = SearchSpace(input_shape=(3, side, side), max_layers=max_layers)
    mdp = compile_mdp(space, observe_size)
    pairs = {start(side): START}  # this file's node -> the MDP's state, grown breadth first
    frontier = [start(side)]
    for node in frontier:
        state = pairs[node]
        assert mdp.observations[state].tolist() == observe(node, observe_size)
        legal = [is_legal(node, action, max_layers) for action in ACTIONS]
        assert (mdp.next_state[state] >= 0).tolist() == legal
        assert bool(mdp.terminal[state]) == (node[0][0] in ("gap", "sm"))
        if not mdp.terminal[state]:
            assert mdp.legal[state].tolist() == legal
        for action in np.flatnonzero(legal):
            after, next_state = follow(node, ACTIONS[action]), int(mdp.next_state[state, action])
            if after not in pairs:
                frontier.append(after)
            assert pairs.setdefault(after, next_state) == next_state
    assert sorted(pairs.values()) == list(range(len(mdp.terminal)))
    assert (mdp.observations.max(axis=0) + 1).tolist() == mdp.nvec.tolist()


@every_space
def test_at_least_one_action_is_legal_everywhere(max_layers, side):
    space = SearchSpace(input_shape=(3, side, side), max_layers=max_layers)
    assert compile_mdp(space).legal.any(axis=1).all()


def test_tables_that_environments_share_cannot_be_changed():
    mdp = compile_mdp(SearchSpace())
    assert compile_mdp(SearchSpace()) is mdp
    for table in (mdp.observations, mdp.nvec, mdp.legal, mdp.next_state, mdp.terminal):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


@pytest.mark.parametrize(
    ("max_layers", "architectures"), [(12, 126209903956514), (18, 738777451796125995554)]
)
def test_the_paths_through_table_1_are_as_many_as_the_architectures(max_layers, architectures):
    @cache
    def paths(node):
        legal = [action for action in ACTIONS if is_legal(node, action, max_layers)]
        return sum(paths(follow(node, action)) for action in legal) if legal else 1

    assert paths(start(32)) == architectures
    assert SearchSpace(max_layers=max_layers).count() == architectures


@every_size
@pytest.mark.parametrize(
    ("env_id", "max_layers"), [("CNNArch-SVHN-v0", 12), ("CNNArch-CIFAR10-v0", 18)]
)
def test_the_environment_walks_in_step_with_table_1(env_id, max_layers, observe_size):
    env = gym.make(env_id, evaluator=None, observe_size=observe_size)
    env.action_space.seed(0)
    kinds = Counter()
    for _ in range(300):
        node = start(32)
        observation, info = env.reset()
        terminated = False
        while not terminated:
            assert observation.tolist() == observe(node, observe_size)
            legal = [is_legal(node, action, max_layers) for action in ACTIONS]
            assert info["action_mask"].astype(bool).tolist() == legal
            action = env.action_space.sample(mask=info["action_mask"])
            node = follow(node, ACTIONS[action])
            observation, _, terminated, truncated, info = env.step(action)
            assert terminated == (node[0][0] in ("gap", "sm"))
            assert not truncated
            kinds[node[0][0]] += 1
        assert observation.tolist() == observe(node, observe_size)
    assert min(kinds[kind] for kind in TYPES[1:]) > 0
