"""Options that several commands share."""

import json
import shlex
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from rich.console import Console

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.table_evaluator import find_table
from train_eval.environments import absolute_path, find_spec, training_evaluator
from train_eval.parallel.executors import InlineExecutor, LocalExecutor, worker_environments
from train_eval.parallel.worker import describe_task


@dataclass
class EnvOptions:
    """Options that choose the environment."""

    env: str = "CNNArch-Digits-v0"
    """Id of the environment. CNNArch-v0 is the one for your own data."""
    dataset: str | None = None
    """Data set: cifar10, cifar100, svhn, mnist, fashionmnist, digits, folder:PATH (with
    PATH/train/<class>/*.png or jpg) or npz:FILE (with x_train, y_train). Default: the
    environment's."""
    data_root: str | None = None
    """Folder that holds torchvision's files of the data set, or to which they are downloaded.
    Default: the user's cache."""
    recipe: tuple[str, ...] = ()
    """How a network is trained: a preset (paper, quick, digits) and settings, such as
    'quick epochs=5 image_size=32 time_limit=600'; see train_eval/training/recipe.py. Default: the
    environment's."""
    search_space: tuple[str, ...] = ()
    """Limits of the space: a preset (metaqnn, metaqnn-18, digits, small) and limits, such as
    'metaqnn max_layers=6 conv_filters=[16,32]'. Default: the environment's."""
    table: Path | None = None
    """For environments that look results up: a shipped table, or a file that cnnarch table build
    wrote."""
    repeat: str | None = None
    """For the same: the result of a network is a training drawn anew each time (sample), the mean
    of its trainings (mean), or one of them (0, 1, ...). Default: sample; a search looks up the same
    training each time."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        registered = find_spec(self.env).kwargs
        changed: dict[str, Any] = {}
        if self.dataset is not None:
            changed["dataset"] = self.dataset
        if self.data_root is not None:
            changed["data_root"] = self.data_root
        if self.table is not None:
            shipped = find_table(self.table) != self.table
            changed["table"] = str(self.table if shipped else self.table.resolve())
        if self.repeat is not None:
            changed["repeat"] = int(self.repeat) if self.repeat.isdecimal() else self.repeat
        for name, words in (("recipe", self.recipe), ("search_space", self.search_space)):
            if words:
                changed[name] = specification(registered.get(name), words)
        return changed


@dataclass
class TrainingOptions(EnvOptions):
    """Options that choose the environment and where it trains."""

    device: str | None = None
    """Where to train: cpu, cuda, cuda:1, ... Default: CUDA where there is one, else the CPU."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        return super().kwargs() | ({} if self.device is None else {"device": self.device})


SURROGATE = "train_eval:SurrogateEvaluator"


@dataclass
class EvaluatorOptions(TrainingOptions):
    """Options that choose the environment, where it trains, or what predicts instead."""

    evaluator: Literal["training", "surrogate"] = "training"
    """What judges a network: training it, or a prediction from published results."""
    curves: Path | None = None
    """The published results, a CSV file with columns net, acc_1, acc_2, ...; for the surrogate."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        changed = super().kwargs()
        if self.evaluator == "surrogate":
            curves = None if self.curves is None else absolute_path(self.curves)
            changed |= {"evaluator": SURROGATE, "curves": curves}
        elif self.curves is not None:
            raise InvalidInput("--curves is for the surrogate: add --evaluator surrogate.")
        return changed


@dataclass
class ExecutorOptions:
    """Options that choose where networks are trained."""

    executor: Literal["inline", "local", "ray"] | None = None
    """Where networks are trained: in this process, in worker processes of this machine, or on a Ray
    cluster. Default: local, and inline where nothing is trained."""
    workers: int | None = None
    """Networks to train at a time. Default: one a GPU, or one a core without GPUs."""
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
        """Refuses numbers that make no sense."""
        check_positive(self, "workers", "workers_per_gpu")
        if (self.cpus_per_network or 0) < 0 or (self.gpus_per_network or 0) < 0:
            raise InvalidInput("A network cannot take a negative number of CPUs or GPUs.")

    def make_executor(
        self, env: CNNArchEnv
    ) -> tuple[Executor, Callable[[Architecture, int], Evaluation], int]:
        """Where evaluations run, what is called there, and how many run at a time."""
        assert env.evaluator is not None, "commands that evaluate check it"
        executor = self.executor or ("local" if training_evaluator(env) else "inline")
        for name, its_executors in _EXECUTOR_OPTIONS.items():
            if getattr(self, name) is not None and executor not in its_executors:
                raise InvalidInput(
                    f"--{name.replace('_', '-')} is an option of --executor "
                    f"{' and '.join(its_executors)}, but this is {executor}."
                )
        if executor == "inline":
            return InlineExecutor(), env.evaluator.evaluate, 1
        task = describe_task(env)
        device = env.evaluator_settings.get("device")
        if executor == "ray":
            from train_eval.parallel.ray_cluster import RayExecutor

            gpus = self.gpus_per_network
            if gpus is None and device not in (None, "cuda"):
                gpus = 0.0
            cpus = 1.0 if self.cpus_per_network is None else self.cpus_per_network
            ray = RayExecutor(self.ray_address, cpus, gpus, self.workers)
            return ray, task, ray.workers
        local = LocalExecutor(worker_environments(self.workers, device, self.workers_per_gpu or 1))
        return local, task, local.workers


_EXECUTOR_OPTIONS = {
    "workers": ("local", "ray"),
    "workers_per_gpu": ("local",),
    "ray_address": ("ray",),
    "cpus_per_network": ("ray",),
    "gpus_per_network": ("ray",),
}


def check_positive(options: object, *names: str) -> None:
    """Refuses options that are given and less than 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            option = name.replace("_", "-")
            raise InvalidInput(f"--{option} must be at least 1, but is {value}.")


def specification(registered: Any, words: tuple[str, ...]) -> dict[str, Any]:
    """``quick epochs=5`` as plain data; without a preset the settings change the registered one."""
    base = {"preset": registered} if isinstance(registered, str) else dict(registered or {})
    for position, word in enumerate(words):
        name, separator, text = word.partition("=")
        if not separator:
            if position:
                raise InvalidInput(
                    f"A preset comes first and alone, then NAME=VALUE; came {' '.join(words)}."
                )
            base = {"preset": name}
            continue
        try:
            base[name] = json.loads(text)
        except ValueError:
            base[name] = text
    return base


def this_command() -> str:
    """The command line as it was given."""
    return shlex.join(["cnnarch", *sys.argv[1:]])


def leave(what: str) -> NoReturn:
    """After Ctrl-C: says what is kept and how to go on, and ends with status 130."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending takes a moment: let it
    Console(stderr=True).print(
        f"{what} To continue, run the same command again:\n  {this_command()}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    sys.exit(130)
