"""The command ``cnnarch search``."""

import shlex
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from agents import EpsilonSchedule
from gym_cnnarch import Architecture, Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from train_eval.cli_options import TrainingOptions
from train_eval.executors import (
    InlineExecutor,
    LocalExecutor,
    visible_gpus,
    worker_environments,
)
from train_eval.progress import SearchProgress
from train_eval.runs import (
    default_lookahead,
    describe,
    make_agent,
    make_env,
    metaqnn_settings,
    open_run,
    recorded_settings,
)
from train_eval.search import MAX_REPEATS, Learned, Search
from train_eval.summary import summarise, tables
from train_eval.tensorboard_log import log_to_tensorboard
from train_eval.workers import describe_task

_out = Console()
_err = Console(stderr=True)


@dataclass
class SearchCommand(TrainingOptions):
    """Search for good networks; every trained network is kept. The same command continues it."""

    agent: Literal["metaqnn", "random_walk"] = "metaqnn"
    """The agent: tabular Q-learning with replay, or uniform over legal actions."""
    budget: int | None = None
    """Number of unique networks to train. Default: that of the schedule, the paper's 2,700."""
    seed: int = 0
    """Seed of the agent. The seed of the training is the environment's, so that several agents on
    one store share what was trained."""
    run_dir: Path = Path("runs/search")
    """Folder of the run."""
    store: Path | None = None
    """File of results to share with other runs. Default: store.sqlite in the run's folder."""
    alpha: float | None = None
    """Q-learning rate, in (0, 1]. Default: 27 / budget within [0.01, 0.1]; the paper's is 0.01."""
    replay: int = 100
    """Episodes that are replayed after each network (K in the paper)."""
    schedule: tuple[str, ...] = ()
    """Epsilon schedule as EPSILON:NETWORKS, such as '1.0:80 0.5:40 0.1:30', scaled to the budget if
    that is given. Default: the paper's."""
    executor: Literal["inline", "local", "ray"] = "local"
    """Where networks are trained: in this process, in worker processes of this machine, or on a Ray
    cluster."""
    workers: int | None = None
    """Networks to train at a time. Default: one a GPU, or one a core without GPUs."""
    workers_per_gpu: int = 1
    """Local workers that share a GPU."""
    lookahead: int | None = None
    """Episodes that the agent may act ahead of what it has learned; 1 is the paper's algorithm. The
    run depends on it, and not on the number of workers. Default: the recorded one of a run that is
    continued, else by the number of workers."""
    ray_address: str | None = None
    """Address of the Ray cluster, such as auto or ray://host:10001. Default: start Ray here."""
    cpus_per_network: float = 1.0
    """CPUs that a network takes of the Ray cluster; fractions are allowed."""
    gpus_per_network: float = 0.0
    """GPUs that a network takes of the Ray cluster; fractions are allowed."""
    tensorboard: bool = False
    """Write the run's scalars to tensorboard/ in its folder."""

    def run(self) -> None:
        """Runs or continues the search, then shows what it found."""
        for name in ("budget", "lookahead", "workers", "workers_per_gpu"):
            value = getattr(self, name)
            if value is not None and value < 1:
                option = name.replace("_", "-")
                raise InvalidInput(f"--{option} must be at least 1, but is {value}.")
        agent_settings, budget = self._agent()
        recorded = recorded_settings(self.run_dir)
        env = make_env(self.env, **self.kwargs())
        if env.evaluator is None:
            raise InvalidInput(f"{self.env} has no evaluator: a search needs one.")
        agent = make_agent(agent_settings, len(env.search_space.actions), self.seed)
        executor, evaluate, workers = self._executor(env)
        with executor:
            settings = describe(
                self.env, env, env.evaluator, agent_settings,
                seed=self.seed, budget=budget, lookahead=self._lookahead(recorded, workers),
            )  # fmt: skip
            store, run = open_run(self.run_dir, settings, self.store)
            search = Search(
                env, env.evaluator.task, evaluate, env.reward_function, agent, store, run, budget,
                executor, settings.lookahead, env.evaluation_seed,
            )  # fmt: skip
            progress = SearchProgress(search, budget, executor, workers, _err)
            self._follow(progress, budget, store.path)
        if search.exhausted:
            _err.print(
                f"No new network in {MAX_REPEATS} episodes in a row: ended after {progress.unique}."
            )
        _out.print(tables(summarise(self.run_dir, store, run, settings.as_json())))
        _out.print(f"Run: {self.run_dir}   Results: {store.path}", markup=False, soft_wrap=True)
        _out.print(f"Again: cnnarch show {shlex.quote(str(self.run_dir))}", markup=False)

    def _follow(self, progress: SearchProgress, budget: int, store_path: str | Path) -> None:
        episodes: Iterator[Learned] = progress.follow()
        if self.tensorboard:
            episodes = log_to_tensorboard(episodes, self.run_dir / "tensorboard", progress)
        try:
            for _ in episodes:
                pass
        except KeyboardInterrupt:
            _err.print(
                f"Stopped after {progress.unique} of {budget} unique networks; all of them are in "
                f"{store_path}. To continue, run the same command again:\n"
                f"  {shlex.join(['cnnarch', *sys.argv[1:]])}",
                markup=False, soft_wrap=True,
            )  # fmt: skip
            sys.exit(130)

    def _agent(self) -> tuple[dict[str, Any], int]:
        """The agent's settings in full, and the budget."""
        if self.agent == "random_walk":
            _, budget = metaqnn_settings(self.budget)
            return {"name": "random_walk"}, budget
        schedule = _schedule(self.schedule) if self.schedule else None
        return metaqnn_settings(self.budget, self.alpha, self.replay, schedule)

    def _executor(
        self, env: CNNArchEnv
    ) -> tuple[Executor, Callable[[Architecture, int], Evaluation], int]:
        """Where evaluations run, what is called there, and how many run at a time."""
        assert env.evaluator is not None
        if self.executor == "inline":
            return InlineExecutor(), env.evaluator.evaluate, 1
        assert env.evaluator_name is not None, "the command line names evaluators"
        task = describe_task(env.evaluator_name, env.evaluator_settings, env.evaluator)
        if self.executor == "ray":
            from train_eval.ray_executor import RayExecutor

            ray = RayExecutor(
                self.ray_address, self.cpus_per_network, self.gpus_per_network, self.workers
            )
            return ray, task, ray.workers
        environments = worker_environments(
            self.workers, visible_gpus(self.device), self.workers_per_gpu
        )
        local = LocalExecutor(environments)
        return local, task, local.workers

    def _lookahead(self, recorded: dict[str, Any] | None, workers: int) -> int:
        if self.lookahead is not None:
            return self.lookahead
        if recorded is not None:
            return int(recorded["lookahead"])
        return default_lookahead(workers)


def _schedule(words: tuple[str, ...]) -> EpsilonSchedule:
    try:
        phases = tuple((float(e), int(n)) for e, n in (word.split(":") for word in words))
        return EpsilonSchedule(phases)
    except ValueError as error:
        raise InvalidInput(
            f"--schedule takes EPSILON:NETWORKS, such as 1.0:80 0.1:30, but came as "
            f"{' '.join(words)}."
        ) from error
