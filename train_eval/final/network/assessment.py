"""How well a network does on pictures whose classes are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gym_cnnarch import InvalidInput
from train_eval.data.image_data import Skipped
from train_eval.data.pictures import is_picture
from train_eval.data.tree import Skips, class_folders, files_of, normalised
from train_eval.final.network.classifier import Classifier, classify
from train_eval.final.network.trained_network import TrainedNetwork
from train_eval.training.batches import Images

_BATCH = 256  # images of a forward pass


@dataclass(frozen=True)
class Wrong:
    """A picture that is taken for another class.

    Attributes:
        path: Of the picture.
        truth, answer: Classes.
        confidence: Probability of the answer.
    """

    path: str
    truth: str
    answer: str
    confidence: float


@dataclass(frozen=True)
class Assessment:
    """What a network answers for the pictures of a folder.

    Attributes:
        class_names: The network's classes.
        confusion: (K, K), how many pictures of class i are taken for class j.
        wrong: Pictures taken for another class, the most confident answer first.
        unread: Pictures that could not be read, and why.
        skipped: What is no picture.
    """

    class_names: tuple[str, ...]
    confusion: NDArray[np.int64]
    wrong: tuple[Wrong, ...]
    unread: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def images(self) -> int:
        """Number of pictures that were classified."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of the pictures that are classified correctly."""
        return float(np.trace(self.confusion) / self.images)

    @property
    def recalls(self) -> NDArray[np.float64]:
        """(K,) share of each class's pictures that are found; NaN where there are none."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.diag(self.confusion) / self.confusion.sum(axis=1))

    @property
    def precisions(self) -> NDArray[np.float64]:
        """(K,) share of each answer's pictures that are of that class; NaN where there are none."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.diag(self.confusion) / self.confusion.sum(axis=0))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that there are pictures of."""
        return float(np.nanmean(self.recalls))

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        number = lambda share: None if np.isnan(share) else float(share)
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "classes": [
                {
                    "name": name,
                    "images": int(self.confusion[i].sum()),
                    "recall": number(self.recalls[i]),
                    "precision": number(self.precisions[i]),
                }
                for i, name in enumerate(self.class_names)
            ],
            "confusion": self.confusion.tolist(),
            "wrong": [vars(one) for one in self.wrong],
            "unread": list(self.unread),
            "skipped": [vars(some) for some in self.skipped],
        }


def assess(classifier: Classifier, folder: Path) -> Assessment:
    """Classifies the pictures of FOLDER/<class>/, or of FOLDER/test/<class>/ if there is that.

    Raises:
        InvalidInput: If there are none, or a class is none of the network's.
    """
    place = folder / "test" if (folder / "test").is_dir() else folder
    skips = Skips(place)
    names = tuple(classifier.class_names)
    numbers = {normalised(name): number for number, name in enumerate(names)}
    classes = class_folders(place, skips)
    if unknown := [name for name in classes if name not in numbers]:
        raise InvalidInput(
            f"{place} has the classes {', '.join(unknown)}, which the network does not know: it "
            f"knows {', '.join(names)}."
        )
    if not classes:
        raise InvalidInput(f"Expected pictures in {place}/<class>/, but it has no folders.")
    paths: list[Path] = []
    truths: list[int] = []
    for name, below in classes.items():
        for found in files_of(below, skips):
            if is_picture(found.path):
                paths.append(found.path)
                truths.append(numbers[name])
            else:
                skips.add(found.path, "no picture")
    return _counted(classifier, names, paths, truths, skips)


@torch.no_grad()
def assess_images(trained: TrainedNetwork, images: Images) -> Assessment:
    """Classifies images of a data set; in ``wrong`` they are numbered."""
    parts = [
        trained.eval()(images.batch(positions)).cpu().numpy()
        for positions in torch.arange(len(images)).split(_BATCH)
    ]
    answers, truths = np.concatenate(parts), images.labels.numpy()
    chosen = answers.argmax(axis=1)
    names = tuple(trained.class_names)
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (truths, chosen), 1)
    wrong = [
        Wrong(f"image {i}", names[truths[i]], names[chosen[i]], float(answers[i, chosen[i]]))
        for i in np.flatnonzero(chosen != truths)
    ]
    wrong.sort(key=lambda one: -one.confidence)
    return Assessment(names, confusion, tuple(wrong))


def _counted(
    classifier: Classifier, names: tuple[str, ...], paths: Sequence[Path], truths: Sequence[int],
    skips: Skips,
) -> Assessment:  # fmt: skip
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    wrong, unread = [], []
    for (path, answer), truth in zip(classify(classifier, paths), truths, strict=True):
        if isinstance(answer, InvalidInput):
            unread.append(str(answer))
            continue
        best = int(answer.argmax())
        confusion[truth, best] += 1
        if best != truth:
            wrong.append(Wrong(str(path), names[truth], names[best], float(answer[best])))
    if not confusion.sum():
        reason = f": {unread[0]}" if unread else "."
        raise InvalidInput(f"There is no picture to classify among {len(paths)} files{reason}")
    wrong.sort(key=lambda one: -one.confidence)
    return Assessment(names, confusion, tuple(wrong), tuple(unread), skips.summary())
