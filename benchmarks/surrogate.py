"""How far predictions from published results can be trusted, and MetaQNN's full schedule on them.

Prints the cross-validated quality, predicted against measured accuracy by tenths of the networks,
the greatest prediction for random networks of the paper's space, the mean accuracy at each epsilon
in a replay database, and that of searches (figure 3 of the paper), with the share of their networks
that are predicted above the best measured one. About ten seconds a seed:

    python benchmarks/surrogate.py --dataset cifar10 --curves metaqnn_cifar10.csv
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from command import run
from scipy.stats import spearmanr

from train_eval import run_search
from train_eval.cli.options import SURROGATE
from train_eval.environments import make_env
from train_eval.records.published import read_published
from train_eval.training.surrogate import SurrogateEvaluator, read_curves

ENVIRONMENTS = {"cifar10": "CNNArch-CIFAR10-v0", "svhn": "CNNArch-SVHN-v0"}


def describe_fit(surrogate: SurrogateEvaluator, curves: Path) -> None:
    measured = read_curves(curves)[1]
    predicted = surrogate.predicted
    print(surrogate.quality())
    print("tenth of the networks by measured accuracy: measured, predicted, Spearman within")
    for tenth, rows in enumerate(np.array_split(np.argsort(measured), 10), start=1):
        equal = np.ptp(measured[rows]) == 0
        within = np.nan if equal else spearmanr(measured[rows], predicted[rows]).statistic
        print(
            f"{tenth:5}  {measured[rows].mean():.2%}  {predicted[rows].mean():.2%}  {within:5.2f}"
        )


def describe_published(curves: Path) -> None:
    """The mean accuracy at each epsilon; networks that come again count again, as in the paper."""
    by_epsilon: dict[float, list[float]] = {}
    for row in read_published(curves).rows:
        if row.epsilon is not None and 0 <= row.accuracy <= 1:
            by_epsilon.setdefault(row.epsilon, []).append(row.accuracy)
    if by_epsilon:
        print(f"published, mean by epsilon: {_line(by_epsilon)}")


def _line(by_epsilon: dict[float, list[float]]) -> str:
    return "  ".join(f"{epsilon:.1f}: {np.mean(a):.2%}" for epsilon, a in by_epsilon.items())


def describe_top(surrogate: SurrogateEvaluator, env_id: str) -> None:
    rng = np.random.default_rng(0)
    space = make_env(env_id, evaluator=None).search_space
    accuracies = [surrogate.evaluate(space.sample(rng)).accuracy for _ in range(10_000)]
    print(
        f"best measured {surrogate.best:.2%}; greatest of 10,000 predictions for networks drawn "
        f"uniformly {max(accuracies):.2%}, mean {np.mean(accuracies):.2%}"
    )


def describe_search(surrogate: SurrogateEvaluator, env_id: str, curves: Path, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = run_search(env_id, run_dir=folder, seed=seed, evaluator=SURROGATE, curves=curves)
        found = [episode for episode in run.episodes if episode.new]
    by_epsilon: dict[float, list[float]] = {}
    for episode in found:
        by_epsilon.setdefault(episode.epsilon, []).append(episode.accuracy)
    accuracies = [episode.accuracy for episode in found]
    beyond = np.mean(np.array(accuracies) > surrogate.best)
    print(
        f"seed {seed}, mean by epsilon: {_line(by_epsilon)}; best {max(accuracies):.2%}, "
        f"{beyond:.1%} of the networks above {surrogate.best:.2%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--dataset", choices=ENVIRONMENTS, default="cifar10")
    parser.add_argument("--curves", type=Path, required=True, help="CSV file of published results")
    parser.add_argument("--seeds", type=int, default=3, help="searches (default: 3)")
    arguments = parser.parse_args()
    surrogate = SurrogateEvaluator(arguments.dataset, arguments.curves)
    env_id = ENVIRONMENTS[arguments.dataset]
    describe_fit(surrogate, arguments.curves)
    describe_top(surrogate, env_id)
    describe_published(arguments.curves)
    for seed in range(arguments.seeds):
        describe_search(surrogate, env_id, arguments.curves, seed)


if __name__ == "__main__":
    run(main)
