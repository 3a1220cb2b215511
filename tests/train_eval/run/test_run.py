"""The front door: what the command does, one call does, and each continues the other."""

import itertools
import shutil
import time
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agents import RandomWalk
from gym_cnnarch import InvalidInput
from tests.helpers.commands import FAST, cnnarch, recorded
from tests.helpers.instant import DIGITS, InstantEvaluator
from tests.helpers.pictures import write_images
from train_eval import Run, run_search
from train_eval.search import search as search_module

RECIPE = {"preset": "digits", "epochs": 1, "train_size": 200}  # that of FAST


def stopped(run_dir, episodes, **arguments):
    """A search that Ctrl-C ends after some episodes."""
    seen = []

    def interrupt(learned):
        seen.append(learned)
        if len(seen) == episodes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(DIGITS, budget=20, run_dir=run_dir, on_episode=interrupt, **arguments)


def test_two_lines_search_and_the_run_tells_what_was_found(tmp_path):
    run = run_search(DIGITS, budget=20, run_dir=tmp_path / "run", recipe=RECIPE, executor="inline")
    assert len(run.networks) == 20
    assert len({network.architecture for network in run.networks}) == 20
    first, second = run.best(2)
    assert first.accuracy >= second.accuracy > 0.1
    assert (first.status, first.message) == ("ok", "")
    assert first.parameters > 0
    assert first.macs > 0
    assert first.train_seconds > 0
    assert [episode.number for episode in run.episodes] == list(range(len(run.episodes)))
    assert run.summary.finished
    assert Run.open(tmp_path / "run").episodes == run.episodes


def test_the_command_continues_what_a_call_began_and_the_other_way_round(capsys, tmp_path):
    command = ("search", *FAST, "--executor", "inline", "--budget", 20, "--run-dir")
    options = {"recipe": RECIPE, "executor": "inline"}
    stopped(tmp_path / "begun here", 7, **options)
    assert cnnarch(capsys, *command, tmp_path / "begun here")[0] == 0
    assert cnnarch(capsys, *command, tmp_path / "by command")[0] == 0
    run_search(DIGITS, budget=20, run_dir=tmp_path / "by command", **options)
    stopped(tmp_path / "here alone", 12, **options)
    run_search(DIGITS, budget=20, run_dir=tmp_path / "here alone", **options)
    runs = [recorded(capsys, tmp_path / d) for d in ("begun here", "by command", "here alone")]
    assert runs[0] == runs[1] == runs[2]


def test_any_executor_gives_the_same_episodes(tmp_path):
    def episodes(name, executor, **options):
        run = run_search(
            DIGITS, budget=20, run_dir=tmp_path / name, recipe=RECIPE, lookahead=4,
            executor=executor, **options,
        )  # fmt: skip
        return run.episodes

    here = episodes("inline", "inline")
    with ThreadPoolExecutor(2) as threads:
        assert episodes("threads", threads, workers=2) == here


def test_numbers_that_are_equal_are_those_of_the_same_run(tmp_path):
    options = {"run_dir": tmp_path / "run", "evaluator": InstantEvaluator()}
    stopped(tmp_path / "run", 7, evaluator=InstantEvaluator(), failure_reward=0)
    run = run_search(DIGITS, budget=np.int64(20), seed=np.int64(0), **options)
    assert run.summary.finished
    assert len(run.networks) == 20
    with pytest.raises(InvalidInput, match=r"seed must be an integer, but is 0\.5"):
        run_search(DIGITS, budget=20, seed=0.5, **options)


def test_an_agent_of_one_s_own_searches_as_an_object(tmp_path):
    evaluator = InstantEvaluator()
    run = run_search(
        DIGITS, RandomWalk(11, seed=3), 30, run_dir=tmp_path / "run", evaluator=evaluator
    )
    by_name = run_search(
        DIGITS, "random_walk", 30, run_dir=tmp_path / "named", seed=3, evaluator=evaluator
    )
    assert run.episodes == by_name.episodes
    assert run.summary.settings.agent == {"name": "agents.random_walk:RandomWalk"}


def test_a_run_without_a_budget_goes_through_the_schedule(tmp_path):
    evaluator = InstantEvaluator()
    space = {"preset": "digits", "max_layers": 2, "conv_filters": [8]}
    run = run_search(
        DIGITS, run_dir=tmp_path / "run", evaluator=evaluator, search_space=space,
        agent_settings={"replay": 1},
    )  # fmt: skip
    assert run.summary.settings.agent["replay"] == 1
    assert run.summary.budget == run.summary.settings.space.count()  # less than the paper's 2,700
    total = sum(networks for _, networks in run.summary.settings.agent["schedule"])
    assert total == run.summary.budget
    again = dict(run.summary.settings.agent)
    repeated = run_search(
        DIGITS, again.pop("name"), run_dir=tmp_path / "again", evaluator=evaluator,
        search_space=space, agent_settings=again,
    )  # fmt: skip
    assert repeated.episodes == run.episodes
    with pytest.raises(InvalidInput, match="A schedule is a list like"):
        run_search(DIGITS, run_dir=tmp_path / "none", agent_settings={"schedule": "cosine"})


