"""Batches of training and validation images on a device, as a recipe wants them."""

import hashlib
import math
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train_eval.data.sources import ImageData, stratified_split, stratified_subset
from train_eval.training.recipe import Recipe, number_of_batches

_CHUNK = 4096  # images
_ONE_IN_TWENTY = 1.645  # standard deviations that a normal variable exceeds so often


class Images:
    """A part of a data set as batches on a device.

    On the CPU batches are read from the memory-mapped arrays; a GPU holds the whole part.
    """

    def __init__(self, data: ImageData, indices: NDArray[np.int64], device: torch.device) -> None:
        self._data, self._indices, self._device = data, indices, device

    def __len__(self) -> int:
        return len(self._indices)

    @cached_property
    def labels(self) -> Tensor:
        """(N,) int64 on the device."""
        return torch.from_numpy(self._data.labels[self._indices]).to(self._device)

    @cached_property
    def _resident(self) -> Tensor:
        """(N, channels, n, n) uint8, the whole part on the device."""
        return torch.from_numpy(self._data.images[self._indices]).to(self._device)

    def batch(self, positions: Tensor) -> Tensor:
        """(B, channels, n, n) float, raw pixel values."""
        if self._device.type != "cpu":
            return self._resident[positions].float()
        return torch.from_numpy(self._data.images[self._indices[positions.numpy()]]).float()

    def channel_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel, (1, channels, 1, 1).

        From a count of each pixel value, so that no more than a chunk of images is in memory.
        """
        channels = self._data.images.shape[1]
        counts = np.zeros((channels, 256), dtype=np.int64)
        for chunk in np.array_split(self._indices, 1 + len(self) // _CHUNK):
            for channel in range(channels):
                pixels = self._data.images[chunk, channel].ravel()
                counts[channel] += np.bincount(pixels, minlength=256)
        values = np.arange(256.0)
        total = counts.sum(axis=1)
        mean = counts @ values / total
        std = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 1e-12))
        as_tensor = lambda array: torch.tensor(array, dtype=torch.float32, device=self._device)
        return as_tensor(mean).view(1, -1, 1, 1), as_tensor(std).view(1, -1, 1, 1)


class TrainingData:
    """Training and validation images of a data set, and their normalisation, for a recipe.

    Pixels are read when they are first trained on, so that a process that only hands out networks
    holds none.

    Attributes:
        train, validation: The images.
        test: The test images, None unless they are asked for.
        chance: Validation accuracy that a network which has learned something beats, see
            ``chance``; by the recipe's metric.
        commonest: Share of the commonest class among the validation images.
        split: Hash of which images train and which validate.

    Args:
        data: The data set's training images.
        recipe: Which of them are used.
        device: Where they are used.
        test: The data set's test images, if networks are to be tested.
        validation: The data set's own validation images, all of which are used; None: they are
            split off the training images.
    """

    def __init__(
        self,
        data: ImageData,
        recipe: Recipe,
        device: torch.device,
        test: ImageData | None = None,
        validation: ImageData | None = None,
    ) -> None:
        if validation is None:
            validation = data
            train, held_out = stratified_split(
                data.labels, recipe.validation_size, "validation", data.class_names
            )
        else:
            train, held_out = np.arange(len(data.labels)), np.arange(len(validation.labels))
        if recipe.train_size is not None and recipe.train_size < len(train):
            chosen = stratified_subset(
                data.labels[train], recipe.train_size, "training", data.class_names
            )
            train = train[chosen]
        self.input_shape: tuple[int, int, int] = data.images.shape[1:]
        self.num_classes = len(data.class_names)
        self.device = device
        self.train = Images(data, train, device)
        self.validation = Images(validation, held_out, device)
        self.test = None if test is None else Images(test, np.arange(len(test.labels)), device)
        shown = np.bincount(validation.labels[held_out], minlength=self.num_classes)
        classes = int(np.count_nonzero(shown))  # a constant answer is right about one of them
        self.chance = chance(shown) if recipe.metric == "accuracy" else 1 / classes
        self.commonest = float(shown.max() / len(held_out))
        self.split = hashlib.sha256(train.tobytes() + held_out.tobytes()).hexdigest()

    def class_weights(self) -> Tensor:
        """(K,) float, of the training images: see the function."""
        return class_weights(self.train.labels, self.num_classes)

    def prepare(self) -> None:
        """Reads the images once, so that this is not part of the first network's time."""
        if self.device.type == "cpu":
            self.inputs(self.train, torch.arange(1))
            return
        for images in (self.train, self.validation, self.test):
            if images is None:
                continue
            self.inputs(images, torch.arange(1, device=self.device))
            _ = images.labels

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        return self.train.channel_statistics()

    def inputs(self, images: Images, positions: Tensor) -> Tensor:
        """(B, channels, n, n) float, normalised by the training images' channel statistics."""
        mean, std = self._statistics
        batch = (images.batch(positions) - mean) / std
        return batch.contiguous(memory_format=torch.channels_last)


def shuffled_batches(
    images: int, batch_size: int, batch_norm: bool, device: torch.device
) -> tuple[Tensor, ...]:
    """The positions of an epoch's batches of images, in random order: see ``number_of_batches``."""
    batches: tuple[Tensor, ...] = torch.randperm(images).to(device).split(batch_size)
    if len(batches) > number_of_batches(images, batch_size, batch_norm):
        return (*batches[:-2], torch.cat(batches[-2:]))
    return batches


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """(K,) float: with these weights each class has the same in all, and an image 1 in the mean.

    Args:
        labels: (N,) int64.
        num_classes: K.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    return len(labels) / (counts.clamp(min=1) * num_classes)


def chance(counts: NDArray[np.int64]) -> float:
    """The accuracy to beat: of a guess among K classes, but of a constant answer at most.

    A guess has the accuracy 1 / K, on n images give or take a standard deviation of sqrt((1 / K)
    (1 - 1 / K) / n): beyond 1.645 of them it is one in twenty times. A constant answer has the
    commonest class's share: that is the smaller one where the classes are balanced, as the paper's
    are. Where they are not, a first epoch need not beat it.

    Args:
        counts: (K,) validation images of each class.
    """
    images, guess = counts.sum(), 1 / len(counts)
    beyond = _ONE_IN_TWENTY * math.sqrt(guess * (1 - guess) / images)
    return float(min(counts.max() / images, guess + beyond))
