"""What `gpu.py` measures; each part returns rows, all with the same columns.

Images per second are of the bare training step (see `bare_loop.py`) unless a part says otherwise.
"""

import re
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bare_loop import graph_of, seconds_of, step_of
from gpu_place import (
    CLASSES,
    EPOCHS,
    LAUNCHES,
    PAPER,
    SHAPE,
    TRAIN,
    VALIDATION,
    Place,
)  # fmt: skip
from throughput import bare_loops, search

from gym_cnnarch import Architecture
from gym_cnnarch.space.search_space import SearchSpace
from gym_cnnarch.space.shapes import count_macs
from train_eval import run_search
from train_eval.training.device import is_out_of_memory
from train_eval.training.evaluator import Trainer

ROOT = Path(__file__).resolve().parents[1]

Rows = list[dict[str, Any]]


def tests(place: Place) -> Rows:
    """The tests that need a GPU."""
    files = [
        "tests/train_eval/training/test_cuda.py",
        "tests/train_eval/training/test_precision.py",
    ]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    counts = {
        word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)
    }
    failed = re.findall(r"^(?:FAILED|ERROR) (.*)$", done.stdout, re.MULTILINE)
    return [{"status": done.returncode, **counts, "what failed": "; ".join(failed)}]


def training_loop(place: Place) -> Rows:
    """Whole epochs of this project's training against the bare step; one process.

    The median of all epochs but the first, validation on 500 images included. The recipe ``own``
    has smaller batches, batch normalisation and changed images, which the bare step has not.
    """
    rows = []
    paper = place.environment(epochs=4, validation_size=500, max_restarts=0)["recipe"]
    own = {"preset": "own", "epochs": 4, "steps": None, "train_size": None, "validation_size": 500}
    if place.tiny:
        own |= {"train_size": 100, "validation_size": 50}
    for name, recipe, batch, texts in (
        ("paper", paper, place.setting.batch_size, (*PAPER[1:4], *LAUNCHES)),
        ("own", own, 32, (PAPER[3], LAUNCHES[2])),
    ):
        given = recipe | {"batch_size": batch}
        trainer = Trainer(place.dataset, place.data_root, given, str(place.device))
        trainer.prepare()
        setting = replace(place.setting, batch_size=batch)
        for network in place.networks(texts):
            ends: list[float] = []
            trainer.train(network, on_epoch=lambda *_, ends=ends: ends.append(time.perf_counter()))
            if len(ends) < 2:
                rows.append(_row(network, recipe=name))
                continue
            ours = len(trainer.data.train) / statistics.median(np.diff(ends))
            bare = place.steps(network, setting)
            found = {"recipe": name, "images/s": ours, "bare": bare, "ratio": ours / bare}
            rows.append(_row(network, **found))
    return rows


def workers(place: Place) -> Rows:
    """Searches with 1, 2 and 4 workers on this GPU, one epoch a network, and one process that only
    trains the same networks.
    """
    environment, budget = place.environment(epochs=1, max_restarts=0), 3 if place.tiny else 12
    images = len(
        Trainer(**{k: v for k, v in environment.items() if k != "search_space"}).data.train
    )
    rows, alone = [], None
    for number in (1, 2, 4):
        done = search(environment, number, budget, place.folder / f"workers-{number}")
        alone = alone or bare_loops(environment, 1, done.networks)
        rows.append(
            {
                "workers": number,
                "networks/hour": done.per_hour,
                "images/s": done.per_hour / 3600 * images,
                "one process": alone,
                "ratio": done.per_hour / alone,
                "the search itself": done.own_share,
            }
        )
    return rows


def deterministic(place: Place) -> Rows:
    """Repeatable kernels, as in all trainings, against the fastest ones (cudnn.benchmark)."""
    return [
        _compared(network, "deterministic", "benchmark", *(
            place.steps(network, replace(place.setting, deterministic=repeatable))
            for repeatable in (True, False)
        ))
        for network in place.networks((*PAPER, *LAUNCHES[1:]))
    ]  # fmt: skip


def evaluation(place: Place) -> Rows:
    """Evaluation in batches of 128, as in trainings, and of 2,048."""
    rows = []
    for network in place.networks((*PAPER, *LAUNCHES[1:])):
        rates = []
        for batch in (place.setting.batch_size, 16 * place.setting.batch_size):
            rates.append(place.answers(network, replace(place.setting, batch_size=batch)))
        rows.append(_compared(network, "small batches", "large batches", *rates))
    return rows


