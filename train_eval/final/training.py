"""The final training of one network: resumable at every epoch."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gym_cnnarch import Architecture, InvalidInput
from train_eval.final.data import FinalData, final_data
from train_eval.final.recipe import FinalRecipe
from train_eval.final.trained_network import make_normalisation, save_network, save_tensors
from train_eval.training.augmentation import augment
from train_eval.training.device import (
    Precision,
    check_device,
    find_device,
    one_thread,
    seeded,
)
from train_eval.training.network import build_network
from train_eval.training.optimizers import set_learning_rate

_WEIGHTS, _MOMENTUM = "weights/", "momentum/"


@dataclass(frozen=True)
class Final:
    """How a final training ended.

    Attributes:
        status: ``ok``; ``diverged`` if the loss was not finite, ``error``: then there are no files.
        losses: Mean training loss of each epoch.
        seconds: Of this process; what earlier ones trained is not in it.
        message: What went wrong.
    """

    status: str
    losses: tuple[float, ...]
    seconds: float
    message: str = ""


@dataclass(frozen=True)
class FinalTask:
    """Trains a network on all training images, and writes its files.

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
    image_size: int | None
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
        """The data, read once a process."""
        return final_data(
            self.dataset, self.data_root, self.image_size, self.recipe, find_device(self.device)
        )


