"""Rules by their names, and as plain data."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from gym_cnnarch import InvalidInput
from train_eval.training.stopping.halving import Halving
from train_eval.training.stopping.prediction import Prediction

RULES: dict[str, type[Prediction] | type[Halving]] = {
    "prediction": Prediction,
    "halving": Halving,
}


def make_rule(settings: str | Mapping[str, Any]) -> Prediction | Halving:
    """The rule of a name, or of what ``rule_settings`` gives.

    Raises:
        InvalidInput: If there is no such rule, or a setting cannot be used.
    """
    given = {"rule": settings} if isinstance(settings, str) else dict(settings)
    name = given.pop("rule", None)
    if name not in RULES:
        raise InvalidInput(f"No rule {name!r} stops trainings early: there are {', '.join(RULES)}.")
    try:
        return RULES[name](**given)
    except TypeError as error:
        raise InvalidInput(f"The rule {name} cannot have {given}: {error}.") from error


def rule_settings(rule: Prediction | Halving) -> dict[str, Any]:
    """A rule as plain data: its name and all settings."""
    (name,) = (name for name, kind in RULES.items() if isinstance(rule, kind))
    return {"rule": name, **dataclasses.asdict(rule)}
