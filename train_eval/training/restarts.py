"""When a try at training a network has failed, so that the next starts with a smaller rate."""

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from train_eval.training.recipe import Recipe

_ENOUGH_STEPS = 30  # for a loss to have fallen
_COMPARED = 10  # last steps, whose mean is compared with the first


@dataclass
class Losses:
    """The losses of a try's steps so far, left on the device, so that no step waits for it.

    Attributes:
        steps: Their number.
        total: Of all.
        before: The same at the end of the last epoch.
        first: Of the first step.
        last: Of the last few steps.
    """

    steps: int = 0
    total: Tensor | None = None
    before: Tensor | None = None
    first: Tensor | None = None
    last: deque[Tensor] = field(default_factory=lambda: deque(maxlen=_COMPARED))

    def add(self, loss: Tensor) -> None:
        """One more step: its scalar loss."""
        self.steps += 1
        self.total = loss if self.total is None else self.total + loss
        self.first = loss if self.first is None else self.first
        self.last.append(loss)

    def epoch_mean(self, steps: int) -> float:
        """Mean loss of an epoch's steps, asked once at its end."""
        if self.total is None:
            return math.nan
        added = self.total if self.before is None else self.total - self.before
        self.before = self.total
        return float(added) / steps

    def finite(self) -> bool:
        """Whether all were finite."""
        return self.total is None or bool(self.total.isfinite())

    def fell(self) -> bool:
        """Whether the mean of the last steps is below the loss of the first."""
        return self.first is not None and bool(torch.stack(tuple(self.last)).mean() < self.first)


@dataclass(frozen=True)
class Failure:
    """Why a try has failed, and whether another may follow."""

    reason: str
    restarts: bool = True


def failure(
    recipe: Recipe, losses: Losses, curve: Sequence[float], chance: float
) -> Failure | None:
    """Judges a try at the end of an epoch; None if nothing speaks against going on.

    ``chance`` is the paper's rule: the first epoch must beat chance. Later nothing restarts, and a
    loss that is not finite ends the training.

    ``loss`` asks only whether the loss fell: at the end of the first epoch by which 30 steps were
    done, the mean of the last 10 steps must be below the first step. That is judged once; a shorter
    training, and every other epoch, by whether all losses are finite.

    Without restarts, only a loss that is not finite is a failure.

    Args:
        recipe: Says by which rule, and whether there are restarts.
        losses: Of the try's steps.
        curve: Validation accuracies of the try's epochs.
        chance: The accuracy that a first epoch has to beat.
    """
    epoch = len(curve)
    if recipe.max_restarts == 0:
        return None if losses.finite() else Failure("the loss was not finite")
    if recipe.restart_on == "loss":
        if not losses.finite():
            return Failure("the loss was not finite")
        before = losses.steps - losses.steps // epoch  # every epoch has as many steps
        if before < _ENOUGH_STEPS <= losses.steps and not losses.fell():
            return Failure("the loss did not fall")
        return None
    if epoch == 1 and not (losses.finite() and curve[0] > chance):
        return Failure(f"the first epoch did not beat chance ({chance:.3f})")
    if not losses.finite():
        return Failure(f"the loss was not finite in epoch {epoch}", restarts=False)
    return None


def describe(failures: Sequence[Failure], learning_rate: float) -> str:
    """How all tries failed, the last at ``learning_rate``."""
    reasons = Counter(failure.reason for failure in failures)
    told = " and ".join(f"{reason} at {count}" for reason, count in reasons.items())
    return f"{told} learning rates down to {learning_rate:.2g}"
