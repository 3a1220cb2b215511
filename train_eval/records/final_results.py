"""Results of final trainings: the file ``results.json`` beside the networks."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gym_cnnarch import InvalidInput
from gym_cnnarch.files import replace_json
from train_eval.records.plain import field, items

FINAL_FOLDER = "final"
RESULTS = "results.json"


@dataclass(frozen=True)
class FinalNetwork:
    """A network that was trained to the end.

    Attributes:
        name: Of its files: 01 for the best by validation accuracy in the search, 02, ...
        architecture: Canonical text.
        validation_accuracy: In the search, in [0, 1]; None if that was on other data.
        parameters: Trainable parameters.
        test_error: In [0, 1]; None where there are no test images.
        final_accuracy: On the validation images of the final training, in [0, 1]; None where none
            were held out.
    """

    name: str
    architecture: str
    validation_accuracy: float | None
    parameters: int
    test_error: float | None
    final_accuracy: float | None = None


@dataclass(frozen=True)
class FailedNetwork:
    """A network that could not be trained to the end, or ended where it must not be recommended.

    Attributes:
        name: Of its files, see ``FinalNetwork``.
        architecture: Canonical text.
        status: ``diverged`` or ``error``; ``collapsed`` or ``worse`` than it was in the search.
        message: What went wrong, in words.
    """

    name: str
    architecture: str
    status: str
    message: str


@dataclass(frozen=True)
class FinalResults:
    """All networks of a final training, tested once.

    Attributes:
        networks: The best first: by the validation images of the final training, or where none
            were held out by those of the search.
        ensemble: Names of the networks whose probabilities are averaged.
        ensemble_error: Test error of their mean, in [0, 1]; None where nothing was tested.
        test_images: Number of test images.
        test_fingerprint: Hash of the test images; None where there are none.
        failed: The networks that could not be trained to their end, or must not be recommended.
    """

    networks: tuple[FinalNetwork, ...]
    ensemble: tuple[str, ...]
    ensemble_error: float | None
    test_images: int
    test_fingerprint: str | None
    failed: tuple[FailedNetwork, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain data, as in the file."""
        return {
            "networks": [asdict(network) for network in self.networks],
            "ensemble": {"networks": list(self.ensemble), "test_error": self.ensemble_error},
            "test_images": self.test_images,
            "test_fingerprint": self.test_fingerprint,
            "failed": [asdict(network) for network in self.failed],
        }

    @classmethod
    def from_json(cls, plain: Any) -> "FinalResults":
        """The inverse of ``as_json``.

        Raises:
            ValueError: If it is something else.
        """
        field(plain, "networks", list)
        ensemble = field(plain, "ensemble", dict)
        return cls(
            tuple(map(_network, items(plain, "networks", dict))),
            tuple(items(ensemble, "networks", str)),
            field(ensemble, "test_error", int, float, type(None)),
            field(plain, "test_images", int),
            field(plain, "test_fingerprint", str, type(None)),
            tuple(map(_failed, items(plain, "failed", dict))),
        )

    def save(self, folder: Path) -> None:
        """Writes ``results.json`` in a folder."""
        replace_json(folder / RESULTS, self.as_json())


def final_results(run_dir: Path) -> FinalResults | None:
    """The results of a run's final trainings, None if there are none.

    Raises:
        InvalidInput: If the file is damaged.
    """
    path = run_dir / FINAL_FOLDER / RESULTS
    if not path.is_file():
        return None
    try:
        return FinalResults.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{path} does not hold the results of final trainings ({error}): run cnnarch finalize "
            f"again."
        ) from error


def _network(plain: Any) -> FinalNetwork:
    return FinalNetwork(
        field(plain, "name", str),
        field(plain, "architecture", str),
        field(plain, "validation_accuracy", int, float, type(None)),
        field(plain, "parameters", int),
        field(plain, "test_error", int, float, type(None)),
        field(plain, "final_accuracy", int, float, type(None)),
    )


def _failed(plain: Any) -> FailedNetwork:
    return FailedNetwork(
        *(field(plain, name, str) for name in ("name", "architecture", "status", "message"))
    )
