"""What a run comes to: failed networks are counted, named, and in no mean."""

import numpy as np
import pytest

from gym_cnnarch import Evaluation
from tests.helpers.instant import InstantEvaluator, make_search
from train_eval import Run
from train_eval.report.figures import RunFigures


class SomeFail(InstantEvaluator):
    """Of the networks that end in GAP, all or none; failed ones have accuracy 1, and a reason."""

    def __init__(self, fails=lambda text: "GAP" in text):
        super().__init__()
        self.fails = fails

    def evaluate(self, architecture, seed=0):
        found = super().evaluate(architecture, seed)
        if not self.fails(str(architecture)):
            return found
        if "C(" in str(architecture):
            return Evaluation(1.0, "error", 1, 1, train_seconds=0.0, message="no memory")
        return Evaluation(1.0, "diverged", 1, 1, train_seconds=0.0)


def a_run(folder, evaluator):
    list(make_search(folder, evaluator=evaluator)[0])
    return Run(folder)


@pytest.fixture
def run(tmp_path):
    return a_run(tmp_path / "run", SomeFail())


def mean(values):
    return pytest.approx(np.mean(values)) if values else None


def test_no_mean_is_over_failed_networks(run):
    summary = run.summary
    assert 0 < summary.failed < len(summary.networks)
    for phase in summary.epsilons:
        episodes = [e for e in summary.episodes if e.epsilon == phase.epsilon]
        good = [e for e in episodes if "GAP" not in e.architecture]
        assert phase.failed == sum(e.new and "GAP" in e.architecture for e in episodes)
        assert phase.unique == sum(e.new for e in episodes)
        assert phase.mean_accuracy_of_episodes == mean([e.accuracy for e in good])
        assert phase.mean_accuracy == mean([e.accuracy for e in good if e.new])


def test_the_best_so_far_never_climbs_on_failed_networks(run):
    summary = run.summary
    positions, accuracies = RunFigures(summary, None)._unique_accuracies()
    assert accuracies.max() == summary.best[0].accuracy < 1
    networks = [summary.networks[position - 1] for position in positions]
    assert [network.accuracy for network in networks] == accuracies.tolist()
    assert {network.status for network in networks} == {"ok"}
    for values in RunFigures(summary, None)._by_epsilon().values():
        assert max(values) < 1


def test_failures_are_counted_by_their_reasons(run):
    summary = run.summary
    ways = {(way.status, way.message): way.networks for way in summary.failures}
    assert set(ways) == {("error", "no memory"), ("diverged", "")}
    assert sum(ways.values()) == summary.failed
    assert [way.networks for way in summary.failures] == sorted(ways.values(), reverse=True)
    assert summary.as_json()["failures"][0]["networks"] == max(ways.values())


def test_one_sentence_says_that_most_networks_failed(tmp_path):
    few = a_run(tmp_path / "few", SomeFail(lambda text: text.startswith("[C(8,1,1)")))
    most = a_run(tmp_path / "most", SomeFail(lambda text: not text.startswith("[C(8,1,1)")))
    assert few.summary.warning == ""
    failed, total = most.summary.failed, len(most.summary.networks)
    assert most.summary.warning.startswith(f"{failed} of {total} networks failed, most often ")
