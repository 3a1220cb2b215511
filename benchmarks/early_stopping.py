"""Both rules that stop trainings early, replayed on recorded learning curves.

Prints how well the final accuracy is predicted after a quarter of the curve, and for each setting
how many times fewer epochs are trained, whether the best network and the best five are trained to
the end, and how far the predicted accuracies of the stopped are from the recorded ones:

    python benchmarks/early_stopping.py --dataset cifar10 --curves metaqnn_cifar10.csv

The networks come in random order, or in a search's order, which is made backwards: the last network
first, one is taken with the probability epsilon of the paper's schedule at that place from all that
are left, else from the best quarter of them. So all networks are met once, the means rise over the
phases as under an agent, and the bars rise too.

An order takes one to two seconds of a core with prediction, 0.3 with halving. The table of CIFAR-10
is of no use here: of its two epochs only the second could be saved.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from command import run
from sklearn.ensemble import RandomForestRegressor

from gym_cnnarch import Architecture, InvalidInput, shapes
from gym_cnnarch.registration import DATASET_INPUTS
from train_eval.output.plotting import draw_figures
from train_eval.records.published import read_published
from train_eval.training.stopping import Finished, Halving, Prediction, Rule
from train_eval.training.stopping.curves import features, known_before
from train_eval.training.stopping.prediction import fit_once

RULES: dict[str, Rule] = {
    "prediction, delta 0.99, n 5": Prediction(),
    "prediction, delta 0.95, n 5": Prediction(delta=0.95),
    "prediction, delta 0.99, n 10": Prediction(best=10),
    "halving, eta 3 at 2, 6": Halving(rungs=(2, 6)),
    "halving, eta 3 at 2, 6, none before": Halving(rungs=(2, 6), first=1),
    "halving, eta 4 at 2, 6": Halving(rungs=(2, 6), eta=4),
    "halving, eta 2 at 1, 3, 9": Halving(eta=2),
    "halving, eta 3 at 1, 3, 9": Halving(),
    "prediction, linear, delta 0.99, n 5": Prediction(kernel="linear"),
}

LEAST = 110  # networks: the predictor of the first table is fitted to 100 of them

PHASES = [(1.0, 1500), (0.9, 100), (0.8, 100), (0.7, 100)] + [
    (e / 10, 150) for e in range(6, 0, -1)
]
"""The paper's schedule: epsilon, number of networks."""


@dataclass(frozen=True)
class Replay:
    """What became of a file's networks in one order.

    Attributes:
        fewer: Epochs of all networks / epochs that were trained.
        best_kept: Whether the best network was trained to the end.
        five_kept: How many of the best five were.
        errors: Predicted less recorded accuracy of each stopped network.
        seconds: CPU time of the rule, fits included.
    """

    fewer: float
    best_kept: bool
    five_kept: int
    errors: list[float]
    seconds: float


def read(path: Path, dataset: str) -> list[Finished]:
    input_shape, _ = DATASET_INPUTS[dataset]
    networks = []
    for row in read_published(path).rows:
        architecture = Architecture.parse(row.text)
        parameters = shapes.count_parameters(architecture, input_shape)
        depth = len(architecture.layers)
        networks.append(Finished(parameters, depth, row.learning_rate or 0.0, row.curve, "ok"))
    if len(networks) < LEAST:
        raise InvalidInput(f"{path} has {len(networks)} networks, and {LEAST} are needed.")
    return networks


def random_order(networks: Sequence[Finished], seed: int) -> list[Finished]:
    return [networks[i] for i in np.random.default_rng(seed).permutation(len(networks))]


