"""One network, one recipe: the paper's loop, and failures as results."""

import dataclasses
import itertools
import time

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gym_cnnarch import Architecture
from train_eval.data.image_data import make_image_data
from train_eval.data.sources import load_dataset
from train_eval.training import device, loop
from train_eval.training.batches import TrainingData, chance, shuffled_batches
from train_eval.training.evaluator import TrainingEvaluator
from train_eval.training.loop import train
from train_eval.training.metrics import score
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
    result = train(SMALL, digits, QUICK, 0, lambda epoch, accuracy, loss: epochs.append(accuracy))
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

    def poisoned(*args, **settings):
        calls.append(1)
        steps_per_epoch = -(-len(digits.train) // QUICK.batch_size)
        factor = float("nan") if len(calls) > steps_per_epoch else 1.0
        return cross_entropy(*args, **settings) * factor

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
        lambda *args, **settings: cross_entropy(*args, **settings) * factors(next(steps)),
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
    def broken(*args, **settings):
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
    kept = validation.labels < 4  # images of four classes; a constant answer is right about one
    four = dataclasses.replace(
        validation, images=validation.images[kept], labels=validation.labels[kept]
    )
    balanced = dataclasses.replace(QUICK, metric="balanced_accuracy")
    assert TrainingData(data, balanced, CPU, validation=validation).chance == 0.1
    assert TrainingData(data, balanced, CPU, validation=four).chance == 0.25


def test_inputs_are_standardised_by_the_training_images(digits):
    inputs = digits.inputs(digits.train, torch.arange(len(digits.train)))
    assert float(inputs.mean()) == pytest.approx(0, abs=1e-4)
    assert float(inputs.std()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((36,) * 10, 0.1),  # balanced: a constant answer
        ((2500, 2500), 0.5),
        ((320, 80), 0.541125),  # 1.645 standard deviations above one half
        ((16, 16), 0.5),
        ((60, 0, 0), 0.433445),
    ],
)
def test_chance_is_a_guess_and_a_constant_answer_at_most(counts, expected):
    assert chance(np.array(counts)) == pytest.approx(expected, abs=1e-6)


def unbalanced():
    """400 images of noise, a quarter of them a little brighter and of another class."""
    labels = np.repeat([0, 1], [300, 100])
    images = np.random.default_rng(0).integers(0, 156, (400, 1, 8, 8), dtype=np.uint8)
    images[300:] += 20
    return make_image_data(images, labels, ("many", "few"))


def test_a_guess_beats_chance_one_time_in_twenty():
    beyond = chance(np.array([900, 100]))
    guessed = np.random.default_rng(0).binomial(1000, 0.5, 100_000) / 1000
    assert np.mean(guessed > beyond) == pytest.approx(0.05, abs=0.005)


def test_a_rule_that_changed_names_another_task(tmp_path):
    data = unbalanced()
    np.savez(tmp_path / "x.npz", x_train=data.images[:, 0], y_train=data.labels)
    tasks = [
        TrainingEvaluator(f"npz:{tmp_path / 'x.npz'}", recipe=recipe, device="cpu").task
        for recipe in (
            {"validation_size": 0.2},
            {"validation_size": 0.2, "max_restarts": 0},
            {"validation_size": 0.2, "restart_on": "loss"},
            {"validation_size": 0.2, "metric": "balanced_accuracy"},
        )
    ]
    assert len(set(tasks)) == 4


def test_the_metric_of_unbalanced_data_is_the_mean_recall():
    answers, labels = torch.tensor([0, 0, 0, 0, 2, 1]), torch.tensor([0, 0, 0, 0, 2, 2])
    assert score("accuracy", answers == labels, labels) == 5 / 6
    assert score("balanced_accuracy", answers == labels, labels) == 0.75  # no image of class 1


