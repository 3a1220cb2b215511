"""The data of final trainings: all training images of a data set."""

import dataclasses
import json
from dataclasses import asdict
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from gym_cnnarch import Architecture
from train_eval.data.sources import ImageData, load_dataset, stratified_split
from train_eval.final.recipe import FinalRecipe
from train_eval.records.run_directory import versions
from train_eval.training.augmentation import mirrors
from train_eval.training.batches import Images


class FinalData:
    """All training images of a data set, as a final recipe wants them."""

    def __init__(
        self, dataset: str, data: ImageData, image_size: int | None, recipe: FinalRecipe,
        device: torch.device,
    ) -> None:  # fmt: skip
        chosen = np.arange(len(data.labels))
        if recipe.train_size is not None and recipe.train_size < len(chosen):
            _, chosen = stratified_split(
                data.labels, recipe.train_size, "the final training", data.class_names
            )
        mirror = mirrors(recipe.mirror, dataset, data.images.shape[1])
        self.recipe = dataclasses.replace(recipe, mirror=mirror)
        self.device = device
        self.images = Images(data, chosen, device)
        self.input_shape: tuple[int, int, int] = data.images.shape[1:]
        self.class_names = list(data.class_names)
        self.image_size = image_size
        self.description = {
            "dataset": dataset.partition(":")[0],
            "fingerprint": data.fingerprint,
            "training_images": len(chosen),
        }

    @cached_property
    def normalisation(self) -> dict[str, Any]:
        """How pixels are normalised, as plain data."""
        if self.recipe.normalisation == "contrast":
            return {"kind": "contrast"}
        mean, std = self.images.channel_statistics()
        return {"kind": "channels", "mean": mean.flatten().tolist(), "std": std.flatten().tolist()}

    def card(self, architecture: Architecture) -> dict[str, Any]:
        """What is known of a network before it is tested."""
        return {
            "architecture": str(architecture),
            "input_shape": list(self.input_shape),
            "image_size": self.image_size,
            "normalisation": self.normalisation,
            "class_names": self.class_names,
            "dropout": self.recipe.dropout,
            "recipe": json.loads(json.dumps(asdict(self.recipe))),
            "data": self.description,
            "made_with": versions(),
        }


@lru_cache(maxsize=1)
def final_data(
    dataset: str,
    data_root: str | None,
    image_size: int | None,
    recipe: FinalRecipe,
    device: torch.device,
) -> FinalData:
    """The data of a final recipe, read once per process."""
    data = load_dataset(dataset, data_root, "train", image_size)
    return FinalData(dataset, data, image_size, recipe, device)
