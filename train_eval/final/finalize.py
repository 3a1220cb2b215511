"""From the best networks of a search to networks one can use, tested once."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.files import replace_json
from gym_cnnarch.shapes import count_parameters, layer_shapes
from train_eval.data.sources import ImageData, has_test_images, load_train_and_test
from train_eval.environments import make_env, needs_training
from train_eval.final.card import sealed
from train_eval.final.checkpoint import EpochResult
from train_eval.final.judging import shortcoming
from train_eval.final.recipe import FinalRecipe
from train_eval.final.trained_network import TrainedNetwork, export_onnx, load_network
from train_eval.final.training import Final, FinalTask
from train_eval.parallel.executors import LocalExecutor, worker_environments
from train_eval.parallel.worker import WorkerDied, WorkerHung
from train_eval.records.final_results import (
    FINAL_FOLDER,
    FailedNetwork,
    FinalNetwork,
    FinalResults,
)
from train_eval.records.importing import IMPORTED
from train_eval.records.run_directory import LOCK, in_use, recorded_data
from train_eval.records.summary import NetworkRow, Summary
from train_eval.training.device import find_device
from train_eval.training.evaluator import TrainingEvaluator

_BATCH = 256  # images of a forward pass
_TICK = 0.5  # seconds between two looks at trainings


@dataclass(frozen=True)
class Candidate:
    """A network of a search.

    Attributes:
        name: Of its files: 01 for the best by validation accuracy, 02, ...
        architecture: The network.
        validation_accuracy: In the search; None if it was not there, or that was on other data.
        parameters: Trainable parameters.
    """

    name: str
    architecture: Architecture
    validation_accuracy: float | None
    parameters: int


class Watch:
    """Told how final trainings go; this one says nothing."""

    def began(self, chosen: Sequence[Candidate], folder: Path) -> None:
        """The networks, and where each has its file of epochs while it is trained."""

    def waiting(self) -> None:
        """Called about twice a second."""

    def ended(self, candidate: Candidate, final: Final) -> None:
        """A network's training has ended, and how."""


SILENT = Watch()


def finalize(
    summary: Summary,
    recipe: FinalRecipe,
    networks: int | Sequence[Architecture] = 10,
    ensemble: int = 5,
    folder: str | Path | None = None,
    seed: int = 0,
    workers: int | None = None,
    onnx: bool = False,
    watch: Watch = SILENT,
    front: bool = False,
    **env_arguments: Any,
) -> FinalResults:
    """Trains a run's best networks to the end, tests them once, and writes their files.

    A network that collapsed, or ended below what it had in the search, is among the failed ones.

    Args:
        summary: The run.
        recipe: How they are trained; what it leaves open is as in the search.
        networks: Number of networks, the best by validation accuracy, or the networks themselves.
        ensemble: Number of networks whose probabilities are averaged.
        folder: Where the files go; None for ``final`` in the run's folder.
        seed: Seed of the trainings.
        workers: Networks to train at a time; None for one per GPU, or per core without GPUs.
        onnx: Whether to export each network to ONNX too.
        watch: Told how it goes.
        front: Whether to choose among those alone that no smaller network is as good as.
        env_arguments: ``dataset``, ``data_root`` or ``device``, where they are others now.

    Raises:
        InvalidInput: If the run trained nothing, or its data are not here.
    """
    evaluator = searched_evaluator(summary, env_arguments)
    chosen = (
        candidates(summary, networks, front)
        if isinstance(networks, int)
        else named_candidates(summary, networks, evaluator)
    )
    place = Path(summary.run_dir) / FINAL_FOLDER if folder is None else Path(folder)
    test = load_test_images(evaluator)
    task = final_task(evaluator, recipe, place, chosen)
    ended = train_all(chosen, task, seed, workers, watch)
    device = env_arguments.get("device")
    results = evaluate(chosen, place, ended, len(evaluator.data.validation), test, ensemble, device)
    write_results(place, results, onnx)
    return results


def candidates(summary: Summary, count: int, front: bool = False) -> list[Candidate]:
    """The best networks of a run by validation accuracy.

    Args:
        summary: The run.
        count: Their number.
        front: Whether to leave out each that has as many parameters as a better one, or more.

    Raises:
        InvalidInput: If the run has none.
    """
    if not summary.best:
        raise InvalidInput(f"The run in {summary.run_dir} has no trained network yet.")
    chosen: list[NetworkRow] = []
    for row in summary.best:
        if not (front and chosen and row.parameters >= chosen[-1].parameters):
            chosen.append(row)
    return [
        Candidate(
            f"{number:02}", Architecture.parse(row.architecture), row.accuracy, row.parameters
        )
        for number, row in enumerate(chosen[:count], start=1)
    ]


def named_candidates(
    summary: Summary, networks: Sequence[Architecture], evaluator: TrainingEvaluator
) -> list[Candidate]:
    """Networks as they are named, with what the run knows of them.

    Raises:
        InvalidInput: If a network does not fit the data.
    """
    known = {row.architecture: row for row in summary.best}
    chosen = []
    for number, network in enumerate(dict.fromkeys(networks), start=1):
        if layer_shapes(network.layers, evaluator.input_shape)[-1] != (evaluator.num_classes,):
            raise InvalidInput(
                f"{network} ends with {network.layers[-1]}, but the data has "
                f"{evaluator.num_classes} classes: write {evaluator.num_classes} instead."
            )
        row = known.get(str(network))
        parameters = count_parameters(network, evaluator.input_shape)
        accuracy = None if row is None else row.accuracy
        chosen.append(Candidate(f"{number:02}", network, accuracy, parameters))
    return chosen