def graphs(place: Place) -> Rows:
    """Whole steps as CUDA graphs; without CUDA the same step twice."""
    record = graph_of if place.device.type == "cuda" else step_of
    rows = []
    for network in place.networks(LAUNCHES):
        with place.setting.flags():
            step, replay = (f(network, SHAPE, place.setting) for f in (step_of, record))
            batch = place.setting.batch_size
            rates = [place.images_per_second(work, batch) for work in (step, replay)]
        rows.append(_compared(network, "steps", "graphs", *rates))
    return rows


def peak(place: Place) -> Rows:
    """Share of the card's peak, and networks per hour of the paper's recipe without restarts.

    A step is counted as six operations a multiply-accumulate. The second half are networks drawn
    uniformly from the paper's space.
    """
    space = SearchSpace.from_spec(
        {"preset": "metaqnn-18", "num_classes": CLASSES, "input_shape": list(SHAPE)}
    )
    rng = np.random.default_rng(0)
    drawn = [str(space.sample(rng)) for _ in range(10)]
    product = _matrix_product(place)
    rows = []
    for mix, texts in (("the paper's", PAPER), ("drawn", drawn)):
        spent = counted = 0.0  # seconds of whole trainings, operations of their steps
        stepping = 0.0  # seconds of steps
        networks = 0
        for network in place.networks(texts):
            try:
                rate = place.steps(network)
                answers = place.answers(network)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                rows.append(_row(f"{network}: out of memory"))
                continue
            operations = 6 * count_macs(network, SHAPE)
            seconds = EPOCHS * (TRAIN / rate + VALIDATION / answers)
            spent, stepping = spent + seconds, stepping + EPOCHS * TRAIN / rate
            counted += operations * EPOCHS * TRAIN
            networks += 1
            rows.append(
                _peak_row(network, rate, operations * rate / 1e12, place.peak, product, seconds)
            )
        if networks:
            together = counted / stepping / 1e12
            name = f"all of {mix}"
            rows.append(_peak_row(name, None, together, place.peak, product, spent / networks))
    return rows


def search_for(place: Place, hours: float, budget: int | None, workers_per_gpu: int) -> Rows:
    """A search by the paper's agent with the paper's recipe."""
    started = time.monotonic()
    where = {"workers_per_gpu": workers_per_gpu} if place.device.type == "cuda" else {"workers": 1}
    run = run_search(
        "CNNArch-v0", "metaqnn", budget, run_dir=place.folder / "search", hours=hours,
        **where, **place.environment(),
    )  # fmt: skip
    summary, passed = run.summary, (time.monotonic() - started) / 3600
    best = summary.best[0] if summary.best else None
    return [
        {
            "hours": passed,
            "networks": len(summary.networks),
            "networks/hour": len(summary.networks) / passed,
            "failed": summary.failed,
            "best accuracy": None if best is None else best.accuracy,
            "network": "" if best is None else best.architecture,
        }
    ]


def _row(network: Any, **values: Any) -> dict[str, Any]:
    return {**values, "network": str(network)}


def _compared(network: Architecture, one: str, other: str, *rates: float) -> dict[str, Any]:
    return _row(network, **{one: rates[0], other: rates[1], "ratio": rates[1] / rates[0]})


def _peak_row(
    network: Any,
    rate: float | None,
    tflops: float,
    sheet: float | None,
    product: float,
    seconds: float,
) -> dict[str, Any]:
    return _row(
        network,
        **{
            "images/s": rate,
            "TFLOPS": tflops,
            "of the sheet": None if sheet is None else tflops / sheet,
            "of a product": tflops / product,
            "networks/hour": 3600 / seconds,
        },
    )


def _matrix_product(place: Place) -> float:
    """TFLOPS of a product of large matrices, in the precision in which networks compute."""
    size = 256 if place.tiny else 8192
    half = place.device.type == "cuda"
    kind = torch.bfloat16 if half and torch.cuda.is_bf16_supported(False) else torch.float16
    matrix = torch.randn(size, size, device=place.device, dtype=kind if half else torch.float32)
    seconds = seconds_of(lambda: matrix @ matrix, place.device, place.seconds)
    return 2 * size**3 / seconds / 1e12