def search_order(networks: Sequence[Finished], seed: int) -> list[Finished]:
    rng = np.random.default_rng(seed)
    left = sorted(networks, key=lambda network: network.accuracy)
    epsilons = [epsilon for epsilon, number in PHASES for _ in range(number)]
    backwards = []
    for place in reversed(range(len(networks))):
        explores = rng.random() < epsilons[place * len(epsilons) // len(networks)]
        least = 0 if explores else len(left) * 3 // 4
        backwards.append(left.pop(int(rng.integers(least, len(left)))))
    return backwards[::-1]


ORDERS = {"random": random_order, "search": search_order}


def replay(networks: Sequence[Finished], rule: Rule, lookahead: int = 1) -> Replay:
    finished: list[Finished] = []
    stopped: dict[int, float] = {}
    began = time.process_time()
    for number, network in enumerate(networks):
        known = finished[: max(0, number - lookahead + 1)]
        decision = rule.decision(known, network.parameters, network.depth)
        for epochs in range(1, len(network.curve)):
            curve = network.curve[:epochs]
            if decision.stops(curve, network.learning_rate):
                stopped[number] = decision.predicted(curve, network.learning_rate)
                network = replace(network, curve=curve, status="stopped")
                break
        finished.append(network)
    seconds = time.process_time() - began
    ranked = sorted(range(len(networks)), key=lambda i: -networks[i].accuracy)
    return Replay(
        sum(len(n.curve) for n in networks) / sum(len(n.curve) for n in finished),
        ranked[0] not in stopped,
        sum(i not in stopped for i in ranked[:5]),
        [predicted - networks[i].accuracy for i, predicted in stopped.items()],
        seconds,
    )


def print_replays(
    networks: list[Finished], orders: int, lookahead: int, folder: Path | None
) -> None:
    print(
        "| rule | order | times fewer epochs | best kept | best five kept | of five, mean "
        "| error | bias | driver s |\n|---|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    points: dict[str, dict[str, tuple[float, float]]] = {order: {} for order in ORDERS}
    for name, rule in RULES.items():
        for order, arrange in ORDERS.items():
            replays = [replay(arrange(networks, seed), rule, lookahead) for seed in range(orders)]
            fewer = [r.fewer for r in replays]
            errors = np.array([error for r in replays for error in r.errors])
            five = statistics.mean(r.five_kept for r in replays)
            points[order][name] = statistics.mean(fewer), five
            print(
                f"| {name} | {order} | {statistics.mean(fewer):.2f} ({min(fewer):.2f} to "
                f"{max(fewer):.2f}) | {sum(r.best_kept for r in replays)}/{orders} "
                f"| {sum(r.five_kept == 5 for r in replays)}/{orders} | {five:.2f} "
                f"| {np.abs(errors).mean():.3f} | {errors.mean():+.3f} "
                f"| {statistics.mean(r.seconds for r in replays):.1f} |",
                flush=True,
            )

    def draw(axes) -> bool:
        for (order, by_rule), colour in zip(points.items(), ("#0072B2", "#D55E00"), strict=True):
            for kind, marker in (("prediction", "o"), ("halving", "^")):
                xy = [point for name, point in by_rule.items() if name.startswith(kind)]
                axes.plot(*zip(*xy, strict=True), marker, color=colour, label=f"{kind}, {order}")
        axes.set(xlabel="times fewer epochs", ylabel="of the best five, trained to the end (mean)")
        axes.legend()
        return True

    if folder is not None:
        draw_figures({"early_stopping": draw}, folder, height=3.4)


def print_prediction(networks: list[Finished], splits: int) -> None:
    """R-squared after a quarter of the curve, fitted to 100 networks, of all others."""
    curves = np.array([n.curve for n in networks])
    before = np.array([known_before(n.parameters, n.depth, n.learning_rate) for n in networks])
    epochs = curves.shape[1] // 4
    x = features(curves[:, :epochs], before)
    print("| accuracy of | rbf | linear | forest | last value seen |\n|---|--:|--:|--:|--:|")
    for target, y in (("last epoch", curves[:, -1]), ("best epoch", curves.max(axis=1))):
        found: dict[str, list[float]] = {"rbf": [], "linear": [], "forest": [], "last": []}
        for seed in range(splits):
            order = np.random.default_rng(seed).permutation(len(networks))
            train, test = order[:100], order[100:]
            for kernel in ("rbf", "linear"):
                regression = fit_once(x[train], y[train], kernel)
                found[kernel].append(r_squared(regression.predict(x[test], x[train]), y[test]))
            forest = RandomForestRegressor(100, random_state=0).fit(x[train], y[train])
            found["forest"].append(r_squared(forest.predict(x[test]), y[test]))
            found["last"].append(r_squared(curves[test, epochs - 1], y[test]))
        cells = (f"{np.mean(r):.2f} ± {np.std(r):.2f}" for r in found.values())
        print(f"| {target} | {' | '.join(cells)} |", flush=True)


def r_squared(predicted: np.ndarray, measured: np.ndarray) -> float:
    """In percent."""
    residual = np.sum((predicted - measured) ** 2)
    return float(100 * (1 - residual / np.sum((measured - measured.mean()) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--dataset", choices=("cifar10", "svhn"), default="cifar10")
    parser.add_argument("--curves", type=Path, required=True, help="CSV file of learning curves")
    parser.add_argument("--orders", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument("--splits", type=int, default=10, help="for R-squared (default: 10)")
    parser.add_argument("--lookahead", type=int, default=1, help="of the search (default: 1)")
    parser.add_argument("--figure", type=Path, help="folder for early_stopping.svg")
    arguments = parser.parse_args()
    networks = read(arguments.curves, arguments.dataset)
    means = np.mean(
        [
            [np.mean([n.accuracy for n in part]) for part in np.array_split(
                np.array(search_order(networks, seed), dtype=object), 9)]
            for seed in range(arguments.orders)
        ],
        axis=0,
    )  # fmt: skip
    print("means over a search's order, by ninths:", *(f"{mean:.3f}" for mean in means), "\n")
    print_prediction(networks, arguments.splits)
    print()
    print_replays(networks, arguments.orders, arguments.lookahead, arguments.figure)


if __name__ == "__main__":
    run(main)
