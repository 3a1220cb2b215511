"""What identifies a run, and its folder."""

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from agents import PAPER_SCHEDULE, Agent, EpsilonSchedule, MetaQNN, RandomWalk
from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv
from train_eval.store import Store

RUN_FILE = "run.json"
STORE = "store.sqlite"


@dataclass(frozen=True)
class RunSettings:
    """Everything that the course of a run depends on; equal settings are the same run.

    Attributes:
        env: The environment's id.
        search_space: Its limits.
        observe_size: What the agent sees of the representation size.
        task: The evaluator's task: data, split and recipe.
        recipe: The recipe as it was asked for, to be read by people.
        reward: The reward's name.
        failure_reward: The reward of a failed evaluation.
        evaluation_seed: Seed of the evaluations.
        agent: The agent's name and settings.
        seed: The agent's seed.
        budget: Number of unique networks.
        lookahead: The agent acts at episode t having learned the episodes up to t - lookahead.
    """

    env: str
    search_space: dict[str, Any]
    observe_size: str
    task: str
    recipe: Any
    reward: str
    failure_reward: float
    evaluation_seed: int
    agent: dict[str, Any]
    seed: int
    budget: int
    lookahead: int

    def as_json(self) -> dict[str, Any]:
        """Plain data; lists where Python has tuples."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @property
    def run(self) -> str:
        """The run's name in the store: a hash of the settings."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def default_alpha(budget: int) -> float:
    """The Q-learning rate for a budget of unique networks.

    The paper's 0.01 for its 2,700 networks or more; shorter schedules move further a step, alpha
    times the budget staying at 27, up to 0.1.
    """
    return max(0.01, min(0.1, PAPER_SCHEDULE.total * 0.01 / budget))


