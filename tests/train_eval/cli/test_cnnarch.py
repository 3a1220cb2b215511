"""The command line as its users meet it."""

import re

import pytest

from gym_cnnarch import __version__
from tests.helpers.commands import FAST, cnnarch, search
from train_eval.records.rows import FORMAT
from train_eval.records.run_directory import LOCK, in_use
from train_eval.records.store import Store


def test_train_shows_the_curve_and_the_sizes(capsys):
    status, out, _ = cnnarch(capsys, "train", "[C(8,3,1), P(2,2), SM(10)]", *FAST)
    assert status == 0
    assert re.search(r"epoch +1/1 +loss \d+\.\d+ +accuracy \d+\.\d\d% +time left", out)
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
        (("search", "--trace-decay", "2"), "trace_decay must be in"),
        (("search", "--trace-decay", "1", "--agent", "uniform"), "options of metaqnn"),
        (("search", "--schedule", "1.0"), "EPSILON:NETWORKS"),
        (("train", "C(8,3,1)"), r"Expected an architecture like \["),
        (("train", "[C(8,3), SM(10)]"), r"C takes filters, receptive field, stride.*C\(8,3\)"),
        (("train", "[P(2,2), SM(10)]"), r"Layer 1, P\(2,2\), breaks a rule"),
        (("train", "[C(8,3,1), P(2,2), P(2,2), SM(10)]"), r"Layer 3, P\(2,2\)"),
        (("train", "[C(8,3,1), SM(9)]"), r"SM\(9\), is not in the search space"),
        (("show", "nowhere"), "holds no run"),
        (("show", "nowhere", "--top", "0"), "--top must be at least 1"),
        (("show", "nowhere", "--json", "--watch"), "leave out --watch"),
        (("search", "--ray-address", "auto"), "--ray-address is an option of --executor ray"),
        (("search", "--executor", "inline", "--workers", "2"), "--workers is an option of"),
        (("predict", "network.json", "image.png", "--top", "0"), "--top must be at least 1"),
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
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]


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
