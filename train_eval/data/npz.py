""".npz files: x_<part> and y_<part> -> images and labels, however they were stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch import InvalidInput
from gym_cnnarch.image_size import ImageSize
from train_eval.data import archive, cache
from train_eval.data.image_data import ImageData, make_image_data
from train_eval.data.npz_labels import classes_of, plain_labels, positions
from train_eval.data.pictures import resized

_SUFFIXES = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
"""Names of the arrays of each part, after x_ and y_."""

_CHUNK = 4096  # images


def has(path: Path, part: str) -> bool:
    """Whether a file holds images of a part."""
    held = archive.names_in(path)
    return any(f"x_{suffix}" in held for suffix in _SUFFIXES[part])


def load(path: Path, part: str, image_size: ImageSize | None) -> ImageData:
    """Reads the images of a part; all parts have the training images' classes and scale.

    Raises:
        InvalidInput: If the file, an array or a label cannot be used.
    """
    if not path.is_file():
        raise InvalidInput(f"npz:{path} names no file.")

    def decode() -> ImageData:
        suffix = _suffix(path, part)
        labels, names, notes = _labels(path, suffix)
        stored = archive.read(path, f"x_{suffix}")
        if len(labels) != len(stored) or not len(stored):
            raise InvalidInput(
                f"{path} must hold one label an image, but x_{suffix} has {len(stored)} images and "
                f"y_{suffix} {len(labels)} labels."
            )
        trained = stored
        if part != "train" and stored.dtype != np.uint8:
            trained = archive.read(path, f"x_{_suffix(path, 'train')}")
        # Each part has the scale of the training images, whatever its own brightest pixel.
        reference = trained if trained.dtype == stored.dtype else stored
        to_bytes, scaled = _scale(path, reference)
        images, moved = _channels_first(path, stored)
        _check_square(path, images, image_size)
        images = _converted(path, images, to_bytes)
        return make_image_data(
            resized(images, image_size), labels, names, notes=(*notes, *moved, *scaled)
        )

    stat = path.stat()
    key = ["npz", str(path.resolve()), stat.st_size, stat.st_mtime_ns, part, image_size]
    return cache.cached(key, decode)


def size(path: Path) -> tuple[int, int]:
    """Width and height of the training images."""
    stored = archive.read(path, f"x_{_suffix(path, 'train')}")
    height, width = _channels_first(path, stored)[0].shape[2:]
    return width, height


def check_parts(path: Path) -> None:
    """Checks that what is not trained on has classes that are; reads labels, no images.

    Raises:
        InvalidInput: If not.
    """
    for part in ("validation", "test"):
        if has(path, part):
            _labels(path, _suffix(path, part))


def _suffix(path: Path, part: str) -> str:
    """Returns the name of a part's arrays, after x_ and y_."""
    held = archive.names_in(path)
    for suffix in _SUFFIXES[part]:
        if f"x_{suffix}" in held and f"y_{suffix}" in held:
            return suffix
    wanted = _SUFFIXES[part][0]
    raise InvalidInput(
        f"{path} must hold x_{wanted} and y_{wanted}, but holds {', '.join(held) or 'nothing'}."
    )


def _labels(path: Path, suffix: str) -> tuple[NDArray[np.int64], list[str], list[str]]:
    """(N,) labels, 0 to K - 1, of K classes that are trained on; the classes' names; notes."""
    train = _suffix(path, "train")
    trained, notes = plain_labels(path, f"y_{train}", archive.read(path, f"y_{train}"))
    named = "class_names" in archive.names_in(path)
    classes, names, numbered = classes_of(
        path, trained, archive.read(path, "class_names") if named else None
    )
    if suffix == train:
        return positions(path, f"y_{train}", trained, classes), names, [*notes, *numbered]
    labels, notes = plain_labels(path, f"y_{suffix}", archive.read(path, f"y_{suffix}"))
    return positions(path, f"y_{suffix}", labels, classes), names, [*notes, *numbered]


def _channels_first(path: Path, stored: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    """A view of shape (N, channels, height, width), and what was done."""
    if stored.ndim == 3:
        return stored[:, None], []
    if stored.ndim == 4 and stored.shape[3] in (1, 3):
        return stored.transpose(0, 3, 1, 2), []
    if stored.ndim == 4 and stored.shape[1] in (1, 3):
        return stored, ["The images were read with their channels first, (N, channels, n, n)."]
    raise InvalidInput(
        f"{path} must hold images of shape (N, n, n), (N, n, n, 1 or 3) or (N, 1 or 3, n, n), "
        f"but holds some of shape {stored.shape}."
    )


def _check_square(path: Path, images: NDArray[Any], image_size: ImageSize | None) -> None:
    height, width = images.shape[2:]
    if not height or not width or (height != width and image_size is None):
        raise InvalidInput(
            f"{path} must hold square images, but holds some of {width}x{height} pixels: set "
            f"image_size in the recipe to crop (32) or pad (pad:32) them."
        )


def _scale(
    path: Path, images: NDArray[Any]
) -> tuple[Callable[[NDArray[Any]], NDArray[Any]], list[str]]:
    """How pixels become values from 0 to 255, and what that does."""
    kind = images.dtype.kind
    if images.dtype == np.uint8:
        return (lambda pixels: pixels), []
    if kind == "b":
        return (lambda pixels: pixels * 255), ["The images' pixels were false or true: 0 or 255."]
    low, high = (images.min(), images.max()) if kind in "iuf" else (-1, -1)
    if kind == "f" and low >= 0 and high <= 1:
        return (lambda pixels: np.rint(pixels.astype(np.float32) * 255)), [
            "The images' pixels were fractions from 0 to 1: multiplied by 255 and rounded."
        ]
    if kind in "iuf" and low >= 0 and high <= 255:
        return np.rint, [f"The images' pixels were of {images.dtype}: taken as 0 to 255."]
    if kind in "iu" and low >= 0 and high < 2**16:
        return (lambda pixels: pixels >> 8), [
            "The images had 16 bits a channel: the upper 8 were kept."
        ]
    found = f"from {low} to {high}" if kind in "iuf" else "which are no numbers"
    raise InvalidInput(
        f"{path} must hold images as uint8, as 16 bits, or as fractions from 0 to 1, but holds "
        f"{images.dtype} {found}: convert them."
    )


def _converted(
    path: Path, images: NDArray[Any], to_bytes: Callable[[NDArray[Any]], NDArray[Any]]
) -> NDArray[np.uint8]:
    """The images as contiguous uint8, converted a few at a time."""
    out = np.empty(images.shape, dtype=np.uint8)
    for start in range(0, len(images), _CHUNK):
        pixels = to_bytes(images[start : start + _CHUNK])
        if not (pixels.min() >= 0 and pixels.max() <= 255):
            raise InvalidInput(
                f"{path} holds images whose pixels have another range than those of x_train: "
                f"store all of them alike."
            )
        out[start : start + _CHUNK] = pixels
    return out
