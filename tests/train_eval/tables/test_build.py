"""Tables are built from real trainings, in pieces as well as at once."""

import dataclasses
import signal
import sqlite3
import time

import numpy as np
import pytest

from gym_cnnarch.rewards.table import MISSING, Table
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from tests.helpers.commands import cnnarch, start
from train_eval.tables.build import TableBuilder
from train_eval.training.evaluator import TrainingEvaluator

RECIPE = ("digits", "epochs=2", "train_size=200", "validation_size=100")
SPACE = ("digits", "max_layers=1", "conv_filters=[4]")
NETWORKS = 6


def build(out, *arguments):
    return (
        "table", "build", "--recipe", *RECIPE, "--search-space", *SPACE, "--seeds", 2,
        "--executor", "inline", "--device", "cpu", "--out", out, *arguments,
    )  # fmt: skip


def trainings(path):
    """How many a store holds, 0 while there is none."""
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM evaluations").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def same_results(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("correct_validation", "correct_test", "status", "learning_rate")
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Built at once, in worker processes."""
    out = tmp_path_factory.mktemp("table") / "table.npz"
    process = start(*build(out, "--executor", "local", "--workers", 2))
    _, err = process.communicate()
    assert process.returncode == 0, err
    return Table.load(out)


def test_every_network_is_there_once_a_seed_as_it_is_trained(table):
    assert table.space.count() == NETWORKS
    assert table.status.shape == (2, NETWORKS)
    assert (table.status != MISSING).all()
    assert table.metadata["test_images"] == 360
    recipe = table.metadata["recipe"]
    evaluator = TrainingEvaluator("digits", recipe=recipe, device="cpu", test=True)
    assert evaluator.task == table.metadata["task"]
    for rank in (0, 3, NETWORKS - 1):
        for seed in (0, 1):
            trained = evaluator.train(table.space.unrank(rank), seed)
            recorded = table.evaluation(rank, seed)
            assert recorded.curve == trained.curve
            assert recorded.accuracy == trained.accuracy
            assert recorded.test_accuracy == trained.test_accuracy
            assert recorded.parameters == trained.parameters
            assert recorded.macs == trained.macs


def test_test_images_change_nothing_but_the_task(table):
    recipe = table.metadata["recipe"]
    evaluator = TrainingEvaluator("digits", recipe=recipe, device="cpu")
    assert evaluator.task != table.metadata["task"]
    trained = evaluator.train(table.space.unrank(3), 1)
    assert trained.test_accuracy is None
    assert trained.curve == table.evaluation(3, 1).curve


def test_pieces_make_the_same_table(capsys, tmp_path, table):
    out = tmp_path / "table.npz"
    assert cnnarch(capsys, *build(out, "--most", 5))[0] == 0
    part = Table.load(out)
    assert (part.status != MISSING).sum() == 5
    assert list(part.complete) == []
    assert cnnarch(capsys, *build(out, "--most", 5))[0] == 0  # from the store
    assert list(Table.load(out).complete) == [0]
    (tmp_path / "table.sqlite").unlink()
    status, _, err = cnnarch(capsys, *build(out))  # from the file alone
    assert status == 0
    assert "holds 10 trainings" in err
    assert same_results(Table.load(out), table)
    assert "earlier" not in Table.load(out).metadata
    older = {**part.metadata, "made_with": {**part.metadata["made_with"], "torch": "1.0"}}
    dataclasses.replace(part, metadata=older).save(out)
    (tmp_path / "table.sqlite").unlink()
    assert cnnarch(capsys, *build(out))[0] == 0
    assert same_results(Table.load(out), table)
    (earlier,) = Table.load(out).metadata["earlier"]
    assert earlier["made_with"]["torch"] == "1.0"


def test_only_images_that_are_classified_correctly_are_counted(capsys, tmp_path):
    arguments = [{"epochs=2": "metric=balanced_accuracy"}.get(a, a) for a in build(tmp_path / "t")]
    status, _, err = cnnarch(capsys, *arguments)
    assert status == 2
    assert "A table counts images that are classified correctly" in err


def test_a_recipe_that_counts_steps_has_room_for_its_epochs(capsys, tmp_path):
    out = tmp_path / "table.npz"
    given = [{"epochs=2": "epochs=1"}.get(a, a) for a in build(out, "--most", 1)]
    given.insert(given.index("epochs=1"), "steps=12")  # of 200 images in batches of 32
    assert cnnarch(capsys, *given)[0] == 0
    assert Table.load(out).correct_validation.shape == (2, NETWORKS, 2)


def test_ctrl_c_loses_nothing(tmp_path):
    out = tmp_path / "table.npz"
    process = start(*build(out, "--executor", "local", "--workers", 1, "--seeds", 40))
    deadline = time.monotonic() + 120
    while trainings(tmp_path / "table.sqlite") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "run the same command again:\n  cnnarch table build" in err
    stopped = (Table.load(out).status != MISSING).sum()
    assert stopped == trainings(tmp_path / "table.sqlite")
    assert 3 <= stopped < 40 * NETWORKS


def test_show_describes_a_table(capsys, tmp_path, table):
    table.save(tmp_path / "table.npz")
    for shipped in ("cifar10-16x16", "cluttered-digits"):
        whole = "6,386 networks x 3 seeds, 19,158 trainings done; seeds complete: 0, 1, 2"
        assert whole in cnnarch(capsys, "table", "show", shipped)[1]
    status, out, _ = cnnarch(capsys, "table", "show", tmp_path / "table.npz", "--top", 3)
    assert status == 0
    assert "6 networks x 2 seeds, 12 trainings done; seeds complete: 0, 1" in out
    assert "Spearman" in out
    best = TableEvaluator(table=tmp_path / "table.npz").optimum("validation")
    assert f"{best.validation:.2%}" in out


def test_what_cannot_be_built_is_refused(capsys, tmp_path, table):
    status, _, err = cnnarch(capsys, "table", "build", "--env", "CNNArch-Digits-v0",
        "--search-space", "metaqnn", "--out", tmp_path / "t.npz")  # fmt: skip
    assert status == 2
    assert "narrow the limits" in err
    table.save(tmp_path / "other.npz")
    arguments = [a if a != "epochs=2" else "epochs=3" for a in build(tmp_path / "other.npz")]
    status, _, err = cnnarch(capsys, *arguments)
    assert status == 2
    assert "another space, recipe or data set" in err
    table.save(tmp_path / "two.npz")
    status, _, err = cnnarch(capsys, *build(tmp_path / "two.npz", "--seeds", 1))
    assert status == 2
    assert "has 2 seeds, not 1" in err
    untested = TrainingEvaluator("digits", recipe=table.metadata["recipe"], device="cpu")
    with pytest.raises(ValueError, match="test=True"):
        TableBuilder(table.space, untested, 1, None)
