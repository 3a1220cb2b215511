"""Sizes, parameters and multiply-accumulates of an architecture: plain arithmetic."""

import math
from collections.abc import Sequence

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.space.architecture import (
    Architecture,
    Conv,
    FullyConnected,
    GlobalAveragePool,
    Layer,
    Pool,
    Softmax,
)

Shape = tuple[int, ...]
"""(channels, height, width) of a feature map, or (features,) of a vector."""


def pooled_size(size: int, pool: Pool) -> int:
    """Side of the feature map after max pooling without padding (Dumoulin and Visin, 2016)."""
    return (size - pool.receptive_field) // pool.stride + 1


def layer_shapes(layers: Sequence[Layer], input_shape: Shape) -> tuple[Shape, ...]:
    """Output shape of each layer, for ``input_shape`` = (channels, height, width).

    Raises:
        InvalidInput: If a layer cannot follow the shape before it.
    """
    shapes: list[Shape] = []
    shape = tuple(input_shape)
    for layer in layers:
        shape = _output_shape(layer, shape)
        shapes.append(shape)
    return tuple(shapes)


def _output_shape(layer: Layer, shape: Shape) -> Shape:
    match layer, shape:
        case Conv(filters, _), (_, height, width):
            return (filters, height, width)
        case Pool(receptive_field, _), (channels, height, width) if receptive_field <= min(
            height, width
        ):
            return (channels, pooled_size(height, layer), pooled_size(width, layer))
        case FullyConnected(neurons), _:
            return (neurons,)
        case GlobalAveragePool(classes), (_, _, _):
            return (classes,)
        case Softmax(classes), _:
            return (classes,)
    raise InvalidInput(f"{layer} cannot follow a representation of shape {shape}.")


def _weights(layer: Layer, shape: Shape) -> int:
    """Number of weights, without biases, of a layer that reads ``shape``."""
    match layer:
        case Conv(filters, receptive_field):
            return filters * shape[0] * receptive_field**2
        case FullyConnected(neurons):
            return neurons * math.prod(shape)
        case GlobalAveragePool(classes):
            return classes * shape[0]
        case Softmax(classes):
            return classes * math.prod(shape)
    return 0


def _biases(layer: Layer) -> int:
    match layer:
        case (
            Conv(outputs, _)
            | FullyConnected(outputs)
            | GlobalAveragePool(outputs)
            | Softmax(outputs)
        ):
            return outputs
    return 0


def parameters_of(layer: Layer, shape: Shape) -> int:
    """Number of trainable parameters, biases included, of a layer that reads ``shape``."""
    return _weights(layer, shape) + _biases(layer)


def macs_of(layer: Layer, shape: Shape) -> int:
    """Multiply-accumulates, for one image, of a layer that reads ``shape``."""
    positions = math.prod(_output_shape(layer, shape)[1:])  # of a convolution; 1 if it is linear
    return _weights(layer, shape) * positions


def layer_parameters(
    layers: Sequence[Layer], input_shape: Shape, biases: bool = True
) -> tuple[int, ...]:
    """Number of trainable parameters of each layer."""
    inputs = (tuple(input_shape), *layer_shapes(layers, input_shape))
    return tuple(
        parameters_of(layer, shape) if biases else _weights(layer, shape)
        for layer, shape in zip(layers, inputs, strict=False)
    )


def count_parameters(
    architecture: Architecture, input_shape: Shape, biases: bool = True, classifier: bool = True
) -> int:
    """Number of trainable parameters.

    The paper's Table A1 counts weights alone, without the classifier: ``biases=False,
    classifier=False``.

    Args:
        architecture: The network.
        input_shape: (channels, height, width) of an image.
        biases: Whether biases count.
        classifier: Whether the terminator's linear layer counts.

    Raises:
        InvalidInput: If the architecture does not fit the input.
    """
    parameters = layer_parameters(architecture.layers, input_shape, biases)
    return sum(parameters if classifier else parameters[:-1])


def count_macs(architecture: Architecture, input_shape: Shape) -> int:
    """Multiply-accumulates of one forward pass of one image, classifier included.

    Convolutions and linear layers count; biases, ReLU and pooling do not.

    Raises:
        InvalidInput: If the architecture does not fit the input.
    """
    inputs = (tuple(input_shape), *layer_shapes(architecture.layers, input_shape))
    return sum(map(macs_of, architecture.layers, inputs))
