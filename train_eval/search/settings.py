"""The settings of a search: what its course will depend on."""

import math
from typing import Any

from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv
from train_eval.records.run_settings import RunSettings


def run_settings(
    env: CNNArchEnv,
    agent: dict[str, Any],
    seed: int,
    budget: int,
    lookahead: int = 1,
    env_id: str | None = None,
    stopping: dict[str, Any] | None = None,
) -> RunSettings:
    """The settings of a run on an environment that was made by its id.

    Args:
        env: The environment.
        agent: The agent's name and settings.
        seed: The agent's seed.
        budget: Number of unique networks, at most all of the space.
        lookahead: See ``RunSettings``.
        env_id: What makes the environment anew; None for its id.
        stopping: See ``RunSettings``.

    Raises:
        InvalidInput: If the environment has no evaluator, or observations that are no arrays.
    """
    if env.spec is None or env.evaluator is None:
        raise InvalidInput("A search needs an environment with an id and an evaluator.")
    if env.observation == "dict":
        raise InvalidInput(
            "Agents of a search read arrays: observation='multidiscrete' or 'onehot'."
        )
    kwargs = env.spec.kwargs
    return RunSettings(
        env=env_id or env.spec.id,
        search_space=env.search_space.as_spec(),
        observe_size=env.observe_size,
        task=env.evaluator.task,
        recipe=kwargs.get("recipe"),
        reward=kwargs.get("reward", "accuracy"),
        failure_reward=kwargs.get("failure_reward", 0.0),
        evaluation_seed=env.evaluation_seed,
        agent=agent,
        seed=seed,
        budget=env.search_space.count_up_to(budget),
        lookahead=lookahead,
        stopping=stopping,
        observe_budget=env.observe_budget,
        observation=env.observation,
    )


def default_lookahead(workers: int, budget: int) -> int:
    """The lookahead for a number of workers: the paper's 1 for one, else 8 per worker.

    But at most a quarter of the budget, since far beyond it the agent learns too late; workers then
    idle. Chosen by benchmarks/simulate_lookahead.py: see docs/large_searches.md.
    """
    return 1 if workers == 1 else min(8 * workers, max(1, budget // 4))


def check_hours(hours: float) -> None:
    """Refuses a time that is none.

    Raises:
        InvalidInput: If it is not positive and finite.
    """
    if not 0 < hours < math.inf:
        raise InvalidInput(f"hours must be more than 0, and a finite number, but is {hours:g}.")
