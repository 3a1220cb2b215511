"""How well answers fit labels, one number."""

import torch
from torch import Tensor

from train_eval.training.recipe import Metric


def score(metric: Metric, hits: Tensor, labels: Tensor) -> float:
    """A recipe's metric, in [0, 1].

    Args:
        metric: ``accuracy``: the share of hits; ``balanced_accuracy``: its mean over the classes
            that there are images of.
        hits: (N,) bool, whether each image is classified correctly.
        labels: (N,) int64.
    """
    if metric == "accuracy":
        return int(hits.sum()) / len(hits)
    counts = torch.bincount(labels)
    recalls = torch.bincount(labels[hits], minlength=len(counts)).double() / counts
    return float(recalls[counts > 0].mean())
