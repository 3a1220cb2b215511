"""Limits on what networks cost, against the networks that keep them, found by trying all."""

import math
import pickle
import re
from collections import Counter
from dataclasses import asdict
from functools import cache

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from scipy.stats import chisquare

from agents.neighbours import mutate
from gym_cnnarch import InvalidInput, SearchSpace
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.mdp import ActionSequences, compile_mdp
from gym_cnnarch.registration import ENVIRONMENTS
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from gym_cnnarch.space.shapes import count_macs, count_parameters, layer_shapes
from gym_cnnarch.vector_env import CNNArchVectorEnv
from tests.gym_cnnarch.test_vector_env import actions_of, assert_equal
from tests.helpers.made_up_tables import SPACE, made_up_latencies, make_table

DIGITS = ("digits", (1, 8, 8), 10)
SMALL = ("small", (3, 16, 16), 10)
# Few channels make the classifier cheap, and convolutions dear: what is saved here is lost there,
# but for pooling, which makes both cheap.
TRADES = (
    ("conv_filters", (1, 3, 40)), ("conv_receptive_fields", (1, 3)), ("pools", ()),
    ("fc_neurons", (2, 30)), ("max_layers", 3), ("fc_max_size", 12),
), (4, 12, 12), 100  # fmt: skip

CASES = [
    (DIGITS, {"max_parameters": 20}),
    (DIGITS, {"max_parameters": 1_000}),
    (DIGITS, {"max_parameters": 12_345}),
    (DIGITS, {"max_macs": 2_000}),
    (DIGITS, {"max_macs": 100_000}),
    (DIGITS, {"max_parameters": 3_000, "max_macs": 60_000}),
    (DIGITS, {"max_parameters": 700, "max_macs": 700}),
    (DIGITS, {"max_parameters": 2**63 - 1, "max_macs": 2**63 - 1}),
    (SMALL, {"max_parameters": 2_000}),
    (SMALL, {"max_parameters": 5_000, "max_macs": 300_000}),
    (TRADES, {"max_parameters": 560, "max_macs": 4_000}),
    (TRADES, {"max_parameters": 1_000, "max_macs": 27_500}),
    (TRADES, {"max_parameters": 4_300, "max_macs": 30_000}),
    (DIGITS, {"max_latency": 0.15}),
    (DIGITS, {"max_parameters": 3_000, "max_latency": 0.2}),
    (SMALL, {"max_macs": 300_000, "max_latency": 0.123456}),
    (TRADES, {"max_parameters": 4_300, "max_macs": 30_000, "max_latency": 0.12}),
]
every_case = pytest.mark.parametrize(
    ("problem", "limits"),
    CASES,
    ids=[f"{'trades' if problem is TRADES else problem[0]}-{limits}" for problem, limits in CASES],
)


def make(problem, limits=None):
    spec, input_shape, num_classes = problem
    if "max_latency" in (limits or {}):
        limits = {**limits, "latencies": latencies(problem)}
    named = {"preset": spec} if isinstance(spec, str) else dict(spec)
    return SearchSpace.from_spec(
        {**named, **(limits or {})}, input_shape=input_shape, num_classes=num_classes
    )


@cache
def networks(problem):
    """Every network of a space without limits, in its order, with what it costs."""
    space = make(problem)
    every = [space.unrank(rank) for rank in range(space.count())]
    shape = space.input_shape
    return [(each, count_parameters(each, shape), count_macs(each, shape)) for each in every]


@cache
def latencies(problem):
    """Made-up ones, which have nothing to do with what else layers cost."""
    return made_up_latencies(make(problem))


@cache
def taken(problem):
    """Network -> nanoseconds, by hand: what the table holds for each layer and what it reads."""
    table, shape = latencies(problem).as_json()["nanoseconds"], make(problem).input_shape
    found = {}
    for network, *_ in networks(problem):
        each = zip(network.layers, (shape, *layer_shapes(network.layers, shape)), strict=False)
        found[network] = sum(table["x".join(map(str, s))][str(layer)] for layer, s in each)
    return found


