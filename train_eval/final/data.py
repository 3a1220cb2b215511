"""The data of final trainings: what is trained on, and what judges it."""

import dataclasses
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gym_cnnarch import Architecture
from gym_cnnarch.image_size import ImageSize
from train_eval.data.sources import (
    ImageData,
    load_dataset,
    load_own_validation,
    stratified_split,
    stratified_subset,
)
from train_eval.final.recipe import FinalRecipe
from train_eval.records.machine import versions
from train_eval.training.augmentation import mirrors, translated
from train_eval.training.batches import Images, class_weights
from train_eval.training.recipe import Recipe


class FinalData:
    """A data set as a final recipe wants it.

    Args:
        dataset: Its name.
        data: Its training images.
        own: Its own validation images, None if it has none.
        image_size: Side to which images are resized; None for as they are.
        recipe: What is used of them, and how.
        device: Where.

    Attributes:
        recipe: With all that was left to the data or the search.
        images: To train on.
        validation: To judge by, None if nothing is held out.
    """

    def __init__(
        self, dataset: str, data: ImageData, own: ImageData | None, image_size: ImageSize | None,
        recipe: FinalRecipe, device: torch.device,
    ) -> None:  # fmt: skip
        chosen = np.arange(len(data.labels))
        self.validation: Images | None = None
        if own is not None:
            self.validation = Images(own, np.arange(len(own.labels)), device)
        elif recipe.validation_size:
            chosen, held_out = stratified_split(
                data.labels, recipe.validation_size, "validation", data.class_names
            )
            self.validation = Images(data, held_out, device)
        if recipe.train_size is not None and recipe.train_size < len(chosen):
            some = stratified_subset(
                data.labels[chosen], recipe.train_size, "the final training", data.class_names
            )
            chosen = chosen[some]
        mirror = mirrors(recipe.mirror, dataset, data.images.shape[1])
        translation = translated(recipe.translation, data.images.shape[2])
        recipe = dataclasses.replace(recipe.as_in(Recipe()), mirror=mirror, translation=translation)
        self.recipe = recipe.for_images(len(chosen))
        self.device = device
        self.images = Images(data, chosen, device)
        self.input_shape: tuple[int, int, int] = data.images.shape[1:]
        self.class_names = list(data.class_names)
        self.image_size = image_size
        self.description = {
            "dataset": dataset.partition(":")[0],
            "fingerprint": data.fingerprint,
            "training_images": len(chosen),
            "validation_images": 0 if self.validation is None else len(self.validation),
            "own_validation_fingerprint": None if own is None else own.fingerprint,
        }

    @cached_property
    def normalisation(self) -> dict[str, Any]:
        """How pixels are normalised, as plain data."""
        if self.recipe.normalisation == "contrast":
            return {"kind": "contrast"}
        mean, std = self.images.channel_statistics()
        return {"kind": "channels", "mean": mean.flatten().tolist(), "std": std.flatten().tolist()}

    @cached_property
    def class_weights(self) -> Tensor | None:
        """(K,) weights of the classes in the loss, None if they weigh by their images."""
        if not self.recipe.class_weights:
            return None
        return class_weights(self.images.labels, len(self.class_names))

    def card(self, architecture: Architecture) -> dict[str, Any]:
        """Returns a network's card before it is tested."""
        return {
            "architecture": str(architecture),
            "input_shape": list(self.input_shape),
            "image_size": self.image_size,
            "normalisation": self.normalisation,
            "class_names": self.class_names,
            "dropout": self.recipe.dropout,
            "recipe": self.recipe.as_json(),
            "data": self.description,
            "made_with": versions(),
        }


@lru_cache(maxsize=1)
def final_data(
    dataset: str,
    data_root: str | None,
    image_size: ImageSize | None,
    recipe: FinalRecipe,
    device: torch.device,
) -> FinalData:
    """The data of a final recipe, read once per process."""
    data = load_dataset(dataset, data_root, "train", image_size)
    own = load_own_validation(dataset, data, data_root, image_size)
    return FinalData(dataset, data, own, image_size, recipe, device)
