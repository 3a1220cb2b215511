"""The settings that a run depends on, and what is made of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from agents import PAPER_SCHEDULE, Agent, EpsilonSchedule, MetaQNN, RandomWalk
from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv


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


def default_alpha(budget: int) -> float:
    """The Q-learning rate for a budget of unique networks.

    The paper's 0.01 for its 2,700 networks or more; shorter schedules move further a step, alpha
    times the budget staying at 27, up to 0.1.
    """
    return max(0.01, min(0.1, PAPER_SCHEDULE.total * 0.01 / budget))


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
