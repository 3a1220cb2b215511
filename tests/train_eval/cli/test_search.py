"""The command ``cnnarch search``: stopped, killed, shared, watched."""

import json
import os
import re
import signal
import sqlite3
import time

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from tests.helpers.commands import FAST, cnnarch, recorded, search, start
from tests.helpers.instant import InstantEvaluator
from train_eval import run_search
from train_eval.run.run import Run
from train_eval.search.agents import benchmark_settings


def wait_for_a_network(process):
    """Reads until the process has learned its first network."""
    next(line for line in process.stderr if "unique networks" in line)


def test_a_search_keeps_and_shows_what_it_found(capsys, tmp_path):
    status, out, err = cnnarch(capsys, *search(tmp_path / "run", "--budget", 6))
    assert status == 0
    assert "The best 5 networks" in out
    assert str(tmp_path / "run" / "store.sqlite") in out
    assert "6/6 unique networks" in err
    assert re.search(r"By the first 2, the other 4 networks take about 0:00:\d\d", err)
    shown = recorded(capsys, tmp_path / "run")
    assert shown["unique"] == 6
    assert sum(phase["unique"] for phase in shown["epsilons"]) == 6
    assert [e["number"] for e in shown["episodes"]] == list(range(len(shown["episodes"])))


def test_the_same_command_twice_gives_the_same_numbers(capsys, tmp_path):
    for folder in ("one", "two"):
        assert cnnarch(capsys, *search(tmp_path / folder, "--budget", 8))[0] == 0
    assert recorded(capsys, tmp_path / "one") == recorded(capsys, tmp_path / "two")


def test_monte_carlo_returns_are_the_benchmarks_agent(capsys, tmp_path):
    assert cnnarch(capsys, *search(tmp_path, "--budget", 6, "--trace-decay", 1))[0] == 0
    assert Run(tmp_path).summary.settings.agent == benchmark_settings("metaqnn-returns", 6)


def test_ctrl_c_says_how_to_continue_and_the_end_is_the_same(capsys, tmp_path):
    arguments = ("--budget", 30)
    process = start(*search(tmp_path / "stopped", *arguments))
    for line in process.stderr:
        if "3/30 unique" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"Stopped after \d+ of 30 unique networks", err)
    assert "cnnarch search --env CNNArch-Digits-v0" in err
    assert recorded(capsys, tmp_path / "stopped")["unique"] < 30
    for folder in ("stopped", "whole"):
        assert cnnarch(capsys, *search(tmp_path / folder, *arguments))[0] == 0
    assert recorded(capsys, tmp_path / "stopped") == recorded(capsys, tmp_path / "whole")


def test_a_search_killed_at_random_moments_ends_like_one_that_was_not(capsys, tmp_path):
    arguments = search(tmp_path / "killed", "--budget", 25)
    rng = np.random.default_rng(0)
    progress = []
    for _ in range(3):
        process = start(*arguments)
        wait_for_a_network(process)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.communicate()
        progress.append(recorded(capsys, tmp_path / "killed")["unique"])
    assert any(unique < 25 for unique in progress)  # killed before the end
    assert cnnarch(capsys, *arguments)[0] == 0
    assert cnnarch(capsys, *search(tmp_path / "whole", "--budget", 25))[0] == 0
    assert recorded(capsys, tmp_path / "killed") == recorded(capsys, tmp_path / "whole")


def test_own_images_are_searched_by_one_command(capsys, tmp_path):
    rng = np.random.default_rng(0)
    for label, name in enumerate(("dark", "light")):
        (tmp_path / "data" / "train" / name).mkdir(parents=True)
        for index in range(20):
            pixels = rng.integers(0, 128, (6, 6, 3), dtype=np.uint8) + np.uint8(127 * label)
            path = tmp_path / "data" / "train" / name / f"{index}.png"
            Image.fromarray(pixels).save(path)
    status, out, _ = cnnarch(
        capsys, "search", "--env", "CNNArch-v0", "--dataset", f"folder:{tmp_path / 'data'}",
        "--executor", "inline",
        "--search-space", "digits", "--budget", 3, "--run-dir", tmp_path / "run",
    )  # fmt: skip
    assert status == 0
    assert "(2)]" in out  # two classes


class LastAction:
    """Somebody's own agent; its actions are NumPy's integers."""

    def __init__(self, num_actions, seed):
        self.rng = np.random.default_rng(seed)

    def act(self, observation, action_mask):
        return self.rng.choice(np.flatnonzero(action_mask))

    def learn(self, episode):
        pass


class Forgetful(LastAction):
    """Cannot learn."""

    def learn(self, episode):
        raise LookupError("what was it?")


class Undecided(LastAction):
    """Takes no action."""

    def act(self, observation, action_mask):
        return None


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        ("Forgetful", "failed when it learned from episode 0: LookupError: what was it?"),
        ("Undecided", "failed in episode 0: TypeError: "),
    ],
)
def test_what_one_s_own_agent_raises_is_called_so(capsys, tmp_path, agent, sentence):
    own = f"tests.train_eval.cli.test_search:{agent}"
    status, _, err = cnnarch(capsys, *search(tmp_path / "run", "--budget", 3, "--agent", own))
    assert status == 2
    assert f"The agent {own} {sentence}" in err


