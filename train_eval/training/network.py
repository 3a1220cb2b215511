"""Architecture -> torch module."""

import math

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gym_cnnarch import Architecture, InvalidInput, shapes
from gym_cnnarch.space.architecture import Conv, FullyConnected, GlobalAveragePool, Layer, Pool


def build_network(
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    num_classes: int,
    dropout: bool = False,
    batch_norm: bool = False,
) -> nn.Sequential:
    """The network that an architecture describes, with the paper's Xavier initialisation.

    Each layer of the architecture is one module of the sequence, named after its text, so that the
    output of a child has the size that ``shapes.layer_shapes`` predicts; dropout stands between.

    Args:
        architecture: The layers.
        input_shape: (channels, height, width) of an image.
        num_classes: Number of logits.
        dropout: Whether dropout follows every two layers, the i-th of n with p = i / (2 n)
            (paper, section 5).
        batch_norm: Whether batch normalisation stands between each convolution and its ReLU. The
            convolution then has no bias of its own. ``shapes.count_parameters`` still counts one:
            it is what scale and shift leave when they are folded into the convolution.

    Returns:
        A module from (N, channels, height, width) float to (N, num_classes) logits.

    Raises:
        InvalidInput: If the architecture does not fit the input or the classes.
    """
    outputs = shapes.layer_shapes(architecture.layers, input_shape)
    if outputs[-1] != (num_classes,):
        raise InvalidInput(
            f"{architecture} ends with {architecture.layers[-1]}, but the data has {num_classes} "
            f"classes: write {num_classes} instead."
        )
    network = nn.Sequential()
    inputs = (tuple(input_shape), *outputs)
    dropouts = (len(architecture.layers) - 1) // 2 if dropout else 0
    for number, (layer, shape) in enumerate(
        zip(architecture.layers, inputs, strict=False), start=1
    ):
        network.add_module(f"{number}:{layer}", module_of(layer, shape, batch_norm))
        if number % 2 == 0 and number // 2 <= dropouts:
            i = number // 2
            network.add_module(f"{number}:dropout", nn.Dropout(i / (2 * dropouts)))
    network.apply(_initialise)
    return network


def fold_batch_norm(network: nn.Sequential) -> nn.Sequential:
    """The network without batch normalisation that gives the same in evaluation mode.

    Args:
        network: Of ``build_network``, in evaluation mode; one without batch normalisation is
            returned as it is.
    """
    folded = nn.Sequential()
    for name, module in network.named_children():
        match list(module.children()):
            case [nn.Conv2d() as convolution, nn.BatchNorm2d() as normalisation, activation]:
                module = nn.Sequential(fuse_conv_bn_eval(convolution, normalisation), activation)
        folded.add_module(name, module)
    return folded


def module_of(layer: Layer, shape: tuple[int, ...], batch_norm: bool = False) -> nn.Module:
    """A layer that reads ``shape``, with torch's own initialisation."""
    match layer:
        case Conv(filters, size):
            if batch_norm:
                convolution = nn.Conv2d(shape[0], filters, size, padding="same", bias=False)
                return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU())
            return nn.Sequential(nn.Conv2d(shape[0], filters, size, padding="same"), nn.ReLU())
        case Pool(receptive_field, stride):
            return nn.MaxPool2d(receptive_field, stride)
        case FullyConnected(neurons):
            return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), neurons), nn.ReLU())
        case GlobalAveragePool(classes):
            return nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(shape[0], classes)
            )
        case _:
            return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), layer.classes))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
