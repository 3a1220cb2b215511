"""Simulates searches with many workers: how busy they are, and what acting ahead costs in quality.

Real agents search the paper's CIFAR-10 space with the paper's schedule (2,700 networks); only the
training is simulated. A network's duration is drawn from the durations in a store, the same for a
network whichever worker gets it; its reward is the surrogate's, fitted to published results.

The loop is that of train_eval/search/search.py: at episode t the agent has learned the episodes up
to t - lookahead, in order. Prints a Markdown table, medians over the seeds, and draws it:

    python benchmarks/simulate_lookahead.py --store runs/NAME/store.sqlite --curves FILE \
        --seeds 5 --figure docs/lookahead.svg
"""

import argparse
import hashlib
import heapq
import json
import sqlite3
import statistics
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from command import run

from agents import Episode
from gym_cnnarch import Architecture, InvalidInput
from train_eval.environments import make_env
from train_eval.search.agents import make_agent, metaqnn_settings
from train_eval.training.surrogate import SurrogateEvaluator

WORKERS = (1, 10, 100, 1000)
MULTIPLES = (1, 2, 4, 8)  # of the number of workers


class Outcome(NamedTuple):
    utilisation: float  # share of the workers' time until the last network is finished
    unlearned: float  # mean number of earlier episodes not learned yet when an episode acts
    last_phase: float  # mean reward of the unique models of the last epsilon
    best: float


def make_oracle(store: Path, curves: Path) -> Callable[[str], tuple[float, float]]:
    """Text -> (duration in seconds, reward), remembered."""
    if not store.is_file():
        raise InvalidInput(f"There is no store {store}.")
    with sqlite3.connect(store) as db:
        rows = db.execute("SELECT train_seconds FROM evaluations WHERE status = 'ok'").fetchall()
    durations = [seconds for (seconds,) in rows if seconds]
    surrogate = SurrogateEvaluator("cifar10", curves)
    mean = statistics.mean(durations)
    print(
        f"{len(durations)} durations, mean {mean:.1f} s, longest {max(durations) / mean:.1f} times "
        f"the mean; {surrogate.quality()}\n"
    )
    known: dict[str, tuple[float, float]] = {}

    def oracle(text: str) -> tuple[float, float]:
        if text not in known:
            draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
            reward = surrogate.evaluate(Architecture.parse(text)).accuracy
            known[text] = durations[draw % len(durations)], reward
        return known[text]

    return oracle


def simulate(oracle, workers: int, lookahead: int, seed: int, budget: int) -> Outcome:
    env = make_env("CNNArch-CIFAR10-v0", evaluator=None)
    settings, _ = metaqnn_settings(budget)
    agent = make_agent(settings, env.search_space, seed)
    free_at = [0.0] * workers  # a heap
    clock = busy = 0.0
    finished_at: dict[str, float] = {}
    pending: deque[tuple[int, Episode, float]] = deque()
    unlearned = []
    rewards: list[tuple[float, float]] = []
    for number in count():
        while pending and pending[0][0] <= number - lookahead:
            _, episode, finish = pending.popleft()
            clock = max(clock, finish)
            agent.learn(episode)
        if len(finished_at) == budget:
            break
        unlearned.append(len(pending))
        epsilon = agent.epsilon
        observations, actions, masks = [], [], []
        observation, info = env.reset()
        terminated = False
        while not terminated:
            mask = info["action_mask"].astype(bool)
            observations.append(observation)
            masks.append(mask)
            actions.append(agent.act(observation, mask))
            observation, _, terminated, _, info = env.step(actions[-1])
        text = info["architecture"]
        duration, reward = oracle(text)
        if text not in finished_at:
            start = max(clock, heapq.heappop(free_at))
            heapq.heappush(free_at, start + duration)
            finished_at[text] = start + duration
            busy += duration
            rewards.append((epsilon, reward))
        episode = Episode(
            np.array([*observations, observation]), np.array(actions), np.array(masks), reward
        )
        pending.append((number, episode, finished_at[text]))
    last = [reward for epsilon, reward in rewards if epsilon == rewards[-1][0]]
    return Outcome(
        busy / (workers * max(finished_at.values())),
        statistics.mean(unlearned),
        statistics.mean(last),
        max(reward for _, reward in rewards),
    )


def draw(rows: list[tuple[int, int, Outcome]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "lookahead"
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    styles = zip(("#0072b2", "#e69f00", "#009e73", "#cc79a7"), "osD^", strict=True)
    for workers, (colour, marker) in zip(WORKERS, styles, strict=True):
        mine = [(lookahead, outcome) for w, lookahead, outcome in rows if w == workers]
        label = f"{workers:,} worker{'s' if workers > 1 else ''}"
        multiples = [lookahead / workers for lookahead, _ in mine]
        utilisation = [100 * outcome.utilisation for _, outcome in mine]
        left.plot(multiples, utilisation, color=colour, marker=marker, label=label)
        quality = [100 * outcome.last_phase for _, outcome in mine]
        right.plot([look for look, _ in mine], quality, color=colour, marker=marker, label=label)
    left.set(xscale="log", xlabel="lookahead / workers", ylabel="utilisation (%)", ylim=(0, 101))
    left.set_xticks(MULTIPLES, [str(m) for m in MULTIPLES], minor=False)
    left.minorticks_off()
    right.set(xscale="log", xlabel="lookahead (episodes)", ylabel="mean reward, last phase (%)")
    left.legend()
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--store", type=Path, required=True, help="store with durations")
    parser.add_argument("--curves", type=Path, required=True, help="CSV of published results")
    parser.add_argument("--seeds", type=int, default=5, help="agent seeds (default: 5)")
    parser.add_argument("--budget", type=int, default=2700, help="networks (default: 2700)")
    parser.add_argument("--figure", type=Path, help="where to draw the figure (.svg or .png)")
    parser.add_argument("--json", type=Path, help="where to keep all outcomes")
    arguments = parser.parse_args()
    oracle = make_oracle(arguments.store, arguments.curves)
    print("| workers | lookahead | utilisation | unlearned when acting | last phase | best |")
    print("|--:|--:|--:|--:|--:|--:|", flush=True)
    rows, kept = [], []
    for workers in WORKERS:
        for multiple in MULTIPLES:
            lookahead = workers * multiple
            outcomes = [
                simulate(oracle, workers, lookahead, seed, arguments.budget)
                for seed in range(arguments.seeds)
            ]
            median = Outcome(*(statistics.median(field) for field in zip(*outcomes, strict=True)))
            rows.append((workers, lookahead, median))
            kept.append({"workers": workers, "lookahead": lookahead, "outcomes": outcomes})
            print(
                f"| {workers:,} | {lookahead:,} | {median.utilisation:.0%} "
                f"| {median.unlearned:,.0f} | {median.last_phase:.2%} | {median.best:.2%} |",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(kept))
    if arguments.figure:
        draw(rows, arguments.figure)


if __name__ == "__main__":
    run(main)
