"""Options that several commands share."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gym_cnnarch import InvalidInput, SearchSpace
from gym_cnnarch.registration import DATASET_INPUTS, TRAINING
from train_eval.environments import find_spec, make_env
from train_eval.parallel.options import ExecutorOptions, check_positive
from train_eval.training.recipe import Recipe
from train_eval.training.stopping import Halving, Prediction, make_rule

__all__ = [
    "EnvOptions",
    "EvaluatorOptions",
    "ExecutorOptions",
    "StoppingOptions",
    "TrainingOptions",
    "check_positive",
    "specification",
]


@dataclass
class EnvOptions:
    """Options that choose the environment."""

    env: str = "CNNArch-Digits-v0"
    """Id of the environment. CNNArch-v0 is the one for your own data; MODULE:ID is one that a
    module of yours registers."""
    dataset: str | None = None
    """Data set: cifar10, cifar100, svhn, mnist, fashionmnist, digits, cluttered_digits, folder:PATH
    (with PATH/train/<class>/*.png or jpg) or npz:FILE (with x_train, y_train). Default: the
    environment's."""
    data_root: str | None = None
    """Folder that holds torchvision's files of the data set, or to which they are downloaded.
    Default: the user's cache."""
    recipe: tuple[str, ...] = ()
    """How a network is trained: a preset (own-quick, own, own-long, paper, quick, digits,
    cluttered-digits) and settings, such as `--recipe own epochs=5 image_size=32 time_limit=600`;
    see train_eval/training/recipe.py. Default: the environment's."""
    search_space: tuple[str, ...] = ()
    """Limits of the space: a preset (metaqnn, metaqnn-18, digits, small) and limits, such as
    `--search-space metaqnn max_layers=6 conv_filters=[16,32] max_parameters=1000000`; see
    docs/limits.md, also for max_latency. Default: the environment's."""
    table: Path | None = None
    """For environments that look results up: a shipped table, or a file that cnnarch table build
    wrote."""
    repeat: str | None = None
    """For the same: the result of a network is a training drawn anew each time (sample), the mean
    of its trainings (mean), or one of them (0, 1, ...). Default: sample; a search looks up the same
    training each time."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        registered = find_spec(self.env).kwargs
        changed: dict[str, Any] = {}
        if self.dataset is not None:
            changed["dataset"] = self.dataset
        if self.data_root is not None:
            changed["data_root"] = self.data_root
        if self.table is not None:
            changed["table"] = str(self.table)
        if self.repeat is not None:
            changed["repeat"] = int(self.repeat) if self.repeat.isdecimal() else self.repeat
        for name, words in (("recipe", self.recipe), ("search_space", self.search_space)):
            if words:
                changed[name] = specification(registered.get(name), words)
        return changed

    def space(self) -> SearchSpace:
        """The environment's search space; reads no data where the images are known."""
        changed = self.kwargs()
        if (find_spec(self.env).kwargs | changed).get("dataset") in DATASET_INPUTS:
            Recipe.from_spec(changed.get("recipe", "paper"))  # refuses what is none
            changed["evaluator"] = None
        return make_env(self.env, **changed).search_space

    def trains(self) -> bool:
        """Whether the environment trains networks."""
        registered = find_spec(self.env).kwargs
        return (registered | self.kwargs()).get("evaluator") == TRAINING


@dataclass
class TrainingOptions(EnvOptions):
    """Options that choose the environment and where it trains."""

    device: str | None = None
    """Where to train: cpu, cuda, cuda:1, ... Default: CUDA where there is one, else the CPU."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        return super().kwargs() | ({} if self.device is None else {"device": self.device})


SURROGATE = "train_eval:SurrogateEvaluator"


@dataclass
class EvaluatorOptions(TrainingOptions):
    """Options that choose the environment, where it trains, or what predicts instead."""

    evaluator: Literal["training", "surrogate"] = "training"
    """How a network is judged: by training it, or by a prediction from published results."""
    curves: Path | None = None
    """The published results, a CSV file with columns net, acc_1, acc_2, ...; for the surrogate."""
    objectives: str | None = None
    """Objectives, with commas, for the whole front instead of one best network:
    accuracy,-parameters, accuracy,-macs, or all three; see docs/objectives.md. Default: accuracy
    alone."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        changed = super().kwargs()
        if self.evaluator == "surrogate":
            curves = None if self.curves is None else str(self.curves)
            changed |= {"evaluator": SURROGATE, "curves": curves}
        elif self.curves is not None:
            raise InvalidInput("--curves is for the surrogate: add --evaluator surrogate.")
        if self.objectives is not None:
            changed["reward"] = [name.strip() for name in self.objectives.split(",")]
        return changed


@dataclass
class StoppingOptions:
    """Options of the rule that ends trainings early."""

    stop_early: Literal["prediction", "halving"] | None = None
    """The rule that ends trainings early: prediction (of the final accuracy, from the curve so far)
    or halving (successive: at each rung the best 1/eta go on). Stopped networks are rewarded by
    their predicted accuracy: see docs/early_stopping.md. Default: all are trained to their end."""
    delta: float | None = None
    """With prediction: the probability at which a network counts as not among the best. Default:
    0.99."""
    best: int | None = None
    """With prediction: how many of the best so far a network must probably miss to be stopped.
    Default: 5."""
    eta: float | None = None
    """With halving: one of eta networks goes on. Default: 3."""
    rungs: tuple[int, ...] = ()
    """With halving: numbers of epochs after which it decides. Default: 1 3 9 of 20 epochs, scaled
    to the recipe's."""
    first: int | None = None
    """With either: networks that are trained to their end before one is stopped. Default: 100 with
    prediction, 20 with halving."""

    def rule(self) -> Prediction | Halving | None:
        """The rule that the options describe.

        Raises:
            InvalidInput: If an option belongs to another rule, or cannot be used.
        """
        given = {n: getattr(self, n) for n in _RULES_OF if getattr(self, n) not in (None, ())}
        for name in given:
            if self.stop_early not in _RULES_OF[name]:
                raise InvalidInput(
                    f"--{name} is an option of --stop-early {' and '.join(_RULES_OF[name])}, but "
                    f"this is {self.stop_early or 'a search without it'}."
                )
        return None if self.stop_early is None else make_rule({"rule": self.stop_early, **given})


_RULES_OF = {
    "delta": ("prediction",),
    "best": ("prediction",),
    "eta": ("halving",),
    "rungs": ("halving",),
    "first": ("prediction", "halving"),
}

_SETTINGS = re.compile(r"\s+(?=[a-z_]+=)")  # between settings that came as one quoted word


def specification(registered: Any, words: tuple[str, ...]) -> dict[str, Any]:
    """``quick epochs=5`` as plain data; without a preset the settings change the registered one."""
    base = {"preset": registered} if isinstance(registered, str) else dict(registered or {})
    parts = [part for word in words for part in _SETTINGS.split(word.strip())]
    for position, word in enumerate(parts):
        name, separator, text = word.partition("=")
        if not separator:
            if position:
                raise InvalidInput(
                    f"A preset comes first and alone, then NAME=VALUE; came {' '.join(words)}."
                )
            base = {"preset": name}
            continue
        try:
            base[name] = json.loads(text)
        except ValueError:
            base[name] = text
    return base
