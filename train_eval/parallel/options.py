"""Where networks are trained, as options: of the command line and of Python."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from train_eval.parallel.executors import InlineExecutor, LocalExecutor, worker_environments
from train_eval.parallel.task import evaluation_task


@dataclass(frozen=True)
class Workplace:
    """An executor and what it is given.

    Attributes:
        executor: Where networks are evaluated.
        evaluate: Called there with an architecture and the evaluation's seed.
        workers: Number of networks that are evaluated at a time.
    """

    executor: Executor
    evaluate: Callable[[Architecture, int], Evaluation]
    workers: int


@dataclass
class ExecutorOptions:
    """Options that choose where networks are trained."""

    executor: Literal["inline", "local", "ray"] | None = None
    """Where networks are trained: in this process, in worker processes of this machine, or on a Ray
    cluster. Default: local, and inline where nothing is trained."""
    workers: int | None = None
    """Networks to train at a time. Default: one per GPU, or one per core without GPUs."""
    workers_per_gpu: int | None = None
    """Local workers that share a GPU. Default: 1."""
    ray_address: str | None = None
    """Address of the Ray cluster: auto or HOST:PORT. Default: start Ray here."""
    cpus_per_network: float | None = None
    """CPUs that a network takes of the Ray cluster; fractions are allowed. Default: 1."""
    gpus_per_network: float | None = None
    """GPUs that a network takes of the Ray cluster; fractions are allowed. Default: 1 where the
    cluster has GPUs, unless the device is another."""

    def check_executor(self) -> None:
        """Refuses numbers that make no sense.

        Raises:
            InvalidInput: If a number is out of its range.
        """
        check_positive(self, "workers", "workers_per_gpu")
        if (self.cpus_per_network or 0) < 0 or (self.gpus_per_network or 0) < 0:
            raise InvalidInput("A network cannot take a negative number of CPUs or GPUs.")

    @contextmanager
    def open(self, env: CNNArchEnv, trains: bool) -> Iterator[Workplace]:
        """Where an environment's networks are evaluated, until the block ends.

        Args:
            env: The environment, with an evaluator.
            trains: Whether its evaluator trains networks.

        Raises:
            InvalidInput: If an option belongs to another executor.
        """
        workplace = self._workplace(env, trains)
        with workplace.executor:
            yield workplace

    def _workplace(self, env: CNNArchEnv, trains: bool) -> Workplace:
        if env.evaluator is None:
            raise InvalidInput("The environment has no evaluator: nothing can be evaluated.")
        executor = self.executor or ("local" if trains else "inline")
        for name, its_executors in _EXECUTOR_OPTIONS.items():
            if getattr(self, name) is not None and executor not in its_executors:
                raise InvalidInput(
                    f"--{name.replace('_', '-')} is an option of --executor "
                    f"{' and '.join(its_executors)}, but this is {executor}."
                )
        if executor == "inline":
            return Workplace(InlineExecutor(), env.evaluator.evaluate, 1)
        task = evaluation_task(env)
        device = env.evaluator_settings.get("device")
        if executor == "ray":
            from train_eval.parallel.ray_cluster import RayExecutor

            if str(device).startswith("cuda:"):
                raise InvalidInput(f"Ray chooses a node's GPU itself: say cuda, not {device}.")
            gpus = self.gpus_per_network
            if gpus is None and device not in (None, "cuda"):
                gpus = 0.0
            cpus = 1.0 if self.cpus_per_network is None else self.cpus_per_network
            ray = RayExecutor(self.ray_address, cpus, gpus, self.workers)
            return Workplace(ray, task, ray.workers)
        if executor != "local":
            raise InvalidInput(f"No executor {executor!r}: expected inline, local or ray.")
        local = LocalExecutor(worker_environments(self.workers, device, self.workers_per_gpu or 1))
        return Workplace(local, task, local.workers)


_EXECUTOR_OPTIONS = {
    "workers": ("local", "ray"),
    "workers_per_gpu": ("local",),
    "ray_address": ("ray",),
    "cpus_per_network": ("ray",),
    "gpus_per_network": ("ray",),
}


def check_positive(options: object, *names: str) -> None:
    """Refuses options that are given and less than 1.

    Raises:
        InvalidInput: If one is.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            option = name.replace("_", "-")
            raise InvalidInput(f"--{option} must be at least 1, but is {value}.")
