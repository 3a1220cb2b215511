"""Labels as people store them -> 0 to K - 1."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch import InvalidInput
from train_eval.data.tree import normalised

_MOST_SHOWN = 10  # classes in a message


def plain_labels(path: Path, name: str, stored: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    """(N,) integers or texts, and what was done to get them.

    Raises:
        InvalidInput: If it is not clear what the labels are.
    """
    labels, notes = stored, []
    if stored.ndim == 2 and stored.shape[1] == 1:
        labels = stored[:, 0]
        notes = [f"{name} has the shape {stored.shape}: read as ({len(stored)},)."]
    elif stored.ndim == 2 and _is_one_hot(stored):
        labels = stored.argmax(axis=1)
        notes = [f"{name} has a column for each class: the one that is 1 is the label."]
    kind = labels.dtype.kind
    if labels.ndim != 1 or not (kind in "biuUS" or (kind == "f" and _are_whole(labels))):
        raise InvalidInput(
            f"{path} must hold one label an image, an integer or a text, "
            f"but {name} is {stored.dtype} of shape {stored.shape}."
        )
    if kind in "SU":
        texts, inverse = np.unique(_decoded(labels), return_inverse=True)
        return np.array([normalised(text) for text in texts])[inverse], notes
    return labels.astype(np.int64), notes


def classes_of(
    path: Path, labels: NDArray[Any], stored_names: NDArray[Any] | None
) -> tuple[list[Any], list[str], list[str]]:
    """The labels that mean class 0, class 1 and so on; the classes' names; what was done.

    Raises:
        InvalidInput: If there are fewer than two classes, or the names do not fit the labels.
    """
    found = np.unique(labels).tolist()
    if len(found) < 2:
        raise InvalidInput(
            f"{path} must hold labels of at least 2 classes, each with images, but holds {found}."
        )
    texts = labels.dtype.kind == "U"
    if stored_names is None:
        names = [str(label) for label in found]
    else:
        names = _names(path, stored_names)
        names = [normalised(name) for name in names] if texts else names
        fit = set(names) == set(found) if texts else len(names) == len(found)
        if not fit or len(set(names)) != len(found):
            raise InvalidInput(
                f"{path} must hold one class name for each of {len(found)} classes "
                f"({_some(found)}), but class_names has {len(names)}: {_some(names)}."
            )
        found = names if texts else found
    if texts or found == list(range(len(found))):
        return found, names, []
    return found, names, [f"The labels {_some(found)} are classes 0 to {len(found) - 1}."]


def positions(path: Path, name: str, labels: NDArray[Any], classes: list[Any]) -> NDArray[np.int64]:
    """(N,) which of the classes each label is.

    Raises:
        InvalidInput: If a label is none of them.
    """
    values, inverse = np.unique(labels, return_inverse=True)
    place = {label: position for position, label in enumerate(classes)}
    unknown = [label for label in values.tolist() if label not in place]
    if unknown:
        raise InvalidInput(
            f"{path} has classes in {name} that are not trained on: {_some(unknown)}; give each "
            f"class one label, or leave out what is not to be tested."
        )
    return np.array([place[label] for label in values.tolist()], dtype=np.int64)[inverse]


def _names(path: Path, stored: NDArray[Any]) -> list[str]:
    if stored.ndim != 1:
        raise InvalidInput(
            f"{path} must hold a list of class names, but class_names has the shape {stored.shape}."
        )
    return [str(name) for name in _decoded(stored)]


def _decoded(texts: NDArray[Any]) -> NDArray[Any]:
    return np.char.decode(texts, "utf-8", "replace") if texts.dtype.kind == "S" else texts


def _is_one_hot(labels: NDArray[Any]) -> bool:
    if labels.dtype.kind not in "biuf":
        return False
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def _are_whole(labels: NDArray[Any]) -> bool:
    return bool((np.isfinite(labels) & (labels == np.rint(labels))).all())


def _some(values: list[Any]) -> str:
    shown = ", ".join(str(value) for value in values[:_MOST_SHOWN])
    return shown if len(values) <= _MOST_SHOWN else f"{shown} and {len(values) - _MOST_SHOWN} more"
