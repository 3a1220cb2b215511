"""The tables of a benchmark, one for each question, and who wins."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from train_eval.benchmark import comparison
from train_eval.benchmark.results import BASELINES, Results

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; ``note`` says how to read them."""

    title: str
    note: str
    headings: Row
    rows: Sequence[Row]


def tables(results: Results) -> list[Table]:
    """Tables of losses, of who beats whom, and of how soon; the best agent first."""
    order = sorted(results.agents, key=lambda label: results.iqm(label)[0])
    return [_found(results, order), _compared(results, order), _soon(results, order)]


def verdict(results: Results) -> str:
    """Who wins, first; then who differs from the baselines beyond chance."""
    if not results.agents:
        return "No agent has a result."
    order = sorted(results.agents, key=lambda label: results.iqm(label)[0])
    highest = results.iqm(order[0])[2]
    best = [label for label in order if results.iqm(label)[1] <= highest]  # as ranks are told
    scale = results.scale
    loss = f"{scale.shown(results.iqm(order[0])[0]):.2%}"
    superlative = "largest" if scale.objectives else "smallest"
    text = f"The {superlative} {scale.loss} is that of **{order[0]}** ({loss})"
    text += f", not distinguishable from {', '.join(best[1:])}." if best[1:] else "."
    for baseline in (name for name in BASELINES if name in results.agents):
        ahead = _that_are(results, order, baseline, "better")
        behind = _that_are(results, order, baseline, "worse")
        text += f" Better than {baseline}: {ahead}; worse: {behind}."
    fewest = min(len(agent.seeds) for agent in results.agents.values())
    if fewest < comparison.ADVISED:
        text += (
            f" Some agents have only {fewest} runs: with fewer than {comparison.ADVISED}, "
            f"differences that matter are easily missed."
        )
    return text


def _that_are(results: Results, order: list[str], baseline: str, verdict: str) -> str:
    other_way = {"better": "worse", "worse": "better"}[verdict]
    labels = []
    for label in order:
        each = results.comparisons.get((label, baseline))
        mirrored = results.comparisons.get((baseline, label))  # two baselines are a pair once
        if (each and each.verdict == verdict) or (mirrored and mirrored.verdict == other_way):
            labels.append(label)
    return ", ".join(labels) or "none"


def _found(results: Results, order: list[str]) -> Table:
    scale = results.scale
    measured = scale.measured
    headings: Row = (
        "rank",
        "agent",
        "runs",
        "IQM (interval)",
        "of the front" if scale.objectives else "over the mean",
        "networks",
        "episodes",
    )
    note = (
        "IQM: interquartile mean over the runs, with a 95 % bootstrap interval. A rank such as "
        "1 to 3 is not distinguishable from the others in that range: the intervals overlap, which "
        "are not corrected for the number of agents. "
    )
    if scale.objectives:
        note += f"Of the front: the share of the networks of {_best_front(results)} that were met."
    else:
        note += (
            "Over the mean: how much the incumbent's accuracy exceeds that of the mean network ("
            + ("of the table" if scale.loss == "regret" else "of the random walk's")
            + "), relative to it."
        )
    if measured is not None:
        headings += ("beyond",)
        note += (
            f" Beyond: the share of runs that end with a prediction above {measured:.2%}, the best "
            f"measured network, where the surrogate extrapolates."
        )
    rows = []
    for label, (best, worst) in zip(order, _ranks(results, order), strict=True):
        agent = results.agents[label]
        more = results.relative_improvement(label)
        row = (
            str(best) if best == worst else f"{best} to {worst}",
            label,
            str(len(agent.seeds)),
            _percent(results, *results.iqm(label)),
            _share(agent.front_share) if scale.objectives else _share(more, "+"),
            f"{agent.unique:,.0f}",
            f"{agent.episodes:,.0f}",
        )
        rows.append(row if measured is None else (*row, f"{agent.beyond(measured):.0%}"))
    of = f" of that of {_best_front(results)}" if scale.objectives else ""
    title = f"{scale.loss} in percent{of}, {results.benchmark.budget:,} unique networks"
    return Table(title[0].upper() + title[1:], note, headings, rows)


def _compared(results: Results, order: list[str]) -> Table:
    present = [name for name in BASELINES if name in results.agents]
    rows = []
    for label in order:
        cells = []
        for baseline in present:
            each = results.comparisons.get((label, baseline))
            cells += [""] * 2 if each is None else [
                f"{each.probability:.2f} ({each.low:.2f} to {each.high:.2f})",
                f"{each.p:.2g}{f' {each.verdict}' if each.verdict else ''}",
            ]  # fmt: skip
        rows.append((label, *cells))
    return Table(
        "Who beats whom",
        "P: probability that a run ends better than one of the other agent. p: of a two-sided "
        f"Mann-Whitney test, after Holm's correction over the page's {len(results.comparisons)} "
        f"comparisons; better or worse: p < {1 - comparison.LEVEL:.2g}. The intervals of P hold "
        "together, at 95 % (Bonferroni).",
        ("agent", *(cell for name in present for cell in (f"P over {name} (interval)", "p"))),
        rows,
    )


def _soon(results: Results, order: list[str]) -> Table:
    budget = results.benchmark.budget
    rows = []
    for label in order:
        median, low, high, reached = results.until_close(label)
        few = math.isinf(low)
        interval = "too few runs" if few else f"{_count(low, budget)} to {_count(high, budget)}"
        rows.append(
            (
                label,
                _percent(results, *results.area(label)),
                f"{_count(median, budget)} ({interval})",
                f"{reached:.0%}",
            )
        )
    scale = results.scale
    optimum = "the best network" if scale.loss == "regret" else "the best of this page"
    whose = "incumbent"
    if scale.objectives:
        optimum, whose = f"the hypervolume of {_best_front(results)}", "front"
    return Table(
        "How soon",
        f"Area: under the {whose}'s curve, its mean {scale.loss} over the budget in "
        f"percent, IQM and interval. Networks: until the {whose} is within {scale.close:.0%} of "
        f"{optimum}, median and interval; a run that never is counts as more than the budget "
        f"(> {budget:,}). Runs: the share that gets there.",
        ("agent", "area (interval)", "networks (interval)", "runs"),
        rows,
    )


def _count(networks: float, budget: int) -> str:
    return f"> {budget:,}" if networks > budget else f"{networks:,.0f}"


def _percent(results: Results, mean: float, low: float, high: float) -> str:
    shown = results.scale.shown
    ends = sorted([100 * shown(low), 100 * shown(high)])
    interval = "too few runs" if math.isinf(low) else f"{ends[0]:.2f} to {ends[1]:.2f}"
    return f"{100 * shown(mean):.2f} ({interval})"


def _share(share: float | None, sign: str = "") -> str:
    return "" if share is None else f"{share:{sign}.1%}"


def _best_front(results: Results) -> str:
    return "the true front" if results.scale.true else "the front of all runs together"


def _ranks(results: Results, order: list[str]) -> list[tuple[int, int]]:
    return comparison.ranks([results.iqm(label)[1:] for label in order])
