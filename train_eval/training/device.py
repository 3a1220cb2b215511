"""The device: which one, in what precision, with what random state."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gym_cnnarch import InvalidInput
from gym_cnnarch.errors import ProcessUnusable

_LONGEST_STEP = 1.0  # seconds


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
    """fp32 on the CPU; on CUDA autocast to bf16, else to fp16 with loss scaling."""

    def __init__(self, device: torch.device) -> None:
        self._device_type = device.type
        self._enabled = device.type == "cuda"
        bf16 = False
        if self._enabled:
            with torch.cuda.device(device):  # emulated bf16 is slower than fp16
                bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        self._dtype = torch.bfloat16 if bf16 or not self._enabled else torch.float16
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._enabled and not bf16)

    def autocast(self) -> torch.autocast:
        """The context of a forward pass."""
        return torch.autocast(self._device_type, self._dtype, enabled=self._enabled)

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Backward pass and step."""
        self._scaler.scale(loss).backward()
        self._scaler.step(optimizer)
        self._scaler.update()


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
