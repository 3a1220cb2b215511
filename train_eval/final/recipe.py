"""How the networks that a search found are trained in the end, on all training images."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gym_cnnarch import InvalidInput
from gym_cnnarch.presets import read_spec
from train_eval.training.recipe import (
    Metric,
    PrecisionName,
    Recipe,
    has_type,
    kinds_of,
    number_of_batches,
)
from train_eval.training.schedules import OptimizerName, one_cycle

NORMALISATIONS = ("contrast", "channels")

DEFAULT = "own-final"
"""The preset of those who name none."""


@dataclass(frozen=True)
class FinalRecipe:
    """Settings of the final training; the defaults are the paper's (section 5, its CIFAR-10).

    Attributes:
        steps: (learning rate, epochs) one after the other.
        least_steps: Least number of optimisation steps: of few images there are more epochs. None
            for no least number.
        seconds: Seconds that the training of a network takes, however many epochs that are; None
            for epochs. They are those of the process on a CPU, of a clock on a GPU, and what is
            measured of the network is part of them. The schedule ends with them. How far a training
            comes then depends on the machine: it is not repeatable. On a GPU a step, or judging and
            saving, counts a second at most.
        one_cycle: Whether the learning rate instead rises linearly to that of the only step within
            the first 30 % of its epochs and falls along a cosine to zero (Smith, 2018).
        batch_size: Images.
        optimizer: ``sgd``, ``adam`` or ``adamw``, see ``make_optimizer``.
        momentum: Of ``sgd``.
        weight_decay: See ``make_optimizer``.
        label_smoothing, class_weights, averaging, colour: See ``Recipe``.
        normalisation: ``contrast``: each image to mean 0 and standard deviation 1 (global contrast
            normalisation); ``channels``: each channel by the training images' statistics.
        mirror: Whether an image is mirrored half of the time; None: where the data set allows, see
            ``mirrors``.
        translation: Most pixels by which an image is moved in either direction, zeros following;
            None: an eighth of its side.
        dropout, batch_norm, metric, precision: See ``Recipe``; None: as in the search.
        validation_size: Training images held out: a number, or a share of them if below 1. After
            each epoch the network is judged by them, the best epoch is kept, and networks are
            ranked. 0 holds out none; then the last epoch is kept. Where the data set brings its own
            validation images, those are used, and none is held out.
        train_size: Most training images, a subset with the class balance kept; None for all.

    Raises:
        InvalidInput: If a setting is out of its range.
    """

    steps: tuple[tuple[float, int], ...] = (
        (0.025, 40),
        (0.0125, 40),
        (0.0001, 160),
        (0.00001, 60),
    )
    least_steps: int | None = None
    seconds: float | None = None
    one_cycle: bool = False
    batch_size: int = 128
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    class_weights: bool = False
    averaging: float = 0.0
    normalisation: str = "contrast"
    mirror: bool | None = None
    translation: int | None = 5
    colour: float = 0.0
    dropout: bool | None = None
    batch_norm: bool | None = None
    metric: Metric | None = None
    precision: PrecisionName | None = None
    validation_size: float = 0.0
    train_size: int | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name != "steps" and not has_type(getattr(self, field.name), field.type):
                raise InvalidInput(
                    f"The final recipe's {field.name} must be {kinds_of(field.type)}, but is "
                    f"{getattr(self, field.name)!r}."
                )
        try:
            steps = tuple((float(rate), epochs) for rate, epochs in self.steps)
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"steps are pairs of learning rate and epochs, but came as {self.steps!r}."
            ) from error
        object.__setattr__(self, "steps", steps)
        if not steps or any(
            not 0 < rate < math.inf or not has_type(epochs, int) or epochs < 1
            for rate, epochs in steps
        ):
            raise InvalidInput(
                f"Learning rates must be positive and epochs positive integers, but came {steps}."
            )
        if self.one_cycle and len(steps) > 1:
            raise InvalidInput(f"A one-cycle schedule has one step, not {len(steps)}.")
        if self.normalisation not in NORMALISATIONS:
            raise InvalidInput(
                f"normalisation is {' or '.join(NORMALISATIONS)}, not {self.normalisation!r}."
            )
        for name, least in (
            ("batch_size", 1), ("train_size", 1), ("translation", 0), ("least_steps", 1),
            ("validation_size", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not (value >= least and math.isfinite(value)):
                raise InvalidInput(f"{name} must be at least {least}, but is {value!r}.")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InvalidInput(f"seconds must be positive, but is {self.seconds!r}.")
        for name in ("momentum", "weight_decay", "label_smoothing", "averaging", "colour"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be in [0, 1), but is {getattr(self, name)!r}.")

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return sum(epochs for _, epochs in self.steps)

    def learning_rate(self, epoch: int, progress: float) -> float:
        """The learning rate within an epoch (0, 1, ...), of which a share ``progress`` is done."""
        if self.one_cycle:
            rate, epochs = self.steps[0]
            return one_cycle(rate, (epoch + progress) / epochs)
        for rate, epochs in self.steps:
            if epoch < epochs:
                return rate
            epoch -= epochs
        raise IndexError("an epoch after the last")

    def rate_after(self, share: float) -> float:
        """The learning rate when a share of the training is over."""
        if self.one_cycle:
            return one_cycle(self.steps[0][0], share)
        return self.learning_rate(min(int(share * self.epochs), self.epochs - 1), 0.0)

    def as_in(self, search: Recipe) -> "FinalRecipe":
        """With what the search's recipe decides."""
        return dataclasses.replace(
            self,
            dropout=search.dropout if self.dropout is None else self.dropout,
            batch_norm=search.batch_norm if self.batch_norm is None else self.batch_norm,
            metric=search.metric if self.metric is None else self.metric,
            precision=search.precision if self.precision is None else self.precision,
        )

    def for_images(self, images: int) -> "FinalRecipe":
        """With as many epochs as ``least_steps`` asks for, for a number of training images."""
        batches = number_of_batches(images, self.batch_size, bool(self.batch_norm))
        least = math.ceil((self.least_steps or 0) / batches)
        if least <= self.epochs:
            return self
        longer = tuple((rate, math.ceil(e * least / self.epochs)) for rate, e in self.steps)
        return dataclasses.replace(self, steps=longer)

    def as_json(self) -> dict[str, Any]:
        """Plain data, as in a card; without what would rename trainings of older versions."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        added = ("precision", "seconds")  # which did not exist before, and were as if None
        return {name: value for name, value in plain.items() if name not in added or value}

    @classmethod
    def from_spec(cls, spec: "str | Mapping[str, Any] | FinalRecipe") -> "FinalRecipe":
        """Makes a recipe from a preset's name, or from settings with an optional ``preset``.

        Raises:
            InvalidInput: If the preset or a setting is unknown, or out of its range.
        """
        if isinstance(spec, FinalRecipe):
            return spec
        names = [field.name for field in dataclasses.fields(cls)]
        preset, settings = read_spec("final recipe", spec, PRESETS, DEFAULT, names)
        return dataclasses.replace(preset, **settings)


_ONE_CYCLE = FinalRecipe(
    steps=((0.05, 15),),
    one_cycle=True,
    weight_decay=0.0005,
    normalisation="channels",
    validation_size=0.1,
)

PRESETS: dict[str, FinalRecipe] = {
    "own-final": FinalRecipe(
        steps=((0.01, 20),),
        least_steps=2000,
        one_cycle=True,
        batch_size=32,
        optimizer="adamw",
        weight_decay=0.05,
        label_smoothing=0.1,
        translation=None,
        normalisation="channels",
        validation_size=0.1,
    ),
    "paper-final": FinalRecipe(),
    "short-final": FinalRecipe(steps=((0.025, 12), (0.0025, 6), (0.00025, 2))),
    "one-cycle": _ONE_CYCLE,
    "digits-final": dataclasses.replace(
        _ONE_CYCLE, steps=((0.05, 20),), batch_size=32, translation=1
    ),
}
"""``own-final``: 20 epochs, 2,000 steps at least, of AdamW with one-cycle learning rates and moved
images. ``paper-final``: the paper's 300 epochs, meant for a GPU. ``short-final``: 20 at its
first learning rate, a tenth and a hundredth of it.
``one-cycle``: 15 epochs with one-cycle learning rates and weight decay. ``digits-final``: 20 such
epochs in small batches for the embedded digits."""
