"""Evaluators named by strings, and what the environment makes of a failed evaluation."""

import collections
import hashlib
import pickle
import re

import gymnasium as gym
import numpy as np
import pytest

from gym_cnnarch import Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.evaluation import STATUSES, import_object
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


def test_numpy_s_numbers_become_python_s():
    evaluation = Evaluation(
        np.float32(0.5), np.str_("ok"), np.int64(7), np.int32(9), np.array([0.25, 0.5]),
        np.float64(1.5), np.float32(0.5), np.str_("m"), np.bool_(True), np.float16(0.5),
    )  # fmt: skip
    plain = Evaluation(0.5, "ok", 7, 9, (0.25, 0.5), 1.5, 0.5, "m", True, 0.5)
    assert evaluation == plain
    for name, value in vars(plain).items():
        assert type(vars(evaluation)[name]) is type(value)
    assert [type(accuracy) for accuracy in evaluation.curve] == [float, float]
    assert type(Evaluation(1, "ok", 1, 1).accuracy) is float


@pytest.mark.parametrize(
    "wrong",
    [
        {"accuracy": "0.5"},
        {"accuracy": None},
        {"accuracy": np.array([0.5])},
        {"accuracy": float("nan")},
        {"status": 0},
        {"parameters": 1.5},
        {"parameters": -1},
        {"macs": 2**63},
        {"curve": 0.5},
        {"curve": "0.5"},
        {"curve": [None]},
        {"train_seconds": "1"},
        {"learning_rate": [0.1]},
        {"message": None},
        {"cached": 1},
        {"test_accuracy": "0.5"},
        {"test_accuracy": 7.0},
        {"curve": (0.5, float("nan"))},
        {"curve": (7.0,)},
        {"train_seconds": float("nan")},
        {"train_seconds": -1.0},
        {"learning_rate": float("inf")},
    ],
)
def test_what_no_evaluation_can_hold_is_refused_by_name(wrong):
    (name,) = wrong
    fields = {"accuracy": 0.5, "status": "ok", "parameters": 1, "macs": 1} | wrong
    with pytest.raises(InvalidInput, match=name):
        Evaluation(**fields)


def test_load_finds_what_the_name_says():
    assert import_object("collections:OrderedDict") is collections.OrderedDict


@pytest.mark.parametrize(
    "name",
    ["collections", "", "no_such_module:x", "collections:no_such_name", ":x", ".x:y", "json.tool:"],
)
def test_load_refuses_a_name_that_leads_nowhere(name):
    with pytest.raises(InvalidInput, match=re.escape(repr(name))):
        import_object(name)


@pytest.mark.parametrize("folder", ["agents", "odd: name"])
def test_a_file_is_found_by_its_path_and_hides_no_module(tmp_path, monkeypatch, folder):
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / "json.py"
    file.write_text("from dataclasses import dataclass\n@dataclass\nclass Mine:\n    x: int = 1\n")
    mine = import_object(f"{file}:Mine")
    assert mine() == mine(1)
    assert pickle.loads(pickle.dumps(mine(2))) == mine(2)
    monkeypatch.chdir(tmp_path)
    assert (
        import_object(f"./{folder}/json.py:Mine") is import_object(f"{folder}/json.py:Mine") is mine
    )
    assert import_object("json:loads")("1") == 1
    with pytest.raises(InvalidInput, match="no attribute 'Yours'"):
        import_object(f"{file}:Yours")
    with pytest.raises(InvalidInput, match=r"missing\.py"):
        import_object("missing.py:Mine")


def test_a_copied_environment_finds_its_code_from_any_folder(tmp_path, monkeypatch):
    code = """
import threading
from gym_cnnarch import Evaluation
class Judge:
    def __init__(self, dataset):
        self.lock = threading.Lock()  # which nobody can copy
    def evaluate(self, architecture, seed=0):
        return Evaluation(0.25, "ok", 1, 1)
def reward(evaluation):
    return 2 * evaluation.accuracy
"""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "mine.py").write_text(code)
    (tmp_path / "b" / "mine.py").write_text("1 / 0")
    named = {"evaluator": "mine.py:Judge", "reward": "mine.py:reward", "dataset": "digits"}
    monkeypatch.chdir(tmp_path / "a")
    env, many = CNNArchEnv("digits", **named), CNNArchVectorEnv(2, search_space="digits", **named)
    many.reset(seed=0)
    monkeypatch.chdir(tmp_path / "b")
    copy, copies = pickle.loads(pickle.dumps(env)), pickle.loads(pickle.dumps(many))
    copy.reset(seed=0)
    end = env.action_space.n - 1
    assert copy.step(end)[1] == 0.5
    assert copies.step(np.array([end, end]))[1].tolist() == [0.5, 0.5]
    assert copies.evaluator is not many.evaluator


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('enough\\nof it')", "raised SystemExit: enough"),
        ("raise SystemExit", "raised SystemExit"),
        ("def (", "raised SyntaxError: invalid syntax"),
        ("x = '\\0", "raised SyntaxError: "),
        ("raise RuntimeError('two\\nlines')", "raised RuntimeError: two"),
        ("import a_package_nobody_has", "a_package_nobody_has"),
    ],
)
@pytest.mark.parametrize("by", ["module", "file"])
def test_code_that_cannot_be_imported_is_one_sentence(tmp_path, monkeypatch, code, message, by):
    name = f"broken_{hashlib.sha256(code.encode()).hexdigest()[:8]}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    place = name if by == "module" else tmp_path / f"{name}.py"
    for _ in range(2):  # a failed import leaves nothing behind
        with pytest.raises(InvalidInput, match=message) as error:
            import_object(f"{place}:x")
        assert "\n" not in str(error.value)


def test_an_evaluator_of_a_file_has_one_name_in_every_process(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(EVALUATOR_MODULE)
    monkeypatch.chdir(tmp_path)
    env = CNNArchEnv(evaluator="mine.py:Fixed", dataset="mine")
    assert env.evaluator_name == f"{tmp_path / 'mine.py'}:Fixed"
    assert env.evaluator.dataset == "mine"


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


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "stopped"])
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
    assert env.evaluator_name == "gym_cnnarch.rewards.table_evaluator:TableEvaluator"
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
