"""Networks are finalized exactly where it stopped, and can be used."""

import csv
import dataclasses
import io
import json
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gym_cnnarch import Architecture, InvalidInput
from tests.helpers.commands import cnnarch, start, status_of
from tests.helpers.final_tasks import equal, task, weights
from train_eval import load_network
from train_eval.data.pictures import from_array
from train_eval.data.sources import load_dataset
from train_eval.final.candidates import Candidate, candidates
from train_eval.final.checkpoint import EpochResult
from train_eval.final.finalize import finalize as finalize_run
from train_eval.final.progress import FinalProgress
from train_eval.final.recipe import FinalRecipe
from train_eval.final.testing import predict
from train_eval.final.training import EPOCHS_SUFFIX, Final, train_final
from train_eval.output.console import duration
from train_eval.output.progress import Progress
from train_eval.run.run import Run

RECIPE = ("digits-final", "steps=[[0.05,3]]")


def finalize(run_dir, *arguments):
    return (
        "finalize", run_dir, "--networks", 3, "--ensemble", 2, "--workers", 1, "--device", "cpu",
        "--recipe", *RECIPE, *arguments,
    )  # fmt: skip


def search(run_dir):
    return (
        "search", "--recipe", "digits", "epochs=1", "train_size=200", "--budget", 6,
        "--executor", "inline", "--run-dir", run_dir,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finalized(tmp_path_factory):
    """A run with final networks, the first also as ONNX; its folder."""
    folder = tmp_path_factory.mktemp("finalized") / "run"
    network = folder / "final" / "01.safetensors"
    export = ("export", network, "--onnx", network.with_suffix(".onnx"))
    for command in (search(folder), finalize(folder), export):
        assert status_of(*command) == 0
    return folder


def test_networks_are_tested_and_described(capsys, finalized):
    results = json.loads((finalized / "final" / "results.json").read_text())
    rows = sorted(results["networks"], key=lambda row: row["name"])
    assert [row["name"] for row in rows] == ["01", "02", "03"]
    for order, accuracy in ((rows, "validation_accuracy"), (results["networks"], "final_accuracy")):
        found = [row[accuracy] for row in order]
        assert found == sorted(found, reverse=True)
    test = load_dataset("digits", part="test")
    answers = []
    for row in results["networks"]:
        trained = load_network(finalized / "final" / row["name"])
        assert trained.card["scores"]["test_error"] == row["test_error"]
        assert trained.card["data"]["training_images"] == 1293
        assert trained.card["data"]["validation_images"] == 144
        answers.append(predict(trained, test.images))
        assert answers[-1].sum(axis=1) == pytest.approx(1)
        assert row["test_error"] == np.mean(answers[-1].argmax(1) != test.labels)
    together = (answers[0] + answers[1]).argmax(1)
    assert results["ensemble"]["networks"] == [row["name"] for row in results["networks"][:2]]
    assert results["ensemble"]["test_error"] == np.mean(together != test.labels)
    assert min(row["test_error"] for row in results["networks"]) < 0.5
    written = {path: path.stat().st_mtime_ns for path in finalized.glob("final/*.safetensors")}
    status, out, err = cnnarch(capsys, *finalize(finalized))  # nothing is trained again
    assert status == 0, err
    assert written == {path: path.stat().st_mtime_ns for path in written}
    assert f"{results['networks'][0]['test_error']:.2%}" in out
    cnnarch(capsys, "report", finalized)
    page = (finalized / "report" / "report.html").read_text()
    assert f"<b>{1 - results['networks'][0]['test_error']:.2%}</b> test accuracy" in page


def test_onnx_gives_the_same_probabilities(finalized):
    onnxruntime = pytest.importorskip("onnxruntime")
    test = load_dataset("digits", part="test")
    trained = load_network(finalized / "final" / "01.json")
    session = onnxruntime.InferenceSession(finalized / "final" / "01.onnx")
    for count in (1, 360):
        (found,) = session.run(None, {"images": test.images[:count]})
        assert np.abs(found - predict(trained, test.images[:count])).max() < 1e-4


def test_predict_names_class_and_probability(capsys, finalized, tmp_path):
    test = load_dataset("digits", part="test")
    path = tmp_path / "digit.png"
    from_array(test.images[0]).save(path)
    network = finalized / "final" / "01.safetensors"
    status, out, _ = cnnarch(capsys, "predict", network, path, path, "--top", 2)
    assert status == 0
    (expected,) = predict(load_network(network), test.images[:1])
    best = int(expected.argmax())
    line = f"{path}  {test.class_names[best]} {expected[best]:.2%}  "
    assert len(re.findall(re.escape(line), out.replace("\n", ""))) == 2


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """60 test digits as PNG files in FOLDER/test/<class>/."""
    folder = tmp_path_factory.mktemp("pictures")
    test = load_dataset("digits", part="test")
    for i in range(60):
        place = folder / "test" / str(test.labels[i])
        place.mkdir(parents=True, exist_ok=True)
        from_array(test.images[i]).save(place / f"{i:02}.png")
    return folder


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(capsys, finalized, tmp_path):
    test = load_dataset("digits", part="test")
    from_array(test.images[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    from_array(test.images[1]).save(tmp_path / "c.png")
    network = finalized / "final" / "01.safetensors"
    status, out, err = cnnarch(capsys, "predict", network, tmp_path, "--json")
    assert status == 1
    assert "1 of 3 images could not be read" in err
    entries = json.loads(out)
    assert [Path(entry["file"]).name for entry in entries] == ["a.png", "b.png", "c.png"]
    assert [len(entry["classes"]) for entry in entries] == [3, 0, 3]
    assert "not an image" in entries[1]["error"]
    status, out, _ = cnnarch(capsys, "predict", network, tmp_path, "--csv", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["class_1"] for row in rows] == [
        entry["classes"][0]["name"] if entry["classes"] else "" for entry in entries
    ]


def test_onnx_files_are_predicted_as_the_network_is(capsys, finalized, pictures):
    pytest.importorskip("onnxruntime")
    answers = []
    for name in ("01.safetensors", "01.onnx"):
        status, out, err = cnnarch(
            capsys, "predict", finalized / "final" / name, pictures, "--json"
        )
        assert status == 0, err
        answers.append([entry["classes"] for entry in json.loads(out)])
    for one, other in zip(*answers, strict=True):
        assert [c["name"] for c in one][:1] == [c["name"] for c in other][:1]
        for a, b in zip(one, other, strict=True):
            assert a["probability"] == pytest.approx(b["probability"], abs=1e-4)


def test_names_that_a_terminal_has_no_letters_for_are_escaped(finalized, tmp_path, monkeypatch):
    test = load_dataset("digits", part="test")
    from_array(test.images[0]).save(tmp_path / "三.png")
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert status_of("predict", finalized / "final" / "01.safetensors", tmp_path, "--csv") == 0
    assert rb"\u4e09.png" in shown.buffer.getvalue()


def test_evaluate_wants_folders_of_classes(capsys, finalized, pictures):
    network = finalized / "final" / "01.safetensors"
    status, _, err = cnnarch(capsys, "evaluate", network, pictures / "test" / "3")
    assert status == 2
    assert "/<class>/, but it has no folders" in err


def test_export_wants_files(capsys, finalized, tmp_path):
    network = finalized / "final" / "01.safetensors"
    for kind in ("--python", "--onnx"):
        status, _, err = cnnarch(capsys, "export", network, kind, tmp_path)
        assert (status, "is a folder: name a file" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_evaluate_counts_what_predict_answers(capsys, finalized, pictures, tmp_path):
    network = finalized / "final" / "01.safetensors"
    status, out, err = cnnarch(
        capsys, "evaluate", network, pictures, "--json", "--figure", tmp_path
    )
    assert status == 0, err
    found = json.loads(out)
    test = load_dataset("digits", part="test")
    answers = predict(load_network(network), test.images[:60]).argmax(1)
    labels = test.labels[:60]
    assert found["accuracy"] == pytest.approx((answers == labels).mean())
    recalls = [(answers == labels)[labels == c].mean() for c in np.unique(labels)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    expected = np.zeros((10, 10), dtype=int)
    np.add.at(expected, (labels, answers), 1)
    assert found["confusion"] == expected.tolist()
    assert len(found["wrong"]) == (answers != labels).sum()
    assert (tmp_path / "confusion.png").is_file()
    status, out, _ = cnnarch(capsys, "evaluate", network, pictures / "test", "--worst", 1)
    assert status == 0
    assert f"accuracy {found['accuracy']:.2%}" in out
    assert f"answered {found['wrong'][0]['answer']}" in out.replace("\n", "")


def test_evaluate_refuses_classes_that_the_network_does_not_know(capsys, finalized, tmp_path):
    (tmp_path / "seven").mkdir()
    network = finalized / "final" / "01.safetensors"
    status, _, err = cnnarch(capsys, "evaluate", network, tmp_path)
    assert status == 2
    assert "has the classes seven, which the network does not know" in err


def test_the_python_file_gives_the_same_without_the_package(capsys, finalized, tmp_path):
    for name in ("01", "02", "03"):
        network = finalized / "final" / f"{name}.safetensors"
        source = tmp_path / f"network_{name}.py"
        status, _, err = cnnarch(capsys, "export", network, "--python", source)
        assert status == 0, err
        text = source.read_text()
        assert "train_eval" not in text
        scope = {}
        exec(compile(text, str(source), "exec"), scope)
        images = load_dataset("digits", part="test").images[:50]
        with torch.no_grad():
            found = scope["load"](str(network))(torch.from_numpy(images)).numpy()
        assert np.abs(found - predict(load_network(network), images)).max() < 1e-6
        assert scope["CLASS_NAMES"] == [str(c) for c in range(10)]


def test_a_training_that_is_killed_twice_goes_on_exactly(capsys, finalized, tmp_path):
    """With SIGKILL, in the middle of an epoch or not, in the driver and so in its worker."""
    run = shutil.copytree(finalized, tmp_path / "run")
    shutil.rmtree(run / "final")
    long = ("--networks", 1, "--recipe", "digits-final", "steps=[[0.05,9]]")
    killed = 0
    for _ in range(2):
        process = start(*finalize(run, *long))
        deadline = time.monotonic() + 120
        before = checkpoints(run)
        while process.poll() is None and checkpoints(run) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        time.sleep(2.5)  # the worker sees it
    assert killed == 2
    status, _, err = cnnarch(capsys, *finalize(run, *long))
    assert status == 0, err
    (row,) = json.loads((run / "final" / "results.json").read_text())["networks"]
    card = json.loads((run / "final" / f"{row['name']}.json").read_text())
    spent = duration(sum(epoch["seconds"] for epoch in card["epochs"]))
    assert f", {spent}  [" in err  # of all processes
    whole = tmp_path / "whole" / row["name"]
    architecture = Architecture.parse(row["architecture"])
    train_final(architecture, task(whole.parent, 9).prepare(), whole)
    assert equal(weights(whole), weights(run / "final" / row["name"]))


def checkpoints(run):
    return [path.stat().st_mtime_ns for path in sorted(run.glob("final/*.checkpoint"))]


def test_transfer_begins_with_the_weights_that_fit(capsys, finalized):
    arguments = ("--env", "CNNArch-Digits-v0", "--recipe", "digits-final", "steps=[[1e-6,1]]")
    status, out, err = cnnarch(capsys, "transfer", finalized, *arguments, "--workers", 1)
    assert status == 0, err
    assert "fine-tuned" in out
    tuned = weights(finalized / "transfer" / "CNNArch-Digits-v0" / "fine-tuned" / "01")
    best = json.loads((finalized / "final" / "results.json").read_text())["networks"][0]["name"]
    for name, value in weights(finalized / "final" / best).items():
        assert torch.allclose(tuned[name], value, atol=1e-3)


@pytest.mark.usefixtures("final_trainings_here")
def test_one_s_own_data_without_test_images_are_finalized_untested(capsys, tmp_path):
    """The run knows where its data are."""
    data = load_dataset("digits")
    np.savez(tmp_path / "own.npz", x_train=data.images[:, 0], y_train=data.labels)
    own = ("--env", "CNNArch-v0", "--search-space", "digits", "--dataset")
    found = cnnarch(capsys, *search(tmp_path / "run"), *own, f"npz:{tmp_path / 'own.npz'}")
    assert found[0] == 0, found[2]
    status, out, err = cnnarch(capsys, *finalize(tmp_path / "run"))
    assert status == 0, err
    assert "has no test images: nothing was tested" in out.replace("\n", " ")
    results = json.loads((tmp_path / "run" / "final" / "results.json").read_text())
    assert [row["test_error"] for row in results["networks"]] == [None] * 3
    network = load_network(tmp_path / "run" / "final" / "01")
    assert predict(network, data.images[:50]).argmax(1).tolist() != [0] * 50
    assert "test_error" not in network.card["scores"]
    assert cnnarch(capsys, "report", tmp_path / "run")[0] == 0


@pytest.mark.usefixtures("final_trainings_here")
def test_networks_that_cannot_be_trained_are_named_with_status_1(capsys, tmp_path):
    assert cnnarch(capsys, *search(tmp_path / "run"))[0] == 0
    hopeless = ("--recipe", "digits-final", "steps=[[1e9,3]]")
    status, out, err = cnnarch(capsys, *finalize(tmp_path / "run", *hopeless))
    assert status == 1
    assert "No network could be trained to a good end" in err
    assert out == ""


@pytest.mark.usefixtures("final_trainings_here")
def test_networks_that_end_below_what_they_had_are_named_and_never_recommended(capsys, tmp_path):
    run = tmp_path / "run"
    assert cnnarch(capsys, *search(run))[0] == 0
    feeble = ("--recipe", "digits-final", "steps=[[1e-7,1]]")
    status, out, err = cnnarch(capsys, *finalize(run, *feeble, "--onnx"))
    assert status == 1
    results = json.loads((run / "final" / "results.json").read_text())
    failed = {lost["name"] for lost in results["failed"]}
    assert "01" in failed  # the best of the search
    assert not failed & {row["name"] for row in results["networks"]}
    assert len(re.findall("Failed, not to be used", err)) == len(failed)
    assert "01.safetensors" not in out
    assert {lost["status"] for lost in results["failed"]} <= {"worse", "collapsed"}
    for lost in results["failed"]:
        card = load_network(run / "final" / lost["name"]).card
        assert card["failed"].startswith(lost["status"])
        assert not (run / "final" / f"{lost['name']}.onnx").exists()


@pytest.mark.usefixtures("final_trainings_here")
def test_what_is_trained_can_be_named_or_be_the_front(capsys, finalized, tmp_path):
    text = "[C(8,3,1), SM(10)]"
    one = ("--recipe", "digits-final", "steps=[[0.05,1]]", "--out", tmp_path / "named")
    status, _, err = cnnarch(capsys, *finalize(finalized, "--architecture", text), *one)
    assert status == 0, err
    assert weights(tmp_path / "named" / "01").keys() == {
        f"{layer}.{kind}" for layer in ("1:C(8,3,1).0", "2:SM(10).1") for kind in ("weight", "bias")
    }
    status, _, err = cnnarch(capsys, *finalize(finalized, "--architecture", text, "--front"))
    assert status == 2
    assert "give one of them" in err
    wrong = finalize(finalized, "--architecture", "[C(8,3,1), SM(7)]")
    status, _, err = cnnarch(capsys, *wrong)
    assert status == 2
    assert "the data has 10 classes" in err
    summary = Run(finalized).summary
    front = candidates(summary, 10, front=True)
    for candidate in front:
        assert not [
            row
            for row in summary.best
            if row.parameters < candidate.parameters
            and row.accuracy >= candidate.validation_accuracy
        ]
    sizes = [candidate.parameters for candidate in front]
    assert sizes == sorted(sizes, reverse=True)


def damage(folder, kind):
    weights, card = folder / "01.safetensors", folder / "01.json"
    content = bytearray(weights.read_bytes())
    if kind == "short":
        weights.write_bytes(content[:-100])
    elif kind == "flipped":
        content[-5] ^= 0xFF
        weights.write_bytes(content)
    elif kind == "foreign":
        weights.write_bytes((folder / "02.safetensors").read_bytes())
    elif kind == "no weights":
        weights.unlink()
    elif kind == "no card":
        card.unlink()
    elif kind == "no json":
        card.write_text("{")
    elif kind == "other json":
        card.write_text("{}")
    else:
        known = json.loads(card.read_text())
        card.write_text(json.dumps(known | {"architecture": "[C(8,3,1), GAP(10)]"}))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("short", "are damaged"),
        ("flipped", "the checksum differs"),
        ("foreign", "does not fit the weights"),
        ("no weights", "There are no weights"),
        ("no card", "There is no card"),
        ("no json", "The card .* is damaged"),
        ("other json", "is not the card of a network"),
        ("other card", "does not fit the weights"),
    ],
)
def test_damaged_files_are_one_sentence(capsys, finalized, tmp_path, kind, message):
    for file in (finalized / "final").iterdir():
        if file.suffix in (".json", ".safetensors"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    damage(tmp_path, kind)
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    arguments = ("predict", tmp_path / "01.safetensors", tmp_path / "image.png")
    status, _, err = cnnarch(capsys, *arguments)
    assert status == 2
    assert re.search(message, err)


def test_images_that_do_not_fit_are_one_sentence(capsys, finalized, tmp_path):
    network = finalized / "final" / "01.safetensors"
    Image.new("L", (9, 8)).save(tmp_path / "large.png")
    (tmp_path / "text.png").write_text("no image")
    for name, message in (
        ("large.png", "has 9x8 pixels, but the network was trained on images of 8x8"),
        ("text.png", "not an image"),
        ("missing.png", "Cannot read the image"),
    ):
        status, _, err = cnnarch(capsys, "predict", network, tmp_path / name)
        assert status == 2
        assert message in err


def test_runs_that_cannot_be_finalized_are_refused(capsys, finalized, tmp_path):
    run = tmp_path / "run"
    assert cnnarch(capsys, *search(run))[0] == 0
    status, _, err = cnnarch(capsys, "transfer", run, "--env", "CNNArch-Digits-v0")
    assert status == 2
    assert "run cnnarch finalize first" in err
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (1000, 8, 8), dtype=np.uint8), np.arange(1000) % 10
    np.savez(tmp_path / "other.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    other = ("--dataset", f"npz:{tmp_path / 'other.npz'}")
    status, _, err = cnnarch(capsys, *finalize(run, *other))
    assert status == 2
    assert "The images are not those with which the run" in err
    status, _, err = cnnarch(capsys, *finalize(finalized, "--seed", 7))
    assert status == 2
    assert "another training" in err


@pytest.mark.usefixtures("final_trainings_here")
def test_hours_are_shared_by_the_trainings(tmp_path, finalized):
    run = Run(finalized)
    results = run.finalize(
        "own-final", networks=2, ensemble=1, folder=tmp_path, workers=1, hours=1 / 3600
    )
    assert len(results.networks) + len(results.failed) == 2
    for name in ("01", "02"):
        card = json.loads((tmp_path / f"{name}.json").read_text())
        assert card["recipe"]["seconds"] == 0.5
        assert card["epochs"][-1]["share"] > 0.9  # it may pass 1 after it was noted
    with pytest.raises(InvalidInput, match="hours must be more than 0"):
        run.finalize(hours=0.0)


def test_a_damaged_card_is_named_before_anything_is_written(capsys, finalized, tmp_path):
    shutil.copytree(finalized / "final", tmp_path / "final")
    (tmp_path / "final" / "02.json").write_text("{")
    before = (tmp_path / "final" / "results.json").read_bytes()
    status, _, err = cnnarch(capsys, *finalize(finalized), "--out", tmp_path / "final")
    assert status == 2
    assert "02.json is damaged" in " ".join(err.split())
    assert (tmp_path / "final" / "results.json").read_bytes() == before


@pytest.mark.parametrize("wrong", [{"ensemble": 0}, {"networks": 0}, {"networks": []}])
def test_numbers_are_checked_before_anything_is_trained(finalized, tmp_path, wrong):
    summary = Run(finalized).summary
    with pytest.raises(InvalidInput, match="must be at least 1, but is 0"):
        finalize_run(summary, FinalRecipe(), folder=tmp_path / "final", **wrong)
    assert not (tmp_path / "final").exists()


def test_the_time_left_is_told_from_what_this_process_did(tmp_path, monkeypatch):
    chosen = [Candidate(f"0{n}", Architecture.parse("[SM(10)]"), 0.5, 650) for n in (1, 2)]
    (tmp_path / "01.json").write_text("{}")  # trained by an earlier call
    line = json.dumps(dataclasses.asdict(EpochResult(1, 2, 0.1)))
    with FinalProgress() as shown:
        shown.began(chosen, tmp_path)
        monkeypatch.setattr(Progress, "elapsed", 10.0)
        shown.ended(chosen[0], Final("ok", (0.1,), 1.0, best=EpochResult(1, 1, 0.1)))
        assert shown._facts() == []
        (tmp_path / f"02{EPOCHS_SUFFIX}").write_text(f"{line}\n")
        shown.waiting()
        assert ("time left", "0:00:10") in shown._facts()  # half of a network in 10 seconds
