"""The store keeps what it acknowledged, and refuses what it cannot keep."""

import sqlite3
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from train_eval.records import store as store_module
from train_eval.records.kept import EpisodeRecord, RunRecord
from train_eval.records.rows import FORMAT
from train_eval.records.run_settings import RunSettings
from train_eval.records.store import Store, StoreError

NETWORK = Architecture.parse("[C(8,3,1), SM(10)]")
GOOD = Evaluation(0.1 + 0.2, "ok", 5130, 9728, (0.1, 0.1 + 0.2), 1.5, 0.003)
HALF = Architecture.parse("[GAP(10)]")
STOPPED = Evaluation(0.3, "stopped", 20, 128, (0.3, 0.2), 0.7, 0.003, predicted=0.1 + 0.2)
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


def downgrade(db, version):
    """Makes of a store what an older version would have written."""
    db.execute("DROP TABLE stopped")
    if version == 3:
        db.execute("PRAGMA user_version = 3")
        return
    for table in ("evaluations", "runs", "episodes"):
        db.execute(f"ALTER TABLE {table} DROP COLUMN digest")
    for column in ("episodes", "folder"):
        db.execute(f"ALTER TABLE runs DROP COLUMN {column}")
    if version == 1:
        db.execute("ALTER TABLE evaluations DROP COLUMN test_accuracy")
    db.execute(f"PRAGMA user_version = {version}")


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
        downgrade(db, 1)
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


def test_a_store_that_another_writes_is_not_called_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_BUSY_SECONDS", 0.01)
    path = tmp_path / "store.sqlite"
    store = Store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for use in (lambda: store.find("task", NETWORK, 0), lambda: Store(path)):
        with pytest.raises(StoreError, match="another process is writing it: let it end"):
            use()
    other.execute("ROLLBACK")
    assert store.find("task", NETWORK, 0) is None


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Cannot open the store"):
        Store(tmp_path / "file" / "store.sqlite")


def filled(path):
    """A store with a row in each table."""
    store = Store(path)
    store.add_run(SETTINGS, {"numpy": "2.0"})
    store.add("task", NETWORK, 0, GOOD)
    store.add("task", NETWORK, 1, replace(WORSE, message="not a number"))
    records = [EpisodeRecord(i, (i, 10), 0.5, str(NETWORK), 0.3, i == 0) for i in range(3)]
    store.add_episodes(SETTINGS.run, records)
    store.add_in_run(SETTINGS, HALF, STOPPED)
    store.finish_run(SETTINGS.run)
    return store


def content(store):
    run = SETTINGS.run
    return store.find_run(run), store.episodes(run), list(store.evaluations("task"))


CHANGES = {
    "evaluations": {
        "architecture": "[SM(10)]", "seed": 7, "status": "error", "accuracy": 0.31, "curve": "[]",
        "parameters": 5131, "macs": 1, "train_seconds": None, "learning_rate": 0.004,
        "message": "x", "finished_at": "never", "test_accuracy": 0.5, "task": "other",
    },
    "runs": {
        "run": "other", "settings": "{}", "made_with": "null", "started_at": "x",
        "finished_at": None, "episodes": 4, "folder": "/elsewhere",
    },
    "episodes": {
        "run": "other", "number": 9, "actions": "[1]", "epsilon": 0.4, "architecture": "[SM(10)]",
        "reward": b"\x00", "new": 1,
    },
    "stopped": {
        "run": "other", "architecture": "[SM(10)]", "accuracy": 0.29, "predicted": 0.31,
        "curve": "[]", "parameters": 21, "macs": 1, "train_seconds": None, "learning_rate": 0.004,
        "finished_at": "never",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table in CHANGES for column in CHANGES[table]]
)
def test_any_value_that_was_changed_afterwards_is_noticed_when_it_is_damaged(
    tmp_path, table, column
):
    filled(tmp_path / "store.sqlite").close()
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        condition = "seed = 0" if table == "evaluations" else "number = 2" * (table == "episodes")
        change = f"UPDATE {table} SET {column} = ? WHERE {condition or 'TRUE'}"
        assert db.execute(change, (CHANGES[table][column],)).rowcount == 1
    store = Store(tmp_path / "store.sqlite")
    with pytest.raises(StoreError, match=r"is damaged.*restore the file from a copy"):
        store.check()
    with pytest.raises(StoreError, match="is damaged"):
        store.find("task", Architecture.parse("[SM(10)]"), 0)
        list(store.evaluations("task"))
        list(store.evaluations("other"))
        store.find("task", NETWORK, 7)
        for network in (HALF, Architecture.parse("[SM(10)]")):
            store.find_in_run(SETTINGS, network)
        store.copy_run("other", SETTINGS)
        for run in (SETTINGS.run, "other"):
            store.find_run(run)
            store.episodes(run)


@pytest.mark.parametrize("number", [0, 2])
def test_an_episode_that_is_gone_from_a_damaged_store_is_missed(tmp_path, number):
    filled(tmp_path / "store.sqlite").close()
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute("DELETE FROM episodes WHERE number = ?", (number,))
    with pytest.raises(StoreError, match="episodes of the run"):
        Store(tmp_path / "store.sqlite").episodes(SETTINGS.run)


@pytest.mark.parametrize("old", [1, 2, 3])
def test_older_formats_are_brought_up_to_date_whole(tmp_path, old):
    path = tmp_path / "store.sqlite"
    store = filled(path)
    before = content(store)
    store.close()
    with sqlite3.connect(path) as db:
        downgrade(db, old)
    store = Store(path)
    store.check()
    assert content(store) == before
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (FORMAT,)


def test_numbers_of_numpy_and_whole_numbers_are_stored_as_numbers(tmp_path):
    store = filled(tmp_path / "store.sqlite")
    whole = Evaluation(np.float64(1), "ok", np.int64(5), 1, (0, 1), 2, 1, "\udcff \x00")
    store.add("task", NETWORK, 2, whole)
    store.add_episodes("other", [EpisodeRecord(0, (1,), 1, "[SM(10)]", np.float64(-0.0), True)])
    store.check()
    found = store.find("task", NETWORK, 2)
    assert found == replace(whole, cached=True, message="\\udcff \x00")
    assert store.episodes("other") == [EpisodeRecord(0, (1,), 1.0, "[SM(10)]", 0.0, True)]


def test_what_sqlite_says_of_a_damaged_store_becomes_one_line(tmp_path):
    path = tmp_path / "store.sqlite"
    filled(path).close()
    content = bytearray(path.read_bytes())
    (root,) = (
        sqlite3.connect(path)
        .execute("SELECT rootpage FROM sqlite_master WHERE name = 'episodes'")
        .fetchone()
    )
    content[(root - 1) * 4096 + 4] ^= 1  # one row less in the page's header
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged") as info:
        Store(path).check()
    assert "\n" not in str(info.value)


def test_a_damaged_text_in_a_message_of_sqlite_is_one_sentence(tmp_path):
    path = tmp_path / "store.sqlite"
    filled(path).close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"TABLE evaluations (", b"TABEL eval\x87ations ("))
    with pytest.raises((StoreError, InvalidInput), match="store"):
        Store(path).check()


def test_evaluations_are_counted_while_another_writes(tmp_path):
    path = tmp_path / "store.sqlite"
    assert store_module.number_of_evaluations(path) is None
    store = Store(path)
    for seed in range(3):
        store.add("task", NETWORK, seed, GOOD)
    with store.transaction():
        store.add("task", NETWORK, 3, GOOD)
        assert store_module.number_of_evaluations(path) == 3
    assert store_module.number_of_evaluations(path) == 4
