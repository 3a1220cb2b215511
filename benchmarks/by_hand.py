"""A network written by hand against search and final training, for equal time on one core or a GPU.

By hand: four convolutions of 3x3 (16, 32, 32, 64 filters) with batch normalisation, three poolings
and a linear classifier (38,458 parameters for 28x28 grey images), trained by AdamW with a learning
rate that falls along a cosine over the given time; the epoch that is best by the validation images
is tested. Searched: what `cnnarch fit` does. Both train on the same images, hold out the same for
the last choice, and open the same test images once. Seconds are those that the process and its
workers have of the processor, imports included in neither:

    OMP_NUM_THREADS=1 python benchmarks/by_hand.py --dataset digits --minutes 2 --seeds 0 1 2

With `--device cuda` seconds are a clock's, and the network by hand has four times the filters, as
the searched ones may have there, where wide networks take hardly longer.
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from command import run
from torch import nn

from gym_cnnarch import Architecture, SearchSpace
from gym_cnnarch.space.shapes import count_parameters
from train_eval import fit
from train_eval.data.sources import load_own_validation, load_train_and_test
from train_eval.environments import with_absolute_places
from train_eval.final.data import FinalData
from train_eval.final.network.trained_network import make_normalisation
from train_eval.final.recipe import FinalRecipe
from train_eval.run.fit import GPU_SPACE, SPACE
from train_eval.search.usual import usual_networks
from train_eval.training.batches import Images

BY_HAND = ((16, False), (32, True), (32, True), (64, True))
"""Filters of each convolution, and whether a pooling follows."""

WIDER_ON_GPU = 4
"""Times the filters."""


def cpu_seconds() -> float:
    """Of this process and of its workers that have ended."""
    return sum(os.times()[:4])


def clock_of(device: torch.device) -> Callable[[], float]:
    """What tells the seconds that either side has."""
    return cpu_seconds if device.type == "cpu" else time.monotonic


def network_by_hand(shape: tuple[int, int, int], num_classes: int, wider: int = 1) -> nn.Sequential:
    channels, size, _ = shape
    layers: list[nn.Module] = []
    for narrow, pooled in BY_HAND:
        filters = narrow * wider
        layers += [
            nn.Conv2d(channels, filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
        ]
        if pooled and size > 1:
            layers.append(nn.MaxPool2d(2))
            size //= 2
        channels = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * size * size, num_classes))


def train_by_hand(
    data: FinalData, test: Images, seconds: float, seed: int, rate: float = 0.003, batch: int = 64
) -> tuple[float, int, int]:
    """Test accuracy of the epoch that is best on the validation images, parameters, epochs."""
    torch.manual_seed(seed)
    device, clock = data.device, clock_of(data.device)
    wider = WIDER_ON_GPU if device.type == "cuda" else 1
    network = network_by_hand(data.input_shape, len(data.class_names), wider)
    network = network.to(device, memory_format=torch.channels_last)
    normalise = make_normalisation(data.normalisation).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, fused=True)

    @torch.no_grad()
    def accuracy(images: Images) -> float:
        network.eval()
        hits = 0
        for some in torch.arange(len(images), device=device).split(256):
            answers = network(normalise(images.batch(some))).argmax(1)
            hits += int((answers == images.labels[some]).sum())
        return hits / len(images)

    started, best, kept, epochs = clock(), -1.0, None, 0
    while (done := (clock() - started) / seconds) < 1:
        network.train()
        for some in torch.randperm(len(data.images)).to(device).split(batch):
            done = min(1.0, (clock() - started) / seconds)
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * done)) / 2
            pixels = normalise(data.images.batch(some))
            logits = network(pixels.contiguous(memory_format=torch.channels_last))
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, data.images.labels[some]).backward()
            optimizer.step()
            if done >= 1:
                break
        epochs += 1
        judged = accuracy(data.validation)
        if judged >= best:
            best = judged
            kept = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return accuracy(test), sum(p.numel() for p in network.parameters()), epochs


@dataclass(frozen=True)
class Searched:
    """What search and final training came to."""

    accuracy: float
    parameters: int
    how: str


def in_words(data: FinalData) -> str:
    """The network by hand as text, as far as it keeps the rules of the space."""
    known = {"input_shape": data.input_shape, "num_classes": len(data.class_names)}
    space = GPU_SPACE if data.device.type == "cuda" else SPACE
    return str(usual_networks(SearchSpace.from_spec(space, **known))[0])


def search_and_train(
    dataset: str, image_size: int | None, seconds: float, seed: int, max_parameters: int | None,
    device: torch.device,
) -> Searched:  # fmt: skip
    """What ``cnnarch fit`` does on one core or on a GPU."""
    said: list[str] = []
    clock = clock_of(device)
    started = clock()
    with tempfile.TemporaryDirectory() as place:
        run = fit(
            dataset, hours=seconds / 3600, run_dir=Path(place) / "run", seed=seed,
            device=str(device), recipe={"image_size": image_size},
            search_space={"max_parameters": max_parameters}, executor="inline", tell=said.append,
            clock=clock,
        )  # fmt: skip
        assert run.final is not None
        best = run.final.networks[0]
    spent = clock() - started
    how = f"{said[-1]} {spent:.0f} s in all. {best.architecture}"
    return Searched(1 - (best.test_error or 0.0), best.parameters, how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--minutes", type=float, default=2.0, help="each, of one core or the GPU")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--no-larger", action="store_true", help="no more parameters than by hand")
    parser.add_argument("--only", choices=("hand", "search"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = with_absolute_places({"dataset": arguments.dataset})["dataset"]
    size, seconds = arguments.image_size, 60 * arguments.minutes
    train, test = load_train_and_test(dataset, None, size)
    own = load_own_validation(dataset, train, None, size)
    device = torch.device(arguments.device)
    data = FinalData(dataset, train, own, size, FinalRecipe.from_spec("own-final"), device)
    tested = Images(test, np.arange(len(test.labels)), device)
    print(
        f"{dataset}, {len(data.images)} images, {len(test.labels)} to test, {seconds:.0f} s of "
        f"{device}, test accuracy", flush=True,
    )  # fmt: skip
    found: dict[str, list[float]] = {"by hand": [], "searched": []}
    for seed in arguments.seeds:
        if arguments.only != "search":
            hand, parameters, epochs = train_by_hand(data, tested, seconds, seed)
            found["by hand"].append(hand)
            how = f"{parameters:,} parameters, {epochs} epochs"
            print(f"seed {seed}  by hand   {hand:.2%}  {how}", flush=True)
        if arguments.only != "hand":
            largest = None
            if arguments.no_larger:
                largest = count_parameters(Architecture.parse(in_words(data)), data.input_shape)
            one = search_and_train(dataset, size, seconds, seed, largest, device)
            found["searched"].append(one.accuracy)
            how = f"{one.parameters:,} parameters, {one.how}"
            print(f"seed {seed}  searched  {one.accuracy:.2%}  {how}", flush=True)
    for name, values in found.items():
        if values:
            print(f"{name:8}  mean {np.mean(values):.2%}, {min(values):.2%} to {max(values):.2%}")


if __name__ == "__main__":
    started = time.monotonic()
    run(main)
    print(f"{time.monotonic() - started:.0f} seconds")
