"""The written results of a benchmark: a CSV file and a Markdown page."""

import csv
import json
import math
from pathlib import Path

from train_eval.benchmark import comparison
from train_eval.benchmark.benchmark import BENCHMARK_FILE
from train_eval.benchmark.figures import draw, illegal_over_time
from train_eval.benchmark.results import Results

RESULTS_FILE = "results.csv"
PAGE_FILE = "benchmark.md"

_CAPTIONS = {
    "networks": "{loss} of the incumbent by the number of unique networks, with 95 % intervals",
    "seconds": "the same by the seconds of training that all networks so far took",
    "profile": "the share of runs that do at least as well, for every {loss}",
    "improvement": "probability that a run does better than one of the random walk",
    "illegal": "share of illegal steps while the agent learns",
}


def write_page(results: Results, folder: Path, command: str) -> None:
    """Writes results.csv, the figures and benchmark.md; equal results give equal files."""
    _write_csv(results, folder / RESULTS_FILE)
    drawn = draw(results, folder) if results.agents else []
    (folder / PAGE_FILE).write_text(_page(results, drawn, command))


def _write_csv(results: Results, path: Path) -> None:
    """A row a run."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                "agent", "seed", "unique_networks", "episodes", "steps", "illegal_steps",
                "train_seconds", "incumbent", "incumbent_reward", results.loss.replace(" ", "_"),
            ]
        )  # fmt: skip
        for agent in results.agents.values():
            for seed, outcome, losses in zip(
                agent.seeds, agent.outcomes, agent.losses, strict=True
            ):
                best = max(outcome.found, key=lambda row: row.reward, default=None)
                writer.writerow(
                    [
                        agent.label, seed, len(outcome.found), outcome.episodes, outcome.steps,
                        outcome.illegal, outcome.found[-1].seconds if best else 0.0,
                        best.architecture if best else "", best.reward if best else "", losses[-1],
                    ]
                )  # fmt: skip


def _page(results: Results, drawn: list[str], command: str) -> str:
    benchmark = results.benchmark
    lines = [
        f"# {benchmark.env}: {benchmark.budget:,} unique networks",
        "",
        verdict(results),
        "",
        f"The incumbent is the network with the best reward so far; its {results.loss} is "
        + (
            "the mean test accuracy that it lacks to the best network of the table, in percent."
            if results.loss == "regret"
            else "1 - its validation accuracy, in percent."
        ),
        "IQM: interquartile mean over the runs, with a 95 % bootstrap interval. P: probability "
        "that a run does better than one of the random walk. A rank such as 1 to 3 is not "
        "distinguishable from the others in that range: the intervals overlap.",
        "",
        *_table(results),
        "",
    ]
    for name in drawn:
        caption = _CAPTIONS[name].format(loss=results.loss)
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
        f"the order in which they were met, are in `runs/AGENT/SEED.csv.gz`, a row a run in "
        f"`{RESULTS_FILE}`. At most {benchmark.max_episodes:,} episodes a run. The agents:",
        "",
        "```json", settings, "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def verdict(results: Results) -> str:
    """Who wins, first."""
    if not results.agents:
        return "No agent has a result."
    order = sorted(results.agents, key=lambda label: results.iqm(label)[0])
    ranks = dict(zip(order, _ranks(results, order), strict=True))
    best = [label for label in order if ranks[label][0] == 1]
    loss = f"{results.iqm(order[0])[0]:.2%}"
    if len(best) == 1:
        text = f"The smallest {results.loss} is that of **{order[0]}** ({loss})."
    else:
        text = (
            f"The smallest {results.loss} is that of **{order[0]}** ({loss}), not distinguishable "
            f"from {', '.join(best[1:])}."
        )
    beaten = [label for label in order if _is_beaten(results, label)]
    if beaten:
        text += f" The random walk beats {', '.join(beaten)}."
    return text


def _is_beaten(results: Results, label: str) -> bool:
    """Whether a run is worse than one of the random walk more often than not, beyond chance."""
    improvement = results.improvement(label)
    return improvement is not None and improvement[2] < 0.5


HEADINGS = ("rank", "agent", "runs", "IQM (interval)", "P (interval)", "networks", "episodes")


def rows(results: Results) -> list[list[str]]:
    """The table under ``HEADINGS``, the best agent first."""
    order = sorted(results.agents, key=lambda label: results.iqm(label)[0])
    table = []
    for label, (best, worst) in zip(order, _ranks(results, order), strict=True):
        agent = results.agents[label]
        mean, low, high = results.iqm(label)
        improvement = results.improvement(label)
        p = "" if improvement is None else "{:.2f} ({:.2f} to {:.2f})".format(*improvement)
        table.append(
            [
                str(best) if best == worst else f"{best} to {worst}",
                label,
                str(len(agent.seeds)),
                f"{100 * mean:.2f} ({_interval(low, high)})",
                p,
                f"{agent.unique:,.0f}",
                f"{agent.episodes:,.0f}",
            ]
        )
    return table


def _interval(low: float, high: float) -> str:
    return "too few runs" if math.isinf(low) else f"{100 * low:.2f} to {100 * high:.2f}"


def _table(results: Results) -> list[str]:
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows(results)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _ranks(results: Results, order: list[str]) -> list[tuple[int, int]]:
    return comparison.ranks([results.iqm(label)[1:] for label in order])


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
