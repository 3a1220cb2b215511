"""How long networks take: measured once, recorded beside the run, and a limit on what is chosen."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from gym_cnnarch import Architecture, InvalidInput
from tests.helpers.commands import cnnarch
from train_eval import load_network, run_search
from train_eval.final import finalize as final_trainings
from train_eval.final import latency as of_runs
from train_eval.final.finalize import finalize
from train_eval.final.recipe import FinalRecipe
from train_eval.parallel.executors import InlineExecutor
from train_eval.records.latency import (
    LATENCY,
    Conditions,
    Latencies,
    latest_latencies,
    record_latencies,
    recorded_latencies,
)
from train_eval.report.figures import RunFigures
from train_eval.run.run import Run
from train_eval.training import latency
from train_eval.training.latency import conditions_of, measure, round_medians

CPU = torch.device("cpu")
FINAL = FinalRecipe.from_spec({"preset": "digits-final", "steps": [[0.05, 2]], "train_size": 200})
SHAPE = (1, 8, 8)
SMALL, LARGE = map(Architecture.parse, ("[SM(10)]", "[C(64,5,1), C(64,5,1), SM(10)]"))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A run of six networks; its folder is not to be changed."""
    folder = tmp_path_factory.mktemp("searched") / "run"
    run_search(
        "CNNArch-Digits-v0", "random_walk", 6, run_dir=folder, executor="inline", device="cpu",
        recipe={"preset": "digits", "epochs": 1, "train_size": 100, "restart_on": "loss"},
    )  # fmt: skip
    return folder


@pytest.fixture
def run_dir(searched, tmp_path):
    return shutil.copytree(searched, tmp_path / "run")


@pytest.fixture
def told(monkeypatch):
    """Networks take as many milliseconds as they have letters; the list of those measured."""
    measured = []

    def by_letters(networks, *_):
        measured.extend(map(str, networks))
        return [float(len(str(network))) for network in networks]

    monkeypatch.setattr(of_runs, "measure", by_letters)
    return measured


def test_a_network_of_a_thousand_times_the_work_takes_longer():
    small, large = measure([SMALL, LARGE], SHAPE, CPU, passes=5)
    assert 0 < small < large


def test_passes_are_of_whole_batches_without_gradients_and_leave_the_process_as_it_was(monkeypatch):
    seen = []
    forward = nn.Sequential.forward

    def watched(self, images):
        seen.append((tuple(images.shape), torch.is_grad_enabled(), torch.get_num_threads()))
        return forward(self, images)

    monkeypatch.setattr(nn.Sequential, "forward", watched)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    rounds = round_medians([SMALL], SHAPE, CPU, batch=3, passes=10)
    assert torch.equal(torch.rand(2), expected)
    outer = [call for call in seen if call[0] == (3, *SHAPE)]
    assert np.shape(rounds) == (5, 1)
    assert len(outer) >= 10
    assert {call[1:] for call in outer} == {(False, 1)}


def test_the_least_of_the_rounds_medians_is_told(monkeypatch):
    rounds = [[3.0, 9.0], [2.0, 4.0], [5.0, 8.0]]
    monkeypatch.setattr(latency, "round_medians", lambda *_: rounds)
    assert measure([SMALL, LARGE], SHAPE, CPU) == [2.0, 4.0]


def test_what_was_recorded_is_not_measured_again(run_dir, told):
    first = Run(run_dir).latencies(2, "cpu")
    assert Run(run_dir).latencies(2, "cpu") == first
    assert len(told) == 2
    assert set(Run(run_dir).latencies(3, "cpu").milliseconds) > set(first.milliseconds)
    assert len(told) == 3
    assert latest_latencies(run_dir).conditions == conditions_of(CPU)
    Run(run_dir).latencies(3, "cpu", batch=2)
    assert len(told) == 6
    assert latest_latencies(run_dir).conditions == conditions_of(CPU, batch=2)


def test_other_conditions_are_other_latencies(tmp_path):
    here, there = (Conditions(name, "x", 1, 50, {"torch": "2"}) for name in ("cpu", "H100"))
    record_latencies(tmp_path, Latencies(here, {"a": 1.0}))
    record_latencies(tmp_path, Latencies(there, {"a": 0.1, "b": 0.2}))
    assert latest_latencies(tmp_path).milliseconds == {"a": 0.1, "b": 0.2}
    together = record_latencies(tmp_path, Latencies(here, {"b": 2.0}))
    assert together == latest_latencies(tmp_path) == recorded_latencies(tmp_path, here)
    assert together.milliseconds == {"a": 1.0, "b": 2.0}
    assert together.of("a")["milliseconds"] == 1.0
    assert together.of("c") is None


@pytest.mark.parametrize("content", ["", "{}", '[{"conditions": 1}]', "[" * 100_000])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / LATENCY).write_text(content)
    with pytest.raises(InvalidInput, match=LATENCY):
        latest_latencies(tmp_path)


def test_the_winner_of_finalize_is_within_the_limit(run_dir, told, monkeypatch):
    monkeypatch.setattr(final_trainings, "LocalExecutor", lambda _: InlineExecutor())
    run = Run(run_dir)
    shortest, limit, *_ = sorted(len(row.architecture) for row in run.summary.best)
    results = run.finalize(FINAL, 2, workers=1, device="cpu", max_latency=limit)
    chosen = [row.architecture for row in (*results.networks, *results.failed)]
    fitting = [r.architecture for r in run.summary.best if len(r.architecture) <= limit]
    assert sorted(chosen) == sorted(fitting[:2])
    for row in results.networks:
        card = load_network(run_dir / "final" / row.name).card
        assert card["latency"] == run.summary.latencies.of(row.architecture)
        assert card["latency"]["milliseconds"] == len(row.architecture)
    with pytest.raises(InvalidInput, match=f"the fastest takes {shortest} ms"):
        run.finalize(FINAL, 2, device="cpu", max_latency=shortest - 1)
    with pytest.raises(InvalidInput, match="more than 0 ms"):
        run.finalize(FINAL, 2, device="cpu", max_latency=0)
    assert sorted(told) == sorted(row.architecture for row in run.summary.best)


def test_networks_that_are_named_are_within_the_limit_too(run_dir, told):
    with pytest.raises(InvalidInput, match=r"\[SM\(10\)\] takes 8 ms .* at most 7"):
        finalize(Run(run_dir).summary, FinalRecipe(), [SMALL], device="cpu", max_latency=7)


def test_latencies_are_shown(run_dir, told, capsys, monkeypatch):
    monkeypatch.setattr(RunFigures, "draw", lambda *_: [])
    assert "ms" not in shown(capsys, "show", run_dir)
    measured = shown(capsys, "latency", run_dir, "--networks", 2, "--device", "cpu")
    for text in (measured, shown(capsys, "show", run_dir)):
        assert f"{len(told[0])}" in text
        assert "ms: a forward pass of one image on one core of" in text
    printed = shown(capsys, "latency", run_dir, "--networks", 2, "--device", "cpu", "--json")
    assert json.loads(printed) == json.loads(shown(capsys, "show", run_dir, "--json"))["latencies"]
    assert len(told) == 2
    page = Run(run_dir).report().read_text()
    assert f"{len(told[0])} ms" in page
    assert "a forward pass of one image on one core of" in page


def shown(capsys, *arguments):
    status, out, err = cnnarch(capsys, *arguments)
    assert status == 0, err
    return out
