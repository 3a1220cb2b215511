"""What a benchmark's runs say: losses by networks and by seconds, and how agents compare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch import Architecture
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.table_evaluator import TableEvaluator
from train_eval.benchmark import comparison
from train_eval.benchmark.benchmark import Benchmark, Pair, result_file
from train_eval.benchmark.run import Found, Outcome, read_outcome
from train_eval.environments import make_env

BASELINE = "random_walk"
NOTHING = 1.0  # the loss of an agent that has found no network yet
_POINTS = 60  # of a curve


@dataclass(frozen=True)
class AgentResult:
    """An agent's runs; losses are those of the incumbent, the network with the best reward so far.

    Attributes:
        label: What the benchmark calls the agent.
        seeds: The seeds of the R runs.
        outcomes: What the runs found.
        losses: (R, K), the incumbent's loss at each of the benchmark's ``networks``.
        by_seconds: (R, P), the incumbent's loss at each of its ``seconds``.
    """

    label: str
    seeds: list[int]
    outcomes: list[Outcome] = field(repr=False)
    losses: NDArray[np.float64] = field(repr=False)
    by_seconds: NDArray[np.float64] = field(repr=False)

    @property
    def final(self) -> NDArray[np.float64]:
        """(R, 1), the loss at the end of the budget: scores on one task."""
        return self.losses[:, -1:]

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


@dataclass(frozen=True)
class Results:
    """All agents of a benchmark.

    Attributes:
        benchmark: What was run.
        loss: What the losses are: ``regret`` (test accuracy that the incumbent lacks to the best
            network of the table) or ``validation error``.
        networks: (K,) int64, numbers of unique networks.
        seconds: (P,), training seconds.
        agents: By label, in the benchmark's order; those without any result are left out.
        missing: The pairs without a result.
    """

    benchmark: Benchmark
    loss: str
    networks: NDArray[np.int64]
    seconds: NDArray[np.float64]
    agents: Mapping[str, AgentResult]
    missing: list[Pair]

    def iqm(self, label: str) -> tuple[float, float, float]:
        """Interquartile mean of an agent's final losses, and its 95 % interval."""
        final = self.agents[label].final
        low, high = comparison.interval(final, comparison.interquartile_mean)
        return float(comparison.interquartile_mean(final)), low, high

    def improvement(self, label: str) -> tuple[float, float, float] | None:
        """Probability of being better than the random walk, with its interval."""
        if BASELINE not in self.agents or label == BASELINE:
            return None
        ours, theirs = self.agents[label].final, self.agents[BASELINE].final
        low, high = comparison.improvement_interval(ours, theirs)
        return comparison.probability_of_improvement(ours, theirs), low, high


def collect(benchmark: Benchmark, folder: Path) -> Results:
    """Reads the results in a benchmark's folder."""
    env = make_env(benchmark.env, **benchmark.kwargs)
    loss = _loss(env)
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
    agents = {
        label: _agent(label, runs, loss, networks, seconds)
        for label, runs in outcomes.items()
        if runs
    }
    name = "regret" if isinstance(env.evaluator, TableEvaluator) else "validation error"
    return Results(benchmark, name, networks, seconds, agents, missing)


def _loss(env: CNNArchEnv) -> Callable[[Found], float]:
    """Regret by the mean test accuracy where it is known, else the validation error."""
    evaluator = env.evaluator
    if not isinstance(evaluator, TableEvaluator):
        return lambda found: 1.0 - found.reward
    known: dict[str, float] = {}

    def regret(found: Found) -> float:
        text = found.architecture
        if text not in known:
            known[text] = evaluator.regret(Architecture.parse(text))
        return known[text]

    return regret


def _agent(
    label: str,
    runs: Mapping[int, Outcome],
    loss: Callable[[Found], float],
    networks: NDArray[np.int64],
    seconds: NDArray[np.float64],
) -> AgentResult:
    losses, by_seconds = [], []
    for outcome in runs.values():
        curve = np.array([NOTHING, *_incumbent_losses(outcome.found, loss)])
        spent = np.array([row.seconds for row in outcome.found])
        losses.append(curve[np.minimum(networks, len(outcome.found))])
        by_seconds.append(curve[np.searchsorted(spent, seconds, side="right")])
    return AgentResult(
        label, list(runs), list(runs.values()), np.array(losses), np.array(by_seconds)
    )


def _incumbent_losses(found: list[Found], loss: Callable[[Found], float]) -> list[float]:
    """The loss of the network with the best reward so far, after each network."""
    losses: list[float] = []
    best = -np.inf
    for row in found:
        if row.reward > best:
            best = row.reward
            current = loss(row)
        losses.append(current)
    return losses
