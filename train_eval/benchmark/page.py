"""The written results of a benchmark: a CSV file and a Markdown page."""

import csv
import io
import json
import math
import os
from pathlib import Path

from gym_cnnarch.files import replace_file
from train_eval.benchmark.benchmark import BENCHMARK_FILE
from train_eval.benchmark.figures import draw, illegal_over_time
from train_eval.benchmark.results import Results
from train_eval.benchmark.run import Found
from train_eval.benchmark.tables import Table, tables, verdict
from train_eval.records.kept import plain_text
from train_eval.records.machine import processor, versions

RESULTS_FILE = "results.csv"
PAGE_FILE = "benchmark.md"

_CAPTIONS = {
    "networks": "{loss} of the {whose} by the number of unique networks, with 95 % intervals",
    "seconds": "the same by the seconds of training that all networks so far took",
    "profile": "the share of runs that do at least as well, for every {loss}",
    "improvement": "probability that a run does better than one of the random walk",
    "illegal": "share of illegal steps while the agent learns",
}


def write_page(results: Results, folder: Path, command: str) -> None:
    """Writes results.csv, the figures and benchmark.md; equal results give equal files."""
    _write_csv(results, folder / RESULTS_FILE)
    drawn = draw(results, folder) if results.agents else []
    replace_file(folder / PAGE_FILE, plain_text(_page(results, drawn, command)).encode())


def _write_csv(results: Results, path: Path) -> None:
    """One row per run."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        [
            "agent", "seed", "unique_networks", "episodes", "steps", "illegal_steps",
            "train_seconds", "incumbent", "incumbent_reward",
            results.scale.loss.replace(" ", "_"),
        ]
    )  # fmt: skip
    for agent in results.agents.values():
        for seed, outcome, losses in zip(agent.seeds, agent.outcomes, agent.curves, strict=True):
            best = max(outcome.found, key=_first_objective, default=None)
            writer.writerow(
                [
                    agent.label, seed, len(outcome.found), outcome.episodes, outcome.steps,
                    outcome.illegal, outcome.found[-1].seconds if best else 0.0,
                    best.architecture if best else "", _first_objective(best) if best else "",
                    results.scale.shown(losses[-1]),
                ]
            )  # fmt: skip
    replace_file(path, file.getvalue().encode(errors="backslashreplace"))


def _first_objective(row: Found) -> float:
    return row.reward[0] if isinstance(row.reward, tuple) else row.reward


def _page(results: Results, drawn: list[str], command: str) -> str:
    benchmark = results.benchmark
    lines = [
        f"# {benchmark.env}: {benchmark.budget:,} unique networks",
        "",
        verdict(results),
        "",
        _measure(results),
        "",
        *(line for table in tables(results) for line in _table(table)),
    ]
    for name in drawn:
        whose = "front" if results.scale.objectives else "incumbent"
        caption = _CAPTIONS[name].format(loss=results.scale.loss, whose=whose)
        lines += [f"![{caption}]({name}.svg)", "", f"*{caption[0].upper()}{caption[1:]}.*", ""]
    lines += [*_illegal(results), *_missing(results)]
    agents = {label: dict(settings) for label, settings in benchmark.agents.items()}
    settings = json.dumps(agents, indent=2)
    lines += [
        "## To repeat it",
        "",
        f"    {command}",
        "",
        "is the latest command; runs that were in the folder before it are kept. Everything that "
        f"the numbers depend on is in `{BENCHMARK_FILE}`; each run's networks, in "
        f"the order in which they were met, are in `runs/AGENT/SEED.csv.gz`, one row per run in "
        f"`{RESULTS_FILE}`. At most {benchmark.max_episodes:,} episodes a run, the first with "
        f"seed {benchmark.first_seed}. Made on {made_on()}. The agents:",
        "",
        "```json", settings, "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _measure(results: Results) -> str:
    """What the numbers of the page are."""
    scale = results.scale
    if not scale.objectives:
        return f"The incumbent is the network with the best reward so far; its {scale.loss} is " + (
            "the mean test accuracy that it lacks to the best network of the table, in percent."
            if scale.loss == "regret"
            else "1 - its validation accuracy, in percent."
        )
    names = ", ".join(scale.objectives)
    return (
        f"The front is that of a run's networks so far by its rewards ({names}): to none is "
        "another preferable in every objective. Its hypervolume is what it dominates and what is "
        "better than guessing with the dearest network, in percent of that of "
        + (
            "the table's true front; both are judged by mean test accuracy."
            if scale.true
            else "the front of all networks of all runs on this page."
        )
    )


def made_on() -> str:
    """The processor and the versions of what the numbers depend on."""
    made = versions()
    packages = ", ".join(f"{name} {made[name]}" for name in ("gym-cnnarch", "numpy", "torch"))
    return f"{processor()} with {os.cpu_count()} cores; Python {made['python']}, {packages}"


def _table(table: Table) -> list[str]:
    lines = [table.headings, ("---",) * len(table.headings), *table.rows]
    return [
        f"## {table.title}", "", *(f"| {' | '.join(line)} |" for line in lines), "", table.note, "",
    ]  # fmt: skip


def _illegal(results: Results) -> list[str]:
    lines = []
    for label, agent in results.agents.items():
        if agent.illegal:
            first, *_, last = illegal_over_time(agent)
            line = f"- {label}: {agent.illegal:.1%} of its steps are illegal"
            if not math.isnan(first):
                line += f", {first:.1%} in the first tenth of its networks, {last:.1%} in the last"
            lines.append(f"{line}.")
    if not lines:
        return ["No agent took an illegal action.", ""]
    return ["## Illegal actions", "", *lines, "- All others: none.", ""]


def _missing(results: Results) -> list[str]:
    if not results.missing:
        return []
    names = [f"{pair.label} (seed {pair.seed})" for pair in results.missing]
    return [f"Without a result: {', '.join(names)}.", ""]
