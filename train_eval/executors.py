"""Where evaluations run: here, in local worker processes, on a Ray cluster.

All are ``concurrent.futures.Executor``; any other (Dask's ``client.get_executor()``,
mpi4py.futures, the standard library's) can take their place.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import LifoQueue
from typing import Any

from gym_cnnarch import Architecture, Evaluation
from train_eval.workers import EvaluationTask, WorkerProcess


class InlineExecutor(Executor):
    """Runs each call at once, in this process; its futures are finished when they are returned."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls the function now."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class LocalExecutor(ThreadPoolExecutor):
    """Worker processes on this machine, one thread of torch or one GPU each.

    Each process is looked after by a thread of its own, so that when one dies it is known which
    network it had, and the others go on.

    Args:
        environments: Environment variables of each worker process.

    Attributes:
        activity: For each busy worker its network and the time.monotonic() when it began.
    """

    def __init__(self, environments: Sequence[dict[str, str]]) -> None:
        super().__init__(len(environments), thread_name_prefix="worker")
        self.workers = len(environments)
        self.activity: dict[int, tuple[Architecture, float]] = {}
        self._processes = [WorkerProcess(environment) for environment in environments]
        self._idle: LifoQueue[int] = LifoQueue()  # the last one used is the first one ready
        for worker in reversed(range(self.workers)):
            self._idle.put(worker)

    def submit(  # type: ignore[override]
        self, fn: EvaluationTask, /, architecture: Architecture, seed: int
    ) -> Future[Evaluation]:
        """Evaluates in the next worker that is free."""
        return super().submit(self._run, fn, architecture, seed)

    def _run(self, task: EvaluationTask, architecture: Architecture, seed: int) -> Evaluation:
        worker = self._idle.get_nowait()  # there are as many threads as workers
        self.activity[worker] = architecture, time.monotonic()
        try:
            return self._processes[worker].run(task, architecture, seed)
        finally:
            del self.activity[worker]
            self._idle.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the workers at once; what they were training is lost."""
        super().shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.close()
        super().shutdown(wait=wait)


def worker_environments(
    workers: int | None = None, gpus: Sequence[str] = (), workers_per_gpu: int = 1
) -> list[dict[str, str]]:
    """Environment variables of each local worker; with GPUs each worker sees one.

    Args:
        workers: Number of workers; None for one a GPU slot, or one a core without GPUs.
        gpus: Names of the GPUs as in CUDA_VISIBLE_DEVICES.
        workers_per_gpu: Workers that share a GPU.
    """
    if gpus:
        slots = [gpu for _ in range(workers_per_gpu) for gpu in gpus]
        number = len(slots) if workers is None else workers
        return [{"CUDA_VISIBLE_DEVICES": slots[i % len(slots)]} for i in range(number)]
    return [{} for _ in range(workers or available_cores())]


def available_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus(device: str | None) -> list[str]:
    """Names of the GPUs to give to workers; none if the device is the CPU or one GPU by name."""
    import torch

    if device not in (None, "cuda") or not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]