def within(problem, limits):
    most = limits.get("max_parameters", math.inf), limits.get("max_macs", math.inf)
    every = networks(problem)
    fitting = [each for each, *cost in every if cost[0] <= most[0] and cost[1] <= most[1]]
    if "max_latency" not in limits:
        return fitting
    slowest = round(limits["max_latency"] * 1e6)
    return [each for each in fitting if taken(problem)[each] <= slowest]


@every_case
def test_the_space_is_exactly_the_networks_within_the_limits_in_the_same_order(problem, limits):
    space, expected = make(problem, limits), within(problem, limits)
    assert space.count() == len(expected)
    assert [space.unrank(rank) for rank in range(space.count())] == expected
    assert [space.rank(network) for network in expected] == list(range(space.count()))
    few = len(expected) // 2
    assert [space.counts_more_than(n) for n in (few, len(expected) - 1, len(expected))] == [
        True, True, False,
    ]  # fmt: skip
    assert (space.count_up_to(few), space.count_up_to(10**9)) == (few, len(expected))


@every_case
def test_validation_accepts_exactly_the_networks_within_the_limits(problem, limits):
    space, expected = make(problem, limits), set(within(problem, limits))
    for network, parameters, macs in networks(problem)[:: 1 + len(networks(problem)) // 700]:
        if network in expected:
            space.validate(network)
        else:
            beyond = [name for name, cost in (("max_parameters", parameters), ("max_macs", macs))
                      if cost > limits.get(name, math.inf)]  # fmt: skip
            slow = "max_latency" in limits and (
                taken(problem)[network] > limits["max_latency"] * 1e6
            )
            beyond += ["max_latency"] if slow else []
            with pytest.raises(InvalidInput, match="breaks a rule") as error:
                space.validate(network)
            assert any(f"{name} = {limits[name]:,}" in str(error.value) for name in beyond)


@every_case
def test_masks_are_that_some_completion_fits_in_every_reachable_prefix(problem, limits):
    """The compiled MDP, the rules, and both environments, one prefix after the other."""
    space = make(problem, limits)
    number_of = {layer: action for action, layer in enumerate(space.actions)}
    legal: dict[tuple[int, ...], set[int]] = {}
    for network in within(problem, limits):
        actions = tuple(number_of[layer] for layer in network.layers)
        for depth, action in enumerate(actions):
            legal.setdefault(actions[:depth], set()).add(action)
    mdp = compile_mdp(space)
    env = CNNArchEnv(space)
    for prefix, expected in legal.items():
        _, info = env.reset()
        state = space.start
        for action in prefix:
            *_, info = env.step(action)
            state = space.successor(state, space.actions[action])
        some = next(iter(expected))
        assert set(np.flatnonzero(mdp.walk([*prefix, some])[1][-1]).tolist()) == expected
        assert set(np.flatnonzero(info["action_mask"]).tolist()) == expected
        assert set(np.flatnonzero(env.action_masks()).tolist()) == expected
        allowed = {a for a, la in enumerate(space.actions) if space.broken_rule(state, la) is None}
        assert allowed == expected
    many = CNNArchVectorEnv(len(legal), search_space=space, autoreset_mode="SameStep")
    many.reset(seed=0)
    depths = max(map(len, legal))
    for depth in range(depths + 1):  # each environment has walked along its prefix as far as it is
        reached = [prefix[:depth] for prefix in legal]
        masks = many.action_masks()
        for prefix, reach, mask in zip(legal, reached, masks, strict=True):
            if len(prefix) >= depth:
                assert set(np.flatnonzero(mask).tolist()) == legal[reach]
        end = len(space.actions) - 1
        many.step(np.array([prefix[depth] if depth < len(prefix) else end for prefix in legal]))


def test_two_limits_need_more_than_the_cheapest_way_in_each():
    """Where the masks of each limit alone would allow a layer that both together forbid."""
    met = 0
    for parameters in (1_000, 2_000, 4_000):
        for macs in range(26_000, 30_000, 500):
            limits = {"max_parameters": parameters, "max_macs": macs}
            both = make(TRADES, limits)
            assert both.count() == len(within(TRADES, limits))
            alone = [make(TRADES, {name: limit}) for name, limit in limits.items()]
            for layer in both.actions:
                forbidden = both.broken_rule(both.start, layer)
                separately = any(one.broken_rule(one.start, layer) for one in alone)
                assert forbidden or not separately
                if forbidden and not separately:
                    met += 1
                    assert "max_parameters" in forbidden
                    assert "max_macs" in forbidden
    assert met > 0
    assert max(len(front) for front in both.budget.fronts[-1].values()) > 1


@pytest.mark.parametrize(("problem", "limits"), [CASES[i] for i in (1, 5, 8, 11, 16)])
def test_sampling_is_uniform_over_the_networks_within_the_limits(problem, limits):
    space, expected = make(problem, limits), within(problem, limits)
    rng = np.random.default_rng(0)
    drawn = Counter(space.sample(rng) for _ in range(20 * len(expected)))
    assert set(drawn) <= set(expected)
    assert chisquare([drawn[network] for network in expected]).pvalue > 0.001
    again = np.random.default_rng(0)
    assert [space.sample(again) for _ in range(5)] == [
        make(problem, limits).sample(rng) for rng in [np.random.default_rng(0)] for _ in range(5)
    ]


def test_layers_far_beyond_a_limit_do_not_disturb_counting():
    kept = make(SMALL, {"max_parameters": 2000})
    wide = make(SMALL, {"max_parameters": 2000, "max_macs": 4 * 10**15})  # keys of 63 bits
    assert wide.count() == kept.count() > 0
    assert wide.count_up_to(10) == 10
    last = wide.unrank(wide.count() - 1)
    assert wide.rank(last) == kept.rank(last) == kept.count() - 1


def test_counting_beyond_what_fits_is_one_sentence_and_sampling_goes_on():
    space = SearchSpace(max_layers=9, max_parameters=10**6, max_macs=5 * 10**7)
    drawn = space.sample(np.random.default_rng(0))
    space.validate(drawn)
    assert count_parameters(drawn, space.input_shape) <= 10**6
    assert count_macs(drawn, space.input_shape) <= 5 * 10**7
    assert space.count_up_to(500) == 500


def test_the_paper_s_space_within_a_million_parameters_is_counted_exactly_with_fewer_layers():
    """By another route: the costs of all ways to finish, added up as a polynomial's exponents."""
    space = SearchSpace(max_layers=4, max_parameters=10**6)

    @cache
    def finishing(node, left):
        costs: Counter[int] = Counter()
        for layer, ((cost,), after) in space.budget.steps[node].items():
            if not space.budget.steps[after]:
                costs[cost] += 1
            elif left:
                for more, ways in finishing(after, left - 1).items():
                    costs[cost + more] += ways
            assert layer in space.actions
        return costs

    every = finishing(space.budget.start, 4)
    assert sum(every.values()) == space.of_any_cost.count()
    assert sum(n for cost, n in every.items() if cost <= 10**6) == space.count()


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(
    "limits", [{"max_parameters": 900}, {"max_parameters": 2_000, "max_macs": 9_000}]
)
@pytest.mark.parametrize("repeat", ["sample", None])
@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"observe_budget": True},
        {"observe_budget": True, "observation": "onehot", "info": "numeric"},
        {"observe_budget": True, "observation": "dict", "observe_size": "exact"},
    ],
    ids=["default", "budget", "onehot numeric", "dict exact"],
)
def test_the_vector_environment_equals_single_ones(tmp_path, mode, limits, repeat, shown):
    make_table().save(tmp_path / "table.npz")
    space = {**SPACE.as_spec(), **limits}
    arguments = {"evaluator": "table", "table": str(tmp_path / "table.npz"), "repeat": repeat}
    arguments = ({} if repeat is None else arguments) | {"search_space": space} | shown
    singles = SyncVectorEnv([lambda: CNNArchEnv(**arguments)] * 7, autoreset_mode=mode)
    many = CNNArchVectorEnv(7, autoreset_mode=mode, **arguments)
    assert many.observation_space == singles.observation_space
    for ours, theirs in zip(many.reset(seed=3), singles.reset(seed=3), strict=True):
        assert_equal(ours, theirs)
    rng = np.random.default_rng(1)
    for _ in range(150):
        actions = actions_of(rng, many.action_masks(), 0.1)
        results = many.step(actions)
        for ours, theirs in zip(results, singles.step(actions), strict=True):
            assert_equal(ours, theirs)
        assert results[0] in many.observation_space
        if mode is AutoresetMode.DISABLED and results[2].any():
            mask = {"reset_mask": results[2]}
            for ours, theirs in zip(
                many.reset(options=dict(mask)), singles.reset(options=dict(mask)), strict=True
            ):
                assert_equal(ours, theirs)


