"""Evaluations as tasks on a Ray cluster."""

import contextlib
import logging
import os
import socket
from concurrent.futures import Executor, Future
from typing import Any

import agents
import gym_cnnarch
import train_eval
from gym_cnnarch import Architecture, Evaluation, InvalidInput
from train_eval.executors import available_cores
from train_eval.workers import TRIES, EvaluationTask, WorkerDied, WorkerProcess


class RayExecutor(Executor):
    """Runs each evaluation as one Ray task; Ray chooses the node.

    The three packages travel with the job. What the nodes need themselves: this project's
    dependencies, and image folders or files at the same paths.

    A task whose worker or node dies runs once more elsewhere, then it is a failure; within a task
    the network is trained in a process of its own, which is replaced like a local worker.

    Args:
        address: Of the cluster, such as ``auto`` or ``ray://host:10001``; None starts Ray here.
        cpus: CPUs that a network takes, fractions allowed.
        gpus: GPUs that a network takes, fractions allowed.
        workers: Networks at a time on a Ray that is started here; None for one a core.

    Attributes:
        workers: Networks that the cluster can train at a time.

    Raises:
        InvalidInput: If Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus: float = 1.0,
        gpus: float = 0.0,
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
                num_cpus=None if address else workers or available_cores(),
                runtime_env={
                    "py_modules": [gym_cnnarch, agents, train_eval],
                    "env_vars": {"OMP_NUM_THREADS": "1"},
                },
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InvalidInput(f"No Ray cluster at {address or 'this machine'}: {error}") from error
        self._evaluate = ray.remote(_evaluate).options(
            num_cpus=cpus, num_gpus=gpus, max_retries=TRIES - 1, retry_exceptions=False
        )
        resources = ray.cluster_resources()
        fits = [resources.get("CPU", 0.0) / cpus] if cpus else []
        fits += [resources.get("GPU", 0.0) / gpus] if gpus else []
        self.workers = int(min(fits, default=1))
        if self.workers < 1:
            raise InvalidInput(
                f"A network takes {cpus:g} CPUs and {gpus:g} GPUs, but the Ray cluster has "
                f"{resources.get('CPU', 0):g} and {resources.get('GPU', 0):g}."
            )
        self._references: dict[Future[Evaluation], Any] = {}

    def submit(  # type: ignore[override]
        self, fn: EvaluationTask, /, architecture: Architecture, seed: int
    ) -> Future[Evaluation]:
        """Evaluates wherever the cluster has room."""
        reference = self._evaluate.remote(fn, architecture, seed)
        future: Future[Evaluation] = Future()
        self._references[future] = reference
        reference.future().add_done_callback(lambda done: self._finish(future, done))
        return future

    def _finish(self, future: Future[Evaluation], done: Future[Evaluation]) -> None:
        """Passes a result on, with Ray's words for a dead worker or node as our own."""
        self._references.pop(future, None)
        error = done.exception()
        errors = self._ray.exceptions
        died = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError)
        if error is None:
            future.set_result(done.result())
        elif isinstance(error, (*died, errors.ObjectLostError)):
            reason = str(error).partition("\n")[0]
            future.set_exception(WorkerDied(f"Ray's worker or node died {TRIES} times: {reason}"))
        else:
            future.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the tasks at once, and Ray if it was started here; the cluster goes on."""
        for reference in list(self._references.values()):
            with contextlib.suppress(self._ray.exceptions.RayError):  # ended by itself meanwhile
                self._ray.cancel(reference, force=True)
        self._ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes to reach a cluster that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"No Ray cluster at {address} ({error}): expected auto, HOST:PORT or ray://HOST:PORT."
        ) from error


_process: tuple[dict[str, str], WorkerProcess] | None = None


def _evaluate(task: EvaluationTask, architecture: Architecture, seed: int) -> Evaluation:
    """In a Ray worker: trains in this worker's own process, which sees the GPU that Ray chose."""
    global _process
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES")
    environment = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    if _process is not None and _process[0] != environment:
        _process[1].close()
        _process = None
    if _process is None:
        _process = environment, WorkerProcess(environment)
    return _process[1].run(task, architecture, seed)
