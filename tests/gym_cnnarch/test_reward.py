"""Evaluation -> reward."""

import pytest

from gym_cnnarch import Evaluation, InvalidInput
from gym_cnnarch.rewards import reward as rewards
from gym_cnnarch.rewards.evaluation import STATUSES
from tests.helpers.made_up_tables import SPACE

GOOD = Evaluation(accuracy=0.9, status="ok", parameters=10, macs=10, curve=(0.5, 0.9, 0.8))
FAILURES = [status for status in STATUSES if status not in ("ok", "stopped")]


def make_reward(reward="accuracy", failure_reward=0.0):
    return rewards.make_reward(reward, failure_reward, SPACE)


def evaluation(status: str) -> Evaluation:
    return Evaluation(accuracy=0.25, status=status, parameters=10, macs=10, curve=(0.25,))


@pytest.fixture
def own_rewards(tmp_path, monkeypatch):
    """A user's module ``own_rewards``."""
    (tmp_path / "own_rewards.py").write_text(
        "scale = 2\n\ndef per_parameter(evaluation):\n"
        "    return scale * evaluation.accuracy / evaluation.parameters\n"
        "def of_two(evaluation, other): ...\n"
        "def of_none(): ...\n"
        "def nothing(evaluation): ...\n"
        "def endless(evaluation): return float('inf')\n"
        "def broken(evaluation): return {}['depth']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def test_the_reward_is_the_best_or_the_last_accuracy():
    assert make_reward()(GOOD) == make_reward("accuracy")(GOOD) == 0.9
    assert make_reward("last_accuracy")(GOOD) == 0.8


def test_without_a_curve_the_last_accuracy_is_the_accuracy():
    looked_up = Evaluation(accuracy=0.7, status="ok", parameters=1, macs=1)
    assert make_reward("last_accuracy")(looked_up) == 0.7


@pytest.mark.parametrize("status", FAILURES)
@pytest.mark.parametrize("name", ["accuracy", "last_accuracy", "own_rewards:per_parameter"])
@pytest.mark.parametrize("failure_reward", [0.0, -1.0])
def test_every_failure_has_the_failure_reward(own_rewards, status, name, failure_reward):
    assert make_reward(name, failure_reward)(evaluation(status)) == failure_reward


def test_the_failures_are_the_documented_ones():
    assert set(FAILURES) == {"diverged", "out_of_memory", "timeout", "error"}


def test_one_s_own_reward_is_found_by_its_name(own_rewards):
    assert make_reward("own_rewards:per_parameter")(GOOD) == pytest.approx(2 * 0.9 / 10)


@pytest.mark.parametrize("name", ["accuracy", "last_accuracy", "own_rewards:per_parameter"])
def test_a_stopped_training_has_the_reward_of_its_predicted_accuracy(own_rewards, name):
    stopped = Evaluation(0.3, "stopped", 10, 10, (0.3, 0.2), predicted=0.8)
    in_the_end = Evaluation(0.8, "ok", 10, 10)
    assert make_reward(name, -1.0)(stopped) == make_reward(name)(in_the_end)


@pytest.mark.parametrize(("status", "predicted"), [("stopped", None), ("ok", 0.5), ("stopped", 2)])
def test_a_stopped_training_has_a_prediction_and_no_other_has(status, predicted):
    with pytest.raises(InvalidInput, match="predicted"):
        Evaluation(0.3, status, 10, 10, predicted=predicted)


@pytest.mark.parametrize("status", STATUSES)
def test_a_reward_is_a_float(status):
    predicted = 1 if status == "stopped" else None
    whole = Evaluation(accuracy=1, status=status, parameters=1, macs=1, predicted=predicted)
    assert isinstance(make_reward(failure_reward=-1)(whole), float)


@pytest.mark.parametrize(
    "name", ["loss", "", "own_rewards:missing", "no_such_module:reward", "own_rewards:scale"]
)
def test_a_reward_that_does_not_exist_is_refused_by_name(own_rewards, name):
    with pytest.raises(InvalidInput, match=repr(name)):
        make_reward(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os:system", "raised TypeError"),
        ("sys:exit", "raised SystemExit"),
        ("builtins:repr", "finite number"),
        ("builtins:print", "finite number, but is None"),
        ("builtins:list", "raised TypeError"),
        ("own_rewards:nothing", "finite number, but is None"),
        ("own_rewards:endless", "finite number, but is inf"),
        ("own_rewards:broken", "raised KeyError: 'depth'"),
    ],
)
def test_a_reward_that_fails_is_one_sentence(own_rewards, name, message):
    with pytest.raises(InvalidInput, match=message) as error:
        make_reward(name)(GOOD)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert make_reward(name, -1.0)(evaluation("error")) == -1.0  # is not asked


@pytest.mark.parametrize("name", ["own_rewards:of_two", "own_rewards:of_none", "os:getpid"])
def test_a_reward_that_takes_no_evaluation_is_refused_at_once(own_rewards, name):
    with pytest.raises(InvalidInput, match="must take one argument, an Evaluation"):
        make_reward(name)


def test_balanced_accuracy_is_a_recipe_s_metric():
    with pytest.raises(InvalidInput, match="recipe's metric=balanced_accuracy"):
        make_reward("balanced_accuracy")
