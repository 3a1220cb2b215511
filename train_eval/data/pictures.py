"""One picture: from a file to pixels, alike for training, testing and predicting."""

import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.progress import track

from gym_cnnarch import InvalidInput
from gym_cnnarch.image_size import ImageSize, pads, side_of

logging.getLogger("PIL").addHandler(logging.NullHandler())  # its messages name no file

_GREY_MODES = {"1", "L", "LA"}
_8_BIT_MODES = _GREY_MODES | {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
_16_BIT_MODES = {"I;16", "I;16L", "I;16B", "I;16N"}
_16_BIT_FORMATS = {"PNG", "PPM"}  # whose pixels of mode I are 16 bits
_QUARTER_TURNS = {5, 6, 7, 8}  # EXIF orientations that swap width and height

_GREY = 128  # what is padded: normalised it is near zero

_COMMON = {"BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"}

# EPS starts another program, Ghostscript; the others are files that Pillow knows but cannot decode.
_LEFT_OUT = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}


@dataclass(frozen=True)
class Header:
    """The facts in a picture's file before its pixels are decoded.

    Attributes:
        size: (width, height) in pixels, upright.
        grey: Whether it has no colours.
        deep: Whether it has 16 bits a channel.
        transparent: Whether pixels may be transparent.
        animated: Whether it holds several frames.
    """

    size: tuple[int, int]
    grey: bool
    deep: bool
    transparent: bool
    animated: bool


@cache
def formats() -> tuple[str, ...]:
    """Formats that Pillow reads without another program, in the order in which they are tried.

    The common ones first, and those without a signature, which may take any file for theirs, last.
    """
    Image.init()
    order = lambda name: (name not in _COMMON, name not in _signed(), name)
    return tuple(sorted(Image.OPEN.keys() - _LEFT_OUT, key=order))


@cache
def suffixes() -> frozenset[str]:
    """Suffixes of those formats, such as ".png", in lower case."""
    readable = set(formats())
    return frozenset(s for s, name in Image.registered_extensions().items() if name in readable)


def is_picture(file: Path) -> bool:
    """Whether a file's name or, where the name does not tell, its content is that of a picture.

    By content only formats with a signature are recognised.
    """
    if file.suffix.lower() in suffixes():
        return True
    signed = [name for name in formats() if name in _signed()]
    try:
        with _quietly(), Image.open(file, formats=signed):
            return True
    except Exception:  # Pillow raises what the file's bytes provoke
        return False


def read_header(file: Path) -> Header:
    """The facts in a picture's file before its pixels are decoded.

    Raises:
        InvalidInput: If it is no picture of 8 or 16 bits a channel.
    """
    with _opened(file) as picture:
        turned = picture.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS
        deep = _is_deep(picture)
        return Header(
            size=picture.size[::-1] if turned else picture.size,
            grey=deep or picture.mode in _GREY_MODES,
            deep=deep,
            transparent=picture.has_transparency_data,
            animated=getattr(picture, "is_animated", False),
        )


def read_picture(file: Path, mode: str) -> Image.Image:
    """A picture, upright, of 8 bits a channel, transparent pixels on white.

    Of 16 bits a channel the upper 8 are kept, as Pillow does with colours; of several frames, the
    first.

    Args:
        file: The picture.
        mode: L (grey) or RGB.

    Raises:
        InvalidInput: If it cannot be read, or is no picture of 8 or 16 bits a channel.
    """
    with _opened(file) as picture:
        upright: Image.Image = ImageOps.exif_transpose(picture)
        if _is_deep(picture):
            values = np.asarray(upright).astype(np.int64)
            shown = np.where(values == picture.info.get("transparency"), 255, values >> 8)
            upright = Image.fromarray(shown.clip(0, 255).astype(np.uint8))
        elif upright.has_transparency_data:
            above = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
        return upright.convert(mode)


def decode(
    pictures: Iterable[Image.Image], count: int, image_size: ImageSize | None, description: str
) -> NDArray[np.uint8]:
    """(N, channels, n, n) uint8 of one picture or more, with a progress bar on a terminal."""
    console = Console(stderr=True)
    bar = iter(track(
        pictures, description, total=count, console=console, transient=True,
        disable=not sys.stderr.isatty(),
    ))  # fmt: skip
    first = to_array(next(bar), image_size)
    images = np.empty((count, *first.shape), dtype=np.uint8)
    images[0] = first
    for position, picture in enumerate(bar, start=1):
        images[position] = to_array(picture, image_size)
    return images


def to_array(picture: Image.Image, image_size: ImageSize | None) -> NDArray[np.uint8]:
    """(channels, n, n) uint8; cropped or padded to a square and averaged over areas if resized."""
    if image_size is not None:
        square = (side_of(image_size),) * 2
        if pads(image_size):
            grey = _GREY if picture.mode == "L" else (_GREY,) * 3
            picture = ImageOps.pad(picture, square, Image.Resampling.BOX, grey)
        else:
            picture = ImageOps.fit(picture, square, Image.Resampling.BOX)
    array = np.asarray(picture)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def from_array(array: NDArray[np.uint8]) -> Image.Image:
    """The inverse of ``to_array``."""
    return Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0).copy())


def resized(images: NDArray[np.uint8], size: ImageSize | None) -> NDArray[np.uint8]:
    """(N, channels, n, n) uint8 images resized one by one; as they are for None."""
    if size is None:
        return images
    side = side_of(size)
    out = np.empty((len(images), images.shape[1], side, side), dtype=np.uint8)
    for position, image in enumerate(images):
        out[position] = to_array(from_array(image), size)
    return out


@cache
def _signed() -> frozenset[str]:
    """Formats whose files begin with a signature."""
    Image.init()
    return frozenset(name for name, (_, accepts) in Image.OPEN.items() if accepts is not None)


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode in _16_BIT_MODES or (
        picture.mode == "I" and picture.format in _16_BIT_FORMATS
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Pillow's warnings, which name no file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """A picture; whatever its bytes provoke in Pillow becomes a sentence that names the file."""
    try:
        with _quietly(), Image.open(file, formats=formats()) as picture:
            if not _is_deep(picture) and picture.mode not in _8_BIT_MODES:
                raise InvalidInput(
                    f"{file} has pixels of mode {picture.mode}, but expected 8 or 16 bits a "
                    f"channel: convert it."
                )
            yield picture
    except InvalidInput:
        raise
    except Exception as error:
        if isinstance(error, UnidentifiedImageError):
            reason = "not an image"
        else:
            reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise InvalidInput(
            f"Cannot read the image {file} ({reason}): repair or remove it."
        ) from error
