"""What an agent is shown: other observations and infos say the same in other forms."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.wrappers import DtypeObservation, FlattenObservation

from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.evaluation import STATUSES

TABLE = "CNNArch-CIFAR10Table-v0"


def walk(env, episodes=30, seed=0):
    """Observations and infos of a random walk, now and then an illegal action."""
    env.action_space.seed(seed)
    rng = np.random.default_rng(seed)
    for episode in range(episodes):
        observation, info = env.reset(seed=seed + episode)
        terminated = False
        yield observation, info
        while not terminated:
            mask = info["action_mask"] if rng.random() < 0.9 else None
            observation, _, terminated, _, info = env.step(env.action_space.sample(mask=mask))
            yield observation, info


@pytest.mark.parametrize("observe_size", ["bin", "exact"])
@pytest.mark.parametrize("env_id", [TABLE, "CNNArch-CIFAR10-v0"])
def test_onehot_is_what_gymnasium_s_wrappers_make(env_id, observe_size):
    arguments = {"observe_size": observe_size}
    arguments |= {} if env_id == TABLE else {"evaluator": None}
    ours = gym.make(env_id, observation="onehot", **arguments)
    wrapped = gym.make(env_id, **arguments)
    wrapped = DtypeObservation(FlattenObservation(wrapped), np.float32)
    assert ours.observation_space == wrapped.observation_space
    for (row, _), (expected, _) in zip(walk(ours), walk(wrapped), strict=True):
        assert row.dtype == expected.dtype == np.float32
        assert np.array_equal(row, expected)


def test_a_dict_is_the_onehot_row_and_the_mask():
    rows, shown = (walk(gym.make(TABLE, observation=kind)) for kind in ("onehot", "dict"))
    for (row, info), (observation, _) in zip(rows, shown, strict=True):
        assert observation.keys() == {"observation", "action_mask"}
        assert np.array_equal(observation["observation"], row)
        assert np.array_equal(observation["action_mask"], info["action_mask"])
        assert observation["action_mask"].dtype == np.int8


@pytest.mark.parametrize("env_id", [TABLE, "CNNArch-CIFAR10-v0", "CNNArch-SVHN-v0"])
def test_numeric_infos_keep_their_keys_and_types_and_say_what_full_ones_say(env_id):
    arguments = {} if env_id == TABLE else {"evaluator": None}
    full = walk(gym.make(env_id, **arguments))
    env = gym.make(env_id, info="numeric", **arguments)
    space = env.unwrapped.search_space
    kinds, finished = set(), 0
    for (_, expected), (_, info) in zip(full, walk(env), strict=True):
        kinds.add(tuple((key, type(value)) for key, value in sorted(info.items())))
        assert np.array_equal(info["action_mask"], expected["action_mask"])
        assert info["invalid_action"] is expected.get("invalid_action", False)
        assert info["accuracy"] == expected.get("accuracy", 0.0)
        assert info["macs"] == expected.get("macs", 0)
        assert info["parameters"] == expected.get("parameters", 0)
        status = STATUSES[info["status"]] if info["status"] >= 0 else None
        assert status == expected.get("status")
        if "architecture" in expected and "rank" in info:
            assert str(space.unrank(info["rank"])) == expected["architecture"]
        else:
            assert info.get("rank", -1) == -1
        finished += "architecture" in expected
    assert finished > 10
    (keys,) = kinds
    assert {kind for _, kind in keys} == {float, int, bool, np.ndarray}
    assert ("rank" in dict(keys)) == (space.count() < 2**63) == (env_id != "CNNArch-CIFAR10-v0")


@pytest.mark.parametrize("observation", ["onehot", "dict"])
@pytest.mark.parametrize("info", ["full", "numeric"])
def test_gymnasium_s_checker_has_no_complaint(recwarn, observation, info):
    env = gym.make(TABLE, observation=observation, info=info, render_mode="ansi")
    check_env(env.unwrapped)
    assert [str(warning.message) for warning in recwarn] == []


def test_rows_are_the_caller_s_own():
    env = CNNArchEnv({"input_shape": [1, 8, 8], "num_classes": 3}, observation="dict")
    first, _ = env.reset()
    for array in first.values():
        array[...] = 0
    assert all(array.any() for array in env.reset()[0].values())


@pytest.mark.parametrize("arguments", [{"observation": "flat"}, {"info": "short"}])
def test_other_forms_are_refused(arguments):
    (value,) = arguments.values()
    with pytest.raises(InvalidInput, match=f"not '{value}'"):
        gym.make(TABLE, **arguments)


def test_an_argument_that_nothing_takes_is_a_type_error_and_one_sentence():
    for arguments in ({}, {"evaluator": None}, {"evaluator": object()}):
        for make in (gym.make, gym.make_vec):
            with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as error:
                make(TABLE, frameskip=1, **arguments)
            assert isinstance(error.value, InvalidInput)
            assert "\n" not in str(error.value)


def test_forms_survive_the_specification_and_copies():
    env = gym.make(TABLE, observation="dict", info="numeric")
    spec = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
    assert data_equivalence(list(walk(gym.make(spec))), list(walk(env)), exact=True)
