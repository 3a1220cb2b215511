"""The file ``run.json``: which run a folder holds, and what its images were."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train_eval.records.plain import field, items
from train_eval.records.run_settings import RunSettings


@dataclass(frozen=True)
class RunData:
    """The images of a run.

    Attributes:
        dataset: The data set; None if it is not known.
        data_root: Folder of torchvision's files; None if it is not known.
        fingerprints: Hashes of the images; empty if they are not known.
        reading: What was read of the data set, as plain data; None if it is not known.
        train, validation: Number of images that networks are trained on, and judged by, in the
            search; None if they are not known.
    """

    dataset: str | None = None
    data_root: str | None = None
    fingerprints: tuple[str, ...] = ()
    reading: dict[str, Any] | None = None
    train: int | None = None
    validation: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data; what is not known is left out."""
        return {name: value for name, value in vars(self).items() if value}

    @classmethod
    def from_json(cls, plain: Any) -> "RunData":
        """The inverse of ``as_json``.

        Raises:
            ValueError: If it is something else.
        """
        return cls(
            field(plain, "dataset", str, type(None)),
            field(plain, "data_root", str, type(None)),
            tuple(items(plain, "fingerprints", str)),
            field(plain, "reading", dict, type(None)),
            field(plain, "train", int, type(None)),
            field(plain, "validation", int, type(None)),
        )


@dataclass(frozen=True)
class RunFile:
    """A run's file ``run.json``.

    Attributes:
        store: The store's path, absolute or from the run's folder.
        run: The run's name in the store.
        settings: The run's settings.
        data: Its images.
    """

    store: str
    run: str
    settings: RunSettings
    data: RunData

    def as_json(self) -> dict[str, Any]:
        """Plain data, as in the file."""
        plain = {"settings": self.settings.as_json(), "data": self.data.as_json()}
        return {**vars(self), **plain}

    @classmethod
    def from_json(cls, plain: Any) -> "RunFile":
        """The inverse of ``as_json``.

        Raises:
            ValueError: If it is something else.
        """
        return cls(
            field(plain, "store", str),
            field(plain, "run", str),
            RunSettings.from_json(field(plain, "settings", dict)),
            RunData.from_json(field(plain, "data", dict, type(None)) or {}),
        )

    def store_path(self, run_dir: Path) -> Path:
        """The store, given the run's folder."""
        return (run_dir / self.store).resolve()
