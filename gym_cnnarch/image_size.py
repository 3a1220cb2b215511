"""How pictures of any size become square ones: cropped, or padded."""

import re
from typing import Any

from gym_cnnarch.errors import InvalidInput

ImageSize = int | str
"""Side in pixels: 32 crops a picture to a square and resizes it; ``pad:32`` resizes all of it and
pads what is missing."""

_PADDED = re.compile(r"pad:([1-9]\d{0,5})")


def side_of(size: Any) -> int:
    """The side in pixels.

    Raises:
        InvalidInput: If the size is none.
    """
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    padded = _PADDED.fullmatch(size) if isinstance(size, str) else None
    if padded is None:
        raise InvalidInput(
            f"image_size must be a number of pixels, such as 32 to crop pictures to a square, or "
            f"pad:32 to pad them, but is {size!r}."
        )
    return int(padded[1])


def pads(size: ImageSize) -> bool:
    """Whether pictures are padded, rather than cropped."""
    return isinstance(size, str)
