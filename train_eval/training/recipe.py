"""How one network is trained for its reward."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from gym_cnnarch import InvalidInput
from gym_cnnarch.image_size import ImageSize, side_of
from gym_cnnarch.presets import read_spec
from train_eval.training.schedules import OptimizerName, Schedule, one_cycle

RestartOn = Literal["chance", "loss"]
Metric = Literal["accuracy", "balanced_accuracy"]
PrecisionName = Literal["float32", "bfloat16"]

_MAY_BE_ZERO = (
    "max_restarts", "dropout", "batch_norm", "weight_decay", "label_smoothing", "averaging",
    "mirror", "translation", "colour", "class_weights",
)  # fmt: skip
_BELOW_ONE = ("weight_decay", "label_smoothing", "averaging", "colour")


@dataclass(frozen=True)
class Recipe:
    """Training settings; the defaults are the paper's search phase (section 5).

    Attributes:
        epochs: Passes over the training images.
        steps: Least number of optimisation steps: of few images there are more passes, so that
            what is learned does not depend on their number alone. None for no least number.
        batch_size: Images.
        optimizer: ``adam``, ``adamw`` or ``sgd``, see ``make_optimizer``.
        learning_rate: The initial learning rate, the highest of a one-cycle schedule.
        schedule: ``steps``: the learning rate falls by a factor every few epochs; ``one-cycle``: it
            rises linearly within the first 30 % of the steps and falls along a cosine to zero.
        decay: Factor on the learning rate every ``decay_every`` epochs, for ``steps``.
        decay_every: Epochs; more if ``steps`` adds epochs.
        weight_decay: See ``make_optimizer``.
        label_smoothing: Share of each label that is spread over all classes.
        class_weights: Whether images of rare classes weigh more in the loss, so that all classes
            weigh the same.
        averaging: Share of itself that the weights' moving average keeps at each step; networks
            are evaluated by that average. 0 for none.
        mirror: Whether an image is mirrored half of the time; None: where the data set allows, see
            ``mirrors``.
        translation: Most pixels by which an image is moved in training; None: an eighth of its
            side.
        colour: Most by which a channel's scale and mean are changed in training, in shares and
            standard deviations.
        metric: What is measured on the validation images after each epoch, and so the reward:
            ``accuracy``, the share that is classified correctly, or ``balanced_accuracy``, the mean
            of that share over the classes, for data sets with rare classes that matter.
        restart_on: When training starts anew: ``chance``: the first epoch does not beat chance;
            ``loss``: the loss is not finite in any epoch, or has not fallen after the first epochs
            (see ``restarts.py``), so that a network which merely learns slowly keeps its accuracy.
        restart_factor: Factor on the initial learning rate at a restart.
        max_restarts: Most restarts; 0 switches them off: then only a loss that is not finite ends a
            training early.
        dropout: Whether dropout follows every two layers, the i-th of n with p = i / (2 n).
        batch_norm: Whether batch normalisation stands between each convolution and its ReLU.
        precision: In what convolutions and dense layers compute, in training and validation;
            weights and loss stay in float32. ``bfloat16`` is faster on CPUs that have instructions
            for it. None: ``float32`` on a CPU; on a GPU ``bfloat16``, or float16 with loss scaling
            where it lacks that.
        validation_size: Training images held out for the reward, the class balance kept: a number
            of images, or a share of them if below 1. Not used where the data set brings its own
            validation images: all of those give the reward.
        train_size: Most training images, a subset with the class balance kept; None for all.
        image_size: Side in pixels of the square to which images are cropped and resized, such as
            32; ``pad:32`` pads them instead, so that nothing is lost. None to leave them as they
            are.
        time_limit: Seconds after which the training of a network is given up; None for no limit.
            They are the process's own on a CPU, so that time in which it is stopped does not count;
            on a GPU they are those of a clock, of which each step counts one at most.

    Raises:
        InvalidInput: If a setting is out of its range.
    """

    epochs: int = 20
    steps: int | None = None
    batch_size: int = 128
    optimizer: OptimizerName = "adam"
    learning_rate: float = 0.001
    schedule: Schedule = "steps"
    decay: float = 0.2
    decay_every: int = 5
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    class_weights: bool = False
    averaging: float = 0.0
    mirror: bool | None = False
    translation: int | None = 0
    colour: float = 0.0
    metric: Metric = "accuracy"
    restart_on: RestartOn = "chance"
    restart_factor: float = 0.4
    max_restarts: int = 5
    dropout: bool = True
    batch_norm: bool = False
    precision: PrecisionName | None = None
    validation_size: float = 5000
    train_size: int | None = None
    image_size: ImageSize | None = None
    time_limit: float | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not has_type(value, field.type):
                raise InvalidInput(
                    f"The recipe's {field.name} must be {kinds_of(field.type)}, but is {value!r}."
                )
            if field.name == "image_size" and value is not None:
                side_of(value)
            if value is None or isinstance(value, str):
                continue
            if field.name in _MAY_BE_ZERO and value == 0:
                continue
            if not (value > 0 and math.isfinite(value)):
                raise InvalidInput(f"The recipe's {field.name} must be positive, but is {value!r}.")
            if field.name in _BELOW_ONE and value >= 1:
                raise InvalidInput(f"The recipe's {field.name} must be below 1, but is {value!r}.")

    def epochs_of(self, images: int) -> int:
        """Passes over a number of training images."""
        batches = number_of_batches(images, self.batch_size, self.batch_norm)
        return max(self.epochs, math.ceil((self.steps or 0) / batches))

    def rate(self, epoch: int, progress: float, epochs: int) -> float:
        """The share of the learning rate within an epoch of which a share ``progress`` is done.

        Args:
            epoch: 0, 1, ...
            progress: In [0, 1].
            epochs: Of the training.
        """
        if self.schedule == "one-cycle":
            return one_cycle(1.0, (epoch + progress) / epochs)
        return self.decay ** (epoch * self.epochs // epochs // self.decay_every)

    @classmethod
    def from_spec(cls, spec: "str | Mapping[str, Any] | Recipe") -> "Recipe":
        """Makes a recipe from plain data, such as an environment's keyword argument.

        Args:
            spec: A preset's name, or a mapping of settings, which may name a ``preset`` to start
                from (``paper`` if it does not).

        Raises:
            InvalidInput: If the preset or a setting is unknown, or out of its range.
        """
        if isinstance(spec, Recipe):
            return spec
        names = [field.name for field in dataclasses.fields(cls)]
        preset, settings = read_spec("recipe", spec, PRESETS, "paper", names)
        return dataclasses.replace(preset, **settings)


def number_of_batches(images: int, batch_size: int, batch_norm: bool) -> int:
    """Batches of an epoch; with batch normalisation a lone last image joins the one before it.

    Where a network has made one position of an image, there is no spread to divide by.
    """
    lone = batch_norm and images % batch_size == 1
    return max(1, math.ceil(images / batch_size) - lone)


def has_type(value: Any, types: Any) -> bool:
    """Whether a setting is of its field's type; an integer will do for a float."""
    if get_origin(types) is Literal:
        return isinstance(value, str) and value in get_args(types)
    if any(get_origin(one) is Literal for one in get_args(types)):  # a choice, or None
        return any(has_type(value, one) for one in get_args(types))
    if isinstance(value, bool):
        return types is bool or bool in get_args(types)
    return isinstance(value, types) or (isinstance(value, int) and isinstance(0.0, types))


