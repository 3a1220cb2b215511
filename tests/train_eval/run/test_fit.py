"""From images to a tested network: in time, within limits, again after it was stopped."""

import contextlib
import html
import itertools
import json

import numpy as np
import pytest
import torch

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.space.architecture import Conv
from gym_cnnarch.space.shapes import count_parameters
from tests.helpers.commands import cnnarch
from tests.helpers.instant import InstantEvaluator
from tests.helpers.pictures import write_images
from train_eval import run_search
from train_eval.data.sources import own_image_size
from train_eval.records.run_directory import STORE, recorded_images
from train_eval.records.store import Store
from train_eval.report.facts import command
from train_eval.run import fit as fit_module
from train_eval.run.first import PassTime, absolute_name
from train_eval.run.fit import fit
from train_eval.run.run import Run

SHORT = {"steps": 15, "epochs": 1}
HOURS = 1.5 / 3600


FILTERS = {"conv_filters": (16, 32, 64)}  # as by default, and as JSON has no tuples


def stripes(count, seed):
    """Images with bright rows, columns or neither, and which."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 100, (count, 8, 8), dtype=np.uint8)
    images[labels == 0, ::2] += 120
    images[labels == 1, :, ::2] += 120
    return images, labels


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    (x_train, y_train), (x_test, y_test) = stripes(150, 0), stripes(60, 1)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


@pytest.fixture(scope="module")
def fitted(file, tmp_path_factory):
    """A run, and what was said."""
    said = []
    folder = tmp_path_factory.mktemp("fit") / "run"
    clock = itertools.count(step=0.02)  # seconds; the search has a quarter of 1.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "_TOO_FEW_PASSES", 0)  # however slow this machine is
        run = fit(
            str(file), hours=HOURS, run_dir=folder, recipe=SHORT, executor="inline", device="cpu",
            search_space=FILTERS, tell=said.append,
            clock=lambda: next(clock),
        )  # fmt: skip
    return run, said


def test_it_ends_with_a_tested_network(fitted):
    run, said = fitted
    best = run.final.networks[0]
    found = run.assess()
    assert found.images == 60
    assert found.accuracy == pytest.approx(1 - best.test_error)
    assert found.accuracy > 0.8
    assert len(found.wrong) == 60 - np.trace(found.confusion)
    assert (run.run_dir / "final" / f"{best.name}.safetensors").is_file()
    assert said[0] == "Read 150 images of 3 classes: 0 50, 1 50, 2 50."
    assert f"Tried {len(run.networks)} networks" in said[-1]
    assert 3 < len(run.networks) < 20


def test_no_network_is_dearer_than_was_decided(fitted):
    run, _ = fitted
    most = run.summary.settings.search_space["max_macs"]
    assert all(network.macs <= most for network in run.networks)
    assert run.networks[0].macs * 1.25 <= most + 1


@pytest.mark.parametrize(
    ("large", "seconds", "macs"),
    [
        (None, (1.0, 8.0), 500),  # in proportion
        ((50, 1.0), (1.0, 8.0), 500),  # no larger: nothing is learned from it
        ((1100, 12.0), (1.5, 5.0), 900),  # a hundredth of a second each beyond 100
        ((1100, 102.0), (1.0, 32.0), 180),  # dearer than in proportion
        ((1100, 1.0), (1.977, 2.136), 17_700),  # noise: as if half of the large one's were launches
    ],
)
def test_the_time_of_a_pass_is_a_line_through_what_was_measured(large, seconds, macs):
    line = PassTime.through((100, 2.0), large)
    assert line.seconds(100) == pytest.approx(2.0)
    assert (line.seconds(50), line.seconds(400)) == pytest.approx(seconds, abs=1e-3)
    assert line.dearest(10.0) == pytest.approx(macs, abs=1)
    assert line.dearest(0.0) == 0
    for allowed in (0.5, 1.0, 1.9, 2.0, 3.0, 50.0):
        assert line.dearest(allowed) == 0 or line.seconds(line.dearest(allowed)) <= allowed


def test_larger_batches_have_fewer_launches():
    line = PassTime.through((100, 2.0), (1100, 12.0)).in_batches(4)  # of 2 seconds one is launches
    assert (line.seconds(100), line.seconds(1100)) == pytest.approx((1.25, 11.25))
    alike = PassTime.through((100, 2.0), None)
    assert alike.in_batches(4) == alike


@pytest.mark.usefixtures("final_trainings_here")
def test_a_gpu_has_its_own_space_and_larger_batches(file, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "find_device", lambda name: torch.device("cuda"))
    few = {**fit_module.SPACE, "max_layers": 4, "conv_filters": [24], "fc_neurons": [24]}
    monkeypatch.setattr(fit_module, "GPU_SPACE", few)  # the real one takes long on a CPU
    given = {
        "hours": 0.02 / 3600, "run_dir": tmp_path / "run", "recipe": SHORT, "executor": "inline",
        "device": "cpu",
    }  # fmt: skip
    run = fit(str(file), **given)
    first = Architecture.parse(run.networks[0].architecture)
    assert first.layers[0] == Conv(24, 3)
    assert json.loads((run.run_dir / "fit.json").read_text())["recipe"]["batch_size"] == 128
    with contextlib.closing(Store(run.run_dir / STORE)) as store:
        trained = list(store.evaluations(run.summary.settings.task))
    assert len(trained) == 3  # the first one twice, and a large one
    monkeypatch.setattr(fit_module, "first_network", None)  # is asked for nothing any more
    assert fit(str(file), **given).final == run.final


def test_other_settings_are_another_run(fitted, file):
    for other, named in (
        ({"hours": 1}, f"hours was {HOURS} and is 1"),
        ({"recipe": {**SHORT, "metric": "balanced_accuracy"}}, "recipe was .*balanced_accuracy"),
        ({"search_space": {"max_parameters": 500}}, "search_space was .*16.* and is .*500"),
        ({"seed": 1}, "seed was 0 and is 1"),
    ):
        given = {"hours": HOURS, "recipe": SHORT, "search_space": FILTERS, **other}
        with pytest.raises(InvalidInput, match=f"{named}.*: name another folder"):
            fit(str(file), run_dir=fitted[0].run_dir, executor="inline", **given)


def test_a_damaged_decision_is_refused(fitted, file, tmp_path):
    plan = fitted[0].run_dir / "fit.json"
    content = plan.read_text()
    try:
        plan.write_text("{}")
        with pytest.raises(InvalidInput, match="does not hold what the final training is to be"):
            fit(str(file), hours=HOURS, run_dir=fitted[0].run_dir, recipe=SHORT, executor="inline")
        with pytest.raises(InvalidInput, match="does not hold what the final training is to be"):
            fitted[0].report(tmp_path)
    finally:
        plan.write_text(content)


@pytest.mark.usefixtures("final_trainings_here")
def test_in_a_very_short_time_only_the_first_network_is_trained(file, tmp_path):
    said = []
    run = fit(
        str(file), hours=0.02 / 3600, run_dir=tmp_path / "run", recipe=SHORT, executor="inline",
        device="cpu", tell=said.append,
    )  # fmt: skip
    assert len(run.networks) == 1
    assert "no other network is tried" in said[-2]


@pytest.mark.usefixtures("final_trainings_here")
def test_a_search_within_few_parameters_that_was_stopped_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "_TOO_FEW_PASSES", 0)

    def stopped(search, seconds_left):
        for number, learned in enumerate(search):
            yield learned
            if number == 1:
                raise KeyboardInterrupt

    images, labels = stripes(90, 0)
    np.savez(tmp_path / "untested.npz", x_train=images, y_train=labels)
    clock = itertools.count(step=0.02)
    given = {
        "hours": HOURS, "run_dir": tmp_path / "run", "recipe": SHORT, "executor": "inline",
        "device": "cpu", "search_space": {"max_parameters": 300}, "clock": lambda: next(clock),
    }  # fmt: skip
    said = []
    with pytest.raises(KeyboardInterrupt):
        fit(str(tmp_path / "untested.npz"), **given, follow=stopped, tell=said.append)
    assert "There are no test images" in said[2]
    assert said[3].startswith("Training [C(")
    begun = Run(tmp_path / "run")
    before = begun.networks
    assert len(before) == 2
    assert begun.final is None
    assert command(begun.summary).startswith("cnnarch fit ")  # and no search of 10,000 networks
    with pytest.raises(InvalidInput, match="no network that was trained to the end"):
        begun.assess()
    with pytest.raises(InvalidInput, match=r"began, with .*\(hours was .* and is 9"):
        fit(str(tmp_path / "untested.npz"), **{**given, "hours": 9})
    np.savez(tmp_path / "untested.npz", x_train=images[:-3], y_train=labels[:-3])
    with pytest.raises(InvalidInput, match=r"The images are not those with which .* 90 .* 87 "):
        fit(str(tmp_path / "untested.npz"), **given)
    np.savez(tmp_path / "untested.npz", x_train=images, y_train=labels)
    run = fit(str(tmp_path / "untested.npz"), **given)
    assert run.networks[:2] == before
    for row in run.networks:  # of which none is a usual design
        assert count_parameters(Architecture.parse(row.architecture), (1, 8, 8)) <= 300
    assert run.final.test_fingerprint is None
    assert run.assess().images == 9  # a tenth was held out


def test_the_same_command_does_nothing_again(capsys, fitted, file):
    run, _ = fitted
    files = (run.run_dir / "final").glob("*.safetensors")
    before = {path: path.stat().st_mtime_ns for path in files}
    given = ("--recipe", "steps=15", "epochs=1", "--workers", 1, "--device", "cpu")
    space = ("--search-space", "conv_filters=[16,32,64]")
    moved = file.rename(file.with_name("moved.npz"))
    try:
        status, out, err = cnnarch(
            capsys, "fit", moved, "--hours", HOURS, "--run-dir", run.run_dir, *given, *space
        )
    finally:
        moved.rename(file)
    assert status == 0, err
    assert "60 test images: accuracy" in out
    assert "Rows: what it is" in out
    assert "cnnarch predict" in out
    assert "Read 150 images of 3 classes" in err
    decided = json.loads((run.run_dir / "fit.json").read_text())
    assert decided["networks"] == 1
    assert decided["recipe"]["translation"] <= 1
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere/at/all",), "There is no folder or file nowhere/at/all"),
        (("unknown",), "nor a data set of that name: there are cifar10"),
        (("digits", "--hours", "0"), "hours must be more than 0"),
        (("digits", "--hours", "inf"), "and a finite number"),
        (("digits", "--seed", "-1"), "seed must be at least 0"),
        (("digits", "--workers", "0"), "--workers must be at least 1"),
        (("digits", "--recipe", "epochs=none"), "epochs"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(capsys, tmp_path, arguments, sentence):
    status, _, err = cnnarch(capsys, "fit", *arguments, "--run-dir", tmp_path / "run")
    assert status == 2
    assert sentence in err
    assert not (tmp_path / "run").exists()


def test_the_folder_of_a_search_is_left_alone(tmp_path):
    options = {"agent": "random_walk", "budget": 3, "evaluator": InstantEvaluator()}
    run = run_search("CNNArch-Digits-v0", run_dir=tmp_path, **options)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(InvalidInput, match="belongs to another search: name another folder"):
        fit("digits", hours=0.001, run_dir=tmp_path, executor="inline", device="cpu")
    assert len(run.networks) == 3
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_a_folder_of_another_run_is_refused(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert cnnarch(capsys, "fit", "digits", "--run-dir", tmp_path)[0] == 2


@pytest.mark.parametrize(
    ("size", "expected"), [((8, 8), None), ((64, 64), None), ((65, 65), 32), ((20, 10), 32)]
)
def test_pictures_are_resized_if_they_must_be(tmp_path, size, expected):
    write_images(tmp_path / "train", size=size)
    assert own_image_size(f"folder:{tmp_path}") == expected
    channels_last = np.zeros((4, *size[::-1], 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x_train=channels_last, y_train=[0, 1, 0, 1])
    assert own_image_size(f"npz:{tmp_path / 'x.npz'}") == expected


def test_pictures_of_several_sizes_are_resized(tmp_path):
    write_images(tmp_path / "train", size=(8, 8))
    write_images(tmp_path / "train", classes=("cow",), size=(9, 9))
    assert own_image_size(f"folder:{tmp_path}") == 32
    assert own_image_size("digits") is None


def test_its_report_has_the_command_and_the_split(fitted, file):
    run, _ = fitted
    page = html.unescape(run.report().read_text())
    expected = f"cnnarch fit npz:{file} --hours {HOURS!r} --device cpu --recipe steps=15 epochs=1"
    expected += " --search-space 'conv_filters=[16,32,64]'"
    assert f"{expected} --seed 0 --run-dir {run.run_dir}" in page
    known = recorded_images(run.run_dir)
    assert (known.train, known.validation) == (120, 30)
    assert "images to validate with in the search" in page


def test_its_search_is_over(capsys, fitted):
    run, _ = fitted
    assert run.summary.finished
    out = cnnarch(capsys, "show", run.run_dir)[1]
    assert f"{len(run.networks)} unique networks in" in out


def test_a_path_needs_no_kind_and_a_known_name_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("digits", "mine"):
        (tmp_path / folder).mkdir()
    (tmp_path / "x.npz").touch()
    assert absolute_name("digits") == "digits"
    assert absolute_name("./digits") == f"folder:{tmp_path / 'digits'}"
    assert absolute_name("mine") == f"folder:{tmp_path / 'mine'}"
    assert absolute_name("x.npz") == f"npz:{tmp_path / 'x.npz'}"
    assert absolute_name("folder:mine") == f"folder:{tmp_path / 'mine'}"
