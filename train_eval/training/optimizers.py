"""Optimizers, and averages of the weights."""

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from train_eval.training.schedules import OptimizerName


def make_optimizer(
    name: OptimizerName,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
) -> torch.optim.Optimizer:
    """The optimizer of a name.

    Args:
        name: ``adam`` (betas 0.9 and 0.999, epsilon 1e-8; weight decay as an L2 penalty), ``adamw``
            (weight decay apart from the gradient), or ``sgd``.
        parameters: The network's.
        learning_rate: At the beginning.
        weight_decay: See the names.
        momentum: Of ``sgd``.
    """
    if name == "sgd":
        return torch.optim.SGD(
            parameters, lr=learning_rate, momentum=momentum, weight_decay=weight_decay
        )
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


class WeightAverage:
    """A network whose weights follow another's: their exponential moving average over the steps.

    In the first steps, when there is little to average, the average follows faster.

    Args:
        network: The network that is trained.
        decay: The average's share of itself at each step.

    Attributes:
        network: The average.
        steps: That it has followed.
    """

    def __init__(self, network: nn.Sequential, decay: float) -> None:
        self.network = copy.deepcopy(network)
        self._decay = decay
        self.steps = 0

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """One more step; on a GPU the weights are one launch of a kernel."""
        self.steps += 1
        decay = min(self._decay, self.steps / (self.steps + 9))
        means, values = list[Tensor](), list[Tensor]()
        for mean, value in zip(_tensors(self.network), _tensors(network), strict=True):
            if mean.is_floating_point():
                means.append(mean)
                values.append(value)
            else:  # a count of batches
                mean.copy_(value)
        get_ema_multi_avg_fn(decay)(means, values, None)


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Its weights, and what it counts."""
    yield from network.parameters()
    yield from network.buffers()
