"""Learning rates over the steps, moving averages, and images changed at random."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from gym_cnnarch import Architecture
from train_eval.data.sources import load_dataset
from train_eval.training.augmentation import augment, mirrors, translated
from train_eval.training.batches import TrainingData
from train_eval.training.evaluator import TrainingEvaluator
from train_eval.training.loop import train
from train_eval.training.network import build_network, fold_batch_norm
from train_eval.training.optimizers import WeightAverage, make_optimizer
from train_eval.training.recipe import Recipe
from train_eval.training.schedules import one_cycle

CPU = torch.device("cpu")
SMALL = Architecture.parse("[C(8,3,1), C(8,3,1), P(2,2), SM(10)]")
SHORT = Recipe(
    epochs=2, batch_size=64, validation_size=360, learning_rate=0.003, train_size=256,
    restart_on="loss", dropout=False,
)  # fmt: skip


def curve(**settings):
    recipe = dataclasses.replace(SHORT, **settings)
    return train(SMALL, TrainingData(load_dataset("digits"), recipe, CPU), recipe).curve


def test_one_cycle_rises_linearly_and_falls_to_zero():
    rates = [one_cycle(2.0, i / 100) for i in range(101)]
    assert rates[15] == pytest.approx(1.0)
    assert max(rates) == rates[30] == 2.0
    assert rates[65] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0)
    assert rates[30:] == sorted(rates[30:], reverse=True)


@pytest.mark.parametrize(("images", "epochs"), [(200, 86), (1000, 38), (19_200, 4), (60_000, 4)])
def test_of_few_images_there_are_as_many_steps(images, epochs):
    recipe = Recipe(epochs=4, batch_size=64, steps=600 if images == 1000 else 344)
    assert recipe.epochs_of(images) == epochs


def test_the_paper_s_steps_stretch_with_the_epochs():
    recipe = Recipe(epochs=4, decay=0.5, decay_every=2)
    assert [recipe.rate(epoch, 0.9, 4) for epoch in range(4)] == [1, 1, 0.5, 0.5]
    assert [recipe.rate(epoch, 0.9, 8) for epoch in range(8)] == [1] * 4 + [0.5] * 4


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "weight_decay": 0.9}, {"optimizer": "sgd"}, {"steps": 20},
        {"schedule": "one-cycle"}, {"label_smoothing": 0.2}, {"averaging": 0.9},
        {"mirror": True}, {"translation": 1}, {"colour": 0.2}, {"weight_decay": 0.1},
    ],
)  # fmt: skip
def test_each_setting_changes_the_training_and_repeats(settings):
    changed = curve(**settings)
    assert changed != curve()
    assert changed == curve(**settings)


def test_what_is_switched_off_changes_nothing():
    assert curve() == curve(
        weight_decay=0.0, label_smoothing=0.0, averaging=0.0, mirror=False, steps=2
    )


def test_adamw_decays_weights_apart_from_the_gradient():
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = make_optimizer("adamw", [weight], 0.1, weight_decay=0.5)
    weight.grad = torch.zeros(1)
    optimizer.step()
    assert weight.item() == pytest.approx(2 * (1 - 0.1 * 0.5))


def test_the_average_is_that_of_the_steps():
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, 0.5)
    mean = network.weight.item()
    for step in range(1, 15):
        with torch.no_grad():
            network.weight.fill_(step)
        average.follow(network)
        decay = min(0.5, step / (step + 9))
        mean = decay * mean + (1 - decay) * step
    assert average.network.weight.item() == pytest.approx(mean)


def test_the_average_follows_what_batch_normalisation_counts():
    network = build_network(SMALL, (1, 8, 8), 10, batch_norm=True)
    average = WeightAverage(network, 0.5)
    means = {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(1, 4):
        network(torch.randn(16, 1, 8, 8))
        average.follow(network)
        decay = min(0.5, step / (step + 9))
        for name, value in network.state_dict().items():
            counted = not value.is_floating_point()
            means[name] = value if counted else decay * means[name] + (1 - decay) * value
    for name, value in average.network.state_dict().items():
        assert torch.allclose(value, means[name]), name


def test_classes_weigh_the_same():
    data = load_dataset("digits")
    keep = np.concatenate([np.flatnonzero(data.labels == c)[: 10 + 10 * c] for c in range(10)])
    some = dataclasses.replace(data, images=data.images[keep], labels=data.labels[keep])
    recipe = dataclasses.replace(SHORT, validation_size=50, train_size=None)
    split = TrainingData(some, recipe, CPU)
    weights, counts = split.class_weights(), torch.bincount(split.train.labels)
    assert (weights * counts).tolist() == pytest.approx([len(split.train) / 10] * 10)


def test_batch_normalisation_folds_into_the_network_without_it():
    network = build_network(SMALL, (1, 8, 8), 10, batch_norm=True)
    network(torch.randn(64, 1, 8, 8) * 3 + 1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight)
            nn.init.uniform_(module.bias)
    images = torch.randn(5, 1, 8, 8)
    folded = build_network(SMALL, (1, 8, 8), 10)
    folded.load_state_dict(fold_batch_norm(network.eval()).state_dict())
    assert torch.allclose(folded(images), network(images), atol=1e-5)


def test_images_are_mirrored_and_moved():
    images = torch.zeros(400, 1, 9, 9)
    images[:, 0, 4, 4], images[:, 0, 4, 5] = 1.0, 2.0
    found = augment(images, True, 2)
    assert (found.sum(dim=(1, 2, 3)) == 3).all()
    bright = (found[:, 0] == 1).nonzero()[:, 1:]
    assert set(bright[:, 0].tolist()) == {2, 3, 4, 5, 6}
    right = [(found[i, 0] == 2).nonzero()[0, 1] > bright[i, 1] for i in range(400)]
    assert 0.4 < np.mean(right) < 0.6
    assert torch.equal(augment(images, False, 0), images)


def test_colours_change_by_channel_within_their_bounds():
    images = torch.ones(500, 3, 4, 4)
    found = augment(images, False, 0, 0.2)
    assert (found == found[:, :, :1, :1]).all()
    assert found.min() < 0.75
    assert found.min() >= 1 - 0.2 - 0.2
    assert found.max() > 1.25
    assert not torch.equal(found[:, 0], found[:, 1])


def test_an_image_is_moved_by_an_eighth_of_its_side_unless_asked():
    assert [translated(None, side) for side in (4, 8, 28, 32)] == [0, 1, 3, 4]
    assert translated(2, 32) == 2


def test_few_images_of_one_s_own_are_learned(tmp_path):
    """160 images, of which one in five has a brighter patch."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 156, (160, 16, 16), dtype=np.uint8)
    labels = np.arange(160) % 5 == 0
    for chosen in np.flatnonzero(labels):
        row, column = rng.integers(0, 13, 2)
        images[chosen, row : row + 4, column : column + 4] += 100
    np.savez(tmp_path / "x.npz", x_train=images, y_train=labels.astype(np.int64))
    recipe = {"preset": "own-quick", "metric": "balanced_accuracy"}
    evaluator = TrainingEvaluator(f"npz:{tmp_path / 'x.npz'}", recipe=recipe, device="cpu")
    result = evaluator.train(Architecture.parse("[C(8,3,1), P(2,2), C(8,3,1), GAP(2)]"))
    assert result.status == "ok"
    assert result.accuracy > 0.9


@pytest.mark.parametrize(
    ("dataset", "channels", "expected"),
    [
        ("digits", 1, False), ("svhn", 3, False), ("cifar10", 3, True), ("fashionmnist", 1, True),
        ("folder:X", 3, True), ("npz:X", 1, False),
    ],
)  # fmt: skip
def test_digits_and_grey_images_of_one_s_own_are_not_mirrored(dataset, channels, expected):
    assert mirrors(None, dataset, channels) is expected
    assert mirrors(True, dataset, channels)
    assert not mirrors(False, dataset, channels)
