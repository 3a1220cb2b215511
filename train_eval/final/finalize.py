"""From the best networks of a search to networks one can use, tested once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.files import replace_json
from train_eval.data.sources import ImageData
from train_eval.final.trained_network import TrainedNetwork, export_onnx, load_network
from train_eval.final.training import Final, FinalTask
from train_eval.parallel.worker import WorkerDied, WorkerHung
from train_eval.records.run_directory import RESULTS
from train_eval.training.evaluator import find_device

_BATCH = 256  # images of a forward pass


@dataclass(frozen=True)
class Candidate:
    """A network of a search.

    Attributes:
        name: Of its files: 01 for the best by validation accuracy, 02, ...
        architecture: The network.
        validation_accuracy: In the search; None if that was on other data.
        parameters: Trainable parameters.
    """

    name: str
    architecture: Architecture
    validation_accuracy: float | None
    parameters: int


def candidates(summary: Mapping[str, Any], count: int) -> list[Candidate]:
    """The best networks of a run by validation accuracy.

    Raises:
        InvalidInput: If the run has none.
    """
    if not summary["top"]:
        raise InvalidInput(f"The run in {summary['run_dir']} has no trained network yet.")
    return [
        Candidate(
            f"{number:02}",
            Architecture.parse(network["architecture"]),
            network["accuracy"],
            network["parameters"],
        )
        for number, network in enumerate(summary["top"][:count], start=1)
    ]


def train_all(
    chosen: Sequence[Candidate], task: FinalTask, executor: Executor, seed: int
) -> Iterator[tuple[Candidate, Final]]:
    """Trains each network through the executor, and yields it when it is finished."""
    futures = {executor.submit(task, c.architecture, seed): c for c in chosen}
    pending = set(futures)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            yield futures[future], _outcome(future)


def _outcome(future: Future[Final]) -> Final:
    """What became of a training; one that cannot be done does not end the others."""
    try:
        return future.result()
    except (WorkerDied, WorkerHung, MemoryError, RuntimeError) as error:
        return Final("error", (), 0.0, str(error).partition("\n")[0])


def evaluate(
    chosen: Sequence[Candidate],
    folder: Path,
    test: ImageData | None,
    ensemble: int,
    device: str | None = None,
) -> dict[str, Any]:
    """Opens the test set: the error of each network, and of the first ones together.

    Args:
        chosen: The networks, the best by validation accuracy first; those that could not be trained
            to their end have no files and are left out.
        folder: Where their files are.
        test: The test images; None if there are none, and the errors are not known.
        ensemble: Number of networks whose probabilities are averaged.
        device: Where to compute; None for CUDA where there is one, else the CPU.

    Returns:
        ``networks``, each with ``name``, ``architecture``, ``validation_accuracy``, ``parameters``
        and ``test_error``; ``ensemble`` with ``networks`` (names) and ``test_error``.
    """
    rows: list[dict[str, Any]] = []
    probabilities: list[NDArray[np.float32]] = []
    for candidate in chosen:
        if not (folder / f"{candidate.name}.json").is_file():
            continue
        if test is not None:
            trained = load_network(folder / candidate.name)
            probabilities.append(predict(trained, test.images, find_device(device)))
        rows.append(
            {
                "name": candidate.name,
                "architecture": str(candidate.architecture),
                "validation_accuracy": candidate.validation_accuracy,
                "parameters": candidate.parameters,
                "test_error": None if test is None else _error(probabilities[-1], test.labels),
            }
        )
    together = None
    if test is not None and rows:
        together = _error(np.mean(probabilities[:ensemble], axis=0), test.labels)
    return {
        "networks": rows,
        "ensemble": {
            "networks": [row["name"] for row in rows[:ensemble]],
            "test_error": together,
        },
        "test_images": 0 if test is None else len(test.labels),
        "test_fingerprint": None if test is None else test.fingerprint,
    }


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


def write_results(folder: Path, results: Mapping[str, Any], onnx: bool) -> None:
    """Writes the results, adds each network's scores to its card, and exports it."""
    replace_json(folder / RESULTS, results)
    for row in results["networks"]:
        card_file = folder / f"{row['name']}.json"
        card = json.loads(card_file.read_text())
        scores = ("validation_accuracy", "test_error")
        card["scores"] = {name: row[name] for name in scores if row[name] is not None}
        replace_json(card_file, card)
    for row in results["networks"] if onnx else ():
        export_onnx(load_network(folder / row["name"]), folder / f"{row['name']}.onnx")


def _error(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    return float((probabilities.argmax(axis=1) != labels).mean())
