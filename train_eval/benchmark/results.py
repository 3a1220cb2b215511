"""Losses of a benchmark's runs by networks and by seconds, and how agents compare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch import Architecture
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from train_eval.benchmark import comparison
from train_eval.benchmark.benchmark import Benchmark, Pair, result_file
from train_eval.benchmark.fronts import Truth, truth
from train_eval.benchmark.run import Found, Outcome, read_outcome
from train_eval.environments import make_env

BASELINE = "random_walk"
BASELINES = (BASELINE, "evolution")
"""The agents that all others are compared with."""

CLOSE = 0.01
"""An incumbent that lacks at most this much to the optimum is close to it."""

FRONT_CLOSE = 0.05
"""A front that lacks at most this share of the best front's hypervolume is close to it."""

_POINTS = 60  # of a curve


@dataclass(frozen=True)
class AgentResult:
    """An agent's runs; losses are those of the incumbent, the network with the best reward so far.

    Attributes:
        label: What the benchmark calls the agent.
        seeds: The seeds of the R runs.
        outcomes: What the runs found.
        curves: (R, B), the incumbent's loss after each of the budget's unique networks; a run that
            met fewer keeps its last.
        by_seconds: (R, P), the incumbent's loss at each of the benchmark's ``seconds``.
        front_share: Of the networks of the best front, the mean share that the runs met; None
            without objectives. With them the losses are those of the run's front.
    """

    label: str
    seeds: list[int]
    outcomes: list[Outcome] = field(repr=False)
    curves: NDArray[np.float64] = field(repr=False)
    by_seconds: NDArray[np.float64] = field(repr=False)
    front_share: float | None = None

    @property
    def final(self) -> NDArray[np.float64]:
        """(R, 1), the loss at the end of the budget: scores on one task."""
        final: NDArray[np.float64] = self.curves[:, -1:]
        return final

    @property
    def area(self) -> NDArray[np.float64]:
        """(R, 1), the area under the incumbent's curve: its mean loss over the budget."""
        means: NDArray[np.float64] = self.curves.mean(axis=1, keepdims=True)
        return means

    def until(self, loss: float) -> NDArray[np.float64]:
        """(R, 1), networks until the incumbent's loss is at most this; B + 1 where it never is."""
        reached = self.curves <= loss
        first = np.where(reached.any(axis=1), reached.argmax(axis=1), self.curves.shape[1])
        networks: NDArray[np.float64] = 1.0 + first[:, None]
        return networks

    @property
    def unique(self) -> float:
        """Mean number of unique networks."""
        return float(np.mean([len(outcome.found) for outcome in self.outcomes]))

    @property
    def episodes(self) -> float:
        """Mean number of episodes."""
        return float(np.mean([outcome.episodes for outcome in self.outcomes]))

    @property
    def illegal(self) -> float:
        """Share of the steps that were illegal."""
        steps = sum(outcome.steps for outcome in self.outcomes)
        return sum(outcome.illegal for outcome in self.outcomes) / max(steps, 1)

    def beyond(self, reward: float) -> float:
        """Share of the runs whose final incumbent has a reward above this."""
        best = [max((_number(f) for f in o.found), default=-np.inf) for o in self.outcomes]
        return float(np.mean(np.array(best) > reward))


@dataclass(frozen=True)
class Scale:
    """The meaning of a benchmark's losses.

    Attributes:
        loss: ``regret`` (test accuracy that the incumbent lacks to the best network of the table),
            ``validation error``, or ``hypervolume`` (the share that the front lacks).
        optimum: The smallest loss: 0 on a table, else the smallest that any run of the page found.
        mean: (loss, accuracy) of the mean network: of the table's networks, else of those that the
            random walk met; None if there are none.
        measured: The best accuracy that a surrogate was fitted to, beyond which its predictions
            extrapolate; None for other evaluators.
        close: A loss that is at most this much above the optimum is close to it.
        objectives: Those of a front; empty where there is one best network.
        true: Whether the best front is known, as on a table, and not only the best that was found.
        nothing: The loss of an agent that has found no network yet, whose accuracy is 0.
    """

    loss: str
    optimum: float
    mean: tuple[float, float] | None = None
    measured: float | None = None
    close: float = CLOSE
    objectives: tuple[str, ...] = ()
    true: bool = False
    nothing: float = 1.0

    def shown(self, loss: Any) -> Any:
        """A loss as it is written: of a hypervolume, what there is of it."""
        return 1.0 - loss if self.objectives else loss


