"""The network so far, as text and as a drawing."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch.space.architecture import (
    Conv,
    FullyConnected,
    GlobalAveragePool,
    Layer,
    Pool,
    Softmax,
)
from gym_cnnarch.space.search_space import SearchSpace
from gym_cnnarch.space.shapes import Shape, layer_parameters, layer_shapes

# Okabe and Ito's palette, told apart by the colour-blind and in greyscale.
_COLOURS: dict[type[Layer], tuple[int, int, int]] = {
    Conv: (0, 114, 178),
    Pool: (230, 159, 0),
    FullyConnected: (0, 158, 115),
    GlobalAveragePool: (86, 180, 233),
    Softmax: (204, 121, 167),
}
_INPUT_COLOUR = (110, 110, 110)
_COLUMN, _HEIGHT, _MARGIN, _TALLEST = 92, 230, 10, 120  # pixels


def ansi(layers: Sequence[Layer], input_shape: Shape) -> str:
    """A table of the layers with their output sizes and parameters, biases included."""
    parameters = layer_parameters(layers, input_shape)
    rows = [("input", _size_text(input_shape), "")]
    rows += [
        (str(layer), _size_text(shape), f"{count:,}")
        for layer, shape, count in zip(
            layers, layer_shapes(layers, input_shape), parameters, strict=True
        )
    ]
    rows.append(("total", "", f"{sum(parameters):,}"))
    header = ("layer", "output", "parameters")
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        f"{name:<{widths[0]}}  {size:<{widths[1]}}  {count:>{widths[2]}}".rstrip()
        for name, size, count in (header, *rows)
    )


def rgb_array(layers: Sequence[Layer], space: SearchSpace) -> NDArray[np.uint8]:
    """A drawing of the chain, (H, W, 3); every frame of a space has the same size.

    A box is as high as the representation and the wider the more channels or neurons it has.

    Raises:
        ImportError: If Pillow is missing.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ImportError("rgb_array rendering needs Pillow: pip install pillow.") from error

    columns = space.max_layers + 2  # the input and the terminator
    image = Image.new("RGB", (columns * _COLUMN + 2 * _MARGIN, _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=13)
    shapes = (space.input_shape, *layer_shapes(layers, space.input_shape))
    counts = layer_parameters(layers, space.input_shape)
    middle = _MARGIN + _TALLEST // 2
    previous_right = None
    for column, (layer, shape) in enumerate(zip((None, *layers), shapes, strict=True)):
        centre = _MARGIN + column * _COLUMN + _COLUMN // 2
        width, height = _box(shape, space.input_shape[1])
        box = (centre - width // 2, middle - height // 2, centre + width // 2, middle + height // 2)
        if previous_right is not None:
            draw.line((previous_right + 3, middle, box[0] - 3, middle), fill="black", width=2)
        draw.rectangle(box, fill=_COLOURS[type(layer)] if layer else _INPUT_COLOUR, outline="black")
        previous_right = box[2]
        captions = [str(layer) if layer else "input", _size_text(shape)]
        if layer and counts[column - 1]:
            captions.append(_short(counts[column - 1]))
        for line, caption in enumerate(captions):
            position = (centre, _MARGIN + _TALLEST + 14 + 18 * line)
            draw.text(position, caption, fill="black", font=font, anchor="mm")
    total = f"{_short(sum(counts))} parameters"
    draw.text((_MARGIN, _HEIGHT - 26), total, fill="black", font=font)
    return np.asarray(image).copy()


def _box(shape: Shape, input_size: int) -> tuple[int, int]:
    """(width, height) in pixels: logarithmic in channels or neurons, linear in size."""
    width = 8 + 5 * math.log2(1 + shape[0])
    size = shape[1] / input_size if len(shape) == 3 else 0.0
    return int(min(width, _COLUMN - 20)), int(12 + (_TALLEST - 12) * size)


def _size_text(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _short(count: int) -> str:
    """1234567 as 1.23 M."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= 0.9995 * unit:  # which is rounded to one of it
            digits = ".3g" if count < 999.5 * unit else ",.0f"
            return f"{count / unit:{digits}}{name}"
    return str(count)
