"""How well answers fit labels, one number."""

import torch
from torch import Tensor

from train_eval.training.recipe import Metric


def worth(metric: Metric, labels: Tensor) -> float:
    """The number of images of which a share varies as much as a metric over images does.

    Of ``accuracy`` all; the variance of a mean recall over K classes of n_k images, p (1 - p)
    sum(1 / n_k) / K^2, is that of a share of fewer, the fewer the rarer a class is.

    Args:
        metric: See ``score``.
        labels: (N,) int64, of the images.
    """
    if metric == "accuracy":
        return len(labels)
    counts = torch.bincount(labels)
    counts = counts[counts > 0].double()
    return float(len(counts) ** 2 / (1 / counts).sum())


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
