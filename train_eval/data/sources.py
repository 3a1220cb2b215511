"""Data sets by name: labelled images as arrays."""

import contextlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from gym_cnnarch import InvalidInput
from train_eval.data import cache, cluttered_digits, folder

Part = Literal["train", "validation", "test"]

_UNREADABLE = (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile)  # an .npz file

TORCHVISION = {
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
    "mnist": "MNIST",
    "fashionmnist": "FashionMNIST",
}
NAMES = f"{', '.join(TORCHVISION)}, digits, cluttered_digits, folder:PATH or npz:FILE"


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images.

    Attributes:
        images: (N, channels, n, n) uint8, possibly memory-mapped and read-only.
        labels: (N,) int64, 0 to the number of classes - 1.
        class_names: One a class.
        fingerprint: Hash of the images, labels and class names.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    fingerprint: str


def load_dataset(
    name: str,
    data_root: str | Path | None = None,
    part: Part = "train",
    image_size: int | None = None,
) -> ImageData:
    """Finds a data set and decodes it, once: later calls read the decoded arrays from the cache.

    Args:
        name: ``cifar10``, ``cifar100``, ``svhn``, ``mnist``, ``fashionmnist`` (found under
            ``data_root`` or downloaded to it); ``digits`` and ``cluttered_digits`` (embedded);
            ``folder:PATH`` (PATH/train/<class>/*.png or jpg, and PATH/test likewise); ``npz:FILE``
            (x_train, y_train, x_test, y_test: (N, n, n) or (N, n, n, channels) uint8, and (N,)
            integers).
        data_root: Where torchvision's files lie; None for the user's cache.
        part: The training images, from which validation images are split where the data set has
            none of its own; those validation images; or the test images.
        image_size: Side to which images are cropped to a square and resized; None for as they are.

    Raises:
        InvalidInput: If there is no such data set, or it cannot be used.
    """
    if part == "validation" and not has_validation_images(name):
        raise InvalidInput(f"{name} has no validation images of its own.")
    if name == "digits":
        return _digits(part, image_size)
    if name == "cluttered_digits":
        images, labels, names = cluttered_digits.make(part)
        return _in_memory(
            images if image_size is None else _resized(images, image_size), labels, names
        )
    if name.startswith("folder:"):
        return ImageData(
            *folder.load(Path(name.removeprefix("folder:")).expanduser(), part, image_size)
        )
    if name.startswith("npz:"):
        return _npz(Path(name.removeprefix("npz:")).expanduser(), part, image_size)
    if name in TORCHVISION:
        return _torchvision(name, data_root, part, image_size)
    raise InvalidInput(f"No data set {name!r}: expected {NAMES}.")


def load_train_and_test(
    name: str, data_root: str | Path | None = None, image_size: int | None = None
) -> tuple[ImageData, ImageData]:
    """The training and the test images.

    Raises:
        InvalidInput: If one of them cannot be used, or they differ in their classes or their shape.
    """
    train = load_dataset(name, data_root, "train", image_size)
    return train, _like(train, name, data_root, "test", image_size)


