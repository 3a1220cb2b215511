"""One contract for every registered id, without training and, for the digits, with it."""

import pickle
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import env_checker
from gymnasium.utils.env_checker import data_equivalence

from gym_cnnarch.registration import ENVIRONMENTS

TABLES = {"CNNArch-CIFAR10Table-v0", "CNNArch-ClutteredDigitsTable-v0"}
OWN_DATA = {"search_space": {"input_shape": [3, 32, 32], "num_classes": 10}}
SHORT = {"preset": "digits", "epochs": 3}
CHEAP = {env_id: {"evaluator": None} for env_id in ENVIRONMENTS} | {
    "CNNArch-v0": {"evaluator": None, **OWN_DATA},
    **{env_id: {} for env_id in TABLES},
}
TRAINED = pytest.param("CNNArch-Digits-v0", {"recipe": SHORT}, id="CNNArch-Digits-v0 trained")
CASES = [*(pytest.param(env_id, kwargs, id=env_id) for env_id, kwargs in CHEAP.items()), TRAINED]

every_environment = pytest.mark.parametrize(("env_id", "kwargs"), CASES)
EPISODES = 4


def play(env: gym.Env, seed: int, episodes: int = EPISODES) -> list[tuple[Any, ...]]:
    """What a masked random walk meets: (observation, reward, terminated, truncated, info)."""
    env.action_space.seed(seed)
    met = []
    for episode in range(episodes):
        observation, info = env.reset(seed=seed + episode)
        met.append((observation, 0.0, False, False, info))
        terminated = False
        while not terminated:
            action = env.action_space.sample(mask=info["action_mask"])
            met.append(env.step(action))
            _, _, terminated, _, info = met[-1]
    return met