@dataclass(frozen=True)
class Comparison:
    """An agent against a baseline.

    Attributes:
        probability: That one of its runs ends better than one of the baseline.
        low, high: Interval of it; all intervals of a page hold together, at 95 %.
        p: p-value of the two being equal, after Holm's correction over all comparisons of a page.
    """

    probability: float
    low: float
    high: float
    p: float

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, or empty if chance may have made the difference."""
        if self.p >= 1 - comparison.LEVEL:
            return ""
        return "better" if self.probability > 0.5 else "worse"


@dataclass(frozen=True)
class Results:
    """All agents of a benchmark.

    Attributes:
        benchmark: What was run.
        scale: What the losses are.
        networks: (K,) int64, numbers of unique networks, the points of a curve.
        seconds: (P,), training seconds.
        agents: By label, in the benchmark's order; those without any result are left out.
        missing: The pairs without a result.
    """

    benchmark: Benchmark
    scale: Scale
    networks: NDArray[np.int64]
    seconds: NDArray[np.float64]
    agents: Mapping[str, AgentResult]
    missing: list[Pair]

    def iqm(self, label: str) -> tuple[float, float, float]:
        """Interquartile mean of an agent's final losses, and its 95 % interval."""
        return _mean_and_interval(self.agents[label].final)

    def area(self, label: str) -> tuple[float, float, float]:
        """The same of the area under the incumbent's curve."""
        return _mean_and_interval(self.agents[label].area)

    def until_close(self, label: str) -> tuple[float, float, float, float]:
        """Median number of networks until the incumbent is close, its interval, share of runs.

        Runs that never are count as one network more than the budget.
        """
        budget = self.benchmark.budget
        networks = self.agents[label].until(self.scale.optimum + self.scale.close)
        median = partial(comparison.censored_median, most=budget)
        low, high = comparison.interval(networks, median)
        return float(median(networks)), low, high, float((networks <= budget).mean())

    def relative_improvement(self, label: str) -> float | None:
        """How much the incumbent's accuracy exceeds the mean network's, as a share of the latter.

        After Yang, Esperança and Carlucci, ICLR 2020.
        """
        if self.scale.mean is None:
            return None
        loss, accuracy = self.scale.mean
        return (loss - self.iqm(label)[0]) / accuracy

    @cached_property
    def comparisons(self) -> Mapping[tuple[str, str], Comparison]:
        """(agent, baseline) -> how they compare; a pair of baselines once."""
        present = [name for name in BASELINES if name in self.agents]
        pairs = [
            (label, baseline)
            for number, baseline in enumerate(present)
            for label in self.agents
            if label not in present[: number + 1]
        ]
        finals = {label: agent.final for label, agent in self.agents.items()}
        each = [comparison.p_value(finals[a].ravel(), finals[b].ravel()) for a, b in pairs]
        return {
            (a, b): Comparison(
                comparison.probability_of_improvement(finals[a], finals[b]),
                *comparison.improvement_interval(finals[a], finals[b], len(pairs)),
                p,
            )
            for (a, b), p in zip(pairs, comparison.holm(each), strict=True)
        }


def _mean_and_interval(scores: NDArray[np.float64]) -> tuple[float, float, float]:
    low, high = comparison.interval(scores, comparison.interquartile_mean)
    return float(comparison.interquartile_mean(scores)), low, high


