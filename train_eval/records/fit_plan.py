"""The file ``fit.json``: what ``fit`` was given, and decided of the final training."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_cnnarch import InvalidInput
from gym_cnnarch.files import replace_json
from train_eval.records.plain import field

FIT_FILE = "fit.json"
"""In the run's folder, from the beginning of its search."""

_GIVEN: dict[str, tuple[type, ...]] = {
    "dataset": (str,),
    "data_root": (str, type(None)),
    "device": (str, type(None)),
    "hours": (int, float),
    "recipe": (dict,),
    "search_space": (dict,),
    "seed": (int,),
    "workers": (int, type(None)),
}


@dataclass(frozen=True)
class FitPlan:
    """What a fit was given, and what is left to do when its search is over.

    Attributes:
        given: The arguments of ``fit``, as plain data.
        recipe: Settings of the final training; None while the search goes on.
        networks: Number of networks that it trains.
    """

    given: dict[str, Any]
    recipe: dict[str, Any] | None = None
    networks: int = 0

    def save(self, run_dir: Path) -> None:
        """Writes the file."""
        replace_json(run_dir / FIT_FILE, vars(self))

    @classmethod
    def load(cls, run_dir: Path) -> "FitPlan | None":
        """The plan in a run's folder, None if there is none yet.

        Raises:
            InvalidInput: If the file is damaged.
        """
        path = run_dir / FIT_FILE
        if not path.is_file():
            return None
        try:
            plain = json.loads(path.read_text())
            given = field(plain, "given", dict)
            for name, types in _GIVEN.items():
                field(given, name, *types)
            recipe = field(plain, "recipe", dict, type(None))
            return cls(given, recipe, field(plain, "networks", int))
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise InvalidInput(
                f"{path} does not hold what the final training is to be ({error!r}): remove it."
            ) from error
