"""Benchmarks: budgets are kept exactly, results repeat, failures are named."""

import dataclasses
import json
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from gym_cnnarch import InvalidInput
from tests.helpers.commands import cnnarch, start
from tests.helpers.made_up_tables import SPACE, make_table
from train_eval.benchmark import benchmark as benchmark_module
from train_eval.benchmark.benchmark import Benchmark, Pair, result_file
from train_eval.benchmark.figures import illegal_over_time
from train_eval.benchmark.results import AgentResult, Results, Scale, collect
from train_eval.benchmark.run import AgentRun, Found, Outcome, read_outcome
from train_eval.benchmark.tables import tables, verdict
from train_eval.output.tracebacks import TRACEBACK
from train_eval.records.run_directory import LOCK, in_use
from train_eval.records.store import Store

TABLE_ENV = "CNNArch-CIFAR10Table-v0"


class MyAgent:
    """Somebody's own."""

    def __init__(self, num_actions, seed, sorts="last"):
        self.rng = np.random.default_rng(seed)
        self.sorts = sorts

    def act(self, observation, action_mask):
        legal = np.flatnonzero(action_mask)
        return legal[-1] if self.sorts == "last" else self.rng.choice(legal)

    def learn(self, episode):
        assert episode.reward >= 0


class Breaks(MyAgent):
    def learn(self, episode):
        raise RuntimeError("out of ideas\nmore")


class Illegal(MyAgent):
    def act(self, observation, action_mask):
        return int(np.argmin(action_mask))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.npz"
    make_table().save(path)
    return path


def benchmark(table, out, *arguments):
    return ("benchmark", "--table", table, "--out", out, "--workers", 2, *arguments)


