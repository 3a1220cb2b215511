"""What MetaQNN learns of the first layer, by bootstrapped targets and by Monte-Carlo returns.

After the paper's full schedule (2,700 unique networks) on predicted rewards, the Q-values of the
first layer's convolutions, for lambda = 0 (the paper) and 1, beside the mean reward of the networks
that began with them; draws them too. Seconds a run:

    python benchmarks/first_layer_values.py --curves metaqnn_cifar10.csv --out docs/benchmark
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from command import run
from scipy.stats import spearmanr

from agents import PAPER_SCHEDULE, MetaQNN, roll_out
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.space.architecture import Conv
from train_eval.cli.options import SURROGATE
from train_eval.environments import make_env
from train_eval.output.plotting import draw_figures

LAMBDAS = (0.0, 1.0)


def learn(env: CNNArchEnv, trace_decay: float, seed: int) -> tuple[MetaQNN, dict[int, list[float]]]:
    """The agent after its schedule, and first action -> the rewards of its networks."""
    agent = MetaQNN(len(env.search_space.actions), seed, trace_decay=trace_decay)
    rewards: dict[int, list[float]] = defaultdict(list)
    met: set[tuple[int, ...]] = set()
    while len(met) < PAPER_SCHEDULE.total:
        episode = roll_out(env, agent)
        agent.learn(episode)
        actions = tuple(episode.actions.tolist())
        if actions not in met:
            met.add(actions)
            rewards[actions[0]].append(episode.reward)
    return agent, rewards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--curves", type=Path, required=True, help="CSV file of published results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of the figure; none is drawn without it")
    arguments = parser.parse_args()
    env = make_env("CNNArch-CIFAR10-v0", evaluator=SURROGATE, curves=str(arguments.curves))
    layers = env.search_space.actions
    convolutions = [a for a, layer in enumerate(layers) if isinstance(layer, Conv)]
    start, _ = env.reset()
    table = {}
    for trace_decay in LAMBDAS:
        agent, rewards = learn(env, trace_decay, arguments.seed)
        values = agent.q_values(start)[convolutions]
        means = np.array([np.mean(rewards[a]) for a in convolutions])
        table[trace_decay] = values, means
        print(
            f"lambda {trace_decay:g}: Q from {values.min():.4f} to {values.max():.4f}, "
            f"Spearman with the mean reward {spearmanr(values, means).statistic:.2f}; "
            f"mean of all networks {np.mean(np.concatenate(list(rewards.values()))):.2%}"
        )
    print("layer        " + "  ".join(f"Q, lambda {t:g}  mean reward" for t in LAMBDAS))
    for row, action in enumerate(convolutions):
        cells = [f"{values[row]:11.3f}  {means[row]:11.3f}" for values, means in table.values()]
        print(f"{layers[action]!s:12} " + "  ".join(cells))
    if arguments.out:
        names = [str(layers[a]) for a in convolutions]
        draw_figures({"first-layer": lambda axes: draw(axes, names, table)}, arguments.out, 3.2)


def draw(axes: Any, names: list[str], table: dict[float, tuple[Any, Any]]) -> bool:
    for (trace_decay, (values, _)), marker in zip(table.items(), "os", strict=True):
        axes.plot(names, values, marker, label=f"lambda = {trace_decay:g}")
    axes.plot(names, table[1.0][1], "_", color="0.4", ms=14, label="mean reward (lambda = 1)")
    axes.tick_params(axis="x", rotation=45)
    axes.set_ylabel("Q of the first layer")
    axes.legend()
    return True


if __name__ == "__main__":
    run(main)
