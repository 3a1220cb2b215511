"""Agents by name, with their settings as plain data."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agents import (
    NSGA2,
    PAPER_SCHEDULE,
    TPE,
    Agent,
    EpsilonSchedule,
    GuidedEvolution,
    LocalSearch,
    MetaQNN,
    ParetoQ,
    RandomWalk,
    RegularizedEvolution,
    Reinforce,
    ThompsonSampling,
    Uniform,
)
from gym_cnnarch import Architecture, InvalidInput, SearchSpace
from gym_cnnarch.mdp import ActionSequences
from gym_cnnarch.rewards.evaluation import import_object

SB3_PREFIX = "sb3:"
"""Of the name of an algorithm of Stable-Baselines3, such as ``sb3:PPO``."""

AGENTS: dict[str, type] = {
    "metaqnn": MetaQNN,
    "random_walk": RandomWalk,
    "uniform": Uniform,
    "evolution": RegularizedEvolution,
    "guided_evolution": GuidedEvolution,
    "local_search": LocalSearch,
    "reinforce": Reinforce,
    "thompson": ThompsonSampling,
    "tpe": TPE,
    "nsga2": NSGA2,
    "pareto_q": ParetoQ,
}
"""The agents of this project by name."""

FRONT_AGENTS = tuple(name for name, agent in AGENTS.items() if hasattr(agent, "vector_rewards"))
"""Those that learn from several objectives, or learn nothing."""


def _defaults(name: str, budget: int) -> dict[str, Any]:
    return {"name": name}


LABELS: dict[str, Callable[[int], dict[str, Any]]] = {
    **{name: partial(_defaults, name) for name in AGENTS},
    "metaqnn": lambda budget: metaqnn_settings(budget)[0],
    "metaqnn-paper": lambda budget: metaqnn_settings(budget, alpha=0.01)[0],
    "metaqnn-returns": lambda budget: {**metaqnn_settings(budget)[0], "trace_decay": 1.0},
    "metaqnn-exact": lambda budget: {**metaqnn_settings(budget)[0], "observe_size": "exact"},
    "ppo": lambda budget: {"name": f"{SB3_PREFIX}PPO"},
    "maskable_ppo": lambda budget: {"name": f"{SB3_PREFIX}MaskablePPO"},
    "a2c": lambda budget: {"name": f"{SB3_PREFIX}A2C"},
    "dqn": lambda budget: {"name": f"{SB3_PREFIX}DQN"},
}
"""Names of agents in benchmarks -> their settings for a budget of unique networks.

``metaqnn-paper`` keeps the paper's learning rate for a shorter schedule, ``metaqnn-returns`` learns
Monte-Carlo returns, ``metaqnn-exact`` sees the representation size itself."""


def benchmark_settings(label: str, budget: int) -> dict[str, Any]:
    """The settings of an agent as benchmarks name it; any other label is the agent's own name."""
    return LABELS[label](budget) if label in LABELS else {"name": label}


def default_agent(vector: bool) -> str:
    """The agent of a search that names none."""
    return "nsga2" if vector else "metaqnn"


def search_settings(name: str, budget: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a search's agent in full.

    Args:
        name: The agent's name, see ``make_agent``.
        budget: Number of unique networks.
        given: The agent's settings; those of MetaQNN that are not given follow from the budget.
    """
    if name != "metaqnn":
        return {"name": name, **given}
    derived = {key: given[key] for key in ("alpha", "replay", "schedule") if key in given}
    return {**given, **metaqnn_settings(budget, **derived)[0]}


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


def as_schedule(given: Any) -> EpsilonSchedule:
    """An epsilon schedule from its phases too, (epsilon, networks) each, as a run records them.

    Raises:
        InvalidInput: If it is none.
    """
    if isinstance(given, EpsilonSchedule):
        return given
    try:
        return EpsilonSchedule(tuple((epsilon, models) for epsilon, models in given))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"A schedule is a list like [[1.0, 80], [0.1, 30]], epsilon and networks, not "
            f"{given!r}: {error}"
        ) from error


def find_agent(name: str, vector: bool = False) -> Any:
    """The class of an agent.

    Args:
        name: One of ``AGENTS``, or ``module:class``.
        vector: Whether it is to learn from vector rewards.

    Raises:
        InvalidInput: If there is no such agent, or it learns from one number alone.
    """
    is_ours = ":" not in name or name.startswith(SB3_PREFIX)
    found = AGENTS.get(name) if is_ours else import_object(name)
    if found is None and not (vector and name.startswith(SB3_PREFIX)):
        raise InvalidInput(
            f"No agent {name!r}: expected {', '.join(AGENTS)} or one's own, 'module:class'."
        )
    if vector:
        check_takes_vectors(name, found)
    return found


def check_takes_vectors(name: str, agent: Any) -> None:
    """Refuses an agent, or its class, that learns from one number alone.

    Raises:
        InvalidInput: If it is one.
    """
    if not getattr(agent, "vector_rewards", False):
        raise InvalidInput(
            f"The agent {name} does not learn from several objectives: choose "
            f"{', '.join(FRONT_AGENTS)}, or one of your own with vector_rewards = True."
        )


def make_agent(
    settings: Mapping[str, Any], space: SearchSpace, seed: int, vector: bool = False
) -> Agent:
    """The agent that the settings name.

    Args:
        settings: ``name``, one of ``AGENTS`` or ``module:class``, and keyword arguments.
        space: The search space; an agent that has an argument ``sequences`` is given its action
            sequences.
        seed: The agent's seed.
        vector: Whether it is to learn from vector rewards.

    Raises:
        InvalidInput: If there is no such agent, or it cannot take the settings or the rewards.
    """
    arguments = dict(settings)
    name = arguments.pop("name")
    make = find_agent(name, vector)
    try:
        if isinstance(arguments.get("schedule"), list | tuple):
            arguments["schedule"] = as_schedule(arguments["schedule"])
        if "sequences" in inspect.signature(make).parameters:
            sequences = arguments["sequences"] = ActionSequences(space)
            if name == "local_search":
                texts = arguments.get("networks", ())
                arguments["networks"] = tuple(sequences.of(Architecture.parse(t)) for t in texts)
        agent: Agent = make(len(space.actions), seed, **arguments)
    except (TypeError, ValueError) as error:
        given = {key: value for key, value in settings.items() if key != "name"}
        raise InvalidInput(f"The agent {name} cannot take {given}: {error}") from error
    for method in ("act", "learn"):
        if not callable(getattr(agent, method, None)):
            raise InvalidInput(f"{name} is no agent: it has no method {method}.")
    return agent
