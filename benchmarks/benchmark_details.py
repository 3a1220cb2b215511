"""What the page of `cnnarch benchmark` leaves out, from its folder: tables of docs/benchmark.md.

For each agent the mean reward of all networks that its runs met and of the last hundred, and on a
table of results how many networks and recorded seconds of training it took to meet the best one (by
mean validation accuracy):

    python benchmarks/benchmark_details.py runs/compared
"""

import argparse
from pathlib import Path

import numpy as np
from command import run
from rich.console import Console
from rich.table import Table as Grid

from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from train_eval.benchmark.benchmark import Benchmark
from train_eval.benchmark.results import AgentResult, collect
from train_eval.environments import make_env


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", type=Path, help="the --out of a benchmark")
    benchmark = Benchmark.load(parser.parse_args().folder)
    results = collect(benchmark, parser.parse_args().folder)
    evaluator = make_env(benchmark.env, **benchmark.kwargs).evaluator
    best = None
    if isinstance(evaluator, TableEvaluator):
        best = str(evaluator.optimum("validation").architecture)
    grid = Grid("agent", "mean reward", "of the last 100", "networks", "episodes")
    for column in ("runs that meet the best", "median networks", "median seconds") if best else ():
        grid.add_column(column)
    for label, agent in results.agents.items():
        rewards = [[row.reward for row in outcome.found] for outcome in agent.outcomes]
        grid.add_row(
            label,
            f"{np.mean([np.mean(run) for run in rewards if run]):.2%}",
            f"{np.mean([np.mean(run[-100:]) for run in rewards if run]):.2%}",
            f"{agent.unique:,.0f}",
            f"{agent.episodes:,.0f}",
            *(until(agent, best) if best else ()),
        )
    if best:
        print(f"The best network: {best}")
    Console(width=140).print(grid)


def until(agent: AgentResult, best: str) -> tuple[str, str, str]:
    """The share of the runs that meet a network, and how many networks and seconds it takes."""
    networks, seconds = [], []
    for outcome in agent.outcomes:
        place = next((i for i, row in enumerate(outcome.found) if row.architecture == best), None)
        networks.append(np.inf if place is None else place + 1)
        seconds.append(np.inf if place is None else outcome.found[place].seconds)
    met = np.isfinite(networks)
    if met.mean() <= 0.5:
        return f"{met.mean():.0%}", "not in half", ""
    return f"{met.mean():.0%}", f"{np.median(networks):,.0f}", f"{np.median(seconds):,.0f}"


if __name__ == "__main__":
    run(main)
