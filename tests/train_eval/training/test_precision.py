"""In what networks compute: asked for by a recipe, in training, judging and final training."""

import dataclasses
import json

import pytest
import torch
from torch import nn

from gym_cnnarch import Architecture, InvalidInput
from tests.helpers.final_tasks import task
from train_eval.final.recipe import FinalRecipe
from train_eval.final.training import train_final
from train_eval.training import device
from train_eval.training.device import Precision
from train_eval.training.evaluator import TrainingEvaluator
from train_eval.training.recipe import Recipe

CPU = torch.device("cpu")
NETWORK = Architecture.parse("[C(16,3,1), C(16,3,1), P(2,2), FC(32), SM(10)]")
DIGITS = {"preset": "digits", "epochs": 3}


@pytest.fixture
def computed_in(monkeypatch):
    """The types that convolutions were computed in, and whether in training."""
    seen = set()
    forward = nn.Conv2d.forward

    def watched(self, images):
        answer = forward(self, images)
        seen.add((answer.dtype, self.training))
        return answer

    monkeypatch.setattr(nn.Conv2d, "forward", watched)
    return seen


def trained(**settings):
    evaluation = TrainingEvaluator("digits", recipe=DIGITS | settings, device="cpu").train(NETWORK)
    return dataclasses.replace(evaluation, train_seconds=None)


def test_a_recipe_says_in_what_its_networks_compute(computed_in):
    in_float = trained()
    assert computed_in == {(torch.float32, True), (torch.float32, False)}
    computed_in.clear()
    in_half = trained(precision="bfloat16")
    assert computed_in == {(torch.bfloat16, True), (torch.bfloat16, False)}
    assert in_half.curve != in_float.curve
    assert in_half.accuracy == pytest.approx(in_float.accuracy, abs=0.05)
    assert trained(precision="bfloat16") == in_half
    assert trained(precision="float32") == in_float


def test_weights_and_gradients_stay_in_float32():
    layer = nn.Linear(4, 3)
    precision = Precision(CPU, "bfloat16")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    before = layer.weight.detach().clone()
    with precision.autocast():
        answers = layer(torch.ones(2, 4))
    assert answers.dtype is torch.bfloat16
    precision.step(answers.float().sum(), optimizer)
    torch.testing.assert_close(before - layer.weight, torch.ones(3, 4))  # a gradient of 2
    assert layer.weight.dtype is layer.weight.grad.dtype is torch.float32


def test_another_precision_is_another_task():
    tasks = [
        TrainingEvaluator("digits", recipe=recipe, device="cpu").task
        for recipe in ("digits", *({"preset": "digits", "precision": p} for p in
                                   (None, "float32", "bfloat16")))
    ]  # fmt: skip
    assert tasks[0] == tasks[1]
    assert len(set(tasks)) == 3


@pytest.mark.parametrize("kind", [Recipe, FinalRecipe])
def test_other_precisions_are_refused(kind):
    with pytest.raises(InvalidInput, match="precision"):
        kind.from_spec({"precision": "float16"})


@pytest.mark.parametrize(
    ("found", "lines"), [({}, 1), ({"avx512_bf16": True}, 0), ({"amx_bf16": True}, 0)]
)
def test_a_cpu_that_would_be_slower_is_told_once(monkeypatch, capsys, found, lines):
    device._say_once.cache_clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    for precision in (None, "float32", "bfloat16", "bfloat16"):
        TrainingEvaluator("digits", recipe=DIGITS | {"precision": precision}, device="cpu")
    told = capsys.readouterr().err
    assert told.count("no instructions for bfloat16") == told.count("\n") == lines


def test_a_final_training_computes_as_the_search_did_unless_it_is_told(tmp_path, computed_in):
    search = Recipe(precision="bfloat16")
    assert FinalRecipe().as_in(search).precision == "bfloat16"
    assert FinalRecipe(precision="float32").as_in(search).precision == "float32"
    final = train_final(NETWORK, task(tmp_path, precision="bfloat16").prepare(), tmp_path / "x")
    assert computed_in == {(torch.bfloat16, True), (torch.bfloat16, False)}
    assert final.best.accuracy > 0.7


def test_the_new_setting_renames_no_final_training(tmp_path):
    train_final(Architecture.parse("[SM(10)]"), task(tmp_path, 1).prepare(), tmp_path / "x")
    card = json.loads((tmp_path / "x.json").read_text())
    assert "precision" not in card["recipe"]
    assert card["course"].startswith("8f47727208532b5d")
