"""Cluttered digits: small images on which depth pays, made of scikit-learn's digits.

In the manner of cluttered translated MNIST (Mnih et al. 2014, Recurrent Models of Visual
Attention): each image is a digit at a random place among scraps of other digits. A network has to
find the digit before it can tell which it is.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

SIZES: dict[str, int] = {"train": 12_000, "validation": 2_000, "test": 4_000}
"""Images of each part."""

_CANVAS, _DIGIT, _SCRAP = 16, 8, 4  # sides in pixels
_SCRAPS = 3  # in each image

_FIFTHS: dict[str, tuple[int, ...]] = {"train": (0, 1, 2), "validation": (3,), "test": (4,)}
"""Of each class, the k-th digit belongs to the part that has k modulo 5 here."""


def make(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """The images of a part, their labels, and the classes' names; the same on every machine.

    No part shares a source digit with another, neither whole nor as a scrap. Every source digit of
    a part is placed equally often, but for one time. Where strokes overlap, the brighter shows.

    Returns:
        (N, 1, 16, 16) uint8, (N,) int64, and 10 names.
    """
    digits, classes, names = _source_digits(part)
    count = SIZES[part]
    below = _draws(seed=list(SIZES).index(part))
    sources = np.arange(count) % len(digits)
    canvases = np.zeros((count, _CANVAS, _CANVAS), dtype=np.uint8)
    _draw(canvases, digits[sources], below(_CANVAS - _DIGIT + 1, count))
    for _ in range(_SCRAPS):
        others = (sources + 1 + below(len(digits) - 1, count)[:, 0]) % len(digits)
        windows = _windows(below(_DIGIT - _SCRAP + 1, count), _SCRAP)
        _draw(canvases, digits[others][windows], below(_CANVAS - _SCRAP + 1, count))
    return canvases[:, None], classes[sources], names


def _source_digits(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """The digits that belong to a part: (n, 8, 8) uint8, (n,) int64, and the classes' names."""
    data: Any = load_digits()
    classes = data.target.astype(np.int64)
    within_class = np.empty_like(classes)
    for label in np.unique(classes):
        same = classes == label
        within_class[same] = np.arange(same.sum())
    chosen = np.isin(within_class % 5, _FIFTHS[part])
    images = np.round(data.images[chosen] * (255 / 16)).astype(np.uint8)
    return images, classes[chosen], [str(name) for name in data.target_names]


def _draws(seed: int) -> Callable[[int, int], NDArray[np.int64]]:
    """A function that draws (count, 2) integers from 0 to below - 1.

    From the raw stream of PCG64, which NumPy promises never to change; its generator's methods may
    (NEP 19). The modulo favours no number by more than 1e-17.
    """
    stream = np.random.PCG64(seed)

    def below(bound: int, count: int) -> NDArray[np.int64]:
        raw = stream.random_raw(2 * count)
        return (raw % np.uint64(bound)).astype(np.int64).reshape(count, 2)

    return below


def _windows(corners: NDArray[np.int64], side: int) -> tuple[NDArray[np.int64], ...]:
    """Index of a square in each of N images, by the (N, 2) row and column of its first pixel."""
    rows = corners[:, 0, None, None] + np.arange(side)[:, None]
    columns = corners[:, 1, None, None] + np.arange(side)
    return np.arange(len(corners))[:, None, None], rows, columns


def _draw(
    canvases: NDArray[np.uint8], patches: NDArray[np.uint8], corners: NDArray[np.int64]
) -> None:
    """Draws each (n, n) patch on its canvas, in place."""
    windows = _windows(corners, patches.shape[-1])
    canvases[windows] = np.maximum(canvases[windows], patches)