def test_hours_end_a_search_that_goes_on_as_if_it_had_not_ended(tmp_path, monkeypatch):
    clock = itertools.count()  # a second passes whenever somebody looks
    stopped_clock = types.SimpleNamespace(
        monotonic=lambda: next(clock), perf_counter=time.perf_counter
    )
    monkeypatch.setattr(search_module, "time", stopped_clock)

    def searched(name, **options):
        evaluator = InstantEvaluator()
        return run_search(
            DIGITS, budget=60, run_dir=tmp_path / name, lookahead=3, evaluator=evaluator, **options
        )

    for hours in (10 / 3600, 30 / 3600):
        parts = searched("parts", hours=hours)
        assert not parts.summary.finished
        assert len(parts.episodes) == round(3600 * hours) - 1  # those begun before the time
    assert searched("parts", hours=1).episodes == searched("whole").episodes
    assert Run(tmp_path / "parts").summary.finished


def test_a_finished_run_that_is_asked_for_more_goes_on(tmp_path):
    def searched(name, budget, agent="random_walk", **options):
        evaluator = InstantEvaluator()
        return run_search(
            DIGITS, agent, budget, run_dir=tmp_path / name, evaluator=evaluator, lookahead=2,
            **options,
        )  # fmt: skip

    assert len(searched("longer", 30).networks) == 30
    longer = searched("longer", 60)
    assert longer.episodes == searched("whole", 60).episodes
    assert longer.summary.finished
    with pytest.raises(InvalidInput, match="budget is 60 there and 30 here"):
        searched("longer", 30)


def test_a_run_stays_what_is_on_disk_when_it_is_made_longer(tmp_path):
    options = {"run_dir": tmp_path / "run", "agent": "random_walk", "evaluator": InstantEvaluator()}
    run = run_search(DIGITS, budget=5, **options)
    assert len(run.networks) == 5
    run_search(DIGITS, budget=8, **options)
    assert len(run.networks) == 8


def test_a_schedule_that_is_made_for_its_budget_says_how_its_results_are_reused(tmp_path):
    evaluator = InstantEvaluator()
    run_search(DIGITS, budget=30, run_dir=tmp_path / "run", evaluator=evaluator)
    with pytest.raises(InvalidInput, match=r"made for 30 networks.*--store \S+store\.sqlite") as no:
        run_search(DIGITS, budget=60, run_dir=tmp_path / "run", evaluator=evaluator)
    asked = len(evaluator.asked)
    store = tmp_path / "run" / "store.sqlite"
    assert str(store) in str(no.value)
    run_search(DIGITS, budget=60, run_dir=tmp_path / "new", store=store, evaluator=evaluator)
    assert len(evaluator.asked) < asked + 60
    assert len(evaluator.asked) == len(set(evaluator.asked))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget must be at least 1"),
        ({"lookahead": 0}, "lookahead must be at least 1"),
        ({"hours": 0}, "hours must be more than 0"),
        ({"executor": "cloud"}, "No executor 'cloud'"),
        ({"agent": "nobody"}, "No agent 'nobody'"),
        ({"agent": RandomWalk(11), "agent_settings": {"seed": 1}}, "made by its name"),
        ({"evaluator": None}, "has no evaluator"),
        ({"recipe": "fast"}, "No recipe 'fast'"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence_and_leaves_nothing(tmp_path, options, message):
    with pytest.raises(InvalidInput, match=message):
        run_search(DIGITS, **{"run_dir": tmp_path / "run", **options})
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("final_trainings_here")
def test_report_and_final_networks_follow_from_the_run(tmp_path):
    run = run_search(DIGITS, budget=6, run_dir=tmp_path / "run", recipe=RECIPE, executor="inline")
    assert run.report(top=3).read_text().count("<code>") >= 3
    recipe = {"preset": "digits-final", "steps": [[0.05, 3]]}
    results = run.finalize(recipe, networks=2, workers=1)
    trained = {network.architecture for network in (*results.networks, *results.failed)}
    assert trained == {network.architecture for network in run.best(2)}
    assert results.networks
    assert 0 <= results.ensemble_error <= 1


def own_data(tmp_path, run_dir="run", **options):
    return run_search(
        "CNNArch-v0", budget=1, run_dir=tmp_path / run_dir, executor="inline",
        dataset=f"folder:{tmp_path / 'data'}", search_space="digits",
        recipe={"preset": "quick", "epochs": 1, "validation_size": 6, **options},
    )  # fmt: skip


def test_a_run_says_what_changed_of_its_images(tmp_path):
    write_images(tmp_path / "data" / "train", count=10)
    own_data(tmp_path)
    own_data(tmp_path)
    picture = tmp_path / "data" / "train" / "cat" / "0.png"
    shutil.copy(picture, picture.with_name("new.png"))
    with pytest.raises(InvalidInput, match=r"20 images then, 21 now: cat 10 then, 11 now\. Put"):
        own_data(tmp_path)
    picture.with_name("new.png").unlink()
    with pytest.raises(InvalidInput, match=r"belongs to another search .*recipe is"):
        own_data(tmp_path, epochs=2)
    own_data(tmp_path)


def test_classes_that_only_the_test_images_have_are_found_before_the_search(tmp_path):
    write_images(tmp_path / "data" / "train", count=10)
    write_images(tmp_path / "data" / "test", classes=("bird",))
    with pytest.raises(InvalidInput, match="bird"):
        own_data(tmp_path)
    assert not (tmp_path / "run").exists()
