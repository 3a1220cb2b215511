"""Predictions from published results."""

import csv
import json

import gymnasium as gym
import numpy as np
import pytest
from scipy.stats import spearmanr

from gym_cnnarch import Architecture, InvalidInput, SearchSpace
from tests.helpers.commands import cnnarch
from train_eval.training import surrogate_fit
from train_eval.training.surrogate import SurrogateEvaluator, read_curves
from train_eval.training.surrogate_fit import fit


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """Made-up results in the published format: wider and shallower networks are better."""
    path = tmp_path_factory.mktemp("curves") / "curves.csv"
    rng = np.random.default_rng(0)
    space = SearchSpace(max_layers=6)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["net", "lr", "acc_1", "acc_2", "acc_3"])
        for _ in range(200):
            network = space.sample(rng)
            best = truth(network)
            text = str(network).replace("GAP(10)", "GAP(10), SM(10)")
            writer.writerow([text, 0.001, best / 2, best, best - 0.01])
    return path


def truth(network):
    filters = [layer.filters for layer in network.layers if hasattr(layer, "filters")]
    return 0.3 + 0.001 * float(np.mean(filters or [0])) - 0.02 * len(network.layers)


def test_curves_are_read_as_the_best_accuracy_of_each_network(curves):
    networks, accuracies = read_curves(curves)
    assert len(networks) == 200
    assert accuracies == pytest.approx([truth(network) for network in networks])


def test_predictions_rank_networks_that_were_not_fitted(curves):
    surrogate = SurrogateEvaluator("cifar10", curves)
    known = set(map(str, read_curves(curves)[0]))
    rng = np.random.default_rng(1)
    drawn = [SearchSpace(max_layers=6).sample(rng) for _ in range(100)]
    fresh = [network for network in drawn if str(network) not in known]
    predicted = [surrogate.evaluate(network).accuracy for network in fresh]
    assert spearmanr(predicted, [truth(network) for network in fresh]).statistic > 0.8
    assert surrogate.rank_correlation > 0.8
    assert 0 < surrogate.error < 0.05
    assert max(predicted) <= surrogate.best


def test_noise_is_drawn_from_the_residuals_by_the_seed(curves):
    plain = SurrogateEvaluator("cifar10", curves)
    noisy = SurrogateEvaluator("cifar10", curves, noise=True)
    network = Architecture.parse("[C(64,3,1), P(2,2), SM(10)]")
    draws = [noisy.evaluate(network, seed).accuracy for seed in range(300)]
    assert noisy.evaluate(network, 5) == noisy.evaluate(network, 5)
    assert np.std(draws) == pytest.approx(plain.error, rel=0.3)
    assert np.mean(draws) == pytest.approx(plain.evaluate(network).accuracy, abs=plain.error / 2)
    assert plain.task != noisy.task


@pytest.mark.parametrize("noise", [False, True])
def test_predictions_together_are_those_one_by_one(curves, noise):
    surrogate = SurrogateEvaluator("cifar10", curves, noise=noise)
    rng = np.random.default_rng(2)
    networks = [SearchSpace(max_layers=6).sample(rng) for _ in range(100)]
    seeds = list(range(100))
    alone = [surrogate.evaluate(*each) for each in zip(networks, seeds, strict=True)]
    assert surrogate.evaluate_many(networks, seeds) == alone
    assert surrogate.evaluate_many([], []) == []


def test_a_fit_is_kept_and_a_damaged_one_is_made_anew(curves, tmp_path, monkeypatch):
    few = tmp_path / "few.csv"
    few.write_text("".join(curves.read_text().splitlines(keepends=True)[:31]))
    network = Architecture.parse("[C(64,3,1), P(2,2), SM(10)]")
    monkeypatch.setattr("train_eval.training.surrogate_fit.cache_root", lambda: tmp_path)
    fits, cross_validated = [], surrogate_fit._cross_validated
    monkeypatch.setattr(
        surrogate_fit,
        "_cross_validated",
        lambda *args: fits.append(1) or cross_validated(*args),
    )

    def predicted():
        fit.cache_clear()  # as a new process
        surrogate = SurrogateEvaluator("cifar10", few)
        return surrogate.evaluate(network), surrogate.predicted.tolist(), surrogate.task

    first = predicted()
    assert predicted() == first
    assert len(fits) == 1
    (kept,) = tmp_path.glob("surrogates/*.fit")
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert predicted() == first
    assert len(fits) == 2
    monkeypatch.setattr("train_eval.training.surrogate_fit.cache_root", lambda: kept)  # no folder
    assert predicted() == first
    assert len(fits) == 3


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_an_environment_predicts_by_the_surrogate_s_name(curves, make):
    env = make("CNNArch-CIFAR10-v0", evaluator="surrogate", curves=str(curves)).unwrapped
    env.reset(seed=0)
    last = len(env.search_space.actions) - 1
    rewards = env.step(last if make is gym.make else np.array([last]))[1]
    expected = SurrogateEvaluator("cifar10", curves).evaluate(Architecture.parse("[SM(10)]"))
    assert np.array_equal(np.atleast_1d(rewards), [expected.accuracy])


