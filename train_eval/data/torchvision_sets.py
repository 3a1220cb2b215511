"""torchvision's data sets -> arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gym_cnnarch import InvalidInput
from gym_cnnarch.image_size import ImageSize
from train_eval.data import cache
from train_eval.data.image_data import ImageData, make_image_data
from train_eval.data.pictures import decode

CLASSES = {
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
    "mnist": "MNIST",
    "fashionmnist": "FashionMNIST",
}
"""torchvision's class by the data set's name."""

_FILES = {
    "cifar10": "cifar-10-batches-py/data_batch_1 to 5 and test_batch",
    "cifar100": "cifar-100-python/train and test",
    "svhn": "train_32x32.mat and test_32x32.mat",
    "mnist": "MNIST/raw/train-images-idx3-ubyte and the like",
    "fashionmnist": "FashionMNIST/raw/train-images-idx3-ubyte and the like",
}
"""Where torchvision looks for them under the root."""


_STORED = {
    "cifar10": "cifar-10-batches-py/*",
    "cifar100": "cifar-100-python/*",
    "svhn": "{part}_32x32.mat",
    "mnist": "MNIST/raw/*",
    "fashionmnist": "FashionMNIST/raw/*",
}
"""The same as a pattern of file names."""


def load(
    name: str, data_root: str | Path | None, part: str, image_size: ImageSize | None
) -> ImageData:
    """Decodes a data set that lies under the root (by default in the user's cache).

    Raises:
        InvalidInput: If it does not and cannot be downloaded.
    """
    root = Path(data_root).expanduser() if data_root else cache.cache_root() / "torchvision"

    def decode_all() -> ImageData:
        data = _open(name, root, part)
        names = getattr(data, "classes", None) or [str(c) for c in range(10)]  # SVHN names none
        pictures = (picture for picture, _ in data)
        images = decode(pictures, len(data), image_size, f"Decoding {name}")
        labels = np.array([label for _, label in data], dtype=np.int64)
        return make_image_data(images, labels, list(names))

    pattern = _STORED[name].format(part=part)
    if not any(root.glob(pattern)):
        _open(name, root, part)  # downloads them
    stored = [(file, file.stat()) for file in sorted(root.glob(pattern))]
    files = [[file.name, stat.st_size, stat.st_mtime_ns] for file, stat in stored]
    key = ["torchvision", name, str(root.resolve()), files, part, image_size]
    return cache.cached(key, decode_all)


def _open(name: str, root: Path, part: str) -> Any:
    """The torchvision data set; downloads it where it is not found."""
    import torchvision  # takes as long as torch itself, which the other data sets are spared

    make: Callable[..., Any] = getattr(torchvision.datasets, CLASSES[name])
    chosen = {"split": part} if name == "svhn" else {"train": part == "train"}
    try:
        return make(root, download=False, **chosen)
    except Exception:  # not there yet, or whatever damaged files provoke in its readers
        pass
    nested = [root / sub for sub in ("MNIST/raw", "MNIST", "FashionMNIST/raw", "FashionMNIST")]
    missing = [folder for folder in (*nested, root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        return make(root, download=True, **chosen)
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise InvalidInput(
            f"{CLASSES[name]} is neither under {root} nor can it be downloaded ({reason}): set "
            f"data_root to the folder that holds torchvision's copy of it, {_FILES[name]}."
        ) from error
    finally:
        _remove_empty(missing)


def _remove_empty(folders: list[Path]) -> None:
    """Removes those that a download which failed left empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            continue  # not there, or holds something
