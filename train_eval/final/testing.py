"""Networks that are trained to the end, ranked, then tested once; and what is written of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gym_cnnarch.files import replace_json
from train_eval.data.sources import ImageData
from train_eval.final.candidates import Candidate
from train_eval.final.checkpoint import EpochResult
from train_eval.final.judging import shortcoming
from train_eval.final.network.card import sealed
from train_eval.final.network.trained_network import TrainedNetwork, export_onnx, load_network
from train_eval.final.training import Final
from train_eval.records.final_results import FailedNetwork, FinalNetwork, FinalResults
from train_eval.records.latency import Latencies
from train_eval.training.device import find_device

_BATCH = 256  # images of a forward pass


def evaluate(
    chosen: Sequence[Candidate],
    folder: Path,
    ended: Mapping[str, Final],
    searched_images: float | None,
    test: ImageData | None,
    ensemble: int,
    device: str | None = None,
) -> FinalResults:
    """Ranks the networks, then opens the test set: each one's error, and the first ones' together.

    Args:
        chosen: The networks, the best by validation accuracy in the search first.
        folder: Where their files are.
        ended: By name, how each one's training ended. Those that failed are not tested.
        searched_images: Number of images that the accuracy in the search is worth; None if its
            metric was another, which is not to be compared.
        test: The test images; None if there are none, and the errors are not known.
        ensemble: Number of networks whose probabilities are averaged.
        device: Where to compute; None for CUDA where there is one, else the CPU.
    """
    failed: list[FailedNetwork] = []
    good: list[tuple[EpochResult, Candidate]] = []
    for candidate in chosen:
        final = ended[candidate.name]
        status, message = final.status, final.message
        if final.best is not None:
            images = final.best.worth  # older cards do not say it
            if images is None:
                images = load_network(folder / candidate.name).card["data"]["validation_images"]
            before = None if searched_images is None else candidate.validation_accuracy
            wrong = shortcoming(final.best, images, before, searched_images or 0)
            if wrong is None:
                good.append((final.best, candidate))
                continue
            status, message = wrong
        text = str(candidate.architecture)
        failed.append(FailedNetwork(candidate.name, text, status, message))
    if all(epoch.accuracy is not None for epoch, _ in good):
        good.sort(key=lambda pair: pair[0].rank[:2], reverse=True)  # equal ones as in the search
    else:  # networks that are named come in any order
        good.sort(key=lambda pair: pair[1].validation_accuracy or 0.0, reverse=True)
    rows: list[FinalNetwork] = []
    probabilities: list[NDArray[np.float32]] = []
    for epoch, candidate in good:
        if test is not None:
            trained = load_network(folder / candidate.name)
            probabilities.append(predict(trained, test.images, find_device(device)))
        rows.append(
            FinalNetwork(
                name=candidate.name,
                architecture=str(candidate.architecture),
                validation_accuracy=candidate.validation_accuracy,
                parameters=candidate.parameters,
                test_error=None if test is None else _error(probabilities[-1], test.labels),
                final_accuracy=epoch.accuracy,
            )
        )
    together = None
    if test is not None and rows:
        together = _error(np.mean(probabilities[:ensemble], axis=0), test.labels)
    return FinalResults(
        networks=tuple(rows),
        ensemble=tuple(row.name for row in rows[:ensemble]),
        ensemble_error=together,
        test_images=0 if test is None else len(test.labels),
        test_fingerprint=None if test is None else test.fingerprint,
        failed=tuple(failed),
    )


@torch.no_grad()
def predict(
    trained: TrainedNetwork, images: NDArray[np.uint8], device: torch.device | None = None
) -> NDArray[np.float32]:
    """(N, K) probabilities of (N, channels, n, n) uint8 images."""
    device = device or torch.device("cpu")
    trained = trained.to(device).eval()
    parts = [
        trained(torch.from_numpy(np.array(images[i : i + _BATCH])).to(device)).cpu()
        for i in range(0, len(images), _BATCH)
    ]
    answers: NDArray[np.float32] = torch.cat(parts).numpy()
    return answers


def write_results(folder: Path, results: FinalResults, onnx: bool) -> None:
    """Writes the results, adds to each network's card its scores or what failed, and exports it."""
    results.save(folder)
    for row in results.networks:
        scores = {
            "validation_accuracy": row.validation_accuracy,
            "final_accuracy": row.final_accuracy,
            "test_error": row.test_error,
        }
        known = {name: score for name, score in scores.items() if score is not None}
        _add_to_card(folder / f"{row.name}.json", scores=known)
    for lost in results.failed:
        if (folder / f"{lost.name}.json").is_file():
            _add_to_card(
                folder / f"{lost.name}.json", failed=f"{lost.status}: {lost.message}", scores={}
            )
    for row in results.networks if onnx else ():
        export_onnx(load_network(folder / row.name), folder / f"{row.name}.onnx")


def write_latencies(folder: Path, results: FinalResults, latencies: Latencies) -> None:
    """Adds to each network's card how long it takes, and where that was measured."""
    for row in results.networks:
        _add_to_card(folder / f"{row.name}.json", latency=latencies.of(row.architecture))


def _add_to_card(file: Path, **known: Any) -> None:
    card = json.loads(file.read_text())
    card.pop("failed", None)
    replace_json(file, sealed(card | known))


def _error(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    return float((probabilities.argmax(axis=1) != labels).mean())
