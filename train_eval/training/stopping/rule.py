"""What every rule has in common: what it is told, and the decision that it gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Protocol


@dataclass(frozen=True)
class Finished:
    """A network whose training has ended, for whatever reason.

    Attributes:
        parameters: Trainable parameters.
        depth: Number of layers.
        learning_rate: The initial learning rate of the last try; 0 if there was none.
        curve: Validation accuracy after each epoch of the last try.
        status: ``ok`` if it was trained to the end, ``stopped``, or the failure's name.
    """

    parameters: int
    depth: int
    learning_rate: float
    curve: tuple[float, ...]
    status: str

    @property
    def complete(self) -> bool:
        """Whether it was trained to the end."""
        return self.status == "ok"

    @cached_property
    def best_so_far(self) -> tuple[float, ...]:
        """Best validation accuracy up to each epoch."""
        return tuple(accumulate(self.curve, max))

    @property
    def accuracy(self) -> float:
        """Best validation accuracy over the epochs."""
        return self.best_so_far[-1] if self.curve else 0.0


class Decision(Protocol):
    """Whether the training of one network goes on, asked after each epoch in any process.

    It can be pickled, depends on nothing but what is in it, and answers alike everywhere.
    """

    def stops(self, curve: Sequence[float], learning_rate: float) -> bool:
        """Whether to end the training.

        Args:
            curve: Validation accuracy after each epoch so far, of the present try.
            learning_rate: The initial learning rate of the present try.
        """
        ...

    def predicted(self, curve: Sequence[float], learning_rate: float) -> float:
        """The best validation accuracy that the whole training would have, in [0, 1]."""
        ...


class Rule(Protocol):
    """Settings of a rule, which is fitted to the networks that a search has learned."""

    def for_epochs(self, epochs: int) -> "Rule":
        """The same rule for trainings of so many epochs, what was left open being set.

        Raises:
            InvalidInput: If it cannot stop such trainings.
        """
        ...

    def decision(self, finished: Sequence[Finished], parameters: int, depth: int) -> Decision:
        """Decides about one network.

        The decision depends on the arguments and the settings alone. As long as too little is
        known it never stops.

        Args:
            finished: Each network that was learned so far once, in that order, all of one recipe.
            parameters: Of the network that is decided about.
            depth: Of the same.
        """
        ...