def files(folder):
    """Every file but the one that names the folder, and the lock."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("benchmark.md", LOCK)
    }


NUMPY = (
    "random_walk,uniform,evolution,guided_evolution,local_search,reinforce,thompson,metaqnn,"
    "metaqnn-paper,metaqnn-exact"
)


def test_the_same_twice_gives_the_same_files(capsys, tmp_path, table):
    for folder in ("one", "two"):
        arguments = ("--agents", NUMPY, "--seeds", 2, "--budget", 15)
        status, out, err = cnnarch(capsys, *benchmark(table, tmp_path / folder, *arguments))
        assert status == 0, err
    assert "smallest regret" in out
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert one == two
    runs = 2 * len(NUMPY.split(","))
    assert len(one) == runs + 2 + 2 * 4  # JSON and CSV, four figures as SVG and PNG
    page = (tmp_path / "one" / "benchmark.md").read_text()
    assert "No agent took an illegal action" in page
    assert f"--out {tmp_path / 'one'}" in page


def test_interrupted_and_continued_gives_the_same_files(capsys, tmp_path, table):
    arguments = ("--agents", "random_walk,metaqnn", "--seeds", 100, "--budget", 15)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cnnarch(capsys, *benchmark(table, whole, *arguments))[0] == 0
    process = start(*benchmark(table, parts, *arguments, "--workers", 1))
    deadline = time.monotonic() + 120
    while len(list(parts.glob("runs/*/*.csv.gz"))) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "To continue, run the same command again:\n  cnnarch benchmark" in err
    assert cnnarch(capsys, *benchmark(table, parts, *arguments))[0] == 0
    assert files(whole) == files(parts)


def test_mean_rewards_have_no_noise(capsys, tmp_path, table):
    arguments = ("--agents", "random_walk", "--seeds", 2, "--budget", 12, "--repeat", "mean")
    assert cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments))[0] == 0
    means = make_table().validation.mean(axis=0)
    for seed in (0, 1):
        for row in read_outcome(result_file(tmp_path / "out", Pair("random_walk", seed))).found:
            rank = next(r for r in range(SPACE.count()) if str(SPACE.unrank(r)) == row.architecture)
            assert row.reward == pytest.approx(means[rank])
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "no", "--repeat", "best"))
    assert status == 2
    assert "repeat is one of 'sample', 'mean', 0, 1, 2, not 'best'" in err


def test_a_run_meets_its_budget_exactly_and_pays_once(table):
    outcome = AgentRun(
        TABLE_ENV, {"table": str(table)}, {"name": "random_walk"}, 3, 12, 1000
    ).execute()
    found = outcome.found
    assert len({f.architecture for f in found}) == len(found) == 12
    assert outcome.episodes == found[-1].episodes
    assert outcome.illegal == 0
    own = np.diff([0.0, *(f.seconds for f in found)])
    loaded = make_table()
    for row, seconds in zip(found, own, strict=True):
        rank = next(r for r in range(SPACE.count()) if str(SPACE.unrank(r)) == row.architecture)
        each = [loaded.evaluation(rank, i) for i in range(3)]
        assert seconds == pytest.approx(np.median([e.train_seconds for e in each]), abs=1e-5)
        assert row.reward in [e.accuracy if e.status == "ok" else 0.0 for e in each]


@pytest.mark.parametrize("name", ["PPO", "A2C", "DQN", "MaskablePPO", "QRDQN"])
def test_stable_baselines3_stops_at_the_budget(table, name):
    pytest.importorskip("sb3_contrib")
    run = AgentRun(TABLE_ENV, {"table": str(table)}, {"name": f"sb3:{name}"}, 0, 8, 3000)
    outcome = run.execute()
    assert len(outcome.found) == 8
    if name == "MaskablePPO":
        assert outcome.illegal == 0
        assert run.execute() == outcome


def collect_again(out):
    return collect(Benchmark.load(out), out)


def test_where_all_fail_they_are_named_and_there_is_no_page(capsys, tmp_path, table):
    arguments = ("--agents", "nobody", "--seeds", 1, "--budget", 5)
    status, out, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments))
    assert (status, out) == (1, "")
    assert "1 runs failed:\n  nobody, seed 0: No agent 'nobody'" in err
    assert "should not have happened" not in err


def test_failures_are_named_and_the_others_go_on(capsys, tmp_path, table):
    module = "tests.train_eval.benchmark.test_benchmark"
    settings = tmp_path / "agents.json"
    settings.write_text(
        json.dumps(
            {
                "mine": {"name": f"{module}:MyAgent", "sorts": "randomly"},
                "odd": {"name": "metaqnn", "alpha": 7},
                "typo": {"name": "evolution", "poplation": 5},
                "badly set": {"name": "sb3:PPO", "n_stops": 5},
            }
        )
    )
    own = f"{module}:Breaks,{module}:Illegal"
    agents = f"random_walk,mine,odd,typo,badly set,nobody,sb3:SAC,sb3:None,{own},metaqnn_x:Agent"
    arguments = ("--agents", agents, "--settings", settings, "--seeds", 1, "--budget", 5)
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments))
    assert status == 1
    for text in (
        "8 runs failed",
        "odd, seed 0: The agent metaqnn cannot take",
        "alpha must be in (0, 1], but is 7",
        "typo, seed 0: The agent evolution cannot take",
        "badly set, seed 0: PPO cannot be used here",
        "nobody, seed 0: No agent 'nobody'",
        "sb3:SAC, seed 0: SAC cannot be used here: The algorithm only supports",
        "sb3:None, seed 0: Stable-Baselines3 has no algorithm 'None'",
        ":Breaks, seed 0: RuntimeError: out of ideas",
        "metaqnn_x:Agent, seed 0: Cannot load 'metaqnn_x:Agent'",
    ):
        assert text in err, err
    page = (tmp_path / "out" / "benchmark.md").read_text()
    assert "Without a result: odd (seed 0), typo" in page
    results = collect_again(tmp_path / "out")
    assert set(results.agents) == {"random_walk", "mine", f"{module}:Illegal"}
    illegal = results.agents[f"{module}:Illegal"]
    assert illegal.illegal == 1.0
    assert illegal.outcomes[0].found == []
    assert illegal.episodes == 50
    assert illegal.curves[0, -1] == make_table().test.mean(axis=0).max()  # an accuracy of 0
    assert np.isnan(illegal_over_time(illegal)).all()
    settings.write_text('{"odd": {"name": "metaqnn", "alpha": 0.7}}')
    arguments = ("--agents", "odd", "--settings", settings, "--seeds", 1, "--budget", 5)
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments))
    assert status == 0, err  # settings without a result bind nobody
    assert set(collect_again(tmp_path / "out").agents) == {*results.agents, "odd"}
    assert "Without a result" not in (tmp_path / "out" / "benchmark.md").read_text()


def test_images_that_moved_are_known_by_the_task(tmp_path):
    agents = {"random_walk": {"name": "random_walk"}}
    begun = Benchmark("X-v0", {"dataset": "folder:/here"}, "task", agents, {"random_walk": 1}, 5, 9)
    begun.describe(tmp_path)
    moved = dataclasses.replace(begun, kwargs={"dataset": "folder:/there"})
    assert moved.check(tmp_path) == moved
    with pytest.raises(InvalidInput, match="what differs: kwargs"):
        dataclasses.replace(begun, kwargs={"dataset": "npz:/here"}).check(tmp_path)


def test_where_an_agent_fails_is_shown_if_that_is_wished(capsys, tmp_path, table, monkeypatch):
    agent = {"name": f"{Breaks.__module__}:Breaks"}
    run = AgentRun("CNNArch-CIFAR10Table-v0", {"table": table}, agent, 0, 5, 50)
    for wish, shown in (("", False), ("1", True)):
        monkeypatch.setenv(TRACEBACK, wish)
        failed = benchmark_module._execute(Pair("mine", 0), run, tmp_path / "0.csv.gz")
        assert failed.error == "RuntimeError: out of ideas"
        assert ('raise RuntimeError("out of ideas' in capsys.readouterr().err) == shown


def test_losses_follow_the_incumbent(capsys, tmp_path, table):
    arguments = ("--agents", "random_walk", "--seeds", 2, "--budget", 10)
    assert cnnarch(capsys, *benchmark(table, tmp_path, *arguments))[0] == 0
    results = collect_again(tmp_path)
    assert results.scale.loss == "regret"
    assert results.scale.optimum == 0
    loaded = make_table()
    mean_test = loaded.test.mean(axis=0)
    ranks = {str(SPACE.unrank(r)): r for r in range(SPACE.count())}
    agent = results.agents["random_walk"]
    for seed in (0, 1):
        found = read_outcome(result_file(tmp_path, Pair("random_walk", seed))).found
        for count in range(1, 11):
            best = max(found[:count], key=lambda row: row.reward)
            expected = mean_test.max() - mean_test[ranks[best.architecture]]
            assert agent.curves[seed, count - 1] == pytest.approx(expected)
        for column, seconds in enumerate(results.seconds):
            paid = [row for row in found if row.seconds <= seconds]
            best = max(paid, key=lambda row: row.reward, default=None)
            expected = mean_test.max() - (mean_test[ranks[best.architecture]] if best else 0)
            assert agent.by_seconds[seed, column] == pytest.approx(expected)


def test_agents_that_are_added_join_the_others_wherever_the_folder_is(capsys, tmp_path, table):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "benchmark.json.unfinished").touch()  # of one that was killed while it began
    options = ("--seeds", 2, "--budget", 5, "--agents")
    assert cnnarch(capsys, *benchmark(table, one, *options, "random_walk"))[0] == 0
    one.rename(two)
    moved = tmp_path / "moved.npz"
    moved.write_bytes(table.read_bytes())
    assert cnnarch(capsys, *benchmark(moved, two, *options, "uniform"))[0] == 0
    rows = (two / "results.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["random_walk"] * 2 + ["uniform"] * 2
    assert "| uniform | 2 |" in (two / "benchmark.md").read_text()


NOTHING = Outcome([], 1, 1, 0)


def results_of(curves, scale=None, outcomes=None) -> Results:
    """Agents whose incumbents have these (R, B) losses."""
    agents = {
        label: AgentResult(
            label, list(range(len(c))), (outcomes or {}).get(label, [NOTHING] * len(c)), c, c
        )
        for label, c in curves.items()
    }
    budget = next(iter(curves.values())).shape[1]
    benchmark = Benchmark(TABLE_ENV, {}, "", {}, {}, budget, 100)
    scale = scale or Scale("regret", 0.0)
    return Results(benchmark, scale, np.array([budget]), np.array([1.0]), agents, [])


def noisy(loss, runs=30, seed=0):
    return loss + 0.1 * np.random.default_rng([seed, round(1e6 * loss)]).random((runs, 1))


def test_who_differs_from_a_baseline_beyond_chance_is_named():
    losses = {"random_walk": 0.5, "as_good": 0.501, "worse": 0.7, "better": 0.3, "evolution": 0.4}
    results = results_of({label: noisy(loss) for label, loss in losses.items()})
    text = verdict(results)
    assert text.startswith("The smallest regret is that of **better**")
    assert "Better than random_walk: better, evolution; worse: worse." in text
    assert "Better than evolution: better; worse: as_good, random_walk, worse." in text
    assert "runs" not in text  # 30 are enough
    assert ("random_walk", "evolution") not in results.comparisons  # once is enough
    assert len(results.comparisons) == 4 + 3
    few = results_of({label: noisy(loss, runs=6) for label, loss in losses.items()})
    assert "only 6 runs" in verdict(few)


def test_one_of_many_that_is_ahead_by_chance_is_not_called_better():
    chance = np.random.default_rng(0)
    curves = {"random_walk": chance.normal(size=(20, 1))}
    curves |= {f"agent {number}": chance.normal(size=(20, 1)) for number in range(30)}
    curves["lucky"] = curves["random_walk"] - 0.75
    results = results_of(curves)
    (lucky,) = [each for (a, _), each in results.comparisons.items() if a == "lucky"]
    alone = results_of({name: curves[name] for name in ("random_walk", "lucky")})
    assert alone.comparisons["lucky", "random_walk"].verdict == "better"
    assert lucky.verdict == ""
    assert lucky.low < alone.comparisons["lucky", "random_walk"].low


def test_how_soon_counts_runs_that_never_get_there():
    curves = np.full((9, 50), 0.3)
    for run, first in enumerate([3, 5, 7, 9, 11]):  # of nine runs
        curves[run, first:] = 0.01
    results = results_of({"a": curves, "b": curves[4:]}, Scale("regret", 0.0))
    median, low, high, reached = results.until_close("a")
    assert (median, reached) == (12, 5 / 9)  # the fifth of nine, 11 networks before it
    assert low < 12 < high == 51
    assert results.area("a")[0] < results.area("b")[0]
    assert results.agents["a"].area[0] == pytest.approx((3 * 0.3 + 47 * 0.01) / 50)
    soon = tables(results)[2]
    assert (soon.rows[1][0], soon.rows[1][2][:6]) == ("b", "> 50 (")
    other = results_of({"a": curves + 0.2}, Scale("validation error", 0.21))
    assert other.until_close("a")[0] == 12


def test_incumbents_beyond_the_measured_are_counted():
    def outcome(reward):
        return Outcome([Found("", 0.1, 0.0, 1, 1, 0), Found("", reward, 0.0, 2, 2, 0)], 2, 4, 0)

    outcomes = {"a": [outcome(reward) for reward in (0.84, 0.85, 0.86, 0.8)]}
    scale = Scale("validation error", 0.14, mean=(0.4, 0.6), measured=0.84)
    results = results_of({"a": np.array([[0.16], [0.15], [0.14], [0.2]])}, scale, outcomes)
    found = tables(results)[0]
    assert dict(zip(found.headings, found.rows[0], strict=True))["beyond"] == "50%"
    assert results.relative_improvement("a") == pytest.approx((0.4 - 0.155) / 0.6)
    assert "84.00%" in found.note


def test_the_first_seed_is_chosen(capsys, tmp_path, table):
    options = ("--agents", "random_walk", "--seeds", 2, "--budget", 5, "--first-seed")
    assert cnnarch(capsys, *benchmark(table, tmp_path / "out", *options, 1000))[0] == 0
    rows = (tmp_path / "out" / "results.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["1000", "1001"]
    alone = AgentRun(TABLE_ENV, {"table": str(table)}, {"name": "random_walk"}, 1001, 5, 50)
    assert read_outcome(result_file(tmp_path / "out", Pair("random_walk", 1001))) == alone.execute()
    assert "with seed 1000" in (tmp_path / "out" / "benchmark.md").read_text()
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *options, 0))
    assert status == 2
    assert "what differs: first_seed" in err


def test_real_training_shares_one_store(capsys, tmp_path):
    arguments = (
        "benchmark", "--env", "CNNArch-Digits-v0", "--recipe", "digits", "epochs=1",
        "train_size=100", "--agents", "random_walk,uniform", "--seeds", 2, "--budget", 3,
        "--out", tmp_path / "out", "--workers", 2,
    )  # fmt: skip
    status, out, err = cnnarch(capsys, *arguments)
    assert status == 0, err
    assert "validation error" in out
    store = Store(tmp_path / "out" / "store.sqlite")
    task = json.loads((tmp_path / "out" / "benchmark.json").read_text())["task"]
    stored = {text: evaluation for text, _, evaluation in store.evaluations(task)}
    runs = [read_outcome(path).found for path in (tmp_path / "out").glob("runs/*/*.csv.gz")]
    assert len(runs) == 4
    assert stored.keys() == {row.architecture for found in runs for row in found}


def test_a_folder_that_another_is_at_work_in_stays_as_it_is(capsys, tmp_path, table):
    options = ("--seeds", 1, "--budget", 5, "--agents")
    assert cnnarch(capsys, *benchmark(table, tmp_path, *options, "random_walk"))[0] == 0
    before = (tmp_path / "benchmark.json").read_bytes()
    with in_use(tmp_path / LOCK):
        status, _, err = cnnarch(capsys, *benchmark(table, tmp_path, *options, "uniform"))
    assert status == 2
    assert "Another cnnarch is at work" in err
    assert (tmp_path / "benchmark.json").read_bytes() == before


def test_folders_of_something_else_are_refused(capsys, tmp_path, table):
    arguments = ("--agents", "random_walk", "--seeds", 1, "--budget")
    assert cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments, 5))[0] == 0
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments, 6))
    assert status == 2
    assert "another benchmark (what differs: budget, max_episodes)" in err
    settings = tmp_path / "agents.json"
    for alpha, expected in ((0.1, 0), (0.2, 2)):
        settings.write_text(json.dumps({"bold": {"name": "metaqnn", "alpha": alpha}}))
        bold = ("--settings", settings, "--agents", "bold", "--seeds", 1, "--budget", 5)
        status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *bold))
        assert status == expected
        cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments, 5))
    assert "another benchmark (what differs: bold)" in err
    other = tmp_path / "other.npz"
    make_table(seeds=2).save(other)
    status, _, err = cnnarch(capsys, *benchmark(other, tmp_path / "out", *arguments, 5))
    assert status == 2
    assert "another benchmark (what differs: task)" in err
    described = tmp_path / "out" / "benchmark.json"
    begun = json.loads(described.read_text())
    older = {**begun, "made_with": {**begun["made_with"], "torch": "1.0"}}
    described.write_text(json.dumps(older))
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments, 5))
    assert status == 2
    assert "what differs: torch was 1.0 and is" in err
    older = {**begun, "made_with": {**begun["made_with"], "optuna": "1.0"}}
    described.write_text(json.dumps(older))
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments, 5))
    assert status == 2
    assert "what differs: optuna was 1.0 and is" in err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "full", *arguments, 5))
    assert status == 2
    assert "holds something else" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", 0), "--seeds must be at least 1"),
        (("--first-seed", -1), "--first-seed must be at least 0"),
        (("--agents", ","), "names nobody"),
        (("--settings", "missing.json"), "Cannot read the agents' settings"),
        (("--settings", Path(__file__).parents[3] / "pyproject.toml"), "Cannot read the agents'"),
    ],
)
def test_bad_input_is_one_sentence(capsys, tmp_path, table, arguments, message):
    status, _, err = cnnarch(capsys, *benchmark(table, tmp_path / "out", *arguments))
    assert status == 2
    assert message in err
    assert not (tmp_path / "out").exists()


def test_the_agent_of_the_documentation_runs(capsys, tmp_path, table, monkeypatch):
    page = (Path(__file__).parents[3] / "docs" / "benchmark.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    (settings,) = re.findall(r"```json\n(.*?)```", page, re.S)
    assert len([line for line in code.splitlines() if line]) <= 20
    (tmp_path / "own_agent.py").write_text(code)
    (tmp_path / "agents.json").write_text(settings)
    monkeypatch.chdir(tmp_path)
    agents = "random_walk,own_agent:LayerAverages,bold,wide"
    arguments = ("--agents", agents, "--settings", "agents.json", "--seeds", 1, "--budget", 5)
    process = start(*benchmark(table, tmp_path / "out", *arguments))
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert set(collect_again(tmp_path / "out").agents) == set(agents.split(","))


def test_results_of_any_label_stay_in_the_benchmark_s_folder(tmp_path):
    labels = [
        "ppo",
        "sb3:PPO",
        "../../own.py:Mine",
        "/home/me/own.py:Mine",
        "..",
        "a b",
        "",
        "a.",
        300 * "a",
    ]
    files = [result_file(tmp_path, Pair(label, 0)).resolve() for label in labels]
    assert len(set(files)) == len(files)
    assert {file.parent.parent for file in files} == {(tmp_path / "runs").resolve()}
    assert files[1].parent.name == "sb3-PPO"


def test_labels_that_would_share_a_folder_are_refused(capsys, tmp_path, table):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({name: {"name": "random_walk"} for name in ("a:b", "A-B")}))
    status, _, err = cnnarch(
        capsys, "benchmark", "--table", table, "--agents", "a:b,A-B", "--settings", settings,
        "--seeds", 1, "--budget", 3, "--out", tmp_path / "out",
    )  # fmt: skip
    assert (status, "'a:b' and 'A-B' would share the folder" in err) == (2, True)