def default_lookahead(workers: int, budget: int) -> int:
    """The lookahead for a number of workers: the paper's 1 for one, else 8 a worker.

    But at most a tenth of the budget, beyond which the agent learns too late; workers then idle.
    Chosen by benchmarks/simulate_lookahead.py: see docs/large_searches.md.
    """
    return 1 if workers == 1 else min(8 * workers, max(1, budget // 10))


def metaqnn_settings(
    budget: int | None,
    alpha: float | None = None,
    replay: int = 100,
    schedule: EpsilonSchedule | None = None,
) -> tuple[dict[str, Any], int]:
    """MetaQNN's settings in full, and the budget; each default follows from the others."""
    schedule = schedule or PAPER_SCHEDULE
    schedule = schedule if budget is None else schedule.scaled(budget)
    alpha = default_alpha(schedule.total) if alpha is None else alpha
    settings = {
        "name": "metaqnn",
        "alpha": alpha,
        "replay": replay,
        "schedule": [list(phase) for phase in schedule.phases],
    }
    return settings, schedule.total


def make_agent(settings: Mapping[str, Any], num_actions: int, seed: int) -> Agent:
    """The agent that the settings name.

    Raises:
        InvalidInput: If there is no such agent, or a setting is out of its range.
    """
    arguments = dict(settings)
    name = arguments.pop("name")
    try:
        if name == "metaqnn":
            phases = tuple((epsilon, models) for epsilon, models in arguments.pop("schedule"))
            return MetaQNN(num_actions, seed, schedule=EpsilonSchedule(phases), **arguments)
        if name == "random_walk":
            return RandomWalk(num_actions, seed, **arguments)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The agent {name} cannot take {arguments}: {error}") from error
    raise InvalidInput(f"No agent {name!r}: expected metaqnn or random_walk.")


def open_run(
    run_dir: Path,
    settings: RunSettings,
    store_path: Path | None = None,
    workers: int = 1,
) -> Store:
    """The store of a run, begun now or before.

    Args:
        run_dir: The run's folder.
        settings: The run's settings.
        store_path: A store to share with other runs; None for one in the folder.
        workers: Number of networks that are trained at a time, which is recorded with a new run.

    Raises:
        InvalidInput: If the folder belongs to another run; the message names what differs.
        StoreError: If the store cannot be opened.
    """
    known = _read_run_file(run_dir)
    if known is not None:
        _check_same_run(run_dir, known["settings"], settings.as_json())
        return _open_known(store_path or _store_path(run_dir, known), settings.run)
    ours = {STORE, f"{STORE}-journal", RUN_FILE, _unfinished(RUN_FILE)}  # killed while it began
    if run_dir.exists() and (
        not run_dir.is_dir() or any(entry.name not in ours for entry in run_dir.iterdir())
    ):
        raise InvalidInput(
            f"{run_dir} exists and holds no run of gym-cnnarch: name a new or an empty folder."
        )
    store = Store(store_path or run_dir / STORE)
    store.add_run(settings.run, settings.as_json(), made_with(workers))
    location = str(store_path.expanduser().resolve()) if store_path else STORE
    content = {"store": location, "run": settings.run, "settings": settings.as_json()}
    _write_run_file(run_dir, content)
    return store


def find_run(run_dir: Path) -> tuple[Store, str]:
    """The store and name of an existing run.

    Raises:
        InvalidInput: If the folder holds no run, or its store is gone.
    """
    known = _read_run_file(run_dir)
    if known is None:
        raise InvalidInput(f"{run_dir} holds no run: expected the --run-dir of a search.")
    return _open_known(_store_path(run_dir, known), known["run"]), known["run"]


def recorded_settings(run_dir: Path) -> dict[str, Any] | None:
    """The settings of the run in a folder, None if there is none yet."""
    known = _read_run_file(run_dir)
    return None if known is None else known["settings"]


def made_with(workers: int) -> dict[str, Any]:
    """What a run's numbers may depend on besides its settings, to be named if they change."""
    packages = ("gym-cnnarch", "numpy", "torch")
    return {
        **{package: importlib.metadata.version(package) for package in packages},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "workers": workers,
    }


def _open_known(path: Path, run: str) -> Store:
    """The store that a run was begun in; never a new one in its place."""
    if not path.expanduser().is_file():
        raise InvalidInput(
            f"The store {path} of this run is gone: put it back, or name another run directory to "
            f"begin anew."
        )
    store = Store(path)
    if store.find_run(run) is None:
        raise InvalidInput(
            f"The store {path} does not hold this run: put the right one back, or name another run "
            f"directory to begin anew."
        )
    return store


def _read_run_file(run_dir: Path) -> dict[str, Any] | None:
    path = run_dir / RUN_FILE
    if not path.is_file():
        return None
    try:
        known: dict[str, Any] = json.loads(path.read_text())
        if {"store", "run", "settings"} <= known.keys():
            return known
    except (ValueError, AttributeError):
        pass
    raise InvalidInput(f"{path} does not describe a run: restore it, or name another folder.")


def _write_run_file(run_dir: Path, content: dict[str, Any]) -> None:
    """Writes beside the file and renames, so that no half-written file is ever found."""
    run_dir.mkdir(parents=True, exist_ok=True)
    unfinished = run_dir / _unfinished(RUN_FILE)
    with unfinished.open("w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(run_dir / RUN_FILE)


def _unfinished(name: str) -> str:
    return f"{name}.unfinished"


def _store_path(run_dir: Path, known: Mapping[str, Any]) -> Path:
    return (run_dir / str(known["store"])).resolve()


def _check_same_run(run_dir: Path, recorded: dict[str, Any], asked: dict[str, Any]) -> None:
    changes = [
        f"{name} is {recorded.get(name)!r} there and {value!r} here"
        for name, value in asked.items()
        if recorded.get(name) != value
    ]
    if changes:
        raise InvalidInput(
            f"{run_dir} belongs to another search ({'; '.join(changes)}): name another run "
            f"directory, or repeat its settings to continue it."
        )


def describe(
    env: CNNArchEnv, agent: dict[str, Any], seed: int, budget: int, lookahead: int = 1
) -> RunSettings:
    """The settings of a run on an environment that was made by its id."""
    assert env.spec is not None
    kwargs = env.spec.kwargs
    if env.evaluator is None:
        raise InvalidInput(f"{env.spec.id} has no evaluator: a search needs one.")
    return RunSettings(
        env=env.spec.id,
        search_space=asdict(env.search_space),
        observe_size=env.observe_size,
        task=env.evaluator.task,
        recipe=kwargs.get("recipe"),
        reward=kwargs.get("reward", "accuracy"),
        failure_reward=kwargs.get("failure_reward", 0.0),
        evaluation_seed=env.evaluation_seed,
        agent=agent,
        seed=seed,
        budget=min(budget, env.search_space.count()),
        lookahead=lookahead,
    )


def find_spec(env_id: str) -> EnvSpec:
    """The registered specification of an environment that designs networks.

    Raises:
        InvalidInput: If there is no such id, or it is another kind of environment.
    """
    try:
        spec = gym.spec(env_id)
    except gym.error.Error as error:
        raise InvalidInput(f"No environment {env_id!r}: {error}") from error
    creator: Any = spec.entry_point
    if isinstance(creator, str):
        creator = load_env_creator(creator)
    if not (isinstance(creator, type) and issubclass(creator, CNNArchEnv)):
        raise InvalidInput(
            f"{env_id} does not design networks: expected one like CNNArch-Digits-v0."
        )
    return spec


def make_env(env_id: str, **kwargs: Any) -> CNNArchEnv:
    """The unwrapped environment of an id.

    Raises:
        InvalidInput: If there is no such environment, or an argument cannot be used.
    """
    env = gym.make(find_spec(env_id), **kwargs).unwrapped
    assert isinstance(env, CNNArchEnv), "find_spec sees to that"
    return env
