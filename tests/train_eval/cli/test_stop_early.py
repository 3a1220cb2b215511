"""``cnnarch search --stop-early``: what a user sees of trainings that were stopped."""

import json
import re
import sys

import numpy as np
import pytest

from tests.helpers.commands import cnnarch, recorded
from train_eval import Run, run_search
from train_eval.cli.cnnarch import main
from train_eval.final.candidates import candidates, overlooked
from train_eval.training.stopping import Halving, Prediction

RECIPE = {"preset": "digits", "epochs": 4, "train_size": 200, "restart_on": "loss"}
WORDS = ("--recipe", "digits", "epochs=4", "train_size=200", "restart_on=loss")
PREDICTION = ("--stop-early", "prediction", "--delta", "0.9", "--best", "2", "--first", "10")
RULE = Prediction(delta=0.9, best=2, first=10)


def search(run_dir, *arguments):
    return (
        "search", "--env", "CNNArch-Digits-v0", *WORDS, "--executor", "inline", "--budget", "22",
        "--agent", "random_walk", "--run-dir", str(run_dir), *arguments,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run by the command, some of whose trainings were stopped."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cnnarch", *search(folder, *PREDICTION, "--tensorboard")])
        main()
    return folder


def test_one_call_does_what_the_command_does(capsys, run_dir):
    """It retraces the run, so that nothing is trained: other settings would be another run."""
    before = recorded(capsys, run_dir)
    learned = []
    run_search(
        "CNNArch-Digits-v0", "random_walk", 22, run_dir=run_dir, recipe=RECIPE,
        executor="inline", stop_early=RULE, on_episode=learned.append,
    )  # fmt: skip
    assert recorded(capsys, run_dir) == before
    assert all(each.evaluation.cached for each in learned)


def test_stopped_networks_are_shown_as_what_they_are(capsys, run_dir):
    run = Run(run_dir)
    stopped = run.summary.stopped
    assert stopped
    assert not {n.architecture for n in run.best(22)} & {n.architecture for n in stopped}
    epochs = sum(len(network.curve) for network in run.networks)
    whole = 4 * len(run.networks)
    assert run.summary.epochs_saved == pytest.approx((whole - epochs) / whole)
    for network in stopped:
        assert 1 <= len(network.curve) < 4
        assert network.accuracy == max(network.curve) <= network.predicted
    rewards = {episode.architecture: episode.reward for episode in run.episodes}
    assert {rewards[n.architecture] - n.predicted for n in stopped} == {0.0}
    out = " ".join(cnnarch(capsys, "show", run_dir)[1].split())
    saved = f"{run.summary.epochs_saved:.0%}"
    assert f"{len(stopped)} of 22 networks were stopped early, after" in out
    assert f"which saved {saved} of all epochs" in out
    assert "failed" not in out
    assert f"{np.mean([e.reward for e in run.episodes if e.new]):.4g}" in out  # one epsilon
    shown = json.loads(cnnarch(capsys, "show", run_dir, "--json")[1])
    assert [n["predicted"] for n in shown["stopped"]] == [n.predicted for n in stopped]
    assert shown["failed"] == []
    assert shown["statuses"] == {"ok": 22 - len(stopped), "stopped": len(stopped)}


def test_the_report_draws_their_curves_so_far(capsys, run_dir, tmp_path):
    assert cnnarch(capsys, "report", run_dir, "--out", tmp_path, "--top", 22)[0] == 0
    html = (tmp_path / "report.html").read_text()
    assert (tmp_path / "curves.svg").exists()
    assert "networks were stopped early" in html
    listed = re.findall(r"<code>([^<]*)</code>", html)
    assert listed == [network.architecture for network in Run(run_dir).best(22)]


def test_tensorboard_keeps_predictions_apart(run_dir):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_dir / "tensorboard"))
    events.Reload()
    run = Run(run_dir)
    measured = [n.accuracy for n in run.networks if n.status == "ok"]
    assert [p.value for p in events.Scalars("search/accuracy")] == pytest.approx(measured)
    predicted = [network.predicted for network in run.summary.stopped]
    assert [p.value for p in events.Scalars("search/predicted")] == pytest.approx(predicted)
    assert events.Scalars("search/best")[-1].value == pytest.approx(max(measured))


def test_no_stopped_network_is_a_candidate_but_it_is_told_what_is_missed(run_dir):
    summary = Run(run_dir).summary
    whole = [network.architecture for network in summary.best]
    chosen = candidates(summary, 22)
    assert [str(candidate.architecture) for candidate in chosen] == whole
    last = summary.best[-1].accuracy
    better = [n for n in summary.stopped if n.predicted > last]
    assert better
    assert f"{len(better)} networks that were stopped early" in overlooked(summary, 22)
    assert max(better, key=lambda n: n.predicted).architecture in overlooked(summary, 22)
    assert overlooked(summary, 1) == ""


def test_a_run_with_a_rule_is_another_run(capsys, run_dir):
    status, _, err = cnnarch(capsys, *search(run_dir))
    assert status == 2
    assert "stopping is {'rule': 'prediction'" in err
    assert "there and None here" in err
    other = cnnarch(capsys, *search(run_dir, *PREDICTION[:-1], "11"))
    assert other[0] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--delta 0.9", "--delta is an option of --stop-early prediction, but this is a search w"),
        ("--stop-early halving --best 3", "--best is an option of --stop-early prediction, but"),
        ("--stop-early prediction --eta 3", "--eta is an option of --stop-early halving, but"),
        ("--stop-early prediction --delta 0.2", "probability delta above 0.5 and up"),
        ("--stop-early halving --eta 0.5", "eta is 1 or more, not 0.5"),
        ("--stop-early halving --rungs 3 1", "numbers of epochs from 1 on, ascending"),
        ("--stop-early halving --rungs 1 4", "its last rung is 4 and trainings have 4"),
        ("--stop-early halving", "Of 1 networks none would be stopped, since the first 20 are"),
        ("--stop-early prediction --recipe digits epochs=1", "Trainings of one epoch"),
        ("--stop-early prediction --env CNNArch-CIFAR10Table-v0", "Only trainings can be stopped"),
    ],
)
def test_what_cannot_be_is_one_sentence(capsys, tmp_path, arguments, sentence):
    words = arguments.split()
    if not {"--recipe", "--env"} & set(words):
        words += ["--recipe", "digits", "epochs=4"]
    status, _, err = cnnarch(capsys, "search", "--budget", 1, "--run-dir", tmp_path / "run", *words)
    assert status == 2
    assert sentence in " ".join(err.split())
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_default_rungs_are_scaled_to_the_recipe_s_epochs():
    assert Halving().for_epochs(20).rungs == (1, 3, 9)
    assert Halving().for_epochs(40).rungs == (2, 6, 18)
    assert Halving().for_epochs(8).rungs == (1, 3)
    assert Halving().for_epochs(2).rungs == (1,)
