"""A network of one data set, trained on another."""

import dataclasses
from pathlib import Path

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.space.architecture import GlobalAveragePool, Softmax
from gym_cnnarch.space.shapes import count_parameters
from train_eval.final.candidates import Candidate
from train_eval.final.finalize import Watch, final_task, load_test_images, train_all
from train_eval.final.recipe import FinalRecipe
from train_eval.final.testing import evaluate, write_results
from train_eval.records.final_results import FinalResults
from train_eval.training.evaluator import TrainingEvaluator


def transfer(
    architecture: Architecture,
    evaluator: TrainingEvaluator,
    recipe: FinalRecipe,
    folder: Path,
    initial: Path | None,
    seed: int,
    workers: int | None,
    watch: Watch,
) -> FinalResults:
    """Trains one network on an evaluator's data, tests it, and writes its files.

    Args:
        architecture: The network, for the data's number of classes.
        evaluator: Of the other data set.
        recipe: How the network is trained.
        folder: Where its files go.
        initial: Weights to begin with (.safetensors) where they fit; None for random ones.
        seed: Seed of the training.
        workers: See ``finalize``; there is one network.
        watch: Told how it goes.

    Raises:
        InvalidInput: If the data set has no test images.
    """
    test = load_test_images(evaluator)
    if test is None:
        raise InvalidInput(f"{evaluator.dataset} has no test images to compare by.")
    parameters = count_parameters(architecture, evaluator.input_shape)
    chosen = [Candidate("01", architecture, None, parameters)]
    weights = {} if initial is None else {str(architecture): str(initial.resolve())}
    if recipe.batch_norm is None:  # the weights to begin with have it folded in
        recipe = dataclasses.replace(recipe, batch_norm=False)
    task = final_task(evaluator, recipe, folder, chosen, weights)
    ended = train_all(chosen, task, seed, workers, watch)
    images = len(evaluator.data.validation)
    results = evaluate(chosen, folder, ended, images, test, 1, evaluator.device)
    write_results(folder, results, onnx=False)
    return results


def for_classes(architecture: Architecture, num_classes: int) -> Architecture:
    """The same network for another number of classes."""
    *body, end = architecture.layers
    kind = GlobalAveragePool if isinstance(end, GlobalAveragePool) else Softmax
    return Architecture((*body, kind(num_classes)))
