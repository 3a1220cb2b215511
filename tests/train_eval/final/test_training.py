"""Final trainings without the command line: interrupted, divergent, failing."""

import dataclasses
import json
from concurrent.futures import Executor, Future

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.space.shapes import count_parameters
from tests.helpers.final_tasks import equal, task, weights
from train_eval import load_network
from train_eval.data.sources import load_dataset
from train_eval.final.candidates import Candidate
from train_eval.final.checkpoint import EpochResult
from train_eval.final.finalize import in_order_of_ending
from train_eval.final.judging import shortcoming
from train_eval.final.recipe import FinalRecipe
from train_eval.final.testing import evaluate, predict
from train_eval.final.training import Final, FinalTask, train_final
from train_eval.parallel.worker import WorkerDied
from train_eval.training.device import Precision
from train_eval.training.metrics import worth
from train_eval.training.recipe import Recipe


class Stop(Exception):
    """Ends a training."""


def stop(epoch):
    raise Stop


def test_an_epoch_that_was_interrupted_is_repeated(tmp_path):
    architecture = Architecture.parse("[C(4,3,1), C(4,3,1), FC(16), SM(10)]")
    data = task(tmp_path).prepare()
    for _ in range(2):
        with pytest.raises(Stop):
            train_final(architecture, data, tmp_path / "parts", on_epoch=stop)
    parts = train_final(architecture, data, tmp_path / "parts")
    whole = train_final(architecture, data, tmp_path / "whole")
    assert parts.losses == whole.losses
    assert equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert not (tmp_path / "parts.checkpoint").exists()
    other = train_final(architecture, data, tmp_path / "other", seed=1)
    assert other.losses != whole.losses
    with pytest.raises(InvalidInput, match="another training"):
        train_final(architecture, data, tmp_path / "whole", seed=1)


def test_a_divergent_training_leaves_no_network(tmp_path):
    data = task(tmp_path, steps=[[1e9, 3]]).prepare()
    final = train_final(Architecture.parse("[C(8,3,1), FC(32), SM(10)]"), data, tmp_path / "x")
    assert final.status == "diverged"
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_diverges_late_leaves_no_checkpoint(tmp_path):
    data = task(tmp_path, steps=[[0.01, 1], [1e30, 2]], one_cycle=False).prepare()
    final = train_final(Architecture.parse("[C(8,3,1), FC(32), SM(10)]"), data, tmp_path / "x")
    assert (final.status, len(final.losses)) == ("diverged", 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [{"epochs": "[{"}, {"precision": "x"}, {"averaged_steps": "x"}])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, damage):
    architecture = Architecture.parse("[C(4,3,1), SM(10)]")
    data = task(tmp_path, averaging=0.9).prepare()
    with pytest.raises(Stop):
        train_final(architecture, data, tmp_path / "x", on_epoch=stop)
    path = tmp_path / "x.checkpoint"
    with safe_open(path, framework="pt") as file:
        known = file.metadata()
    save_file(load_file(path), path, known | damage)
    with pytest.raises(InvalidInput, match=r"x\.checkpoint is damaged or of another training"):
        train_final(architecture, data, tmp_path / "x")


def test_the_scale_of_the_loss_goes_on(tmp_path):
    before, after = (Precision(torch.device("cpu")) for _ in range(2))
    assert before.state == {}
    for precision in (before, after):
        precision._scaler = torch.amp.GradScaler("cpu")
    weight = torch.nn.Parameter(torch.ones(()))
    before.step(weight * float("inf"), torch.optim.SGD([weight], 0.1))  # which halves the scale
    assert before.state["scale"] < after.state["scale"]
    after.restore(json.loads(json.dumps(before.state)))
    assert after.state == before.state
    after.restore({})  # of a checkpoint without one
    assert after.state == before.state


def test_digits_are_not_mirrored_unless_asked(tmp_path):
    assert task(tmp_path).prepare().recipe.mirror is False
    assert task(tmp_path, mirror=True).prepare().recipe.mirror is True


def test_momentum_may_be_zero(tmp_path):
    data = task(tmp_path, momentum=0.0).prepare()
    network = Architecture.parse("[SM(10)]")
    with pytest.raises(Stop):
        train_final(network, data, tmp_path / "parts", on_epoch=stop)
    parts = train_final(network, data, tmp_path / "parts")
    assert parts.losses == train_final(network, data, tmp_path / "whole").losses
    assert equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


