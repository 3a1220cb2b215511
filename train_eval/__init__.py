"""Training, storing and searching; ``load_network`` opens what a search ended with."""

import importlib
from typing import Any

__all__ = ["SurrogateEvaluator", "TrainingEvaluator", "load_network"]

_HOMES = {
    "SurrogateEvaluator": "train_eval.training.surrogate",
    "TrainingEvaluator": "train_eval.training.evaluator",
    "load_network": "train_eval.final.trained_network",
}


def __getattr__(name: str) -> Any:
    """Imports torch and scikit-learn only when they are needed."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
