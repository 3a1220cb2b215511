"""Final trainings as tests ask for them, and their weights."""

import torch
from safetensors.torch import load_file

from train_eval.final.recipe import FinalRecipe
from train_eval.final.training import FinalTask


def task(folder, epochs=3, **settings):
    recipe = {"preset": "digits-final", "steps": [[0.05, epochs]], **settings}
    return FinalTask("digits", None, None, FinalRecipe.from_spec(recipe), "cpu", str(folder), {})


def weights(path):
    return load_file(path.with_suffix(".safetensors"))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
