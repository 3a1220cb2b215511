"""The final training of one network: resumable at every epoch."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.files import replace_file
from gym_cnnarch.image_size import ImageSize
from train_eval.final.checkpoint import Checkpoint, EpochResult, weights_that_fit
from train_eval.final.data import FinalData, final_data
from train_eval.final.network.card import read_card
from train_eval.final.network.trained_network import make_normalisation, save_network
from train_eval.final.pace import Pace
from train_eval.final.recipe import FinalRecipe
from train_eval.training.augmentation import augment
from train_eval.training.device import (
    Precision,
    check_device,
    find_device,
    one_thread,
    seeded,
)
from train_eval.training.metrics import score, worth
from train_eval.training.network import build_network, fold_batch_norm
from train_eval.training.optimizers import WeightAverage, make_optimizer, set_learning_rate
from train_eval.training.recipe import Metric

EPOCHS_SUFFIX = ".epochs.jsonl"
"""Of the file beside a network in training: a line an epoch, for those who watch."""


@dataclass(frozen=True)
class Final:
    """How a final training ended.

    Attributes:
        status: ``ok``; ``diverged`` if the loss was not finite, ``error``: then there are no files.
        losses: Mean training loss of each epoch.
        seconds: Of all its epochs, by whatever process.
        message: What went wrong.
        best: The epoch that was kept; None if nothing was trained.
        metric: What its accuracy is.
    """

    status: str
    losses: tuple[float, ...]
    seconds: float
    message: str = ""
    best: EpochResult | None = None
    metric: Metric = "accuracy"


@dataclass(frozen=True)
class FinalTask:
    """Trains a network to the end, and writes its files.

    It can be sent to any process or machine that sees the folder; a network whose files are there
    already is not trained again, one that was begun goes on after its last whole epoch.

    Attributes:
        dataset, data_root: See ``load_dataset``.
        image_size: Side to which images are resized; None for as they are.
        recipe: How the networks are trained.
        device: Such as ``cpu``; None for CUDA where there is one.
        folder: Where the files go.
        names: Architecture text -> name of its files.
        initial: Architecture text -> weights to begin with, as a .safetensors file; what does not
            fit begins at random. A network without begins at random.
        time_limit: None: a final training may take as long as it takes.
    """

    dataset: str
    data_root: str | None
    image_size: ImageSize | None
    recipe: FinalRecipe
    device: str | None
    folder: str
    names: Mapping[str, str]
    initial: Mapping[str, str] = field(default_factory=dict)
    time_limit: float | None = None

    def __call__(self, architecture: Architecture, seed: int) -> Final:
        """Trains, or finds trained, one network."""
        path = Path(self.folder) / self.names[str(architecture)]
        initial = self.initial.get(str(architecture))
        return train_final(architecture, self.prepare(), path, seed, initial)

    def prepare(self) -> FinalData:
        """The data, read once per process."""
        return final_data(
            self.dataset, self.data_root, self.image_size, self.recipe, find_device(self.device)
        )


def train_final(
    architecture: Architecture,
    data: FinalData,
    path: Path,
    seed: int = 0,
    initial: str | None = None,
    on_epoch: Callable[[EpochResult], None] | None = None,
) -> Final:
    """Trains one network, from its checkpoint if there is one, and writes its files.

    Each epoch's chance comes from a seed of its own, so that a training that was interrupted goes
    on as if it had not been: exactly on the CPU, on a GPU but for what its kernels leave to chance.

    Args:
        architecture: The network.
        data: The training images, and those to judge by.
        path: The network's files, without their suffix.
        seed: Seed of initialisation, order, augmentation and dropout.
        initial: Weights to begin with (a .safetensors file), where they fit.
        on_epoch: Told each epoch.

    Raises:
        InvalidInput: If the files there are of another training.
        ProcessUnusable: If the GPU answers this process no more.
    """
    training = _Training(architecture, data, path, seed, initial)
    course = training.finished()
    if course is None:
        try:
            with one_thread():
                course = training.run(on_epoch)
        finally:
            if data.device.type == "cuda":
                check_device(data.device)
    losses = tuple(epoch.loss for epoch in course)
    seconds = sum(epoch.seconds for epoch in course)
    if not np.isfinite(losses).all():
        return Final("diverged", losses, seconds, "the loss was not finite")
    metric = data.recipe.metric or "accuracy"
    return Final("ok", losses, seconds, best=best_epoch(course), metric=metric)


def best_epoch(course: list[EpochResult]) -> EpochResult:
    """The best by the validation images; the last if nothing was held out."""
    return max(course, key=lambda epoch: epoch.rank)


class _Training:
    def __init__(
        self, architecture: Architecture, data: FinalData, path: Path, seed: int,
        initial: str | None,
    ) -> None:  # fmt: skip
        self.architecture, self.data, self.path, self.seed = architecture, data, path, seed
        self.initial = initial
        self.card = data.card(architecture)
        start = "" if initial is None else hashlib.sha256(Path(initial).read_bytes()).hexdigest()
        known = {k: self.card[k] for k in ("architecture", "recipe", "data", "normalisation")}
        text = json.dumps([known, seed, start], sort_keys=True)
        self.name = hashlib.sha256(text.encode()).hexdigest()
        self._normalise = make_normalisation(data.normalisation).to(data.device)
        self._precision = Precision(data.device, data.recipe.precision)

    def finished(self) -> list[EpochResult] | None:
        """The epochs, if the network is trained."""
        file = self.path.with_suffix(".json")
        if not file.is_file():
            return None
        try:
            card = read_card(file)
        except InvalidInput as error:
            raise InvalidInput(f"{error} Or remove it, to train the network anew.") from error
        self._check(file, card.get("course"))
        self.path.with_suffix(".checkpoint").unlink(missing_ok=True)  # killed before it was removed
        return [EpochResult(**epoch) for epoch in card["epochs"]]

    def run(self, on_epoch: Callable[[EpochResult], None] | None) -> list[EpochResult]:
        """Trains to the end and writes the files; ends early if the loss is not finite."""
        recipe = self.data.recipe
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = self._begin()
        watched = self.path.with_suffix(EPOCHS_SUFFIX)
        replace_file(watched, b"".join(_line(epoch) for epoch in state.course))
        pace = Pace(recipe, len(self.data.images), self.data.device, state.course)
        while not pace.is_over(len(state.course)):
            epoch = self._epoch(state, pace)
            state.course.append(epoch)
            if not np.isfinite(epoch.loss):
                watched.unlink()
                self.path.with_suffix(".checkpoint").unlink(missing_ok=True)
                return state.course
            if best_epoch(state.course) is epoch:
                state.keep()
            state.save(self.path.with_suffix(".checkpoint"), self.name)
            with watched.open("ab") as file:
                file.write(_line(epoch))
            if on_epoch is not None:
                on_epoch(epoch)
        network = state.kept_network()
        epochs = [dataclasses.asdict(epoch) for epoch in state.course]
        save_network(
            fold_batch_norm(network.eval()),
            {**self.card, "course": self.name, "epochs": epochs},
            self.path,
        )
        self.path.with_suffix(".checkpoint").unlink()
        watched.unlink()
        return state.course

    def _begin(self) -> Checkpoint:
        """The state after the last whole epoch, or at the start."""
        recipe, device = self.data.recipe, self.data.device
        with self._seeded("start"):
            network = build_network(
                self.architecture, self.data.input_shape, len(self.data.class_names),
                bool(recipe.dropout), bool(recipe.batch_norm),
            )  # fmt: skip
        if self.initial is not None:
            weights_that_fit(network, Path(self.initial))
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = make_optimizer(
            recipe.optimizer, network.parameters(), recipe.steps[0][0], recipe.weight_decay,
            recipe.momentum,
        )  # fmt: skip
        average = WeightAverage(network, recipe.averaging) if recipe.averaging else None
        state = Checkpoint(network, optimizer, average, self._precision)
        file = self.path.with_suffix(".checkpoint")
        if file.is_file():
            self._check(file, state.restore(file))
        return state

    def _epoch(self, state: Checkpoint, pace: Pace) -> EpochResult:
        """Trains one more epoch, and judges the network."""
        recipe, data, network = self.data.recipe, self.data, state.network
        started = time.perf_counter()
        epoch = len(state.course)
        network.train()
        total, seen = torch.zeros((), device=data.device), 0
        with self._seeded(str(epoch)):
            for rate, positions in pace.batches(epoch):
                set_learning_rate(state.optimizer, rate)
                images = self._normalise(data.images.batch(positions))
                images = augment(
                    images, bool(recipe.mirror), recipe.translation or 0, recipe.colour
                )
                with self._precision.autocast():
                    logits = network(images.contiguous(memory_format=torch.channels_last))
                loss = nn.functional.cross_entropy(
                    logits.float(), data.images.labels[positions], data.class_weights,
                    label_smoothing=recipe.label_smoothing,
                )  # fmt: skip
                state.optimizer.zero_grad()
                self._precision.step(loss, state.optimizer)
                if state.average is not None:
                    state.average.follow(network)
                total += loss.detach() * len(positions)
                seen += len(positions)
        epochs = recipe.epochs if recipe.seconds is None else epoch + 1
        result = EpochResult(epoch + 1, epochs, float(total) / seen)
        if np.isfinite(result.loss):
            result = self._judged(state.judged, result)
        seconds = time.perf_counter() - started
        return dataclasses.replace(result, seconds=seconds, share=pace.share)

    @torch.no_grad()
    def _judged(self, network: nn.Module, result: EpochResult) -> EpochResult:
        """The result with what the validation images say."""
        images = self.data.validation
        if images is None:
            return result
        network.eval()
        parts = []
        for positions in torch.arange(len(images), device=self.data.device).split(256):
            with self._precision.autocast():
                batch = self._normalise(images.batch(positions))
                logits = network(batch.contiguous(memory_format=torch.channels_last))
            parts.append(logits.float())
        answers, labels = torch.cat(parts), images.labels
        chosen = answers.argmax(1)
        return dataclasses.replace(
            result,
            accuracy=score(self.data.recipe.metric or "accuracy", chosen == labels, labels),
            validation_loss=float(nn.functional.cross_entropy(answers, labels)),
            answered=len(chosen.unique()),
            shown=len(labels.unique()),
            worth=worth(self.data.recipe.metric or "accuracy", labels.cpu()),
        )

    def _check(self, file: Path, name: str | None) -> None:
        if name != self.name:
            raise InvalidInput(
                f"{file} is of another training (network, recipe, data, seed, or with --hours time "
                f"or workers differ): choose another folder with --out, or remove it."
            )

    def _seeded(self, purpose: str) -> Any:
        return seeded(f"{self.seed}:{self.architecture}:{purpose}", self.data.device)


def _line(epoch: EpochResult) -> bytes:
    return json.dumps(dataclasses.asdict(epoch)).encode() + b"\n"