def kinds_of(types: Any) -> str:
    """What a field's type allows, in words."""
    if get_origin(types) is Literal:
        return " or ".join(map(repr, get_args(types)))
    if any(get_origin(one) is Literal for one in get_args(types)):
        return " or ".join(
            "None" if one is type(None) else kinds_of(one) for one in get_args(types)
        )
    return getattr(types, "__name__", None) or str(types).replace(" | ", " or ")


_OWN = Recipe(
    epochs=6,
    steps=600,
    batch_size=32,
    optimizer="adamw",
    learning_rate=0.02,
    schedule="one-cycle",
    weight_decay=0.05,
    label_smoothing=0.1,
    mirror=None,
    restart_on="loss",
    dropout=False,
    batch_norm=True,
    validation_size=0.2,
    train_size=10_000,
)

PRESETS: dict[str, Recipe] = {
    "paper": Recipe(),
    "quick": Recipe(
        epochs=4, decay_every=2, restart_on="loss", validation_size=0.2, train_size=10_000
    ),
    "own-quick": dataclasses.replace(_OWN, epochs=3, steps=300, train_size=4000),
    "own": _OWN,
    "own-long": dataclasses.replace(_OWN, epochs=15, steps=2000, translation=None, train_size=None),
    "digits": Recipe(
        epochs=12, batch_size=32, learning_rate=0.003, decay_every=6, validation_size=360
    ),
    "cluttered-digits": Recipe(
        epochs=4,
        batch_size=32,
        learning_rate=0.006,
        decay=0.4,
        decay_every=1,
        restart_on="loss",
        dropout=False,
        batch_norm=True,
        train_size=3000,
    ),
}
"""``paper``: the paper's search phase, meant for a GPU. ``quick``: a fifth of the epochs, at most
10,000 training images, a fifth of the images for validation; for one's own data and for CPUs, and
a network that learns slowly keeps its accuracy. ``own-quick``, ``own``, ``own-long``: for one's own
data, by batch normalisation, AdamW and one-cycle learning rates; at least 300, 600 and 2,000 steps
however few the images are, of at most 4,000, 10,000 and all images (see docs/recipes.md).
``digits``: small batches and a larger learning rate for the 1,437 embedded digits.
``cluttered-digits``: four epochs with batch normalisation for the embedded cluttered digits."""