def test_the_recipe_s_metric_is_measured_after_each_epoch():
    data = unbalanced()
    recipe = Recipe(epochs=2, validation_size=0.2, learning_rate=1e-12, max_restarts=0)
    network = Architecture.parse("[SM(2)]")
    shares = train(network, TrainingData(data, recipe, CPU), recipe).curve
    recipe = dataclasses.replace(recipe, metric="balanced_accuracy")
    balanced = TrainingData(data, recipe, CPU)
    assert balanced.chance == 0.5
    recalls = train(network, balanced, recipe).curve
    assert shares != recalls
    few = 20  # of 80 validation images
    hits = [round(share * 80) for share in shares]
    for hit, recall in zip(hits, recalls, strict=True):
        possible = [(i / few + (hit - i) / (80 - few)) / 2 for i in range(few + 1)]
        assert min(abs(recall - value) for value in possible) < 1e-9


@pytest.mark.parametrize("restart_on", ["chance", "loss"])
def test_without_restarts_a_network_that_learns_nothing_keeps_its_accuracy(
    digits, monkeypatch, learning_rates, restart_on
):
    recipe = dataclasses.replace(
        QUICK, learning_rate=1e-12, max_restarts=0, restart_on=restart_on, epochs=3
    )
    monkeypatch.setattr(digits, "chance", 1.0)
    scaled_losses(monkeypatch, lambda step: 1 + step)
    result = train(SMALL, digits, recipe)
    assert result.status == "ok"
    assert result.accuracy == max(result.curve)
    assert len(learning_rates) == 3 * 17


def test_without_restarts_a_loss_that_is_not_finite_is_diverged(digits, monkeypatch):
    scaled_losses(monkeypatch, lambda step: float("nan"))
    result = train(SMALL, digits, dataclasses.replace(QUICK, max_restarts=0))
    assert (result.status, len(result.curve)) == ("diverged", 1)


def test_time_in_which_the_process_does_not_work_is_not_counted(digits):
    recipe = dataclasses.replace(QUICK, time_limit=1.5)
    result = train(SMALL, digits, recipe, 0, lambda epoch, accuracy, loss: time.sleep(1))
    assert result.status == "ok"
    assert 0 < result.train_seconds <= recipe.time_limit  # it slept for longer


def test_on_a_gpu_a_step_counts_a_second_at_most(monkeypatch):
    clock = iter([10.0, 10.5, 110.5, 110.75])
    monkeypatch.setattr(device.time, "monotonic", lambda: next(clock))
    stopwatch = device.Stopwatch(torch.device("cuda"))
    assert [stopwatch.seconds() for _ in range(3)] == [0.5, 1.5, 1.75]


def test_batch_normalisation_has_no_batch_of_one_image():
    """Where a network has made one position of it, torch cannot normalise it."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (45, 1, 8, 8), dtype=np.uint8)
    recipe = Recipe(epochs=1, batch_size=32, validation_size=12, batch_norm=True, restart_on="loss")
    data = TrainingData(make_image_data(images, np.arange(45) % 2, ["a", "b"]), recipe, CPU)
    assert len(data.train) % recipe.batch_size == 1
    network = Architecture.parse(f"[{'C(4,3,1), P(2,2), ' * 3}C(4,1,1), SM(2)]")
    assert train(network, data, recipe).status == "ok"
    alone = dataclasses.replace(recipe, batch_size=1)
    failed = train(network, data, alone)
    assert failed.status == "error"
    assert "more than 1 value per channel" in failed.message


@pytest.mark.parametrize(("images", "batch_norm", "sizes"), [
    (65, True, [32, 33]), (65, False, [32, 32, 1]), (66, True, [32, 32, 2]), (1, True, [1]),
])  # fmt: skip
def test_batches_are_all_images_once(images, batch_norm, sizes):
    batches = shuffled_batches(images, 32, batch_norm, CPU)
    assert [len(batch) for batch in batches] == sizes
    assert torch.cat(batches).sort().values.tolist() == list(range(images))
