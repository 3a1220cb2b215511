"""The cache of decoded data sets: memory-mapped arrays, one folder a data set."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from gym_cnnarch import InvalidInput
from train_eval.data.image_data import ImageData, Reading

LIMIT_VARIABLE = "CNNARCH_CACHE_GB"
"""Environment variable: gigabytes that decoded data sets may take, 20 unless it is set."""

_FORMAT = 3  # changes whenever the same files would be decoded otherwise
_DESCRIPTION = "description.json"
_UNFINISHED = ".unfinished"


def cache_root() -> Path:
    """The user's cache folder (under XDG_CACHE_HOME where that is set)."""
    return platformdirs.user_cache_path("gym-cnnarch")


def cached(key: Sequence[Any], decode: Callable[[], ImageData]) -> ImageData:
    """The data of ``key``, decoded now if they never were or their copy is damaged.

    Where the user's cache cannot be written, the copy lasts as long as this process.

    Args:
        key: Plain data that changes whenever the source does.
        decode: Returns the data.

    Raises:
        InvalidInput: If there is no room for the decoded images.
    """
    digest = hashlib.sha256(json.dumps([_FORMAT, *key]).encode()).hexdigest()[:32]
    limit = _limit()
    known = _load(cache_root() / "decoded" / digest)
    if known is not None:
        return known
    folder = _writable_folder() / digest
    with FileLock(folder.with_suffix(".lock")):  # one process decodes, the others wait
        known = _load(folder)
        if known is not None:
            return known
        data = decode()
        try:
            _write(folder, data)
        except OSError as error:
            raise InvalidInput(
                f"The decoded images do not fit into {folder.parent} ({error}): make room there, "
                f"or set XDG_CACHE_HOME to another folder."
            ) from error
        _remove_least_recently_used(folder, limit)
        return _load(folder) or data


def _load(folder: Path) -> ImageData | None:
    """The data of a folder, None if it is not there or damaged."""
    try:
        described = json.loads((folder / _DESCRIPTION).read_text())
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy")
        reading = Reading.from_json(described["reading"])
        fingerprint = str(described["fingerprint"])
        counts = np.bincount(labels, minlength=len(reading.class_names))
    except Exception:  # of a damaged file NumPy raises what its bytes provoke
        return None
    whole = (
        (images.dtype, labels.dtype) == (np.uint8, np.int64)
        and images.shape == (reading.images, *reading.shape)
        and counts.tolist() == list(reading.images_per_class)
    )
    if not whole:
        return None
    _mark_as_used(folder)
    return ImageData(images, labels, reading.class_names, fingerprint, reading)


def _write(folder: Path, data: ImageData) -> None:
    """Writes beside the folder and renames, so that no half-written folder is ever found."""
    unfinished = folder.with_suffix(_UNFINISHED)
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir()
    try:
        np.save(unfinished / "images.npy", data.images)
        np.save(unfinished / "labels.npy", data.labels)
        described = {"fingerprint": data.fingerprint, "reading": data.reading.as_json()}
        (unfinished / _DESCRIPTION).write_text(json.dumps(described))
        shutil.rmtree(folder, ignore_errors=True)  # a damaged copy
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _writable_folder() -> Path:
    folder = cache_root() / "decoded"
    try:
        if folder.parts[0] == "~":
            raise FileNotFoundError("there is no home folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        try:
            return Path(_temporary_folder().name)
        except OSError:
            raise InvalidInput(
                f"Decoded images need a folder that can be written, but neither {folder} can "
                f"({error}) nor one for temporary files: set XDG_CACHE_HOME to one."
            ) from error


@lru_cache(maxsize=1)
def _temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder that is removed when this process ends."""
    return tempfile.TemporaryDirectory(prefix="gym-cnnarch-", ignore_cleanup_errors=True)


def _limit() -> float:
    """Bytes that decoded data sets may take."""
    text = os.environ.get(LIMIT_VARIABLE, "20")
    try:
        gigabytes = float(text)
        if not gigabytes >= 0:
            raise ValueError
    except ValueError as error:
        raise InvalidInput(
            f"{LIMIT_VARIABLE} must be a number of gigabytes, such as 20, but is {text!r}."
        ) from error
    return gigabytes * 1e9


def _mark_as_used(folder: Path) -> None:
    with suppress(OSError):  # a cache that others filled and that cannot be written
        os.utime(folder / _DESCRIPTION)


def _remove_least_recently_used(newest: Path, limit: float) -> None:
    """Removes copies until the rest fits the limit; never the newest one.

    A process that has a removed copy mapped keeps it on Unix, and blocks its removal on Windows.
    """
    for unfinished in newest.parent.glob(f"*{_UNFINISHED}"):  # of processes that were killed
        with suppress(Timeout, OSError), FileLock(unfinished.with_suffix(".lock"), timeout=0):
            shutil.rmtree(unfinished, ignore_errors=True)
    used: list[tuple[float, Path, int]] = []  # when, which, bytes
    for description in newest.parent.glob(f"*/{_DESCRIPTION}"):
        if description.parent.suffix == _UNFINISHED:
            continue
        try:
            size = sum(file.stat().st_size for file in description.parent.iterdir())
            used.append((description.stat().st_mtime, description.parent, size))
        except OSError:
            continue  # another process removes it
    total = sum(size for _, _, size in used)
    for _, folder, size in sorted(used):
        if total <= limit:
            return
        if folder != newest:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
