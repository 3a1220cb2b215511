"""Evaluations as tasks on a Ray cluster."""

import contextlib
import functools
import logging
import math
import socket
import threading
from collections import deque
from concurrent.futures import Executor, Future
from typing import Any

import loky

import agents
import gym_cnnarch
import train_eval
from gym_cnnarch import Evaluation, InvalidInput
from train_eval.parallel.task import EvaluationTask
from train_eval.parallel.worker import (
    TRIES,
    WorkerDied,
    WorkerProcess,
    WorkersUnavailable,
)


class RayExecutor(Executor):
    """Runs each evaluation as one Ray task; Ray chooses the node.

    The three packages travel with the job. What the nodes need themselves: this project's
    dependencies, and image folders or files at the same paths.

    A task whose worker or node dies runs once more elsewhere, then it is a failure; within a task
    the network is trained in a process of its own, which is replaced like a local worker.

    Args:
        address: Of the cluster: ``auto`` or HOST:PORT; None starts Ray here.
        cpus: CPUs that a network takes, fractions allowed.
        gpus: GPUs that a network takes, fractions allowed; None for 1 if the cluster has GPUs.
        workers: Networks to train at a time; None for as many as fit.

    Attributes:
        workers: Networks that are trained at a time.

    Raises:
        InvalidInput: If Ray is not installed, there is no cluster at the address, or no room on it.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus: float = 1.0,
        gpus: float | None = None,
        workers: int | None = None,
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise InvalidInput(
                "The Ray executor needs Ray: pip install 'gym-cnnarch[ray]'."
            ) from error
        self._ray = ray
        if address is not None and address != "auto":
            _check_reachable(address)
        try:
            ray.init(
                address=address or "local",
                num_cpus=None if address else _processors(workers, cpus),
                runtime_env={
                    "py_modules": [gym_cnnarch, agents, train_eval],
                    "env_vars": {"OMP_NUM_THREADS": "1"},
                },
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ImportError, ValueError, RuntimeError) as error:
            raise InvalidInput(f"No Ray cluster at {address or 'this machine'}: {error}") from error
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if gpus is None:
            gpus = 1.0 if any(node.get("GPU") for node in nodes) else 0.0
        room = sum(_room(node, cpus, gpus) for node in nodes)
        if room < 1:
            ray.shutdown()
            raise InvalidInput(
                f"A network takes {cpus:g} CPUs and {gpus:g} GPUs, but no node of the Ray cluster "
                f"has that: ask for less."
            )
        self.workers = min(workers or room, room)
        remote = ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_retries=TRIES - 1, retry_exceptions=False
        )
        self._evaluate = remote(_evaluate)
        self._references: dict[Future[Evaluation], Any] = {}
        self._waiting: deque[tuple[Future[Evaluation], EvaluationTask, tuple[Any, ...]]] = deque()
        self._running = 0
        self._lock = threading.RLock()  # Ray calls back in its own thread, or at once

    def submit(  # type: ignore[override]
        self, fn: EvaluationTask, /, *arguments: Any
    ) -> Future[Evaluation]:
        """Evaluates wherever the cluster has room, ``workers`` at a time."""
        future: Future[Evaluation] = Future()
        with self._lock:
            self._waiting.append((future, fn, arguments))
            self._start_next()
        return future

    def _start_next(self) -> None:
        """Starts what waits, as far as it may; the lock is held."""
        while self._waiting and self._running < self.workers:
            future, task, arguments = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            self._running += 1
            reference = self._references[future] = self._evaluate.remote(task, *arguments)
            finish = functools.partial(self._finish, future)
            reference.future().add_done_callback(finish)

    def _finish(self, future: Future[Evaluation], done: Future[Evaluation]) -> None:
        """Passes a result on; what Ray says of dead workers and nodes in our own words."""
        with self._lock:
            self._references.pop(future, None)
            self._running -= 1
            self._start_next()
        error = done.exception()
        if error is None:
            future.set_result(done.result())
            return
        errors = self._ray.exceptions
        died = (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
        )
        if isinstance(error, errors.RayTaskError):
            future.set_exception(error.cause)  # as it was raised, without the node's traceback
        elif isinstance(error, died):
            future.set_exception(WorkerDied(f"Ray's worker or node died {TRIES} times"))
        else:
            reason = " ".join(str(error).split())
            future.set_exception(WorkersUnavailable(f"Ray could not run a network: {reason}"))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the tasks at once, and Ray if it was started here; the cluster goes on."""
        with self._lock:
            while self._waiting:
                self._waiting.popleft()[0].cancel()
        for reference in list(self._references.values()):
            with contextlib.suppress(self._ray.exceptions.RayError):  # ended by itself meanwhile
                self._ray.cancel(reference, force=True)
        self._ray.shutdown()


def _processors(workers: int | None, cpus: float) -> int:
    """CPUs of a cluster of this machine alone."""
    return math.ceil(workers * cpus) if workers and cpus else loky.cpu_count()


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes to reach a cluster that is not there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"No Ray cluster at {address} ({error}): expected auto or HOST:PORT."
        ) from error


def _room(node: dict[str, float], cpus: float, gpus: float) -> int:
    """Networks that fit on a node at a time."""
    fits = [node.get("CPU", 0.0) / cpus] if cpus else []
    fits += [node.get("GPU", 0.0) / gpus] if gpus else []
    return int(min(fits, default=1.0))


_process: tuple[dict[str, str], WorkerProcess] | None = None


def _evaluate(task: EvaluationTask, *arguments: Any) -> Evaluation:
    """In a Ray worker: trains in this worker's own process, which sees the GPUs that Ray chose."""
    global _process
    import ray

    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    environment = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}
    if _process is not None and _process[0] != environment:
        _process[1].close()
        _process = None
    if _process is None:
        _process = environment, WorkerProcess(environment)
    return _process[1].run(task, *arguments)
