"""Data sets by name: labelled images as arrays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from gym_cnnarch import InvalidInput
from gym_cnnarch.image_size import ImageSize
from train_eval.data import cluttered_digits, folder, npz, torchvision_sets
from train_eval.data.image_data import ImageData, make_image_data
from train_eval.data.pictures import resized

__all__ = [
    "NAMES",
    "ImageData",
    "Part",
    "check_parts",
    "has_test_images",
    "has_validation_images",
    "load_dataset",
    "load_own_validation",
    "load_train_and_test",
    "stratified_split",
    "stratified_subset",
]

Part = Literal["train", "validation", "test"]

_LARGEST_AS_IT_IS, _RESIZED = 64, 32  # pixels: what a CPU can search with

NAMES = f"{', '.join(torchvision_sets.CLASSES)}, digits, cluttered_digits, folder:PATH or npz:FILE"


def load_dataset(
    name: str,
    data_root: str | Path | None = None,
    part: Part = "train",
    image_size: ImageSize | None = None,
) -> ImageData:
    """Finds a data set and decodes it, once: later calls read the decoded arrays from the cache.

    Args:
        name: ``cifar10``, ``cifar100``, ``svhn``, ``mnist``, ``fashionmnist`` (found under
            ``data_root`` or downloaded to it); ``digits`` and ``cluttered_digits`` (embedded);
            ``folder:PATH`` (pictures in PATH/train/<class>/, and in PATH/val and PATH/test
            likewise); ``npz:FILE`` (x_train, y_train, and likewise x_val and x_test: images of
            shape (N, n, n), (N, n, n, channels) or (N, channels, n, n), and N labels).
        data_root: Where torchvision's files lie; None for the user's cache.
        part: The training images, from which validation images are split where the data set has
            none of its own; those validation images; or the test images.
        image_size: Side of the square to which images are cropped, or padded, and resized; None for
            as they are.

    Raises:
        InvalidInput: If there is no such data set, or it cannot be used.
    """
    if part == "validation" and not has_validation_images(name):
        raise InvalidInput(f"{name} has no validation images of its own.")
    if name == "digits":
        return _digits(part, image_size)
    if name == "cluttered_digits":
        images, labels, names = cluttered_digits.make(part)
        return make_image_data(resized(images, image_size), labels, names)
    if name in torchvision_sets.CLASSES:
        return torchvision_sets.load(name, data_root, part, image_size)
    kind, path = _own(name)
    with _readable(name):
        if kind == "folder":
            return folder.load(path, part, image_size)
        if kind == "npz":
            return npz.load(path, part, image_size)
    raise InvalidInput(f"No data set {name!r}: expected {NAMES}.")


def load_train_and_test(
    name: str, data_root: str | Path | None = None, image_size: ImageSize | None = None
) -> tuple[ImageData, ImageData]:
    """The training and the test images.

    Raises:
        InvalidInput: If one of them cannot be used, or they differ in their classes or their shape.
    """
    train = load_dataset(name, data_root, "train", image_size)
    return train, _like(train, name, data_root, "test", image_size)


def load_own_validation(
    name: str,
    train: ImageData,
    data_root: str | Path | None = None,
    image_size: ImageSize | None = None,
) -> ImageData | None:
    """The validation images that a data set brings along, None where they are split off.

    Raises:
        InvalidInput: If they cannot be used, or differ from the training images in their classes or
            their shape.
    """
    if not has_validation_images(name):
        return None
    return _like(train, name, data_root, "validation", image_size)


def has_validation_images(name: str) -> bool:
    """Whether a data set has validation images of its own, none of them among those to train on."""
    return name == "cluttered_digits" or _has(name, "validation", otherwise=False)


def has_test_images(name: str) -> bool:
    """Whether a data set has a test part: one's own need not."""
    return _has(name, "test", otherwise=True)


def check_parts(name: str, image_size: ImageSize | None = None) -> None:
    """Checks, before a search, that one's own validation and test images fit the training images.

    Cheap: class names, labels and the beginnings of files are read, no pixels.

    Args:
        name: See ``load_dataset``; other people's data sets fit.
        image_size: As the recipe has it.

    Raises:
        InvalidInput: If they do not; it names the classes that differ.
    """
    kind, path = _own(name)
    with _readable(name):
        if kind == "folder":
            folder.check_parts(path, image_size)
        elif kind == "npz" and path.is_file():
            npz.check_parts(path)


def own_image_size(name: str) -> int | None:
    """The side to which one's own images are resized where nobody named one.

    Returns:
        None if they are squares of one size, of at most 64 pixels, or no images of one's own; else
        32.
    """
    kind, path = _own(name)
    with _readable(name):
        if kind == "folder":
            sizes = folder.sizes(path)
        elif kind == "npz" and path.is_file():
            sizes = {npz.size(path)}
        else:
            return None
    width, height = next(iter(sizes), (0, 0))
    return None if len(sizes) <= 1 and width == height <= _LARGEST_AS_IT_IS else _RESIZED


