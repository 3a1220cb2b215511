"""The evaluator that trains."""

import hashlib
import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from train_eval.data.sources import NAMES, load_dataset, load_train_and_test
from train_eval.records.store import Store
from train_eval.training.batches import TrainingData
from train_eval.training.loop import EpochCallback, train
from train_eval.training.recipe import Recipe


class TrainingEvaluator:
    """Trains each network with a recipe; one that was trained before comes from the store.

    Args:
        dataset: See ``datasets.load_dataset``.
        data_root: Folder of torchvision's files; None for the user's cache.
        recipe: A preset's name, or a mapping of settings with an optional ``preset``.
        device: Such as ``cpu`` or ``cuda:1``; None for CUDA where there is one, else the CPU.
        store: File that keeps the results; ``:memory:`` keeps them while the evaluator lives.
        test: Whether to measure each finished network on the test images too, for a table of
            results; no reward looks at them.

    Attributes:
        task: Names data, split and recipe: what makes two results comparable.
        dataset: As it was asked for.
        fingerprints: Hashes of the training images and, if they are asked for, the test images.
        input_shape: (channels, n, n).
        num_classes: Number of classes.

    Raises:
        InvalidInput: If the data set, the recipe, the device or the store cannot be used.
    """

    def __init__(
        self,
        dataset: str | None = None,
        data_root: str | Path | None = None,
        recipe: str | dict[str, Any] | Recipe = "paper",
        device: str | None = None,
        store: str | Path = ":memory:",
        test: bool = False,
    ) -> None:
        if dataset is None:
            raise InvalidInput(f"Training needs a dataset (--dataset for commands): {NAMES}.")
        self.recipe = Recipe.from_spec(recipe)
        size = self.recipe.image_size
        data, tested = (
            load_train_and_test(dataset, data_root, size)
            if test
            else (load_dataset(dataset, data_root, "train", size), None)
        )
        self.data = TrainingData(data, self.recipe, find_device(device), tested)
        self.dataset = dataset
        self.fingerprints = [d.fingerprint for d in (data, tested) if d is not None]
        self.input_shape = self.data.input_shape
        self.num_classes = self.data.num_classes
        self.task = _task_name(dataset, "".join(self.fingerprints), self.data.split, self.recipe)
        self._store = Store(store)

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        """The stored result, or trains the network now and stores it."""
        with _one_at_a_time:
            known = self._store.find(self.task, architecture, seed)
            if known is not None:
                return known
            evaluation = train(architecture, self.data, self.recipe, seed)
            return self._store.add(self.task, architecture, seed, evaluation)

    def train(
        self, architecture: Architecture, seed: int = 0, on_epoch: EpochCallback | None = None
    ) -> Evaluation:
        """Trains the network now, whatever the store knows, and stores nothing."""
        with _one_at_a_time:
            return train(architecture, self.data, self.recipe, seed, on_epoch)

    def close(self) -> None:
        """Closes the store; nothing can be evaluated any more."""
        self._store.close()

    def prepare(self) -> None:
        """Reads the images, which otherwise the first network does."""
        self.data.prepare()


_one_at_a_time = threading.Lock()  # torch's seed and threads are the process's


def find_device(name: str | None) -> torch.device:
    """The device, without touching a GPU: environments are made in processes that fork."""
    gpus = torch.cuda.device_count()
    if name is None:
        name = "cuda" if gpus else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda":
            if (device.index or 0) >= gpus:
                raise RuntimeError(f"there are {gpus} CUDA devices")
        else:
            torch.empty(0, device=device)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InvalidInput(
            f"No device {name!r} here ({reason}): try cpu, or leave the device out."
        ) from error
    return device


def _task_name(dataset: str, fingerprint: str, split: str, recipe: Recipe) -> str:
    defaults = asdict(Recipe())  # left out, so that a setting added later renames no older task
    changed = {name: value for name, value in asdict(recipe).items() if value != defaults[name]}
    settings = json.dumps([fingerprint, split, changed], sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
    return f"{dataset.partition(':')[0]}-{digest}"
