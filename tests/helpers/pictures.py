"""Folders of pictures for tests."""

import numpy as np
from PIL import Image


def write_images(folder, classes=("cat", "dog"), count=3, size=(8, 8), mode="RGB"):
    """Random pictures, FOLDER/<class>/<number>.png; the same ones for the same arguments."""
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder
