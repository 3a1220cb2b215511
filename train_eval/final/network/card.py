"""The JSON card of a trained network: what is known of it, checked when it is read."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from gym_cnnarch import InvalidInput
from gym_cnnarch.image_size import side_of
from train_eval.records.plain import field, items

FORMAT = 1
"""Version of the card."""

_LARGEST = 4096  # pixels, the side of an image
_SEAL = "card_sha256"


def sealed(card: dict[str, Any]) -> dict[str, Any]:
    """The card with its checksum last."""
    content = {name: value for name, value in card.items() if name != _SEAL}
    return {**content, _SEAL: _checksum(content)}


def read_card(path: Path) -> dict[str, Any]:
    """Reads a card and checks that a network can be made of it.

    Raises:
        InvalidInput: If there is none, or it is damaged or of a newer version.
    """
    try:
        card: dict[str, Any] = json.loads(path.read_text())
        if field(card, "format", int) > FORMAT:
            raise InvalidInput(f"{path} was written by a newer version of gym-cnnarch: upgrade it.")
        _check(card)
    except InvalidInput:
        raise
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no card {path}: expected a finalized network.") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(f"The card {path} is damaged: {error}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{path} is not the card of a network ({error}): get it anew."
        ) from error
    return card


def check_unchanged(card: dict[str, Any], path: Path) -> None:
    """Compares a card with its checksum, which cards of older versions do not have.

    Raises:
        InvalidInput: If it was changed.
    """
    content = {name: value for name, value in card.items() if name != _SEAL}
    if _SEAL in card and card[_SEAL] != _checksum(content):
        raise InvalidInput(
            f"The card {path} is not as it was written: get it anew, or take {_SEAL} out of it if "
            f"you have changed it yourself."
        )


def _check(card: dict[str, Any]) -> None:
    """Checks types and ranges.

    Raises:
        ValueError: If one is wrong; the message names it.
    """
    field(card, "architecture", str)
    field(card, "weights_sha256", str)
    field(card, "dropout", bool)
    channels, *sides = items(card, "input_shape", int)
    if channels not in (1, 3) or len(sides) != 2 or sides[0] != sides[1]:
        raise ValueError(f"input_shape must be [1 or 3, n, n], but is {card['input_shape']}")
    if not 0 < sides[0] <= _LARGEST:
        raise ValueError(f"images must be of 1 to {_LARGEST} pixels a side, not {sides[0]}")
    size = field(card, "image_size", int, str, type(None))
    if size is not None and side_of(size) != sides[0]:
        raise ValueError(f"image_size must be {sides[0]}, but is {card['image_size']}")
    if len(items(card, "class_names", str)) < 2:
        raise ValueError("class_names must be those of 2 classes or more")
    normalisation = field(card, "normalisation", dict)
    if field(normalisation, "kind", str) == "contrast":
        return
    for name in ("mean", "std"):
        numbers = items(normalisation, name, int, float)
        if len(numbers) != channels or not all(map(math.isfinite, numbers)):
            raise ValueError(f"{name} must be a number a channel, but is {numbers}")
    if normalisation["kind"] != "channels" or min(normalisation["std"]) <= 0:
        raise ValueError(f"normalisation cannot be {normalisation}")


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
