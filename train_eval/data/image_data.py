"""Labelled images as arrays, with a record of what was read to make them."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch import InvalidInput

_MOST_NAMES = 12  # of classes in a sentence


@dataclass(frozen=True)
class Skipped:
    """Files that are not among the images, all for one reason.

    Attributes:
        reason: Why, such as "a link to nothing".
        count: Number of files and folders.
        example: One of them.
    """

    reason: str
    count: int
    example: str

    def __str__(self) -> str:
        if self.count == 1:
            return f"Skipped {self.example} ({self.reason})."
        return f"Skipped {self.count}, such as {self.example} ({self.reason})."


@dataclass(frozen=True)
class Reading:
    """A record of what was read, which a run can keep to say later what has changed.

    Attributes:
        class_names: The classes.
        images_per_class: (K,) how many images each of them has.
        shape: (channels, n, n) of an image.
        skipped: What is not among the images, and why.
        notes: What was done to read the images, a sentence each.
    """

    class_names: tuple[str, ...]
    images_per_class: tuple[int, ...]
    shape: tuple[int, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(self.images_per_class)

    def sentences(self) -> list[str]:
        """The same in words: images per class, what was skipped and why, what was done."""
        counts = dict(zip(self.class_names, self.images_per_class, strict=True))
        return [
            f"Read {self.images} images of {len(counts)} classes: {_in_words(counts)}.",
            *map(str, self.skipped),
            *self.notes,
        ]

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> "Reading":
        """The inverse of ``as_json``.

        Raises:
            InvalidInput: If the content is not that of a reading.
        """
        try:
            reading = cls(
                tuple(map(str, content["class_names"])),
                tuple(map(int, content["images_per_class"])),
                tuple(map(int, content["shape"])),
                tuple(
                    Skipped(str(some["reason"]), int(some["count"]), str(some["example"]))
                    for some in content["skipped"]
                ),
                tuple(map(str, content["notes"])),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"Expected the record of what was read of a data set, but {error!r}."
            ) from error
        if len(reading.class_names) != len(reading.images_per_class):
            raise InvalidInput(
                f"Expected one number of images for each of {len(reading.class_names)} classes, "
                f"but there are {len(reading.images_per_class)}."
            )
        return reading


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images.

    Attributes:
        images: (N, channels, n, n) uint8, possibly memory-mapped and read-only.
        labels: (N,) int64, 0 to the number of classes - 1.
        class_names: One per class.
        fingerprint: Hash of the images, labels and class names.
        reading: What was read to make them.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    fingerprint: str
    reading: Reading


def make_image_data(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    names: Sequence[str],
    skipped: Iterable[Skipped] = (),
    notes: Iterable[str] = (),
) -> ImageData:
    """Images with their fingerprint, and the record of their reading."""
    counts = np.bincount(labels, minlength=len(names)).tolist()
    shape = tuple(map(int, images.shape[1:]))
    reading = Reading(tuple(names), tuple(counts), shape, tuple(skipped), tuple(notes))
    return ImageData(images, labels, tuple(names), _fingerprint(images, labels, names), reading)


def what_changed(before: Reading, now: Reading) -> str:
    """Says in a sentence what differs between two states of one data set.

    For example: "996 images then, 997 now: cat 498 then, 499 now."
    """
    then, today = (dict(zip(r.class_names, r.images_per_class, strict=True)) for r in (before, now))
    changes = [f"class {name!r} is gone" for name in then if name not in today]
    changes += [f"class {name!r} is new" for name in today if name not in then]
    changes += [
        f"{name} {count} then, {today[name]} now"
        for name, count in then.items()
        if today.get(name, count) != count
    ]
    if before.shape != now.shape:
        sizes = ["x".join(map(str, reading.shape)) for reading in (before, now)]
        changes.append(f"images of {sizes[0]} values then, {sizes[1]} now")
    if not changes:
        return (
            f"{now.images} images of {len(today)} classes then as now: pixels, labels or the "
            f"order of the classes changed."
        )
    if len(changes) > _MOST_NAMES:
        changes = [*changes[:_MOST_NAMES], f"and {len(changes) - _MOST_NAMES} more changes"]
    return f"{before.images} images then, {now.images} now: {'; '.join(changes)}."


def _in_words(counts: dict[str, int]) -> str:
    """Images per class; of many classes, of the smallest and the largest alone."""
    if len(counts) <= _MOST_NAMES:
        return ", ".join(f"{name} {count}" for name, count in counts.items())
    fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[fewest] == counts[most]:
        return f"{counts[most]} each"
    return f"{counts[fewest]} ({fewest}) to {counts[most]} ({most}) each"


def _fingerprint(images: NDArray[np.uint8], labels: NDArray[np.int64], names: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps([images.shape, list(names)]).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()