def train_final(
    architecture: Architecture,
    data: FinalData,
    path: Path,
    seed: int = 0,
    initial: str | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Final:
    """Trains one network, from its checkpoint if there is one, and writes its files.

    Each epoch's chance comes from a seed of its own, so that a training that was interrupted goes
    on as if it had not been: exactly on the CPU, on a GPU but for what its kernels leave to chance.

    Args:
        architecture: The network.
        data: The training images.
        path: The network's files, without their suffix.
        seed: Seed of initialisation, order, augmentation and dropout.
        initial: Weights to begin with (a .safetensors file), where they fit.
        on_epoch: Told the number of finished epochs and the mean loss of the last.

    Raises:
        InvalidInput: If the files there are of another training.
        ProcessUnusable: If the GPU answers this process no more.
    """
    started = time.perf_counter()
    training = _Training(architecture, data, path, seed, initial)
    losses = training.finished()
    if losses is None:
        try:
            with one_thread():
                losses = training.run(on_epoch)
        finally:
            if data.device.type == "cuda":
                check_device(data.device)
    status = "ok" if np.isfinite(losses).all() else "diverged"
    return Final(status, losses, time.perf_counter() - started)


class _Training:
    def __init__(
        self, architecture: Architecture, data: FinalData, path: Path, seed: int,
        initial: str | None,
    ) -> None:  # fmt: skip
        self.architecture, self.data, self.path, self.seed = architecture, data, path, seed
        self.initial = initial
        self.card = data.card(architecture)
        self._checkpoint = path.with_suffix(".checkpoint")
        start = "" if initial is None else hashlib.sha256(Path(initial).read_bytes()).hexdigest()
        course = {k: self.card[k] for k in ("architecture", "recipe", "data", "normalisation")}
        text = json.dumps([course, seed, start], sort_keys=True)
        self.course = hashlib.sha256(text.encode()).hexdigest()

    def finished(self) -> tuple[float, ...] | None:
        """The losses, if the network is trained."""
        file = self.path.with_suffix(".json")
        if not file.is_file():
            return None
        card = json.loads(file.read_text())
        self._check(file, card.get("course"))
        return tuple(card["losses"])

    def run(self, on_epoch: Callable[[int, float], None] | None) -> tuple[float, ...]:
        """Trains to the end and writes the files; ends early if the loss is not finite."""
        recipe = self.data.recipe
        self.path.parent.mkdir(parents=True, exist_ok=True)
        network, optimizer, losses = self._begin()
        while len(losses) < recipe.epochs:
            losses.append(self._epoch(network, optimizer, len(losses)))
            if not np.isfinite(losses[-1]):
                return tuple(losses)
            self._save(network, optimizer, losses)
            if on_epoch is not None:
                on_epoch(len(losses), losses[-1])
        save_network(network, {**self.card, "course": self.course, "losses": losses}, self.path)
        self._checkpoint.unlink()
        return tuple(losses)

    def _begin(self) -> tuple[nn.Module, torch.optim.SGD, list[float]]:
        """The network and optimizer after the last whole epoch, or at the start."""
        recipe, device = self.data.recipe, self.data.device
        with self._seeded("start"):
            network = build_network(
                self.architecture, self.data.input_shape, len(self.data.class_names), recipe.dropout
            )
        if self.initial is not None:
            _load_what_fits(network, Path(self.initial))
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.SGD(
            network.parameters(), lr=recipe.steps[0][0], momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )  # fmt: skip
        losses: list[float] = []
        if self._checkpoint.is_file():
            losses = self._restore(network, optimizer)
        return network, optimizer, losses

    def _epoch(self, network: nn.Module, optimizer: torch.optim.SGD, epoch: int) -> float:
        """Mean loss of one epoch."""
        recipe, data = self.data.recipe, self.data
        normalise = make_normalisation(data.normalisation).to(data.device)
        precision = Precision(data.device)
        network.train()
        total = torch.zeros((), device=data.device)
        with self._seeded(str(epoch)):
            batches = torch.randperm(len(data.images)).to(data.device).split(recipe.batch_size)
            for number, positions in enumerate(batches):
                set_learning_rate(optimizer, recipe.learning_rate(epoch, number / len(batches)))
                images = normalise(data.images.batch(positions))
                images = augment(images, bool(recipe.mirror), recipe.translation)
                with precision.autocast():
                    logits = network(images.contiguous(memory_format=torch.channels_last))
                labels = data.images.labels[positions]
                loss = nn.functional.cross_entropy(logits.float(), labels)
                optimizer.zero_grad()
                precision.step(loss, optimizer)
                total += loss.detach() * len(positions)
        return float(total) / len(data.images)

    def _save(self, network: nn.Module, optimizer: torch.optim.SGD, losses: list[float]) -> None:
        tensors = {_WEIGHTS + name: value for name, value in network.state_dict().items()}
        for name, parameter in network.named_parameters():
            if "momentum_buffer" in optimizer.state[parameter]:  # not without momentum
                tensors[_MOMENTUM + name] = optimizer.state[parameter]["momentum_buffer"]
        known = {"course": self.course, "losses": json.dumps(losses)}
        save_tensors(tensors, self._checkpoint, known)

    def _restore(self, network: nn.Module, optimizer: torch.optim.SGD) -> list[float]:
        try:
            with safe_open(self._checkpoint, framework="pt") as file:
                known = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise InvalidInput(
                f"The checkpoint {self._checkpoint} is damaged ({error}): remove it to begin anew."
            ) from error
        self._check(self._checkpoint, known.get("course"))
        network.load_state_dict(_part(tensors, _WEIGHTS))
        momentum = _part(tensors, _MOMENTUM)
        for name, parameter in network.named_parameters():
            if name in momentum:
                in_its_layout = torch.empty_like(parameter).copy_(momentum[name])
                optimizer.state[parameter]["momentum_buffer"] = in_its_layout
        losses: list[float] = json.loads(known["losses"])
        return losses

    def _check(self, file: Path, course: str | None) -> None:
        if course != self.course:
            raise InvalidInput(
                f"{file} is of another training (network, recipe, data or seed differ): choose "
                f"another folder with --out, or remove it."
            )

    def _seeded(self, purpose: str) -> Any:
        return seeded(f"{self.seed}:{self.architecture}:{purpose}", self.data.device)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _load_what_fits(network: nn.Module, path: Path) -> None:
    """Takes over the weights of the layers that have the same place and shape."""
    with safe_open(path, framework="pt") as file:
        theirs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    ours = network.state_dict()
    fitting = {
        name: theirs[name]
        for name, value in ours.items()
        if name in theirs and theirs[name].shape == value.shape
    }
    network.load_state_dict(ours | fitting)
