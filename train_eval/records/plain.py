"""Plain data as it is read: of the types that are expected, or refused."""

import json
from collections.abc import Mapping
from typing import Any


def field(plain: Any, name: str, *types: type) -> Any:
    """A value of a JSON object.

    Args:
        plain: The object.
        name: The value's name; it may be missing where None is among the types.
        types: Those that it may have, ``type(None)`` for None; True is no number.

    Raises:
        ValueError: If it has none of them, or there is no object.
    """
    if not isinstance(plain, Mapping):
        raise ValueError(f"expected an object with {name}, but came {plain!r:.80}")
    if name not in plain and type(None) not in types:
        raise ValueError(f"{name} is missing")
    value = plain.get(name)
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        expected = " or ".join(kind.__name__ for kind in types)
        raise ValueError(f"{name} must be {expected}, but is {value!r:.80}")
    return value


def as_read_back(plain: dict[str, Any]) -> dict[str, Any]:
    """Plain data as a JSON file gives it back: with lists where Python has tuples."""
    read: dict[str, Any] = json.loads(json.dumps(plain))
    return read


def items(plain: Any, name: str, *types: type) -> list[Any]:
    """The values of a list in a JSON object, each of one of the types; none if there is no list.

    Raises:
        ValueError: If it is no list, or one has another type.
    """
    values = field(plain, name, list, type(None)) or []
    return [field({name: value}, name, *types) for value in values]
