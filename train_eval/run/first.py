"""What ``fit`` learns before it searches: the images, and how long a first training takes."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gym_cnnarch import Architecture, Evaluation, SearchSpace
from gym_cnnarch.image_size import ImageSize
from gym_cnnarch.registration import DATASET_INPUTS
from gym_cnnarch.space.shapes import count_macs
from train_eval.data.sources import check_parts, load_dataset, own_image_size
from train_eval.environments import make_env, needs_training, with_absolute_places
from train_eval.records.run_directory import STORE
from train_eval.records.store import Store
from train_eval.search.usual import usual_networks

ENV = "CNNArch-v0"
RECIPE = "own-quick"

_MANY = 10_000  # images, of which a share to validate by would take more time than it is worth
_VALIDATION: tuple[float, int] = (0.2, 2000)  # of fewer images, of more
_LEAST_SECONDS = 1e-6  # of a first training, which may have failed at once
_FORWARD = 1 / 3  # of the time of an image that is trained on
_DRAWN = 300  # networks, to find a dear one


@dataclass(frozen=True)
class PassTime:
    """Seconds of a pass over all training images, by a network's multiply-accumulates.

    On a CPU they grow with these; on a GPU, small networks take the time of their launches.

    Attributes:
        fixed: Seconds of any network.
        per_mac: Seconds a multiply-accumulate.
    """

    fixed: float
    per_mac: float

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float] | None) -> "PassTime":
        """The line through two measurements (MACs, seconds), or that through the origin and one."""
        macs, seconds = small
        if large is None or large[0] <= macs:
            return cls(0.0, seconds / macs)
        slope = (large[1] - seconds) / (large[0] - macs)
        slope = max(slope, large[1] / large[0] / 2)  # seconds are noisy; it must not be 0
        return cls(max(seconds - slope * macs, 0.0), slope)

    def seconds(self, macs: int) -> float:
        """Of a network."""
        return self.fixed + self.per_mac * macs

    def in_batches(self, larger: float) -> "PassTime":
        """In batches so many times as large: fewer launches."""
        return PassTime(self.fixed / larger, self.per_mac)

    def macs(self, seconds: float) -> int:
        """Of the dearest network that takes no longer."""
        return int(max(seconds - self.fixed, 0.0) / self.per_mac)


@dataclass(frozen=True)
class First:
    """What the first network's training says.

    Attributes:
        architecture, evaluation: The network, and how it did.
        usual: Whether it is one of the usual designs, rather than drawn since none is legal.
        pass_time: Of networks, about, in batches of ``batch_size`` images.
        side: Of the images, in pixels.
        class_weights: Whether the recipe has them.
        held_out: Share of the images that judge the final training.
        sentences: What was read, in words.
    """

    architecture: Architecture
    usual: bool
    evaluation: Evaluation
    pass_time: PassTime
    batch_size: int
    side: int
    class_weights: bool
    held_out: float
    sentences: list[str]

    @property
    def pass_seconds(self) -> float:
        """Of the network."""
        return self.pass_time.seconds(self.evaluation.macs)


def absolute_name(dataset: str) -> str:
    """``folder:PATH`` and ``npz:FILE`` for those who name a path alone, absolute.

    A data set's own name is never a path, whatever lies in the working folder.
    """
    path = Path(dataset).expanduser()
    if dataset in DATASET_INPUTS:
        return dataset
    if path.is_file():
        dataset = f"npz:{path}"
    elif ":" not in dataset and (path.is_dir() or len(path.parts) > 1):
        dataset = f"folder:{path}"
    return str(with_absolute_places({"dataset": dataset})["dataset"])


def search_recipe(
    dataset: str, data_root: str | Path | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The search's recipe, with what follows from the images."""
    settings = {"preset": RECIPE, **given}
    if settings.get("image_size") is None:
        settings["image_size"] = own_image_size(dataset)
    check_parts(dataset, settings["image_size"])
    if "validation_size" not in given:
        images = len(load_dataset(dataset, data_root, "train", settings["image_size"]).labels)
        settings["validation_size"] = _VALIDATION[images >= _MANY]
    return settings


def first_network(
    run_dir: Path, where: Mapping[str, Any], recipe: Mapping[str, Any], space: Mapping[str, Any],
    seed: int,
) -> First:  # fmt: skip
    """Trains the first of the usual networks, unless that was done; the search finds it trained.

    On a GPU also a large one, to learn how the time grows.
    """
    env = make_env(ENV, **where, recipe=recipe, search_space=space)
    evaluator, evaluation_seed = needs_training(env, ENV), env.evaluation_seed
    usual, rng = usual_networks(env.search_space), np.random.default_rng(seed)
    network = usual[0] if usual else env.search_space.sample(rng)
    data, full, images = evaluator.data, evaluator.recipe, evaluator.reading.images
    seen = full.epochs_of(len(data.train)) * (len(data.train) + _FORWARD * len(data.validation))
    run_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Store(run_dir / STORE)) as store:

        def trained(network: Architecture) -> Evaluation:
            found = store.find(evaluator.task, network, evaluation_seed)
            if found is None:
                found = evaluator.train(network, evaluation_seed)
                found = store.add(evaluator.task, network, evaluation_seed, found)
            return found

        def measured(found: Evaluation) -> tuple[int, float]:
            seconds = max(found.train_seconds or 0.0, _LEAST_SECONDS)
            return found.macs, seconds / seen * images

        evaluation, large = trained(network), None
        if data.device.type == "cuda":
            found = trained(_dearest(env.search_space, rng, data.input_shape))
            large = measured(found) if found.status == "ok" else None
    return First(
        network,
        bool(usual),
        evaluation,
        PassTime.through(measured(evaluation), large),
        full.batch_size,
        data.input_shape[1],
        full.class_weights,
        _held_out(images, evaluator.num_classes),
        [*evaluator.what_was_read(), *_resized(evaluator.reading.shape, full.image_size)],
    )


def _dearest(
    space: SearchSpace, rng: np.random.Generator, shape: tuple[int, int, int]
) -> Architecture:
    """Of many drawn uniformly, that with the most multiply-accumulates."""
    drawn = [space.sample(rng) for _ in range(_DRAWN)]
    return max(drawn, key=lambda network: count_macs(network, shape))


def _held_out(images: int, classes: int) -> float:
    """A tenth; where that is no image of each class, as much as in the search."""
    return 0.1 if math.ceil(0.1 * images) >= classes else _VALIDATION[0]


def _resized(shape: Sequence[int], image_size: ImageSize | None) -> list[str]:
    """A sentence if images are not as they were."""
    if image_size is None:
        return []
    return [f"Images are resized, to {shape[-1]}x{shape[-1]} pixels (image_size={image_size})."]
