"""Rewards without training at the paper's scale: predictions from published results."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from gym_cnnarch import Architecture, Evaluation, InvalidInput, shapes
from gym_cnnarch.registration import DATASET_INPUTS
from gym_cnnarch.space.architecture import Conv, FullyConnected, GlobalAveragePool, Pool
from train_eval.records.published import read_published
from train_eval.training.recipe import Recipe
from train_eval.training.surrogate_fit import FOLDS, fit

_CHANCE = 1.5  # times that of K balanced classes: below it, a network did not learn
_MOST_LAYERS = 18  # of the paper's spaces


class SurrogateEvaluator:
    """Predicts the validation accuracy of any architecture of the paper's spaces.

    The mean of gradient-boosted trees and a support-vector regression is fitted to a CSV of
    networks that were trained on a GPU by the paper's recipe, in one of the published formats:
    learning curves, or a replay database. Where the file holds networks that did not learn,
    further trees predict whether one does, and the prediction is the expected accuracy. It cannot
    tell the best networks apart, and beyond the best that it saw it extrapolates: the mean of
    what an agent finds is meaningful, its best network is less so. The fit is kept in the user's
    cache folder.

    Args:
        dataset: The data set of the results, ``cifar10`` or another whose images are known.
        curves: The CSV file.
        recipe: Of the results; only the paper's is published.
        noise: Whether a prediction varies with the evaluation's seed, by a residual drawn from the
            cross-validation.

    Attributes:
        task: Names the results.
        input_shape: (channels, n, n).
        num_classes: Number of classes.
        predicted: (N,), the accuracy of each of the N networks as a model predicts it that was
            fitted to the other nine tenths of them (10-fold cross-validation).
        rank_correlation: Spearman's, of these predictions.
        error: Root mean squared error of the same, in accuracy.
        best: The best accuracy that it was fitted to.
        failures: Share of the networks that it was fitted to which did not learn.

    Raises:
        InvalidInput: If the file cannot be used.
    """

    def __init__(
        self,
        dataset: str | None = None,
        curves: str | Path | None = None,
        recipe: Any = "paper",
        noise: bool = False,
    ) -> None:
        if dataset not in DATASET_INPUTS or curves is None:
            raise InvalidInput(
                f"A surrogate needs a dataset ({', '.join(DATASET_INPUTS)}) and its curves, a CSV "
                f"file of published results; came {dataset!r} and {curves!r}."
            )
        if Recipe.from_spec(recipe) != Recipe.from_spec("paper"):
            raise InvalidInput(f"The published results are of the recipe 'paper', not {recipe!r}.")
        self.input_shape, self.num_classes = DATASET_INPUTS[dataset]
        networks, accuracies = read_curves(Path(curves).expanduser())
        features = np.array([self._features(network) for network in networks])
        chance = _CHANCE / self.num_classes
        fitted = fit(features.tobytes(), accuracies.tobytes(), chance)
        self._model, self.predicted = fitted.model, fitted.predicted
        self._residuals = accuracies - self.predicted
        self.rank_correlation = float(spearmanr(self.predicted, accuracies).statistic)
        self.error = float(np.sqrt(np.mean(self._residuals**2)))
        self._noise = noise
        self.best = float(accuracies.max())
        self.failures = float((accuracies < chance).mean())
        content = hashlib.sha256(Path(curves).expanduser().read_bytes()).hexdigest()[:16]
        self.task = f"surrogate-{dataset}-{content}{'-noise' if noise else ''}"
        self._known = _predictions(self.task)

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        """The predicted accuracy, at once."""
        return self.evaluate_many([architecture], [seed])[0]

    def evaluate_many(
        self, architectures: Sequence[Architecture], seeds: Sequence[int]
    ) -> list[Evaluation]:
        """The same of many networks, in a fraction of the time."""
        if not architectures:
            return []
        if new := [a for a in dict.fromkeys(architectures) if a not in self._known]:
            features = np.array([self._features(architecture) for architecture in new])
            self._known.update(zip(new, self._model.predict(features).tolist(), strict=True))
        predicted = [self._known[architecture] for architecture in architectures]
        if self._noise:
            for i, (architecture, seed) in enumerate(zip(architectures, seeds, strict=True)):
                predicted[i] += self._residual(f"{seed}:{architecture}")
        return [
            Evaluation(
                accuracy=min(max(accuracy, 0.0), 1.0),
                status="ok",
                parameters=shapes.count_parameters(architecture, self.input_shape),
                macs=shapes.count_macs(architecture, self.input_shape),
            )
            for architecture, accuracy in zip(architectures, predicted, strict=True)
        ]

    def _residual(self, text: str) -> float:
        digest = hashlib.sha256(text.encode()).digest()
        drawn = int.from_bytes(digest[:8], "little") % len(self._residuals)
        return float(self._residuals[drawn])

    def quality(self) -> str:
        """How well it predicts networks that it was not fitted to."""
        failures = f", {self.failures:.0%} of them failures" if self.failures else ""
        return (
            f"surrogate of {len(self._residuals)} networks{failures}, best {self.best:.2%}: rank "
            f"correlation {self.rank_correlation:.3f}, error {self.error:.2%} in {FOLDS}-fold "
            f"cross-validation"
        )

    def _features(self, architecture: Architecture) -> list[float]:
        """Returns the regression's features of a network, all known before it is trained."""
        layers = architecture.layers
        sizes = [
            shape[1] if len(shape) == 3 else 0
            for shape in shapes.layer_shapes(layers, self.input_shape)
        ]
        kinds = Counter(type(layer) for layer in layers)
        convolutions = [(i, layer) for i, layer in enumerate(layers) if isinstance(layer, Conv)]
        fields = Counter(layer.receptive_field for _, layer in convolutions)
        pools = [i for i, layer in enumerate(layers) if isinstance(layer, Pool)]
        weights = shapes.count_parameters(architecture, self.input_shape)
        classifier = shapes.layer_parameters(layers, self.input_shape)[-1]
        last = next((size for size in reversed(sizes) if size), self.input_shape[1])
        return [
            len(layers),
            kinds[Conv],
            kinds[Pool],
            kinds[FullyConnected],
            kinds[GlobalAveragePool],
            fields[1],
            fields[3],
            fields[5],
            _receptive_field(architecture),
            last,
            math.log(weights),
            math.log(1 + weights - classifier),
            math.log(classifier),
            math.log(1 + shapes.count_macs(architecture, self.input_shape)),
            *_ends([layer.filters for _, layer in convolutions], 2),
            *_ends([layer.receptive_field for _, layer in convolutions], 2),
            *_ends(pools, 1),
            sum(layer.filters for _, layer in convolutions) / (1 + len(convolutions)),
            sum(size >= 16 for size in sizes),
            sum(4 <= size < 16 for size in sizes),
            sum(0 < size < 4 for size in sizes),
            *_sequence(architecture),
        ]


