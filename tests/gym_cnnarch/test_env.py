"""The environment's shell: legality, endings, and what it asks of an evaluator."""

import copy
import itertools
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from gym_cnnarch import Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv

TINY = {"preset": "digits", "max_layers": 3, "input_shape": [1, 8, 8], "num_classes": 10}


class Recorder:
    """An evaluator that remembers what it was asked."""

    task = "recorder"

    def __init__(self, **fields):
        self.asked = []
        self.evaluation = Evaluation(
            **{"accuracy": 0.75, "status": "ok", "parameters": 7, "macs": 9} | fields
        )

    def evaluate(self, architecture, seed=0):
        self.asked.append((str(architecture), seed))
        return self.evaluation


def act(env, *texts):
    """Takes the actions with these canonical texts; what the last step returned."""
    names = [str(layer) for layer in env.search_space.actions]
    env.reset()
    return [env.step(names.index(text)) for text in texts][-1]


def test_an_action_ends_the_episode_illegally_exactly_where_the_mask_is_zero():
    env = CNNArchEnv(TINY)
    prefixes = [()]
    for prefix in prefixes:  # grows by the legal, non-terminal continuations
        for action in range(env.action_space.n):
            _, info = env.reset()
            for earlier in prefix:
                *_, info = env.step(earlier)
            mask = info["action_mask"]
            _, reward, terminated, truncated, info = env.step(action)
            assert info.get("invalid_action", False) == (not mask[action])
            assert reward == 0.0
            assert not truncated
            assert terminated or mask[action]
            assert ("architecture" in info) == (terminated and bool(mask[action]))
            if not terminated:
                prefixes.append((*prefix, action))
    assert len(prefixes) > 100


def test_an_illegal_action_is_not_evaluated_and_leaves_the_network_as_it_was():
    env = CNNArchEnv(TINY, evaluator=(recorder := Recorder()), render_mode="ansi")
    before = act(env, "C(8,3,1)", "P(2,2)")
    drawn = env.render()
    names = [str(layer) for layer in env.search_space.actions]
    observation, reward, terminated, _, info = env.step(names.index("P(2,2)"))
    assert (reward, terminated, info["invalid_action"]) == (0.0, True, True)
    assert isinstance(reward, float)
    assert np.array_equal(observation, before[0])
    assert env.render() == drawn
    assert info["action_mask"].any()
    assert recorder.asked == []


def test_an_illegal_action_raises_where_asked_to_and_names_the_rule():
    env = CNNArchEnv(TINY, invalid_action="raise")
    with pytest.raises(gym.error.InvalidAction, match=r"P\(2,2\).*pooling may only follow"):
        act(env, "P(2,2)")
    *_, terminated, _, _ = act(env, "C(8,3,1)", "SM(10)")
    assert terminated


@pytest.mark.parametrize("invalid_action", ["terminate", "raise"])
@pytest.mark.parametrize("action", [-1, 11, 10**6, 0.5, "SM(10)", None])
def test_an_action_outside_the_space_raises(invalid_action, action):
    env = CNNArchEnv(TINY, invalid_action=invalid_action)
    env.reset()
    with pytest.raises(gym.error.InvalidAction, match="from 0 to 10"):
        env.step(action)


@pytest.mark.parametrize("action", [np.int64(1), np.int32(1), np.array(1)])
def test_an_action_is_any_integer_of_the_space(action):
    env, twin = CNNArchEnv(TINY), CNNArchEnv(TINY)
    env.reset()
    twin.reset()
    assert data_equivalence(env.step(action), twin.step(1), exact=True)


@pytest.mark.parametrize("ending", [("SM(10)",), ("GAP(10)",), ("C(8,1,1)", "SM(10)"), ("P(2,2)",)])
def test_a_step_after_the_end_raises_until_the_next_reset(ending):
    env = CNNArchEnv(TINY)
    *_, terminated, _, _ = act(env, *ending)
    assert terminated
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    env.reset()
    *_, terminated, _, _ = env.step(0)
    assert not terminated


def test_a_step_before_the_first_reset_raises():
    with pytest.raises(gym.error.ResetNeeded):
        CNNArchEnv(TINY).step(0)


def test_returned_arrays_are_the_caller_s_own():
    env = CNNArchEnv(TINY)
    observation, info = env.reset()
    masks = env.action_masks()
    for array in (observation, info["action_mask"], masks):
        array[...] = 0
    observation, info = env.reset()
    assert observation.any()
    assert info["action_mask"].any()
    assert env.action_masks().any()


