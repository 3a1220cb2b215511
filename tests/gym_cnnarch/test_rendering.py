"""The network so far, as text and as a drawing."""

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest

import gym_cnnarch  # noqa: F401  registers the ids
from gym_cnnarch import rendering

# On 1x8x8: 8*9 + 8; 16*8 + 16; nothing; 16*4*4*64 + 64; 64*10 + 10
CHAIN = [
    ("C(8,3,1)", "8x8x8", "80"),
    ("C(16,1,1)", "16x8x8", "144"),
    ("P(2,2)", "16x4x4", "0"),
    ("FC(64)", "64", "16,448"),
    ("SM(10)", "10", "650"),
]


def frames(render_mode: str) -> list:
    env = gym.make("CNNArch-Digits-v0", evaluator=None, render_mode=render_mode)
    names = [str(layer) for layer in env.unwrapped.search_space.actions]
    env.reset()
    rendered = [env.render()]
    for text, _, _ in CHAIN:
        env.step(names.index(text))
        rendered.append(env.render())
    return rendered


def test_ansi_lists_each_layer_with_its_size_and_parameters():
    rows = [line.split() for line in frames("ansi")[-1].splitlines()]
    assert rows[0] == ["layer", "output", "parameters"]
    assert rows[1] == ["input", "1x8x8"]
    assert rows[2:-1] == [list(row) for row in CHAIN]
    assert rows[-1] == ["total", "17,322"]  # 80 + 144 + 16,448 + 650


def test_ansi_adds_one_line_per_layer():
    texts = frames("ansi")
    assert [len(text.splitlines()) for text in texts] == [3, 4, 5, 6, 7, 8]
    for before, after in pairwise(texts):
        kept = [line.split() for line in before.splitlines()[:-1]]  # all but the total
        assert [line.split() for line in after.splitlines()][: len(kept)] == kept


def test_ansi_parameters_are_aligned_to_the_right():
    header, _, *layers = frames("ansi")[-1].splitlines()
    assert {len(line) for line in layers} == {len(header)}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"), (1_000, "1 k"), (999_499, "999 k"), (999_600, "1 M"), (1_234_567, "1.23 M"),
        (999_999_000, "1 G"), (1_234_567_890, "1.23 G"), (5_600_000_000_000, "5,600 G"),
    ],
)  # fmt: skip
def test_counts_are_short(count, text):
    assert rendering._short(count) == text


def test_rgb_frames_have_one_constant_shape():
    drawn = frames("rgb_array")
    assert {frame.shape for frame in drawn} == {drawn[0].shape}
    assert {frame.dtype for frame in drawn} == {np.dtype(np.uint8)}
    assert drawn[0].shape[2] == 3


def test_rgb_frames_change_with_every_layer():
    drawn = frames("rgb_array")
    assert len({frame.tobytes() for frame in drawn}) == len(CHAIN) + 1


def test_the_longest_network_fits_the_frame():
    env = gym.make("CNNArch-CIFAR10-v0", evaluator=None, render_mode="rgb_array")
    env.reset()
    drawn = [env.render()]
    for _ in range(18):
        env.step(0)
        drawn.append(env.render())
    env.step(env.action_space.n - 1)
    drawn.append(env.render())
    assert len({frame.tobytes() for frame in drawn}) == 20
    for before, after in pairwise(drawn):
        changed = (before != after).any(axis=(0, 2))
        assert not changed[-1]  # no layer is drawn past the right edge


def test_rendering_without_a_mode_warns_and_returns_nothing():
    env = gym.make("CNNArch-Digits-v0", evaluator=None).unwrapped
    env.reset()
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None
