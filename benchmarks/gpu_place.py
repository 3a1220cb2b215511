"""Where `gpu.py` measures: the device, the images, the networks, the peaks of cards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bare_loop import Setting, answers_of, seconds_of, step_of

from gym_cnnarch import Architecture

SHAPE, CLASSES = (3, 32, 32), 10
TRAIN, VALIDATION, EPOCHS, BATCH = 45_000, 5_000, 20, 128  # of the paper's recipe on CIFAR-10

PAPER = (
    "[C(512,5,1), C(256,3,1), C(256,5,1), C(256,3,1), P(5,3), C(512,3,1), C(512,5,1), P(2,2),"
    " SM(10)]",
    "[C(128,1,1), C(512,3,1), C(64,1,1), C(128,3,1), P(2,2), C(256,3,1), P(2,2), C(512,3,1),"
    " P(3,2), SM(10)]",
    "[C(128,3,1), C(128,1,1), C(512,5,1), P(2,2), C(128,3,1), P(2,2), C(64,3,1), C(64,5,1),"
    " SM(10)]",
    "[C(256,3,1), C(256,3,1), P(5,3), C(256,1,1), C(128,3,1), P(2,2), C(128,3,1), SM(10)]",
    "[C(128,5,1), C(512,3,1), P(2,2), C(128,1,1), C(128,5,1), P(3,2), C(512,3,1), SM(10)]",
)  # fmt: skip
"""The paper's five best networks for CIFAR-10 (table A1)."""

LAUNCHES = (
    "[SM(10)]", "[C(64,3,1), P(2,2), SM(10)]",
    "[C(64,1,1), P(2,2), C(64,3,1), P(2,2), C(64,3,1), P(2,2), C(64,3,1), FC(128), SM(10)]",
)  # fmt: skip
"""Small networks, whose steps are bound by launches of kernels."""

TINY = ("[C(4,3,1), P(2,2), SM(10)]", "[SM(10)]")

PEAKS = {
    "B200": 2250, "GH200": 989, "H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "A10G": 70,
    "A10": 125, "A6000": 155, "L40S": 362, "L40": 181, "L4": 121, "V100": 125, "T4": 65,
    "RTX 5090": 209, "RTX 4090": 165, "RTX 3090": 71,
}  # fmt: skip
"""Dense TFLOPS in bfloat16 (V100, T4: float16) with float32 sums, of data sheets; the first name
that is part of the card's counts."""


@dataclass(frozen=True)
class Place:
    """Where and how long is measured.

    Attributes:
        device: What computes.
        dataset: Name of the images, see ``load_dataset``.
        data_root: Where torchvision's files lie.
        folder: For runs.
        seconds: Of one measurement of a step.
        tiny: Whether only to see that everything runs.
        peak: TFLOPS of the device by its data sheet; None if they are not known.
    """

    device: torch.device
    dataset: str
    data_root: str | None
    folder: Path
    seconds: float
    tiny: bool
    peak: float | None

    def networks(self, texts: Sequence[str]) -> list[Architecture]:
        return [Architecture.parse(text) for text in (TINY if self.tiny else texts)]

    @property
    def setting(self) -> Setting:
        return Setting(self.device, batch_size=8 if self.tiny else BATCH)

    def images_per_second(self, work: Any, images: int) -> float:
        return images / seconds_of(work, self.device, self.seconds)

    def environment(self, **recipe: Any) -> dict[str, Any]:
        """Arguments of an environment with the paper's recipe and space."""
        small = {"preset": "small", "max_layers": 2, "conv_filters": [4]}
        few = {"epochs": 1, "train_size": 100, "validation_size": 50} if self.tiny else {}
        return {
            "dataset": self.dataset,
            "data_root": self.data_root,
            "recipe": {"preset": "paper", **recipe, **few},
            "search_space": small if self.tiny else {"preset": "metaqnn-18"},
            "device": self.device.type,
        }

    def steps(self, network: Architecture, setting: Setting | None = None) -> float:
        """Images per second of the bare step."""
        return self._rate(step_of, network, setting or self.setting)

    def answers(self, network: Architecture, setting: Setting | None = None) -> float:
        """Images per second of a forward pass."""
        return self._rate(answers_of, network, setting or self.setting)

    def _rate(self, made: Callable[..., Any], network: Architecture, setting: Setting) -> float:
        with setting.flags():
            return self.images_per_second(made(network, SHAPE, setting), setting.batch_size)
