"""How long networks take on a machine: the file ``latency.json`` in a run's folder.

A latency belongs to a network and a machine, not to a task: it is no part of an evaluation.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gym_cnnarch import InvalidInput
from gym_cnnarch.files import replace_json
from train_eval.records import plain as read

LATENCY = "latency.json"


@dataclass(frozen=True)
class Conditions:
    """What a latency depends on besides the network.

    Attributes:
        device: ``cpu``, of which one core works, or the GPU's name.
        processor: The processor's name.
        batch: Images of a forward pass.
        passes: Forward passes that were measured.
        versions: Of packages, Python and the machine.
    """

    device: str
    processor: str
    batch: int
    passes: int
    versions: Mapping[str, str]

    def __str__(self) -> str:
        images = "one image" if self.batch == 1 else f"{self.batch:,} images"
        where = f"one core of {self.processor}" if self.device == "cpu" else self.device
        return f"a forward pass of {images} on {where}, torch {self.versions.get('torch', '?')}"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "versions": dict(self.versions)}

    @classmethod
    def from_json(cls, plain: Any) -> "Conditions":
        """The inverse of ``as_json``.

        Raises:
            ValueError: If it is something else.
        """
        return cls(
            read.field(plain, "device", str),
            read.field(plain, "processor", str),
            read.field(plain, "batch", int),
            read.field(plain, "passes", int),
            read.field(plain, "versions", dict),
        )


@dataclass(frozen=True)
class Latencies:
    """Networks that were measured under the same conditions.

    Attributes:
        conditions: On what machine, of what.
        milliseconds: Canonical text of a network -> milliseconds of a forward pass.
    """

    conditions: Conditions
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    def of(self, architecture: str) -> dict[str, Any] | None:
        """A network's latency with its conditions, as plain data; None if it is not known."""
        known = self.milliseconds.get(architecture)
        return None if known is None else {"milliseconds": known, **self.conditions.as_json()}

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "conditions": self.conditions.as_json(),
            "milliseconds": dict(self.milliseconds),
        }

    @classmethod
    def from_json(cls, plain: Any) -> "Latencies":
        """The inverse of ``as_json``.

        Raises:
            ValueError: If it is something else.
        """
        measured = read.field(plain, "milliseconds", dict)
        return cls(
            Conditions.from_json(read.field(plain, "conditions", dict)),
            {text: float(read.field(measured, text, int, float)) for text in measured},
        )


def latest_latencies(run_dir: Path) -> Latencies | None:
    """Those of a run under the conditions of its last measurement; None if there was none.

    Raises:
        InvalidInput: If the file is damaged.
    """
    recorded = _read(run_dir)
    return recorded[-1] if recorded else None


def recorded_latencies(run_dir: Path, conditions: Conditions) -> Latencies:
    """Those of a run that were measured under given conditions.

    Raises:
        InvalidInput: If the file is damaged.
    """
    found = [known for known in _read(run_dir) if known.conditions == conditions]
    return found[0] if found else Latencies(conditions)


def record_latencies(run_dir: Path, measured: Latencies) -> Latencies:
    """Adds what was measured, and returns all under these conditions, which are now the latest.

    Raises:
        InvalidInput: If the file is damaged.
    """
    known = recorded_latencies(run_dir, measured.conditions)
    together = replace(known, milliseconds={**known.milliseconds, **measured.milliseconds})
    others = [one for one in _read(run_dir) if one.conditions != measured.conditions]
    replace_json(run_dir / LATENCY, [one.as_json() for one in (*others, together)])
    return together


def _read(run_dir: Path) -> list[Latencies]:
    """In the order in which the conditions were used last."""
    path = run_dir / LATENCY
    if not path.is_file():
        return []
    try:
        recorded = read.items({LATENCY: json.loads(path.read_text())}, LATENCY, dict)
        return [Latencies.from_json(each) for each in recorded]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"{path} does not hold latencies ({error}): remove it, and measure again with "
            f"cnnarch latency."
        ) from error
