"""The settings that a run depends on, and what is made of them."""

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv

if TYPE_CHECKING:
    from train_eval.training.evaluator import TrainingEvaluator


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


def default_lookahead(workers: int, budget: int) -> int:
    """The lookahead for a number of workers: the paper's 1 for one, else 8 a worker.

    But at most a quarter of the budget, since far beyond it the agent learns too late; workers then
    idle.
    Chosen by benchmarks/simulate_lookahead.py: see docs/large_searches.md.
    """
    return 1 if workers == 1 else min(8 * workers, max(1, budget // 4))


def absolute_path(place: str | Path) -> str:
    """The same file or folder, wherever it is asked for."""
    return str(Path(place).expanduser().resolve())


def absolute_dataset(dataset: str) -> str:
    """``folder:DATA`` or ``npz:FILE`` with an absolute path; other names as they are."""
    kind, separator, place = dataset.partition(":")
    return f"{kind}:{absolute_path(place)}" if separator else dataset


def find_spec(env_id: str) -> EnvSpec:
    """The registered specification of an environment that designs networks.

    Raises:
        InvalidInput: If there is no such id, or it is another kind of environment.
    """
    try:
        spec = gym.spec(env_id)
        creator: Any = spec.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
    except (gym.error.Error, ImportError) as error:
        raise InvalidInput(f"No environment {env_id!r}: {error}") from error
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


def training_evaluator(env: CNNArchEnv) -> "TrainingEvaluator | None":
    """The environment's evaluator if it trains networks, else None.

    To ask does not import torch: an evaluator that trains has imported it.
    """
    if "train_eval.training.evaluator" not in sys.modules:
        return None
    from train_eval.training.evaluator import TrainingEvaluator

    return env.evaluator if isinstance(env.evaluator, TrainingEvaluator) else None
