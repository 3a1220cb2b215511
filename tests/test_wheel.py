"""What a user installs: a wheel, not the checkout."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

SCRIPT = """
import train_eval
from train_eval import run_search

assert "site-packages" in train_eval.__file__, train_eval.__file__
run = run_search(
    "CNNArch-CIFAR10Table-v0", "random_walk", 10, run_dir="run", executor="inline"
)
print(len(run.networks), run.report().name)
"""


def test_a_wheel_holds_all_that_a_search_and_a_report_need(tmp_path):
    source = tmp_path / "source"  # building leaves folders behind
    for package in ("gym_cnnarch", "agents", "train_eval"):
        shutil.copytree(
            ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", tmp_path, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("gym_cnnarch-*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    (target,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--target", target, wheel], check=True, capture_output=True)
    # The dependencies are this environment's: a path file does not run its editable finders' hooks.
    for folder in {Path(p) for p in sys.path if p.endswith("site-packages")}:
        (target / "dependencies.pth").write_text(f"{folder}\n")
    searched = subprocess.run(
        [python, "-I", "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert searched.stdout.split() == ["10", "report.html"]
