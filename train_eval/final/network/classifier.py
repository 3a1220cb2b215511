"""Networks that classify pictures: from safetensors and a card, or from ONNX."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from gym_cnnarch import InvalidInput
from gym_cnnarch.image_size import ImageSize, side_of
from train_eval.final.network.trained_network import (
    ONNX_CARD,
    TrainedNetwork,
    load_network,
    read_input,
)

_BATCH = 256  # images of a forward pass


class Classifier(Protocol):
    """What answers for images.

    Attributes:
        class_names: The name of each class.
        input_shape: (channels, n, n) of an image.
        image_size: Side to which pictures are cropped and resized; None if they must be of n x n.
    """

    @property
    def class_names(self) -> list[str]: ...  # noqa: D102
    @property
    def input_shape(self) -> tuple[int, int, int]: ...  # noqa: D102
    @property
    def image_size(self) -> ImageSize | None: ...  # noqa: D102

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, K) of (N, channels, n, n)."""
        ...


class OnnxClassifier:
    """An exported network, by onnxruntime.

    Args:
        path: The file.

    Raises:
        InvalidInput: If onnxruntime is missing, or the file is not of this project.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise InvalidInput("ONNX files need onnxruntime: pip install onnxruntime.") from error
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path))
            known = self._session.get_modelmeta().custom_metadata_map
            card = json.loads(known[ONNX_CARD])
            self.class_names = [str(name) for name in card["class_names"]]
            channels, height, width = card["input_shape"]
            self.input_shape = (int(channels), int(height), int(width))
            self.image_size: ImageSize | None = card["image_size"]
            if self.image_size is not None:
                side_of(self.image_size)
        except Exception as error:  # onnxruntime raises what the file provokes
            reason = str(error).partition("\n")[0]
            raise InvalidInput(
                f"{path} is not a network that cnnarch exported ({reason}): export it anew."
            ) from error

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, K) of (N, channels, n, n)."""
        answers: NDArray[np.float32] = self._session.run(None, {"images": images})[0]
        return answers


class TorchClassifier:
    """A network of a card and its weights."""

    def __init__(self, trained: TrainedNetwork, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._trained = trained.to(self._device).eval()
        self.class_names = trained.class_names
        channels, height, width = trained.card["input_shape"]
        self.input_shape = (channels, height, width)
        self.image_size: ImageSize | None = trained.card["image_size"]

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, K) of (N, channels, n, n)."""
        given = torch.from_numpy(np.array(images)).to(self._device)
        answers: NDArray[np.float32] = self._trained(given).cpu().numpy()
        return answers


def load_classifier(path: Path) -> Classifier:
    """The network of a file: .onnx, or .safetensors with its card beside it.

    Raises:
        InvalidInput: If it cannot be used.
    """
    if path.suffix.lower() == ".onnx":
        if not path.is_file():
            raise InvalidInput(f"There is no network {path}.")
        return OnnxClassifier(path)
    return TorchClassifier(load_network(path))


def classify(
    classifier: Classifier, paths: Sequence[Path]
) -> Iterator[tuple[Path, NDArray[np.float32] | InvalidInput]]:
    """(K,) probabilities of each file, or why it has none; files are read as they are needed."""
    for start in range(0, len(paths), _BATCH):
        some = paths[start : start + _BATCH]
        images: dict[Path, NDArray[np.uint8]] = {}
        unread: dict[Path, InvalidInput] = {}
        for path in some:
            try:
                images[path] = read_input(path, classifier.input_shape, classifier.image_size)
            except InvalidInput as error:
                unread[path] = error
        answers: dict[Path, NDArray[np.float32]] = {}
        if images:
            answered = classifier.probabilities(np.stack(list(images.values())))
            answers = dict(zip(images, answered, strict=True))
        for path in some:
            yield path, unread[path] if path in unread else answers[path]
