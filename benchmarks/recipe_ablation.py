r"""What each setting of a recipe does: accuracy and rank correlation over random networks.

Networks are drawn uniformly (small space, at most 6 layers, 8 to 32 filters) and trained by each
recipe with one seed. Printed for each: mean and best validation accuracy, mean test accuracy, test
accuracy of the network with the best validation accuracy, Spearman's correlation of validation
accuracies with those of three times as long a training (`long`), CPU seconds. One core:

    OMP_NUM_THREADS=1 python benchmarks/recipe_ablation.py --dataset digits --networks 16 \
        --epochs 8 --batch-size 32 --validation-size 360
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from command import run
from scipy.stats import spearmanr

from gym_cnnarch import InvalidInput
from train_eval.environments import make_env
from train_eval.training.evaluator import TrainingEvaluator

SPACE = {"preset": "small", "max_layers": 6, "conv_filters": [8, 16, 32]}


def recipes(base: dict[str, Any], translation: int) -> dict[str, dict[str, Any]]:
    """Name -> recipe: first the long training, then what is compared with it."""
    epochs = base["epochs"]
    plain = {
        **base, "restart_on": "loss", "learning_rate": 0.003, "decay_every": max(1, epochs // 2)
    }  # fmt: skip
    bare = {**plain, "dropout": False}
    core = {
        **base, "restart_on": "loss", "dropout": False, "batch_norm": True, "optimizer": "adamw",
        "schedule": "one-cycle", "weight_decay": 0.01, "learning_rate": 0.01,
    }  # fmt: skip
    long = {**core, "epochs": 3 * epochs, "label_smoothing": 0.1, "translation": translation}
    cycle = {"optimizer": "adamw", "schedule": "one-cycle", "learning_rate": 0.005}
    sgd = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4}
    return {
        "long": long,
        "quick": {"preset": "quick", "validation_size": base["validation_size"]},
        "own-quick": {"preset": "own-quick", "validation_size": base["validation_size"]},
        "own": {"preset": "own", "validation_size": base["validation_size"]},
        "plain (adam, steps, dropout)": plain,
        "plain, no dropout": bare,
        "plain, batch norm": {**plain, "batch_norm": True},
        "plain, no dropout, batch norm": {**bare, "batch_norm": True},
        "plain, no dropout, one-cycle": {**bare, **cycle},
        "core (batch norm, adamw, one-cycle)": core,
        "core, no batch norm": {**core, "batch_norm": False, "learning_rate": 0.005},
        "core, dropout": {**core, "dropout": True},
        "core, rate 0.003": {**core, "learning_rate": 0.003},
        "core, rate 0.03": {**core, "learning_rate": 0.03},
        "core, sgd 0.1": {**core, **sgd},
        "core, weight decay 0.05": {**core, "weight_decay": 0.05},
        "core, label smoothing 0.1": {**core, "label_smoothing": 0.1},
        "core, averaging 0.98": {**core, "averaging": 0.98},
        "core, moved by 1": {**core, "translation": 1},
        "core, moved by 2": {**core, "translation": 2},
        "core, twice the batch": {**core, "batch_size": 2 * base["batch_size"]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--validation-size", type=float, default=0.2)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--translation", type=int, default=1, help="of the long training")
    parser.add_argument("--only", nargs="*", default=[], help="names of recipes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    base = {
        "epochs": arguments.epochs, "batch_size": arguments.batch_size,
        "validation_size": arguments.validation_size, "train_size": arguments.train_size,
    }  # fmt: skip
    compared = recipes(base, arguments.translation)
    unknown = set(arguments.only) - set(compared)
    if unknown:
        raise InvalidInput(f"No recipe {min(unknown)!r}: expected some of {', '.join(compared)}.")
    env = make_env(
        "CNNArch-v0", dataset=arguments.dataset, recipe=base, search_space=SPACE, device="cpu"
    )
    rng = np.random.default_rng(1)
    networks = [env.search_space.sample(rng) for _ in range(arguments.networks)]
    reference = None
    print("| recipe | mean | best | test, mean | test of the best | rank correlation | CPU s |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, recipe in compared.items():
        if arguments.only and name not in {"long", *arguments.only}:
            continue
        evaluator = TrainingEvaluator(arguments.dataset, recipe=recipe, device="cpu", test=True)
        started = time.process_time()
        results = [evaluator.train(network) for network in networks]
        seconds = time.process_time() - started
        accuracies = np.array([result.accuracy for result in results])
        tested = np.array([result.test_accuracy or 0.0 for result in results])
        reference = accuracies if reference is None else reference
        print(
            f"| {name} | {accuracies.mean():.2%} | {accuracies.max():.2%} | {tested.mean():.2%} "
            f"| {tested[accuracies.argmax()]:.2%} "
            f"| {spearmanr(accuracies, reference).statistic:.2f} | {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    run(main)
