"""The published formats: replay databases and learning curves of the paper's authors and others."""

import csv
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from gym_cnnarch import InvalidInput


@dataclass(frozen=True)
class Row:
    """A row of a published file.

    Attributes:
        text: The network as it is written there.
        accuracy: Best validation accuracy; NaN where there is none.
        curve: Validation accuracy after each epoch, as far as it is published.
        epsilon: The agent's share of random actions, None if it is not published.
        learning_rate: The initial learning rate, None if it is not published.
    """

    text: str
    accuracy: float
    curve: tuple[float, ...]
    epsilon: float | None
    learning_rate: float | None


@dataclass(frozen=True)
class Published:
    """A file's content.

    Attributes:
        rows: In the order of the file.
        sha256: Of the file, in hexadecimal.
    """

    rows: list[Row]
    sha256: str


def read_published(path: Path) -> Published:
    """Reads a CSV file of results, whether or not each row holds one.

    Args:
        path: A file with columns ``net``, ``accuracy_best_val``, ``accuracy_last_val`` and
            ``epsilon`` (the replay database of the paper's authors), or ``net``, ``acc_1``,
            ``acc_2``, ... (learning curves).

    Raises:
        InvalidInput: If the file cannot be read or is of neither format.
    """
    try:
        content = path.read_bytes()
        reader = csv.DictReader(content.decode("utf-8-sig").splitlines())
        columns, rows = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"Cannot read {path} ({reason}): name a published CSV file.") from error
    epochs = [name for name in columns if name.startswith("acc_")]
    if "net" not in columns or not (epochs or "accuracy_best_val" in columns):
        raise InvalidInput(
            f"{path} is neither a replay database (columns net, accuracy_best_val, ...) nor a file "
            f"of learning curves (columns net, acc_1, acc_2, ...): it has "
            f"{', '.join(columns) or 'no columns'}."
        )
    return Published([_row(row, epochs) for row in rows], hashlib.sha256(content).hexdigest())


def _row(row: dict[str, str | None], epochs: list[str]) -> Row:
    curve = [number for name in epochs if not math.isnan(number := _number(row[name]))]
    best = max(curve, default=math.nan) if epochs else _number(row["accuracy_best_val"])
    return Row(
        row["net"] or "",
        best,
        tuple(curve),
        _optional(row.get("epsilon")),
        _optional(row.get("lr")),
    )


def _number(text: str | None) -> float:
    """NaN for what is no number."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _optional(text: str | None) -> float | None:
    number = _number(text)
    return None if math.isnan(number) else number
