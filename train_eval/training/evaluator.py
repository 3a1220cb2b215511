"""The evaluator that trains."""

import dataclasses
import hashlib
import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from train_eval.data.sources import (
    NAMES,
    load_dataset,
    load_own_validation,
    load_train_and_test,
)
from train_eval.records.store import Store
from train_eval.training.augmentation import mirrors, translated
from train_eval.training.batches import TrainingData
from train_eval.training.device import check_precision, find_device
from train_eval.training.loop import EpochCallback, train
from train_eval.training.recipe import Recipe
from train_eval.training.stopping import Decision, cut


class Trainer:
    """Trains each network that it is asked for, with a recipe.

    Args:
        dataset: See ``load_dataset``.
        data_root: Folder of torchvision's files; None for the user's cache.
        recipe: A preset's name, or a mapping of settings with an optional ``preset``.
        device: Such as ``cpu`` or ``cuda:1``; None for CUDA where there is one, else the CPU.
        test: Whether to measure each finished network on the test images too, for a table of
            results; no reward looks at them.

    Attributes:
        task: Names data, split and recipe: what makes two results comparable.
        dataset, data_root, device: As they were asked for.
        reading: What was read of the training images.
        fingerprints: Hashes of the training images, the data set's own validation images if it has
            any, and the test images if they are asked for.
        input_shape: (channels, n, n).
        num_classes: Number of classes.

    Raises:
        InvalidInput: If the data set, the recipe or the device cannot be used.
    """

    def __init__(
        self,
        dataset: str | None = None,
        data_root: str | Path | None = None,
        recipe: str | dict[str, Any] | Recipe = "paper",
        device: str | None = None,
        test: bool = False,
    ) -> None:
        if dataset is None:
            raise InvalidInput(f"Training needs a dataset (--dataset for commands): {NAMES}.")
        if not isinstance(dataset, str):
            raise InvalidInput(f"A dataset is a text ({NAMES}), not {dataset!r}.")
        self.recipe = Recipe.from_spec(recipe)
        size = self.recipe.image_size
        data, tested = (
            load_train_and_test(dataset, data_root, size)
            if test
            else (load_dataset(dataset, data_root, "train", size), None)
        )
        mirror = mirrors(self.recipe.mirror, dataset, data.images.shape[1])
        translation = translated(self.recipe.translation, data.images.shape[2])
        self.recipe = dataclasses.replace(self.recipe, mirror=mirror, translation=translation)
        validation = load_own_validation(dataset, data, data_root, size)
        self.data = TrainingData(data, self.recipe, find_device(device), tested, validation)
        self.dataset = dataset
        self.data_root = None if data_root is None else str(data_root)
        self.device = device
        self.reading = data.reading
        self.fingerprints = [d.fingerprint for d in (data, validation, tested) if d is not None]
        self.input_shape = self.data.input_shape
        self.num_classes = self.data.num_classes
        self.task = _task_name(dataset, "".join(self.fingerprints), self.data, self.recipe)

    def what_was_read(self) -> list[str]:
        """The images in sentences: how many of each class, what was skipped, what they are for."""
        train, validation = len(self.data.train), len(self.data.validation)
        return [
            *self.reading.sentences(),
            f"{train} are trained on; {validation} give the accuracy.",
        ]

    def evaluate(
        self, architecture: Architecture, seed: int = 0, decision: Decision | None = None
    ) -> Evaluation:
        """Trains the network now, until the decision ends it."""
        return self.train(architecture, seed, decision=decision)

    def train(
        self,
        architecture: Architecture,
        seed: int = 0,
        on_epoch: EpochCallback | None = None,
        decision: Decision | None = None,
    ) -> Evaluation:
        """Trains the network now; ``on_epoch`` is told how it goes."""
        with _one_at_a_time:
            if self.data.device.type != "cpu":
                self.data.prepare()  # images that do not fit are no failure of the network
            return train(architecture, self.data, self.recipe, seed, on_epoch, decision)

    def prepare(self) -> None:
        """Reads the images, which otherwise the first network does."""
        self.data.prepare()


class TrainingEvaluator(Trainer):
    """Trains each network once: one that was trained before is known.

    Args:
        dataset, data_root, recipe, device, test: See ``Trainer``.
        store: File that keeps the results; None keeps them while the evaluator lives.

    Raises:
        InvalidInput: If an argument cannot be used.
    """

    worker = "train_eval:Trainer"
    """Trains in worker processes, while the driver keeps the results."""

    def __init__(
        self,
        dataset: str | None = None,
        data_root: str | Path | None = None,
        recipe: str | dict[str, Any] | Recipe = "paper",
        device: str | None = None,
        store: str | Path | None = None,
        test: bool = False,
    ) -> None:
        super().__init__(dataset, data_root, recipe, device, test)
        check_precision(self.recipe.precision, self.data.device)
        self._store = Store(":memory:" if store is None else store)

    def evaluate(
        self, architecture: Architecture, seed: int = 0, decision: Decision | None = None
    ) -> Evaluation:
        """The stored result as far as the decision goes, or trains the network now.

        A whole training is stored.
        """
        with _one_at_a_time:
            known = self._store.find(self.task, architecture, seed)
            if known is not None and (as_decided := cut(known, decision, self.recipe)) is not None:
                return as_decided
            evaluation = self.train(architecture, seed, decision=decision)
            if evaluation.status == "stopped":
                return evaluation
            return self._store.add(self.task, architecture, seed, evaluation)

    def close(self) -> None:
        """Closes the store; nothing can be evaluated any more."""
        self._store.close()


_one_at_a_time = threading.RLock()  # torch's seed and threads are the process's


def _task_name(dataset: str, fingerprints: str, data: TrainingData, recipe: Recipe) -> str:
    defaults = asdict(Recipe())  # left out, so that a setting added later renames no older task
    changed = {name: value for name, value in asdict(recipe).items() if value != defaults[name]}
    rules = []  # where they are not those of the first version, whose results may be stored
    if recipe.max_restarts == 0:
        rules.append("no restarts")
    elif recipe.restart_on == "chance" and data.chance < data.commonest:
        rules.append("a guess is chance")
    if recipe.metric != "accuracy" and data.chance > 1 / data.num_classes:
        rules.append("chance is of the classes shown")
    named = [fingerprints, data.split, changed, *rules]
    settings = json.dumps(named, sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
    return f"{dataset.partition(':')[0]}-{digest}"
