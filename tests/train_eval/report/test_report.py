"""The report: its numbers, and that it is one safe file."""

import dataclasses
import json
import re
import shlex
from html.parser import HTMLParser

import numpy as np
import pytest

from agents import MetaQNN
from gym_cnnarch.mdp import START, compile_mdp
from tests.helpers.commands import cnnarch, recorded, search
from tests.helpers.instant import DIGITS, InstantEvaluator, make_search
from train_eval.data.image_data import Reading
from train_eval.environments import make_env
from train_eval.records.final_results import FinalNetwork, FinalResults
from train_eval.records.importing import import_results
from train_eval.records.summary import summarise
from train_eval.report.facts import command, finals
from train_eval.report.figures import RunFigures, rolling_mean
from train_eval.report.page import write_report
from train_eval.run.run import Run
from train_eval.run.search import run_search
from train_eval.search.offline import learn_offline

SVHN = "CNNArch-SVHN-v0"


def run(tmp_path, agent="metaqnn", budget=40, episodes=None):
    """A search in tmp_path, stopped after some episodes if they are given."""
    search, store, name = make_search(tmp_path / "run", agent, budget)
    for number, _ in enumerate(search, start=1):
        if number == episodes:
            break
    return store, name


class Links(HTMLParser):
    """Collects what a page would load."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for key, value in attrs if key in ("src", "href")]


def test_a_page_is_complete_and_loads_nothing(capsys, tmp_path):
    store, name = run(tmp_path)
    status, out, _ = cnnarch(capsys, "report", tmp_path / "run", "--top", 3)
    assert status == 0
    page = tmp_path / "run" / "report" / "report.html"
    assert str(page) in out
    html = page.read_text()
    links = Links()
    links.feed(html)
    assert links.found
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links.found)
    assert "script" not in links.tags
    summary = summarise(tmp_path / "run", store, name)
    for network in summary.best[:3]:
        assert f"<code>{network.architecture}</code>" in html
        assert f"{network.accuracy:.2%}" in html
    assert summary.best[3].architecture not in html
    assert f"&#34;run&#34;: &#34;{name}&#34;" in html  # what it takes to repeat it
    names = {path.name for path in page.parent.iterdir()}
    figures = (
        "accuracy", "distributions", "first_and_last", "q_by_type", "q_by_receptive_field",
        "parameters", "macs",
    )  # fmt: skip
    assert names == {"report.html"} | {f"{f}.{kind}" for f in figures for kind in ("svg", "png")}
    assert len(links.found) == len(figures)


@pytest.mark.parametrize("episodes", [1, 5])
def test_a_run_that_has_just_begun_has_a_page(tmp_path, episodes):
    store, name = run(tmp_path, episodes=episodes)
    page = write_report(
        summarise(tmp_path / "run", store, name), None, tmp_path / "out"
    ).read_text()
    assert "not finished yet" in page


def test_agents_without_q_values_have_a_page_without_them(tmp_path):
    store, name = run(tmp_path, "random_walk")
    write_report(summarise(tmp_path / "run", store, name), None, tmp_path / "out")
    assert not (tmp_path / "out" / "q_by_type.svg").exists()


def test_texts_are_escaped(tmp_path):
    (tmp_path / "<b>&.csv").write_text('net,acc_1\n"[SM(10)]",0.5\n')
    imported = import_results(
        tmp_path / "<b>&.csv", SVHN, make_env(SVHN, evaluator=None).search_space, tmp_path / "run"
    )
    folder = tmp_path / "out"
    summary = summarise(tmp_path / "run", imported.store, imported.run)
    page = write_report(summary, None, folder).read_text()
    assert "<b>&.csv" not in page
    assert "&lt;b&gt;&amp;.csv" in page


def test_q_values_are_averages_over_the_visited_choices(tmp_path):
    store, name = run(tmp_path)
    summary = summarise(tmp_path / "run", store, name)
    search, *_ = make_search(tmp_path / "other", "metaqnn", 40)
    space = search._env.search_space
    agent = MetaQNN(len(space.actions))
    learn_offline(agent, store.episodes(name), space)
    found = RunFigures(summary, agent)._q_values(lambda layer: "all", ["all"])["all"]
    mdp = compile_mdp(space)
    first = {e.actions[0] for e in summary.episodes}
    values = agent.q_values(mdp.observations[START])
    assert found[1] == pytest.approx(np.mean([values[action] for action in first]))


def test_offline_learning_moves_towards_the_rewards(tmp_path):
    store, name = run(tmp_path)
    search, *_ = make_search(tmp_path / "other", "metaqnn", 40)
    space = search._env.search_space
    last = store.episodes(name)[-1]
    learner = MetaQNN(len(space.actions), alpha=1.0, replay=1)
    learn_offline(learner, [last], space)
    mdp = compile_mdp(space)
    state = START
    for action in last.actions[:-1]:
        state = mdp.next_state[state, action]
    assert learner.q_values(mdp.observations[state])[last.actions[-1]] == last.reward


def test_rolling_means():
    values = np.arange(1.0, 8.0)
    assert rolling_mean(values, 3).tolist() == [1, 1.5, 2, 3, 4, 5, 6]


def test_a_folder_without_a_run_is_refused(capsys, tmp_path):
    status, _, err = cnnarch(capsys, "report", tmp_path)
    assert status == 2
    assert re.search("holds no run", err)


def test_failures_are_in_tables_of_their_own(capsys, tmp_path):
    evaluator = InstantEvaluator(("ok", "diverged", "timeout"))
    search, store, name = make_search(tmp_path / "run", evaluator=evaluator)
    list(search)
    summary = summarise(tmp_path / "run", store, name)
    status, out, _ = cnnarch(capsys, "show", tmp_path / "run")
    assert status == 0
    assert "of the networks that were trained to their end" in out
    counts = {way.status: way.networks for way in summary.failures}
    assert re.search(rf"failed: .*{counts['diverged']} diverged", " ".join(out.split()))
    assert summary.warning in " ".join(out.split())
    html = write_report(summary, None, tmp_path / "out").read_text()
    assert f"<td>{counts['timeout']}</td><td>timeout</td><td></td>" in html


def test_a_run_in_which_every_network_failed_has_a_page(tmp_path):
    search, store, name = make_search(tmp_path / "run", evaluator=InstantEvaluator(("error",)))
    list(search)
    summary = summarise(tmp_path / "run", store, name)
    page = write_report(summary, None, tmp_path / "out").read_text()
    assert "none yet" in page
    assert not (tmp_path / "out" / "accuracy.svg").exists()


THREE = ("--recipe", "digits", "epochs=3", "train_size=200")


@pytest.mark.parametrize(
    "given",
    [
        ("--agent", "local_search", "--network", "[C(8,3,1), P(2,2), SM(10)]"),
        ("--trace-decay", 0.5, "--stop-early", "prediction", "--delta", 0.9, "--first", 10, *THREE),
        ("--objectives", "accuracy,-macs", "--agent", "pareto_q"),
        ("--agent", "uniform", "--stop-early", "halving", "--rungs", 1, 2, "--first", 2, *THREE),
    ],
)
def test_the_command_on_the_page_is_that_of_the_run(capsys, tmp_path, given):
    folder = tmp_path / "a run"
    budget = 11 if "prediction" in given else 3  # more than the rule looks at first
    assert cnnarch(capsys, *search(folder, *given, "--budget", budget))[0] == 0
    before = recorded(capsys, folder)
    program, *words = shlex.split(command(Run(folder).summary))
    assert program == "cnnarch"
    status, _, err = cnnarch(capsys, *words, "--executor", "inline")
    assert status == 0, err
    assert recorded(capsys, folder) == before
    page = Run(folder).report().read_text()
    assert "images to validate with in the search" in page
    assert "1,437" in page  # of the digits
    rewarded = Run(folder).summary.settings
    rewarded = dataclasses.replace(rewarded, reward="module:mine")
    assert command(dataclasses.replace(Run(folder).summary, settings=rewarded)) == ""


def test_only_the_id_s_own_table_has_a_command_that_repeats_the_run(tmp_path):
    env = "CNNArch-CIFAR10Table-v0"
    run = run_search(env, "random_walk", 3, run_dir=tmp_path / "own")
    assert command(run.summary).startswith(f"cnnarch search --env {env} --search-space")
    for other, options in ((env, {"repeat": "mean"}), (DIGITS, {"evaluator": InstantEvaluator()})):
        run = run_search(other, "random_walk", 3, run_dir=tmp_path / other, **options)
        assert command(run.summary) == ""


def test_final_networks_are_shown_by_accuracy_with_the_ensemble_last():
    networks = (FinalNetwork("02", "[SM(2)]", 0.5, 10, 0.25, 0.75),)
    results = FinalResults(networks, ("02",), 0.125, 8, "x")
    assert FinalResults.from_json(results.as_json()) == results
    first, last = finals(results)
    assert (first["test"], first["validation"]) == ("75.00%", "75.00%")
    assert (last["name"], last["test"]) == ("ensemble", "87.50%")


def test_a_page_of_classes_whose_names_are_no_text_is_a_page(tmp_path):
    run(tmp_path)
    file = tmp_path / "run" / "run.json"
    described = json.loads(file.read_text())
    reading = Reading(("caf\udce9", "b"), (5, 4), (1, 8, 8)).as_json()
    described["data"] = {"dataset": "folder:caf\udce9", "reading": reading}
    file.write_text(json.dumps(described))
    page = Run(tmp_path / "run").report()
    assert "caf\\udce9" in page.read_text(encoding="utf-8")