RICH = {
    "optimizer": "adamw", "batch_norm": True, "dropout": False, "averaging": 0.95,
    "label_smoothing": 0.1, "colour": 0.1, "class_weights": True, "weight_decay": 0.05,
    "steps": [[0.01, 3]],
}  # fmt: skip


def test_all_of_the_state_is_in_the_checkpoint(tmp_path):
    architecture = Architecture.parse("[C(4,3,1), C(4,3,1), FC(16), SM(10)]")
    data = task(tmp_path, **RICH).prepare()
    for _ in range(2):
        with pytest.raises(Stop):
            train_final(architecture, data, tmp_path / "parts", on_epoch=stop)
    with pytest.raises(InvalidInput, match="of another training"):
        train_final(Architecture.parse("[SM(10)]"), data, tmp_path / "parts")
    parts = train_final(architecture, data, tmp_path / "parts")
    whole = train_final(architecture, data, tmp_path / "whole")
    assert parts.losses == whole.losses
    assert parts.best.accuracy == whole.best.accuracy
    assert equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert sorted(path.suffix for path in tmp_path.glob("whole*")) == [".json", ".safetensors"]


def test_the_best_epoch_is_kept_with_batch_normalisation_folded(tmp_path):
    architecture = Architecture.parse("[C(4,3,1), C(4,3,1), FC(16), SM(10)]")
    data = task(tmp_path, **RICH | {"steps": [[0.05, 6]], "averaging": 0.0}).prepare()
    epochs = []
    final = train_final(architecture, data, tmp_path / "x", on_epoch=epochs.append)
    assert final.best.accuracy == max(epoch.accuracy for epoch in epochs)
    trained = load_network(tmp_path / "x")
    assert trained.card["epochs"] == [dataclasses.asdict(epoch) for epoch in epochs]
    images = data.validation.batch(torch.arange(len(data.validation))).numpy().astype(np.uint8)
    answers = predict(trained, images).argmax(1)
    hits = (answers == data.validation.labels.numpy()).mean()
    assert hits == pytest.approx(final.best.accuracy, abs=1e-9)
    assert count_parameters(architecture, (1, 8, 8)) == sum(
        parameter.numel() for parameter in trained.network.parameters()
    )


def test_training_and_validation_images_are_disjoint(tmp_path):
    data = task(tmp_path).prepare()
    assert (len(data.images), len(data.validation)) == (1293, 144)
    shown = {image.tobytes() for image in data.images.batch(torch.arange(1293)).numpy()}
    held_out = data.validation.batch(torch.arange(144)).numpy()
    assert not [image for image in held_out if image.tobytes() in shown]


def test_a_data_set_s_own_validation_images_judge_and_nothing_is_held_out(tmp_path):
    recipe = FinalRecipe.from_spec({"preset": "one-cycle", "steps": [[0.05, 1]]})
    data = FinalTask("cluttered_digits", None, None, recipe, "cpu", str(tmp_path), {}).prepare()
    assert len(data.images) == len(load_dataset("cluttered_digits").labels)
    assert len(data.validation) == len(load_dataset("cluttered_digits", part="validation").labels)


def epoch_of(accuracy, answered=10, shown=10):
    return EpochResult(1, 1, 0.5, accuracy, 0.5, answered, shown)


def test_below_what_it_had_is_beyond_what_chance_explains_once_in_a_hundred():
    rng = np.random.default_rng(0)
    found = [
        shortcoming(epoch_of(after / 200), 200, before / 400, 400)
        for before, after in zip(
            rng.binomial(400, 0.8, 20_000), rng.binomial(200, 0.8, 20_000), strict=True
        )
    ]
    assert sum(wrong is not None for wrong in found) / 20_000 == pytest.approx(0.01, abs=0.003)


def test_nor_of_the_mean_recall_where_a_class_is_rare():
    rng = np.random.default_rng(0)
    searched, final = np.array([980, 200]), np.array([490, 100])
    worths = [
        worth("balanced_accuracy", torch.arange(2).repeat_interleave(torch.from_numpy(images)))
        for images in (final, searched)
    ]
    assert worths == pytest.approx([4 / (1 / 490 + 1 / 100), 4 / (1 / 980 + 1 / 200)])
    drawn = [
        [rng.binomial(images, 0.8) / images for images in (final, searched)] for _ in range(20_000)
    ]
    found = [
        shortcoming(epoch_of(after.mean()), worths[0], before.mean(), worths[1])
        for after, before in drawn
    ]
    assert sum(wrong is not None for wrong in found) / 20_000 == pytest.approx(0.01, abs=0.005)
    assert worth("accuracy", torch.zeros(7, dtype=torch.int64)) == 7


