"""The state of a final training after a whole epoch, in memory and on disk."""

import copy
import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gym_cnnarch import InvalidInput
from train_eval.final.network.trained_network import save_tensors
from train_eval.training.device import Precision
from train_eval.training.optimizers import WeightAverage

_NETWORK, _AVERAGE, _KEPT, _OPTIMIZER = "network/", "average/", "kept/", "optimizer/"


@dataclass(frozen=True)
class EpochResult:
    """An epoch of a final training.

    Attributes:
        epoch: 1, 2, ...
        epochs: Their number in all; of a training that takes given seconds, their number so far.
        loss: Mean training loss.
        accuracy: By the recipe's metric on the validation images; None if there are none, like
            those that follow.
        validation_loss: Mean cross-entropy.
        answered: Number of classes that were answered.
        shown: Number of classes that there are images of.
        worth: Number of images that the accuracy is worth, see ``worth``.
        seconds: It took.
        share: Of the recipe's seconds that are over; None where epochs are counted.
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float | None = None
    validation_loss: float | None = None
    answered: int | None = None
    shown: int | None = None
    worth: float | None = None
    seconds: float = 0.0
    share: float | None = None

    @property
    def done(self) -> float:
        """Share of the training that is over."""
        return self.epoch / self.epochs if self.share is None else self.share

    @property
    def rank(self) -> tuple[float, float, int]:
        """Returns a key that is greater for a better epoch; of equal ones the later is kept."""
        loss = self.validation_loss
        return (self.accuracy or 0.0, -math.inf if loss is None else -loss, self.epoch)


class Checkpoint:
    """The state from which a training goes on.

    Args:
        network: That is trained.
        optimizer: Of its weights.
        average: Of its weights; None if there is none.
        precision: With the scale of the loss, where there is one.

    Attributes:
        course: The epochs so far.
    """

    def __init__(
        self, network: nn.Sequential, optimizer: torch.optim.Optimizer,
        average: WeightAverage | None, precision: Precision,
    ) -> None:  # fmt: skip
        self.network, self.optimizer, self.average = network, optimizer, average
        self.precision = precision
        self.course: list[EpochResult] = []
        self._kept: dict[str, Tensor] = {}

    @property
    def judged(self) -> nn.Sequential:
        """The network that is judged and kept: the average, if there is one."""
        return self.network if self.average is None else self.average.network

    def keep(self) -> None:
        """Keeps the weights as they are now."""
        self._kept = {name: value.clone() for name, value in self.judged.state_dict().items()}

    def kept_network(self) -> nn.Sequential:
        """A network with the kept weights."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self._kept)
        return network

    def save(self, path: Path, name: str) -> None:
        """Writes the state, under the name of its training."""
        tensors = _under(_NETWORK, self.network.state_dict()) | _under(_KEPT, self._kept)
        for parameter_name, parameter in self.network.named_parameters():
            state = self.optimizer.state[parameter]
            tensors |= {
                f"{_OPTIMIZER}{key}/{parameter_name}": value
                for key, value in state.items()
                if isinstance(value, Tensor)  # SGD without momentum has none
            }
        known = {
            "course": name,
            "epochs": json.dumps([dataclasses.asdict(epoch) for epoch in self.course]),
            "precision": json.dumps(self.precision.state),
        }
        if self.average is not None:
            tensors |= _under(_AVERAGE, self.average.network.state_dict())
            known["averaged_steps"] = str(self.average.steps)
        save_tensors(tensors, path, known)

    def restore(self, path: Path) -> str | None:
        """Takes over the state of a file, and returns the name of its training.

        Raises:
            InvalidInput: If the file is damaged, or of another training.
        """
        try:
            with safe_open(path, framework="pt") as file:
                known = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self.network.load_state_dict(_part(tensors, _NETWORK))
            if self.average is not None:
                self.average.network.load_state_dict(_part(tensors, _AVERAGE))
                self.average.steps = int(known["averaged_steps"])
            self.course = [EpochResult(**epoch) for epoch in json.loads(known["epochs"])]
            self._restore_optimizer(_part(tensors, _OPTIMIZER))
            self.precision.restore(json.loads(known.get("precision", "{}")))
            self._kept = _part(tensors, _KEPT)
            self.kept_network()
        except (
            OSError,
            SafetensorError,
            RuntimeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise InvalidInput(
                f"The checkpoint {path} is damaged or of another training "
                f"({str(error).partition(chr(10))[0]}): remove it to begin anew."
            ) from error
        return known.get("course")

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        parameters = dict(self.network.named_parameters())
        for name, value in tensors.items():
            key, _, parameter_name = name.partition("/")
            parameter = parameters[parameter_name]
            if value.shape == parameter.shape:  # in its layout
                value = torch.empty_like(parameter).copy_(value)
            self.optimizer.state[parameter][key] = value.to(parameter.device)


def weights_that_fit(network: nn.Module, path: Path) -> None:
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


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in tensors.items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
