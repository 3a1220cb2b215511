"""What the page about other libraries shows runs, where the library is installed.

Not all of them can be installed beside this project's other requirements (RLlib wants an older
Gymnasium): an environment of its own runs this file alone.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "other_tools.md").read_text()
RECIPES = dict(re.findall(r"^## ([^\n]+)\n[^#]*?```python\n(.*?)```", PAGE, re.S | re.M))
NEEDS = {
    "A loop of one's own": ["torch"],
    "Stable-Baselines3 and sb3-contrib": ["stable_baselines3", "sb3_contrib"],
    "TorchRL": ["torchrl"],
    "Tianshou": ["tianshou"],
    "Minari": ["minari", "jax"],
    "RLlib": ["ray", "tree", "lz4"],
    "PufferLib": ["pufferlib", "gym"],
    "Gymnasium's NumpyToTorch": ["torch", "array_api_compat"],
    "Curricula": [],
}


def test_every_recipe_is_run():
    assert RECIPES.keys() == NEEDS.keys()
    assert PAGE.count("```python") == len(NEEDS)


@pytest.mark.parametrize("library", NEEDS)
def test_a_recipe_runs(tmp_path, library):
    for package in NEEDS[library]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if library.startswith("Gymnasium"):
        pytest.importorskip("gymnasium.wrappers.vector.numpy_to_torch")
    environment = {
        "PYTHONPATH": str(ROOT),
        "MINARI_DATASETS_PATH": str(tmp_path),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", RECIPES[library]],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    if library == "Tianshou":
        assert run.stdout.splitlines()[-1].endswith("illegal: 0")
