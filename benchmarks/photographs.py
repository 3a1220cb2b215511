"""A set of 1,220 small pictures in six classes, cut from photographs that packages ship.

scikit-learn's china.jpg and flower.jpg and matplotlib's grace_hopper.jpg. Each class is a part of a
photograph (pagoda, trees, petals, leaves, face, flag), divided into cells of 40 pixels a side.
Pictures are cut within a cell, at a random place, of 20 to 36 pixels a side, turned by quarters and
resized to 24x24. Every fifth cell is for testing, so that no pixel is both trained on and tested:

    python benchmarks/photographs.py PLACE && python benchmarks/by_hand.py --dataset folder:PLACE
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import sklearn
from command import run
from PIL import Image

CHINA = Path(sklearn.__file__).parent / "datasets/images/china.jpg"
FLOWER = CHINA.with_name("flower.jpg")
HOPPER = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"

CLASSES = {  # photograph, and left, top, right, bottom
    "pagoda": (CHINA, (85, 90, 325, 330)),
    "trees": (CHINA, (345, 307, 625, 427)),
    "petals": (FLOWER, (205, 110, 405, 310)),
    "leaves": (FLOWER, (0, 0, 160, 427)),
    "face": (HOPPER, (165, 130, 365, 330)),
    "flag": (HOPPER, (0, 0, 130, 300)),
}
CELL, SMALLEST, LARGEST, SIDE = 40, 20, 36, 24  # pixels
PICTURES = {"train": 1000, "test": 220}


def cells(box: tuple[int, int, int, int]) -> dict[str, list[tuple[int, int]]]:
    """Left upper corners of the cells of a class, by what they are for."""
    left, top, right, bottom = box
    corners = [
        (x, y)
        for y in range(top, bottom - CELL + 1, CELL)
        for x in range(left, right - CELL + 1, CELL)
    ]
    test = corners[2::5]
    return {"train": [corner for corner in corners if corner not in test], "test": test}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("place", type=Path, help="folder to write train/ and test/ to")
    parser.add_argument("--grey", action="store_true", help="without colours, which tell much")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    for number, (name, (file, box)) in enumerate(CLASSES.items()):
        photograph = Image.open(file).convert("L" if arguments.grey else "RGB")
        for part, corners in cells(box).items():
            folder = arguments.place / part / name
            folder.mkdir(parents=True, exist_ok=True)
            count = len(range(number, PICTURES[part], len(CLASSES)))
            for position in range(count):
                x, y = corners[position % len(corners)]
                side = int(rng.integers(SMALLEST, LARGEST + 1))
                dx, dy = rng.integers(CELL - side + 1, size=2)
                cut = photograph.crop((x + dx, y + dy, x + dx + side, y + dy + side))
                turned = cut.rotate(90 * int(rng.integers(4)))
                small = turned.resize((SIDE, SIDE), Image.Resampling.BOX)
                small.save(folder / f"{position:03}.png")


if __name__ == "__main__":
    run(main)
