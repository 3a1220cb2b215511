"""Searches whose rule stops trainings: repeatable whatever happens, and each one's own affair."""

import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gym_cnnarch import Architecture
from gym_cnnarch.space.shapes import count_parameters
from tests.helpers.instant import CurveEvaluator, make_search
from train_eval import Run
from train_eval.parallel.executors import LocalExecutor
from train_eval.parallel.task import EvaluationTask
from train_eval.training.stopping import Finished, Halving, Prediction

HELPERS = str(Path(__file__).parents[2] / "helpers")  # of the evaluators that workers make

RULES = (Prediction(delta=0.9, best=3, first=12), Halving(rungs=(1, 3), eta=2, first=8))
by_rule = pytest.mark.parametrize("rule", RULES, ids=["prediction", "halving"])


def found(search):
    """Episodes, and evaluations but for what they took, as the agent learned them."""
    return [
        (learned.record, replace(learned.evaluation, train_seconds=None, cached=False))
        for learned in search
    ]


def searched(run_dir, rule, evaluator=None, lookahead=4, **options):
    search, store, _ = make_search(
        run_dir, evaluator=evaluator or CurveEvaluator(), stopping=rule, lookahead=lookahead,
        **options,
    )  # fmt: skip
    learned = found(search)
    store.close()
    return learned


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """By rule, a run that nothing disturbed, and its folder."""
    folders = {rule: tmp_path_factory.mktemp("alone") / "run" for rule in RULES}
    return {rule: (searched(folder, rule), folder) for rule, folder in folders.items()}


@by_rule
def test_a_network_is_decided_about_by_what_the_agent_had_learned_and_nothing_else(alone, rule):
    """Each decision is made again, from whole curves and the recorded episodes."""
    learned, _ = alone[rule]
    results, statuses = [], set()
    for record, evaluation in learned:
        if not record.new:
            continue
        architecture = Architecture.parse(record.architecture)
        known = [finished for number, finished in results if number <= record.number - 4]
        parameters = count_parameters(architecture, (1, 8, 8))
        decision = rule.decision(known, parameters, len(architecture.layers))
        assert CurveEvaluator().evaluate(architecture, 0, decision).curve == evaluation.curve
        finished = Finished(
            evaluation.parameters, len(architecture.layers), evaluation.learning_rate or 0.0,
            evaluation.curve, evaluation.status,
        )  # fmt: skip
        results.append((record.number, finished))
        statuses.add(evaluation.status)
        if evaluation.status == "stopped":
            assert record.reward == decision.predicted(evaluation.curve, 0.01)
            assert evaluation.accuracy == max(evaluation.curve) <= record.reward
    assert statuses == {"ok", "stopped", "diverged", "out_of_memory"}


@pytest.mark.parametrize("workers", [1, 2])
def test_local_workers_give_the_same_run(tmp_path, monkeypatch, alone, workers):
    monkeypatch.syspath_prepend(HELPERS)
    task = EvaluationTask("instant:CurveEvaluator", {}, "curves")
    with LocalExecutor([{}] * workers) as executor:
        for number, rule in enumerate(RULES):
            folder = tmp_path / str(number)
            assert searched(folder, rule, executor=executor, evaluate=task) == alone[rule][0]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.train_eval.search.test_stopping import RULES, CurveEvaluator, make_search
search, _, _ = make_search(
    Path(sys.argv[1]), evaluator=CurveEvaluator(), stopping=RULES[int(sys.argv[2])], lookahead=4
)
for number, learned in enumerate(search):
    if number == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@by_rule
def test_a_run_that_is_killed_and_continued_equals_one_that_was_not(tmp_path, alone, rule):
    which = str(RULES.index(rule))
    for episode in ("9", "45"):  # while all are trained whole, and after some were stopped
        command = [sys.executable, "-c", KILLED, str(tmp_path), which, episode]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    evaluator = CurveEvaluator()
    assert searched(tmp_path, rule, evaluator) == alone[rule][0]
    assert len(evaluator.asked) < 40
    assert searched(tmp_path, rule, evaluator := CurveEvaluator()) == alone[rule][0]
    assert evaluator.asked == []


@by_rule
def test_a_store_with_whole_trainings_gives_the_same_run_and_trains_nothing(tmp_path, alone, rule):
    shared = tmp_path / "shared.sqlite"
    whole = searched(tmp_path / "whole", None, store=shared)
    _, store, run = make_search(tmp_path / "rest", evaluator=CurveEvaluator(), store=shared)
    settings = store.find_run(run).settings
    for record, _ in alone[rule][0]:  # those that the search without a rule did not meet
        architecture = Architecture.parse(record.architecture)
        store.add_in_run(settings, architecture, CurveEvaluator().evaluate(architecture))
    evaluator = CurveEvaluator()
    assert searched(tmp_path / "run", rule, evaluator, store=shared) == alone[rule][0]
    assert evaluator.asked == []
    here, there = Run(tmp_path / "run").networks, Run(alone[rule][1]).networks
    assert [replace(network, train_seconds=1.0) for network in here] == [
        replace(network, train_seconds=1.0) for network in there
    ]
    assert {n.train_seconds for n in here if n.status == "stopped"} == {None}  # it took none here
    assert {n.train_seconds for n in there if n.status == "stopped"} == {1.0}
    assert searched(tmp_path / "whole", None, store=shared) == whole


@by_rule
def test_no_other_run_meets_a_stopped_result(tmp_path, alone, rule):
    """All that others share is whole; another rule on the store decides for itself."""
    shared = tmp_path / "shared.sqlite"
    assert searched(tmp_path / "first", rule, store=shared) == alone[rule][0]
    with sqlite3.connect(shared) as db:
        statuses = {status for (status,) in db.execute("SELECT status FROM evaluations")}
    assert "stopped" not in statuses
    for other in (None, *RULES):
        folders = tmp_path / f"shared {other}", tmp_path / f"alone {other}"
        if other != rule:
            options = {"agent": "random_walk", "seed": 1}
            on_it = searched(folders[0], other, store=shared, **options)
            assert on_it == searched(folders[1], other, **options)
            if other is None:
                assert all(evaluation.status != "stopped" for _, evaluation in on_it)


@by_rule
def test_a_run_that_goes_on_keeps_what_it_stopped(tmp_path, rule):
    """A larger budget is a new name for the run; nothing is trained again."""
    options = {"agent": "random_walk"}
    searched(tmp_path / "run", rule, budget=40, **options)
    stopped = Run(tmp_path / "run").summary.stopped
    evaluator = CurveEvaluator()
    longer = searched(tmp_path / "run", rule, evaluator, budget=60, **options)
    assert longer == searched(tmp_path / "at once", rule, budget=60, **options)
    assert len(evaluator.asked) == 20
    kept = Run(tmp_path / "run").summary.stopped
    assert stopped
    assert kept[: len(stopped)] == stopped
    with sqlite3.connect(tmp_path / "run" / "store.sqlite") as db:
        assert db.execute("SELECT count(DISTINCT run) FROM stopped").fetchone() == (1,)
