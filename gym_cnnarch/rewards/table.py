"""Rewards without training: every network of a space, really trained before, looked up."""

import hashlib
import io
import json
import tokenize
import zipfile
import zlib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.files import replace_file
from gym_cnnarch.rewards.evaluation import STATUSES, Evaluation
from gym_cnnarch.space.latencies import in_brief
from gym_cnnarch.space.search_space import SearchSpace

# What NumPy and the zip file's reader say of files that are none, or damaged.
_UNREADABLE = (
    OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, ArithmeticError,
    MemoryError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

MISSING = -1
"""In a table's integers: not measured."""

FORMAT = 1
"""Version of the file."""


@dataclass(frozen=True, eq=False)
class Table:
    """N architectures in the order of ``SearchSpace.rank``, each trained with S seeds, E epochs.

    Accuracies are kept as numbers of images, which are exact.

    Attributes:
        metadata: Plain data: ``search_space``, ``task``, ``dataset``, ``recipe``,
            ``validation_images``, ``test_images``, ``seeds`` and what the table was made with.
        correct_validation: (S, N, E) int32, correctly classified validation images by epoch.
        correct_test: (S, N) int32, correctly classified test images after the last epoch.
        status: (S, N) int8, position in ``evaluation.STATUSES``; MISSING where nothing was trained.
            A training that was stopped early is no result.
        train_seconds: (S, N) float32, seconds of training, see ``Evaluation``.
        learning_rate: (S, N) float32, the initial learning rate of the last try; 0: there is none.
        parameters: (N,) int64, trainable parameters.
        macs: (N,) int64, multiply-accumulates of a forward pass.
    """

    metadata: dict[str, Any]
    correct_validation: NDArray[np.int32]
    correct_test: NDArray[np.int32]
    status: NDArray[np.int8]
    train_seconds: NDArray[np.float32]
    learning_rate: NDArray[np.float32]
    parameters: NDArray[np.int64]
    macs: NDArray[np.int64]

    def __post_init__(self) -> None:
        plain = json.loads(json.dumps(self.metadata))  # as a file gives it back
        object.__setattr__(self, "metadata", plain)
        _check_metadata(plain)
        if self.space.counts_more_than(self.parameters.size):
            raise InvalidInput(
                f"A table of {self.parameters.size} architectures cannot be of a search space that "
                f"has more, {in_brief(plain['search_space'])}."
            )
        seeds, count = len(self.seeds), self.space.count()
        expected = {
            "correct_validation": (seeds, count, self.correct_validation.shape[-1]),
            "parameters": (count,),
            "macs": (count,),
        }
        for name in _ARRAYS:
            shape = getattr(self, name).shape
            if shape != expected.get(name, (seeds, count)):
                raise InvalidInput(
                    f"A table of {count} architectures and {seeds} seeds cannot have {name} of "
                    f"shape {shape}."
                )
        self._check_results()

    def _check_results(self) -> None:
        """Refuses results that no training has."""
        images, tests = self.metadata["validation_images"], self.metadata["test_images"]
        highest = {
            "correct_validation": images,
            "correct_test": tests,
            "status": STATUSES.index("stopped") - 1,
        }
        for name in _ARRAYS:
            array = getattr(self, name)
            real = name in ("train_seconds", "learning_rate")
            low = MISSING if name in highest else 0
            high = highest.get(name, np.finfo(np.float32).max if real else 2**63 - 1)
            expected = f"{'numbers' if real else 'integers'} from {low} to {high:.10g}"
            if array.dtype.kind != ("f" if real else "i"):
                raise InvalidInput(f"A table's {name} must be {expected}, not {array.dtype}.")
            if array.size and not (low <= array.min() and array.max() <= high):  # NaN too
                found = f"{array.min()} to {array.max()}"
                raise InvalidInput(f"A table's {name} must be {expected}, but is {found}.")
        ended = self.status == STATUSES.index("ok")
        if self.correct_validation.shape[-1] == 0 or (self.correct_validation[ended] < 0).any():
            raise InvalidInput("A table's trainings that are ok must have every epoch's accuracy.")

    @cached_property
    def space(self) -> SearchSpace:
        """The space whose networks the table holds."""
        return SearchSpace.from_spec(self.metadata["search_space"])

    @property
    def seeds(self) -> list[int]:
        """The seed of each training of a network, S numbers."""
        return list(self.metadata["seeds"])

    @cached_property
    def complete(self) -> NDArray[np.int64]:
        """Positions of the seeds for which every network was trained."""
        return np.flatnonzero((self.status != MISSING).all(axis=1))

    @cached_property
    def validation(self) -> NDArray[np.float64]:
        """(S, N), the best validation accuracy over the epochs, 0 where the training failed."""
        images: int = self.metadata["validation_images"]
        best: NDArray[np.int32] = self.correct_validation.max(axis=2, initial=0)
        best[self.status != STATUSES.index("ok")] = 0
        return best / images

    @cached_property
    def test(self) -> NDArray[np.float64]:
        """(S, N), the test accuracy after the last epoch, 0 where the training failed."""
        images: int = self.metadata["test_images"]
        found = np.where(self.status == STATUSES.index("ok"), self.correct_test, 0)
        return np.maximum(found, 0) / images

    def evaluation(self, rank: int, position: int) -> Evaluation:
        """Returns the evaluation of the training with the seed at ``position``, as it was then.

        Raises:
            InvalidInput: If the network was not trained with it yet.
        """
        if self.status[position, rank] == MISSING:
            raise InvalidInput(
                f"{self.space.unrank(rank)} was not trained with seed {self.seeds[position]} yet: "
                f"continue with cnnarch table build."
            )
        curve = self.correct_validation[position, rank]
        accuracies = tuple((curve[curve != MISSING] / self.metadata["validation_images"]).tolist())
        test = int(self.correct_test[position, rank])
        return Evaluation(
            accuracy=max(accuracies, default=0.0),
            status=STATUSES[self.status[position, rank]],
            parameters=int(self.parameters[rank]),
            macs=int(self.macs[rank]),
            curve=accuracies,
            train_seconds=float(self.train_seconds[position, rank]),
            # By its shortest text: 0.003 is not a float32. 0 is none.
            learning_rate=float(str(self.learning_rate[position, rank])) or None,
            cached=True,
            test_accuracy=None if test == MISSING else test / self.metadata["test_images"],
        )

    def checksum(self) -> str:
        """SHA-256 of metadata and results."""
        digest = hashlib.sha256(json.dumps(self.metadata, sort_keys=True).encode())
        for name in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Writes an npz file of plain arrays, beside the file and then in its place."""
        header = {"format": FORMAT, "checksum": self.checksum(), "metadata": self.metadata}
        content = io.BytesIO()
        np.savez_compressed(
            content, header=np.array(json.dumps(header)),
            **{name: getattr(self, name) for name in _ARRAYS},
        )  # fmt: skip
        replace_file(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Table":
        """Reads a file; nothing in it is unpickled.

        Raises:
            InvalidInput: If there is no such file, it is no table, or it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                arrays = {name: file[name] for name in _ARRAYS}
            for name, array in arrays.items():
                if not isinstance(array, np.ndarray):  # NumPy gives other members as bytes
                    raise ValueError(f"{name} is no array")
            if header["format"] > FORMAT:
                raise InvalidInput(
                    f"{path} has format {header['format']}, written by a newer version of "
                    f"gym-cnnarch: upgrade it."
                )
            table, checksum = cls(header["metadata"], **arrays), header["checksum"]
        except FileNotFoundError as error:
            raise InvalidInput(
                f"There is no table {path}: name a file that cnnarch table build wrote, or a "
                f"shipped table such as cifar10-16x16."
            ) from error
        except _UNREADABLE as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(
                f"{path} is no table of results, or it is damaged: {error}"
            ) from error
        if table.checksum() != checksum:
            raise InvalidInput(f"{path} is damaged: its checksum differs; get it anew.")
        return table


_ARRAYS = tuple(field.name for field in fields(Table) if field.name != "metadata")


def _check_metadata(metadata: Any) -> None:
    """Refuses metadata that no table has."""
    known = metadata if isinstance(metadata, dict) else {}
    seeds = known.get("seeds")
    possible = {
        "search_space": isinstance(known.get("search_space"), dict),
        "task": isinstance(known.get("task"), str),
        "validation_images": _is_count(known.get("validation_images")),
        "test_images": _is_count(known.get("test_images")),
        "seeds": isinstance(seeds, list)
        and all(isinstance(seed, int) for seed in seeds)
        and 0 < len(set(seeds)) == len(seeds),
    }
    for name, usable in possible.items():
        if not usable:
            raise InvalidInput(f"A table's metadata cannot have {name} = {known.get(name)!r}.")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
