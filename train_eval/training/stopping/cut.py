"""Whole trainings, cut where a decision would have stopped them."""

from dataclasses import replace

from gym_cnnarch import Evaluation
from train_eval.training.recipe import Recipe
from train_eval.training.stopping.rule import Decision


def cut(
    evaluation: Evaluation, decision: Decision | None, recipe: Recipe | None
) -> Evaluation | None:
    """What a training under a decision gives, known from the whole one.

    Args:
        evaluation: A training that nothing stopped.
        decision: None for none.
        recipe: Of the training; None if nothing restarts trainings.

    Returns:
        The same without seconds, as far as it would have gone, or the evaluation if it would not
        have been stopped. None if that cannot be told: where losses that are not finite restart
        a training in any epoch, a try of which nothing is left might have been stopped.
    """
    if decision is None or not evaluation.curve:
        return evaluation
    rate = 0.0 if evaluation.learning_rate is None else evaluation.learning_rate
    if recipe is not None and recipe.restart_on == "loss":
        alike = recipe.max_restarts > 0 and recipe.restart_factor == 1  # tries have one rate
        if rate != recipe.learning_rate or alike:
            return None
    # An epoch that fails ends a training before its decision is asked.
    epochs = len(evaluation.curve) - (evaluation.status == "diverged")
    for epoch in range(1, epochs + 1):
        curve = evaluation.curve[:epoch]
        if decision.stops(curve, rate):
            return replace(
                evaluation, status="stopped", accuracy=max(curve), curve=curve, message="",
                train_seconds=None, test_accuracy=None, predicted=decision.predicted(curve, rate),
            )  # fmt: skip
    return evaluation
