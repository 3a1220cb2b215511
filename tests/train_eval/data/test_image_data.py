"""The record of what was read: kept as plain data, in words, and compared in words."""

import dataclasses
import json

import numpy as np
import pytest

from gym_cnnarch import InvalidInput
from train_eval.data.image_data import Reading, Skipped, make_image_data, what_changed

READING = Reading(
    ("cat", "dog"), (498, 498), (3, 32, 32),
    (Skipped("a link to nothing", 1, "train/cat/0.png"),), ("2 pictures hold several frames.",),
)  # fmt: skip


def test_a_reading_survives_json():
    assert Reading.from_json(json.loads(json.dumps(READING.as_json()))) == READING


@pytest.mark.parametrize(
    "content",
    [
        None, [], {}, "text", {**READING.as_json(), "images_per_class": [1]},
        {**READING.as_json(), "shape": None}, {**READING.as_json(), "skipped": [1]},
        {**READING.as_json(), "images_per_class": ["many", "few"]},
    ],
)  # fmt: skip
def test_what_is_no_reading_is_refused(content):
    with pytest.raises(InvalidInput, match="Expected"):
        Reading.from_json(content)


def test_a_reading_says_what_was_read_skipped_and_done():
    assert READING.sentences() == [
        "Read 996 images of 2 classes: cat 498, dog 498.",
        "Skipped train/cat/0.png (a link to nothing).",
        "2 pictures hold several frames.",
    ]


def test_of_many_classes_the_smallest_and_the_largest_are_told():
    names = tuple(f"class {number}" for number in range(100))
    many = Reading(names, tuple(range(1, 101)), (3, 32, 32))
    assert many.sentences() == [
        "Read 5050 images of 100 classes: 1 (class 0) to 100 (class 99) each."
    ]
    equal = Reading(names, (500,) * 100, (3, 32, 32))
    assert equal.sentences() == ["Read 50000 images of 100 classes: 500 each."]


def test_made_data_are_counted_by_class():
    images = np.zeros((3, 1, 4, 4), np.uint8)
    data = make_image_data(images, np.array([1, 1, 0]), ("a", "b", "none"))
    assert data.reading == Reading(("a", "b", "none"), (1, 2, 0), (1, 4, 4))
    assert data.reading.images == 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images_per_class": (498, 499)}, "996 images then, 997 now: dog 498 then, 499 now."),
        (
            {"class_names": ("cat", "cow")},
            "996 images then, 996 now: class 'dog' is gone; class 'cow' is new.",
        ),
        ({"shape": (1, 32, 32)}, "996 images then, 996 now: images of 3x32x32 values then, 1x32"),
        ({}, "996 images of 2 classes then as now: pixels, labels or the order"),
    ],
)
def test_what_changed_is_told_in_words(changes, sentence):
    assert what_changed(READING, dataclasses.replace(READING, **changes)).startswith(sentence)
