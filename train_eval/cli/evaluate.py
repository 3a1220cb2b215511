"""The command ``cnnarch evaluate``."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from rich.table import Table
from rich.text import Text

from gym_cnnarch import InvalidInput
from train_eval.output import console

if TYPE_CHECKING:
    from train_eval.final.network.assessment import Assessment

_MOST_COLUMNS = 15  # of a confusion matrix on a terminal


@dataclass
class EvaluateCommand:
    """Judge a finalized network by pictures whose classes are known."""

    network: tyro.conf.Positional[Path]
    """Its weights, NAME.safetensors, its card, NAME.json, or NAME.onnx."""
    folder: tyro.conf.Positional[Path]
    """Pictures in FOLDER/<class>/, or in FOLDER/test/<class>/."""
    worst: int = 5
    """Number of wrong answers to show, the most confident first."""
    json: bool = False
    """Print all of it as JSON."""
    figure: Path | None = None
    """Folder in which to draw the confusion matrix, as confusion.svg and confusion.png."""

    def run(self) -> None:
        """Prints accuracy, classes, confusion matrix and the worst answers."""
        from train_eval.final.network.assessment import assess
        from train_eval.final.network.classifier import load_classifier

        if self.worst < 0:
            raise InvalidInput(f"--worst must be at least 0, but is {self.worst}.")
        found = assess(load_classifier(self.network), self.folder)
        for sentence in (*found.unread, *map(str, found.skipped)):
            console.note(console.one_line(sentence))
        if self.json:
            print(json.dumps(found.as_json(), indent=2))
        else:
            self._show(found)
        if self.figure is not None:
            draw_confusion(found, self.figure)
            console.note(f"Confusion matrix: {self.figure / 'confusion.png'}")
        if found.unread:
            console.note(f"{len(found.unread)} images could not be read.")
            sys.exit(1)

    def _show(self, found: "Assessment") -> None:
        console.say(
            f"accuracy {found.accuracy:.2%}, balanced accuracy {found.balanced_accuracy:.2%}, "
            f"{found.images} images"
        )
        show_classes(found)
        for one in found.wrong[: self.worst]:
            console.say(
                console.one_line(
                    f"{one.path}  is {one.truth}, answered {one.answer} {one.confidence:.2%}"
                )
            )


def show_classes(found: "Assessment") -> None:
    """Prints how well each class is found, and the confusion matrix if it is not too wide."""
    console.out.print(_classes(found))
    if len(found.class_names) <= _MOST_COLUMNS:
        console.say("Rows: what it is; columns: the answer")
        console.out.print(_confusion(found))


def _classes(found: "Assessment") -> Table:
    table = Table(title="Classes", title_justify="left")
    table.add_column("class")
    for column in ("images", "found", "right if answered"):
        table.add_column(column, justify="right")
    for i, name in enumerate(found.class_names):
        table.add_row(
            Text(console.one_line(name)),
            str(found.confusion[i].sum()),
            _percent(found.recalls[i]),
            _percent(found.precisions[i]),
        )
    return table


def _confusion(found: "Assessment") -> Table:
    table = Table()
    table.add_column("")
    for name in found.class_names:
        table.add_column(Text(console.one_line(name)), justify="right")
    for name, row in zip(found.class_names, found.confusion.tolist(), strict=True):
        table.add_row(
            Text(console.one_line(name)), *(str(count) if count else "." for count in row)
        )
    return table


def draw_confusion(found: "Assessment", folder: Path) -> None:
    """Draws the confusion matrix, each row in shares of its class.

    Raises:
        InvalidInput: If matplotlib is missing.
    """
    from train_eval.output.plotting import draw_figures

    def draw(axes: Any) -> bool:
        counts = found.confusion
        shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        names = [console.one_line(name) for name in found.class_names]
        places = range(len(names))
        if len(names) <= _MOST_COLUMNS:
            for i in places:
                for j in places:
                    colour = "white" if shares[i, j] > 0.5 else "black"
                    axes.text(j, i, counts[i, j], ha="center", va="center", color=colour)
            axes.set_xticks(places, names, rotation=45, ha="right")
            axes.set_yticks(places, names)
        axes.set_xlabel("answer")
        axes.set_ylabel("class")
        return True

    folder.mkdir(parents=True, exist_ok=True)
    draw_figures({"confusion": draw}, folder, 5.0)


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.2%}"