@pytest.mark.parametrize(
    ("epoch", "before", "status"),
    [
        (epoch_of(0.65, 6, 6), 0.9, "worse"),
        (epoch_of(0.88, 6, 6), 0.9, None),
        (epoch_of(0.65, 6, 6), None, None),
        (epoch_of(0.65, 2, 6), None, "collapsed"),
        (epoch_of(0.95, 1, 2), 0.95, "collapsed"),
        (epoch_of(0.95, 4, 6), 0.95, None),
        (EpochResult(1, 1, 0.5), 0.95, None),
    ],
)
def test_networks_that_fell_behind_or_collapsed_have_failed(epoch, before, status):
    wrong = shortcoming(epoch, 122, before, 244)
    assert (wrong and wrong[0]) == status


def test_of_few_images_there_are_more_epochs(tmp_path):
    recipe = FinalRecipe(steps=((0.1, 4), (0.01, 2)), batch_size=100, least_steps=60)
    assert recipe.for_images(5000).steps == recipe.steps
    assert recipe.for_images(500).steps == ((0.1, 8), (0.01, 4))


def test_what_is_left_open_is_as_in_the_search():
    search = Recipe(dropout=False, batch_norm=True, metric="balanced_accuracy")
    final = FinalRecipe(batch_norm=False).as_in(search)
    assert (final.dropout, final.batch_norm, final.metric) == (False, False, "balanced_accuracy")


def test_a_training_that_cannot_be_done_does_not_end_the_others():
    class Breaks(Executor):
        def submit(self, task, architecture, seed):
            future = Future()
            if str(architecture) == "[SM(10)]":
                future.set_exception(WorkerDied("killed"))
            else:
                future.set_result(Final("ok", (0.5,), 1.0))
            return future

    chosen = [
        Candidate(name, Architecture.parse(text), 0.5, 1)
        for name, text in (("01", "[SM(10)]"), ("02", "[GAP(10)]"))
    ]
    found = {c.name: final for c, final in in_order_of_ending(chosen, None, Breaks(), 0)}
    assert found["01"].status == "error"
    assert found["01"].message == "killed"
    assert found["02"].status == "ok"


def test_a_training_by_seconds_ends_with_them_and_goes_on_with_what_is_left(tmp_path):
    architecture = Architecture.parse("[C(4,3,1), SM(10)]")
    data = task(tmp_path, **RICH | {"seconds": 0.5, "one_cycle": True}).prepare()
    epochs = []
    train_final(architecture, data, tmp_path / "whole", on_epoch=epochs.append)
    shares = [epoch.share for epoch in epochs]
    assert shares == sorted(shares)
    assert all(share < 1 for share in shares[:-1])
    assert shares[-1] > 0.9  # it may pass 1 after it was noted
    begun, rest = [], []

    def stop_after(epoch):
        begun.append(epoch)
        raise Stop

    with pytest.raises(Stop):
        train_final(architecture, data, tmp_path / "parts", on_epoch=stop_after)
    train_final(architecture, data, tmp_path / "parts", on_epoch=rest.append)
    assert rest[0].epoch == 2
    assert rest[0].share >= min(1.0, begun[0].share + 1 / 40)
    assert load_network(tmp_path / "parts").card["recipe"]["seconds"] == 0.5


def test_without_seconds_a_card_does_not_speak_of_them(tmp_path):
    assert "seconds" not in FinalRecipe().as_json()
    with pytest.raises(InvalidInput, match="seconds must be positive"):
        FinalRecipe(seconds=0.0)


def test_a_metric_that_is_not_the_search_s_is_not_compared_with_it(tmp_path):
    network = Architecture.parse("[C(4,3,1), SM(10)]")
    final = train_final(network, task(tmp_path).prepare(), tmp_path / "01")
    fallen = dataclasses.replace(final, best=epoch_of(0.7, 10, 10))
    chosen = [Candidate("01", network, 0.95, count_parameters(network, (1, 8, 8)))]
    by_images = {
        images: evaluate(chosen, tmp_path, {"01": fallen}, images, None, 1)
        for images in (400, None)
    }
    assert [lost.status for lost in by_images[400].failed] == ["worse"]
    assert [row.name for row in by_images[None].networks] == ["01"]
