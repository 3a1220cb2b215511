"""How long each layer of a space takes on a machine: the table behind the limit ``max_latency``."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.space.architecture import Architecture, Layer
from gym_cnnarch.space.shapes import Shape, layer_shapes

NANOSECONDS = 10**6
"""Of a millisecond. Layers count in whole nanoseconds, so that sums of them are exact."""

_KEYS = {"input_shape": list, "conditions": dict, "check": dict, "nanoseconds": dict}


@dataclass(frozen=True)
class LayerLatencies:
    """Measured layers, each with the shape of what it reads; ``cnnarch layers`` measures them.

    All of it is one text, so that a space that holds it is compared and hashed as fast as ever.

    Attributes:
        text: The content as JSON, sorted: equal contents are equal, wherever the file was.

    Raises:
        InvalidInput: If the text is something else.
    """

    text: str

    def __post_init__(self) -> None:
        try:
            plain = json.loads(self.text)
            if not isinstance(plain, dict) or set(plain) != set(_KEYS):
                raise ValueError(f"expected an object of {', '.join(_KEYS)}")
            for name, kind in _KEYS.items():
                if not isinstance(plain[name], kind):
                    raise ValueError(f"{name} must be {kind.__name__}, but is {plain[name]!r:.80}")
            for shape, layers in plain["nanoseconds"].items():
                for layer, taken in layers.items():
                    if type(taken) is not int or not 0 < taken < 2**53:
                        raise ValueError(f"{layer} on {shape} takes {taken!r:.80} nanoseconds")
        except (ValueError, AttributeError, RecursionError) as error:
            raise InvalidInput(
                f"These are no latencies of layers ({error}): measure them with cnnarch layers."
            ) from error

    @classmethod
    def from_spec(cls, spec: Any) -> "LayerLatencies":
        """Latencies of a file, or of its content as plain data.

        Raises:
            InvalidInput: If there is no such file, or it holds something else.
        """
        if isinstance(spec, cls):
            return spec
        if isinstance(spec, str | Path):
            try:
                spec = json.loads(Path(spec).expanduser().read_text())
            except (OSError, ValueError, RecursionError) as error:
                raise InvalidInput(
                    f"No latencies of layers can be read from {spec} ({error}): measure them with "
                    f"cnnarch layers."
                ) from error
        try:
            return cls(json.dumps(spec, sort_keys=True, separators=(",", ":")))
        except (TypeError, ValueError, RecursionError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(
                f"Latencies of layers are a file of cnnarch layers, or its content as plain data, "
                f"but came as {spec!r:.80}."
            ) from error

    def as_json(self) -> dict[str, Any]:
        """The content as plain data."""
        plain: dict[str, Any] = json.loads(self.text)
        return plain

    def __str__(self) -> str:
        conditions = self._plain["conditions"]
        device = conditions.get("device")
        where = conditions.get("processor") if device == "cpu" else device
        count = sum(map(len, self._plain["nanoseconds"].values()))
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:8]
        return f"{count:,} layers measured on {where} ({digest})"

    def of(self, layer: Layer, shape: Shape) -> int:
        """Nanoseconds of a layer that reads ``shape``.

        Raises:
            InvalidInput: If it was not measured.
        """
        found: int | None = self._plain["nanoseconds"].get(key_of(shape), {}).get(str(layer))
        if found is None:
            raise InvalidInput(
                f"The latencies lack {layer} on {key_of(shape)}: measure the layers of this space "
                f"with cnnarch layers."
            )
        return found

    def of_network(self, architecture: Architecture) -> int:
        """Nanoseconds of all layers together.

        Raises:
            InvalidInput: If one of them was not measured.
        """
        shapes = (self.input_shape, *layer_shapes(architecture.layers, self.input_shape))
        return sum(map(self.of, architecture.layers, shapes))

    @property
    def input_shape(self) -> Shape:
        """(channels, n, n) of the images for which layers were measured."""
        return tuple(self._plain["input_shape"])

    @cached_property
    def _plain(self) -> dict[str, Any]:
        return self.as_json()


def key_of(shape: Shape) -> str:
    """A shape in the table: 3x32x32."""
    return "x".join(map(str, shape))


def in_brief(plain: Any) -> Any:
    """Plain data to be read by people: with some words where it holds latencies of layers."""
    if not isinstance(plain, Mapping):
        return plain
    return {
        name: str(LayerLatencies.from_spec(value))
        if name == "latencies" and isinstance(value, Mapping)
        else in_brief(value)
        for name, value in plain.items()
    }
