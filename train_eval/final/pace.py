"""How far a final training is: by its epochs, or by the seconds that it is given."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from train_eval.final.checkpoint import EpochResult
from train_eval.final.recipe import FinalRecipe
from train_eval.training.batches import shuffled_batches
from train_eval.training.device import Stopwatch

_ROUNDS = 40  # of a training by seconds, at most


class Pace:
    """Says when a training is over, and its learning rate till then.

    By seconds, an epoch is one pass over the images, or as many as a fortieth of the time has room
    for: being judged and saved takes time too. The last pass ends with the time.

    Args:
        recipe: With its epochs or seconds.
        images: To train on.
        device: Where.
        course: The epochs so far.
    """

    def __init__(
        self, recipe: FinalRecipe, images: int, device: torch.device, course: Sequence[EpochResult]
    ) -> None:
        self._recipe, self._images, self._device = recipe, images, device
        self._stopwatch = Stopwatch(device)
        self._before = (course[-1].share or 0.0) if course else 0.0

    @property
    def share(self) -> float | None:
        """Of the given seconds that are over; None where epochs are counted."""
        seconds = self._recipe.seconds
        return None if seconds is None else self._before + self._stopwatch.seconds() / seconds

    def is_over(self, epochs: int) -> bool:
        """Whether the training ends after so many epochs."""
        share = self.share
        return epochs >= self._recipe.epochs if share is None else share >= 1

    def batches(self, epoch: int) -> Iterator[tuple[float, Tensor]]:
        """Of an epoch (0, 1, ...), the learning rate and the positions of each batch's images."""
        recipe, began, begun = self._recipe, self.share, False
        while True:
            order = shuffled_batches(
                self._images, recipe.batch_size, bool(recipe.batch_norm), self._device
            )
            for number, positions in enumerate(order):
                share = self.share
                if share is None:
                    yield recipe.learning_rate(epoch, number / len(order)), positions
                elif share < 1 or not begun:
                    yield recipe.rate_after(min(share, 1.0)), positions
                else:
                    return
                begun = True
            share = self.share
            if share is None or began is None or share > began + 1 / _ROUNDS:
                return
