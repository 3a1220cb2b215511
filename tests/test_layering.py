"""The packages, their rooms, and the arrows between them.

``python tests/test_layering.py`` prints the files of each room and what it imports.
"""

import ast
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LEVELS = (
    {"gym_cnnarch", "agents"},
    {"train_eval.output"},
    {"train_eval.data", "train_eval.records"},
    {"train_eval.training"},
    {"train_eval.parallel"},
    {"train_eval.search"},
    {"train_eval.environments"},
    {"train_eval.report", "train_eval.benchmark", "train_eval.final", "train_eval.tables"},
    {"train_eval.run"},
    {"train_eval.cli"},
    {"train_eval"},  # __init__ and __main__
)
"""From the lowest to the highest; a room imports rooms of lower levels alone."""

LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def files() -> list[Path]:
    packages = ("gym_cnnarch", "agents", "train_eval")
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def room_of(module: str) -> str:
    """``train_eval.data.cache`` lives in ``train_eval.data``; the lower packages are one room."""
    first, *rest = module.split(".")
    if first != "train_eval" or not rest or f"train_eval.{rest[0]}" not in LEVEL:
        return first
    return f"train_eval.{rest[0]}"


def imports(path: Path) -> set[str]:
    """The modules of this project that a file names, late imports included."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {m for m in modules if m.split(".")[0] in ("gym_cnnarch", "agents", "train_eval")}


def arrows() -> dict[str, set[str]]:
    """Room -> the other rooms that it imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in files():
        room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        found[room] |= {room_of(module) for module in imports(path)} - {room}
    return found


def test_every_arrow_points_to_a_lower_level():
    against = {
        (room, target)
        for room, targets in arrows().items()
        for target in targets
        if LEVEL[target] >= LEVEL[room]
    }
    # The executor for clusters sends the three packages along.
    assert against == {("train_eval.parallel", "train_eval")}


def test_agents_know_no_other_package():
    assert not arrows()["agents"]
    assert not arrows()["gym_cnnarch"]


def test_the_space_knows_no_rewards_and_rewards_no_environment():
    def modules(room: str) -> set[str]:
        paths = sorted((ROOT / "gym_cnnarch" / room).glob("*.py"))
        return {m for path in paths for m in imports(path) if m.startswith("gym_cnnarch.")}

    above = ("gym_cnnarch.env", "gym_cnnarch.vector", "gym_cnnarch.mdp", "gym_cnnarch.registration")
    assert not {m for m in modules("space") if m.startswith(("gym_cnnarch.rewards", *above))}
    assert not {m for m in modules("rewards") if m.startswith(above)}


def test_train_eval_has_few_entries_and_every_room_says_what_lives_there():
    entries = [e for e in (ROOT / "train_eval").iterdir() if e.name != "__pycache__"]
    assert len(entries) <= 16
    for room in (entry for entry in entries if entry.is_dir()):
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
        assert len(list(room.glob("*.py"))) <= 16


@pytest.mark.parametrize(
    ("room", "target"),
    [
        (room.removeprefix("train_eval."), target.removeprefix("train_eval."))
        for room in sorted(LEVEL)
        for target in sorted(LEVEL)
        if room.startswith("train_eval.")
        and target.startswith("train_eval.")
        and room not in ("train_eval.environments", "train_eval.run", "train_eval.cli")
        and room != target
        and LEVEL[target] >= LEVEL[room]
    ],
)
def test_each_room_bans_what_it_may_not_import(room, target):
    banned = (ROOT / "train_eval" / room / "ruff.toml").read_text()
    assert f'"train_eval.{target}".msg' in banned


def test_ruff_refuses_an_import_against_an_arrow_between_rooms(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "train_eval", tmp_path / "train_eval")
    against = tmp_path / "train_eval" / "records" / "against_the_arrow.py"
    against.write_text("from train_eval.search.search import Search\n")
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--select",
        "TID251",
        "--output-format",
        "concise",
        ".",
    ]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stdout.count("TID251") == 1
    assert "records never imports search" in refused.stdout


if __name__ == "__main__":
    counts: dict[str, list[int]] = defaultdict(list)
    for path in files():
        room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        counts[room].append(len(path.read_text().splitlines()))
    for level, rooms in reversed(list(enumerate(LEVELS))):
        for room in sorted(rooms):
            lower = ", ".join(sorted(arrows()[room])) or "nothing"
            lines = counts[room]
            print(f"{level:2}  {room}: {len(lines)} files, {sum(lines)} lines -> {lower}")
