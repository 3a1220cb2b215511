"""The examples run, and print what they promise."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs an example in an empty folder, and returns what it printed."""

    def run_example(name, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"))
        return capsys.readouterr().out

    return run_example


def test_the_tabular_agent_by_hand(run):
    recipe = '{"preset": "digits", "epochs": 1, "train_size": 200}'
    out = run("metaqnn_by_hand", "--networks", 3, "--recipe", recipe)
    assert out.count("epsilon") == 3
    assert "best:" in out


def test_an_agent_of_one_s_own(run):
    out = run("own_agent")
    assert out.splitlines()[0].startswith("own: mean")
    assert out.splitlines()[1].startswith("random_walk: mean")


def test_maskable_ppo(run):
    pytest.importorskip("sb3_contrib")
    out = run("maskable_ppo", "--steps", 256)
    assert "the best of all:" in out


def test_one_s_own_images(run, tmp_path):
    rng = np.random.default_rng(0)
    for part, label in [(p, c) for p in ("train", "test") for c in ("dark", "light")]:
        folder = tmp_path / "data" / part / label
        folder.mkdir(parents=True)
        for index in range(20):
            pixels = rng.integers(0, 128, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels + np.uint8(127 * (label == "light"))).save(
                folder / f"{index}.png"
            )
    recipe = '{"steps": 10, "epochs": 1}'
    out = run(
        "own_images", tmp_path / "data", "--minutes", 0.03, "--recipe", recipe, "--workers", 1
    )
    assert "test error" in out
    assert "Classes: dark, light" in out


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short(example):
    assert len(example.read_text().splitlines()) < 40