def test_the_observed_budget_is_the_share_that_the_layers_so_far_cost():
    limits = {"max_parameters": 3_000, "max_macs": 60_000}
    spec = {"preset": "digits", **limits}
    arguments = {"dataset": "digits", "search_space": spec}
    env = CNNArchEnv(observe_budget=True, **arguments)
    plain = CNNArchEnv(**arguments)
    assert env.observation_space.nvec.tolist() == [*plain.observation_space.nvec, 11, 11]
    shown = {kind: CNNArchEnv(observe_budget=True, observation=kind, **arguments)
             for kind in ("onehot", "dict")}  # fmt: skip
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        observation, info = env.reset()
        plain.reset()
        others = [other.reset()[0] for other in shown.values()]
        actions, terminated = [], False
        assert observation[-2:].tolist() == [0, 0]
        while not terminated:
            actions.append(int(rng.choice(np.flatnonzero(info["action_mask"]))))
            observation, _, terminated, _, info = env.step(actions[-1])
            assert observation[:-2].tolist() == plain.step(actions[-1])[0].tolist()
            others = [other.step(actions[-1])[0] for other in shown.values()]
            state = env.search_space.start
            for action in actions:
                state = env.search_space.successor(state, env.search_space.actions[action])
            bins = [
                math.ceil(10 * s / li) for s, li in zip(state.spent, limits.values(), strict=True)
            ]
            assert observation[-2:].tolist() == bins
            assert observation in env.observation_space
            fields = [
                np.eye(n)[v] for v, n in zip(observation, env.observation_space.nvec, strict=True)
            ]
            assert np.array_equal(others[0], np.concatenate(fields))
            assert np.array_equal(others[1]["observation"], others[0])
            assert np.array_equal(others[1]["action_mask"], info["action_mask"])
            seen.update(bins)
        assert state.spent == (info["parameters"], info["macs"])
    assert seen == set(range(1, 11))


