"""Options that several commands share."""

import json
from dataclasses import dataclass
from typing import Any

from train_eval.settings import find_spec


@dataclass
class EnvOptions:
    """Options that choose the environment."""

    env: str = "CNNArch-Digits-v0"
    """Id of the environment. CNNArch-v0 is the one for your own data."""
    dataset: str | None = None
    """Data set: cifar10, cifar100, svhn, mnist, fashionmnist, digits, folder:PATH (with
    PATH/train/<class>/*.png or jpg) or npz:FILE (with x_train, y_train). Default: the
    environment's."""
    data_root: str | None = None
    """Folder that holds torchvision's files of the data set, or to which they are downloaded.
    Default: the user's cache."""
    recipe: tuple[str, ...] = ()
    """How a network is trained: a preset (paper, quick, digits) and settings, such as
    'quick epochs=5 image_size=32 time_limit=600'; see train_eval/recipe.py. Default: the
    environment's."""
    search_space: tuple[str, ...] = ()
    """Limits of the space: a preset (metaqnn, metaqnn-18, digits) and limits, such as
    'metaqnn max_layers=6 conv_filters=[16,32]'. Default: the environment's."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        registered = find_spec(self.env).kwargs
        changed: dict[str, Any] = {}
        if self.dataset is not None:
            changed["dataset"] = self.dataset
        if self.data_root is not None:
            changed["data_root"] = self.data_root
        for name, words in (("recipe", self.recipe), ("search_space", self.search_space)):
            if words:
                changed[name] = specification(registered.get(name), words)
        return changed


@dataclass
class TrainingOptions(EnvOptions):
    """Options that choose the environment and where it trains."""

    device: str | None = None
    """Where to train: cpu, cuda, cuda:1, ... Default: CUDA where there is one, else the CPU."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        return super().kwargs() | ({} if self.device is None else {"device": self.device})


def specification(registered: Any, words: tuple[str, ...]) -> dict[str, Any]:
    """``quick epochs=5`` as plain data; without a preset the settings change the registered one."""
    base = {"preset": registered} if isinstance(registered, str) else dict(registered or {})
    for word in words:
        name, separator, text = word.partition("=")
        if not separator:
            base = {"preset": name}
            continue
        try:
            base[name] = json.loads(text)
        except ValueError:
            base[name] = text
    return base