def collect(benchmark: Benchmark, folder: Path) -> Results:
    """Reads the results in a benchmark's folder."""
    env = make_env(benchmark.env, **benchmark.kwargs)
    networks = np.unique(np.geomspace(1, benchmark.budget, _POINTS).round().astype(np.int64))
    missing = benchmark.missing(folder)
    outcomes: dict[str, dict[int, Outcome]] = {label: {} for label in benchmark.agents}
    for pair in benchmark.pairs():
        if pair not in missing:
            outcomes[pair.label][pair.seed] = read_outcome(result_file(folder, pair))
    everything = [o.found for runs in outcomes.values() for o in runs.values() if o.found]
    totals = [found[-1].seconds for found in everything]
    first = [found[0].seconds for found in everything]
    longest = max(totals, default=1.0) or 1.0
    seconds = np.geomspace(max(min(first, default=1.0), longest / 1e6), longest, _POINTS)
    known = truth(env, [row for found in everything for row in found]) if env.objectives else None
    loss = _loss(env)
    losses = known.losses if known else lambda found: _incumbent_losses(found, loss)
    agents = {
        label: _agent(label, runs, losses, _nothing(env), known, benchmark.budget, seconds)
        for label, runs in outcomes.items()
        if runs
    }
    return Results(benchmark, _scale(env, agents), networks, seconds, agents, missing)


def _scale(env: CNNArchEnv, agents: Mapping[str, AgentResult]) -> Scale:
    evaluator = env.evaluator
    if env.objectives:
        on_table = isinstance(evaluator, TableEvaluator)
        return Scale("hypervolume", 0.0, None, None, FRONT_CLOSE, env.objectives, on_table)
    if isinstance(evaluator, TableEvaluator):
        accuracy = float(evaluator.mean_test.mean())
        best = _nothing(env)
        return Scale("regret", 0.0, (best - accuracy, accuracy), nothing=best)
    walks = agents[BASELINE].outcomes if BASELINE in agents else []
    met = [_number(found) for outcome in walks for found in outcome.found]
    return Scale(
        "validation error",
        min((float(agent.final.min()) for agent in agents.values()), default=0.0),
        (1 - float(np.mean(met)), float(np.mean(met))) if met else None,
        getattr(evaluator, "best", None),
    )


def _loss(env: CNNArchEnv) -> Callable[[Found], float]:
    """Regret by the mean test accuracy where it is known, else the validation error."""
    evaluator = env.evaluator
    if not isinstance(evaluator, TableEvaluator):
        return lambda found: 1.0 - _number(found)
    known: dict[str, float] = {}

    def regret(found: Found) -> float:
        text = found.architecture
        if text not in known:
            known[text] = evaluator.regret(Architecture.parse(text))
        return known[text]

    return regret


def _nothing(env: CNNArchEnv) -> float:
    """The loss of an agent that has found no network yet, whose accuracy is 0."""
    if isinstance(env.evaluator, TableEvaluator) and not env.objectives:
        return float(env.evaluator.mean_test.max())
    return 1.0


def _agent(
    label: str,
    runs: Mapping[int, Outcome],
    losses: Callable[[list[Found]], list[float]],
    nothing: float,
    known: Truth | None,
    budget: int,
    seconds: NDArray[np.float64],
) -> AgentResult:
    curves, by_seconds = [], []
    for outcome in runs.values():
        curve = np.array([nothing, *losses(outcome.found)])
        spent = np.array([row.seconds for row in outcome.found])
        curves.append(curve[np.minimum(np.arange(1, budget + 1), len(outcome.found))])
        by_seconds.append(curve[np.searchsorted(spent, seconds, side="right")])
    share = float(np.mean([known.share(o.found) for o in runs.values()])) if known else None
    return AgentResult(
        label, list(runs), list(runs.values()), np.array(curves), np.array(by_seconds), share
    )


def _number(found: Found) -> float:
    """The reward of a benchmark without objectives."""
    if isinstance(found.reward, tuple):
        raise TypeError(f"Expected one number, but the reward is {found.reward}.")
    return found.reward


def _incumbent_losses(found: list[Found], loss: Callable[[Found], float]) -> list[float]:
    """The loss of the network with the best reward so far, after each network."""
    losses: list[float] = []
    best = -np.inf
    for row in found:
        if _number(row) > best:
            best = _number(row)
            current = loss(row)
        losses.append(current)
    return losses
