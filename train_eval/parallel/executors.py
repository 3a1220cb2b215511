"""Where evaluations run: here, in local worker processes, on a Ray cluster.

All are ``concurrent.futures.Executor``; any other (Dask's ``client.get_executor()``,
mpi4py.futures, the standard library's) can take their place.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import LifoQueue
from typing import Any, TypeVar

import loky

from gym_cnnarch import Architecture
from gym_cnnarch.errors import first_line
from train_eval.parallel.task import Task
from train_eval.parallel.worker import WorkerProcess, WorkersUnavailable

Result = TypeVar("Result")


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
        super().__init__(
            len(environments), thread_name_prefix="worker", initializer=_leave_ctrl_c_to_main
        )
        self.workers = len(environments)
        self.activity: dict[int, tuple[Architecture, float]] = {}
        self._processes = [WorkerProcess(environment) for environment in environments]
        self._idle: LifoQueue[int] = LifoQueue()  # the last one used is the first one ready
        for worker in reversed(range(self.workers)):
            self._idle.put(worker)

    def submit(  # type: ignore[override]
        self, fn: Task[Result], /, architecture: Architecture, *arguments: Any
    ) -> Future[Result]:
        """Runs a task in the next worker that is free; it gets all that follows it.

        Raises:
            WorkersUnavailable: If no thread can be started to look after one.
        """
        try:
            return super().submit(self._run, fn, architecture, *arguments)
        except RuntimeError as error:
            raise WorkersUnavailable(
                f"No worker can be started ({first_line(error)}): check the limits of this "
                f"machine, or use fewer workers."
            ) from error

    def _run(self, task: Task[Result], architecture: Architecture, *arguments: Any) -> Result:
        worker = self._idle.get_nowait()  # there are as many threads as workers
        self.activity[worker] = architecture, time.monotonic()
        try:
            return self._processes[worker].run(task, architecture, *arguments)
        finally:
            del self.activity[worker]
            self._idle.put(worker)

    def activity_by_worker(self) -> list[tuple[int, Architecture, float]]:
        """Each busy worker, its network, and for how many seconds it has worked on it."""
        now = time.monotonic()
        return [(w, network, now - since) for w, (network, since) in sorted(self.activity.items())]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the workers at once; what they were training is lost."""
        super().shutdown(wait=False, cancel_futures=True)
        try:
            with ThreadPoolExecutor(self.workers) as closers:
                list(closers.map(WorkerProcess.close, self._processes))
        except RuntimeError:  # no thread can be started: one after the other
            for process in self._processes:
                process.close()
        super().shutdown(wait=wait)


def _leave_ctrl_c_to_main() -> None:
    """A thread's blocked signals are inherited by the processes that it starts."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def worker_environments(
    workers: int | None = None, device: str | None = None, workers_per_gpu: int = 1
) -> list[dict[str, str]]:
    """Returns the environment variables of each local worker.

    Without GPUs there is one worker per core. With GPUs, each worker sees one of them; if the
    device is one GPU (or other accelerator) by its name, all share that.

    Args:
        workers: Number of workers; None for one per core, or ``workers_per_gpu`` per GPU.
        device: As asked for: None, ``cpu``, ``cuda``, ``cuda:1``, ...
        workers_per_gpu: Workers that share a GPU.
    """
    gpus = _visible_gpus() if device in (None, "cuda") else []
    if gpus:
        slots = [gpu for _ in range(workers_per_gpu) for gpu in gpus]
        number = len(slots) if workers is None else workers
        return [{"CUDA_VISIBLE_DEVICES": slots[i % len(slots)]} for i in range(number)]
    slots_without = loky.cpu_count() if device in (None, "cpu") else workers_per_gpu
    return [{} for _ in range(workers or slots_without)]


def _visible_gpus() -> list[str]:
    """Names of the GPUs as in CUDA_VISIBLE_DEVICES, without touching them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(i) for i in range(count)]
