"""What the README and the tour of the commands show runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tyro
from PIL import Image

from tests.helpers.commands import cnnarch
from train_eval.cli.commands import Command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TOUR = (ROOT / "docs" / "commands.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)

CHEAP = 'recipe={"preset": "digits", "epochs": 1, "train_size": 200}'  # a tenth of a second


def commands(page):
    """The arguments of each ``cnnarch`` command that stands on a page as a line of its own."""
    lines = re.sub(r"\\\n +", "", page).splitlines()
    return [shlex.split(line)[1:] for line in map(str.strip, lines) if line.startswith("cnnarch ")]


def test_the_python_examples_run_one_after_another(tmp_path, monkeypatch, capsys):
    pytest.importorskip("stable_baselines3")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for text in PYTHON:
        text = text.replace('"CNNArch-Digits-v0", render', f'"CNNArch-Digits-v0", {CHEAP}, render')
        text = text.replace(
            'run_dir="runs/first"', f'run_dir="runs/first", {CHEAP}, executor="inline"'
        )
        exec(text, names)
    out = capsys.readouterr().out
    assert len(names["run"].networks) == 20
    assert (tmp_path / "runs" / "first" / "report" / "report.html").is_file()
    assert "total" in out  # the table that the example of the environment prints
    assert names["agent"].epsilon == 1.0
    assert "Optimum(architecture=" in out
    assert names["many"].num_envs == 1024
    assert (tmp_path / "results.sqlite").is_file()


@pytest.mark.parametrize("arguments", [*commands(README), *commands(TOUR)], ids=" ".join)
def test_every_command_that_is_shown_is_accepted(arguments):
    config = (tyro.conf.FlagCreatePairsOff,)
    assert tyro.cli(Command, args=arguments, config=config).run


@pytest.mark.usefixtures("final_trainings_here")
def test_the_commands_for_one_s_own_images_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, label in [(p, c) for p in ("train", "test") for c in ("dark", "light")]:
        folder = tmp_path / "DATA" / part / label
        folder.mkdir(parents=True)
        for index in range(20):
            pixels = rng.integers(0, 128, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels + np.uint8(127 * (label == "light"))).save(
                folder / f"{index}.png"
            )
    shown = {c[0]: c for c in commands(README) if {"runs/mine", "runs/steps"} & set(c)}
    assert list(shown) == ["fit", "search", "show", "finalize"]
    shown["fit"][shown["fit"].index("--hours") + 1] = "0.0005"
    shown["fit"] += ["--recipe", "steps=2", "epochs=1", "--workers", "1"]
    search = shown["search"]
    search[search.index("--budget") + 1] = "3"
    search.insert(search.index("--recipe") + 2, "steps=1")
    search += ["--executor", "inline"]  # a worker's start takes seconds
    recipe = ["one-cycle", "steps=[[0.02,20]]", "batch_size=8", "translation=0"]
    shown["finalize"] += ["--networks", "1", "--workers", "1", "--recipe", *recipe]
    for arguments in shown.values():
        status, out, err = cnnarch(capsys, *arguments)
        assert status == 0, err
        assert "3 of 3 unique networks" in out or arguments[0] in ("fit", "finalize")
    for run in ("mine", "steps"):
        assert (tmp_path / "runs" / run / "final" / "01.safetensors").is_file()


def test_the_comparison_of_agents_runs(capsys, tmp_path):
    (arguments,) = [c for c in commands(README) if c[0] == "benchmark"]
    arguments[arguments.index("--seeds") + 1] = "1"
    arguments[arguments.index("--budget") + 1] = "5"
    arguments[arguments.index("--out") + 1] = str(tmp_path / "compared")
    assert cnnarch(capsys, *arguments)[0] == 0
    assert (tmp_path / "compared" / "benchmark.md").is_file()


@pytest.mark.parametrize("path", re.findall(r"\]\(([\w./-]+)\)", README))
def test_links_of_the_readme_lead_somewhere(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    ("page", "path"),
    [
        (page, path)
        for page in sorted((ROOT / "docs").glob("*.md"))
        for path in re.findall(r"\]\(([\w./-]+)\)", page.read_text())
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_links_of_the_other_pages_lead_somewhere(page, path):
    assert (page.parent / path).exists()
