"""The command ``cnnarch search``."""

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from agents import EpsilonSchedule
from gym_cnnarch import Architecture, InvalidInput
from train_eval.cli.options import (
    EvaluatorOptions,
    ExecutorOptions,
    StoppingOptions,
    check_positive,
)
from train_eval.output import console
from train_eval.report.terminal import tables
from train_eval.run.search import run_search
from train_eval.search.agents import default_agent
from train_eval.search.progress import SearchProgress
from train_eval.search.search import MAX_REPEATS, Learned, Search
from train_eval.search.tensorboard import log_to_tensorboard
from train_eval.search.usual import USUAL


@dataclass
class SearchCommand(StoppingOptions, ExecutorOptions, EvaluatorOptions):
    """Search for good networks; every trained network is kept. The same command continues it."""

    agent: str | None = None
    """The agent: metaqnn (tabular Q-learning with replay), random_walk (uniform over legal
    actions), uniform (over networks), evolution (regularised), guided_evolution (whose mutations
    are draws of thompson), local_search, reinforce (policy gradients with a tabular policy),
    thompson (Thompson sampling over mean returns), tpe (of Optuna), or your own: MODULE:CLASS or
    PATH/FILE.py:CLASS. For --objectives: nsga2, pareto_q, random_walk, uniform. Default: metaqnn,
    and nsga2 for --objectives."""
    budget: int | None = None
    """Number of unique networks to train. Default: that of the schedule, the paper's 2,700."""
    hours: float | None = None
    """Hours after which no further network is begun; those in training are finished. The same
    command goes on for as long again. Default: no limit."""
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
    trace_decay: float | None = None
    """Lambda of the returns that Q-learning learns, in [0, 1]. Default: 0, the paper's targets; by
    1, Monte-Carlo returns, early layers are told apart (docs/benchmark.md)."""
    schedule: tuple[str, ...] = ()
    """Epsilon schedule as EPSILON:NETWORKS, such as `--schedule 1.0:80 0.5:40 0.1:30`, scaled to
    the budget if that is given. Default: the paper's."""
    network: tuple[str, ...] = ()
    """Networks, of which local_search begins with the best, such as the one that you use now:
    "[C(16,3,1), P(2,2), SM(10)]"; or the word usual: a few designs that people write. Default: ten
    that are drawn."""
    lookahead: int | None = None
    """Episodes that the agent may act ahead of what it has learned; 1 is the paper's algorithm. The
    run depends on it, and not on the number of workers. Default: the recorded one of a run that is
    continued, else 1 for one worker and 8 per worker for more, at most a quarter of the budget."""
    tensorboard: bool = False
    """Write the run's scalars to tensorboard/ in its folder."""

    def run(self) -> None:
        """Runs or continues the search, then shows what it found."""
        check_positive(self, "budget", "lookahead")
        if self.trains():
            console.sign_of_life()
        display = _Display(self.run_dir / "tensorboard" if self.tensorboard else None)
        where = {f.name: getattr(self, f.name) for f in fields(ExecutorOptions)}
        try:
            run = run_search(
                self.env, self.agent, self.budget, run_dir=self.run_dir, seed=self.seed,
                agent_settings=self._agent_settings(), store=self.store, lookahead=self.lookahead,
                hours=self.hours, stop_early=self.rule(),
                follow=display.follow, **where, **self.kwargs(),
            )  # fmt: skip
        except KeyboardInterrupt:
            if display.search is None:
                raise
            console.leave(
                f"Stopped after {display.unique} of {display.search.settings.budget} unique "
                f"networks; all of them are in {display.search.store.path}."
            )
        summary = run.summary
        if display.search is not None and display.search.exhausted:
            console.note(
                f"No new network in {MAX_REPEATS} episodes in a row: ended after {display.unique}."
            )
        if display.search is not None and display.search.out_of_time:
            console.note(
                f"{self.hours:g} hours are over: {display.unique} of {summary.budget} unique "
                f"networks. The same command goes on for as long again."
            )
        console.out.print(tables(summary))
        console.say(f"Run: {self.run_dir}   Results: {summary.store}")
        console.say(f"Again: cnnarch show {shlex.quote(str(self.run_dir))}")
        if not summary.best:
            sys.exit(1)

    def _agent_settings(self) -> dict[str, Any]:
        """Returns the agent's settings that are given."""
        given: dict[str, Any] = {
            "alpha": self.alpha, "replay": self.replay, "trace_decay": self.trace_decay,
        }  # fmt: skip
        if self.schedule:
            given["schedule"] = _schedule(self.schedule)
        given = {name: value for name, value in given.items() if value is not None}
        agent = self.agent or default_agent(self.objectives is not None)
        if agent != "metaqnn" and given:
            raise InvalidInput(
                f"--alpha, --replay, --trace-decay and --schedule are options of metaqnn: leave "
                f"them out for {agent}."
            )
        if not self.network:
            return given
        if agent != "local_search":
            raise InvalidInput(f"--network is where local_search begins: leave it out for {agent}.")
        if self.network == (USUAL,):
            return {"networks": [USUAL]}
        return {"networks": [str(Architecture.parse(text)) for text in self.network]}


class _Display:
    """Shows a search, and remembers it for what is said in the end.

    Args:
        tensorboard: Folder of the scalars; None for none.

    Attributes:
        search: The search; None before it began.
        unique: Number of unique networks learned.
    """

    def __init__(self, tensorboard: Path | None) -> None:
        self._tensorboard = tensorboard
        self.search: Search | None = None
        self._progress: SearchProgress | None = None

    @property
    def unique(self) -> int:
        return 0 if self._progress is None else self._progress.unique

    def follow(self, search: Search) -> Iterable[Learned]:
        """The search's episodes, while they are shown."""
        self.search, self._progress = search, SearchProgress(search)
        if (quality := getattr(search.evaluator, "quality", None)) is not None:  # a surrogate's
            console.note(quality())
        if (what_was_read := getattr(search.evaluator, "what_was_read", None)) is not None:
            console.note("\n".join(what_was_read()))
        episodes = self._progress.follow()
        if self._tensorboard is None:
            return episodes
        return log_to_tensorboard(episodes, self._tensorboard, self._progress)


def _schedule(words: tuple[str, ...]) -> EpsilonSchedule:
    try:
        pairs = (word.split(":") for word in " ".join(words).split())
        phases = tuple((float(e), int(n)) for e, n in pairs)
        return EpsilonSchedule(phases)
    except ValueError as error:
        raise InvalidInput(
            f"--schedule takes EPSILON:NETWORKS, such as 1.0:80 0.1:30, but came as "
            f"{' '.join(words)}."
        ) from error
