"""``cnnarch layers``, and a search within a latency by what it wrote."""

import json
import shlex

import numpy as np
import pytest
import torch

from gym_cnnarch import Architecture, SearchSpace
from gym_cnnarch.space.latencies import LayerLatencies
from gym_cnnarch.space.shapes import layer_shapes
from tests.helpers.commands import cnnarch, recorded, search
from train_eval.records.latency import Conditions
from train_eval.report.facts import command
from train_eval.run.run import Run
from train_eval.training import layers
from train_eval.training.latency import conditions_of

CPU = torch.device("cpu")
SPACE = SearchSpace.from_spec("digits", input_shape=(1, 8, 8), num_classes=10)


@pytest.fixture
def told(monkeypatch):
    """A layer alone takes its text's letters; in a network pooling takes twice, the others thrice.

    In milliseconds.
    """
    alone = {"P": 2.0}

    def network(each):
        return sum(alone.get(str(layer)[0], 3.0) * len(str(layer)) for layer in each.layers)

    monkeypatch.setattr(
        layers, "measure_layers", lambda pairs, *_: [float(len(str(la))) for la, _ in pairs]
    )
    monkeypatch.setattr(layers, "measure", lambda networks, *_: list(map(network, networks)))
    return network


def test_every_layer_that_a_network_has_is_measured_with_the_shape_that_it_reads():
    found = set(layers.layers_of(SPACE))
    rng = np.random.default_rng(0)
    for _ in range(300):
        network = SPACE.sample(rng)
        read = (SPACE.input_shape, *layer_shapes(network.layers, SPACE.input_shape)[:-1])
        assert set(zip(network.layers, read, strict=True)) <= found


def test_factors_of_kinds_are_found_from_networks(told):
    found = layers.measure_space(SPACE, CPU, networks=200, batch=2)
    plain = found.as_json()
    assert Conditions.from_json(plain["conditions"]) == conditions_of(CPU, batch=2)
    assert plain["input_shape"] == [1, 8, 8]
    assert plain["check"]["networks"] == 100
    assert plain["check"]["r_squared"] > 0.999
    assert plain["check"]["most_error"] < 0.02
    for network in map(SPACE.unrank, range(0, SPACE.count(), 997)):
        assert found.of_network(network) / 1e6 == pytest.approx(told(network), rel=0.02)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A file that the command wrote."""
    path = tmp_path_factory.mktemp("measured") / "layers.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["cnnarch", "layers", "--networks", "10", "--passes", "5",
                                   "--device", "cpu", "--out", str(path)])  # fmt: skip
        from train_eval.cli.cnnarch import main

        main()
    return path


def test_a_search_by_a_measured_file_finds_networks_within_the_limit(capsys, tmp_path, measured):
    latencies = LayerLatencies.from_spec(str(measured))
    rng = np.random.default_rng(0)
    drawn = sorted(latencies.of_network(SPACE.sample(rng)) for _ in range(50))
    limit = drawn[10] / 1e6
    limits = ("--search-space", "digits", f"max_latency={limit}")
    run = (*search(tmp_path / "run", "--agent", "random_walk", "--budget", 5), *limits)
    status, _, err = cnnarch(capsys, *run, f"latencies={measured}")
    assert status == 0, err
    summary = Run(tmp_path / "run").summary
    trained = [Architecture.parse(row.architecture) for row in summary.best]
    assert trained
    assert all(latencies.of_network(each) <= limit * 1e6 for each in trained)
    before = recorded(capsys, tmp_path / "run")

    plain = json.loads(measured.read_text())
    elsewhere, other = tmp_path / "elsewhere.json", tmp_path / "other.json"
    elsewhere.write_text(json.dumps(plain, indent=7))  # the content is the same
    assert cnnarch(capsys, *run, f"latencies={elsewhere}")[0] == 0
    assert recorded(capsys, tmp_path / "run") == before
    plain["nanoseconds"]["1x8x8"]["SM(10)"] += 1
    other.write_text(json.dumps(plain))
    status, _, err = cnnarch(capsys, *run, f"latencies={other}")
    assert status == 2
    assert "belongs to another search (search_space is" in err
    assert len(err) < 1500

    program, *words = shlex.split(command(summary))
    assert program == "cnnarch"
    words[words.index("latencies=layers.json")] = f"latencies={measured}"
    assert cnnarch(capsys, *words, "--executor", "inline")[0] == 0
    assert recorded(capsys, tmp_path / "run") == before
    page = Run(tmp_path / "run").report().read_text()
    assert str(latencies) in page
    assert "nanoseconds" not in page


def test_what_is_no_file_of_latencies_ends_in_a_sentence(capsys, tmp_path):
    (tmp_path / "layers.json").write_text("{}")
    for file in ("layers.json", "none.json"):
        words = ("max_latency=1", f"latencies={tmp_path / file}")
        status, _, err = cnnarch(capsys, "space", "--search-space", "digits", *words)
        assert status == 2
        assert "measure them with cnnarch layers" in " ".join(err.split())
