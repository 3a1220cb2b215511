"""Layers (the paper's Table 1), architectures, and their canonical text, the paper's notation."""

import re
from dataclasses import dataclass

from gym_cnnarch.errors import InvalidInput


@dataclass(frozen=True)
class Conv:
    """Convolution with stride 1, same padding and ReLU: ``C(filters,receptive_field,1)``."""

    filters: int
    receptive_field: int

    def __str__(self) -> str:
        return f"C({self.filters},{self.receptive_field},1)"


@dataclass(frozen=True)
class Pool:
    """Max pooling without padding: ``P(receptive_field,stride)``."""

    receptive_field: int
    stride: int

    def __str__(self) -> str:
        return f"P({self.receptive_field},{self.stride})"


@dataclass(frozen=True)
class FullyConnected:
    """Fully connected layer with ReLU: ``FC(neurons)``."""

    neurons: int

    def __str__(self) -> str:
        return f"FC({self.neurons})"


@dataclass(frozen=True)
class GlobalAveragePool:
    """Terminator: global average pooling, then a linear classifier: ``GAP(classes)``."""

    classes: int

    def __str__(self) -> str:
        return f"GAP({self.classes})"


@dataclass(frozen=True)
class Softmax:
    """Terminator: flatten, then a linear classifier: ``SM(classes)``."""

    classes: int

    def __str__(self) -> str:
        return f"SM({self.classes})"


Terminator = GlobalAveragePool | Softmax
Layer = Conv | Pool | FullyConnected | Terminator

_TOKEN = re.compile(r"\s*([A-Za-z]+)\(([^()]*)\)\s*")
_ARGUMENTS = {
    "C": ("filters", "receptive field", "stride"),
    "P": ("receptive field", "stride"),
    "FC": ("neurons",),
    "GAP": ("classes",),
    "SM": ("classes",),
    "D": ("number", "total"),
}


@dataclass(frozen=True)
class Architecture:
    """A complete network: its layers in order, the last one and only the last a terminator.

    ``str(architecture)`` is the canonical text, such as ``[C(64,3,1), P(2,2), FC(128), SM(10)]``,
    and ``Architecture.parse`` its inverse.

    Raises:
        InvalidInput: If the terminator is missing or is not the last layer.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers or not isinstance(self.layers[-1], Terminator):
            last = f"ends with {self.layers[-1]}" if self.layers else "is empty"
            raise InvalidInput(f"An architecture must end with SM or GAP, but this one {last}.")
        for position, layer in enumerate(self.layers[:-1], start=1):
            if isinstance(layer, Terminator):
                raise InvalidInput(
                    f"{layer} ends a network, but it is layer {position} of {len(self.layers)}: "
                    f"remove it or what follows it."
                )

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.layers)) + "]"

    @classmethod
    def parse(cls, text: str) -> "Architecture":
        """Reads the paper's notation.

        The published code's files are read as well: dropout tokens ``D(i,n)`` are skipped, since a
        recipe places dropout, and ``GAP(10), SM(10)`` is one terminator, ``GAP(10)``.

        Raises:
            InvalidInput: If the text is not of that notation; the message names the token.
        """
        stripped = text.strip()
        if not (stripped.startswith("[") and stripped.endswith("]")):
            raise InvalidInput(
                f"Expected an architecture like [C(64,3,1), P(2,2), SM(10)], but came {text!r}."
            )
        tokens = [(name, arguments) for name, arguments in _tokens(stripped[1:-1]) if name != "D"]
        layers = [_layer(name, arguments) for name, arguments in tokens]
        if len(layers) > 1 and isinstance(layers[-1], Softmax):
            pooled = GlobalAveragePool(layers[-1].classes)
            layers = layers[:-1] if layers[-2] == pooled else layers
        return cls(tuple(layers))


def _tokens(body: str) -> list[tuple[str, list[int]]]:
    """Splits ``C(64,3,1), SM(10)`` into names and their integer arguments."""
    tokens = []
    position = 0
    while position < len(body):
        match = _TOKEN.match(body, position)
        if match is None:
            raise InvalidInput(
                f"Expected a layer such as C(64,3,1), P(2,2), FC(128), GAP(10) or SM(10) "
                f"at {body[position:]!r}."
            )
        token, name, arguments = match.group().strip(), match.group(1), match.group(2).split(",")
        if name not in _ARGUMENTS:
            raise InvalidInput(f"{token} is no layer: the layers are C, P, FC, GAP and SM.")
        expected = _ARGUMENTS[name]
        written = [re.fullmatch(r"\s*0*([1-9][0-9]{0,8})\s*", argument) for argument in arguments]
        numbers = [int(found[1]) for found in written if found]
        if len(arguments) != len(expected) or len(numbers) != len(expected):
            raise InvalidInput(
                f"{name} takes {', '.join(expected)}, positive and of at most 9 digits, "
                f"but came as {token}."
            )
        tokens.append((name, numbers))
        position = match.end()
        if position < len(body):
            if body[position] != "," or not body[position + 1 :].strip():
                raise InvalidInput(
                    f"Expected a comma and a layer after {token}, but came {body[position:]!r}."
                )
            position += 1
    return tokens


def _layer(name: str, arguments: list[int]) -> Layer:
    match name, arguments:
        case "C", [filters, receptive_field, 1]:
            return Conv(filters, receptive_field)
        case "C", [filters, receptive_field, stride]:
            raise InvalidInput(
                f"Convolutions have stride 1 (paper, Table 1), but C({filters},{receptive_field},"
                f"{stride}) has stride {stride}: write C({filters},{receptive_field},1)."
            )
        case "P", [receptive_field, stride]:
            return Pool(receptive_field, stride)
        case "FC", [neurons]:
            return FullyConnected(neurons)
        case "GAP", [classes]:
            return GlobalAveragePool(classes)
    return Softmax(arguments[0])
