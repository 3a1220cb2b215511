"""The paper's figures, drawn for any run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents import MetaQNN
from agents.pareto import front
from gym_cnnarch.mdp import START, compile_mdp
from gym_cnnarch.space.architecture import (
    Conv,
    FullyConnected,
    GlobalAveragePool,
    Layer,
    Pool,
    Softmax,
)
from gym_cnnarch.space.shapes import count_macs, count_parameters
from train_eval.output.plotting import COLOURS, MARKERS, draw_figures
from train_eval.records.summary import Summary
from train_eval.report.paper import those_that_fit

WINDOW = 100
"""Models of the rolling mean, as in the paper's figure 3."""

_LAYER_NAMES: dict[type[Layer], str] = {
    Conv: "convolution",
    Pool: "pooling",
    FullyConnected: "fully connected",
    GlobalAveragePool: "GAP",
    Softmax: "softmax",
}


class RunFigures:
    """Draws the figures of a run.

    Args:
        summary: The run.
        agent: An agent with Q-values that has learned the run's episodes; None for none.
    """

    def __init__(self, summary: Summary, agent: MetaQNN | None) -> None:
        self._summary = summary
        self._agent = agent

    def draw(self, folder: Path) -> list[str]:
        """Writes each figure for which the run has data as SVG and PNG, and returns their names.

        Raises:
            InvalidInput: If matplotlib is missing.
        """
        figures: dict[str, Callable[[Any], bool]] = {
            "accuracy": self._accuracy,
            "distributions": self._distributions,
            "first_and_last": self._first_and_last,
            "curves": self._curves,
            "q_by_type": self._q_by_type,
            "q_by_receptive_field": self._q_by_receptive_field,
            "parameters": lambda axes: self._pareto(axes, "parameters"),
            "macs": lambda axes: self._pareto(axes, "macs"),
        }
        return draw_figures(figures, folder, height=3.0, width=4.6)  # a telephone's width

    def _accuracy(self, axes: Any) -> bool:
        """Figure 3: rolling mean of the unique models, and the mean of each epsilon as bars."""
        positions, accuracies = self._unique_accuracies()
        if not len(accuracies):
            return False
        begin = 0
        for number, phase in enumerate(self._summary.epsilons):
            if phase.epsilon is None or not phase.unique:
                continue
            axes.bar(
                begin, phase.mean_accuracy or 0.0, width=phase.unique, align="edge", alpha=0.35,
                color="#56B4E9" if number % 2 else "#9CA3AB", edgecolor="white",
                label=None if number else "mean of the epsilon",
            )  # fmt: skip
            axes.text(begin + phase.unique / 2, 0.01, f"{phase.epsilon:g}", ha="center", fontsize=7)
            begin += phase.unique
        axes.plot(
            positions, rolling_mean(accuracies), color=COLOURS[0],
            label=f"mean of the last {min(WINDOW, len(accuracies))}",
        )  # fmt: skip
        axes.plot(
            positions, np.maximum.accumulate(accuracies), "--", color="0.3", label="best so far",
        )  # fmt: skip
        axes.xaxis.get_major_locator().set_params(integer=True)
        foot = ", epsilon at the foot of each phase" if begin else ""
        axes.set_xlabel(f"unique models{foot}")
        axes.set_ylabel("validation accuracy")
        axes.set_ylim(0, 1)
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8,
            columnspacing=1.0, handlelength=1.5,
        )  # fmt: skip
        return True

    def _distributions(self, axes: Any) -> bool:
        """Figure A2, left: the accuracies of each epsilon."""
        groups = self._by_epsilon()
        if not groups:
            return False
        axes.violinplot(list(groups.values()), showmedians=True, widths=0.8)
        axes.set_xticks(range(1, len(groups) + 1), [f"{epsilon:g}" for epsilon in groups])
        axes.set_xlabel("epsilon")
        axes.set_ylabel("validation accuracy of the unique models")
        axes.set_ylim(0, 1)
        return True

    def _first_and_last(self, axes: Any) -> bool:
        """Figure A2, right: the first epsilon against the last."""
        groups = self._by_epsilon()
        if len(groups) < 2:
            return False
        bins = np.linspace(0, 1, 26)
        epsilons = list(groups)
        for epsilon, colour, hatch in (
            (epsilons[0], COLOURS[0], ""),
            (epsilons[-1], COLOURS[1], "//"),
        ):
            weights = np.full(len(groups[epsilon]), 1 / len(groups[epsilon]))
            axes.hist(
                groups[epsilon], bins, weights=weights, color=colour, alpha=0.5, hatch=hatch,
                edgecolor="white", label=f"epsilon {epsilon:g}, {len(groups[epsilon])} models",
            )  # fmt: skip
        axes.set_xlabel("validation accuracy")
        axes.set_ylabel("share of the models")
        axes.legend()
        return True

    def _curves(self, axes: Any) -> bool:
        """Learning curves, where some trainings were stopped."""
        stopped = self._summary.stopped
        if not stopped:
            return False
        for networks, style in (
            (self._summary.best, {"color": "0.8", "lw": 0.6}),
            (stopped, {"color": COLOURS[1], "lw": 0.8, "alpha": 0.5}),
        ):
            epochs = [e for n in networks for e in (*range(1, len(n.curve) + 1), np.nan)]
            accuracies = [value for n in networks for value in (*n.curve, np.nan)]
            axes.plot(epochs, accuracies, marker=".", ms=2, rasterized=True, **style)
        last = max((len(network.curve) for network in self._summary.best), default=1)
        axes.plot(
            [last] * len(stopped), [network.predicted for network in stopped], "o", ms=3, mew=0,
            color=COLOURS[1], alpha=0.5,
            label=f"{len(stopped)} stopped, predicted for the end", rasterized=True,
        )  # fmt: skip
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation accuracy")
        axes.legend(loc="lower right")
        return True

    def _q_by_type(self, axes: Any) -> bool:
        """Figure A3: average Q-value by the layer's depth, for each type of layer."""
        groups = self._q_values(
            lambda layer: _LAYER_NAMES[type(layer)], list(_LAYER_NAMES.values())
        )
        return _lines(axes, groups)

    def _q_by_receptive_field(self, axes: Any) -> bool:
        """Figure A4: the same for each receptive field of convolutions."""
        space = self._summary.settings.space
        names = [f"{f}x{f}" for f in space.conv_receptive_fields]
        return _lines(
            axes,
            self._q_values(
                lambda la: (
                    f"{la.receptive_field}x{la.receptive_field}" if isinstance(la, Conv) else None
                ),
                names,
            ),
        )

    def _pareto(self, axes: Any, cost: str) -> bool:
        """Accuracy against a cost, with the networks that none beats in both."""
        networks = [n for n in self._summary.best if getattr(n, cost) > 0]
        if not networks:
            return False
        costs = np.array([getattr(n, cost) for n in networks], dtype=float)
        accuracies = np.array([n.accuracy for n in networks])
        axes.plot(costs, accuracies, "o", ms=3, alpha=0.4, color=COLOURS[0], mew=0)
        on_front = front(np.column_stack([accuracies, -costs]))[::-1]  # the cheapest first
        axes.step(
            costs[on_front], accuracies[on_front], "-s", where="post", ms=4, color=COLOURS[1],
            label="the front: none is both cheaper and better",
        )  # fmt: skip
        settings = self._summary.settings
        count = count_parameters if cost == "parameters" else count_macs
        papers = [count(n, settings.space.input_shape) for n in those_that_fit(settings)]
        if papers:
            axes.plot(
                papers, [0.03] * len(papers), "*", ms=9, color=COLOURS[2],
                transform=axes.get_xaxis_transform(),
                label="what the paper's five networks cost",
            )  # fmt: skip
        _thousands(axes, np.array([*costs, *papers]))
        axes.set_xlabel("parameters" if cost == "parameters" else "multiply-accumulates per image")
        axes.set_ylabel("validation accuracy")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
        return True

    def _unique_accuracies(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Of the networks that did not fail: which of all they are, 1, 2, ..., and accuracies."""
        statuses = [network.status == "ok" for network in self._summary.networks]
        accuracies = np.array([network.accuracy for network in self._summary.networks])
        chosen = np.flatnonzero(statuses)
        return chosen + 1, accuracies[chosen]

    def _by_epsilon(self) -> dict[float, list[float]]:
        """The accuracies of the unique models of each epsilon, in the order of the schedule."""
        groups: dict[float, list[float]] = {}
        for episode in self._summary.episodes:
            if episode.new and episode.status == "ok" and episode.epsilon is not None:
                groups.setdefault(episode.epsilon, []).append(episode.accuracy)
        return {epsilon: values for epsilon, values in groups.items() if len(values) > 1}

    def _q_values(
        self, name_of: Callable[[Any], str | None], names: list[str]
    ) -> dict[str, dict[int, float]]:
        """Name -> depth -> mean Q-value of the (state, action) pairs that the run has visited."""
        if self._agent is None:
            return {}
        space = self._summary.settings.space
        mdp = compile_mdp(space, self._summary.settings.observe_size)
        visited: dict[tuple[bytes, int], tuple[str, int, float]] = {}
        for episode in self._summary.episodes:
            state = START
            for depth, action in enumerate(episode.actions, start=1):
                observation = mdp.observations[state]
                name = name_of(space.actions[action])
                key = observation.tobytes(), action
                if name is not None and key not in visited:
                    visited[key] = name, depth, float(self._agent.q_values(observation)[action])
                state = int(mdp.next_state[state, action])
        groups: dict[str, dict[int, list[float]]] = {name: {} for name in names}
        for name, depth, value in visited.values():
            groups[name].setdefault(depth, []).append(value)
        return {
            name: {depth: float(np.mean(values)) for depth, values in sorted(by_depth.items())}
            for name, by_depth in groups.items()
            if by_depth
        }


def rolling_mean(values: NDArray[np.float64], window: int = WINDOW) -> NDArray[np.float64]:
    """The mean of the last ``window`` values at each position, of fewer at the beginning."""
    sums = np.cumsum(values)
    sums[window:] = sums[window:] - sums[:-window]
    return sums / np.minimum(np.arange(1, len(values) + 1), window)


def _thousands(axes: Any, costs: NDArray[np.float64]) -> None:
    """A logarithmic axis with labels such as 20k: powers of ten, 2 and 5 times those if few."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    few = costs.max() < 100 * costs.min()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _lines(axes: Any, groups: dict[str, dict[int, float]]) -> bool:
    for number, (name, by_depth) in enumerate(groups.items()):
        axes.plot(
            list(by_depth), list(by_depth.values()), marker=MARKERS[number],
            color=COLOURS[number], ms=4, label=name,
        )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("layer depth")
    axes.set_ylabel("average Q-value")
    if groups:
        axes.legend()
    return bool(groups)
