"""Durable results: one SQLite file, which is the only checkpoint of a search."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gym_cnnarch import Architecture, Evaluation, InvalidInput, __version__
from train_eval.records.run_settings import RunSettings

FORMAT = 2
"""Version of the tables below, kept in the file's user_version."""

_APPLICATION_ID = 0x434E4E41  # "CNNA"
_BUSY_SECONDS = 60.0  # how long to wait for another process's transaction

_TABLES = """
CREATE TABLE IF NOT EXISTS evaluations (
    task TEXT NOT NULL, architecture TEXT NOT NULL, seed INTEGER NOT NULL,
    status TEXT NOT NULL, accuracy REAL NOT NULL, curve TEXT NOT NULL,
    parameters INTEGER NOT NULL, macs INTEGER NOT NULL, train_seconds REAL, learning_rate REAL,
    message TEXT NOT NULL, finished_at TEXT NOT NULL, test_accuracy REAL,
    PRIMARY KEY (task, architecture, seed)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    run TEXT NOT NULL PRIMARY KEY, settings TEXT NOT NULL, made_with TEXT NOT NULL,
    started_at TEXT NOT NULL, finished_at TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS episodes (
    run TEXT NOT NULL REFERENCES runs, number INTEGER NOT NULL, actions TEXT NOT NULL,
    epsilon REAL, architecture TEXT NOT NULL, reward REAL NOT NULL, new INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
"""


_EVALUATION = """accuracy, status, parameters, macs, curve, train_seconds, learning_rate, message,
    test_accuracy"""

_FROM_1_TO_2 = (
    "ALTER TABLE evaluations ADD COLUMN test_accuracy REAL",
    "PRAGMA user_version = 2",
)


class StoreError(Exception):
    """The store cannot be read or written; what it acknowledged before is safe."""