def untimed(met: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The same without how long training took."""
    return [
        (*others, {key: value for key, value in info.items() if key != "train_seconds"})
        for *others, info in met
    ]


@every_environment
@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_gymnasium_s_checker_has_no_complaint(env_id, kwargs, render_mode):
    env = gym.make(env_id, render_mode=render_mode, **kwargs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env_checker.check_env(env.unwrapped)
    assert [str(warning.message) for warning in caught] == []


@every_environment
def test_stable_baselines3_s_checker_has_no_complaint(env_id, kwargs):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gym.make(env_id, render_mode="rgb_array", **kwargs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(env.unwrapped)
    assert [str(warning.message) for warning in caught] == []


@every_environment
def test_twins_with_one_seed_stay_equal(env_id, kwargs):
    first, second = (untimed(play(gym.make(env_id, **kwargs), seed=3)) for _ in range(2))
    assert len(first) > 2 * EPISODES
    assert data_equivalence(first, second, exact=True)


@every_environment
def test_a_pickled_environment_plays_like_the_original(env_id, kwargs):
    env = gym.make(env_id, **kwargs).unwrapped
    env.action_space.seed(4)
    copy = pickle.loads(pickle.dumps(env))
    assert copy.search_space == env.search_space
    assert copy.spec == env.spec is not None
    assert [copy.action_space.sample() for _ in range(9)] == [
        env.action_space.sample() for _ in range(9)
    ]
    assert data_equivalence(untimed(play(copy, seed=5)), untimed(play(env, seed=5)), exact=True)


@every_environment
def test_a_specification_survives_json(env_id, kwargs):
    env = gym.make(env_id, **kwargs)
    spec = EnvSpec.from_json(env.spec.to_json())
    assert spec == env.spec
    again = gym.make(spec)
    assert again.action_space == env.action_space
    assert again.observation_space == env.observation_space
    assert data_equivalence(untimed(play(again, seed=7)), untimed(play(env, seed=7)), exact=True)


@every_environment
def test_every_state_of_an_episode_can_be_rendered(env_id, kwargs):
    for mode, is_frame in {
        "ansi": lambda frame: isinstance(frame, str) and "input" in frame,
        "rgb_array": lambda f: f.dtype == np.uint8 and f.ndim == 3 and f.shape[2] == 3,
    }.items():
        env = gym.make(env_id, render_mode=mode, **kwargs)
        _, info = env.reset(seed=0)
        env.action_space.seed(0)
        terminated, frames = False, [env.render()]
        while not terminated:
            action = env.action_space.sample(mask=info["action_mask"])
            *_, terminated, _, info = env.step(action)
            frames.append(env.render())
        assert all(map(is_frame, frames))


@every_environment
@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_vector_environments_stack_observations_and_masks(env_id, kwargs, mode):
    envs = gym.make_vec(env_id, num_envs=2, vectorization_mode=mode, **kwargs)
    actions = envs.single_action_space.n
    observations, infos = envs.reset(seed=0)
    envs.single_action_space.seed(0)
    endings = 0
    while endings < EPISODES:
        assert observations in envs.observation_space
        assert infos["action_mask"].shape == (2, actions)
        assert infos["action_mask"].dtype == np.int8
        assert infos["action_mask"].any(axis=1).all()
        choice = [envs.single_action_space.sample(mask=mask) for mask in infos["action_mask"]]
        observations, _, terminated, truncated, infos = envs.step(np.array(choice))
        assert not truncated.any()
        for index in np.flatnonzero(terminated):
            assert infos["_architecture"][index]
            assert infos["architecture"][index].startswith("[")
        endings += int(terminated.sum())
    envs.close()


@every_environment
def test_both_masks_agree(env_id, kwargs):
    env = gym.make(env_id, **kwargs)
    env.action_space.seed(1)
    for _ in range(EPISODES):
        _, info = env.reset()
        terminated = False
        while True:
            for_sampling, for_sb3 = info["action_mask"], env.unwrapped.action_masks()
            assert for_sampling.dtype == np.int8
            assert for_sb3.dtype == np.bool_
            assert np.array_equal(for_sampling.astype(bool), for_sb3)
            if terminated:
                break
            *_, terminated, _, info = env.step(env.action_space.sample(mask=for_sampling))


@every_environment
def test_masked_episodes_end_with_a_described_network(env_id, kwargs):
    env = gym.make(env_id, **kwargs)
    longest = env.unwrapped.search_space.max_layers + 1
    met = play(env, seed=11)
    ends = [i for i, (_, _, terminated, _, _) in enumerate(met) if terminated]
    assert len(ends) == EPISODES
    assert max(np.diff([-1, *ends])) <= longest + 1  # the reset and at most L + 1 steps
    for observation, reward, terminated, truncated, info in met:
        assert observation in env.observation_space
        assert not truncated
        assert "invalid_action" not in info
        succeeded = terminated and info.get("status") == "ok"
        assert reward == (info["accuracy"] if succeeded else 0.0)
        described = {"architecture", "parameters", "macs"} & info.keys()
        assert len(described) == (3 if terminated else 0)


@every_environment
def test_a_key_of_info_keeps_one_type_and_shape(env_id, kwargs):
    env = gym.make(env_id, **kwargs)
    infos = [info for *_, info in play(env, seed=13)]
    _, info = env.reset()
    *_, after_illegal = env.step(int(np.flatnonzero(info["action_mask"] == 0)[0]))
    assert after_illegal["invalid_action"] is True
    kinds: dict[str, set[Any]] = {}
    for met in [*infos, after_illegal]:
        for key, value in met.items():
            kind = (type(value), getattr(value, "dtype", None), getattr(value, "shape", None))
            kinds.setdefault(key, set()).add(kind)
    assert "action_mask" in kinds
    assert {key: kind for key, kind in kinds.items() if len(kind) > 1} == {}


def test_only_what_trains_is_registered_as_nondeterministic():
    trained = {env_id for env_id in ENVIRONMENTS if gym.spec(env_id).nondeterministic}
    assert trained == set(ENVIRONMENTS) - TABLES


@every_environment
def test_the_longest_episode_is_terminated_and_not_truncated(env_id, kwargs):
    env = gym.make(env_id, **kwargs)
    assert env.spec.max_episode_steps is None
    _, info = env.reset()
    for _ in range(env.unwrapped.search_space.max_layers + 1):
        first = int(np.flatnonzero(info["action_mask"])[0])  # terminators come last
        *_, terminated, truncated, info = env.step(first)
        assert not truncated
    assert terminated
