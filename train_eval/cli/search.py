"""The command ``cnnarch search``."""

import contextlib
import shlex
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from agents import PAPER_SCHEDULE, EpsilonSchedule
from gym_cnnarch import InvalidInput
from train_eval.cli.options import EvaluatorOptions, ExecutorOptions, check_positive, leave
from train_eval.environments import (
    absolute_dataset,
    absolute_path,
    default_lookahead,
    describe,
    make_env,
    training_evaluator,
)
from train_eval.records.run_directory import LOCK, check_folder, in_use, open_run, recorded_settings
from train_eval.records.summary import summarise, tables
from train_eval.search.agents import make_agent, metaqnn_settings
from train_eval.search.progress import SearchProgress
from train_eval.search.search import MAX_REPEATS, Learned, Search
from train_eval.search.tensorboard import log_to_tensorboard

_out = Console()
_err = Console(stderr=True)


@dataclass
class SearchCommand(ExecutorOptions, EvaluatorOptions):
    """Search for good networks; every trained network is kept. The same command continues it."""

    agent: str = "metaqnn"
    """The agent: metaqnn (tabular Q-learning with replay), random_walk (uniform over legal
    actions), uniform (over networks), evolution (regularised), reinforce (policy gradients with a
    tabular policy), or MODULE:CLASS, your own."""
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
    replay: int | None = None
    """Episodes that are replayed after each network (K in the paper). Default: 100."""
    schedule: tuple[str, ...] = ()
    """Epsilon schedule as EPSILON:NETWORKS, such as '1.0:80 0.5:40 0.1:30', scaled to the budget if
    that is given. Default: the paper's."""
    lookahead: int | None = None
    """Episodes that the agent may act ahead of what it has learned; 1 is the paper's algorithm. The
    run depends on it, and not on the number of workers. Default: the recorded one of a run that is
    continued, else 1 for one worker and 8 a worker for more, at most a quarter of the budget."""
    tensorboard: bool = False
    """Write the run's scalars to tensorboard/ in its folder."""

    def run(self) -> None:
        """Runs or continues the search, then shows what it found."""
        self._check()
        check_folder(self.run_dir)
        env = make_env(self.env, **self.kwargs())
        agent_settings, budget = self._agent(env.search_space.count())
        agent = make_agent(agent_settings, env.search_space, self.seed)
        if env.evaluator is None:
            raise InvalidInput(f"{self.env} has no evaluator: a search needs one.")
        if (quality := getattr(env.evaluator, "quality", None)) is not None:  # a surrogate's
            _err.print(quality(), soft_wrap=True)
        executor, evaluate, workers = self.make_executor(env)
        with executor, in_use(self.run_dir / LOCK):
            lookahead = self._lookahead(workers, budget)
            settings = describe(env, agent_settings, self.seed, budget, lookahead)
            data = self._data() if training_evaluator(env) else {}
            store = open_run(self.run_dir, settings, self.store, workers, data)
            search = Search(env, settings, agent, evaluate, store, executor)
            progress = SearchProgress(search, budget, executor, workers, _err)
            self._follow(progress, budget, store.path)
        if search.exhausted:
            _err.print(
                f"No new network in {MAX_REPEATS} episodes in a row: ended after {progress.unique}."
            )
        _out.print(tables(summarise(self.run_dir, store, settings.run)))
        _out.print(f"Run: {self.run_dir}   Results: {store.path}", markup=False, soft_wrap=True)
        _out.print(f"Again: cnnarch show {shlex.quote(str(self.run_dir))}", markup=False)

    def _check(self) -> None:
        """Refuses options that are out of their range or belong to another agent."""
        check_positive(self, "budget", "lookahead")
        self.check_executor()
        learns = self.alpha is not None or self.replay is not None or self.schedule
        if self.agent != "metaqnn" and learns:
            raise InvalidInput(
                f"--alpha, --replay and --schedule are options of metaqnn: leave them out for "
                f"{self.agent}."
            )

    def _data(self) -> dict[str, str]:
        """Where the images are, as far as the environment does not say it."""
        data = {} if self.dataset is None else {"dataset": absolute_dataset(self.dataset)}
        if self.data_root is not None:
            data["data_root"] = absolute_path(self.data_root)
        return data

    def _follow(self, progress: SearchProgress, budget: int, store_path: str | Path) -> None:
        episodes: Generator[Learned] = progress.follow()
        if self.tensorboard:
            episodes = log_to_tensorboard(episodes, self.run_dir / "tensorboard", progress)
        try:
            with contextlib.closing(episodes):
                for _ in episodes:
                    pass
        except KeyboardInterrupt:
            leave(
                f"Stopped after {progress.unique} of {budget} unique networks; all of them are in "
                f"{store_path}."
            )

    def _agent(self, architectures: int) -> tuple[dict[str, Any], int]:
        """The agent's settings in full, and the budget, at most the space's architectures."""
        schedule = _schedule(self.schedule) if self.schedule else PAPER_SCHEDULE
        budget = min(self.budget or schedule.total, architectures)
        if self.agent != "metaqnn":
            return {"name": self.agent}, budget
        replay = 100 if self.replay is None else self.replay
        return metaqnn_settings(budget, self.alpha, replay, schedule)

    def _lookahead(self, workers: int, budget: int) -> int:
        if self.lookahead is not None:
            return self.lookahead
        if (recorded := recorded_settings(self.run_dir)) is not None:
            return int(recorded["lookahead"])
        return default_lookahead(workers, budget)


def _schedule(words: tuple[str, ...]) -> EpsilonSchedule:
    try:
        phases = tuple((float(e), int(n)) for e, n in (word.split(":") for word in words))
        return EpsilonSchedule(phases)
    except ValueError as error:
        raise InvalidInput(
            f"--schedule takes EPSILON:NETWORKS, such as 1.0:80 0.1:30, but came as "
            f"{' '.join(words)}."
        ) from error
