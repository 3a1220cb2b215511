"""The recipes of published results, re-derived by a plain loop, and to the digit as they were."""

import hashlib

import pytest
import torch
from sklearn.model_selection import train_test_split
from torch import nn

from gym_cnnarch import Architecture
from train_eval.data.sources import load_dataset
from train_eval.training.device import one_thread
from train_eval.training.evaluator import TrainingEvaluator
from train_eval.training.network import build_network

SMALL = "[C(8,3,1), P(2,2), SM(10)]"
LARGE = "[C(16,3,1), C(16,3,1), P(2,2), FC(32), SM(10)]"
PAPER = {"preset": "paper", "epochs": 6, "validation_size": 360}


def plain_curve(text, epochs, batch, rate, decay, decay_every, dropout=True):
    """Hits of 360 validation digits after each epoch: Adam, steps, nothing else."""
    data = load_dataset("digits")
    labels = torch.from_numpy(data.labels)
    rows = range(len(labels))
    train, held_out = train_test_split(rows, test_size=360, stratify=labels, random_state=0)
    train, held_out = torch.tensor(sorted(train)), torch.tensor(sorted(held_out))
    images = torch.from_numpy(data.images).float()
    values = data.images[train.numpy()].astype(float)
    images = (images - torch.tensor(values.mean()).float()) / torch.tensor(values.std()).float()
    images = images.contiguous(memory_format=torch.channels_last)
    digest = hashlib.sha256(f"0:{text}".encode()).digest()
    hits = []
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        network = build_network(Architecture.parse(text), (1, 8, 8), 10, dropout)
        network = network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
        for epoch in range(epochs):
            optimizer.param_groups[0]["lr"] = rate * decay ** (epoch // decay_every)
            network.train()
            for some in torch.randperm(len(train)).split(batch):
                optimizer.zero_grad()
                rows = train[some]
                nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                answers = network.eval()(images[held_out]).argmax(1)
            hits.append(int((answers == labels[held_out]).sum()))
    return hits


@pytest.mark.parametrize("text", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("recipe", "plain"),
    [(PAPER, (6, 128, 0.001, 0.2, 5)), ("digits", (12, 32, 0.003, 0.2, 6))],
)
def test_a_plain_loop_gives_the_same_curve(text, recipe, plain):
    result = TrainingEvaluator("digits", recipe=recipe, device="cpu").train(
        Architecture.parse(text)
    )
    assert [round(360 * accuracy) for accuracy in result.curve] == plain_curve(text, *plain)


LAW = [
    (PAPER, SMALL, [50, 76, 112, 135, 158, 164], 177),
    (PAPER, LARGE, [141, 185, 244, 282, 290, 302], 293),
    ("digits", SMALL, [213, 304, 324, 323, 329, 331, 333, 332, 333, 332, 333, 334], 333),
    ("digits", LARGE, [293, 327, 335, 342, 343, 344, 347, 346, 349, 348, 349, 350], 351),
    (
        {"preset": "digits", "batch_norm": True, "restart_on": "loss", "epochs": 3},
        LARGE,
        [253, 313, 327],
        324,
    ),
]


@pytest.mark.parametrize(("recipe", "text", "hits", "tested"), LAW)
def test_results_are_as_they_were(recipe, text, hits, tested):
    """Exactly on the machine that they are from; other CPUs may add in another order."""
    evaluator = TrainingEvaluator("digits", recipe=recipe, device="cpu", test=True)
    result = evaluator.train(Architecture.parse(text))
    found = [round(360 * accuracy) for accuracy in (*result.curve, result.test_accuracy)]
    assert found == pytest.approx([*hits, tested], abs=4)


def test_restarts_are_as_they_were():
    recipe = {"preset": "digits", "learning_rate": 1e4, "restart_factor": 1e-2, "epochs": 3}
    evaluator = TrainingEvaluator("digits", recipe=recipe, device="cpu")
    result = evaluator.train(Architecture.parse(SMALL))
    assert result.learning_rate == pytest.approx(0.01)
    assert [360 * a for a in result.curve] == pytest.approx([317, 330, 339], abs=4)