def read_curves(path: Path) -> tuple[list[Architecture], NDArray[np.float64]]:
    """Unique networks and their best validation accuracies, (N,), of a published file.

    A network that comes again keeps its first result. Of a replay database, rows whose accuracy is
    none are left out: they come from other runs.

    Raises:
        InvalidInput: If the file cannot be read or has another format.
    """
    published = read_published(path).rows
    # Replay databases hold rows that are not results, and networks again.
    rows = [row for row in published if row.curve or 0 <= row.accuracy <= 1 or row.epsilon is None]
    if len(rows) < FOLDS:
        raise InvalidInput(f"{path} must have at least {FOLDS} rows, but has {len(rows)}.")
    for number, row in enumerate(rows, start=1):
        if not 0 <= row.accuracy <= 1:  # NaN too
            raise InvalidInput(f"Row {number} of {path} has no accuracy in [0, 1].")
    results: dict[Architecture, float] = {}
    for row in rows:
        results.setdefault(Architecture.parse(row.text), row.accuracy)
    return list(results), np.array(list(results.values()))


@lru_cache(maxsize=1)
def _predictions(task: str) -> dict[Architecture, float]:
    """The predictions of a surrogate in this process, shared by its environments."""
    return {}


def _receptive_field(architecture: Architecture) -> int:
    """Side in pixels of the input that one position of the last feature map sees."""
    field = stride = 1
    for layer in architecture.layers:
        if isinstance(layer, Conv):
            field += (layer.receptive_field - 1) * stride
        elif isinstance(layer, Pool):
            field += (layer.receptive_field - 1) * stride
            stride *= layer.stride
    return field


def _sequence(architecture: Architecture) -> list[float]:
    """Filters, receptive field and pooling stride at each depth, 0 where there is no layer."""
    values = []
    for layer in architecture.layers[:-1][:_MOST_LAYERS]:
        values += [
            math.log2(layer.filters) if isinstance(layer, Conv) else 0.0,
            layer.receptive_field if isinstance(layer, Conv) else 0.0,
            layer.stride if isinstance(layer, Pool) else 0.0,
        ]
    return values + [0.0] * (3 * _MOST_LAYERS - len(values))


def _ends(values: list[int], number: int) -> list[int]:
    """The first and the last few values, 0 where there are none."""
    filled = values + [0] * number
    reverse = values[::-1] + [0] * number
    return [*filled[:number], *reverse[:number]]
