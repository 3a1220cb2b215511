"""Describes a table of results for people."""

from collections import Counter
from itertools import combinations

import numpy as np
from rich.table import Table as Grid
from scipy.stats import spearmanr

from gym_cnnarch.rewards.evaluation import STATUSES
from gym_cnnarch.rewards.table import MISSING, Table


def description(table: Table, top: int = 10) -> list[str | Grid]:
    """Sizes, agreement of the seeds, accuracies, cost, and the best networks."""
    measured = table.status != MISSING
    if not measured.any():
        return [f"{table.space.count():,} networks, none of them trained yet"]
    lines: list[str | Grid] = [
        f"{table.space.count():,} networks x {len(table.seeds)} seeds, "
        f"{measured.sum():,} trainings done; seeds complete: "
        f"{', '.join(str(table.seeds[i]) for i in table.complete) or 'none'}",
        f"core-hours: {table.train_seconds.sum(dtype=np.float64) / 3600:.2f}; "
        f"seconds a training: {table.train_seconds[measured].mean():.2f}; "
        f"checksum {table.checksum()[:16]}",
        "status: "
        + ", ".join(f"{STATUSES[s]} {n:,}" for s, n in Counter(table.status[measured]).items()),
    ]
    lines += [_agreement(table, a, b) for a, b in combinations(range(len(table.seeds)), 2)]
    accuracies = table.validation[measured]
    low, median, high = np.quantile(accuracies, [0.0, 0.5, 1.0])
    lines.append(f"validation accuracy: worst {low:.2%}, median {median:.2%}, best {high:.2%}")
    if len(table.complete):
        lines.append(_best(table, top))
    return lines


def _agreement(table: Table, a: int, b: int) -> str:
    """How alike two seeds rank the networks that both have."""
    both = (table.status[[a, b]] != MISSING).all(axis=0)
    name = f"seeds {table.seeds[a]} and {table.seeds[b]}, {both.sum():,} networks: "
    if both.sum() < 3:
        return name + "too few to compare"
    first, second = table.validation[a, both], table.validation[b, both]
    test = spearmanr(table.test[a, both], table.test[b, both]).statistic
    # Half the mean square difference of two draws is their variance.
    deviation = np.sqrt(((first - second) ** 2).mean() / 2)
    typical = np.median(np.abs(first - second)) / (0.6745 * np.sqrt(2))
    return (
        f"{name}Spearman {spearmanr(first, second).statistic:.3f} (test {test:.3f}), "
        f"standard deviation {deviation:.2%} (by the median {typical:.2%})"
    )


def _best(table: Table, top: int) -> Grid:
    validation = table.validation[table.complete].mean(axis=0)
    test = table.test[table.complete].mean(axis=0)
    grid = Grid("network", "validation", "test", "parameters", "MACs", "seconds")
    for rank in np.argsort(-validation, kind="stable")[:top].tolist():
        grid.add_row(
            str(table.space.unrank(rank)),
            f"{validation[rank]:.2%}",
            f"{test[rank]:.2%}",
            f"{table.parameters[rank]:,}",
            f"{table.macs[rank]:,}",
            f"{table.train_seconds[table.complete, rank].mean():.1f}",
        )
    return grid
