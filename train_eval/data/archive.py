"""Arrays in an .npz file, read one by one and only after their headers were believed."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gym_cnnarch import InvalidInput

LARGEST = 16 * 2**30
"""Bytes of the largest array that is read."""

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def names_in(path: Path) -> list[str]:
    """Names of the arrays.

    Raises:
        InvalidInput: If the file is no .npz file.
    """
    with _readable(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read(path: Path, name: str) -> NDArray[Any]:
    """One of the arrays; nothing is unpickled, and the others are not decompressed.

    Raises:
        InvalidInput: If it cannot be read, or is larger than ``LARGEST``.
    """
    with _readable(path, name), zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
        with archive.open(member) as file:
            shape, dtype = _header(file)
            start = file.tell()
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if size > LARGEST:
            raise InvalidInput(
                f"{name} in {path} has {size / 2**30:,.1f} GiB, but at most {LARGEST / 2**30:g} "
                f"GiB are read: make it smaller, or use a folder of pictures."
            )
        if not dtype.hasobject and size != member.file_size - start:
            raise ValueError(f"{dtype} of shape {shape} in {member.file_size} bytes")
        with archive.open(member) as file:
            return npy.read_array(file, allow_pickle=False)


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"format {version}")
    shape, _, dtype = _HEADERS[version](file)
    return shape, dtype


@contextmanager
def _readable(path: Path, name: str | None = None) -> Iterator[None]:
    """Turns whatever a file's bytes provoke in zipfile, zlib and NumPy into a sentence."""
    try:
        yield
    except InvalidInput:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        where = "" if name is None else f"{name}: "
        raise InvalidInput(f"{path} is not a readable .npz file ({where}{reason}).") from error
