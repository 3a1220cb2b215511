import random
from statistics import mean

import numpy as np
import pytest

from train_eval.training.stopping import Finished, Halving


def finished(*curve: float, status: str = "ok") -> Finished:
    return Finished(1000, 3, 0.001, curve, status)


@pytest.mark.parametrize("eta", [2, 3, 4])
def test_in_the_limit_exactly_one_of_eta_goes_on_at_each_rung(eta):
    draw = random.Random(0)
    rule = Halving(rungs=(1, 3), eta=eta, first=1)
    known = [finished(*sorted(draw.random() for _ in range(4))) for _ in range(3000)]
    bars = dict(rule.decision(known, 1000, 3).bars)
    for rung, bar in bars.items():
        going_on = sum(max(f.curve[:rung]) >= bar for f in known)
        assert going_on == -(-(len(known) + 1) // eta)  # of 3,001, itself counted, rounded up


@pytest.mark.parametrize("eta", [1, 2, 2.5, 3])
def test_a_network_goes_on_if_fewer_than_a_share_of_one_eta_are_better(eta):
    draw = random.Random(1)
    rule = Halving(rungs=(2,), eta=eta, first=1)
    for number in range(1, 60):
        known = [finished(draw.randrange(20) / 20, draw.randrange(20) / 20) for _ in range(number)]
        curve = (draw.randrange(20) / 20, draw.randrange(20) / 20)
        better = sum(max(f.curve) > max(curve) for f in known)
        goes_on = better < (number + 1) / eta
        assert rule.decision(known, 1000, 3).stops(curve, 0.001) == (not goes_on)


def test_stopped_and_failed_networks_count_at_the_rungs_that_they_reached():
    known = [
        finished(0.1, 0.2, 0.3),
        finished(0.5, status="stopped"),
        finished(0.4, 0.4, status="timeout"),
        finished(status="out_of_memory"),
    ]
    decision = Halving(rungs=(1, 2), eta=2, first=1).decision(known, 1000, 3)
    assert decision.bars == ((1, 0.4), (2, 0.2))


def test_predictions_follow_the_least_squares_line_of_the_first_networks():
    draw = random.Random(2)
    known = [finished(a := draw.random() / 2, a / 2 + draw.random() / 2) for _ in range(50)]
    decision = Halving(rungs=(1,), first=30).decision(known, 1000, 3)
    x = np.array([f.curve[0] for f in known[:30]])
    y = np.array([max(f.curve) for f in known[:30]])
    slope, intercept = np.polyfit(x, y, 1)
    assert decision.predicted((0.2,), 0.001) == pytest.approx(intercept + slope * 0.2, abs=1e-6)
    assert mean(y) == pytest.approx(intercept + slope * mean(x))


def test_equal_networks_all_go_on():
    rule = Halving(rungs=(1,), first=5)
    decision = rule.decision([finished(0.5, 0.5)] * 10, 1000, 3)
    assert not decision.stops((0.5,), 0.001)
    assert decision.predicted((0.4,), 0.001) == 0.5
