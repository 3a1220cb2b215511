"""Draws figures: matplotlib is loaded late, and files repeat byte by byte."""

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gym_cnnarch import InvalidInput

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C7A00")
"""Okabe and Ito's palette, which the colour-blind can tell apart."""

MARKERS = "os^vDPX*<>h"
"""More than there are colours, so that a colour that comes again has another marker."""

_STYLE = {
    "svg.hashsalt": "gym-cnnarch", "svg.fonttype": "none", "font.size": 9, "axes.grid": True,
    "grid.alpha": 0.3,
}  # fmt: skip


def check_plots() -> None:
    """Refuses to begin what ends with figures.

    Raises:
        InvalidInput: If matplotlib is missing.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise InvalidInput("The figures need matplotlib: pip install 'gym-cnnarch[plots]'.")


def draw_figures(
    figures: Mapping[str, Callable[[Any], bool]], folder: Path, height: float, width: float = 6.4
) -> list[str]:
    """Writes each figure for which there is data as SVG and PNG.

    Args:
        figures: Name -> what draws on matplotlib's axes, and says whether it had data.
        folder: Where to write NAME.svg and NAME.png.
        height, width: Inches.

    Returns:
        The names of the figures that there are.

    Raises:
        InvalidInput: If matplotlib is missing.
    """
    check_plots()
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    style: Any = _STYLE
    drawn = []
    with plt.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a class's name, drawn as boxes
        for name, draw in figures.items():
            figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
            if draw(axes):
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
                figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
                drawn.append(name)
            plt.close(figure)
    return drawn
