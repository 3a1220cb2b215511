"""The device: which one, in what precision, with what random state."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gym_cnnarch import InvalidInput
from gym_cnnarch.errors import ProcessUnusable
from train_eval.output import console
from train_eval.training.recipe import PrecisionName

_LONGEST_STEP = 1.0  # seconds

_OUT_OF_MEMORY = ("allocate memory", "not enough memory", "ALLOC_FAILED", "out of memory")
"""How torch's CPU allocators, cuBLAS, cuDNN and CUDA say it where there is no class for it."""


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


class Precision:
    """How a network computes on a device, and steps.

    Args:
        device: Where.
        name: Of the recipe. None: float32 on the CPU; on CUDA bfloat16, else float16 with loss
            scaling.
    """

    def __init__(self, device: torch.device, name: PrecisionName | None = None) -> None:
        self._device_type = device.type
        self._dtype = _own_dtype(device) if name is None else getattr(torch, name)
        scales = self._dtype is torch.float16
        self._scaler = torch.amp.GradScaler(device.type, enabled=scales)

    def autocast(self) -> torch.autocast:
        """The context of a forward pass."""
        enabled = self._dtype is not torch.float32
        return torch.autocast(self._device_type, self._dtype, enabled=enabled)

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Backward pass and step."""
        self._scaler.scale(loss).backward()
        self._scaler.step(optimizer)
        self._scaler.update()

    @property
    def state(self) -> dict[str, Any]:
        """The scale of the loss, as plain data; empty where none is scaled."""
        return self._scaler.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on with a state, if there is one."""
        if state and self._scaler.is_enabled():
            self._scaler.load_state_dict(state)


def _own_dtype(device: torch.device) -> torch.dtype:
    """In what a device computes if a recipe does not say."""
    if device.type != "cuda":
        return torch.float32
    with torch.cuda.device(device):  # emulated bfloat16 is slower than float16
        emulates = not torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.float16 if emulates else torch.bfloat16


def check_precision(name: PrecisionName | None, device: torch.device) -> None:
    """Says once if a recipe's precision makes this machine slower; its results are the same."""
    if name == "bfloat16" and device.type == "cpu" and not _has_bfloat16():
        _say_once(
            "This CPU has no instructions for bfloat16 (AVX512-BF16, AMX): training with "
            "precision=bfloat16 is slower than with float32 here."
        )


def _has_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16; True where an older torch cannot tell."""
    asked = getattr(torch.cpu, "get_capabilities", None)
    if asked is None:
        return True
    return any(asked().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # bf16: ARM


@cache
def _say_once(sentence: str) -> None:
    console.note(sentence)


@cache
def warm_up(device: torch.device) -> None:
    """Has CUDA load its libraries: seconds of a process's first step that are no network's."""
    if device.type != "cuda":
        return
    with Precision(device).autocast():  # ones: nothing is drawn
        images = torch.ones(2, 8, 8, 8, device=device, requires_grad=True)
        kernels = torch.ones(8, 8, 3, 3, device=device, requires_grad=True)
        features = torch.nn.functional.conv2d(images, kernels).flatten(1)
        answers = features @ torch.ones(features.shape[1], 2, device=device, dtype=features.dtype)
    answers.float().sum().backward()
    torch.cuda.synchronize(device)


class Stopwatch:
    """Seconds of work since it was made: time in which the process is stopped does not count.

    On a CPU the process's own time. A GPU works while its process waits: there a clock, and the
    time between two looks at it counts a second at most.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_cpu = device.type == "cpu"
        self._read = time.process_time if self._on_cpu else time.monotonic
        self._last = self._read()
        self._total = 0.0

    def seconds(self) -> float:
        """So far."""
        now = self._read()
        passed = now - self._last
        self._total += passed if self._on_cpu else min(passed, _LONGEST_STEP)
        self._last = now
        return self._total


@contextmanager
def seeded(text: str, device: torch.device) -> Iterator[None]:
    """Seeds torch from a text, and restores its random state in the end."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread, so that a result does not depend on how many cores the machine has.

    Cores are used by training several networks at once.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python or torch says that there is not enough memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(words in str(error) for words in _OUT_OF_MEMORY)


def check_device(device: torch.device) -> None:
    """After some errors a process can use its GPU no more; and gives unused memory to others.

    Raises:
        ProcessUnusable: If the GPU answers this process no more.
    """
    try:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ProcessUnusable(f"{device} works no more in this process: {reason}") from error
