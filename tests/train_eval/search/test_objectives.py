"""Searches for a front: what is recorded, continued, shown and refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from agents import RandomWalk, Reinforce
from gym_cnnarch import Architecture, InvalidInput
from tests.helpers.commands import cnnarch
from tests.helpers.instant import InstantEvaluator, make_search
from tests.helpers.made_up_tables import make_table
from train_eval import run_search
from train_eval.environments import make_env
from train_eval.final.candidates import candidates
from train_eval.report.paper import PAPER_NETWORKS, those_that_fit
from train_eval.search.agents import FRONT_AGENTS
from train_eval.search.settings import run_settings

PAGE = Path(__file__).parents[3] / "docs" / "objectives.md"
TABLE_ENV = "CNNArch-CIFAR10Table-v0"
BOTH = ["accuracy", "-parameters"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.npz"
    make_table().save(path)
    return path


def searched(table, run_dir, budget=40, reward=BOTH, **options):
    return run_search(
        TABLE_ENV, budget=budget, run_dir=run_dir, table=str(table), reward=reward, **options
    )


class Interrupted(Exception):
    pass


def after(episodes):
    def interrupt(learned):
        if learned.record.number == episodes:
            raise Interrupted

    return interrupt


def began(search):
    raise Interrupted


@pytest.mark.parametrize("agent", FRONT_AGENTS)
def test_a_run_records_vectors_and_goes_on_exactly(tmp_path, table, agent):
    whole = searched(table, tmp_path / "whole", agent=agent, lookahead=3)
    for episodes in (5, 21):
        with pytest.raises(Interrupted):
            searched(table, tmp_path / "run", agent=agent, lookahead=3, on_episode=after(episodes))
    run = searched(table, tmp_path / "run", agent=agent, lookahead=3)
    assert run.episodes == whole.episodes
    assert len(run.networks) == 40
    env = make_env(TABLE_ENV, table=str(table), reward=BOTH)
    for episode in run.episodes:
        evaluation = env.evaluator.evaluate(Architecture.parse(episode.architecture))
        assert episode.reward == env.reward_function(evaluation)
        assert isinstance(episode.reward, tuple)


def test_a_search_that_names_no_agent_takes_one_for_fronts(tmp_path, table):
    assert searched(table, tmp_path / "front").summary.settings.agent == {"name": "nsga2"}
    one = searched(table, tmp_path / "one", reward="accuracy").summary.settings
    assert one.agent["name"] == "metaqnn"
    assert one.as_json()["reward"] == "accuracy"  # as in the names of earlier runs


def test_the_front_is_the_same_wherever_it_is_asked_for(capsys, tmp_path, table):
    run = searched(table, tmp_path / "run", budget=60, reward=["accuracy", "-parameters", "-macs"])
    summary = run.summary

    def dominated(a):
        return any(
            b.accuracy >= a.accuracy
            and b.parameters <= a.parameters
            and b.macs <= a.macs
            and (b.accuracy, b.parameters, b.macs) != (a.accuracy, a.parameters, a.macs)
            for b in summary.best
        )

    expected = {n.architecture for n in summary.best if not dominated(n)}
    # Of networks that are equal in everything one is named.
    assert {n.architecture for n in summary.front} <= expected
    worth = {(n.accuracy, n.parameters, n.macs) for n in summary.best if not dominated(n)}
    assert {(n.accuracy, n.parameters, n.macs) for n in summary.front} == worth
    chosen = [str(c.architecture) for c in candidates(summary, 1000, front=True)]
    assert chosen == [n.architecture for n in summary.front]
    shown = json.loads(cnnarch(capsys, "show", tmp_path / "run", "--json")[1])
    assert shown["front"] == chosen
    assert shown["objectives"] == ["accuracy", "-parameters", "-macs"]
    _, out, _ = cnnarch(capsys, "show", tmp_path / "run")
    assert f"The front by accuracy, -parameters, -macs: {len(chosen)} networks" in out
    page = run.report().read_text()
    table_of_front = page.partition("<h2>The front</h2>")[2].partition("</table>")[0]
    assert re.findall(r"<tr><td>(.*?)</td>", table_of_front) == chosen
    assert (tmp_path / "run" / "report" / "parameters.svg").exists()


def test_the_front_of_a_run_with_one_number_is_by_accuracy_and_parameters(tmp_path, table):
    summary = searched(table, tmp_path / "run", reward="accuracy").summary
    assert summary.objectives == ("accuracy", "-parameters")
    sizes = [network.parameters for network in summary.front]
    assert sizes == sorted(set(sizes), reverse=True)


def test_a_run_that_has_just_begun_has_an_empty_front(capsys, tmp_path, table):
    with pytest.raises(Interrupted):
        searched(table, tmp_path / "run", follow=began)
    assert json.loads(cnnarch(capsys, "show", tmp_path / "run", "--json")[1])["front"] == []
    assert "The front by accuracy" in cnnarch(capsys, "show", tmp_path / "run")[1]


def test_a_scalarised_search_repeats_its_formula(tmp_path, table):
    reward = {"name": "mnasnet", "target": 1000}
    run = searched(table, tmp_path / "run", reward=reward, agent="evolution")
    sizes = {network.architecture: network.parameters for network in run.networks}
    for episode in run.episodes:
        ok = episode.status == "ok"
        expected = episode.accuracy * (sizes[episode.architecture] / 1000) ** -0.07
        assert episode.reward == pytest.approx(expected if ok else 0.0)
    assert run.summary.settings.reward == reward


def test_one_s_own_agent_says_that_it_takes_vectors(tmp_path, table):
    class Own(RandomWalk):
        pass

    actions = make_env(TABLE_ENV, table=str(table)).action_space.n
    searched(table, tmp_path / "own", agent=Own(actions), budget=5)
    with pytest.raises(InvalidInput, match="Reinforce does not learn from several objectives"):
        searched(table, tmp_path / "other", agent=Reinforce(actions))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("accuracy,-speed",), "No objective '-speed': there are accuracy, -parameters and -macs"),
        (("accuracy,macs",), "The objective macs is a cost: write -macs"),
        (("accuracy,-macs,-macs",), "The objective -macs came twice"),
        (("accuracy",), "two objectives or more"),
        (("accuracy,-macs", "--agent", "metaqnn"), "choose random_walk, uniform, nsga2, pareto_q"),
        (("accuracy,-macs", "--agents", "nsga2,metaqnn"), "metaqnn does not learn from several"),
        (("accuracy,-macs", "--agents", "maskable_ppo"), "sb3:MaskablePPO does not learn from"),
        (("accuracy,-macs", "--alpha", "0.1"), "options of metaqnn: leave them out for nsga2"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    capsys, tmp_path, table, arguments, message
):
    command, place = ("benchmark", "--out") if "--agents" in arguments else ("search", "--run-dir")
    status, out, err = cnnarch(
        capsys, command, "--env", TABLE_ENV, "--table", table, "--budget", 10, place,
        tmp_path / "run", "--objectives", *arguments,
    )  # fmt: skip
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("cnnarch: ") == 1 and err.splitlines()[-1].startswith("cnnarch: ")
    assert not (tmp_path / "run").exists()


def test_the_paper_s_networks_are_drawn_where_a_run_might_have_proposed_them(tmp_path):
    def fitting(env_id, **limits):
        space = {"preset": "metaqnn-18", **limits} if limits else None
        env = make_env(env_id, evaluator=InstantEvaluator(), search_space=space or "metaqnn-18")
        return those_that_fit(run_settings(env, {"name": "nsga2"}, 0, 10))

    assert fitting("CNNArch-CIFAR10-v0") == list(PAPER_NETWORKS)
    assert fitting("CNNArch-CIFAR10-v0", max_parameters=2_000_000) == list(PAPER_NETWORKS[3:])
    assert fitting("CNNArch-SVHN-v0") == []
    search, *_ = make_search(tmp_path / "run")
    assert those_that_fit(search.settings) == []


def test_what_the_page_shows_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("mo_gymnasium")
    monkeypatch.chdir(tmp_path)
    names = {}
    for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S):
        exec(text, names)
    assert "parameters  [" in capsys.readouterr().out
    names["env"].reset(seed=0)
    assert isinstance(float(names["env"].step(0)[1]), float)


def test_vectors_are_stored_to_the_last_digit(tmp_path, table):
    run = searched(table, tmp_path / "run", budget=20)
    rewards = [episode.reward for episode in run.episodes]
    again = [episode.reward for episode in run.open(tmp_path / "run").episodes]
    assert rewards == again
    assert np.isfinite(rewards).all()