def test_nothing_is_appended_where_nothing_is_limited():
    plain, asked = (CNNArchEnv(dataset="digits", observe_budget=b) for b in (False, True))
    assert plain.observation_space == asked.observation_space
    assert np.array_equal(plain.reset()[0], asked.reset()[0])


def test_without_limits_states_and_their_order_are_as_if_there_were_no_channels():
    """With limits too, once the channels are left out, which only pooling layers add."""
    plain = compile_mdp(make(DIGITS))
    assert {(state.channels, state.spent) for state in plain.states} == {(0, ())}
    limited = compile_mdp(make(DIGITS, {"max_macs": 10**9}))
    assert {row.tobytes() for row in limited.observations} == {
        row.tobytes() for row in plain.observations
    }
    assert len(limited.states) > len(plain.states)


LIMITED = {
    env_id: {"max_parameters": 2_000, "max_macs": 200_000}
    if env_id in ("CNNArch-Digits-v0", "CNNArch-ClutteredDigits-v0")
    or "table" in ENVIRONMENTS[env_id]
    else {"max_parameters": 300_000, "max_macs": 20_000_000}
    for env_id in ENVIRONMENTS
}


def limited_kwargs(env_id, **more):
    registered = ENVIRONMENTS[env_id].get("search_space", "small")
    own = {} if env_id != "CNNArch-v0" else {"input_shape": [3, 32, 32], "num_classes": 10}
    evaluator = {} if "table" in ENVIRONMENTS[env_id] else {"evaluator": None}
    return {"search_space": {"preset": registered, **LIMITED[env_id], **own}, **evaluator, **more}


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_random_steps_neither_break_a_limit_nor_end_up_without_a_legal_action(env_id):
    many = gym.make_vec(env_id, 200, **limited_kwargs(env_id))
    rng = np.random.default_rng(0)
    _, infos = many.reset(seed=0)
    finished = 0
    for _ in range(60):
        masks = infos["action_mask"]
        assert masks.any(axis=1).all()
        _, _, terminated, _, infos = many.step((rng.random(masks.shape) * masks).argmax(axis=1))
        assert "invalid_action" not in infos
        for name, limit in LIMITED[env_id].items():
            costs = infos.get(name.removeprefix("max_"), np.zeros(1))
            assert max(costs) <= limit
        finished += terminated.sum()
    assert finished > 1000


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
@pytest.mark.parametrize("observation", ["multidiscrete", "dict"])
def test_limited_environments_are_environments_like_others(env_id, observation):
    env = gym.make(env_id, **limited_kwargs(env_id, observation=observation, observe_budget=True))
    check_env(env.unwrapped, skip_render_check=True)
    assert (
        gym.make(EnvSpec.from_json(env.spec.to_json())).observation_space == env.observation_space
    )
    _, info = env.reset(seed=0)
    first = int(np.flatnonzero(info["action_mask"])[0])
    env.step(first)
    copy = pickle.loads(pickle.dumps(env.unwrapped))
    assert np.array_equal(copy.action_masks(), env.unwrapped.action_masks())
    following = int(np.flatnonzero(copy.action_masks())[0])
    results = [str(each.step(following)) for each in (copy, env)]
    assert results[0] == results[1]


