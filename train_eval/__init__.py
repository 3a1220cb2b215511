"""Training, storing and searching.

``run_search`` searches, ``Run`` is what a search leaves behind, ``load_network`` opens a network
that ``Run.finalize`` has trained, and ``fit`` does all of it in a given time.
"""

import importlib
from typing import Any

__all__ = [
    "Run",
    "SurrogateEvaluator",
    "Trainer",
    "TrainingEvaluator",
    "fit",
    "load_network",
    "run_search",
]

_HOMES = {
    "Run": "train_eval.run.run",
    "SurrogateEvaluator": "train_eval.training.surrogate",
    "Trainer": "train_eval.training.evaluator",
    "TrainingEvaluator": "train_eval.training.evaluator",
    "load_network": "train_eval.final.network.trained_network",
    "fit": "train_eval.run.fit",
    "run_search": "train_eval.run.search",
}


def __getattr__(name: str) -> Any:
    """Imports torch and scikit-learn only when they are needed."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
