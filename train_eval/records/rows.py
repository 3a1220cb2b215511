"""The store's tables, their versions, and the digest that each row carries."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

FORMAT = 4
"""Version of the tables below, kept in the file's user_version."""

COLUMNS = {
    "evaluations": (
        "task", "architecture", "seed", "status", "accuracy", "curve", "parameters", "macs",
        "train_seconds", "learning_rate", "message", "finished_at", "test_accuracy",
    ),
    "runs": (
        "run", "settings", "made_with", "started_at", "finished_at", "episodes", "folder",
    ),
    "episodes": ("run", "number", "actions", "epsilon", "architecture", "reward", "new"),
    "stopped": (
        "run", "architecture", "accuracy", "predicted", "curve", "parameters", "macs",
        "train_seconds", "learning_rate", "finished_at",
    ),
}  # fmt: skip
"""Table -> the columns that its digest is of, in this order."""

_STOPPED = """
CREATE TABLE IF NOT EXISTS stopped (
    run TEXT NOT NULL REFERENCES runs, architecture TEXT NOT NULL,
    accuracy REAL NOT NULL, predicted REAL NOT NULL, curve TEXT NOT NULL,
    parameters INTEGER NOT NULL, macs INTEGER NOT NULL, train_seconds REAL, learning_rate REAL,
    finished_at TEXT NOT NULL, digest TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, architecture)
) WITHOUT ROWID;
"""

TABLES = f"""
CREATE TABLE IF NOT EXISTS evaluations (
    task TEXT NOT NULL, architecture TEXT NOT NULL, seed INTEGER NOT NULL,
    status TEXT NOT NULL, accuracy REAL NOT NULL, curve TEXT NOT NULL,
    parameters INTEGER NOT NULL, macs INTEGER NOT NULL, train_seconds REAL, learning_rate REAL,
    message TEXT NOT NULL, finished_at TEXT NOT NULL, test_accuracy REAL,
    digest TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (task, architecture, seed)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    run TEXT NOT NULL PRIMARY KEY, settings TEXT NOT NULL, made_with TEXT NOT NULL,
    started_at TEXT NOT NULL, finished_at TEXT, episodes INTEGER,
    folder TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS episodes (
    run TEXT NOT NULL REFERENCES runs, number INTEGER NOT NULL, actions TEXT NOT NULL,
    epsilon REAL, architecture TEXT NOT NULL, reward REAL NOT NULL, new INTEGER NOT NULL,
    digest TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
{_STOPPED}"""

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE evaluations ADD COLUMN test_accuracy REAL",
        "PRAGMA user_version = 2",
    ),
    2: (
        "ALTER TABLE runs ADD COLUMN episodes INTEGER",
        "ALTER TABLE runs ADD COLUMN folder TEXT NOT NULL DEFAULT ''",
        "UPDATE runs SET episodes ="
        " (SELECT count(*) FROM episodes AS all_of_them WHERE all_of_them.run = runs.run)"
        " WHERE finished_at IS NOT NULL",
        *(
            statement
            for table in ("evaluations", "runs", "episodes")
            for statement in (
                f"ALTER TABLE {table} ADD COLUMN digest TEXT NOT NULL DEFAULT ''",
                f"UPDATE {table} SET digest = digest({', '.join(COLUMNS[table])})",
            )
        ),
        "PRAGMA user_version = 3",
    ),
    3: (
        _STOPPED,
        "PRAGMA user_version = 4",
    ),
}
"""Format -> what makes the next one of it; ``digest`` is the function below."""


def digest(values: Sequence[Any]) -> str:
    """Of a row's values: hexadecimal; empty, which no row's is, where one cannot be a value.

    Older versions wrote numbers of numpy as bytes: such a row is found damaged when it is read.
    """
    try:
        text = json.dumps(values)
    except TypeError:
        return ""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def sealed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row with its digest last."""
    return (*values, digest(values))


def unsealed(row: Sequence[Any]) -> tuple[Any, ...]:
    """The values of a row with its digest last.

    Raises:
        ValueError: If the digest is not theirs.
    """
    *values, seal = row
    if not seal or digest(values) != seal:
        raise ValueError("the digest of a row is not that of its values")
    return tuple(values)