def _own(name: str) -> tuple[str, Path]:
    """Kind and place of a data set of one's own."""
    kind, _, place = name.partition(":")
    return kind, Path(place).expanduser()


def _has(name: str, part: Part, otherwise: bool) -> bool:
    """Whether a data set of one's own has a part; other people's do ``otherwise``."""
    kind, path = _own(name)
    with _readable(name):
        if kind == "folder":
            return folder.has(path, part)
        if kind == "npz" and path.is_file():
            return npz.has(path, part)
    return otherwise


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turns refusals of the file system into a sentence."""
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"Cannot read the data set {name} ({error}): check its place and your rights to it."
        ) from error


def _like(
    train: ImageData,
    name: str,
    data_root: str | Path | None,
    part: Part,
    image_size: ImageSize | None,
) -> ImageData:
    """Another part of a data set, refused if it does not fit the training images."""
    other = load_dataset(name, data_root, part, image_size)
    if train.images.shape[1:] != other.images.shape[1:]:
        raise InvalidInput(
            f"The {part} images of {name} have the shape {other.images.shape[1:]}, its training "
            f"images {train.images.shape[1:]}: set image_size, and give both the same channels."
        )
    return other


def stratified_split(
    labels: NDArray[np.int64], held_out: float, purpose: str, names: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits 0..N-1 into what stays and what is held out, both sorted, the class balance kept.

    The split depends on nothing but its arguments.

    Args:
        labels: (N,) int64.
        held_out: A number of images, or a share of them if below 1.
        purpose: What the images are held out for, for the message.
        names: The classes' names, for the message.

    Raises:
        InvalidInput: If the images cannot be split so.
    """
    size = held_out if held_out < 1 else int(held_out)
    try:
        kept, out = train_test_split(
            np.arange(len(labels)), test_size=size, stratify=labels, random_state=0
        )
    except ValueError as error:
        classes, counts = np.unique(labels, return_counts=True)
        single = [names[c] if names else str(c) for c in classes[counts == 1]]
        if single:
            raise InvalidInput(
                f"Cannot hold out images for {purpose}: a class needs at least 2, one on each "
                f"side, but there is 1 of {', '.join(single)}: add images to it, or remove the "
                f"class."
            ) from error
        raise InvalidInput(
            f"Cannot hold out {size} of {len(labels)} images of {len(classes)} classes "
            f"for {purpose} ({error}): choose another size in the recipe."
        ) from error
    return np.sort(kept), np.sort(out)


def stratified_subset(
    labels: NDArray[np.int64], size: int, purpose: str, names: Sequence[str] | None = None
) -> NDArray[np.int64]:
    """Chooses some of 0..N-1, sorted, the class balance kept; of every class at least one.

    Nothing is asked of those that are left out.

    Args:
        labels: (N,) int64.
        size: Number to choose, fewer than N.
        purpose: What they are for, for the message.
        names: The classes' names, for the message.

    Raises:
        InvalidInput: If there are more classes than are to be chosen.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if min(len(labels) - size, size) >= len(classes) and counts.min() > 1:
        _, drawn = stratified_split(labels, size, purpose, names)
        if len(np.unique(labels[drawn])) == len(classes):
            return drawn
    if size < len(classes):
        raise InvalidInput(
            f"Cannot take {size} of {len(labels)} images of {len(classes)} classes for {purpose}: "
            f"choose a larger size in the recipe."
        )
    shares = counts * (size / len(labels))
    quotas = np.maximum(np.floor(shares).astype(int), 1)
    while quotas.sum() != size:  # by the largest remainder
        change = 1 if quotas.sum() < size else -1
        possible = quotas < counts if change > 0 else quotas > 1
        lacking = np.where(possible, change * (shares - quotas), -np.inf)
        quotas[lacking.argmax()] += change
    rng = np.random.default_rng(0)
    chosen = [
        rng.choice(np.flatnonzero(labels == each), quota, replace=False)
        for each, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _digits(part: Part, image_size: ImageSize | None) -> ImageData:
    """scikit-learn's digits (UCI, 8x8, 1,797 images): 1,437 to train with, 360 to test."""
    digits = load_digits()
    labels = digits.target.astype(np.int64)
    images = np.round(digits.images[:, None] * (255 / 16)).astype(np.uint8)
    train, test = stratified_split(labels, 360, "testing")
    chosen = train if part == "train" else test
    names = [str(c) for c in digits.target_names]
    return make_image_data(resized(images[chosen], image_size), labels[chosen], names)
