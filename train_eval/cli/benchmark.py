"""The command ``cnnarch benchmark``."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loky
from rich import box
from rich.table import Table

from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from train_eval.benchmark.benchmark import REPEATS, Benchmark, Pair
from train_eval.cli.options import EvaluatorOptions, check_positive
from train_eval.environments import make_env, training_evaluator, with_absolute_places
from train_eval.output import console
from train_eval.output.plotting import check_plots
from train_eval.output.progress import Facts, Progress
from train_eval.records.run_directory import LOCK, STORE, in_use
from train_eval.records.store import number_of_evaluations
from train_eval.search.agents import (
    FRONT_AGENTS,
    LABELS,
    SB3_PREFIX,
    benchmark_settings,
    find_agent,
)

DEFAULT_AGENTS = "random_walk,uniform,evolution,reinforce,metaqnn"


@dataclass
class BenchmarkCommand(EvaluatorOptions):
    """Compare agents on equal budgets of unique networks. The same command continues it."""

    env: str = "CNNArch-ClutteredDigitsTable-v0"
    """Id of the environment."""
    agents: str | None = None
    """Agents, with commas: random_walk, uniform, evolution, guided_evolution, local_search,
    reinforce, thompson, tpe (of Optuna), metaqnn, metaqnn-paper (alpha 0.01), metaqnn-returns
    (trace decay 1), metaqnn-exact, ppo, maskable_ppo, a2c, dqn, sb3:ALGORITHM (any other of
    Stable-Baselines3), MODULE:CLASS (your own), or a label of --settings. For --objectives:
    random_walk, uniform, nsga2, pareto_q. Default: random_walk,uniform,evolution,reinforce,metaqnn,
    or these four."""
    settings: Path | None = None
    """JSON file of agents with their settings, such as
    `{"slow": {"name": "metaqnn", "alpha": 0.005}, "wide": {"name": "sb3:PPO", "n_steps": 256}}`."""
    seeds: int = 10
    """Runs of each agent; 20 or more tell agents apart, 100 where runs cost nothing."""
    first_seed: int = 0
    """The first of their seeds; the others follow it. Choose settings with some seeds, and report
    what others give, such as 1000 and following."""
    sb3_seeds: int | None = None
    """Runs of each agent of Stable-Baselines3, which are slower. Default: --seeds."""
    budget: int = 500
    """Unique networks of a run."""
    max_episodes: int | None = None
    """Episodes of a run at most, for agents that repeat themselves. Default: 10 times the
    budget."""
    out: Path = Path("runs/benchmark")
    """Folder of the results."""
    workers: int | None = None
    """Runs at a time. Default: one per core, and 1 where networks are trained on a GPU."""

    def run(self) -> None:
        """Runs what is missing, then writes the tables and figures."""
        check_positive(self, "seeds", "sb3_seeds", "budget", "max_episodes", "workers")
        if self.first_seed < 0:
            raise InvalidInput(f"--first-seed must be at least 0, but is {self.first_seed}.")
        check_plots()
        console.note(f"Comparing agents on {self.env}.")  # before what takes seconds
        env = make_env(self.env, **self.kwargs())
        evaluator = training_evaluator(env)
        on_gpu = evaluator is not None and evaluator.data.device.type != "cpu"
        workers = self.workers or (1 if on_gpu else loky.cpu_count())
        benchmark = self._benchmark(env)
        from train_eval.benchmark.page import PAGE_FILE, write_page
        from train_eval.benchmark.results import collect
        from train_eval.benchmark.tables import tables, verdict

        benchmark.check(self.out)
        with in_use(self.out / LOCK):
            everything = benchmark.describe(self.out)
            failures = self._execute(benchmark, workers)
            if len(everything.missing(self.out)) == len(list(everything.pairs())):
                _tell_failures(failures)  # there is nothing to write a page of
                sys.exit(1)
            results = collect(everything, self.out)
            write_page(results, self.out, console.this_command())
        for table in tables(results):
            grid = Table(*table.headings, title=table.title, box=box.SIMPLE_HEAD)
            for row in table.rows:
                grid.add_row(*map(console.foreign, row))
            console.out.print(grid)
        console.say(verdict(results).replace("**", ""))
        console.say(f"Page, figures and data: {self.out / PAGE_FILE}")
        if failures:
            _tell_failures(failures)
            sys.exit(1)

    def _benchmark(self, env: CNNArchEnv) -> Benchmark:
        if env.evaluator is None:
            raise InvalidInput(f"{self.env} has no evaluator: a benchmark needs rewards.")
        reward = (env.spec.kwargs if env.spec else {}).get("reward", "accuracy")
        on_table = isinstance(env.evaluator, TableEvaluator)  # where regret is of test accuracies
        if not (env.objectives or on_table or reward in ("accuracy", "last_accuracy")):
            raise InvalidInput(
                f"A benchmark compares accuracies, but the reward of {self.env} is {reward!r}: "
                f"leave it out, or name --objectives."
            )
        budget = env.search_space.count_up_to(self.budget)
        agents = self._agents(budget)
        if env.objectives:
            for settings in agents.values():
                find_agent(str(settings["name"]), vector=True)
        sb3 = {label for label, s in agents.items() if str(s["name"]).startswith(SB3_PREFIX)}
        fewer = self.sb3_seeds or self.seeds
        return Benchmark(
            self.env,
            with_absolute_places(self.kwargs()),
            env.evaluator.task,
            agents,
            {label: fewer if label in sb3 else self.seeds for label in agents},
            budget,
            self.max_episodes or REPEATS * budget,
            training_evaluator(env) is not None,
            self.first_seed,
        )

    def _agents(self, budget: int) -> dict[str, dict[str, Any]]:
        """Label -> name and settings."""
        given = _read_settings(self.settings) if self.settings is not None else {}
        chosen = DEFAULT_AGENTS if self.objectives is None else ",".join(FRONT_AGENTS)
        chosen = chosen if self.agents is None else self.agents
        labels = [word.strip() for word in chosen.split(",") if word.strip()]
        unused = [label for label in given if label not in labels]
        if unused:
            raise InvalidInput(f"--settings has {', '.join(unused)}, which --agents does not name.")
        agents = {}
        for label in labels:
            if label not in given:
                agents[label] = benchmark_settings(label, budget)
                continue
            settings = given[label]
            defaults = benchmark_settings(str(settings["name"]), budget)
            agents[label] = defaults | settings | {"name": defaults["name"]}
        if not agents:
            raise InvalidInput(f"--agents names nobody: choose from {', '.join(LABELS)}.")
        return agents

    def _execute(self, benchmark: Benchmark, workers: int) -> list[Pair]:
        """Runs all pairs and returns those that failed."""
        total = sum(1 for _ in benchmark.pairs())
        todo = len(benchmark.missing(self.out))
        failures: list[Pair] = []
        if todo < total:
            console.note(f"{total - todo} of {total} runs are in {self.out} already.")
        known = 0  # networks

        def facts() -> Facts:
            nonlocal known
            if not benchmark.trains:
                return [("left", progress.left)]
            known = number_of_evaluations(self.out / STORE) or known
            return [("left", progress.left), ("networks trained", f"{known:,}")]

        progress = Progress("runs", total, total - todo, facts)
        try:
            with progress:
                for pair in benchmark.execute(self.out, workers):
                    if pair.error:
                        failures.append(pair)
                    progress.advance()
        except KeyboardInterrupt:
            trained = ", and all networks that were trained," if benchmark.trains else ""
            console.leave(f"Stopped; the runs that are finished{trained} are in {self.out}.")
        return failures


def _tell_failures(failures: Sequence[Pair]) -> None:
    console.note(f"{len(failures)} runs failed:")
    alike: dict[tuple[str, str], list[int]] = {}
    for pair in failures:
        alike.setdefault((pair.label, str(pair.error)), []).append(pair.seed)
    for (label, error), seeds in alike.items():
        which = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, sorted(seeds)))}"
        console.note(f"  {label}, {which}: {error}")


def _read_settings(path: Path) -> dict[str, dict[str, Any]]:
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"Cannot read the agents' settings in {path}: {error}.") from error
    if not isinstance(settings, dict) or not all(
        isinstance(value, dict) and isinstance(value.get("name"), str)
        for value in settings.values()
    ):
        raise InvalidInput(
            f"{path} must hold labels with settings, each with a name, like "
            f'{{"slow": {{"name": "metaqnn", "alpha": 0.005}}}}.'
        )
    return settings
