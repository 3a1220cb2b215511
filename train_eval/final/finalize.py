"""From the best networks of a search to networks one can use, tested once."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gym_cnnarch import Architecture, InvalidInput
from train_eval.data.sources import ImageData, has_test_images, load_train_and_test
from train_eval.environments import make_env, needs_training
from train_eval.final.candidates import Candidate, candidates, named_candidates
from train_eval.final.data import final_data
from train_eval.final.latency import check_within, measure_latencies, within
from train_eval.final.network.assessment import Assessment, assess_images
from train_eval.final.network.trained_network import load_network
from train_eval.final.recipe import FinalRecipe
from train_eval.final.testing import evaluate, write_latencies, write_results
from train_eval.final.training import Final, FinalTask
from train_eval.parallel.executors import LocalExecutor, worker_environments
from train_eval.parallel.worker import WorkerDied, WorkerHung
from train_eval.records.final_results import (
    FINAL_FOLDER,
    FinalResults,
)
from train_eval.records.importing import IMPORTED
from train_eval.records.run_directory import LOCK, in_use, recorded_data
from train_eval.records.summary import Summary
from train_eval.search.same_images import check_images, images_of
from train_eval.search.settings import check_hours
from train_eval.training.batches import Images
from train_eval.training.device import check_precision
from train_eval.training.evaluator import TrainingEvaluator
from train_eval.training.metrics import worth

_TICK = 0.5  # seconds between two looks at trainings


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
    hours: float | None = None,
    max_latency: float | None = None,
    latency_batch: int = 1,
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
        front: Whether to choose among those alone to which none is preferable in every objective.
        hours: Time for all trainings, of which each has an equal part, in place of the recipe's
            epochs; None for those.
        max_latency: Most milliseconds of a forward pass on this machine, which is measured first;
            None for no limit.
        latency_batch: Images of that pass.
        env_arguments: ``dataset``, ``data_root`` or ``device``, where they are others now.

    Raises:
        InvalidInput: If the run trained nothing, its data are not here, hours are not positive, or
            no network is within the limit.
    """
    if hours is not None:
        check_hours(hours)
    least = {"networks": networks if isinstance(networks, int) else len(networks)}
    for name, number in {**least, "ensemble": ensemble, "latency_batch": latency_batch}.items():
        if number < 1:
            raise InvalidInput(f"{name} must be at least 1, but is {number}.")
    if max_latency is not None and not max_latency > 0:
        raise InvalidInput(f"max_latency must be more than 0 ms, but is {max_latency:g}.")
    evaluator = searched_evaluator(summary, env_arguments)
    device = env_arguments.get("device")
    if isinstance(networks, int):
        among = (
            None
            if max_latency is None
            else within(max_latency, summary, networks, device, latency_batch)
        )
        chosen = candidates(summary, networks, front, among)
    else:
        chosen = named_candidates(summary, networks, evaluator)
        if max_latency is not None:
            check_within(max_latency, summary, networks, device, latency_batch)
    place = Path(summary.run_dir) / FINAL_FOLDER if folder is None else Path(folder)
    test = load_test_images(evaluator)
    if hours is not None:
        together = len(worker_environments(workers, evaluator.device))
        turns = math.ceil(len(chosen) / together)
        recipe = dataclasses.replace(recipe, seconds=3600 * hours / turns)
    task = final_task(evaluator, recipe, place, chosen)
    ended = train_all(chosen, task, seed, workers, watch)
    same_metric = task.recipe.metric == evaluator.recipe.metric
    labels = evaluator.data.validation.labels.cpu()
    searched_images = worth(evaluator.recipe.metric, labels) if same_metric else None
    results = evaluate(chosen, place, ended, searched_images, test, ensemble, device)
    write_results(place, results, onnx)
    good = [row.architecture for row in results.networks]
    write_latencies(place, results, measure_latencies(summary, good, device, latency_batch))
    return results


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
        advice = "Name those with --dataset and --data-root."
        check_images(Path(summary.run_dir), images_of(evaluator), advice)
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


def assess_best(
    summary: Summary, results: FinalResults | None, given: Mapping[str, Any]
) -> Assessment:
    """Judges the best network of a run's final trainings, see ``Run.assess``."""
    if results is None or not results.networks:
        raise InvalidInput(f"{summary.run_dir} has no network that was trained to the end.")
    trained = load_network(Path(summary.run_dir) / FINAL_FOLDER / results.networks[0].name)
    evaluator = searched_evaluator(summary, given)
    test, cpu = load_test_images(evaluator), torch.device("cpu")
    if test is not None:
        return assess_images(trained, Images(test, np.arange(len(test.labels)), cpu))
    recipe = FinalRecipe.from_spec(trained.card["recipe"])
    size = evaluator.recipe.image_size
    held_out = final_data(evaluator.dataset, evaluator.data_root, size, recipe, cpu).validation
    if held_out is None:
        raise InvalidInput("There are neither test images nor images that were held out.")
    return assess_images(trained, held_out)


def final_task(
    evaluator: TrainingEvaluator,
    recipe: FinalRecipe,
    folder: Path,
    chosen: Sequence[Candidate],
    initial: Mapping[str, str] | None = None,
) -> FinalTask:
    """The training of the chosen networks on the evaluator's data."""
    recipe = recipe.as_in(evaluator.recipe)
    check_precision(recipe.precision, evaluator.data.device)
    return FinalTask(
        dataset=evaluator.dataset,
        data_root=evaluator.data_root,
        image_size=evaluator.recipe.image_size,
        recipe=recipe,
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
    except InvalidInput:
        raise
    except (WorkerDied, WorkerHung, MemoryError, RuntimeError, ValueError) as error:
        return Final("error", (), 0.0, str(error).partition("\n")[0])