def test_a_finished_network_is_evaluated_once_with_the_environment_s_evaluation_seed():
    env = CNNArchEnv(TINY, evaluator=(recorder := Recorder()), seed=17)
    _, reward, _, _, info = act(env, "C(8,3,1)", "P(2,2)", "FC(32)", "SM(10)")
    assert recorder.asked == [("[C(8,3,1), P(2,2), FC(32), SM(10)]", 17)]
    assert reward == 0.75
    assert {key: value for key, value in info.items() if key != "action_mask"} == {
        "architecture": "[C(8,3,1), P(2,2), FC(32), SM(10)]",
        "accuracy": 0.75,
        "status": "ok",
        "parameters": 7,
        "macs": 9,
        "cached": False,
    }


def test_train_seconds_is_told_where_training_was_measured():
    env = CNNArchEnv(TINY, evaluator=Recorder(train_seconds=1.5))
    assert act(env, "SM(10)")[-1]["train_seconds"] == 1.5


def test_rewards_depend_on_nothing_but_the_last_step():
    env = CNNArchEnv(TINY, evaluator=Recorder())
    texts = ("C(8,3,1)", "C(16,3,1)", "P(2,2)", "GAP(10)")
    rewards = [act(env, *texts[:length])[1] for length in range(1, len(texts) + 1)]
    assert rewards == [0.0, 0.0, 0.0, 0.75]


@pytest.mark.parametrize(
    "setting",
    [
        {"invalid_action": "ignore"},
        {"observe_size": "rough"},
        {"render_mode": "human"},
        {"reward": "loss"},
        {"search_space": "huge"},
    ],
)
def test_a_setting_that_does_not_exist_is_refused_by_name(setting):
    (value,) = setting.values()
    with pytest.raises(InvalidInput, match=value):
        CNNArchEnv(**{"search_space": TINY} | setting)


def test_a_pickled_environment_keeps_every_setting():
    settings = {
        "search_space": TINY,
        "evaluator": Recorder(status="error"),
        "dataset": "digits",
        "seed": 17,
        "reward": "last_accuracy",
        "failure_reward": -1.0,
        "invalid_action": "raise",
        "observe_size": "exact",
        "render_mode": "ansi",
    }
    env = pickle.loads(pickle.dumps(CNNArchEnv(**settings)))
    assert env.search_space.max_layers == 3
    observation, _ = env.reset()
    assert observation.tolist() == [0, 0, 0, 0, 0, 0, 8, 0]
    with pytest.raises(gym.error.InvalidAction):
        act(env, "P(2,2)")
    assert act(env, "SM(10)")[1] == -1.0
    assert env.evaluator.asked == [("[SM(10)]", 17)]
    assert env.reward_function(Evaluation(0.9, "ok", 1, 1, curve=(0.9, 0.8))) == 0.8
    assert "SM(10)" in env.render()


def test_actions_come_in_the_documented_order():
    names = [str(layer) for layer in CNNArchEnv(TINY).search_space.actions]
    convolutions = [f"C({d},{f},1)" for d, f in itertools.product((8, 16, 32), (1, 3))]
    assert names == [*convolutions, "P(2,2)", "FC(64)", "FC(32)", "GAP(10)", "SM(10)"]


def test_construction_alone_has_the_space_of_the_recipes_images():
    arguments = {"recipe": {"preset": "digits", "image_size": 6}}
    trained = gym.make("CNNArch-Digits-v0", **arguments).unwrapped
    constructed = gym.make("CNNArch-Digits-v0", evaluator=None, **arguments).unwrapped
    assert trained.search_space == constructed.search_space
    assert constructed.search_space.input_shape == (1, 6, 6)


def test_a_copy_goes_on_in_the_middle_of_an_episode():
    env = gym.make("CNNArch-Digits-v0", evaluator=None).unwrapped
    env.reset(seed=0)
    env.step(0)
    copied = copy.deepcopy(env)
    for action in (6, 10):  # P(2,2), SM(10)
        ours, theirs = env.step(action), copied.step(action)
        assert ours[0].tolist() == theirs[0].tolist()
    assert ours[4]["architecture"] == theirs[4]["architecture"] == "[C(8,1,1), P(2,2), SM(10)]"


@pytest.mark.parametrize(
    "settings",
    [
        {"evaluator": 5},
        {"evaluator": Recorder},
        {"failure_reward": "low"},
        {"failure_reward": np.float32(0.5)},  # no plain data: a specification could not be written
        {"seed": 2**63},
        {"seed": -(2**63) - 1},
        {"seed": np.int64(3)},
        {"seed": 1.0},
        {"failure_reward": float("nan")},
        {"reward": ["accuracy"]},
        {"search_space": {"preset": ["digits"]}},
    ],
)
def test_an_argument_of_the_wrong_kind_is_refused_when_it_is_given(settings):
    with pytest.raises(InvalidInput):
        gym.make("CNNArch-Digits-v0", **{"evaluator": None, **settings})
