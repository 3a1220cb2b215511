"""The vector environment equals N single environments, step by step."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from gym_cnnarch.space.architecture import Softmax
from gym_cnnarch.vector_env import CNNArchVectorEnv
from tests.helpers.made_up_tables import SPACE, make_table

N = 7
TABLE = "gym_cnnarch.rewards.table_evaluator:TableEvaluator"
CONSTRUCTION = {"search_space": SPACE, "evaluator": None}


@pytest.fixture(scope="module")
def table_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.npz"
    make_table().save(path)
    return path


def assert_equal(first, second):
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_equal(first[key], second[key])
        return
    assert first.dtype == second.dtype
    assert first.shape == second.shape
    if first.dtype == object:
        for a, b in zip(first, second, strict=True):
            assert type(a) is type(b)
            if isinstance(a, dict):
                assert_equal(a, b)
            assert isinstance(a, dict) or np.array_equal(a, b)
    else:
        assert np.array_equal(first, second)


def actions_of(rng, masks, share_illegal):
    """Legal actions, and now and then any."""
    legal = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
    anything = rng.integers(masks.shape[1], size=len(masks))
    return np.where(rng.random(len(masks)) < share_illegal, anything, legal)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("repeat", ["sample", "mean", 1, None])
@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"observe_size": "exact"},
        {"observation": "onehot", "info": "numeric"},
        {"observation": "dict", "info": "numeric", "observe_size": "exact"},
        {"observation": "dict"},
    ],
    ids=["default", "exact", "onehot numeric", "dict numeric", "dict"],
)
def test_it_equals_single_environments(table_file, mode, repeat, shown):
    arguments = {"evaluator": TABLE, "table": str(table_file), "repeat": repeat}
    arguments = (CONSTRUCTION if repeat is None else arguments) | shown
    singles = SyncVectorEnv([lambda: CNNArchEnv(**arguments)] * N, autoreset_mode=mode)
    many = CNNArchVectorEnv(N, autoreset_mode=mode, **arguments)
    assert many.autoreset_mode is many.metadata["autoreset_mode"] is mode
    assert many.observation_space == singles.observation_space
    assert many.action_space == singles.action_space
    observations, infos = many.reset(seed=3)
    expected_observations, expected_infos = singles.reset(seed=3)
    assert_equal(observations, expected_observations)
    assert_equal(infos, expected_infos)
    assert many.np_random_seed == singles.np_random_seed == tuple(range(3, 3 + N))
    rng = np.random.default_rng(1)
    ended = 0
    for step in range(400):
        actions = actions_of(rng, many.action_masks(), 0.1)
        results, expected = many.step(actions), singles.step(actions)
        for ours, theirs in zip(results, expected, strict=True):
            assert_equal(ours, theirs)
        ended += results[2].sum()
        wanted = results[2] if mode is AutoresetMode.DISABLED else rng.random(N) < 0.02
        if wanted.any():
            mask = {"reset_mask": wanted}
            seed = [step if i % 2 else None for i in range(N)]
            for ours, theirs in zip(
                many.reset(seed=seed, options=dict(mask)),
                singles.reset(seed=seed, options=dict(mask)),
                strict=True,
            ):
                assert_equal(ours, theirs)
    assert ended > 100


class Noisy:
    """Draws its own result, as a table does."""

    task = "noisy"

    def evaluate(self, architecture, seed=0):
        return Evaluation(seed / 1000, "ok", len(architecture.layers), 1, train_seconds=1.5)

    def draw_seed(self, rng):
        return int(rng.integers(1000))


@pytest.mark.parametrize("limits", [{"max_layers": 1}, {"conv_filters": [8], "max_fc": 1}])
@pytest.mark.parametrize("info", ["full", "numeric"])
def test_a_part_of_a_table_equals_single_environments(table_file, limits, info):
    spec = {"preset": "digits", "max_layers": 2, "conv_filters": [8, 4], **limits}
    arguments = {"evaluator": TABLE, "table": str(table_file), "search_space": spec, "info": info}
    singles = SyncVectorEnv([lambda: CNNArchEnv(**arguments)] * N)
    many = CNNArchVectorEnv(N, **arguments)
    many.reset(seed=0), singles.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(60):
        actions = actions_of(rng, many.action_masks(), 0.1)
        for ours, theirs in zip(many.step(actions), singles.step(actions), strict=True):
            assert_equal(ours, theirs)


@pytest.mark.parametrize("info", ["full", "numeric"])
def test_other_evaluators_are_asked_one_by_one(info):
    arguments = {"search_space": SPACE, "evaluator": Noisy(), "info": info}
    singles = SyncVectorEnv([lambda: CNNArchEnv(**arguments)] * N)
    many = CNNArchVectorEnv(N, **arguments)
    many.reset(seed=0), singles.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(30):
        actions = actions_of(rng, many.action_masks(), 0.0)
        for ours, theirs in zip(many.step(actions), singles.step(actions), strict=True):
            assert_equal(ours, theirs)


class Together(Noisy):
    """Evaluates all networks of a step at once, and remembers how many."""

    def __init__(self):
        self.sizes = []

    def evaluate_many(self, architectures, seeds):
        self.sizes.append(len(architectures))
        return [self.evaluate(a, s) for a, s in zip(architectures, seeds, strict=True)]


def test_what_can_be_evaluated_together_is_and_changes_nothing():
    evaluator = Together()
    together = CNNArchVectorEnv(N, search_space=SPACE, evaluator=evaluator)
    alone = CNNArchVectorEnv(N, search_space=SPACE, evaluator=Noisy())
    together.reset(seed=0), alone.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(30):
        actions = actions_of(rng, together.action_masks(), 0.0)
        for ours, theirs in zip(together.step(actions), alone.step(actions), strict=True):
            assert_equal(ours, theirs)
    assert max(evaluator.sizes) > 2


def test_a_wrong_number_of_evaluations_is_refused():
    class Forgetful(Together):
        def evaluate_many(self, architectures, seeds):
            return super().evaluate_many(architectures, seeds)[1:]

    many = CNNArchVectorEnv(2, search_space=SPACE, evaluator=Forgetful())
    many.reset(seed=0)
    with pytest.raises(InvalidInput, match="each of 2 networks, but returned 1"):
        many.step(np.full(2, len(SPACE.actions) - 1))


def test_a_table_that_answers_otherwise_is_asked(table_file):
    class Halved(TableEvaluator):
        def evaluate(self, architecture, seed=0):
            evaluation = super().evaluate(architecture, seed)
            return replace(evaluation, accuracy=evaluation.accuracy / 2)

    many = CNNArchVectorEnv(1, evaluator=Halved(table=table_file, repeat=0))
    many.reset(seed=0)
    reward = many.step(np.array([len(SPACE.actions) - 1]))[1][0]
    whole = TableEvaluator(table=table_file, repeat=0).evaluate(Architecture((Softmax(10),)))
    assert reward == whole.accuracy / 2 > 0


def test_generators_are_those_of_single_environments():
    singles = SyncVectorEnv([lambda: CNNArchEnv(**CONSTRUCTION)] * N)
    many = CNNArchVectorEnv(N, **CONSTRUCTION)
    many.reset(seed=5), singles.reset(seed=5)
    assert [g.random() for g in many.np_random] == [g.random() for g in singles.np_random]


def test_it_renders_each_network():
    many = CNNArchVectorEnv(2, **CONSTRUCTION, render_mode="ansi")
    single = CNNArchEnv(**CONSTRUCTION, render_mode="ansi")
    many.reset(seed=0), single.reset(seed=0)
    many.step(np.array([0, 1])), single.step(1)
    assert many.render()[1] == single.render()
    drawn = CNNArchVectorEnv(2, **CONSTRUCTION, render_mode="rgb_array")
    drawn.reset()
    assert [frame.dtype for frame in drawn.render()] == [np.uint8, np.uint8]


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("render_mode", ["ansi_list", "rgb_array_list"])
def test_lists_of_frames_are_those_of_single_environments(mode, render_mode):
    arguments = {"evaluator": None, "render_mode": render_mode}
    many = gym.make_vec("CNNArch-Digits-v0", 3, autoreset_mode=mode, **arguments)
    singles = SyncVectorEnv(
        [lambda: gym.make("CNNArch-Digits-v0", **arguments)] * 3, autoreset_mode=mode
    )
    assert many.render_mode == singles.render_mode == render_mode
    rng = np.random.default_rng(0)
    many.reset(seed=0), singles.reset(seed=0)
    for step in range(40):
        ours, theirs = (envs.render() for envs in (many, singles)) if step % 3 == 2 else ((), ())
        assert [len(frames) for frames in ours] == [len(frames) for frames in theirs]
        for frames, expected in zip(ours, theirs, strict=True):
            assert all(map(np.array_equal, frames, expected))
        actions = actions_of(rng, many.unwrapped.action_masks(), 0.1)
        terminated = many.step(actions)[2]
        singles.step(actions)
        if mode is AutoresetMode.DISABLED and terminated.any():
            for envs in (many, singles):
                envs.reset(options={"reset_mask": terminated.copy()})


def test_steps_and_resets_that_cannot_be_are_refused():
    many = CNNArchVectorEnv(2, **CONSTRUCTION, invalid_action="raise", autoreset_mode="Disabled")
    with pytest.raises(gym.error.ResetNeeded):
        many.step(np.array([0, 0]))
    many.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(gym.error.ResetNeeded):
        many.step(np.array([0, 0]))
    many.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match="2 integers"):
        many.step(np.array([0, 99]))
    pool = next(i for i, a in enumerate(SPACE.actions) if str(a).startswith("P"))
    with pytest.raises(gym.error.InvalidAction, match=r"P\(2,2\), is illegal: pooling"):
        many.step(np.array([0, pool]))
    end = len(SPACE.actions) - 1
    many.step(np.array([0, end]))
    with pytest.raises(gym.error.ResetNeeded):
        many.step(np.array([0, 0]))
    with pytest.raises(ValueError, match="2 seeds"):
        many.reset(seed=[1])
    for mask in ([True, False], np.array([1, 0]), np.array([True])):
        with pytest.raises(ValueError, match="bool array"):
            many.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="at least one"):
        many.reset(options={"reset_mask": np.array([False, False])})
    with pytest.raises(InvalidInput, match="NextStep, SameStep, Disabled"):
        CNNArchVectorEnv(2, autoreset_mode="never", **CONSTRUCTION)
    with pytest.raises(InvalidInput, match="not truncated"):
        gym.make_vec("CNNArch-CIFAR10-v0", 2, evaluator=None, max_episode_steps=3)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_make_vec_uses_it(mode):
    many = gym.make_vec("CNNArch-CIFAR10-v0", 3, evaluator=None, autoreset_mode=mode)
    assert isinstance(many.unwrapped, CNNArchVectorEnv)
    assert many.metadata["autoreset_mode"] is AutoresetMode(mode)
    many.reset(seed=0)
    assert many.step(many.action_space.sample())[4]["action_mask"].shape[0] == 3
