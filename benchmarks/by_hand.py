"""A network written by hand against search and final training, for equal CPU time on one core.

By hand: four convolutions of 3x3 (16, 32, 32, 64 filters) with batch normalisation, three poolings
and a linear classifier (38,458 parameters for 28x28 grey images), trained by AdamW with a learning
rate that falls along a cosine over the given time; the epoch that is best by the validation images
is tested. Search: a share of the time goes to a search with the recipe `own-quick`, the rest to the
final training of its best networks with `own-final`, as many epochs as fit. Both train on the same
images, hold out the same for the last choice, and open the same test images once. CPU seconds are
those of the process and its workers, imports included in neither:

    OMP_NUM_THREADS=1 python benchmarks/by_hand.py --dataset digits --minutes 2 --seeds 0 1 2
"""

import argparse
import dataclasses
import math
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from train_eval import run_search
from train_eval.data.sources import load_own_validation, load_train_and_test
from train_eval.environments import with_absolute_places
from train_eval.final.data import FinalData
from train_eval.final.recipe import FinalRecipe
from train_eval.final.trained_network import make_normalisation
from train_eval.search.search import Learned, Search
from train_eval.training.batches import Images

SPACE = {"preset": "small", "max_layers": 6, "conv_filters": [16, 32]}
FINALISTS = 2


def cpu_seconds() -> float:
    """Of this process and of its workers that have ended."""
    return sum(os.times()[:4])


def network_by_hand(shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
    channels, size, _ = shape
    layers: list[nn.Module] = []
    for filters, pooled in ((16, False), (32, True), (32, True), (64, True)):
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
    network = network_by_hand(data.input_shape, len(data.class_names))
    network = network.to(memory_format=torch.channels_last)
    normalise = make_normalisation(data.normalisation)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, fused=True)

    @torch.no_grad()
    def accuracy(images: Images) -> float:
        network.eval()
        hits = 0
        for some in torch.arange(len(images)).split(256):
            answers = network(normalise(images.batch(some))).argmax(1)
            hits += int((answers == images.labels[some]).sum())
        return hits / len(images)

    started, best, kept, epochs = cpu_seconds(), -1.0, None, 0
    while (done := (cpu_seconds() - started) / seconds) < 1:
        network.train()
        for some in torch.randperm(len(data.images)).split(batch):
            done = min(1.0, (cpu_seconds() - started) / seconds)
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


def search_and_finalize(
    dataset: str, image_size: int | None, data: FinalData, seconds: float, seed: int,
    networks: int, share: float, agent: str,
) -> tuple[float, float, int, str]:  # fmt: skip
    """Test accuracies of the best network and of the ensemble, its parameters, what was done."""
    started = cpu_seconds()

    def within_time(search: Search) -> Iterable[Learned]:
        for learned in search:
            yield learned
            if cpu_seconds() - started > share * seconds:
                return

    recipe = {"preset": "own-quick", "time_limit": share * seconds / 8, "image_size": image_size}
    with tempfile.TemporaryDirectory() as folder:
        run = run_search(
            "CNNArch-v0", agent, networks, run_dir=Path(folder) / "run", seed=seed,
            executor="inline", follow=within_time, dataset=dataset, search_space=SPACE,
            recipe=recipe, device="cpu",
        )  # fmt: skip
        tried = run.summary.networks
        spent = cpu_seconds() - started
        left = seconds - spent
        best = run.summary.best[:FINALISTS]
        seen = data_seen(recipe, len(data.images) / 0.9)
        share_of_clock = spent / sum(row.train_seconds for row in tried)  # others may work here
        an_epoch = sum(row.train_seconds for row in best) / seen * len(data.images)
        an_epoch *= min(1.0, share_of_clock)
        epochs = max(1, int(0.85 * left / an_epoch))  # moved images and tests cost a little
        final = FinalRecipe.from_spec({"preset": "own-final", "steps": [[0.01, epochs]]})
        final = dataclasses.replace(final, least_steps=None)
        results = run.finalize(final, FINALISTS, FINALISTS, seed=seed, workers=1, device="cpu")
    spent = cpu_seconds() - started
    what = f"{len(tried)} networks, {epochs} final epochs, {spent:.0f} CPU s"
    first = results.networks[0]
    what += f", {first.architecture}"
    return 1 - first.test_error, 1 - results.ensemble_error, first.parameters, what


def data_seen(recipe: dict[str, object], images: float) -> float:
    """Images that a training of the search sees in all its epochs."""
    from train_eval.training.recipe import Recipe

    full = Recipe.from_spec(recipe)
    count = min(int(images * (1 - full.validation_size)), full.train_size or int(images))
    return full.epochs_of(count) * count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--minutes", type=float, default=2.0, help="of CPU time, each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--networks", type=int, default=30, help="most of a search")
    parser.add_argument("--search-share", type=float, default=0.5, help="of the time")
    parser.add_argument("--agent", default="metaqnn")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = with_absolute_places({"dataset": arguments.dataset})["dataset"]
    size, seconds = arguments.image_size, 60 * arguments.minutes
    train, test = load_train_and_test(dataset, None, size)
    own = load_own_validation(dataset, train, None, size)
    cpu = torch.device("cpu")
    data = FinalData(dataset, train, own, size, FinalRecipe.from_spec("own-final"), cpu)
    tested = Images(test, np.arange(len(test.labels)), cpu)
    print(f"{dataset}, {len(data.images)} images, {seconds:.0f} CPU seconds, test accuracy")
    found: dict[str, list[float]] = {"by hand": [], "search": [], "its ensemble": []}
    for seed in arguments.seeds:
        hand, parameters, epochs = train_by_hand(data, tested, seconds, seed)
        found["by hand"].append(hand)
        print(f"seed {seed}  by hand   {hand:.2%}  {parameters:,} parameters, {epochs} epochs")
        one, several, parameters, what = search_and_finalize(
            dataset, size, data, seconds, seed, arguments.networks, arguments.search_share,
            arguments.agent,
        )  # fmt: skip
        found["search"].append(one)
        found["its ensemble"].append(several)
        print(f"seed {seed}  search    {one:.2%}  {parameters:,} parameters, {what}")
        print(f"seed {seed}  ensemble  {several:.2%}", flush=True)
    for name, values in found.items():
        print(f"{name:12}  mean {np.mean(values):.2%}, {min(values):.2%} to {max(values):.2%}")


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"{time.monotonic() - started:.0f} seconds")
