"""Agents by name, with their settings as plain data."""

import inspect
from collections.abc import Mapping
from typing import Any

from agents import (
    PAPER_SCHEDULE,
    Agent,
    EpsilonSchedule,
    MetaQNN,
    RandomWalk,
    RegularizedEvolution,
    Reinforce,
    Uniform,
)
from gym_cnnarch import InvalidInput, SearchSpace
from gym_cnnarch.evaluation import import_object
from gym_cnnarch.mdp import ActionSequences

AGENTS: dict[str, type] = {
    "metaqnn": MetaQNN,
    "random_walk": RandomWalk,
    "uniform": Uniform,
    "evolution": RegularizedEvolution,
    "reinforce": Reinforce,
}


SB3_PREFIX = "sb3:"
"""Of the name of an algorithm of Stable-Baselines3, such as ``sb3:PPO``."""


def benchmark_settings(label: str, budget: int) -> dict[str, Any]:
    """The settings of an agent as benchmarks name it, for a budget of unique networks."""
    if label in ("metaqnn", "metaqnn-paper", "metaqnn-exact"):
        alpha = 0.01 if label == "metaqnn-paper" else None
        settings = metaqnn_settings(budget, alpha)[0]
        if label == "metaqnn-exact":
            settings["observe_size"] = "exact"
        return settings
    return {"name": _SB3_LABELS.get(label, label)}


_SB3_LABELS = {
    "ppo": "sb3:PPO",
    "maskable_ppo": "sb3:MaskablePPO",
    "a2c": "sb3:A2C",
    "dqn": "sb3:DQN",
}

LABELS = (*AGENTS, "metaqnn-paper", "metaqnn-exact", *_SB3_LABELS)
"""What benchmarks call the agents; ``metaqnn-paper`` keeps the paper's learning rate for a shorter
schedule, ``metaqnn-exact`` sees the representation size itself."""


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


def make_agent(settings: Mapping[str, Any], space: SearchSpace, seed: int) -> Agent:
    """The agent that the settings name.

    Args:
        settings: ``name``, one of ``AGENTS`` or ``module:class``, and keyword arguments.
        space: The search space; an agent that has an argument ``sequences`` is given its action
            sequences.
        seed: The agent's seed.

    Raises:
        InvalidInput: If there is no such agent, or it cannot take the settings.
    """
    arguments = dict(settings)
    name = arguments.pop("name")
    make = import_object(name) if ":" in name else AGENTS.get(name)
    if make is None:
        raise InvalidInput(
            f"No agent {name!r}: expected {', '.join(AGENTS)} or one's own, 'module:class'."
        )
    try:
        if "schedule" in arguments:
            phases = tuple((epsilon, models) for epsilon, models in arguments["schedule"])
            arguments["schedule"] = EpsilonSchedule(phases)
        if "sequences" in inspect.signature(make).parameters:
            arguments["sequences"] = ActionSequences(space)
        agent: Agent = make(len(space.actions), seed, **arguments)
    except (TypeError, ValueError) as error:
        given = {key: value for key, value in settings.items() if key != "name"}
        raise InvalidInput(f"The agent {name} cannot take {given}: {error}") from error
    for method in ("act", "learn"):
        if not callable(getattr(agent, method, None)):
            raise InvalidInput(f"{name} is no agent: it has no method {method}.")
    return agent
