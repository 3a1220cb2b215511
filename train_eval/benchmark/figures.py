"""The figures of a benchmark: told apart by dashes and markers as well as by colour."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train_eval.benchmark import comparison
from train_eval.benchmark.results import BASELINE, AgentResult, Results
from train_eval.output.plotting import COLOURS, MARKERS, draw_figures

_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)))
_RESAMPLES = 500  # for each point of a curve
_SHOWN = 0.04  # of the budget spent: what agents find before that is luck, and dwarfs the rest


def draw(results: Results, folder: Path) -> list[str]:
    """Writes each figure as SVG and PNG, and returns the names of those there are.

    Raises:
        InvalidInput: If matplotlib is missing.
    """
    figures = {name: functools.partial(draw_one, results) for name, draw_one in _FIGURES.items()}
    return draw_figures(figures, folder, height=4.0)


def curve(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, K): the interquartile mean of (R, K) losses and the ends of its interval, by column."""
    points = []
    for column in losses.T:
        scores = column[:, None]
        low, high = comparison.interval(scores, comparison.interquartile_mean, resamples=_RESAMPLES)
        points.append((float(comparison.interquartile_mean(scores)), low, high))
    return np.array(points).T


def _networks(results: Results, axes: Any) -> bool:
    _curves(axes, results, results.networks, lambda agent: agent.curves[:, results.networks - 1])
    axes.set_xlabel("unique networks")
    return True


def _seconds(results: Results, axes: Any) -> bool:
    runs = [outcome for agent in results.agents.values() for outcome in agent.outcomes]
    if not any(outcome.found and outcome.found[-1].seconds for outcome in runs):
        return False  # predictions cost nothing
    _curves(axes, results, results.seconds, lambda agent: agent.by_seconds)
    axes.set_xlabel("seconds of training, of all networks so far")
    return True


def _curves(
    axes: Any,
    results: Results,
    positions: NDArray[Any],
    losses: Callable[[AgentResult], NDArray[np.float64]],
) -> None:
    late = positions >= _SHOWN * positions[-1]
    for number, agent in enumerate(results.agents.values()):
        values = losses(agent)
        shown = late & (values < results.scale.nothing).all(axis=0)  # every run has found a network
        if not shown.any():
            continue
        mean, low, high = (100 * results.scale.shown(line) for line in curve(values[:, shown]))
        style = _style(number)
        axes.plot(positions[shown], mean, label=agent.label, markevery=(number % 6, 6), **style)
        axes.fill_between(positions[shown], low, high, color=style["color"], alpha=0.12, lw=0)
    axes.set_xscale("log", subs=())
    axes.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
    axes.xaxis.set_major_formatter("{x:g}")
    if results.scale.loss == "regret":
        axes.set_ylim(0, None)
    whose = "front" if results.scale.objectives else "incumbent"
    axes.set_ylabel(f"{results.scale.loss} of the {whose} in percent, IQM")
    axes.legend(ncols=2)


def _profile(results: Results, axes: Any) -> bool:
    finals = 100 * np.concatenate([agent.final for agent in results.agents.values()])
    thresholds = np.linspace(finals.min(), np.quantile(finals, 0.99), 200)
    for number, agent in enumerate(results.agents.values()):
        shares = comparison.performance_profile(100 * agent.final, thresholds)
        axes.plot(thresholds, shares, label=agent.label, markevery=25, **_style(number))
    lacking = "lacking " if results.scale.objectives else ""
    axes.set_xlabel(
        f"{lacking}{results.scale.loss} in percent after {results.benchmark.budget:,} unique "
        f"networks"
    )
    axes.set_ylabel("share of runs that do at least as well")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(ncols=2)
    return True


def _improvement(results: Results, axes: Any) -> bool:
    shown = [(a, each) for (a, b), each in results.comparisons.items() if b == BASELINE]
    for height, (label, each) in enumerate(reversed(shown)):
        number = list(results.agents).index(label)
        axes.plot([each.low, each.high], [height] * 2, color="0.4", lw=4, solid_capstyle="butt")
        style = _style(number)
        axes.plot(
            each.probability, height, style["marker"], color=style["color"], ms=8, mec="black"
        )
    axes.set_yticks(range(len(shown)), [label for label, _ in reversed(shown)])
    axes.axvline(0.5, color="black", lw=1)
    axes.set_xlim(0, 1)
    axes.set_xlabel(
        f"probability of a {'larger' if results.scale.objectives else 'smaller'} "
        f"{results.scale.loss} than {BASELINE}, corrected interval"
    )
    return bool(shown)


def _illegal(results: Results, axes: Any) -> bool:
    """The share of illegal steps between one tenth of an agent's networks and the next."""
    any_illegal = False
    for number, agent in enumerate(results.agents.values()):
        if not agent.illegal:
            continue
        any_illegal = True
        shares = illegal_over_time(agent)
        axes.plot(np.linspace(10, 100, 10), shares, label=agent.label, **_style(number))
    if any_illegal:
        axes.set_xlabel("percent of the unique networks")
        axes.set_ylabel("share of steps that are illegal")
        axes.set_ylim(0, None)
        axes.legend()
    return any_illegal


def illegal_over_time(agent: AgentResult) -> NDArray[np.float64]:
    """(10,), the mean share of illegal steps in each tenth of the runs' networks."""
    shares = []
    for outcome in agent.outcomes:
        found = outcome.found
        if len(found) < 10:
            continue
        ends = [found[round(tenth * len(found) / 10) - 1] for tenth in range(1, 11)]
        steps = np.diff([0, *(end.steps for end in ends[:-1]), outcome.steps])
        illegal = np.diff([0, *(end.illegal for end in ends[:-1]), outcome.illegal])
        shares.append(illegal / steps)
    return np.mean(shares, axis=0) if shares else np.full(10, np.nan)


def _style(number: int) -> dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
        "linewidth": 1.3,
    }


_FIGURES: dict[str, Callable[[Results, Any], bool]] = {
    "networks": _networks,
    "seconds": _seconds,
    "profile": _profile,
    "improvement": _improvement,
    "illegal": _illegal,
}