def test_a_copied_space_leaves_what_it_has_counted_behind():
    space = make(DIGITS, {"max_parameters": 5_000})
    space.count()
    copy = pickle.loads(pickle.dumps(space))
    assert copy == space
    assert set(vars(copy)) == set(asdict(space))
    assert copy.count() == space.count()


def test_an_illegal_action_raises_with_the_limit_what_is_spent_and_what_is_needed():
    arguments = {"search_space": {"preset": "digits", "max_parameters": 700}, "dataset": "digits"}
    message = r"C\(32,3,1\), is illegal: .* at least 2,666 parameters, but spent are 80 of max_para"
    env = CNNArchEnv(invalid_action="raise", **arguments)
    many = CNNArchVectorEnv(2, invalid_action="raise", **arguments)
    env.reset(), many.reset()
    layers = [str(layer) for layer in env.search_space.actions]
    env.step(layers.index("C(8,3,1)"))
    many.step(np.array([0, layers.index("C(8,3,1)")]))
    with pytest.raises(gym.error.InvalidAction, match=message):
        env.step(layers.index("C(32,3,1)"))
    with pytest.raises(gym.error.InvalidAction, match=message):
        many.step(np.array([0, layers.index("C(32,3,1)")]))


@pytest.mark.parametrize("limits", [CASES[i][1] for i in (0, 1, 5, 6)])
def test_evolution_stays_within_limits_and_ends_where_no_neighbour_is(limits):
    space = make(DIGITS, limits)
    number_of = {layer: action for action, layer in enumerate(space.actions)}
    allowed = {
        tuple(number_of[layer] for layer in network.layers) for network in within(DIGITS, limits)
    }
    sequences = ActionSequences(space)
    rng = np.random.default_rng(0)
    for parent in sorted(allowed)[:20]:
        assert mutate(parent, len(space.actions), sequences, rng) in allowed
    every = {tuple(number_of[layer] for layer in each.layers) for each, *_ in networks(DIGITS)}
    assert {actions for actions in every if sequences.is_complete(actions)} == allowed


def test_a_part_of_a_table_is_the_table_s_networks_within_the_limits():
    whole = TableEvaluator()
    limits = {"max_parameters": 5_000, "max_macs": 300_000}
    env = gym.make("CNNArch-CIFAR10Table-v0", search_space={"preset": "small", **limits}).unwrapped
    part, space = env.evaluator, env.search_space
    expected = [
        rank
        for rank, (parameters, macs) in enumerate(
            zip(whole.table.parameters, whole.table.macs, strict=True)
        )
        if parameters <= 5_000 and macs <= 300_000
    ]
    assert 0 < space.count() == len(expected) < whole.search_space.count()
    assert part.mean_test.tolist() == whole.mean_test[expected].tolist()
    best = part.optimum("validation").architecture
    assert part.evaluate(best) == whole.evaluate(best)


