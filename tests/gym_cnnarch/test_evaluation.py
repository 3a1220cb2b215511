"""Evaluators named by strings, and what the environment makes of a failed evaluation."""

import collections
import re

import gymnasium as gym
import numpy as np
import pytest

from gym_cnnarch import Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.evaluation import STATUSES, import_object
from gym_cnnarch.vector_env import CNNArchVectorEnv

EVALUATOR_MODULE = """
from gym_cnnarch import Evaluation

class Fixed:
    task = "fixed"
    input_shape = (1, 6, 6)
    num_classes = 3

    def __init__(self, dataset, status="ok"):
        self.dataset, self.status = dataset, status

    def evaluate(self, architecture, seed=0):
        return Evaluation(accuracy=0.5, status=self.status, parameters=1, macs=1)
"""


@pytest.fixture
def own_evaluator(tmp_path, monkeypatch):
    """A user's module ``own_evaluator``."""
    (tmp_path / "own_evaluator.py").write_text(EVALUATOR_MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def test_an_evaluation_says_what_cannot_be():
    with pytest.raises(ValueError, match="not 'OK'"):
        Evaluation(0.5, "OK", 1, 1)
    with pytest.raises(ValueError, match="is 86"):
        Evaluation(86, "ok", 1, 1)


def test_load_finds_what_the_name_says():
    assert import_object("collections:OrderedDict") is collections.OrderedDict


@pytest.mark.parametrize(
    "name",
    ["collections", "", "no_such_module:x", "collections:no_such_name", ":x", ".x:y", "json.tool:"],
)
def test_load_refuses_a_name_that_leads_nowhere(name):
    with pytest.raises(InvalidInput, match=re.escape(repr(name))):
        import_object(name)


def test_a_missing_dependency_of_the_named_module_is_told(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInput, match=r"needs_more:x.*a_package_nobody_has"):
        import_object("needs_more:x")


def test_an_evaluator_with_data_decides_input_and_classes(own_evaluator):
    env = CNNArchEnv(evaluator="own_evaluator:Fixed", dataset="mine")
    assert env.evaluator.dataset == "mine"
    assert env.search_space.input_shape == (1, 6, 6)
    assert str(env.search_space.actions[-1]) == "SM(3)"


@pytest.mark.parametrize("status", STATUSES)
def test_a_failed_network_is_a_result_with_its_reward(own_evaluator, status):
    env = CNNArchEnv(evaluator="own_evaluator:Fixed", status=status, failure_reward=-0.5)
    env.reset()
    _, reward, terminated, truncated, info = env.step(env.action_space.n - 1)
    assert (terminated, truncated) == (True, False)
    assert info["status"] == status
    assert info["accuracy"] == 0.5
    assert reward == (0.5 if status == "ok" else -0.5)


def test_short_names_are_those_of_the_evaluators():
    env = gym.make("CNNArch-CIFAR10Table-v0", evaluator="table").unwrapped
    assert env.evaluator_name == "gym_cnnarch.table_evaluator:TableEvaluator"
    with pytest.raises(InvalidInput, match="No evaluator 'tabel': expected training, table, surr"):
        gym.make("CNNArch-CIFAR10Table-v0", evaluator="tabel")


@pytest.mark.parametrize("returned", [None, 0.5, {"accuracy": 0.5}])
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_an_evaluator_that_returns_no_evaluation_is_one_sentence(make, returned):
    class Odd:
        task = "odd"

        def evaluate(self, architecture, seed=0):
            return returned

    env = make("CNNArch-Digits-v0", evaluator=Odd())
    env.reset()
    last = len(env.unwrapped.search_space.actions) - 1
    with pytest.raises(InvalidInput, match="Odd must return an Evaluation") as error:
        env.step(np.array([last]) if make is gym.make_vec else last)
    assert repr(returned) in str(error.value)


def test_an_argument_that_the_evaluator_does_not_take_is_refused_by_name(own_evaluator):
    with pytest.raises(InvalidInput, match=r"own_evaluator:Fixed.*recipe"):
        CNNArchEnv(evaluator="own_evaluator:Fixed", recipe="paper")


def test_a_search_space_that_contradicts_the_data_is_refused(own_evaluator):
    with pytest.raises(InvalidInput, match="num_classes"):
        CNNArchEnv({"num_classes": 4}, evaluator="own_evaluator:Fixed")


@pytest.mark.parametrize("name", ["collections:Counter", "types:SimpleNamespace"])
def test_what_is_no_evaluator_is_refused_at_once(name):
    with pytest.raises(InvalidInput, match=r"evaluator must be|cannot take these arguments"):
        CNNArchEnv(evaluator=name)
    with pytest.raises(InvalidInput, match="evaluator must be"):
        CNNArchEnv(evaluator=import_object(name))


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_an_argument_that_nothing_takes_is_refused_by_name(make):
    with pytest.raises(InvalidInput, match="'invalid_actoin'"):
        make("CNNArch-Digits-v0", evaluator=None, invalid_actoin="raise")


def test_closing_closes_what_the_environment_made(own_evaluator, monkeypatch):
    closed = []
    fixed = import_object("own_evaluator:Fixed")
    monkeypatch.setattr(fixed, "close", lambda self: closed.append(self), raising=False)
    CNNArchEnv(evaluator=fixed("mine")).close()
    assert closed == []
    env = CNNArchEnv(evaluator="own_evaluator:Fixed")
    env.close()
    many = CNNArchVectorEnv(2, evaluator="own_evaluator:Fixed")
    many.close()
    assert closed == [env.evaluator, many.evaluator]
