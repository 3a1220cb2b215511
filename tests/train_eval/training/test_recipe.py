"""Recipes: what is refused, and the names of the tasks that they make."""

import dataclasses

import pytest
import torch

from gym_cnnarch import InvalidInput
from train_eval.data.sources import load_dataset
from train_eval.training import evaluator, recipe
from train_eval.training.batches import shuffled_batches
from train_eval.training.evaluator import TrainingEvaluator
from train_eval.training.recipe import Recipe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"restart_on": "luck"}, "restart_on must be 'chance' or 'loss', but is 'luck'"),
        ({"restart_on": True}, "restart_on must be 'chance' or 'loss', but is True"),
        ({"batch_norm": 1}, "batch_norm must be bool, but is 1"),
        ({"epochs": "4"}, "epochs must be int, but is '4'"),
        ({"learning_rate": 0}, "learning_rate must be positive, but is 0"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        Recipe.from_spec(settings)


@pytest.mark.parametrize("preset", recipe.PRESETS)
def test_presets_are_their_settings(preset):
    settings = dataclasses.asdict(Recipe.from_spec(preset))
    assert Recipe.from_spec(settings) == Recipe.from_spec({"preset": preset})


@pytest.mark.parametrize(
    ("settings", "test", "task"),
    [
        ("digits", False, "digits-82a77ff36e1094ef"),
        ("digits", True, "digits-4798b5e0eb519174"),
        ({"preset": "paper", "validation_size": 360}, False, "digits-942e77e2f8713d15"),
        ("cluttered-digits", True, "cluttered_digits-8edd3bf5af615ddc"),
    ],
)
def test_a_new_setting_renames_no_task(settings, test, task):
    dataset = task.partition("-")[0]
    assert TrainingEvaluator(dataset, recipe=settings, device="cpu", test=test).task == task


def test_other_validation_images_are_another_task(monkeypatch):
    validation = load_dataset("cluttered_digits", part="validation")
    fingerprints, tasks = [], []
    for shown in (validation, dataclasses.replace(validation, fingerprint="other")):
        monkeypatch.setattr(evaluator, "load_own_validation", lambda *args, own=shown: own)
        made = TrainingEvaluator("cluttered_digits", device="cpu")
        fingerprints.append(made.fingerprints)
        tasks.append(made.task)
    train = load_dataset("cluttered_digits").fingerprint
    assert fingerprints == [[train, validation.fingerprint], [train, "other"]]
    assert tasks[0] != tasks[1]


@pytest.mark.parametrize(
    ("images", "batch_norm"), [(33, True), (65, True), (33, False), (34, True)]
)
def test_steps_are_a_least_number_whatever_the_last_batch(images, batch_norm):
    counts = Recipe(epochs=1, steps=300, batch_size=32, batch_norm=batch_norm)
    batches = len(shuffled_batches(images, 32, batch_norm, torch.device("cpu")))
    assert counts.epochs_of(images) * batches >= 300 > (counts.epochs_of(images) - 1) * batches