def load_own_validation(
    name: str, train: ImageData, data_root: str | Path | None = None, image_size: int | None = None
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
    return name == "cluttered_digits"


def has_test_images(name: str) -> bool:
    """Whether a data set has a test part: one's own need not."""
    kind, _, place = name.partition(":")
    path = Path(place).expanduser()
    if kind == "folder":
        return (path / "test").exists()
    if kind == "npz" and path.is_file():
        with contextlib.suppress(*_UNREADABLE), np.load(path, allow_pickle=False) as archive:
            return "x_test" in archive
    return True


def _like(
    train: ImageData, name: str, data_root: str | Path | None, part: Part, image_size: int | None
) -> ImageData:
    """Another part of a data set, refused if it does not fit the training images."""
    other = load_dataset(name, data_root, part, image_size)
    if train.class_names != other.class_names:
        raise InvalidInput(
            f"The {part} images of {name} have other classes than its training images: "
            f"{', '.join(other.class_names)}, not {', '.join(train.class_names)}."
        )
    if train.images.shape[1:] != other.images.shape[1:]:
        raise InvalidInput(
            f"The {part} images of {name} have the shape {other.images.shape[1:]}, its training "
            f"images {train.images.shape[1:]}: set image_size, and give both the same channels."
        )
    return other


def stratified_split(
    labels: NDArray[np.int64], held_out: float, purpose: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits 0..N-1 into what stays and what is held out, both sorted, the class balance kept.

    The split depends on nothing but its arguments.

    Args:
        labels: (N,) int64.
        held_out: A number of images, or a share of them if below 1.
        purpose: What the images are held out for, for the message.

    Raises:
        InvalidInput: If the images cannot be split so.
    """
    size = held_out if held_out < 1 else int(held_out)
    try:
        kept, out = train_test_split(
            np.arange(len(labels)), test_size=size, stratify=labels, random_state=0
        )
    except ValueError as error:
        raise InvalidInput(
            f"Cannot hold out {size} of {len(labels)} images of {len(np.unique(labels))} classes "
            f"for {purpose} ({error}): choose another size in the recipe."
        ) from error
    return np.sort(kept), np.sort(out)


def _digits(part: Part, image_size: int | None) -> ImageData:
    """scikit-learn's digits (UCI, 8x8, 1,797 images): 1,437 to train with, 360 to test."""
    digits = load_digits()
    labels = digits.target.astype(np.int64)
    images = np.round(digits.images[:, None] * (255 / 16)).astype(np.uint8)
    train, test = stratified_split(labels, 360, "testing")
    chosen = train if part == "train" else test
    images = images[chosen] if image_size is None else _resized(images[chosen], image_size)
    return _in_memory(images, labels[chosen], [str(c) for c in digits.target_names])


def _in_memory(images: NDArray[Any], labels: NDArray[Any], names: list[str]) -> ImageData:
    return ImageData(images, labels, tuple(names), cache.fingerprint(images, labels, names))


def _resized(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(N, channels, n, n) uint8 images resized one by one."""
    out = np.empty((len(images), images.shape[1], size, size), dtype=np.uint8)
    for position, image in enumerate(images):
        out[position] = folder.to_array(folder.from_array(image), size)
    return out


def _torchvision(
    name: str, data_root: str | Path | None, part: Part, image_size: int | None
) -> ImageData:
    root = Path(data_root).expanduser() if data_root else cache.cache_root() / "torchvision"

    def decode() -> tuple[Any, ...]:
        data = _open_torchvision(name, root, part)
        names = getattr(data, "classes", None) or [str(c) for c in range(10)]  # SVHN names none
        pictures = (picture for picture, _ in data)
        images = folder.decode(pictures, len(data), image_size, f"Decoding {name}")
        labels = np.array([label for _, label in data], dtype=np.int64)
        return images, labels, list(names)

    key = ["torchvision", name, str(root.resolve()), part, image_size]
    return ImageData(*cache.cached(key, decode))


def _open_torchvision(name: str, root: Path, part: Part) -> Any:
    """The torchvision data set; downloads it where it is not found."""
    import torchvision  # takes as long as torch itself, which the other data sets are spared

    make: Callable[..., Any] = getattr(torchvision.datasets, TORCHVISION[name])
    chosen = {"split": part} if name == "svhn" else {"train": part == "train"}
    try:
        return make(root, download=False, **chosen)
    except (RuntimeError, OSError):
        pass  # not there yet
    try:
        root.mkdir(parents=True, exist_ok=True)
        return make(root, download=True, **chosen)
    except (RuntimeError, OSError) as error:
        raise InvalidInput(
            f"{TORCHVISION[name]} is neither under {root} nor can it be downloaded ({error}): "
            f"set data_root to the folder that holds torchvision's copy of it."
        ) from error


def _npz(path: Path, part: Part, image_size: int | None) -> ImageData:
    if not path.is_file():
        raise InvalidInput(f"npz:{path} names no file.")

    def decode() -> tuple[Any, ...]:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
        except _UNREADABLE as error:
            raise InvalidInput(f"{path} is not a readable .npz file ({error}).") from error
        for array in (f"x_{part}", f"y_{part}"):
            if array not in arrays:
                raise InvalidInput(
                    f"{path} must hold x_{part} and y_{part}, but holds {', '.join(arrays)}."
                )
        images, labels = _checked_arrays(path, arrays[f"x_{part}"], arrays[f"y_{part}"])
        names = [str(c) for c in arrays.get("class_names", np.arange(labels.max() + 1))]
        if len(names) != labels.max() + 1:
            raise InvalidInput(
                f"{path} must hold one class name for each of {labels.max() + 1} classes, "
                f"but holds {len(names)}."
            )
        return (images if image_size is None else _resized(images, image_size)), labels, names

    stat = path.stat()
    key = ["npz", str(path.resolve()), stat.st_size, stat.st_mtime_ns, part, image_size]
    return ImageData(*cache.cached(key, decode))


def _checked_arrays(
    path: Path, images: NDArray[Any], labels: NDArray[Any]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(N, n, n) or (N, n, n, channels) as (N, channels, n, n), and the labels."""
    channels_last = images.ndim == 4 and images.shape[3] in (1, 3)
    if images.dtype != np.uint8 or not (images.ndim == 3 or channels_last):
        raise InvalidInput(
            f"{path} must hold images as uint8 of shape (N, n, n) or (N, n, n, 1 or 3), "
            f"but holds {images.dtype} of shape {images.shape}."
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise InvalidInput(
            f"{path} must hold one integer label an image, ({len(images)},), "
            f"but holds {labels.dtype} of shape {labels.shape}."
        )
    found = np.unique(labels)
    if len(found) < 2 or found[0] != 0 or found[-1] != len(found) - 1:
        raise InvalidInput(
            f"{path} must hold labels 0 to K - 1 of at least 2 classes, each with images, "
            f"but holds {found[:10].tolist()}."
        )
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images), labels.astype(np.int64)
