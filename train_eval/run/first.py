"""What ``fit`` learns before it searches: the images, and how long a first training takes."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gym_cnnarch import Architecture, Evaluation, InvalidInput, SearchSpace
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.image_size import ImageSize
from gym_cnnarch.registration import DATASET_INPUTS
from gym_cnnarch.space.shapes import count_macs
from train_eval.data.sources import check_parts, has_test_images, load_dataset, own_image_size
from train_eval.environments import needs_training, with_absolute_places
from train_eval.records.run_directory import STORE
from train_eval.records.store import Store
from train_eval.search.usual import usual_networks
from train_eval.training.loop import EpochCallback

ENV = "CNNArch-v0"
RECIPE = "own-quick"

_MANY = 10_000  # images, of which a share to validate by would take more time than it is worth
_VALIDATION: tuple[float, int] = (0.2, 2000)  # of fewer images, of more
_LEAST_SECONDS = 1e-6  # of a first training, which may have failed at once
_FORWARD = 1 / 3  # of the time of an image that is trained on
_TELL_SECONDS = 10.0  # between two sentences
_DRAWN = 300  # networks, to find a large one
_LARGE = 16  # times the MACs of the first, so that a small card has done with it in seconds


@dataclass(frozen=True)
class PassTime:
    """Seconds of a pass over all training images, by a network's multiply-accumulates.

    A line through what a small network takes. On a CPU it goes through nothing at no cost; on a GPU
    small networks take the time of their launches, and the line goes through a large network.

    Attributes:
        macs: Of the small network.
        at: Its seconds.
        slope: More seconds a multiply-accumulate.
    """

    macs: int
    at: float
    slope: float

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float] | None) -> "PassTime":
        """From measurements (MACs, seconds)."""
        macs, at = small
        if large is None or large[0] <= macs:
            return cls(macs, at, at / macs)
        slope = (large[1] - at) / (large[0] - macs)
        return cls(macs, at, max(slope, large[1] / large[0] / 2))  # not 0, however noisy they are

    def seconds(self, macs: int) -> float:
        """Of a network."""
        line = self.at + self.slope * (macs - self.macs)
        return max(line, self.at * min(macs / self.macs, 1))

    def dearest(self, seconds: float) -> int:
        """MACs of the dearest network that takes no longer."""
        most = self.macs + (seconds - self.at) / self.slope
        return int(max(min(most, self.macs * seconds / self.at) if seconds < self.at else most, 0))

    def in_batches(self, larger: float) -> "PassTime":
        """In batches so many times as large: fewer launches."""
        launches = max(self.at - self.slope * self.macs, 0.0)
        return PassTime(self.macs, self.at - launches * (1 - 1 / larger), self.slope)


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
    """

    architecture: Architecture
    usual: bool
    evaluation: Evaluation
    pass_time: PassTime
    batch_size: int
    side: int
    class_weights: bool
    held_out: float


def absolute_name(dataset: str) -> str:
    """``folder:PATH`` and ``npz:FILE`` for those who name a path alone, absolute.

    A data set's own name is never a path, whatever lies in the working folder.

    Raises:
        InvalidInput: If there is neither.
    """
    path = Path(dataset).expanduser()
    if dataset in DATASET_INPUTS:
        return dataset
    if path.is_file():
        dataset = f"npz:{path}"
    elif ":" not in dataset and path.is_dir():
        dataset = f"folder:{path}"
    elif ":" not in dataset:
        raise InvalidInput(
            f"There is no folder or file {dataset}, nor a data set of that name: there are "
            f"{', '.join(DATASET_INPUTS)}."
        )
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


def what_was_read(env: CNNArchEnv) -> list[str]:
    """The images, in sentences."""
    evaluator = needs_training(env, ENV)
    resized = _resized(evaluator.reading.shape, evaluator.recipe.image_size)
    untested = (
        []
        if has_test_images(evaluator.dataset)
        else ["There are no test images: in the end those that were held out judge alone."]
    )
    return [*evaluator.what_was_read(), *resized, *untested]


def first_network(
    env: CNNArchEnv, run_dir: Path, seed: int, also_large: bool, tell: Callable[[str], None]
) -> First:
    """Trains the first of the usual networks, unless that was done; the search finds it trained.

    Args:
        env: The search's environment, without the limit that follows from the time.
        run_dir: Folder of the run, whose store keeps what is trained.
        seed: Of what is drawn.
        tell: Told in a sentence what is trained, and now and then how far it is.
        also_large: Whether small networks cost what their launches take, as on a GPU. Then a large
            one is trained too, and the small one once more, when all kernels are loaded.
    """
    evaluator, evaluation_seed = needs_training(env, ENV), env.evaluation_seed
    usual, rng = usual_networks(env.search_space), np.random.default_rng(seed)
    network = usual[0] if usual else env.search_space.sample(rng)
    data, full, images = evaluator.data, evaluator.recipe, evaluator.reading.images
    seen = full.epochs_of(len(data.train)) * (len(data.train) + _FORWARD * len(data.validation))
    run_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Store(run_dir / STORE)) as store:

        def trained(network: Architecture, again: int = 0) -> Evaluation:
            found = store.find(evaluator.task, network, evaluation_seed + again)
            if found is None:
                tell(f"Training {network}, to learn how long that takes here.")
                on_epoch = _now_and_then(tell, full.epochs_of(len(data.train)))
                found = evaluator.train(network, evaluation_seed + again, on_epoch)
                found = store.add(evaluator.task, network, evaluation_seed + again, found)
            return found

        def measured(found: Evaluation) -> tuple[int, float]:
            seconds = max(found.train_seconds or 0.0, _LEAST_SECONDS)
            return found.macs, seconds / seen * images

        evaluation, large = trained(network), None
        small = measured(evaluation)
        if also_large:
            found = trained(_large(env.search_space, rng, evaluation.macs))
            if found.status == "ok" and found.learning_rate == full.learning_rate:  # at one try
                large = measured(found)
            small = min(small, measured(trained(network, again=1)))
    return First(
        network,
        bool(usual),
        evaluation,
        PassTime.through(small, large),
        full.batch_size,
        data.input_shape[1],
        full.class_weights,
        _held_out(images, evaluator.num_classes),
    )


def _now_and_then(tell: Callable[[str], None], epochs: int) -> EpochCallback:
    """Tells epochs, but none so soon after the last one that was told."""
    told = time.monotonic()

    def on_epoch(epoch: int, accuracy: float, loss: float) -> None:
        nonlocal told
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            tell(f"Epoch {epoch} of {epochs}, validation {accuracy:.2%}.")

    return on_epoch


def _large(space: SearchSpace, rng: np.random.Generator, macs: int) -> Architecture:
    """Of many drawn uniformly, the dearest that costs at most so many times another's MACs."""
    drawn = [space.sample(rng) for _ in range(_DRAWN)]
    costs = [count_macs(network, space.input_shape) for network in drawn]
    most = max((cost for cost in costs if cost <= _LARGE * macs), default=min(costs))
    return drawn[costs.index(most)]


def _held_out(images: int, classes: int) -> float:
    """A tenth; where that is no image of each class, as much as in the search."""
    return 0.1 if math.ceil(0.1 * images) >= classes else _VALIDATION[0]


def _resized(shape: Sequence[int], image_size: ImageSize | None) -> list[str]:
    """A sentence if images are not as they were."""
    if image_size is None:
        return []
    return [f"Images are resized, to {shape[-1]}x{shape[-1]} pixels (image_size={image_size})."]
