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
    given: dict[str, Any] = {"rule": settings} if isinstance(settings, str) else dict(settings)
    name = given.pop("rule", None)
    if name not in RULES:
        raise InvalidInput(f"No rule {name!r} stops trainings early: there are {', '.join(RULES)}.")
    if isinstance(given.get("rungs"), list):  # as JSON gives it back
        given["rungs"] = tuple(given["rungs"])
    try:
        return RULES[name](**given)
    except TypeError as error:
        raise InvalidInput(f"The rule {name} cannot have {given}: {error}.") from error


def rule_settings(rule: Prediction | Halving) -> dict[str, Any]:
    """A rule as plain data: its name and all settings, equal rules alike."""
    (name,) = (name for name, kind in RULES.items() if isinstance(rule, kind))
    settings = dataclasses.asdict(rule)
    for each in dataclasses.fields(rule):
        if each.type is float:  # 3 is written as 3.0
            settings[each.name] = float(settings[each.name])
    return {"rule": name, **settings}
