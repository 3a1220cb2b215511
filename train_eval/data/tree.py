"""Which files under a folder are pictures, and why the others are not."""

import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gym_cnnarch import InvalidInput
from train_eval.data.image_data import Skipped

_OF_SYSTEMS = {
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin",
    "system volume information", "lost+found", "@eadir",
}  # fmt: skip
"""Names, in lower case, of files and folders that operating systems leave among one's own."""

SYSTEM = "hidden or an operating system's"
DEAD = "a link to nothing"
LOOP = "a link to a folder that it lies in"
SPECIAL = "no regular file"
NO_CLASS = "in no class's folder"


@dataclass(frozen=True)
class Found:
    """A file that may be a picture.

    Attributes:
        path: Where it lies.
        size: Bytes.
        changed: When it was last written, in nanoseconds.
    """

    path: Path
    size: int
    changed: int


class Skips:
    """Collects what is skipped, by reason."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: dict[str, list[Path]] = {}

    def add(self, path: Path, reason: str) -> None:
        """Remembers a file or folder that is skipped."""
        self._paths.setdefault(reason, []).append(path)

    def summary(self) -> tuple[Skipped, ...]:
        """Returns the skipped files by reason, the commonest first."""
        found = [
            Skipped(reason, len(paths), str(paths[0].relative_to(self._root)))
            for reason, paths in self._paths.items()
        ]
        return tuple(sorted(found, key=lambda some: (-some.count, some.reason)))


def is_of_a_system(path: Path) -> bool:
    """Whether a name is hidden or an operating system's: never a class, never an image."""
    return path.name.startswith(".") or path.name.lower() in _OF_SYSTEMS


def class_folders(folder: Path, skips: Skips) -> dict[str, Path]:
    """The folders of the classes in the order of their names, by their names in normal form.

    Raises:
        InvalidInput: If there is no such folder, or two names differ in their bytes alone.
    """
    if not folder.is_dir():
        raise InvalidInput(
            f"Expected images in {folder}/<class>/, but there is no folder {folder}."
        )
    classes: dict[str, Path] = {}
    for entry in _entries(folder):
        if is_of_a_system(entry):
            skips.add(entry, SYSTEM)
            continue
        if not entry.is_dir():
            skips.add(entry, NO_CLASS if entry.exists() else DEAD)
            continue
        name = normalised(entry.name)
        if name in classes:
            raise InvalidInput(
                f"{folder} has two folders that are both called {name}, in different bytes of "
                f"Unicode: move their images into one."
            )
        classes[name] = entry
    return classes


def normalised(name: str) -> str:
    """A class's name in Unicode's normal form C: some systems write é as two characters."""
    return unicodedata.normalize("NFC", name)


def files_of(folder: Path, skips: Skips) -> list[Found]:
    """The files under a class's folder that may be pictures, in an order that never changes."""
    parents = {*folder.absolute().parents, *folder.resolve().parents}
    ancestors = frozenset(_identity(parent) for parent in parents)
    levels = dict(_walk(folder, ancestors, skips))
    return [file for level in sorted(levels, key=str) for file in levels[level]]


def _walk(
    folder: Path, ancestors: frozenset[tuple[int, int]], skips: Skips
) -> Iterator[tuple[Path, list[Found]]]:
    """Each folder with its files; links are followed, but not back up."""
    ancestors |= {_identity(folder)}
    files, folders = [], []
    for entry in _entries(folder):
        if is_of_a_system(entry):
            skips.add(entry, SYSTEM)
            continue
        try:
            status = entry.stat()
        except OSError:
            skips.add(entry, DEAD)
            continue
        if stat.S_ISREG(status.st_mode):
            files.append(Found(entry, status.st_size, status.st_mtime_ns))
        elif not stat.S_ISDIR(status.st_mode):
            skips.add(entry, SPECIAL)
        elif (status.st_dev, status.st_ino) in ancestors:
            skips.add(entry, LOOP)
        else:
            folders.append(entry)
    yield folder, files
    for below in folders:
        yield from _walk(below, ancestors, skips)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise InvalidInput(f"Cannot read the folder {folder} ({error}): allow it.") from error


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
