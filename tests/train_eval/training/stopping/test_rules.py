import json
import pickle
import random
import subprocess
import sys
from dataclasses import replace

import pytest

from gym_cnnarch import InvalidInput
from train_eval.training.stopping import (
    Finished,
    Halving,
    Prediction,
    make_rule,
    rule_settings,
)

EPOCHS = 8
RULES = (Halving(first=20), Prediction(first=20), Prediction(first=20, kernel="linear"))

DECIDE = """
import pickle, sys
decision, curves = pickle.load(sys.stdin.buffer)
for name in ("torch", "sklearn"):
    assert name not in sys.modules, name
answers = [(decision.stops(c, 0.001), decision.predicted(c, 0.001)) for c in curves]
sys.stdout.buffer.write(pickle.dumps(answers))
"""


def network(seed: int, status: str = "ok", epochs: int = EPOCHS) -> Finished:
    """A saturating curve with noise, whose limit and speed are the seed's."""
    draw = random.Random(seed)
    limit, speed = draw.uniform(0.3, 0.9), draw.uniform(0.3, 0.9)
    curve = [limit * (1 - (1 - speed) ** e) + draw.gauss(0, 0.005) for e in range(1, EPOCHS + 1)]
    curve = [min(max(value, 0.0), 1.0) for value in curve]
    return Finished(
        draw.randrange(10**4, 10**7), draw.randrange(1, 13), 0.001, tuple(curve[:epochs]), status
    )


FINISHED = [network(seed) for seed in range(40)]
OTHERS = [network(seed) for seed in range(100, 160)]


def parts(networks):
    return [n.curve[:epochs] for n in networks for epochs in range(1, EPOCHS)]


def answers(decision, curves):
    return [(decision.stops(c, 0.001), decision.predicted(c, 0.001)) for c in curves]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_decision_decides_the_same_in_a_process_without_torch_and_sklearn(rule):
    decision = rule.decision(FINISHED, 10**5, 5)
    curves = parts(OTHERS)
    here = answers(decision, curves)
    assert {stops for stops, _ in here} == {True, False}
    command = [sys.executable, "-c", DECIDE]
    there = subprocess.run(
        command, input=pickle.dumps((decision, curves)), stdout=subprocess.PIPE, check=True
    )
    assert pickle.loads(there.stdout) == here


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_decision_depends_on_the_finished_networks_alone(rule):
    before = answers(rule.decision(FINISHED, 10**5, 5), parts(OTHERS))
    rule.decision(FINISHED + OTHERS, 10**6, 7)  # what was asked between is not remembered
    copies = [replace(n) for n in FINISHED]
    assert answers(rule.decision(copies, 10**5, 5), parts(OTHERS)) == before
    assert answers(rule.decision(FINISHED + OTHERS, 10**5, 5), parts(OTHERS)) != before


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_nothing_is_stopped_before_the_first_networks_are_known(rule):
    decision = rule.decision(FINISHED[:19], 10**5, 5)
    assert not any(stops for stops, _ in answers(decision, parts(OTHERS)))
    decision = rule.decision(FINISHED[:20], 10**5, 5)
    assert any(stops for stops, _ in answers(decision, parts(OTHERS)))


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_prediction_is_an_accuracy_not_below_the_best_so_far(rule):
    decision = rule.decision(FINISHED, 10**5, 5)
    for curve in [*parts(OTHERS), (0.0,) * 3, (1.0,) * 3, ()]:
        assert max(curve, default=0.0) <= decision.predicted(curve, 0.001) <= 1


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_whole_curve_is_never_stopped(rule):
    decision = rule.decision(FINISHED, 10**5, 5)
    assert not any(decision.stops(n.curve, 0.001) for n in OTHERS)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_networks_without_curves_change_nothing_and_break_nothing(rule):
    failed = Finished(10, 1, 0.0, (), "out_of_memory")
    known = answers(rule.decision(FINISHED, 10**5, 5), parts(OTHERS))
    assert answers(rule.decision([*FINISHED, failed], 10**5, 5), parts(OTHERS)) == known


@pytest.mark.parametrize("rule", [*RULES, Halving(rungs=(2, 6), eta=4)], ids=repr)
def test_a_rule_comes_back_from_plain_data(rule):
    assert make_rule(json.loads(json.dumps(rule_settings(rule)))).for_epochs(20) == (
        rule.for_epochs(20)
    )
    assert make_rule(rule_settings(rule)["rule"]) == type(rule)()


def test_equal_rules_are_equal_texts_for_the_name_of_a_run():
    assert json.dumps(rule_settings(Halving(eta=3))) == json.dumps(rule_settings(Halving(eta=3.0)))


@pytest.mark.parametrize("settings", ["patience", {"rule": "halving", "delta": 0.9}, {}])
def test_rules_that_there_are_not_are_refused(settings):
    with pytest.raises(InvalidInput, match="rule"):
        make_rule(settings)


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (Halving, {"rungs": ()}),
        (Halving, {"rungs": (0, 2)}),
        (Halving, {"rungs": (6, 2)}),
        (Halving, {"eta": 0.5}),
        (Halving, {"eta": float("nan")}),
        (Halving, {"first": 0}),
        (Prediction, {"delta": 0.5}),
        (Prediction, {"delta": 1.1}),
        (Prediction, {"delta": float("nan")}),
        (Prediction, {"best": 0}),
        (Prediction, {"first": 5}),
        (Prediction, {"best": 200}),
        (Prediction, {"kernel": "cubic"}),
    ],
)
def test_impossible_settings_are_refused(rule, settings):
    with pytest.raises(InvalidInput):
        rule(**settings)
