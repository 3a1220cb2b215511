"""What is better where there are several objectives, each to be maximised.

Points are (N, k): N rewards of k objectives. A point dominates another if it is at least as good in
every objective and better in one.
"""

from itertools import count

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def front(points: Points) -> list[int]:
    """Positions of the points that none dominates, in their order; of equal ones the first."""
    points = np.asarray(points, dtype=np.float64)
    if len(points) == 0:
        return []
    chosen: list[int] = []
    for position in np.lexsort(-points.T[::-1]).tolist():  # what dominates comes before
        if not (points[chosen] >= points[position]).all(axis=1).any():
            chosen.append(position)
    return sorted(chosen)


def non_dominated_ranks(points: Points) -> NDArray[np.int64]:
    """(N,), 0 for what none dominates, 1 for what none of the rest dominates, and so on.

    The fast non-dominated sort of Deb et al. (NSGA-II, IEEE Transactions on Evolutionary
    Computation, 2002, section III A).
    """
    at_least = np.all(points[:, None] >= points[None], axis=2)
    dominates = at_least & ~at_least.T  # (N, N)
    ranks = np.full(len(points), -1)
    for rank in count():
        rest = ranks < 0
        if not rest.any():
            break
        ranks[rest & ~dominates[rest].any(axis=0)] = rank
    return ranks


def crowding_distances(points: Points) -> NDArray[np.float64]:
    """(N,), how far apart a point's neighbours are, summed over the objectives.

    Each objective counts as a share of its range; the ends are infinitely far (ibid., section
    III B).
    """
    distances = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        span = values[order[-1]] - values[order[0]]
        distances[order[[0, -1]]] = np.inf
        if span > 0:
            distances[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / span
    return distances


def hypervolume(points: Points, reference: NDArray[np.float64]) -> float:
    """The volume of what the points dominate and that is better than the reference in everything.

    By slices along the last objective.

    Args:
        points: (N, k), k at least 2.
        reference: (k,).
    """
    gains = np.asarray(points, dtype=np.float64) - reference
    gains = gains[(gains > 0).all(axis=1)]
    return _volume(gains[np.argsort(-gains[:, -1], kind="stable")])


def _volume(gains: Points) -> float:
    """Of gains over the reference, (N, k), in descending order of the last one."""
    heights = -np.diff(gains[:, -1], append=0.0)
    if gains.shape[1] == 2:
        return float(np.maximum.accumulate(gains[:, 0]) @ heights) if len(gains) else 0.0
    total = 0.0
    for number, height in enumerate(heights.tolist(), start=1):
        slice_ = gains[:number, :-1]
        total += height * _volume(slice_[np.argsort(-slice_[:, -1], kind="stable")])
    return total
