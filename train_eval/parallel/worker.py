"""Working in another process, which is replaced when it dies."""

import gc
import os
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, Future, wait
from multiprocessing import process
from typing import Any, TypeVar

from loky import ProcessPoolExecutor

from gym_cnnarch import Architecture, Evaluation
from gym_cnnarch.errors import ProcessUnusable, first_line
from gym_cnnarch.rewards.evaluation import Status
from gym_cnnarch.space.shapes import count_macs, count_parameters
from train_eval.parallel.task import Task

Result = TypeVar("Result")

TRIES = 2
"""How often a network is tried whose worker process dies."""

STARTS = 5
"""How often a worker process is started that dies while it starts."""

GRACE = 10.0
"""Seconds beyond the recipe's time limit before a worker that does not answer is replaced."""

_STEP = 0.5  # seconds of waiting at a time


class WorkerDied(Exception):
    """Every process that tried to evaluate a network died."""


class WorkersUnavailable(Exception):
    """Worker processes cannot be started: no result, but the end of a search."""


class WorkerHung(Exception):
    """No process ended a network in time, not even by itself."""


def outcome_of(
    future: Future[Evaluation], architecture: Architecture, input_shape: tuple[int, int, int]
) -> Evaluation:
    """The evaluation of a finished future; a worker that died or hung is a result too."""
    try:
        return future.result()
    except WorkerDied as error:
        status: Status = "error"
        message = str(error)
    except WorkerHung as error:
        status, message = "timeout", str(error)
    return Evaluation(
        accuracy=0.0,
        status=status,
        parameters=count_parameters(architecture, input_shape),
        macs=count_macs(architecture, input_shape),
        message=message,
    )


def answers_within(limit: float | None, future: Future[Any]) -> bool:
    """Waits for an answer, and says whether there is one.

    Only time in which this process ran counts: when it is stopped (Ctrl-Z, a laptop's lid), so are
    its workers.

    Args:
        limit: Seconds; None waits for ever.
        future: The answer.
    """
    if limit is None:
        return bool(wait([future]).done)
    left = limit
    while left > 0:
        step = min(_STEP, left)
        if wait([future], timeout=step).done:
            return True
        left -= step  # however much later it is
    return future.done()


def has_no_outcome(future: Future[Evaluation]) -> bool:
    """Whether an evaluation ended without a result, not even that its worker died or hung."""
    if future.cancelled():
        return True
    error = future.exception() if future.done() else None
    return error is not None and not isinstance(error, (WorkerDied, WorkerHung))


class WorkerProcess:
    """A process that evaluates one network at a time.

    It starts with its first network, with one thread for torch, and is replaced when it dies
    (killed, out of memory, a crash) or hangs.

    Args:
        environment: Environment variables of the process, such as CUDA_VISIBLE_DEVICES.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {
            "OMP_NUM_THREADS": "1",
            "LOKY_MAX_MEMORY_LEAK_SIZE": "1e15",  # a worker that has read its images has not leaked
            **environment,
        }
        self._pool: ProcessPoolExecutor | None = None
        self._closed = False

    def run(self, task: Task[Result], *arguments: Any) -> Result:
        """Waits for the task's result.

        Args:
            task: The task.
            arguments: What it is called with: architecture, seed, a decision if there is one.

        Raises:
            WorkerDied: If the process died at every try.
            WorkerHung: If the task's time limit was exceeded by more than the grace period, at
                every try or the last.
            WorkersUnavailable: If no process can be started.
        """
        hung = False
        for _ in range(TRIES):
            pool = self._started_for(task)
            limit = None if task.time_limit is None else task.time_limit + GRACE
            try:
                future = pool.submit(_work, task, *arguments)
                if answers_within(limit, future):
                    return future.result()  # type: ignore[no-any-return]
                hung = True
            except BrokenExecutor:
                hung = False
            self._stop()
            if self._closed:
                raise WorkersUnavailable("the executor is shut down")
        if hung:
            raise WorkerHung(
                f"no answer {GRACE:g} seconds after the time limit, asked {TRIES} times"
            )
        raise WorkerDied(f"the worker process died {TRIES} times in a row (killed or crashed)")

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._closed = True
        self._stop()

    def _started_for(self, task: Task[Any]) -> ProcessPoolExecutor:
        """The process, its task prepared: that is neither a network's time nor its fault."""
        for _ in range(STARTS):
            if self._closed:
                raise WorkersUnavailable("the executor is shut down")
            if self._pool is not None:
                return self._pool
            self._pool, prepared = self._start(task)
            if self._closed:  # meanwhile, and found no process to end
                self._stop()
                continue
            try:
                prepared.result()
            except BrokenExecutor:
                self._stop()
            except (RuntimeError, MemoryError, ProcessUnusable) as error:
                self._stop()
                reason = str(error).partition("\n")[0] or type(error).__name__
                raise WorkersUnavailable(
                    f"A worker process cannot prepare to train ({reason}): free memory, or use "
                    f"fewer workers, then run the same command again."
                ) from error
        if self._pool is None:
            raise WorkersUnavailable(
                f"A worker process died {STARTS} times while it started: free memory, or use fewer "
                f"workers, then run the same command again."
            )
        return self._pool

    def _start(self, task: Task[Any]) -> tuple[ProcessPoolExecutor, Future[None]]:
        """A new process, which begins to prepare the task."""
        try:
            if process.current_process().daemon:
                raise OSError("this is a daemonic process, which may have none")
            pool = ProcessPoolExecutor(
                max_workers=1,
                env=self._environment,
                initializer=begin_worker,
                initargs=(os.getpid(),),
            )
            return pool, pool.submit(_prepare, task)
        except (OSError, ImportError, RuntimeError) as error:  # no semaphores, threads, processes
            raise WorkersUnavailable(
                f"No worker process can be started ({first_line(error)}): check the limits of this "
                f"machine and /dev/shm, or train in this process, with the executor inline."
            ) from error

    def _stop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)


def _prepare(task: Task[Any]) -> None:
    """Prepares the task; loky collects garbage every second, which need not look at torch."""
    task.prepare()
    gc.collect()
    gc.freeze()


def _work(task: Task[Result], *arguments: Any) -> Result:
    """Works; a process that is of no more use ends, so that a fresh one takes its place."""
    try:
        return task(*arguments)
    except ProcessUnusable:
        os._exit(1)


def begin_worker(parent: int) -> None:
    """Leaves Ctrl-C to the driver, gives way to it, and ends when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice") and os.nice(0) == 0:  # Ray's workers have given way already
        os.nice(5)  # the driver has little to do, but workers wait for it
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
