"""The bare loop: forward, backward and step on one batch, which stays where it is computed.

What other scripts compare with: no images are read, none moved, nothing is evaluated.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from gym_cnnarch import Architecture
from train_eval.training.device import Precision
from train_eval.training.network import build_network
from train_eval.training.recipe import PrecisionName


@dataclass(frozen=True)
class Setting:
    """Where and how a network computes."""

    device: torch.device
    precision: PrecisionName | None = None
    batch_size: int = 128
    deterministic: bool = True
    """As in trainings; False: cuDNN tries its algorithms and takes the fastest."""

    def flags(self) -> object:
        return torch.backends.cudnn.flags(
            enabled=True, benchmark=not self.deterministic, deterministic=self.deterministic
        )


def finish(device: torch.device) -> None:
    """Waits for what a GPU still does."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def step_of(
    architecture: Architecture, input_shape: tuple[int, int, int], setting: Setting
) -> Callable[[], None]:
    """One step of Adam on one batch, again and again."""
    network, images, labels = _made(architecture, input_shape, setting)
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    precision = Precision(setting.device, setting.precision)

    def step() -> None:
        with precision.autocast():
            logits = network(images)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        precision.step(loss, optimizer)

    return step


def graph_of(
    architecture: Architecture, input_shape: tuple[int, int, int], setting: Setting
) -> Callable[[], None]:
    """The same step, recorded once as a CUDA graph: one launch instead of some hundred.

    Float16 with loss scaling looks at gradients on the host, which no graph can do.
    """
    network, images, labels = _made(architecture, input_shape, setting)
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, capturable=True)
    precision = Precision(setting.device, setting.precision)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision.autocast():
            logits = network(images)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # what is allocated at first must not be in the graph
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay(
        kept: Callable[[], None] = step,
    ) -> None:  # alive, since it is what the graph works on
        graph.replay()

    return replay


def answers_of(
    architecture: Architecture, input_shape: tuple[int, int, int], setting: Setting
) -> Callable[[], None]:
    """A forward pass for evaluation."""
    network, images, _ = _made(architecture, input_shape, setting)
    network.eval()
    precision = Precision(setting.device, setting.precision)

    @torch.no_grad()
    def answer() -> None:
        with precision.autocast():
            network(images).argmax(1)

    return answer


def seconds_of(
    work: Callable[[], None], device: torch.device, seconds: float, blocks: int = 5
) -> float:
    """Median seconds of one call: of blocks of calls that take ``seconds`` in all.

    On a CPU seconds of the process, so that what else a machine does counts little.
    """
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    work()
    finish(device)
    started = clock()
    work()
    finish(device)
    calls = max(1, int(seconds / blocks / (clock() - started)))
    found = []
    for _ in range(blocks):
        started = clock()
        for _ in range(calls):
            work()
        finish(device)
        found.append((clock() - started) / calls)
    return statistics.median(found)


def _made(
    architecture: Architecture, input_shape: tuple[int, int, int], setting: Setting
) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Network, images and labels on the device."""
    classes = architecture.layers[-1].classes
    torch.manual_seed(0)
    network = build_network(architecture, input_shape, classes, dropout=True)
    network = network.to(setting.device, memory_format=torch.channels_last)
    images = torch.randn(setting.batch_size, *input_shape, device=setting.device)
    labels = torch.randint(classes, (setting.batch_size,), device=setting.device)
    return network, images.contiguous(memory_format=torch.channels_last), labels
