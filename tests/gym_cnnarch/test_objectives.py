"""Vector rewards and scalarisations: their scale by brute force, and what MO-Gymnasium expects."""

import json
import math
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from gym_cnnarch import Evaluation, InvalidInput, SearchSpace
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.objectives import cost_range
from gym_cnnarch.rewards.reward import make_reward
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from gym_cnnarch.space.shapes import count_macs, count_parameters
from gym_cnnarch.vector_env import CNNArchVectorEnv
from tests.gym_cnnarch.test_vector_env import actions_of, assert_equal
from tests.helpers.made_up_tables import SPACE, make_table

TABLE = "gym_cnnarch.rewards.table_evaluator:TableEvaluator"
BOTH = ["accuracy", "-parameters"]
NETWORKS = [SPACE.unrank(rank) for rank in range(SPACE.count())]
PARAMETERS = [count_parameters(network, SPACE.input_shape) for network in NETWORKS]
MACS = [count_macs(network, SPACE.input_shape) for network in NETWORKS]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.npz"
    make_table().save(path)
    return str(path)


def make(table, reward=BOTH, **kwargs):
    return gym.make(
        "CNNArch-CIFAR10Table-v0", table=table, reward=reward, disable_env_checker=True, **kwargs
    )


def evaluation(accuracy=0.5, parameters=100, status="ok"):
    return Evaluation(accuracy, status, parameters, macs=1000)


def test_the_range_of_costs_is_that_of_all_networks():
    assert cost_range(SPACE, "parameters") == (min(PARAMETERS), max(PARAMETERS))
    assert cost_range(SPACE, "macs") == (min(MACS), max(MACS))
    limited = SearchSpace.from_spec({**SPACE.as_spec(), "max_parameters": 1000})
    assert cost_range(limited, "parameters") == (min(PARAMETERS), 1000)
    assert cost_range(limited, "macs") == (min(MACS), max(MACS))


def test_each_doubling_of_a_cost_counts_alike_between_the_cheapest_and_the_dearest():
    reward = make_reward(["-parameters", "accuracy", "-macs"], 0.0, SPACE)
    low, high = min(PARAMETERS), max(PARAMETERS)
    assert reward(evaluation(parameters=low))[:2] == (0.0, 0.5)
    assert reward(evaluation(parameters=high))[0] == -1.0
    steps = [reward(evaluation(parameters=low * 2**n))[0] for n in range(4)]
    assert np.diff(steps) == pytest.approx([-math.log(2) / math.log(high / low)] * 3)
    assert reward(evaluation(parameters=100 * high))[0] == -1.0


def test_a_failed_network_has_the_failure_reward_as_its_accuracy():
    reward = make_reward(BOTH, -0.5, SPACE)
    ok, failed = reward(evaluation()), reward(evaluation(status="diverged"))
    assert failed == (-0.5, ok[1])


def test_scalarisations_by_their_formulas():
    vector = make_reward(BOTH, 0.0, SPACE)(evaluation())
    linear = make_reward(
        {"name": "linear", "weights": {"accuracy": 2, "-parameters": 0.1}}, 0.0, SPACE
    )
    assert linear(evaluation()) == pytest.approx(2 * vector[0] + 0.1 * vector[1])
    failed = make_reward(BOTH, 0.0, SPACE)(evaluation(status="diverged"))
    assert linear(evaluation(status="diverged")) == pytest.approx(0.1 * failed[1])
    weights = {"name": "linear", "weights": {"accuracy": 2, "-parameters": 0.1}}
    blamed = make_reward(weights, -1.0, SPACE)(evaluation(status="diverged"))
    assert blamed == pytest.approx(-2.0 + 0.1 * failed[1])
    mnasnet = make_reward({"name": "mnasnet", "target": 50, "exponent": -0.1}, 0.0, SPACE)
    assert mnasnet(evaluation()) == pytest.approx(0.5 * 2**-0.1)
    assert mnasnet(evaluation(status="error")) == 0.0
    usual = make_reward({"name": "mnasnet", "target": 500, "cost": "macs"}, 0.0, SPACE)
    assert usual(evaluation()) == pytest.approx(0.5 * 2**-0.07)


