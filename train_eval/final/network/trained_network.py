"""Trained networks as files that anyone can use: safetensors, a JSON card, ONNX."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.files import replace_file, replace_json
from gym_cnnarch.image_size import ImageSize
from train_eval.data.pictures import read_picture, to_array
from train_eval.final.network.card import FORMAT, check_unchanged, read_card, sealed
from train_eval.training.network import build_network

ONNX_CARD = "cnnarch"
"""Key of an ONNX file's metadata."""


class ContrastNormalisation(nn.Module):
    """Each image to mean 0 and standard deviation 1 (global contrast normalisation)."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, n, n) raw pixels to floats of the same shape."""
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        centred = images - mean
        variance = (centred * centred).mean(dim=(1, 2, 3), keepdim=True)
        return centred / (variance + 1e-8).sqrt().clamp(min=1e-3)


class ChannelNormalisation(nn.Module):
    """Each channel by a mean and a standard deviation in pixel values."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        as_tensor = lambda values: torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
        self.register_buffer("mean", as_tensor(mean), persistent=False)
        self.register_buffer("std", as_tensor(std), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, n, n) raw pixels to floats of the same shape."""
        return (images - self.mean) / self.std


def make_normalisation(spec: dict[str, Any]) -> nn.Module:
    """The module that a card's ``normalisation`` describes."""
    if spec["kind"] == "contrast":
        return ContrastNormalisation()
    return ChannelNormalisation(spec["mean"], spec["std"])


class TrainedNetwork(nn.Module):
    """A network with its preprocessing: from raw pixels to class probabilities.

    Attributes:
        network: From normalised images to logits.
        card: What is known of the network: architecture, class names, scores, recipe, data.
    """

    def __init__(self, network: nn.Module, card: dict[str, Any]) -> None:
        super().__init__()
        self.normalisation = make_normalisation(card["normalisation"])
        self.network = network
        self.card = card

    @property
    def class_names(self) -> list[str]:
        """The name of each class."""
        return list(self.card["class_names"])

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, n, n) pixel values from 0 to 255 to (N, K) probabilities."""
        logits: Tensor = self.network(self.normalisation(images.float()))
        return logits.softmax(dim=1)

    def preprocess(self, path: Path) -> NDArray[np.uint8]:
        """(channels, n, n) uint8 of an image file, see ``read_input``."""
        channels, height, width = self.card["input_shape"]
        return read_input(path, (channels, height, width), self.card["image_size"])


def read_input(
    path: Path, input_shape: tuple[int, int, int], image_size: ImageSize | None
) -> NDArray[np.uint8]:
    """(channels, n, n) uint8 of an image file, as the training images were made.

    Args:
        path: The file.
        input_shape: (channels, n, n).
        image_size: Side to which pictures are cropped and resized; None if they must be of n x n.

    Raises:
        InvalidInput: If it is no image, or not of the size that the network was trained on.
    """
    channels, height, width = input_shape
    picture = read_picture(path, "L" if channels == 1 else "RGB")
    if image_size is None and picture.size != (width, height):
        raise InvalidInput(
            f"{path} has {picture.width}x{picture.height} pixels, but the network was trained "
            f"on images of {width}x{height}: crop or resize it."
        )
    return to_array(picture, image_size)


def save_network(network: nn.Module, card: dict[str, Any], path: Path) -> None:
    """Writes PATH.safetensors and PATH.json, the card with the checksums of both last."""
    weights = path.with_suffix(".safetensors")
    save_tensors(network.state_dict(), weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    complete = {"format": FORMAT, **card, "weights_sha256": digest}
    replace_json(path.with_suffix(".json"), sealed(complete))


def save_tensors(
    tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Writes a .safetensors file, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    replace_file(path, save(plain, metadata))


def load_network(path: str | Path) -> TrainedNetwork:
    """The module that a finalized network's files hold, in evaluation mode; nothing is unpickled.

    Args:
        path: The weights (.safetensors) or the card (.json); the other lies beside it.

    Raises:
        InvalidInput: If a file is missing or damaged, or the card does not fit the weights.
    """
    path = Path(path)
    weights, card_file = path.with_suffix(".safetensors"), path.with_suffix(".json")
    card = read_card(card_file)
    try:
        content = weights.read_bytes()
        tensors = load(content)
    except FileNotFoundError as error:
        raise InvalidInput(f"There are no weights {weights}.") from error
    except (OSError, SafetensorError) as error:
        raise InvalidInput(f"The weights {weights} are damaged: {error}.") from error
    architecture = Architecture.parse(card["architecture"])
    shape = tuple(card["input_shape"])
    with torch.device("meta"):  # no memory before it is known that the weights fit
        network = build_network(architecture, shape, len(card["class_names"]), card["dropout"])
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise InvalidInput(
            f"The card {card_file} does not fit the weights {weights}: they are not of "
            f"{architecture} for images of {'x'.join(map(str, shape))}."
        ) from error
    if hashlib.sha256(content).hexdigest() != card["weights_sha256"]:
        raise InvalidInput(
            f"The weights {weights} are not those of the card: the checksum differs."
        )
    check_unchanged(card, card_file)
    return TrainedNetwork(network, card).eval()


def check_onnx() -> None:
    """Checks that the packages for ONNX are there.

    Raises:
        InvalidInput: If one is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InvalidInput(f"ONNX needs {error.name}: pip install 'gym-cnnarch[onnx]'.") from error


def export_onnx(trained: TrainedNetwork, path: Path) -> None:
    """Writes a network with its preprocessing: ``images`` (N, channels, n, n) uint8 pixel values
    to ``probabilities`` (N, K). The file's metadata hold the class names and the input's shape, as
    JSON under ``cnnarch``.

    Raises:
        InvalidInput: If onnx or onnxscript is missing.
    """
    check_onnx()
    images = torch.zeros(2, *trained.card["input_shape"], dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1)
    try:
        program = torch.onnx.export(
            trained, (images,), dynamo=True, input_names=["images"],
            output_names=["probabilities"], dynamic_shapes={"images": {0: batch}}, verbose=False,
        )  # fmt: skip
    except ImportError as error:
        raise InvalidInput(
            f"torch {torch.__version__} exports with a newer onnxscript ({error}): "
            f"pip install --upgrade onnxscript."
        ) from error
    if program is None:
        raise InvalidInput("This version of torch gives no ONNX program: upgrade it.")
    model = program.model_proto
    known = {name: trained.card[name] for name in ("class_names", "input_shape", "image_size")}
    entry = model.metadata_props.add()
    entry.key, entry.value = ONNX_CARD, json.dumps(known)
    replace_file(path, model.SerializeToString())