@dataclass(frozen=True)
class EpisodeRecord:
    """What a search did in one episode.

    Attributes:
        number: 0, 1, 2, ... in the order in which the agent acted.
        actions: The agent's actions.
        epsilon: The agent's share of random actions then; None for agents without.
        architecture: Canonical text.
        reward: The reward.
        new: Whether the run met this architecture for the first time.
    """

    number: int
    actions: tuple[int, ...]
    epsilon: float | None
    architecture: str
    reward: float
    new: bool


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run.

    Attributes:
        settings: All that its course depends on.
        made_with: Versions and workers at its start.
        finished: Whether it came to its end.
        wall_seconds: From its beginning to its end, pauses included; None before the end.
    """

    settings: RunSettings
    made_with: dict[str, Any]
    finished: bool
    wall_seconds: float | None = None


class Store:
    """Evaluations, runs and episodes.

    One connection, for one thread at a time. It uses a rollback journal with full synchronisation:
    a call that returned has reached the disk. WAL mode is avoided, since it fails on network file
    systems and SQLite before 3.51.3 can corrupt a WAL file that two connections share.

    Args:
        path: The file, made if there is none; ``:memory:`` for no file.

    Raises:
        InvalidInput: If the file is no store, or was written by a newer version.
        StoreError: If it cannot be opened or made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        try:
            if str(path) != ":memory:":
                self.path = path = Path(path).expanduser()
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
                raise InvalidInput(
                    f"{path} is not a store of gym-cnnarch, or its beginning is damaged: name "
                    f"another file, or restore it from a copy."
                ) from error
            raise StoreError(
                f"Cannot open the store {path}: {error}; check the folder, its permissions and the "
                f"disk, or restore the file from a copy."
            ) from error

    def _prepare(self) -> None:
        """Makes the tables of a new file; refuses another program's and a newer version's."""
        self._db.execute("BEGIN")  # one view of the three, while another process makes its tables
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        self._db.execute("COMMIT")
        if tables and application != _APPLICATION_ID:
            raise InvalidInput(f"{self.path} is another program's database: name another file.")
        if version > FORMAT:
            raise InvalidInput(
                f"{self.path} has format {version}, written by a newer version of gym-cnnarch; "
                f"version {__version__} reads up to format {FORMAT}: upgrade gym-cnnarch."
            )
        if version == 1:
            with self.transaction():
                if self._db.execute("PRAGMA user_version").fetchone() == (1,):  # still
                    for statement in _FROM_1_TO_2:
                        self._db.execute(statement)
        elif version < FORMAT:
            self._db.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {_APPLICATION_ID}; "
                f"PRAGMA user_version = {FORMAT}; COMMIT;"
            )

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Writes all of a block or nothing.

        Raises:
            StoreError: If the disk is full, or the file cannot be written for another reason.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(
                    f"Cannot write the store {self.path}: {error}; what was recorded before is "
                    f"safe: mend this, then run the same command again."
                ) from error
            raise

    def find(self, task: str, architecture: Architecture, seed: int) -> Evaluation | None:
        """The stored evaluation, None if there is none."""
        rows = self._read(
            f"SELECT {_EVALUATION} FROM evaluations"
            " WHERE task = ? AND architecture = ? AND seed = ?",
            (task, str(architecture), seed),
        )
        return _evaluation(rows[0]) if rows else None

    def evaluations(self, task: str) -> Iterator[tuple[str, int, Evaluation]]:
        """Architecture text, seed and evaluation of all that is stored for a task."""
        query = f"SELECT architecture, seed, {_EVALUATION} FROM evaluations WHERE task = ?"
        for text, seed, *row in self._read(query, (task,)):
            yield text, seed, _evaluation(row)

    def add(
        self, task: str, architecture: Architecture, seed: int, evaluation: Evaluation
    ) -> Evaluation:
        """Records an evaluation, unless there is one: the first write wins and is returned."""
        row = (
            task, str(architecture), seed, evaluation.status, evaluation.accuracy,
            json.dumps(evaluation.curve), evaluation.parameters, evaluation.macs,
            evaluation.train_seconds, evaluation.learning_rate, evaluation.message, _now(),
            evaluation.test_accuracy,
        )  # fmt: skip
        new = self._write(
            "INSERT INTO evaluations VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
            " ON CONFLICT (task, architecture, seed) DO NOTHING",
            [row],
        )
        if new:
            return evaluation
        earlier = self.find(task, architecture, seed)
        assert earlier is not None, "a row that conflicts exists"
        return earlier

    def add_run(self, settings: RunSettings, made_with: dict[str, Any]) -> None:
        """Records a run and what it is made with (versions, workers), unless it is known."""
        row = (settings.run, json.dumps(settings.as_json()), json.dumps(made_with), _now())
        self._write(
            "INSERT INTO runs (run, settings, made_with, started_at) VALUES (?,?,?,?)"
            " ON CONFLICT (run) DO NOTHING",
            [row],
        )

    def finish_run(self, run: str) -> None:
        """Records that a run came to its end."""
        self._write(
            "UPDATE runs SET finished_at = ? WHERE run = ? AND finished_at IS NULL", [(_now(), run)]
        )

    def find_run(self, run: str) -> RunRecord | None:
        """What is recorded of a run, None if it is unknown."""
        rows = self._read(
            "SELECT settings, made_with, started_at, finished_at FROM runs WHERE run = ?", (run,)
        )
        if not rows:
            return None
        settings, made_with, started, finished = rows[0]
        seconds = None
        if finished is not None:
            span = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
            seconds = span.total_seconds()
        return RunRecord(
            RunSettings.from_json(json.loads(settings)),
            json.loads(made_with),
            finished is not None,
            seconds,
        )

    def add_episodes(self, run: str, episodes: Sequence[EpisodeRecord]) -> None:
        """Records episodes, unless they are known."""
        rows = [
            (run, e.number, json.dumps(e.actions), e.epsilon, e.architecture, e.reward, e.new)
            for e in episodes
        ]
        self._write(
            "INSERT INTO episodes VALUES (?,?,?,?,?,?,?) ON CONFLICT (run, number) DO NOTHING", rows
        )

    def episodes(self, run: str) -> list[EpisodeRecord]:
        """All recorded episodes of a run, in order."""
        rows = self._read(
            "SELECT number, actions, epsilon, architecture, reward, new FROM episodes"
            " WHERE run = ? ORDER BY number",
            (run,),
        )
        return [
            EpisodeRecord(number, tuple(json.loads(actions)), epsilon, text, reward, bool(new))
            for number, actions, epsilon, text, reward, new in rows
        ]

    def _read(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreError(
                f"Cannot read the store {self.path}: {error}; restore the file from a copy."
            ) from error

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Number of rows written, within the current transaction or else in one of its own."""
        if not self._db.in_transaction:
            with self.transaction():
                return self._write(statement, rows)
        return self._db.executemany(statement, rows).rowcount


def _evaluation(row: Sequence[Any]) -> Evaluation:
    """Of a row of the columns _EVALUATION."""
    accuracy, status, parameters, macs, curve, seconds, learning_rate, message, test = row
    return Evaluation(
        accuracy, status, parameters, macs, tuple(json.loads(curve)), seconds, learning_rate,
        message, cached=True, test_accuracy=test,
    )  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