@pytest.mark.parametrize(
    ("reward", "worst"),
    [
        ("accuracy", 0.0),
        ({"name": "mnasnet", "target": 50}, 0.0),
        ({"name": "linear", "weights": {"accuracy": 1, "-parameters": 0.5, "-macs": 1}}, -1.5),
        (BOTH, [0.0, -1.0]),
    ],
)
def test_no_network_is_worse_than_an_illegal_action(table, reward, worst):
    env = CNNArchEnv(search_space=SPACE, evaluator=TableEvaluator(table=table), reward=reward)
    _, info = env.reset(seed=0)
    _, found, terminated, _, _ = env.step(int(np.flatnonzero(info["action_mask"] == 0)[0]))
    assert terminated
    assert np.all(found == pytest.approx(worst))
    known = env.evaluator.table
    for rank in range(0, SPACE.count(), 5):
        assert np.all(np.array(env.reward_function(known.evaluation(rank, 0))) >= worst)
    vectors = CNNArchVectorEnv(
        2, search_space=SPACE, evaluator=TableEvaluator(table=table), reward=reward
    )
    _, infos = vectors.reset(seed=0)
    illegal = np.argmin(infos["action_mask"], axis=1)
    assert np.all(vectors.step(illegal)[1] == pytest.approx(np.array([worst] * 2)))


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (["accuracy", "-speed"], "No objective '-speed': there are accuracy, -parameters and -mac"),
        (["accuracy", "parameters"], "parameters is a cost: write -parameters"),
        (["-accuracy", "-parameters"], "More accuracy is better: write accuracy"),
        (["accuracy", "-macs", "accuracy"], "The objective accuracy came twice"),
        (["accuracy"], "two objectives or more .* for one number, reward='accuracy'"),
        ([], "two objectives or more"),
        (["accuracy", 3], "No objective 3"),
        ({"name": "tchebycheff"}, "has the name linear or mnasnet"),
        ({"weights": {"accuracy": 1}}, "has the name linear or mnasnet"),
        ({"name": "linear"}, "has the settings weights, but came with none"),
        ({"name": "linear", "weights": {"accuracy": -1}}, "numbers of at least 0"),
        ({"name": "linear", "weights": {"parameters": 1}}, "is a cost: write -parameters"),
        ({"name": "mnasnet", "target": 0}, "a target above 0 and an exponent below 0"),
        ({"name": "mnasnet", "target": 5, "exponent": 0.1}, "an exponent below 0"),
        ({"name": "mnasnet", "target": 5, "cost": "time"}, "parameters or macs, not 'time'"),
        ({"name": "mnasnet", "target": 1e300, "exponent": -500.0}, "infinite for a small network"),
        ({"name": "mnasnet", "target": 10**400}, "a target above 0"),
        ({"name": "mnasnet", "goal": 5}, "has the settings target, cost, exponent, but came with"),
    ],
)
def test_what_is_no_reward_is_refused_in_one_sentence(table, reward, message):
    with pytest.raises(InvalidInput, match=message) as error:
        make(table, reward)
    assert "\n" not in str(error.value)


def test_limits_that_contradict_the_table_s_are_refused_in_one_sentence(tmp_path):
    small = SearchSpace.from_spec({**SPACE.as_spec(), "max_parameters": 2000})
    make_table(small).save(tmp_path / "small.npz")
    spec = {**SPACE.as_spec(), "max_parameters": 4000}
    with pytest.raises(InvalidInput, match="keep within its limits") as error:
        make(str(tmp_path / "small.npz"), search_space=spec)
    assert "\n" not in str(error.value)


def walk(env, rng, steps=300, share_illegal=0.1):
    """Rewards of random actions, and whether each was legal."""
    met = []
    _, info = env.reset(seed=0)
    for _ in range(steps):
        action = rng.integers(env.action_space.n)
        if rng.random() > share_illegal:
            action = rng.choice(np.flatnonzero(info["action_mask"]))
        _, reward, terminated, _, info = env.step(action)
        met.append((reward, terminated, info))
        if terminated:
            _, info = env.reset()
    return met


