"""Latencies of layers as a part of a space: plain, by content, refused where they do not fit."""

import dataclasses
import json
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from gym_cnnarch import InvalidInput, SearchSpace
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from gym_cnnarch.space.latencies import LayerLatencies, in_brief
from gym_cnnarch.vector_env import CNNArchVectorEnv
from tests.helpers.made_up_tables import SPACE, made_up_latencies, make_table

NETWORKS = [SPACE.unrank(rank) for rank in range(SPACE.count())]
LATENCIES = made_up_latencies(SPACE)
LIMITS = {"max_latency": 0.1, "latencies": LATENCIES.as_json()}
LIMITED = SearchSpace.from_spec({**SPACE.as_spec(), **LIMITS})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "layers.json"
    path.write_text(json.dumps(LATENCIES.as_json(), indent=4))
    return path


def test_a_space_is_made_from_its_spec_again_by_json_and_by_pickle(file):
    plain = json.loads(json.dumps(LIMITED.as_spec()))
    for same in (SearchSpace.from_spec(plain), pickle.loads(pickle.dumps(LIMITED)),
                 SearchSpace.from_spec({**SPACE.as_spec(), "max_latency": 0.1,
                                        "latencies": str(file)})):  # fmt: skip
        assert same == LIMITED
        assert hash(same) == hash(LIMITED)
        assert same.as_spec() == LIMITED.as_spec()
    assert LIMITED.of_any_cost == SPACE
    assert not {"max_latency", "latencies"} & set(SPACE.as_spec())


def test_other_latencies_are_another_space():
    other = made_up_latencies(SPACE, seed=1)
    changed = SearchSpace.from_spec({**SPACE.as_spec(), "max_latency": 0.1, "latencies": other})
    assert changed != LIMITED
    assert not LIMITED.contains(changed)
    assert not LIMITED.contains(SPACE)
    assert SPACE.contains(LIMITED)
    narrower = SearchSpace.from_spec({**LIMITED.as_spec(), "max_latency": 0.08})
    assert LIMITED.contains(narrower)
    assert not narrower.contains(LIMITED)


def test_an_environment_is_made_anew_from_its_spec(file):
    space = {"preset": "digits", "max_layers": 2, "conv_filters": [4, 8], "max_latency": 0.1}
    env = gym.make(
        "CNNArch-Digits-v0", evaluator=None, search_space={**space, "latencies": str(file)}
    )
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.search_space == env.unwrapped.search_space == LIMITED


@pytest.mark.parametrize("more", [{}, {"max_parameters": 900}])
def test_no_random_step_leads_beyond_the_limit(more):
    space = SearchSpace.from_spec({**LIMITED.as_spec(), **more})
    envs = CNNArchVectorEnv(64, search_space=space, evaluator=None, observe_budget=True)
    rng = np.random.default_rng(0)
    _, infos = envs.reset(seed=0)
    finished = set()
    for _ in range(60):
        masks = infos["action_mask"]
        assert masks.any(axis=1).all()
        observations, *_, infos = envs.step((rng.random(masks.shape) * masks).argmax(axis=1))
        assert observations in envs.observation_space
        finished |= set(infos.get("architecture", [])) - {None, ""}
    within = [each for each in NETWORKS if LATENCIES.of_network(each) <= 100_000]
    assert 0 < len(finished) <= space.count()
    assert finished <= set(map(str, within))


def test_a_table_s_part_is_its_networks_within_the_limit(tmp_path):
    make_table().save(tmp_path / "table.npz")
    env = gym.make("CNNArch-CIFAR10Table-v0", table=str(tmp_path / "table.npz"),
                   search_space={**SPACE.as_spec(), **LIMITS}).unwrapped  # fmt: skip
    whole = TableEvaluator(table=str(tmp_path / "table.npz"))
    kept = [r for r, each in enumerate(NETWORKS) if LATENCIES.of_network(each) <= 100_000]
    assert env.evaluator.mean_test.tolist() == whole.mean_test[kept].tolist()


def test_people_read_some_words_instead_of_the_table():
    brief = in_brief({"search_space": LIMITED.as_spec(), "seed": 0})
    assert brief["search_space"]["latencies"] == str(LATENCIES)
    assert "layers measured on made up" in str(LATENCIES)
    assert {**brief["search_space"], "latencies": 0} == {**LIMITED.as_spec(), "latencies": 0}
    assert len(str(brief)) < 500
    table = make_table()
    wider = {**table.metadata, "search_space": LIMITED.as_spec()}
    with pytest.raises(InvalidInput, match="layers measured on made up") as error:
        dataclasses.replace(table, metadata=wider, parameters=table.parameters[:3])
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"latencies": None}, "go together: give both"),
        ({"max_latency": None}, "go together: give both"),
        ({"input_shape": (1, 9, 9)}, "images of 1x8x8, but the space's are 1x9x9"),
        ({"conv_filters": (4, 16)}, r"lack C\(16,1,1\) on 1x8x8: measure .* cnnarch layers"),
        ({"max_latency": 1e-6}, r"max_latency = 0.000001: that of the fewest ms, \[.*\], has 0\.0"),
        ({"max_latency": 0}, "number of milliseconds above 0, .* came as 0"),
        ({"max_latency": float("nan")}, "number of milliseconds"),
        ({"max_latency": float("inf")}, "number of milliseconds"),
        ({"max_latency": True}, "number of milliseconds"),
        ({"max_latency": "5"}, "number of milliseconds"),
        ({"latencies": "no/such.json"}, "read from no/such.json .* cnnarch layers"),
        ({"latencies": {"nanoseconds": {}}}, "expected an object of input_shape"),
        ({"latencies": 5}, "no latencies of layers"),
        ({"latencies": {1, 2}}, "its content as plain data"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(changed, message):
    with pytest.raises(InvalidInput, match=message) as error:
        SearchSpace.from_spec({**LIMITED.as_spec(), **changed})
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("taken", [0, -1, 1.5, "1", True, None, 2**60])
def test_only_whole_nanoseconds_are_latencies(taken):
    plain = LATENCIES.as_json()
    plain["nanoseconds"]["1x8x8"]["SM(10)"] = taken
    with pytest.raises(InvalidInput, match=r"SM\(10\) on 1x8x8 takes .* cnnarch layers"):
        LayerLatencies.from_spec(plain)


def test_the_fastest_network_takes_what_the_sentence_says():
    fastest = min(NETWORKS, key=LATENCIES.of_network)
    least = LATENCIES.of_network(fastest) / 1e6
    SearchSpace.from_spec({**LIMITED.as_spec(), "max_latency": least})
    with pytest.raises(InvalidInput, match="No network") as error:
        SearchSpace.from_spec({**LIMITED.as_spec(), "max_latency": least - 1e-6})
    assert f"{fastest}, has {least:.6f}".rstrip("0") in str(error.value)
