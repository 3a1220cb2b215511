"""Architecture, or layer -> how long a forward pass takes on this machine."""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.space.architecture import Layer
from gym_cnnarch.space.shapes import Shape, layer_shapes
from train_eval.records.latency import Conditions
from train_eval.records.machine import processor, versions
from train_eval.training.device import is_out_of_memory, one_thread, seeded
from train_eval.training.network import build_network, module_of

PASSES = 50
"""Forward passes of a network that are measured."""

_ROUNDS = 5


def conditions_of(device: torch.device, batch: int = 1, passes: int = PASSES) -> Conditions:
    """Those under which latencies are measured on a device of this machine."""
    name = "cpu" if device.type == "cpu" else str(device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return Conditions(name, processor(), batch, passes, versions())


def measure(
    networks: Sequence[Architecture],
    input_shape: tuple[int, int, int],
    device: torch.device,
    batch: int = 1,
    passes: int = PASSES,
) -> list[float]:
    """Milliseconds of a forward pass of each network: the least of the rounds' medians.

    On a CPU one core works, as in trainings, and its own time counts, not that in which others have
    it. They still take caches and memory: a median leaves short disturbances out, and what lasts
    longer can only make a pass slower. So all networks are measured in turn in each of five rounds,
    and the undisturbed round counts. Networks are as ``finalize`` writes them, in float32, but for
    their weights, which are random.

    Args:
        networks: To measure.
        input_shape: (channels, n, n) of an image.
        device: Where.
        batch: Images of a pass.
        passes: Passes of a network, in all rounds.

    Raises:
        InvalidInput: If a batch does not fit into memory.
    """
    rounds = round_medians(networks, input_shape, device, batch, passes)
    return [min(medians) for medians in zip(*rounds, strict=True)]


def round_medians(
    networks: Sequence[Architecture],
    input_shape: tuple[int, int, int],
    device: torch.device,
    batch: int = 1,
    passes: int = PASSES,
) -> list[list[float]]:
    """Of each round the networks' medians, in milliseconds; see ``measure``."""
    built = [partial(_network, network, input_shape) for network in networks]
    shapes = [input_shape for _ in networks]
    return _rounds(built, shapes, device, batch, passes)


def measure_layers(
    layers: Sequence[tuple[Layer, Shape]],
    device: torch.device,
    batch: int = 1,
    passes: int = PASSES,
) -> list[float]:
    """Milliseconds of a forward pass of each layer alone, given the shape that it reads.

    Measured as networks are, see ``measure``.

    Raises:
        InvalidInput: If a batch does not fit into memory.
    """
    built = [partial(module_of, layer, shape) for layer, shape in layers]
    rounds = _rounds(built, [shape for _, shape in layers], device, batch, passes)
    return [min(medians) for medians in zip(*rounds, strict=True)]


def _rounds(
    built: Sequence[Callable[[], nn.Module]],
    shapes: Sequence[Shape],
    device: torch.device,
    batch: int,
    passes: int,
) -> list[list[float]]:
    """Of each round the medians of modules, which are built for it, on what they read."""
    each = max(1, passes // _ROUNDS)

    def one(build: Callable[[], nn.Module], shape: Shape) -> float:
        module = build()
        convert_conv2d_weight_memory_format(module, torch.channels_last)
        inputs = torch.randn(batch, *shape, device=device)
        if len(shape) == 3:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return median_of(module.eval().to(device), inputs, each)

    try:
        with seeded("latency", device), one_thread(), torch.inference_mode():
            return [list(map(one, built, shapes)) for _ in range(min(_ROUNDS, passes))]
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InvalidInput(
            f"A batch of {batch:,} images does not fit into memory on {device}: measure a smaller "
            f"one."
        ) from error


def _network(network: Architecture, input_shape: tuple[int, int, int]) -> nn.Sequential:
    (classes,) = layer_shapes(network.layers, input_shape)[-1]
    return build_network(network, input_shape, classes)


def median_of(module: nn.Module, images: Tensor, passes: int) -> float:
    """Median milliseconds of a forward pass of (B, channels, n, n) images."""
    clock = time.thread_time if images.device.type == "cpu" else time.perf_counter
    module(images)  # prepares kernels
    seconds = []
    for _ in range(passes):
        _finish(images.device)
        started = clock()
        module(images)
        _finish(images.device)
        seconds.append(clock() - started)
    return 1000 * statistics.median(seconds)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
