"""The cluttered digits: the same bytes everywhere, parts that share no digit, fair classes."""

import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from train_eval.data import cluttered_digits
from train_eval.data.sources import load_dataset, load_own_validation, load_train_and_test

PARTS = ("train", "validation", "test")
DIGESTS = {
    "train": "54e3d862252147aad73fdccd40a5b42f1c242877856fdbdc79c0b440ff3922b4",
    "validation": "422366c9b51e4e2109914baa4877385d0aa08f8e0936f66b92993943cc36111c",
    "test": "dce076d7e972487f0abe1af80822b706e996cdc49497c3b86d11a747606c1356",
}


@pytest.fixture(scope="module")
def digits():
    """scikit-learn's digits: (1797, 8, 8) uint8, and their classes."""
    data = load_digits()
    return np.round(data.images * (255 / 16)).astype(np.uint8), data.target


@pytest.mark.parametrize("part", PARTS)
def test_the_bytes_never_change(part):
    images, labels, names = cluttered_digits.make(part)
    assert images.shape == (cluttered_digits.SIZES[part], 1, 16, 16)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    assert names == list("0123456789")
    little_endian = labels.astype("<i8").tobytes()
    assert hashlib.sha256(images.tobytes() + little_endian).hexdigest() == DIGESTS[part]


@pytest.mark.parametrize("part", PARTS)
def test_classes_are_balanced(part):
    labels = load_dataset("cluttered_digits", part=part).labels
    assert np.abs(np.bincount(labels) / len(labels) - 0.1).max() < 0.005


def test_no_part_shares_a_digit_with_another(digits):
    images, classes = digits
    sources = {part: cluttered_digits._source_digits(part) for part in PARTS}
    pixels = {p: {image.tobytes() for image in source} for p, (source, _, _) in sources.items()}
    assert sum(map(len, pixels.values())) == len(images)
    assert set.union(*pixels.values()) == {image.tobytes() for image in images}
    labelled = {image.tobytes(): label for image, label in zip(images, classes, strict=True)}
    for source, labels, _ in sources.values():
        assert [labelled[image.tobytes()] for image in source] == labels.tolist()


@pytest.mark.parametrize("part", PARTS)
def test_every_image_is_a_digit_of_its_part_under_three_scraps(part):
    digits, classes, _ = cluttered_digits._source_digits(part)
    images, labels, _ = cluttered_digits.make(part)
    for number in range(0, len(images), 97):
        source = number % len(digits)
        canvas = images[number, 0]
        assert labels[number] == classes[source]
        shown = [
            np.pad(digits[source], ((row, 8 - row), (column, 8 - column)))
            for row in range(9)
            for column in range(9)
        ]
        added = [canvas[canvas > digit] for digit in shown if (canvas >= digit).all()]
        assert added, "nowhere on the canvas is the digit whole"
        assert min(map(len, added)) <= 3 * 4 * 4


def test_the_digit_is_equally_often_at_each_of_81_places():
    rows, columns = cluttered_digits._draws(0)(9, 12_000).T
    counts = np.bincount(9 * rows + columns, minlength=81)
    expected = 12_000 / 81
    assert ((counts - expected) ** 2 / expected).sum() < 125  # chi-squared, 80 degrees: p = 0.001


def test_its_own_validation_images_are_found():
    train, test = load_train_and_test("cluttered_digits")
    validation = load_own_validation("cluttered_digits", train)
    assert [len(part.labels) for part in (train, validation, test)] == [12_000, 2_000, 4_000]
    assert validation.fingerprint == load_dataset("cluttered_digits", part="validation").fingerprint
    assert load_dataset("cluttered_digits", image_size=8).images.shape == (12_000, 1, 8, 8)