def test_limits_beyond_a_limited_table_s_are_refused(tmp_path):
    limited = SearchSpace.from_spec({**SPACE.as_spec(), "max_parameters": 900})
    make_table(limited).save(tmp_path / "table.npz")
    arguments = {"evaluator": "table", "table": str(tmp_path / "table.npz")}
    assert CNNArchEnv(**arguments).search_space == limited
    narrow = {**limited.as_spec(), "max_parameters": 800, "max_macs": 5_000}
    assert CNNArchEnv(narrow, **arguments).search_space.max_macs == 5_000
    for wider in ({"max_parameters": 901}, {"max_parameters": None}):
        with pytest.raises(InvalidInput, match=r"another search space.*'max_parameters': 900"):
            CNNArchEnv({**limited.as_spec(), **wider}, **arguments)


@pytest.mark.parametrize("name", ["max_parameters", "max_macs"])
@pytest.mark.parametrize("value", [0, -5, 1.5, 1e6, True, "1000", (5,), 2**63])
def test_limits_that_are_none_are_refused_by_name(name, value):
    message = f"{name} must be an integer from 1 .* but came as {re.escape(repr(value))}"
    with pytest.raises(InvalidInput, match=message):
        SearchSpace(**{name: value})


def test_limits_that_leave_nothing_name_the_smallest_network_and_its_cost():
    with pytest.raises(
        InvalidInput,
        match=r"max_parameters = 19: that of the fewest parameters, \[GAP\(10\)\], has 20 p",
    ):
        make(DIGITS, {"max_parameters": 19, "max_macs": 10**6})
    cheapest = [min(networks(TRADES), key=lambda each: each[k]) for k in (1, 2)]
    together = {"max_parameters": cheapest[0][1], "max_macs": cheapest[1][2]}
    assert cheapest[0][2] > cheapest[1][2]
    assert within(TRADES, together) == []
    with pytest.raises(InvalidInput) as error:
        make(TRADES, together)
    for _, parameters, macs in cheapest:
        assert f"{parameters:,} parameters" in str(error.value)
        assert f"{macs:,} MACs" in str(error.value)


def test_the_smallest_network_of_the_message_costs_what_it_says():
    for limits, k in (({"max_parameters": 1}, 1), ({"max_macs": 1}, 2)):
        smallest = min(cost[k] for cost in networks(TRADES))
        with pytest.raises(InvalidInput) as error:
            make(TRADES, limits)
        named = [str(each[0]) for each in networks(TRADES) if each[k] == smallest]
        assert any(network in str(error.value) for network in named)
        assert f"has {smallest:,} " in str(error.value)


def test_what_is_recorded_of_a_space_without_limits_is_what_it_was():
    assert list(SearchSpace().as_spec()) == [
        "input_shape", "num_classes", "max_layers", "conv_filters", "conv_receptive_fields",
        "pools", "fc_neurons", "max_fc", "fc_max_size",
    ]  # fmt: skip
    limited = SearchSpace(max_parameters=10**6)
    assert limited.as_spec() == {**SearchSpace().as_spec(), "max_parameters": 10**6}
    assert SearchSpace.from_spec(limited.as_spec()) == limited
    assert limited.of_any_cost == SearchSpace()
    assert SearchSpace().of_any_cost == SearchSpace()


def test_a_billion_layers_do_not_take_long():
    """A table's metadata, which anyone may have written, can say so."""
    few = SearchSpace(
        max_layers=10**9,
        conv_filters=(1,),
        conv_receptive_fields=(5,),
        pools=(),
        max_parameters=150,
    )
    assert few.count() == few.count_up_to(10**6) == 4  # GAP after 0 to 3 convolutions
    assert SearchSpace(max_layers=10**9, max_macs=10**9).counts_more_than(1_000)
