"""Final trainings without the command line: interrupted, divergent, failing."""

from concurrent.futures import Executor, Future

import pytest

from gym_cnnarch import Architecture, InvalidInput
from tests.helpers.final_tasks import equal, task, weights
from train_eval.final.finalize import Candidate, in_order_of_ending
from train_eval.final.training import Final, train_final
from train_eval.parallel.worker import WorkerDied


class Stop(Exception):
    """Ends a training."""


def stop(epoch, loss):
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
    assert not (tmp_path / "x.json").exists()


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