def searched_evaluator(summary: Summary, given: Mapping[str, Any]) -> TrainingEvaluator:
    """The search's evaluator, for its data and image size.

    Args:
        summary: The run.
        given: ``dataset``, ``data_root`` or ``device``; where the images were is in the run.

    Raises:
        InvalidInput: If nothing was trained, or the data are not those of the search.
    """
    settings = summary.settings
    if settings.agent["name"] == IMPORTED or settings.task.startswith(("surrogate", "table")):
        raise InvalidInput("Nothing was trained in this run: finalize a search that trained.")
    arguments = {**recorded_data(Path(summary.run_dir)), **given}
    if settings.recipe is not None:
        arguments["recipe"] = settings.recipe
    env = make_env(settings.env, search_space=settings.search_space, **arguments)
    evaluator = needs_training(env, settings.env)
    if evaluator.task != settings.task:
        raise InvalidInput(
            f"The data here are not those of the search ({evaluator.task}, not {settings.task}): "
            f"name them with --dataset and --data-root."
        )
    return evaluator


def load_test_images(evaluator: TrainingEvaluator) -> ImageData | None:
    """The test images of an evaluator's data set, None if it has none."""
    if not has_test_images(evaluator.dataset):
        return None
    size = evaluator.recipe.image_size
    return load_train_and_test(evaluator.dataset, evaluator.data_root, size)[1]


def final_task(
    evaluator: TrainingEvaluator,
    recipe: FinalRecipe,
    folder: Path,
    chosen: Sequence[Candidate],
    initial: Mapping[str, str] | None = None,
) -> FinalTask:
    """The training of the chosen networks on the evaluator's data."""
    return FinalTask(
        dataset=evaluator.dataset,
        data_root=evaluator.data_root,
        image_size=evaluator.recipe.image_size,
        recipe=recipe.as_in(evaluator.recipe),
        device=evaluator.device,
        folder=str(folder.resolve()),
        names={str(c.architecture): c.name for c in chosen},
        initial=initial or {},
    )


def train_all(
    chosen: Sequence[Candidate],
    task: FinalTask,
    seed: int,
    workers: int | None,
    watch: Watch = SILENT,
) -> dict[str, Final]:
    """Trains in local workers what is not trained yet; by name, how each ended."""
    environments = worker_environments(workers, task.device)[: len(chosen)]
    folder = Path(task.folder)
    folder.mkdir(parents=True, exist_ok=True)
    ended: dict[str, Final] = {}
    with in_use(folder / LOCK), LocalExecutor(environments) as executor:
        watch.began(chosen, folder)
        for candidate, final in in_order_of_ending(chosen, task, executor, seed, watch.waiting):
            ended[candidate.name] = final
            watch.ended(candidate, final)
    return ended


def in_order_of_ending(
    chosen: Sequence[Candidate],
    task: FinalTask,
    executor: Executor,
    seed: int,
    waiting: Callable[[], None] = SILENT.waiting,
) -> Iterator[tuple[Candidate, Final]]:
    """Trains each network through the executor, and yields it when it has ended."""
    futures = {executor.submit(task, c.architecture, seed): c for c in chosen}
    pending = set(futures)
    while pending:
        done, pending = wait(pending, _TICK, FIRST_COMPLETED)
        waiting()
        for future in done:
            yield futures[future], _outcome_of(future)


def _outcome_of(future: Future[Final]) -> Final:
    """How a training ended; one that cannot be done does not end the others."""
    try:
        return future.result()
    except (WorkerDied, WorkerHung, MemoryError, RuntimeError) as error:
        return Final("error", (), 0.0, str(error).partition("\n")[0])


def evaluate(
    chosen: Sequence[Candidate],
    folder: Path,
    ended: Mapping[str, Final],
    searched_images: int,
    test: ImageData | None,
    ensemble: int,
    device: str | None = None,
) -> FinalResults:
    """Ranks the networks, then opens the test set: each one's error, and the first ones' together.

    Args:
        chosen: The networks, the best by validation accuracy in the search first.
        folder: Where their files are.
        ended: By name, how each one's training ended. Those that failed are not tested.
        searched_images: Number of validation images in the search.
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
            images = load_network(folder / candidate.name).card["data"]["validation_images"]
            wrong = shortcoming(final.best, images, candidate.validation_accuracy, searched_images)
            if wrong is None:
                good.append((final.best, candidate))
                continue
            status, message = wrong
        text = str(candidate.architecture)
        failed.append(FailedNetwork(candidate.name, text, status, message))
    if all(epoch.accuracy is not None for epoch, _ in good):
        good.sort(key=lambda pair: pair[0].rank[:2], reverse=True)  # equal ones as in the search
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


def _add_to_card(file: Path, **known: Any) -> None:
    card = json.loads(file.read_text())
    card.pop("failed", None)
    replace_json(file, sealed(card | known))


def _error(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    return float((probabilities.argmax(axis=1) != labels).mean())
