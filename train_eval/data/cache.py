"""The cache of decoded data sets: memory-mapped arrays, one folder a data set."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock
from numpy.typing import NDArray

_FORMAT = 1  # changes whenever the same files would be decoded otherwise
_DESCRIPTION = "description.json"

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...], str]
"""Images, labels, class names, fingerprint."""


def cache_root() -> Path:
    """The user's cache folder (under XDG_CACHE_HOME where that is set)."""
    return platformdirs.user_cache_path("gym-cnnarch")


def cached(key: Sequence[Any], decode: Callable[[], tuple[Any, ...]]) -> Arrays:
    """The arrays of ``key``, decoded now if they never were.

    Args:
        key: Plain data that changes whenever the source does.
        decode: Returns images, labels and class names.
    """
    digest = hashlib.sha256(json.dumps([_FORMAT, *key]).encode()).hexdigest()[:32]
    folder = cache_root() / "decoded" / digest
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):  # one process decodes, the others wait
            if not folder.is_dir():
                _write(folder, *decode())
    described = json.loads((folder / _DESCRIPTION).read_text())
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    return images, labels, tuple(described["class_names"]), described["fingerprint"]


def fingerprint(images: NDArray[np.uint8], labels: NDArray[np.int64], names: Sequence[str]) -> str:
    """Hash of a data set's contents."""
    digest = hashlib.sha256(json.dumps([images.shape, list(names)]).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def _write(folder: Path, images: Any, labels: Any, names: Sequence[str]) -> None:
    """Writes beside the folder and renames, so that no half-written folder is ever found."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir()
    try:
        np.save(unfinished / "images.npy", images)
        np.save(unfinished / "labels.npy", labels)
        described = {"class_names": list(names), "fingerprint": fingerprint(images, labels, names)}
        (unfinished / _DESCRIPTION).write_text(json.dumps(described))
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
