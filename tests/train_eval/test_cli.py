"""The command line as its users meet it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from gym_cnnarch import __version__
from train_eval import cli
from train_eval.runs import LOCK, in_use
from train_eval.store import FORMAT, Store

FAST = ("--env", "CNNArch-Digits-v0", "--recipe", "digits", "epochs=1", "train_size=200")


def cnnarch(capsys, *arguments):
    """Exit status, standard output and standard error of a command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cnnarch", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as exit_:
            status = exit_.code or 0
    out, err = capsys.readouterr()
    return status, out, err


def start(*arguments, **options):
    """The same in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "train_eval", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def recorded(capsys, run_dir):
    """All of a run but its seconds and its place."""
    summary = json.loads(cnnarch(capsys, "show", run_dir, "--json")[1])
    for network in summary["top"]:
        del network["train_seconds"]
    return {key: summary[key] for key in ("episodes", "epsilons", "top", "statuses", "unique")}


def search(run_dir, *arguments):
    return ("search", *FAST, "--executor", "inline", "--run-dir", run_dir, *arguments)


def test_a_search_keeps_and_shows_what_it_found(capsys, tmp_path):
    status, out, err = cnnarch(capsys, *search(tmp_path / "run", "--budget", 6))
    assert status == 0
    assert "The best 5 networks" in out
    assert str(tmp_path / "run" / "store.sqlite") in out
    assert "6/6 unique networks" in err
    shown = recorded(capsys, tmp_path / "run")
    assert shown["unique"] == 6
    assert sum(phase["unique"] for phase in shown["epsilons"]) == 6
    assert [e["number"] for e in shown["episodes"]] == list(range(len(shown["episodes"])))


def test_the_same_command_twice_gives_the_same_numbers(capsys, tmp_path):
    for folder in ("one", "two"):
        assert cnnarch(capsys, *search(tmp_path / folder, "--budget", 8))[0] == 0
    assert recorded(capsys, tmp_path / "one") == recorded(capsys, tmp_path / "two")


@pytest.mark.parametrize("agent", ["metaqnn", "random_walk"])
def test_ctrl_c_says_how_to_continue_and_the_end_is_the_same(capsys, tmp_path, agent):
    arguments = ("--budget", 30, "--agent", agent)
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
    for _ in range(5):
        process = start(*arguments)
        process.stderr.readline()  # the first network of this process is learned
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.communicate()
        progress.append(recorded(capsys, tmp_path / "killed")["unique"])
    assert sum(unique < 25 for unique in progress) >= 2  # killed before the end
    assert cnnarch(capsys, *arguments)[0] == 0
    assert cnnarch(capsys, *search(tmp_path / "whole", "--budget", 25))[0] == 0
    assert recorded(capsys, tmp_path / "killed") == recorded(capsys, tmp_path / "whole")


def test_train_shows_the_curve_and_the_sizes(capsys):
    status, out, _ = cnnarch(capsys, "train", "[C(8,3,1), P(2,2), SM(10)]", *FAST)
    assert status == 0
    assert re.search(r"epoch +1 +accuracy \d+\.\d\d%", out)
    # 8 (9 + 1) of the convolution, 10 (8 4 4 + 1) of the classifier; 64 72 + 1280 MACs
    assert "parameters 1,370   MACs 5,888" in out
    assert re.search(r"seconds \d", out)


@pytest.mark.parametrize(
    ("env_id", "architectures", "first", "last"),
    [
        ("CNNArch-Digits-v0", "4,808", "C(8,1,1)", "SM(10)"),
        ("CNNArch-CIFAR10-v0", "738,777,451,796,125,995,554", "C(64,1,1)", "SM(10)"),
        ("CNNArch-SVHN-v0", "126,209,903,956,514", "C(64,1,1)", "SM(10)"),
    ],
)
def test_space_lists_the_actions_and_counts(capsys, env_id, architectures, first, last):
    status, out, _ = cnnarch(capsys, "space", "--env", env_id)
    lines = out.splitlines()
    actions = [line.split()[1] for line in lines if re.match(r" *\d+  ", line)]
    assert status == 0
    assert (actions[0], actions[-1]) == (first, last)
    assert f"{architectures} architectures" in out
    assert re.search(r"[\d,]+ states", out)


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


def a_run(tmp_path, capsys):
    run_dir = tmp_path / "run"
    assert cnnarch(capsys, *search(run_dir, "--budget", 2))[0] == 0
    return run_dir


def newer_store(tmp_path, capsys):
    run_dir = a_run(tmp_path, capsys)
    store = Store(run_dir / "store.sqlite")
    store._db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    store.close()
    return search(run_dir, "--budget", 2)


def foreign_folder(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    return search(tmp_path / "run", "--budget", 2)


def lost_store(tmp_path, capsys):
    run_dir = a_run(tmp_path, capsys)
    (run_dir / "store.sqlite").unlink()
    return ("show", run_dir)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("search", "--env", "CNNArch-Nowhere-v0"), "No environment 'CNNArch-Nowhere-v0'"),
        (("search", "--env", "CartPole-v1"), "does not design networks"),
        (("search", "--env", "phys2d/CartPole-v1"), "No environment 'phys2d/CartPole-v1'"),
        (("search", "--dataset", "cifar"), "No data set 'cifar'"),
        (("search", "--env", "CNNArch-v0"), "needs a dataset"),
        (("search", "--dataset", "folder:/no/where"), "no folder /no/where/train"),
        (("search", "--recipe", "fast"), "No recipe 'fast'.*paper"),
        (("search", "--recipe", "epoch=3"), "no 'epoch'.*epochs"),
        (("search", "--recipe", "epochs=3", "quick"), "A preset comes first.*epochs=3 quick"),
        (("search", "--agent", "nobody"), "No agent 'nobody'.*metaqnn"),
        (("search", "--recipe", "epochs=many"), "epochs must be int.*'many'"),
        (("search", "--recipe", "epochs=0"), "epochs must be positive"),
        (("search", "--search-space", "huge"), "No search space 'huge'.*metaqnn"),
        (("search", "--search-space", "digits", "num_classes=3"), "num_classes = 3.*10"),
        (("search", "--device", "cuda:99"), "No device 'cuda:99'"),
        (("search", "--device", "abacus"), "No device 'abacus'"),
        (("search", "--budget", "0"), "--budget must be at least 1"),
        (("search", "--alpha", "2"), "alpha must be in"),
        (("search", "--schedule", "1.0"), "EPSILON:NETWORKS"),
        (("train", "C(8,3,1)"), r"Expected an architecture like \["),
        (("train", "[C(8,3), SM(10)]"), r"C takes filters, receptive field, stride.*C\(8,3\)"),
        (("train", "[P(2,2), SM(10)]"), r"Layer 1, P\(2,2\), breaks a rule"),
        (("train", "[C(8,3,1), P(2,2), P(2,2), SM(10)]"), r"Layer 3, P\(2,2\)"),
        (("train", "[C(8,3,1), SM(9)]"), r"SM\(9\), is not in the search space"),
        (("show", "nowhere"), "holds no run"),
        (("show", "nowhere", "--top", "0"), "--top must be at least 1"),
        (newer_store, "newer version"),
        (foreign_folder, "holds no run of gym-cnnarch"),
        (lost_store, "is gone"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(capsys, tmp_path, monkeypatch, command, message):
    if callable(command):
        command = command(tmp_path, capsys)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, out, err = cnnarch(capsys, *command)
    assert status == 2
    assert re.search(message, err), err
    assert err.startswith("cnnarch: ")
    assert err.count("\n") == 1
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before  # nothing half-written


def test_a_folder_of_another_search_is_refused_with_what_differs(capsys, tmp_path):
    run_dir = a_run(tmp_path, capsys)
    status, _, err = cnnarch(capsys, *search(run_dir, "--budget", 3, "--seed", 1))
    assert status == 2
    assert "belongs to another search" in err
    assert "seed is 0 there and 1 here" in err
    assert "budget is 2 there and 3 here" in err


def test_a_store_that_cannot_be_written_is_one_sentence_and_status_1(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = cnnarch(
        capsys, *search(tmp_path / "run", "--store", tmp_path / "file" / "store.sqlite")
    )
    assert status == 1
    assert err.startswith("cnnarch: Cannot open the store")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


class LastAction:
    """Somebody's own agent; its actions are NumPy's integers."""

    def __init__(self, num_actions, seed):
        self.rng = np.random.default_rng(seed)

    def act(self, observation, action_mask):
        return self.rng.choice(np.flatnonzero(action_mask))

    def learn(self, episode):
        pass


def test_one_s_own_agent_searches_by_its_name(capsys, tmp_path):
    own = "tests.train_eval.test_cli:LastAction"
    status, out, err = cnnarch(capsys, *search(tmp_path / "run", "--budget", 3, "--agent", own))
    assert status == 0, err
    assert "3 of 3 unique networks" in out


def test_a_run_is_searched_by_one_process_at_a_time(capsys, tmp_path):
    run_dir = a_run(tmp_path, capsys)
    with in_use(run_dir / LOCK):
        status, _, err = cnnarch(capsys, *search(run_dir, "--budget", 2))
    assert status == 2
    assert f"Another cnnarch is at work in {run_dir}" in err
    assert cnnarch(capsys, *search(run_dir, "--budget", 2))[0] == 0


def test_the_version_is_told(capsys):
    assert cnnarch(capsys, "--version") == (0, f"cnnarch {__version__}\n", "")


def test_help_names_units_and_defaults(capsys):
    status, out, _ = cnnarch(capsys, "search", "--help")
    assert status == 0
    text = re.sub(r"[│\s]+", " ", out)
    assert "(default: CNNArch-Digits-v0)" in text
    assert "Number of unique networks" in text


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
        start(*search(tmp_path / f"shared{s}", "--budget", 20, "--seed", s, *store)) for s in seeds
    ]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    for seed in seeds:
        alone = search(tmp_path / f"alone{seed}", "--budget", 20, "--seed", seed)
        assert cnnarch(capsys, *alone)[0] == 0
        assert recorded(capsys, tmp_path / f"shared{seed}") == recorded(
            capsys, tmp_path / f"alone{seed}"
        )


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
    searching.stderr.readline()  # the first network is learned
    watching = start("show", run_dir, "--watch")
    out, err = watching.communicate(timeout=120)
    searching.communicate()
    assert watching.returncode == 0, err
    assert "12 of 12 unique networks" in out