def test_one_s_own_agent_searches_by_its_name(capsys, tmp_path):
    own = "tests.train_eval.cli.test_search:LastAction"
    status, out, err = cnnarch(capsys, *search(tmp_path / "run", "--budget", 3, "--agent", own))
    assert status == 0, err
    assert "3 of 3 unique networks" in out


def test_local_workers_ctrl_c_and_continuing_on_other_workers(capsys, tmp_path):
    """Ctrl-C reaches the whole process group, as in a terminal; the lookahead is kept."""
    arguments = ("search", *FAST, "--budget", 40, "--run-dir", tmp_path / "stopped")
    process = start(*arguments, "--workers", 2, start_new_session=True)
    for line in process.stderr:
        if "4/40 unique" in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("  cnnarch search")
    assert "Traceback" not in err
    lookahead = json.loads((tmp_path / "stopped" / "run.json").read_text())["settings"]["lookahead"]
    assert lookahead > 1
    assert cnnarch(capsys, *arguments, "--executor", "inline")[0] == 0
    whole = search(tmp_path / "whole", "--budget", 40, "--lookahead", lookahead)
    assert cnnarch(capsys, *whole)[0] == 0
    assert recorded(capsys, tmp_path / "stopped") == recorded(capsys, tmp_path / "whole")


def test_two_searches_at_the_same_time_share_a_store(capsys, tmp_path):
    store = ("--store", tmp_path / "store.sqlite")
    seeds = range(2)
    processes = [
        start(*search(tmp_path / f"shared{s}", "--budget", 10, "--seed", s, *store)) for s in seeds
    ]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    architectures = set()
    for seed in seeds:
        assert not (tmp_path / f"shared{seed}" / "store.sqlite").exists()
        alone = search(tmp_path / f"alone{seed}", "--budget", 10, "--seed", seed)
        assert cnnarch(capsys, *alone)[0] == 0
        assert recorded(capsys, tmp_path / f"shared{seed}") == recorded(
            capsys, tmp_path / f"alone{seed}"
        )
        episodes = recorded(capsys, tmp_path / f"alone{seed}")["episodes"]
        architectures |= {episode["architecture"] for episode in episodes}
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        stored = db.execute("SELECT architecture FROM evaluations").fetchall()
    assert {text for (text,) in stored} == architectures


def test_tensorboard_gets_one_point_a_network_even_after_a_second_start(capsys, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        assert cnnarch(capsys, *search(tmp_path / "run", "--budget", 5, "--tensorboard"))[0] == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    shown = recorded(capsys, tmp_path / "run")
    points = events.Scalars("search/accuracy")
    assert [point.step for point in points] == [1, 2, 3, 4, 5]
    new = [episode for episode in shown["episodes"] if episode["new"]]
    assert [p.value for p in points] == pytest.approx([e["accuracy"] for e in new])
    epsilons = [point.value for point in events.Scalars("rollout/exploration_rate")]
    assert epsilons == pytest.approx([e["epsilon"] for e in new])
    best = [point.value for point in events.Scalars("search/best")]
    assert best == pytest.approx(list(np.maximum.accumulate([e["accuracy"] for e in new])))


def test_watch_follows_a_search_to_its_end(capsys, tmp_path):
    run_dir = tmp_path / "run"
    searching = start(*search(run_dir, "--budget", 12))
    wait_for_a_network(searching)
    watching = start("show", run_dir, "--watch")
    out, err = watching.communicate(timeout=120)
    searching.communicate()
    assert watching.returncode == 0, err
    assert "12 of 12 unique networks" in out


def test_watch_ends_where_no_search_is_at_work(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("train_eval.cli.show._WATCH_SECONDS", 0.01)
    stopped = {"hours": 1e-9, "run_dir": tmp_path / "run", "evaluator": InstantEvaluator()}
    run_search("CNNArch-Digits-v0", budget=12, **stopped)
    status, _, err = cnnarch(capsys, "show", tmp_path / "run", "--watch")
    assert status == 0
    assert "No search is at work in" in err


def test_a_search_in_which_every_network_failed_ends_with_status_1_and_the_reason(capsys, tmp_path):
    space = {"preset": "digits", "input_shape": [1, 8, 8], "num_classes": 10}
    kwargs = {"evaluator": "tests.helpers.instant:FailingEvaluator", "search_space": space}
    gym.register("Failing-v0", "gym_cnnarch.env:CNNArchEnv", kwargs=kwargs)
    try:
        status, out, _ = cnnarch(
            capsys, "search", "--env", "Failing-v0", "--budget", 5, "--run-dir", tmp_path / "run"
        )
    finally:
        del gym.registry["Failing-v0"]
    assert status == 1
    text = " ".join(out.split())
    assert "failed: 5 error 5 error (no \\x1b[2Jmemory\\x07)" in text
    assert "5 of 5 networks failed, most often error (no \\x1b[2Jmemory\\x07): look at" in text
    assert "\x1b[2J" not in out
