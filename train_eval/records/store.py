"""Durable results: one SQLite file, which is the only checkpoint of a search."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from gym_cnnarch import Architecture, Evaluation, InvalidInput, __version__
from train_eval.records.kept import (
    EpisodeRecord,
    RunRecord,
    episode_of,
    episode_row,
    evaluation_of,
    evaluation_row,
    now,
    plain_text,
    run_of,
    run_row,
    stopped_of,
    stopped_row,
)
from train_eval.records.rows import COLUMNS, FORMAT, MIGRATIONS, TABLES, digest, sealed, unsealed
from train_eval.records.run_settings import RunSettings

_APPLICATION_ID = 0x434E4E41  # "CNNA"
_MEND = "check the folder, its permissions and the disk, or restore the file from a copy."
_BUSY = "another process is writing it: let it end, then run the same command again."
_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)  # the latter of a message with damaged text
_BUSY_SECONDS = 60.0  # how long to wait for another process's transaction

Made = TypeVar("Made")

_SELECT = {
    table: f"SELECT {', '.join(columns)}, digest FROM {table}" for table, columns in COLUMNS.items()
}

_INSERT = {
    table: f"INSERT INTO {table} ({', '.join(columns)}, digest)"
    f" VALUES ({', '.join('?' * (len(columns) + 1))}) ON CONFLICT DO NOTHING"
    for table, columns in COLUMNS.items()
}


class StoreError(Exception):
    """The store cannot be read or written; what it acknowledged before is safe."""


class Store:
    """Evaluations, runs and episodes.

    One connection, for one thread at a time. It uses a rollback journal with extra synchronisation,
    of its folder too: a call that returned has reached the disk. WAL mode is avoided, since it
    fails on network file systems and SQLite before 3.51.3 can corrupt a WAL file that two
    connections share.

    Each row has a digest of its values, which is checked when the row is read.

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
            self._db.execute("PRAGMA synchronous = EXTRA")
            self._db.create_function("digest", -1, lambda *row: digest(row), deterministic=True)
            self._prepare()
        except (*_UNREADABLE, OSError) as error:
            if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
                raise InvalidInput(
                    f"{path} is not a store of gym-cnnarch, or its beginning is damaged: name "
                    f"another file, or restore it from a copy."
                ) from error
            raise StoreError(
                f"Cannot open the store {path}: {error}; " + (_BUSY if _is_busy(error) else _MEND)
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
        if tables and version in MIGRATIONS:
            with self.transaction():
                # Another process may have done so meanwhile.
                (version,) = self._db.execute("PRAGMA user_version").fetchone()
                for old in range(version, FORMAT):
                    for statement in MIGRATIONS[old]:
                        self._db.execute(statement)
        elif version < FORMAT:
            self._db.executescript(
                f"BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {_APPLICATION_ID}; "
                f"PRAGMA user_version = {FORMAT}; COMMIT;"
            )

    def check(self) -> None:
        """Reads all of the file.

        Raises:
            StoreError: If the file or a row of it is damaged.
        """
        ((answer, *_), *_) = self._read("PRAGMA integrity_check(1)", ())
        if answer != "ok":
            raise self._damaged(" ".join(str(answer).split()))
        for query in _SELECT.values():
            for row in self._read(query, ()):
                self._decoded(row, tuple)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Writes all of a block or nothing; a block within one is part of it.

        Raises:
            StoreError: If the disk is full, or the file cannot be written for another reason.
        """
        if self._db.in_transaction:
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, _UNREADABLE):
                raise StoreError(
                    f"Cannot write the store {self.path}: {error}; what was recorded before is "
                    f"safe: mend this, then run the same command again."
                ) from error
            raise

    def find(self, task: str, architecture: Architecture, seed: int) -> Evaluation | None:
        """The stored evaluation, None if there is none."""
        rows = self._read(
            f"{_SELECT['evaluations']} WHERE task = ? AND architecture = ? AND seed = ?",
            (task, str(architecture), seed),
        )
        return self._decoded(rows[0], evaluation_of)[2] if rows else None

    def evaluations(self, task: str) -> Iterator[tuple[str, int, Evaluation]]:
        """Architecture text, seed and evaluation of all that is stored for a task."""
        for row in self._read(f"{_SELECT['evaluations']} WHERE task = ?", (task,)):
            yield self._decoded(row, evaluation_of)

    def add(
        self, task: str, architecture: Architecture, seed: int, evaluation: Evaluation
    ) -> Evaluation:
        """Records an evaluation, unless there is one: the first write wins and is returned."""
        row = evaluation_row(task, str(architecture), seed, evaluation)
        if self._write(_INSERT["evaluations"], [sealed(row)]):
            return evaluation
        earlier = self.find(task, architecture, seed)
        if earlier is None:
            raise self._damaged("a row that is there cannot be found")
        return earlier

    def find_in_run(self, settings: RunSettings, architecture: Architecture) -> Evaluation | None:
        """The evaluation of an architecture in a run, None if there is none.

        A training that the run stopped early, else the whole one that all runs share.
        """
        rows = self._read(
            f"{_SELECT['stopped']} WHERE run = ? AND architecture = ?",
            (settings.run, str(architecture)),
        )
        if rows:
            return self._decoded(rows[0], stopped_of)
        return self.find(settings.task, architecture, settings.evaluation_seed)

    def add_in_run(
        self, settings: RunSettings, architecture: Architecture, evaluation: Evaluation
    ) -> Evaluation:
        """Records an evaluation of a run; returns what the store holds then.

        A stopped training is the run's alone: what stopped it depends on the run's history.
        """
        if evaluation.predicted is None:
            seed = settings.evaluation_seed
            return self.add(settings.task, architecture, seed, evaluation)
        row = stopped_row(settings.run, str(architecture), evaluation)
        self._write(_INSERT["stopped"], [sealed(row)])
        return evaluation

    def add_run(self, settings: RunSettings, made_with: dict[str, Any], folder: str = "") -> None:
        """Records a run, what it is made with (versions, workers) and its folder, unless known."""
        self._write(_INSERT["runs"], [sealed(run_row(settings, made_with, folder))])

    def move_run(self, run: str, folder: str) -> None:
        """Records that a run is worked on in another folder."""
        with self.transaction():
            self._change_run(run, folder=plain_text(folder))

    def finish_run(self, run: str) -> None:
        """Records that a run came to its end."""
        with self.transaction():
            ((finished, recorded, count),) = self._read(
                "SELECT (SELECT finished_at FROM runs WHERE run = :run),"
                " (SELECT episodes FROM runs WHERE run = :run),"
                " (SELECT count(*) FROM episodes WHERE run = :run)",
                {"run": run},
            )
            if finished is None or recorded != count:
                self._change_run(run, finished_at=now(), episodes=count)

    def copy_run(self, run: str, settings: RunSettings) -> None:
        """Records a run that goes on with other settings; all of it so far is the other's."""
        with self.transaction():
            changed = {"run": settings.run, "settings": json.dumps(settings.as_json())}
            for known in self._run_rows(run):
                row = known | changed | {"finished_at": None, "episodes": None}
                self._write(_INSERT["runs"], [sealed(tuple(row.values()))])
            self.add_episodes(settings.run, self.episodes(run))
            for stopped in self._read(f"{_SELECT['stopped']} WHERE run = ?", (run,)):
                _, *values = self._decoded(stopped, tuple)
                self._write(_INSERT["stopped"], [sealed((settings.run, *values))])

    def remove_run(self, run: str) -> None:
        """Forgets a run and its episodes; evaluations stay."""
        with self.transaction():
            for table in ("episodes", "stopped", "runs"):
                self._write(f"DELETE FROM {table} WHERE run = ?", [(run,)])

    def _run_rows(self, run: str) -> Iterator[dict[str, Any]]:
        """Column -> value of a run, at most one."""
        columns = COLUMNS["runs"]
        for row in self._read(f"{_SELECT['runs']} WHERE run = ?", (run,)):
            yield self._decoded(row, lambda values: dict(zip(columns, values, strict=True)))

    def _change_run(self, run: str, **changes: Any) -> None:
        for known in self._run_rows(run):
            self._write("DELETE FROM runs WHERE run = ?", [(run,)])
            self._write(_INSERT["runs"], [sealed(tuple((known | changes).values()))])

    def find_run(self, run: str) -> RunRecord | None:
        """Returns the record of a run, None if it is unknown."""
        rows = self._read(f"{_SELECT['runs']} WHERE run = ?", (run,))
        return self._decoded(rows[0], run_of) if rows else None

    def add_episodes(self, run: str, episodes: Sequence[EpisodeRecord]) -> None:
        """Records episodes, unless they are known."""
        self._write(_INSERT["episodes"], [sealed(episode_row(run, e)) for e in episodes])

    def episodes(self, run: str) -> list[EpisodeRecord]:
        """All recorded episodes of a run, in order.

        Raises:
            StoreError: If one is missing.
        """
        rows = self._read(f"{_SELECT['episodes']} WHERE run = ? ORDER BY number", (run,))
        episodes = [self._decoded(row, episode_of) for row in rows]
        record = self.find_run(run)
        least = (record.episodes or 0) if record is not None else 0  # a run may go on after its end
        numbers = [episode.number for episode in episodes]
        if numbers != list(range(len(numbers))) or len(numbers) < least:
            raise self._damaged(f"episodes of the run {run} are missing")
        return episodes

    def _read(self, query: str, parameters: Any) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, parameters).fetchall()
        except _UNREADABLE as error:
            raise StoreError(
                f"Cannot read the store {self.path}: {error}; "
                + (_BUSY if _is_busy(error) else "restore the file from a copy.")
            ) from error

    def _decoded(self, row: Sequence[Any], decode: Callable[[Sequence[Any]], Made]) -> Made:
        """Decodes a row, given with its digest last.

        Raises:
            StoreError: If the row is damaged.
        """
        try:
            return decode(unsealed(row))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise self._damaged("a row is not as it was written") from error

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"The store {self.path} is damaged ({what}): restore the file from a copy."
        )

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Number of rows written, within the current transaction or else in one of its own."""
        if not self._db.in_transaction:
            with self.transaction():
                return self._write(statement, rows)
        return self._db.executemany(statement, rows).rowcount


def number_of_evaluations(path: Path) -> int | None:
    """How many a store holds; None while another process keeps it, or where there is none yet."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0)
        ) as db:
            (number,) = db.execute("SELECT count(*) FROM evaluations").fetchone()
            return int(number)
    except sqlite3.Error:
        return None


def _is_busy(error: BaseException) -> bool:
    """Whether a database is healthy, but held by another process for longer than one waits."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without its details
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
