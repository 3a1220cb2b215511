"""Whether collapsed networks are delivered as good: 20 final trainings that provoke them.

A few networks are searched on a set of six classes (see photographs.py), then trained to the end
with twenty seeds by a recipe that many do not survive: high rates (or those that are named), no
batch normalisation, few epochs. What is delivered is looked at by the test images, which the choice
has not seen: a network that answers at most half of the classes there has collapsed:

    python benchmarks/photographs.py PLACE && python benchmarks/collapsed.py folder:PLACE
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from command import run

from train_eval import load_network, run_search
from train_eval.data.sources import load_train_and_test
from train_eval.environments import with_absolute_places
from train_eval.final.testing import predict

FINALIZES = 20
NETWORKS = 3
SEARCH = {"preset": "quick", "epochs": 6, "batch_size": 32, "validation_size": 0.2}
EPOCHS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.05, 0.2], help="in turn")
    arguments = parser.parse_args()
    dataset = with_absolute_places({"dataset": arguments.dataset})["dataset"]
    torch.set_num_threads(1)
    _, test = load_train_and_test(dataset)
    ends: Counter[str] = Counter()
    collapsed, lowest = 0, 1.0
    with tempfile.TemporaryDirectory() as place:
        run = run_search(
            "CNNArch-v0", "random_walk", 8, run_dir=Path(place) / "run", executor="inline",
            dataset=dataset, search_space="small", recipe=SEARCH, device="cpu",
        )  # fmt: skip
        for seed in range(FINALIZES):
            folder = Path(place) / str(seed)
            recipe = {
                "preset": "one-cycle", "batch_size": 32,
                "steps": [[arguments.rates[seed % len(arguments.rates)], EPOCHS]],
            }  # fmt: skip
            results = run.finalize(recipe, NETWORKS, 1, folder, seed, workers=1, device="cpu")
            ends.update(lost.status for lost in results.failed)
            ends["delivered"] += len(results.networks)
            for row in results.networks:
                answers = predict(load_network(folder / row.name), test.images).argmax(1)
                collapsed += 2 * len(np.unique(answers)) <= len(test.class_names)
                lowest = min(lowest, 1 - row.test_error)
    told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    print(f"{FINALIZES} finalizes of {NETWORKS} networks, {len(test.class_names)} classes: {told}")
    print(f"collapsed among the delivered: {collapsed}; their lowest test accuracy: {lowest:.2%}")


if __name__ == "__main__":
    run(main)
