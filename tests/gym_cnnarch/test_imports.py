"""The packages' arrows: what importing loads, and what ruff refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def loaded_after(code: str) -> set[str]:
    """The top-level modules of a fresh interpreter after it ran the code."""
    report = "import sys, json; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}\n{report}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import gym_cnnarch",
        "import gym_cnnarch, gymnasium\n"
        "env = gymnasium.make('CNNArch-CIFAR10-v0', evaluator=None)\n"
        "env.reset(); env.step(env.action_space.n - 1)",
        "import gymnasium\ngymnasium.make('gym_cnnarch:CNNArch-CIFAR10-v0', evaluator=None)",
        "import gym_cnnarch, gymnasium\n"
        "env = gymnasium.make('CNNArch-CIFAR10Table-v0')\n"
        "env.reset(); env.step(env.action_space.n - 1)\n"
        "many = gymnasium.make_vec('CNNArch-CIFAR10Table-v0', 2)\n"
        "many.reset(); many.step(many.action_space.nvec - 1)",
    ],
    ids=["import", "construction", "module prefix", "table"],
)
def test_construction_loads_no_torch_and_no_higher_package(code):
    loaded = loaded_after(code)
    assert {"gym_cnnarch", "gymnasium", "numpy"} <= loaded
    assert loaded.isdisjoint({"torch", "torchvision", "sklearn", "agents", "train_eval"})


def test_agents_load_numpy_alone():
    loaded = loaded_after("import agents")
    installed = {"gym_cnnarch", "gymnasium", "torch", "scipy", "sklearn", "stable_baselines3"}
    assert {"agents", "numpy"} <= loaded
    assert loaded.isdisjoint({*installed, "train_eval"})


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "search --budget 5 --env CNNArch-CIFAR10Table-v0 --run-dir {folder}/run",
        "benchmark --seeds 1 --budget 5 --agents uniform --workers 1 --out {folder}/benchmark",
    ],
    ids=["help", "search", "benchmark"],
)
def test_commands_that_train_nothing_load_no_torch(tmp_path, arguments):
    words = arguments.format(folder=tmp_path).split()
    loaded = loaded_after(
        f"import contextlib, sys\nsys.argv[1:] = {words!r}\n"
        "from train_eval.cli.cnnarch import main\n"
        "with contextlib.suppress(SystemExit):\n    main()"
    )
    assert "train_eval" in loaded
    assert loaded.isdisjoint({"torch", "torchvision", "sklearn"})


@pytest.mark.parametrize(
    ("package", "imported"),
    [
        ("gym_cnnarch", "agents"),
        ("gym_cnnarch", "train_eval"),
        ("gym_cnnarch", "torch"),
        ("gym_cnnarch", "torchvision"),
        ("agents", "gym_cnnarch"),
        ("agents", "train_eval"),
        ("agents", "torch"),
    ],
)
@pytest.mark.parametrize("form", ["import {}\n", "from {} import x\n", "from {}.sub import x\n"])
def test_ruff_refuses_an_import_against_the_arrow(tmp_path, package, imported, form):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / package, tmp_path / package)
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", package]
    clean = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert clean.returncode == 0, clean.stdout
    (tmp_path / package / "against_the_arrow.py").write_text(form.format(imported))
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "against_the_arrow.py" in refused.stdout
