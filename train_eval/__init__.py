"""Training, storing and searching; ``load_network`` opens what a search ended with."""

from typing import Any

__all__ = ["load_network"]


def __getattr__(name: str) -> Any:
    """Imports torch only when it is needed."""
    if name == "load_network":
        from train_eval.trained import load_network

        return load_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
