"""One network, one recipe: the paper's loop, and failures as results."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gym_cnnarch import Architecture
from train_eval.data.image_data import make_image_data
from train_eval.data.sources import load_dataset
from train_eval.training import loop
from train_eval.training.batches import TrainingData
from train_eval.training.loop import train
from train_eval.training.recipe import Recipe

SMALL = Architecture.parse("[C(8,3,1), P(2,2), SM(10)]")
CPU = torch.device("cpu")
QUICK = Recipe(epochs=2, batch_size=64, learning_rate=0.003, validation_size=360)


@pytest.fixture(scope="module")
def digits():
    return TrainingData(load_dataset("digits"), QUICK, CPU)


@pytest.fixture
def learning_rates():
    """The learning rate of every optimiser step."""
    seen = []
    handle = register_optimizer_step_pre_hook(
        lambda optimizer, args, kwargs: seen.append(optimizer.param_groups[0]["lr"])
    )
    yield seen
    handle.remove()


def without_seconds(evaluation):
    return dataclasses.replace(evaluation, train_seconds=None)


def test_equal_seeds_give_equal_results_and_others_do_not(digits):
    first, again, other = (train(SMALL, digits, QUICK, seed) for seed in (0, 0, 1))
    assert without_seconds(first) == without_seconds(again)
    assert first.curve != other.curve


def test_the_result_describes_the_training(digits):
    epochs = []
    result = train(SMALL, digits, QUICK, 0, lambda epoch, accuracy: epochs.append(accuracy))
    assert result.status == "ok"
    assert result.accuracy == max(result.curve) > 0.7
    assert list(result.curve) == epochs
    assert len(epochs) == QUICK.epochs
    assert result.learning_rate == QUICK.learning_rate
    assert result.train_seconds > 0


def test_the_callers_random_state_and_threads_are_left_alone(digits):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    train(SMALL, digits, QUICK)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_learning_rate_falls_every_decay_every_epochs(digits, learning_rates):
    recipe = dataclasses.replace(QUICK, epochs=5, decay=0.5, decay_every=2, train_size=128)
    data = TrainingData(load_dataset("digits"), recipe, CPU)
    train(SMALL, data, dataclasses.replace(recipe, learning_rate=0.01))
    assert learning_rates == pytest.approx(2 * [0.01] * 2 + 2 * [0.005] * 2 + 2 * [0.0025])


def test_restarts_lower_the_rate_until_the_first_epoch_beats_chance(digits, learning_rates):
    recipe = dataclasses.replace(QUICK, learning_rate=1e6, restart_factor=1e-4, max_restarts=5)
    result = train(SMALL, digits, recipe)
    assert result.status == "ok"
    tried = list(dict.fromkeys(learning_rates))
    assert tried[0] == 1e6
    assert tried == pytest.approx([1e6 * 1e-4**i for i in range(len(tried))])
    assert result.learning_rate == pytest.approx(tried[-1])
    assert len(result.curve) == recipe.epochs  # of the last try alone


def test_no_rate_that_learns_is_diverged(digits, learning_rates):
    recipe = dataclasses.replace(QUICK, learning_rate=1e6, restart_factor=0.5, max_restarts=2)
    result = train(SMALL, digits, recipe)
    assert result.status == "diverged"
    assert "chance" in result.message
    assert len(set(learning_rates)) == 3  # the first try and two restarts


def test_a_loss_that_is_not_finite_is_diverged(digits, monkeypatch):
    cross_entropy = torch.nn.functional.cross_entropy
    calls = []

    def poisoned(logits, labels):
        calls.append(1)
        steps_per_epoch = -(-len(digits.train) // QUICK.batch_size)
        factor = float("nan") if len(calls) > steps_per_epoch else 1.0
        return cross_entropy(logits, labels) * factor

    monkeypatch.setattr(loop.nn.functional, "cross_entropy", poisoned)
    result = train(SMALL, digits, QUICK)
    assert result.status == "diverged"
    assert "not finite in epoch 2" in result.message


def scaled_losses(monkeypatch, factors):
    """Multiplies the loss of step i (0, 1, ...) by factors(i)."""
    cross_entropy = torch.nn.functional.cross_entropy
    steps = itertools.count()
    monkeypatch.setattr(
        loop.nn.functional,
        "cross_entropy",
        lambda logits, labels: cross_entropy(logits, labels) * factors(next(steps)),
    )


ON_LOSS = dataclasses.replace(QUICK, restart_on="loss", max_restarts=2)  # 17 steps an epoch


def test_on_loss_a_network_that_learns_nothing_keeps_its_accuracy(digits, monkeypatch):
    recipe = dataclasses.replace(ON_LOSS, learning_rate=1e-12, epochs=3)
    scaled_losses(monkeypatch, lambda step: 1 - step / 100)
    result = train(SMALL, digits, recipe)
    assert result.status == "ok"
    assert result.accuracy == max(result.curve) < 0.3
    assert len(result.curve) == 3
    assert result.learning_rate == recipe.learning_rate


def test_on_loss_a_loss_that_did_not_fall_in_30_steps_restarts(digits, monkeypatch, learning_rates):
    scaled_losses(monkeypatch, lambda step: 1 + step)
    result = train(SMALL, digits, dataclasses.replace(ON_LOSS, epochs=5))
    assert result.status == "diverged"
    assert result.message == "the loss did not fall at 3 learning rates down to 0.00048"
    assert len(result.curve) == 2  # the first epoch by which 30 steps were done
    assert len(learning_rates) == 3 * 2 * 17


@pytest.mark.parametrize(("epochs", "rises_from"), [(1, 1), (4, 34)])
def test_on_loss_is_judged_once_and_not_before_30_steps(digits, monkeypatch, epochs, rises_from):
    scaled_losses(monkeypatch, lambda step: 1 if step < rises_from else 1000)
    result = train(SMALL, digits, dataclasses.replace(ON_LOSS, epochs=epochs))
    assert result.status == "ok"
    assert result.learning_rate == QUICK.learning_rate


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_on_loss_a_loss_that_is_not_finite_restarts_in_any_epoch(digits, monkeypatch, epoch):
    step_of_epoch = 17 * epoch - 1
    scaled_losses(monkeypatch, lambda step: float("nan") if step == step_of_epoch else 1)
    result = train(SMALL, digits, dataclasses.replace(ON_LOSS, epochs=3))
    assert result.status == "ok"
    assert len(result.curve) == 3
    assert result.learning_rate == pytest.approx(QUICK.learning_rate * QUICK.restart_factor)


def test_on_loss_the_message_tells_each_failure(digits, monkeypatch):
    scaled_losses(monkeypatch, lambda step: float("nan") if step == 0 else 1 + step)
    result = train(SMALL, digits, dataclasses.replace(ON_LOSS, epochs=2))
    assert result.status == "diverged"
    assert result.message == (
        "the loss was not finite at 1 and the loss did not fall at 2 learning rates down to 0.00048"
    )


def test_the_time_limit_is_a_timeout(digits):
    recipe = dataclasses.replace(QUICK, epochs=10_000, time_limit=0.5)
    result = train(SMALL, digits, recipe)
    assert result.status == "timeout"
    assert result.accuracy == max(result.curve, default=0.0)
    assert "0.5 seconds" in result.message


def test_an_allocation_that_fails_is_out_of_memory(digits):
    colossal = Architecture.parse("[C(999999999,999,1), SM(10)]")  # 4 PB of weights
    result = train(colossal, digits, QUICK)
    assert result.status == "out_of_memory"
    assert result.accuracy == 0.0
    assert result.parameters > 9.9e14


def test_an_error_of_the_device_is_an_error(digits, monkeypatch):
    def broken(*args):
        raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED\nstack")

    monkeypatch.setattr(loop.nn.functional, "cross_entropy", broken)
    result = train(SMALL, digits, QUICK)
    assert (result.status, result.message) == (
        "error",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    )


def test_training_and_validation_images_are_disjoint_and_balanced():
    data = load_dataset("digits")
    recipe = dataclasses.replace(QUICK, train_size=500)
    split = TrainingData(data, recipe, CPU)
    train_rows = {image.tobytes() for image in split.train.batch(torch.arange(500)).numpy()}
    validation = split.validation.batch(torch.arange(360)).numpy()
    assert len(split.train) == 500
    assert len(split.validation) == 360
    assert not train_rows & {image.tobytes() for image in validation}
    for part in (split.train, split.validation):
        share = np.bincount(part.labels.numpy()) / len(part)
        assert np.abs(share - np.bincount(data.labels) / len(data.labels)).max() < 0.005


def test_a_data_set_s_own_validation_images_are_all_used_and_nothing_is_split_off():
    data, validation = load_dataset("digits"), load_dataset("digits", part="test")
    split = TrainingData(data, QUICK, CPU, validation=validation)
    assert (len(split.train), len(split.validation)) == (1437, 360)
    shown = split.validation.batch(torch.arange(360)).numpy()
    assert np.array_equal(shown, validation.images.astype(np.float32))
    assert split.chance == np.bincount(validation.labels).max() / 360
    fewer = TrainingData(data, dataclasses.replace(QUICK, train_size=500), CPU, None, validation)
    assert (len(fewer.train), len(fewer.validation)) == (500, 360)


def test_inputs_are_standardised_by_the_training_images(digits):
    inputs = digits.inputs(digits.train, torch.arange(len(digits.train)))
    assert float(inputs.mean()) == pytest.approx(0, abs=1e-4)
    assert float(inputs.std()) == pytest.approx(1, abs=1e-3)


def test_chance_is_the_commonest_class():
    labels = np.repeat([0, 1], [300, 100])
    images = np.random.default_rng(0).integers(0, 256, (400, 1, 4, 4), dtype=np.uint8)
    data = make_image_data(images, labels, ("many", "few"))
    assert TrainingData(data, Recipe(validation_size=0.2), CPU).chance == 0.75