def test_a_search_on_a_surrogate_needs_no_data_and_repeats(capsys, tmp_path, curves):
    episodes = []
    for name in ("one", "two"):
        status, _, err = cnnarch(
            capsys, "search", "--env", "CNNArch-CIFAR10-v0", "--evaluator", "surrogate",
            "--curves", curves, "--recipe", "paper", "--budget", 60, "--run-dir", tmp_path / name,
        )  # fmt: skip
        assert status == 0
        assert "rank correlation" in err
        shown = json.loads(cnnarch(capsys, "show", tmp_path / name, "--json")[1])
        episodes.append(shown["episodes"])
    assert shown["unique"] == 60
    assert episodes[0] == episodes[1]


def test_agents_are_compared_on_a_surrogate(capsys, tmp_path, curves):
    status, out, _ = cnnarch(
        capsys, "benchmark", "--env", "CNNArch-CIFAR10-v0", "--evaluator", "surrogate",
        "--curves", curves, "--agents", "random_walk,uniform", "--seeds", 2, "--budget", 10,
        "--workers", 1, "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 0, out
    assert "Validation error in percent" in out
    surrogate = SurrogateEvaluator("cifar10", curves)
    page = (tmp_path / "out" / "benchmark.md").read_text()
    assert f"a prediction above {surrogate.best:.2%}" in page
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        predicted = surrogate.evaluate(Architecture.parse(row["incumbent"])).accuracy
        assert float(row["incumbent_reward"]) == predicted


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    """A replay database in which some networks do not learn, with rows that are no results."""
    path = tmp_path_factory.mktemp("replay") / "replay.csv"
    rng = np.random.default_rng(0)
    space = SearchSpace(max_layers=6)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["net", "accuracy_best_val", "accuracy_last_val", "epsilon"])
        for _ in range(150):
            network = space.sample(rng)
            accuracy = 0.1 if fails(network) else truth(network)
            writer.writerow([network, accuracy, accuracy, 1.0])
            writer.writerow([network, 0.5, 0.5, 0.9])
            writer.writerow([space.sample(rng), 86.0, 86.0, 0.7])
    return path


def fails(network):
    return getattr(network.layers[0], "receptive_field", 0) == 1


def test_replay_databases_are_read_without_what_is_no_result(replay):
    networks, accuracies = read_curves(replay)
    assert len(set(networks)) == len(networks) <= 150
    assert accuracies == pytest.approx([0.1 if fails(n) else truth(n) for n in networks])


def test_failures_are_predicted_and_the_mean_is_kept(replay, curves):
    surrogate = SurrogateEvaluator("cifar10", replay)
    networks, accuracies = read_curves(replay)
    failed = np.array([fails(network) for network in networks])
    assert 0.1 < failed.mean() < 0.9
    assert surrogate.failures == failed.mean()
    assert SurrogateEvaluator("cifar10", curves).failures == 0
    assert surrogate.predicted.mean() == pytest.approx(accuracies.mean(), abs=0.03)
    rng = np.random.default_rng(1)
    fresh = [SearchSpace(max_layers=6).sample(rng) for _ in range(60)]
    lost = [surrogate.evaluate(network).accuracy for network in fresh if fails(network)]
    learned = [surrogate.evaluate(network).accuracy for network in fresh if not fails(network)]
    assert np.mean(lost) < np.mean(learned) - 0.1
    assert f"{surrogate.failures:.0%} of them failures" in surrogate.quality()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("net,acc_1\n", "at least 10 rows"),
        ("network,acc_1\n" + "[SM(10)],0.5\n" * 20, "neither a replay database"),
        ("net,loss\n" + "[SM(10)],0.5\n" * 20, "columns net, acc_1"),
        ("net,acc_1\n" + "[SM(10)],good\n" * 20, "Row 1 of .* has no accuracy"),
        ("net,acc_1\n" + "[SM(10)],86\n" * 20, "Row 1 of .* has no accuracy"),
        ("net,acc_1\n" + "[SM(10)],\n" * 20, "Row 1 of .* has no accuracy"),
        ("net,acc_1\n" + "[SM],0.5\n" * 20, "Expected a layer"),
    ],
)
def test_unusable_curves_are_refused(tmp_path, content, message):
    (tmp_path / "curves.csv").write_text(content)
    with pytest.raises(InvalidInput, match=message):
        SurrogateEvaluator("cifar10", tmp_path / "curves.csv")


@pytest.mark.parametrize(
    "arguments",
    [
        {"dataset": "folder:x", "curves": "y"},
        {"dataset": "cifar10"},
        {"dataset": "cifar10", "curves": "no/such/file.csv"},
        {"dataset": "cifar10", "curves": "y", "recipe": "quick"},
        {"dataset": "cifar10", "curves": "y", "recipe": {"preset": "paper", "epochs": 1}},
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments):
    with pytest.raises(InvalidInput):
        SurrogateEvaluator(**arguments)


def test_published_results_are_ranked_well(shared_data):
    surrogate = SurrogateEvaluator("cifar10", shared_data / "metaqnn_cifar10.csv")
    assert surrogate.rank_correlation > 0.82
