"""The store keeps what it acknowledged, and refuses what it cannot keep."""

import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from train_eval.records.run_settings import RunSettings
from train_eval.records.store import FORMAT, EpisodeRecord, RunRecord, Store, StoreError

NETWORK = Architecture.parse("[C(8,3,1), SM(10)]")
GOOD = Evaluation(0.1 + 0.2, "ok", 5130, 9728, (0.1, 0.1 + 0.2), 1.5, 0.003)
WORSE = Evaluation(0.2, "diverged", 5130, 9728, (), None, None, "no learning rate")

SETTINGS = RunSettings(
    env="CNNArch-Digits-v0",
    search_space={"preset": "digits"},
    observe_size="bin",
    task="task",
    recipe="digits",
    reward="accuracy",
    failure_reward=0.0,
    evaluation_seed=0,
    agent={"name": "random_walk"},
    seed=0,
    budget=3,
    lookahead=1,
)


def evaluation_rows(path):
    with sqlite3.connect(path) as db:
        return db.execute("SELECT architecture, accuracy FROM evaluations").fetchall()


def test_what_is_added_is_found_exactly(tmp_path):
    store = Store(tmp_path / "new" / "store.sqlite")
    store.add("task", NETWORK, 0, GOOD)
    store.add("task", NETWORK, 1, WORSE)
    store.close()
    again = Store(tmp_path / "new" / "store.sqlite")
    for seed, evaluation in ((0, GOOD), (1, WORSE)):
        found = again.find("task", NETWORK, seed)
        assert found.cached
        assert found == Evaluation(**{**vars(evaluation), "cached": True})
    assert again.find("other task", NETWORK, 0) is None


def test_the_first_write_wins(tmp_path):
    one, other = Store(tmp_path / "store.sqlite"), Store(tmp_path / "store.sqlite")
    assert one.add("task", NETWORK, 0, GOOD) == GOOD
    assert other.add("task", NETWORK, 0, WORSE).accuracy == GOOD.accuracy
    assert one.find("task", NETWORK, 0).accuracy == GOOD.accuracy


def test_episodes_come_back_in_order():
    store = Store(":memory:")
    store.add_run(SETTINGS, {"numpy": "2.0"})
    records = [EpisodeRecord(i, (i, 10), 0.5, str(NETWORK), 0.1 * i, i != 1) for i in range(3)]
    store.add_episodes(SETTINGS.run, records[::-1])
    store.add_episodes(SETTINGS.run, records)  # known already
    assert store.episodes(SETTINGS.run) == records
    assert store.find_run(SETTINGS.run) == RunRecord(SETTINGS, {"numpy": "2.0"}, finished=False)
    store.finish_run(SETTINGS.run)
    assert store.find_run(SETTINGS.run).finished
    assert store.find_run("no run") is None


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    store = Store(tmp_path / "store.sqlite")
    with pytest.raises(KeyboardInterrupt), store.transaction():
        store.add("task", NETWORK, 0, GOOD)
        raise KeyboardInterrupt
    assert store.find("task", NETWORK, 0) is None
    store.add("task", NETWORK, 0, WORSE)
    assert store.find("task", NETWORK, 0).status == "diverged"


def test_a_process_that_dies_within_a_transaction_leaves_nothing(tmp_path):
    path = tmp_path / "store.sqlite"
    script = (
        "import os, signal\n"
        "from gym_cnnarch import Architecture, Evaluation\n"
        "from train_eval.records.store import Store\n"
        f"store = Store({str(path)!r})\n"
        "network = Architecture.parse('[SM(10)]')\n"
        "store.add('task', network, 0, Evaluation(0.5, 'ok', 1, 1))\n"
        "with store.transaction():\n"
        "    store.add('task', network, 1, Evaluation(0.6, 'ok', 1, 1))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    store = Store(path)
    assert store.find("task", Architecture.parse("[SM(10)]"), 0).accuracy == 0.5
    assert store.find("task", Architecture.parse("[SM(10)]"), 1) is None


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path):
    store = Store(tmp_path / "store.sqlite")
    store.add("task", NETWORK, 0, GOOD)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "disk is full"
    large = Evaluation(0.5, "ok", 1, 1, tuple([0.5] * 10_000))
    with pytest.raises(StoreError, match=r"disk is full.*recorded before is safe"):
        store.add("task", NETWORK, 1, large)
    assert evaluation_rows(tmp_path / "store.sqlite") == [(str(NETWORK), GOOD.accuracy)]


def test_a_store_of_the_first_format_is_brought_up_to_date(tmp_path):
    path = tmp_path / "store.sqlite"
    store = Store(path)
    store.add("task", NETWORK, 0, GOOD)
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE evaluations DROP COLUMN test_accuracy")
        db.execute("PRAGMA user_version = 1")
    one, other = Store(path), Store(path)
    tested = replace(WORSE, test_accuracy=0.25)
    one.add("task", NETWORK, 1, tested)
    assert other.find("task", NETWORK, 0) == replace(GOOD, cached=True)
    assert other.find("task", NETWORK, 1) == replace(tested, cached=True)
    assert list(other.evaluations("task")) == [
        (str(NETWORK), seed, other.find("task", NETWORK, seed)) for seed in (0, 1)
    ]
    assert list(other.evaluations("another")) == []


def test_a_newer_format_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "store.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=r"newer version.*upgrade"):
        Store(path)
    assert path.read_bytes() == before


def test_files_of_other_programs_are_refused_and_left_alone(tmp_path):
    text, database = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("my notes, " * 100)
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE theirs (x)")
    for path in (text, database):
        before = path.read_bytes()
        with pytest.raises(InvalidInput, match=r"name another file"):
            Store(path)
        assert path.read_bytes() == before


def test_a_damaged_store_is_one_sentence(tmp_path):
    path = tmp_path / "store.sqlite"
    store = Store(path)
    for seed in range(200):
        store.add("task", NETWORK, seed, GOOD)
    store.close()
    damaged = bytearray(path.read_bytes())
    damaged[4096:-4096] = b"\xff" * (len(damaged) - 8192)
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"store"):
        store = Store(path)
        for seed in range(200):
            store.add("task", NETWORK, 1000 + seed, GOOD)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Cannot open the store"):
        Store(tmp_path / "file" / "store.sqlite")
