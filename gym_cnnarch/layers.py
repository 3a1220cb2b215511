"""The five layer types of the paper's Table 1, as immutable values."""

from dataclasses import dataclass


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
