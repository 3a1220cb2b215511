"""The figure of docs/table.md, and how alike two seeds rank the networks with each end.

python benchmarks/table_sheet.py --table cifar10-16x16 --out docs/table.svg
"""

import argparse
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from command import run
from scipy.stats import spearmanr

from gym_cnnarch.rewards.table import Table
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from gym_cnnarch.space.architecture import GlobalAveragePool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--table", default="cifar10-16x16")
    parser.add_argument("--out", type=Path, default=Path("docs/table.svg"))
    arguments = parser.parse_args()
    evaluator = TableEvaluator(table=arguments.table)
    space = evaluator.search_space
    ends = [space.unrank(rank).layers[-1] for rank in range(space.count())]
    pooled = np.array([isinstance(end, GlobalAveragePool) for end in ends])
    agreement(evaluator.table, pooled)
    validation, test = evaluator.mean_validation, evaluator.mean_test
    plt.rcParams.update({"svg.hashsalt": "cnnarch", "font.size": 9, "axes.grid": True})
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    bins = np.linspace(0, validation.max() + 0.01, 50)
    left.hist(
        [validation[~pooled], validation[pooled]], bins, stacked=True,
        color=["#0072B2", "#E69F00"], label=["softmax", "global average pooling"],
    )  # fmt: skip
    left.set_xlabel("validation accuracy")
    left.set_ylabel("networks")
    left.legend(title="ends with")
    right.plot(validation, test, ".", ms=2, alpha=0.3, color="#0072B2", rasterized=True)
    right.set_xlabel("validation accuracy")
    right.set_ylabel("test accuracy")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(arguments.out, dpi=150, metadata={"Date": None})


def agreement(table: Table, pooled: np.ndarray) -> None:
    """Prints rank correlation and standard deviation of one training, between complete seeds."""
    for a, b in combinations(table.complete.tolist(), 2):
        for name, which in (("all", pooled | ~pooled), ("softmax", ~pooled), ("pooling", pooled)):
            one, other = table.validation[a, which], table.validation[b, which]
            deviation = np.sqrt(((one - other) ** 2).mean() / 2)
            correlation = spearmanr(one, other).statistic
            print(
                f"seeds {table.seeds[a]} and {table.seeds[b]}, {name:8} {which.sum():5,} networks: "
                f"Spearman {correlation:.3f}, standard deviation {deviation:.2%}"
            )


if __name__ == "__main__":
    run(main)
