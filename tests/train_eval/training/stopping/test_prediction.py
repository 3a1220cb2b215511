import math
import pickle
import random
from itertools import pairwise

import numpy as np
import pytest
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import NuSVR

from train_eval.training.stopping import Finished, Prediction, prediction
from train_eval.training.stopping.curves import features, known_before
from train_eval.training.stopping.prediction import (
    FOLDS,
    GROWTH,
    NEWEST,
    fit,
    fit_once,
    fitted_number,
)


def curve_of(draw: random.Random) -> tuple[float, ...]:
    limit, speed = draw.uniform(0.3, 0.9), draw.uniform(0.3, 0.9)
    return tuple(limit * (1 - (1 - speed) ** epoch) for epoch in range(1, 7))


def networks(number: int, seed: int = 0) -> list[Finished]:
    draw = random.Random(seed)
    return [
        Finished(draw.randrange(10**4, 10**7), draw.randrange(1, 9), 0.001, curve_of(draw), "ok")
        for _ in range(number)
    ]


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_the_arrays_predict_what_scikit_learn_predicts(kernel):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 9)) * 7 + 3, rng.random(60)
    fitted = fit_once(x, y, kernel)
    scaler = StandardScaler().fit(x)
    unit = y.std()
    svr = (
        NuSVR(nu=0.5, C=10.0, gamma=0.03 / 9)
        if kernel == "rbf"
        else NuSVR(nu=0.8, C=0.1, kernel="linear")
    ).fit(scaler.transform(x), (y - y.mean()) / unit)
    others = rng.normal(size=(30, 9)) * 7 + 3
    expected = svr.predict(scaler.transform(others)) * unit + y.mean()
    np.testing.assert_allclose(fitted.predict(others, x), expected, atol=1e-9)


def test_the_spread_is_that_of_cross_validation():
    known = networks(50)
    regressions = fit(tuple(known), "rbf")
    y = np.array([n.accuracy for n in known])
    before = np.array([known_before(n.parameters, n.depth, n.learning_rate) for n in known])
    for epochs in (1, 2, 5):
        x = features(np.array([n.curve[:epochs] for n in known]), before)
        model = make_pipeline(StandardScaler(), NuSVR(nu=0.5, C=10.0, gamma=0.03 / x.shape[1]))
        order = np.argsort(np.arange(50) % FOLDS, kind="stable")  # KFold takes blocks
        squares = 0.0
        for train, test in KFold(FOLDS).split(order):
            inside, out = (
                np.sort(order[train]),
                order[test],
            )  # libsvm's answer varies with the order
            unit, middle = y[inside].std(), y[inside].mean()
            model.fit(x[inside], (y[inside] - middle) / unit)
            squares += np.sum((model.predict(x[out]) * unit + middle - y[out]) ** 2)
        assert regressions.by_epoch[epochs - 1].spread == pytest.approx(math.sqrt(squares / 50))


def test_it_stops_exactly_where_the_normal_probability_reaches_delta():
    known, others = networks(60), networks(40, seed=1)
    rule = Prediction(delta=0.9, best=3, first=20)
    third = sorted((n.accuracy for n in known), reverse=True)[2]
    found = set()
    for n in others:
        decision = rule.decision(known, n.parameters, n.depth)
        for epochs in range(1, 6):
            curve = n.curve[:epochs]
            spread = decision.regressions.by_epoch[epochs - 1].spread
            z = (third - decision.predicted(curve, 0.001)) / spread
            probability = 0.5 * (1 + math.erf(z / math.sqrt(2)))  # not among the best three
            assert decision.stops(curve, 0.001) == (probability >= 0.9)
            found.add(probability >= 0.9)
    assert found == {True, False}


def test_delta_of_one_never_stops():
    known = networks(40)
    hopeless = (0.0, 0.0, 0.0)
    assert Prediction(delta=0.99, first=20).decision(known, 10**5, 3).stops(hopeless, 0.001)
    assert not Prediction(delta=1.0, first=20).decision(known, 10**5, 3).stops(hopeless, 0.001)


def test_a_greater_delta_and_more_of_the_best_stop_less():
    known, others = networks(40), networks(40, seed=1)

    def stopped(**settings):
        decision = Prediction(first=20, **settings).decision(known, 10**5, 3)
        return {i for i, n in enumerate(others) if decision.stops(n.curve[:3], 0.001)}

    assert stopped(delta=0.999) < stopped(delta=0.6)
    assert stopped(best=20) < stopped(best=1)


def test_only_networks_that_were_trained_to_the_end_are_fitted_to():
    known = networks(40)
    half = [Finished(9, 1, 0.001, n.curve[:2], "stopped") for n in networks(40, seed=3)]
    failed = [Finished(9, 1, 0.001, (0.1,), "diverged")] * 5
    mixed = [n for pair in zip(known, half, strict=True) for n in pair] + failed
    rule = Prediction(first=20)
    assert pickle.dumps(rule.decision(mixed, 9, 1)) == pickle.dumps(rule.decision(known, 9, 1))


def test_fits_are_repeated_when_a_tenth_was_added():
    sizes = sorted({fitted_number(complete, 100) for complete in range(100, 1000)})
    assert sizes[:4] == [100, 110, 121, 133]
    assert all(b <= a * GROWTH for a, b in pairwise(sizes))
    assert all(fitted_number(c, 10) <= c for c in range(10, 300))


def test_one_fit_serves_all_decisions_until_the_next(monkeypatch):
    fits = []
    monkeypatch.setattr(
        prediction, "fit_once", lambda *arguments: fits.append(0) or fit_once(*arguments)
    )
    fit.cache_clear()
    known = networks(43)
    for number in range(40, 44):
        Prediction(first=40).decision(known[:number], number, 1)
    assert len(fits) == 5 * (FOLDS + 1)


def test_a_decision_stays_small():
    known = networks(NEWEST + 100)
    decision = Prediction().decision(known, 1, 1)
    assert len(decision.regressions.curves) == NEWEST
    assert len(pickle.dumps(decision)) < 100_000