def test_rewards_are_zero_until_the_end_and_the_worst_for_an_illegal_action(table):
    env = make(table, ["accuracy", "-parameters", "-macs"])
    space = env.unwrapped.reward_space
    assert (space.low.tolist(), space.high.tolist()) == ([0, -1, -1], [1, 0, 0])
    assert env.unwrapped.reward_dim == 3
    for reward, terminated, info in walk(env, np.random.default_rng(0)):
        assert reward in space
        if "invalid_action" in info:
            assert reward.tolist() == [0, -1, -1]
        elif not terminated:
            assert reward.tolist() == [0, 0, 0]
        else:
            expected = info["accuracy"] if info["status"] == "ok" else 0.0
            assert reward[0] == pytest.approx(expected)


def test_one_number_is_no_vector(table):
    env = make(table, {"name": "mnasnet", "target": 500})
    assert not hasattr(env.unwrapped, "reward_space")
    assert all(isinstance(reward, float) for reward, _, _ in walk(env, np.random.default_rng(0)))


def test_the_spec_and_a_copy_give_the_same_rewards(table):
    env = make(table, ("accuracy", "-macs"))
    plain = json.loads(env.spec.to_json())
    assert plain["kwargs"]["reward"] == ["accuracy", "-macs"]
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    copy = pickle.loads(pickle.dumps(env))
    expected = walk(env, np.random.default_rng(0))
    for other in (again, copy):
        met = walk(other, np.random.default_rng(0))
        for (a, _, _), (b, _, _) in zip(expected, met, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("evaluator", [TABLE, None])
def test_the_vector_environment_equals_mo_gymnasium_s(table, evaluator):
    vector = pytest.importorskip("mo_gymnasium").wrappers.vector
    arguments = {"search_space": SPACE.as_spec(), "evaluator": evaluator, "reward": BOTH}
    arguments |= {"table": table} if evaluator else {}
    ours = CNNArchVectorEnv(5, **arguments)
    theirs = vector.MOSyncVectorEnv([lambda: CNNArchEnv(**arguments)] * 5)
    assert ours.reward_space == theirs.reward_space
    ours.reset(seed=3)
    theirs.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = actions_of(rng, ours.action_masks(), 0.1)
        mine, others = ours.step(actions), theirs.step(actions)
        for a, b in zip(mine[1:4], others[1:4], strict=True):
            assert_equal(a, b)


def test_mo_gymnasium_s_checks_and_wrappers(table, monkeypatch):
    mo = pytest.importorskip("mo_gymnasium")

    linear = mo.wrappers.LinearReward
    step = linear.step

    def step_of_its_own(self, action):
        """Version 1.3.2 hands out one array again and again, which Gymnasium 1.4 objects to."""
        *others, info = step(self, action)
        return *others, {**info, "reward_weights": self.w.copy()}

    monkeypatch.setattr(linear, "step", step_of_its_own)

    def made():
        return mo.make("CNNArch-CIFAR10Table-v0", table=table, reward=BOTH)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*we recommend using `env.unwrapped`")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        check_env(linear(made()), skip_render_check=True)
    weighted = linear(made(), weight=np.array([0.7, 0.3]))
    plain = make(table)
    for (scalar, _, info), (reward, _, _) in zip(
        walk(weighted, np.random.default_rng(0)), walk(plain, np.random.default_rng(0)), strict=True
    ):
        assert scalar == pytest.approx(reward @ [0.7, 0.3])
        assert np.array_equal(info["vector_reward"], reward)
    statistics = mo.wrappers.MORecordEpisodeStatistics(made())
    met = walk(statistics, np.random.default_rng(0))
    ends = [(reward, info) for reward, terminated, info in met if terminated]
    assert all(np.allclose(info["episode"]["r"], reward) for reward, info in ends)
    normal = mo.wrappers.MONormalizeReward(mo.wrappers.MOClipReward(made(), 1, -0.5, 0.0), 0)
    assert min(reward[1] for reward, _, _ in walk(normal, np.random.default_rng(0))) == -0.5
