"""Final recipes: schedules, augmentation, normalisation, and what is refused."""

import pytest
import torch

from gym_cnnarch import InvalidInput
from train_eval.final.network.trained_network import ContrastNormalisation
from train_eval.final.recipe import PRESETS, FinalRecipe


def test_contrast_normalisation():
    images = torch.randint(0, 256, (5, 3, 8, 8)).float()
    images[4] = 7.0
    found = ContrastNormalisation()(images).numpy()
    for image, raw in zip(found[:4], images.numpy()[:4], strict=True):
        assert image == pytest.approx((raw - raw.mean()) / raw.std(), abs=1e-4)
    assert (found[4] == 0).all()


def test_schedules():
    paper = PRESETS["paper-final"]
    assert paper.epochs == 300
    rates = [paper.learning_rate(epoch, 0.5) for epoch in (0, 39, 40, 79, 80, 239, 240, 299)]
    assert rates == [0.025, 0.025, 0.0125, 0.0125, 0.0001, 0.0001, 0.00001, 0.00001]
    cycle = FinalRecipe(steps=((0.1, 10),), one_cycle=True)
    rates = [cycle.learning_rate(epoch, 0.0) for epoch in range(10)]
    assert max(rates) == rates[3] == 0.1
    assert rates[0] < 0.01
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert cycle.learning_rate(9, 1.0) == pytest.approx(0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": []}, {"steps": [[0.1, 0]]}, {"steps": "fast"}, {"momentum": 1},
        {"normalisation": "none"}, {"batch_size": 0}, {"translation": -1}, {"epochs": 5},
        {"preset": "best"}, {"one_cycle": True, "steps": [[0.1, 1], [0.01, 1]]},
        {"mirror": "no"}, {"dropout": 1}, {"momentum": "high"}, {"steps": [[0.1, 2.7]]},
    ],
)  # fmt: skip
def test_recipes_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidInput):
        FinalRecipe.from_spec(wrong)
