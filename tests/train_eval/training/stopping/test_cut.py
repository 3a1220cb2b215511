"""A training that a decision ends is the beginning of the whole one."""

from dataclasses import replace

import pytest
import torch

from gym_cnnarch import Architecture, Evaluation
from tests.helpers.instant import CurveEvaluator
from train_eval.data.sources import load_dataset
from train_eval.training.batches import TrainingData
from train_eval.training.loop import train
from train_eval.training.recipe import Recipe
from train_eval.training.stopping import cut

NETWORK = Architecture.parse("[C(8,3,1), P(2,2), SM(10)]")
RECIPE = Recipe.from_spec({"preset": "digits", "epochs": 4, "train_size": 200})


class After:
    """Stops after some epochs; notes what it was asked."""

    def __init__(self, epochs):
        self.epochs = epochs
        self.asked = []

    def stops(self, curve, learning_rate):
        self.asked.append((tuple(curve), learning_rate))
        return len(curve) == self.epochs

    def predicted(self, curve, learning_rate):
        return max(curve) / 2 + 0.5


@pytest.fixture(scope="module")
def digits():
    return TrainingData(load_dataset("digits"), RECIPE, torch.device("cpu"))


def without_seconds(evaluation):
    return replace(evaluation, train_seconds=None)


def test_what_a_decision_ends_is_the_beginning_of_the_whole_training(digits):
    whole = train(NETWORK, digits, RECIPE)
    asked = []
    for epochs in (1, 3, 9):
        decision = After(epochs)
        ended = train(NETWORK, digits, RECIPE, decision=decision)
        assert without_seconds(cut(whole, decision, RECIPE)) == without_seconds(ended)
        assert ended.curve == whole.curve[:epochs]
        assert ended.status == ("ok" if epochs > 4 else "stopped")
        asked.append(decision.asked)
    first, again = asked[2][:4], asked[2][4:]
    assert first == again == [(whole.curve[:e], whole.learning_rate) for e in range(1, 5)]


def test_a_try_that_failed_is_not_asked_about(digits):
    recipe = replace(RECIPE, learning_rate=1e6, restart_factor=1e-4, max_restarts=5)
    decision = After(2)
    ended = train(NETWORK, digits, recipe, decision=decision)
    assert ended.status == "stopped"
    assert {rate for _, rate in decision.asked} == {ended.learning_rate}
    whole = train(NETWORK, digits, recipe)
    assert without_seconds(cut(whole, After(2), recipe)) == without_seconds(ended)


@pytest.mark.parametrize(
    "text", ["[SM(10)]", "[GAP(10)]", "[C(8,3,1), SM(10)]", "[FC(16), SM(10)]"]
)
@pytest.mark.parametrize("epochs", [1, 2, 4, 6])
def test_failed_trainings_are_cut_where_they_would_have_been_stopped(text, epochs):
    for seed in range(40):  # among them failures of all kinds
        architecture, decision = Architecture.parse(text), After(epochs)
        known = cut(CurveEvaluator().evaluate(architecture, seed), decision, None)
        asked, decision.asked = decision.asked, []
        live = CurveEvaluator().evaluate(architecture, seed, decision)
        assert without_seconds(known) == without_seconds(live)
        assert asked == decision.asked


def test_what_is_left_of_a_restarted_training_does_not_tell_where_any_epoch_may_restart():
    restarted = Evaluation(0.5, "ok", 1, 1, (0.4, 0.5), 1.0, RECIPE.learning_rate / 2)
    on_loss = replace(RECIPE, restart_on="loss")
    assert cut(restarted, After(1), RECIPE).curve == (0.4,)
    assert cut(restarted, After(1), on_loss) is None
    assert cut(restarted, None, on_loss) == restarted
    begun = replace(restarted, learning_rate=RECIPE.learning_rate)
    assert cut(begun, After(1), on_loss).curve == (0.4,)
    assert cut(begun, After(1), replace(on_loss, restart_factor=1.0)) is None  # tries look alike
    died = Evaluation(0.0, "error", 1, 1, message="the worker died")
    assert cut(died, After(1), on_loss) == died
