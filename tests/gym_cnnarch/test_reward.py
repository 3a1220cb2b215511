"""Evaluation -> reward."""

import pytest

from gym_cnnarch import Evaluation, InvalidInput
from gym_cnnarch.evaluation import STATUSES
from gym_cnnarch.reward import make_reward

GOOD = Evaluation(accuracy=0.9, status="ok", parameters=10, macs=10, curve=(0.5, 0.9, 0.8))
FAILURES = [status for status in STATUSES if status != "ok"]


def evaluation(status: str) -> Evaluation:
    return Evaluation(accuracy=0.25, status=status, parameters=10, macs=10, curve=(0.25,))


@pytest.fixture
def own_rewards(tmp_path, monkeypatch):
    """A user's module ``own_rewards``."""
    (tmp_path / "own_rewards.py").write_text(
        "scale = 2\n\ndef per_parameter(evaluation):\n"
        "    return scale * evaluation.accuracy / evaluation.parameters\n"
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


@pytest.mark.parametrize("status", STATUSES)
def test_a_reward_is_a_float(status):
    whole = Evaluation(accuracy=1, status=status, parameters=1, macs=1)
    assert isinstance(make_reward(failure_reward=-1)(whole), float)


@pytest.mark.parametrize(
    "name", ["loss", "", "own_rewards:missing", "no_such_module:reward", "own_rewards:scale"]
)
def test_a_reward_that_does_not_exist_is_refused_by_name(own_rewards, name):
    with pytest.raises(InvalidInput, match=repr(name)):
        make_reward(name)
