"""Environments that users register reach every command, also by the module that registers them."""

import json
import sys

import pytest

from gym_cnnarch import InvalidInput
from tests.helpers.commands import cnnarch
from train_eval.environments import find_spec, full_id, make_env

MODULE = """
import gymnasium as gym
from gym_cnnarch.env import CNNArchEnv

KWARGS = {
    "dataset": "digits", "recipe": {"preset": "digits", "epochs": 1, "train_size": 100},
    "search_space": {"preset": "digits", "max_layers": 1},
    "evaluator": "train_eval:TrainingEvaluator",
}

class Mine(CNNArchEnv):
    pass

def make(**kwargs):
    return Mine(**kwargs)

gym.register("Mine/Class-v0", Mine, kwargs=KWARGS)
gym.register("Mine/Function-v0", "my_environments:make", kwargs=KWARGS)
REWARD = {"name": "linear", "weights": {"accuracy": 1, "-parameters": 0.1}}
gym.register("Mine/Linear-v0", Mine, kwargs=KWARGS | {"reward": REWARD})
"""


@pytest.fixture
def my_environments(tmp_path, monkeypatch):
    (tmp_path / "my_environments.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_environments"
    import gymnasium as gym

    sys.modules.pop("my_environments", None)
    for env_id in [env_id for env_id in gym.registry if env_id.startswith("Mine/")]:
        del gym.registry[env_id]


@pytest.mark.parametrize("name", ["Mine/Class-v0", "Mine/Function-v0"])
def test_the_environment_of_a_module_is_found_and_made(my_environments, name):
    env_id = f"{my_environments}:{name}"
    assert find_spec(env_id).id == name
    assert full_id(env_id) == env_id
    assert type(make_env(env_id).unwrapped).__name__ == "Mine"
    assert full_id(name) == name  # registered by now


def test_it_reaches_the_commands(capsys, tmp_path, my_environments):
    env = ("--env", f"{my_environments}:Mine/Function-v0")
    run = tmp_path / "run"
    assert cnnarch(capsys, "space", *env)[0] == 0
    assert cnnarch(capsys, "train", "[SM(10)]", *env)[0] == 0
    arguments = ("--budget", 2, "--executor", "inline", "--run-dir", run)
    status, _, err = cnnarch(capsys, "search", *env, *arguments)
    assert status == 0, err
    assert json.loads((run / "run.json").read_text())["settings"]["env"] == env[1]
    status, _, err = cnnarch(
        capsys, "finalize", run, "--networks", 1, "--recipe", "digits-final", "steps=[[0.1,1]]"
    )
    assert status == 0, err
    assert cnnarch(capsys, "report", run)[0] == 0


def test_a_benchmark_takes_no_other_reward_for_an_accuracy(capsys, tmp_path, my_environments):
    env = ("--env", f"{my_environments}:Mine/Linear-v0", "--out", tmp_path / "out")
    status, _, err = cnnarch(capsys, "benchmark", *env)
    assert status == 2
    assert "A benchmark compares accuracies, but the reward of" in err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("raise OSError('no key\\nmore')", "OSError: no key"),
        ("1 +", "SyntaxError: invalid syntax"),
        ("", "Environment `Absent` doesn't exist"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_sentence(tmp_path, monkeypatch, content, reason):
    (tmp_path / "broken_environments.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        InvalidInput, match="No environment 'broken_environments:Absent-v0'"
    ) as info:
        find_spec("broken_environments:Absent-v0")
    sys.modules.pop("broken_environments", None)
    assert reason in str(info.value)
    assert "\n" not in str(info.value)
