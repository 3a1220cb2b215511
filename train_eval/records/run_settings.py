"""The settings that the course of a run depends on."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gym_cnnarch import SearchSpace
from gym_cnnarch.mdp import ObserveSize
from gym_cnnarch.observation import ObservationKind
from train_eval.records.plain import field

_TYPES: dict[str, tuple[type, ...]] = {
    "env": (str,),
    "search_space": (dict,),
    "observe_size": (str,),
    "task": (str,),
    "reward": (str, dict, list),
    "failure_reward": (int, float),
    "evaluation_seed": (int,),
    "agent": (dict,),
    "seed": (int,),
    "budget": (int,),
    "lookahead": (int,),
    "stopping": (dict, type(None)),
    "observe_budget": (bool,),
    "observation": (str,),
}  # in JSON


@dataclass(frozen=True)
class RunSettings:
    """Everything that the course of a run depends on; equal settings are the same run.

    Attributes:
        env: The environment's id.
        search_space: Its limits.
        observe_size: What the agent sees of the representation size.
        task: The evaluator's task: data, split and recipe.
        recipe: The recipe as it was asked for, to be read by people.
        reward: The reward as plain data: a list of objectives makes it a vector.
        failure_reward: The reward of a failed evaluation.
        evaluation_seed: Seed of the evaluations.
        agent: The agent's name and settings.
        seed: The agent's seed.
        budget: Number of unique networks.
        lookahead: The agent acts at episode t having learned the episodes up to t - lookahead.
        stopping: The rule that ends trainings early, and its settings; None for none.
        observe_budget: Whether the agent sees what is spent of each limit.
        observation: In which form it sees all this.
    """

    env: str
    search_space: dict[str, Any]
    observe_size: ObserveSize
    task: str
    recipe: Any
    reward: Any
    failure_reward: float
    evaluation_seed: int
    agent: dict[str, Any]
    seed: int
    budget: int
    lookahead: int
    stopping: dict[str, Any] | None = None
    observe_budget: bool = False
    observation: ObservationKind = "multidiscrete"

    def as_json(self) -> dict[str, Any]:
        """Plain data; lists where Python has tuples.

        Defaults are left out, so that a setting added later renames no older run.
        """
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        defaults = {each.name: each.default for each in dataclasses.fields(self)}
        return {name: value for name, value in plain.items() if value != defaults[name]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "RunSettings":
        """The inverse of ``as_json``; what a newer version has added is left out.

        Raises:
            ValueError: If it does not describe a run.
        """
        fields = dataclasses.fields(cls)
        needed = [each.name for each in fields if each.default is dataclasses.MISSING]
        if missing := [name for name in needed if name not in plain]:
            raise ValueError(f"the run's settings lack {', '.join(missing)}")
        names = [each.name for each in fields if each.name in plain]
        settings = cls(
            **{
                name: field(plain, name, *_TYPES[name]) if name in _TYPES else plain[name]
                for name in names
            }
        )
        field(settings.agent, "name", str)
        return settings

    @property
    def run(self) -> str:
        """The run's name in the store: a hash of the settings."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def space(self) -> SearchSpace:
        """The search space of the limits."""
        return SearchSpace.from_spec(self.search_space)
