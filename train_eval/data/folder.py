"""Image files -> arrays."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.progress import track

from gym_cnnarch import InvalidInput
from train_eval.data import cache

if TYPE_CHECKING:
    from torchvision.datasets import ImageFolder

_GREY_MODES = {"1", "L"}
_MODES = _GREY_MODES | {"P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "LAB", "HSV"}
_QUARTER_TURNS = {5, 6, 7, 8}  # EXIF orientations that swap width and height

# Pillow raises SyntaxError for broken PNG chunks.
_UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError)


def load(path: Path, part: str, image_size: int | None) -> cache.Arrays:
    """Decodes PATH/<part>/<class>/*.png or jpg, the ImageFolder convention.

    Raises:
        InvalidInput: If a folder is missing, has fewer than two classes or a class without images,
            or an image is unreadable or has another size than the rest.
    """
    folder = _open(path / part)
    files = [Path(file) for file, _ in folder.samples]

    def decode_folder() -> tuple[Any, ...]:
        mode = _common_mode(files, image_size)
        pictures = (read_image(file, mode) for file in files)
        images = decode(pictures, len(files), image_size, f"Decoding {path / part}")
        return images, np.array(folder.targets, dtype=np.int64), folder.classes

    stats = [(str(f.relative_to(path)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    key = ["folder", str(path.resolve()), part, image_size, stats]
    return cache.cached(key, decode_folder)


def decode(
    pictures: Iterable[Image.Image], count: int, image_size: int | None, description: str
) -> NDArray[np.uint8]:
    """(N, channels, n, n) uint8 of pictures, with a progress bar on a terminal."""
    images = None
    console = Console(stderr=True)
    bar = track(
        pictures, description, total=count, console=console, transient=True,
        disable=not sys.stderr.isatty(),
    )  # fmt: skip
    for position, picture in enumerate(bar):
        array = to_array(picture, image_size)
        if images is None:
            images = np.empty((count, *array.shape), dtype=np.uint8)
        images[position] = array
    assert images is not None, "a data set without images is refused before it is decoded"
    return images


def to_array(picture: Image.Image, image_size: int | None) -> NDArray[np.uint8]:
    """(channels, n, n) uint8; cropped to a square and averaged over areas if resized."""
    if image_size is not None:
        picture = ImageOps.fit(picture, (image_size, image_size), Image.Resampling.BOX)
    array = np.asarray(picture)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def from_array(array: NDArray[np.uint8]) -> Image.Image:
    """The inverse of ``to_array``."""
    return Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0).copy())


def _open(folder: Path) -> "ImageFolder":
    from torchvision.datasets import ImageFolder

    if not folder.is_dir():
        raise InvalidInput(
            f"Expected images in {folder}/<class>/*.png or jpg, but there is no folder {folder}."
        )
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if len(classes) < 2:
        raise InvalidInput(
            f"Classifying needs at least 2 classes, each a folder in {folder}, "
            f"but there is {', '.join(classes) or 'none'}."
        )
    try:
        return ImageFolder(folder)
    except FileNotFoundError as error:  # a class without images
        raise InvalidInput(f"Every class in {folder} needs images: {error}") from error


def _common_mode(files: list[Path], image_size: int | None) -> str:
    """L if all images are grey, else RGB; reads the headers alone, before the long decoding."""
    modes = set()
    first: tuple[tuple[int, int], Path] | None = None
    for file in files:
        try:
            with Image.open(file) as picture:
                size = picture.size
                turned = picture.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS
                modes.add(picture.mode)
        except _UNREADABLE as error:
            raise _unreadable(file, error) from error
        if picture.mode not in _MODES:
            raise InvalidInput(
                f"{file} has pixels of mode {picture.mode}, but expected 8 bits a channel: "
                f"convert it."
            )
        if image_size is not None:
            continue
        size = size[::-1] if turned else size
        first = first or (size, file)
        if size != first[0]:
            raise InvalidInput(
                f"Images must have one size, but {first[1]} has {first[0][0]}x{first[0][1]} pixels "
                f"and {file} {size[0]}x{size[1]}: set image_size in the recipe to resize them."
            )
        if size[0] != size[1]:
            raise InvalidInput(
                f"Images must be square, but {file} has {size[0]}x{size[1]} pixels: set image_size "
                f"in the recipe to crop and resize them."
            )
    return "L" if modes <= _GREY_MODES else "RGB"


def read_image(file: Path, mode: str) -> Image.Image:
    """An image file, upright, in a mode of Pillow (L or RGB).

    Raises:
        InvalidInput: If it cannot be read.
    """
    try:
        with Image.open(file) as picture:
            upright: Image.Image = ImageOps.exif_transpose(picture)
            return upright.convert(mode)
    except _UNREADABLE as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> InvalidInput:
    reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
    return InvalidInput(f"Cannot read the image {file} ({reason}): repair or remove it.")
