"""Benchmarks of agents that look for fronts."""

import csv

import numpy as np
import pytest

from agents.pareto import hypervolume
from gym_cnnarch import Architecture
from tests.helpers.commands import cnnarch
from tests.helpers.made_up_tables import SPACE, make_table
from tests.train_eval.benchmark.test_benchmark import benchmark
from train_eval.benchmark.benchmark import Benchmark
from train_eval.benchmark.fronts import Truth, truth
from train_eval.benchmark.results import collect
from train_eval.benchmark.run import AgentRun, read_outcome, write_outcome
from train_eval.environments import make_env

ENV = "CNNArch-CIFAR10Table-v0"
BOTH = ["accuracy", "-parameters"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.npz"
    make_table().save(path)
    return path


def run_of(table, agent="random_walk", budget=30):
    kwargs = {"table": str(table), "reward": BOTH}
    return AgentRun(ENV, kwargs, {"name": agent}, 0, budget, 10 * budget).execute()


def brute_force(points):
    """Positions of what none dominates, the first of equal ones."""
    chosen = []
    for i, p in enumerate(points):
        beaten = any(all(np.greater_equal(q, p)) and tuple(q) != tuple(p) for q in points)
        if not beaten and tuple(p) not in {tuple(points[j]) for j in chosen}:
            chosen.append(i)
    return chosen


def test_a_front_is_chosen_by_its_rewards_and_judged_by_the_mean_test_accuracy(table):
    env = make_env(ENV, table=str(table), reward=BOTH)
    known = truth(env, [])
    found = run_of(table).found
    evaluator = env.evaluator
    volume = hypervolume(np.array(list(known.values.values())), np.array([0.1, -1.0]))
    for number, loss in enumerate(known.losses(found), start=1):
        chosen = brute_force([row.reward for row in found[:number]])
        worth = []
        for position in chosen:
            row = found[position]
            rank = SPACE.rank(Architecture.parse(row.architecture))
            worth.append((evaluator.mean_test[rank], row.reward[1]))
        assert loss == pytest.approx(
            1 - hypervolume(np.array(worth), np.array([0.1, -1.0])) / volume
        )


def test_all_networks_with_their_true_worth_lack_nothing(table):
    env = make_env(ENV, table=str(table), reward=BOTH)
    known = truth(env, [])
    found = run_of(table, "uniform", SPACE.count()).found
    assert len(found) == SPACE.count()
    assert known.share(found) == 1.0
    told = [
        type(row)(row.architecture, known.values[row.architecture], 0, 0, 0, 0) for row in found
    ]
    losses = known.losses(told)
    assert losses[-1] == pytest.approx(0.0)
    assert np.diff(losses).max() < 1e-12  # more networks are never worse, if nothing is noise
    points = [known.values[row.architecture] for row in told]
    assert {told[i].architecture for i in brute_force(points)} == known.best


def test_without_a_table_the_best_front_is_that_of_all_runs(table):
    env = make_env(ENV, table=str(table), reward=BOTH)
    env.evaluator = None
    one, two = run_of(table).found, run_of(table, "uniform").found
    known = truth(env, [*one, *two])
    assert known.values == {}
    assert known.losses([*one, *two])[-1] == pytest.approx(0.0)
    assert known.losses(one)[-1] >= 0.0


def test_where_nobody_found_a_network_no_share_of_the_front_is_met():
    assert Truth(np.array([0.1, -1.0]), {}, frozenset(), 1.0).share([]) == 0.0


def test_vectors_survive_the_file(tmp_path, table):
    outcome = run_of(table)
    write_outcome(tmp_path / "0.csv.gz", outcome)
    assert read_outcome(tmp_path / "0.csv.gz") == outcome


def test_the_page_says_hypervolumes_and_shares_of_the_true_front(capsys, tmp_path, table):
    arguments = ("--objectives", "accuracy,-parameters", "--seeds", 5, "--budget", 15)
    status, out, err = cnnarch(capsys, *benchmark(table, tmp_path / "one", *arguments))
    assert status == 0, err
    assert "The largest hypervolume is that of" in " ".join(out.split())
    page = (tmp_path / "one" / "benchmark.md").read_text()
    assert "## Hypervolume in percent of that of the true front, 15 unique networks" in page
    results = collect(Benchmark.load(tmp_path / "one"), tmp_path / "one")
    assert set(results.agents) == {"random_walk", "uniform", "nsga2", "pareto_q"}
    rows = {line.split(" | ")[1]: line for line in page.splitlines() if line.count(" | ") == 6}
    for label in results.agents:
        mean, low, high = (100 * (1 - loss) for loss in results.iqm(label))
        assert f"| {mean:.2f} ({high:.2f} to {low:.2f}) |" in rows[label]
        assert f"| {results.agents[label].front_share:.1%} |" in rows[label]
    with (tmp_path / "one" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    for label, agent in results.agents.items():
        written = [float(row["hypervolume"]) for row in rows if row["agent"] == label]
        assert written == (1 - agent.final).ravel().tolist()
