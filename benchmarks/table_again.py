"""Trains networks of a table again, and says whether the accuracies are the table's.

Equal to the image on a processor of the kind that built the table: another one rounds its sums
otherwise. Networks and seeds are drawn at random; some two seconds a network for the default:

    OMP_NUM_THREADS=1 python benchmarks/table_again.py --table cluttered-digits --networks 10
"""

import argparse
import sys

import numpy as np
from command import run

from gym_cnnarch.rewards.table import Table
from gym_cnnarch.rewards.table_evaluator import find_table
from train_eval import TrainingEvaluator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--table", default="cluttered-digits", help="a shipped table, or a file")
    parser.add_argument("--dataset", help="folder:DIR, for a table of images of one's own")
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="which networks are drawn")
    arguments = parser.parse_args()
    table = Table.load(find_table(arguments.table))
    evaluator = TrainingEvaluator(
        arguments.dataset or table.metadata["dataset"],
        recipe=table.metadata["recipe"],
        device="cpu",
        test=True,
    )
    if evaluator.task != table.metadata["task"]:
        sys.exit(f"The table is of {table.metadata['task']}, these images of {evaluator.task}.")
    equal = 0
    rng = np.random.default_rng(arguments.seed)
    ranks = rng.choice(table.space.count(), arguments.networks, replace=False)
    for rank in ranks.tolist():
        position = int(rng.choice(table.complete))
        architecture = table.space.unrank(rank)
        then = table.evaluation(rank, position)
        now = evaluator.evaluate(architecture, table.seeds[position])
        same = (now.status, now.curve, now.test_accuracy) == (
            then.status, then.curve, then.test_accuracy,
        )  # fmt: skip
        equal += same
        print(
            f"{'equal' if same else 'other'}  seed {table.seeds[position]}, validation "
            f"{now.accuracy:.2%} ({then.accuracy:.2%}), test {now.test_accuracy or 0:.2%} "
            f"({then.test_accuracy or 0:.2%})  {architecture}",
            flush=True,
        )
    print(f"{equal} of {arguments.networks} trained again are equal.")


if __name__ == "__main__":
    run(main)
