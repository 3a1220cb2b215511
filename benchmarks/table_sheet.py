"""The figure of docs/table.md: how the accuracies of a table are distributed.

python benchmarks/table_sheet.py --table cifar10-16x16 --out docs/table.svg
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from gym_cnnarch.layers import GlobalAveragePool
from gym_cnnarch.table_evaluator import TableEvaluator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--table", default="cifar10-16x16")
    parser.add_argument("--out", type=Path, default=Path("docs/table.svg"))
    arguments = parser.parse_args()
    evaluator = TableEvaluator(table=arguments.table)
    space = evaluator.search_space
    ends = [space.unrank(rank).layers[-1] for rank in range(space.count())]
    pooled = np.array([isinstance(end, GlobalAveragePool) for end in ends])
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


if __name__ == "__main__":
    main()
