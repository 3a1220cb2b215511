"""The command ``cnnarch predict``."""

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from gym_cnnarch import InvalidInput
from train_eval.cli.options import check_positive
from train_eval.output import console
from train_eval.records.kept import plain_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass
class PredictCommand:
    """Classify images with a finalized network."""

    network: tyro.conf.Positional[Path]
    """Its weights, NAME.safetensors, or its card, NAME.json (the other lies beside it), or
    NAME.onnx."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, and folders of them."""
    top: int = 3
    """Number of classes to show for each image."""
    json: bool = False
    """Print a JSON list instead, with an entry an image."""
    csv: bool = False
    """Print CSV instead: file, then class and probability of each of the top, then the error."""

    def run(self) -> None:
        """Prints what each image shows; status 1 if one cannot be read, 2 if none can."""
        from train_eval.final.network.classifier import classify, load_classifier

        check_positive(self, "top")
        if self.json and self.csv:
            raise InvalidInput("--json and --csv exclude each other: leave out one.")
        paths = _files(self.images)
        classifier = load_classifier(self.network)
        unread = 0
        entries: list[dict[str, Any]] = []
        for path, answer in classify(classifier, paths):
            if isinstance(answer, InvalidInput):
                unread += 1
                console.note(console.one_line(str(answer)))
                entry: dict[str, Any] = {"file": str(path), "classes": [], "error": str(answer)}
            else:
                best = self._best(classifier.class_names, answer)
                entry = {"file": str(path), "classes": best, "error": None}
                if not (self.json or self.csv):
                    words = "  ".join(f"{one['name']} {one['probability']:.2%}" for one in best)
                    console.say(console.one_line(f"{path}  {words}"))
            entries.append(entry)
        if self.json:
            print(json.dumps(entries, indent=2))
        elif self.csv:
            print(plain_text(_csv(entries, min(self.top, len(classifier.class_names)))), end="")
        if unread:
            console.note(f"{unread} of {len(paths)} images could not be read.")
            sys.exit(1 if unread < len(paths) else 2)

    def _best(self, names: list[str], answer: "NDArray[np.float32]") -> list[dict[str, Any]]:
        best = answer.argsort()[::-1][: self.top]
        return [{"name": names[i], "probability": float(answer[i])} for i in best]


def _files(given: tuple[Path, ...]) -> list[Path]:
    """The files themselves, and the pictures of the folders in order.

    Raises:
        InvalidInput: If there are none.
    """
    from train_eval.data.pictures import is_picture
    from train_eval.data.tree import Skips, files_of

    if not given:
        raise InvalidInput("Name at least one image.")
    paths: list[Path] = []
    for path in given:
        if not path.is_dir():
            paths.append(path)
            continue
        found = [file.path for file in files_of(path, Skips(path)) if is_picture(file.path)]
        if not found:
            raise InvalidInput(f"There are no images in {path}.")
        paths += found
    return paths


def _csv(entries: list[dict[str, Any]], top: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [name for i in range(1, top + 1) for name in (f"class_{i}", f"probability_{i}")]
    writer.writerow(["file", *columns, "error"])
    for entry in entries:
        cells = [cell for one in entry["classes"] for cell in (one["name"], one["probability"])]
        cells += [""] * (len(columns) - len(cells))
        writer.writerow([entry["file"], *cells, entry["error"] or ""])
    return text.getvalue()
