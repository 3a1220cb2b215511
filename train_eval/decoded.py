"""The cache of decoded data sets: memory-mapped arrays, one folder a data set."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

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
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    folder = cache_root() / "decoded" / digest
    if not (folder / "names.json").is_file():
        images, labels, names = decode()
        _write(folder, images, labels, names)
    card = json.loads((folder / "names.json").read_text())
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    return images, labels, tuple(card["class_names"]), card["fingerprint"]


def fingerprint(images: NDArray[np.uint8], labels: NDArray[np.int64], names: Sequence[str]) -> str:
    """Hash of a data set's contents."""
    digest = hashlib.sha256(json.dumps([images.shape, list(names)]).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def _write(folder: Path, images: Any, labels: Any, names: Sequence[str]) -> None:
    """Writes beside the folder and renames, so that no half-written folder is ever found."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder.parent))
    try:
        np.save(draft / "images.npy", images)
        np.save(draft / "labels.npy", labels)
        card = {"class_names": list(names), "fingerprint": fingerprint(images, labels, names)}
        (draft / "names.json").write_text(json.dumps(card))
        draft.rename(folder)
    except OSError:
        if not (folder / "names.json").is_file():  # else another process was faster
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
