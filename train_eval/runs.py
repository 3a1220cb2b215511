"""What identifies a run, and its folder."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from agents import PAPER_SCHEDULE, Agent, EpsilonSchedule, MetaQNN, RandomWalk
from gym_cnnarch import Evaluator, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from train_eval.store import Store

CARD = "run.json"
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


def default_lookahead(workers: int) -> int:
    """The lookahead for a number of workers: the paper's 1 for one, else 8 a worker.

    Chosen by benchmarks/simulate_lookahead.py: see docs/large_searches.md.
    """
    return 1 if workers == 1 else 8 * workers


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
    run_dir: Path, settings: RunSettings, store_path: Path | None = None
) -> tuple[Store, str]:
    """The store and name of a run, begun now or before.

    Args:
        run_dir: The run's folder.
        settings: The run's settings.
        store_path: A store to share with other runs; None for one in the folder.

    Raises:
        InvalidInput: If the folder belongs to another run; the message names what differs.
        StoreError: If the store cannot be opened.
    """
    card = _read_card(run_dir)
    path = store_path or run_dir / STORE
    if card is not None:
        _check_same_run(run_dir, card["settings"], settings.as_json())
        if store_path is not None and store_path.resolve() != _store_path(run_dir, card):
            raise InvalidInput(
                f"{run_dir} keeps its results in {_store_path(run_dir, card)}, "
                f"not in {store_path}: "
                f"leave the store out, or name another run directory."
            )
        path = _store_path(run_dir, card)
    elif run_dir.exists() and (not run_dir.is_dir() or any(run_dir.iterdir())):
        raise InvalidInput(
            f"{run_dir} exists and holds no run of gym-cnnarch: name a new or an empty folder."
        )
    store = Store(path)
    store.add_run(settings.run, settings.as_json())
    if card is None:
        location = str(store_path.resolve()) if store_path else STORE
        _write_card(
            run_dir, {"store": location, "run": settings.run, "settings": settings.as_json()}
        )
    return store, settings.run


def find_run(run_dir: Path) -> tuple[Store, str, dict[str, Any]]:
    """The store, name and settings of an existing run.

    Raises:
        InvalidInput: If the folder holds no run, or its store is gone.
    """
    card = _read_card(run_dir)
    if card is None:
        raise InvalidInput(f"{run_dir} holds no run: expected the --run-dir of a search.")
    path = _store_path(run_dir, card)
    if not path.is_file():
        raise InvalidInput(f"The store {path} of the run in {run_dir} is gone: put it back.")
    return Store(path), card["run"], card["settings"]


def recorded_settings(run_dir: Path) -> dict[str, Any] | None:
    """The settings of the run in a folder, None if there is none yet."""
    card = _read_card(run_dir)
    return None if card is None else card["settings"]


def _read_card(run_dir: Path) -> dict[str, Any] | None:
    path = run_dir / CARD
    if not path.is_file():
        return None
    try:
        card: dict[str, Any] = json.loads(path.read_text())
        if {"store", "run", "settings"} <= card.keys():
            return card
    except ValueError:
        pass
    raise InvalidInput(f"{path} does not describe a run: restore it, or name another folder.")


def _write_card(run_dir: Path, card: dict[str, Any]) -> None:
    """Writes beside the file and renames, so that no half-written card is ever found."""
    run_dir.mkdir(parents=True, exist_ok=True)
    draft = run_dir / f"{CARD}.draft"
    draft.write_text(json.dumps(card, indent=2) + "\n")
    draft.replace(run_dir / CARD)


def _store_path(run_dir: Path, card: Mapping[str, Any]) -> Path:
    return (run_dir / str(card["store"])).resolve()


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
    env_id: str, env: CNNArchEnv, evaluator: Evaluator, agent: dict[str, Any], **rest: Any
) -> RunSettings:
    """The settings of a run on an environment that was made by its id."""
    kwargs = env.spec.kwargs if env.spec else {}
    return RunSettings(
        env=env_id,
        search_space=asdict(env.search_space),
        observe_size=env.observe_size,
        task=evaluator.task,
        recipe=kwargs.get("recipe"),
        reward=kwargs.get("reward", "accuracy"),
        failure_reward=kwargs.get("failure_reward", 0.0),
        evaluation_seed=env.evaluation_seed,
        agent=agent,
        **rest,
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
