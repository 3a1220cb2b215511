"""A search space from plain data, and what is refused."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest

from gym_cnnarch import Architecture, InvalidInput, SearchSpace

DATA = {"input_shape": (3, 32, 32), "num_classes": 10}


def test_presets_have_the_documented_limits():
    assert SearchSpace.from_spec("metaqnn", **DATA) == SearchSpace((3, 32, 32), 10, max_layers=12)
    assert SearchSpace.from_spec("metaqnn-18", **DATA).max_layers == 18
    digits = SearchSpace.from_spec("digits", input_shape=(1, 8, 8), num_classes=10)
    assert (digits.max_layers, digits.conv_filters) == (4, (8, 16, 32))
    assert (digits.conv_receptive_fields, digits.pools) == ((1, 3), ((2, 2),))
    assert digits.fc_neurons == (64, 32)


def test_a_mapping_changes_what_it_names_and_keeps_the_rest_of_its_preset():
    space = SearchSpace.from_spec({"preset": "metaqnn-18", "fc_neurons": [64]}, **DATA)
    assert space == SearchSpace((3, 32, 32), 10, max_layers=18, fc_neurons=(64,))
    assert SearchSpace.from_spec({"preset": "metaqnn-18", "max_layers": 5}, **DATA).max_layers == 5


def test_a_mapping_without_a_preset_starts_from_the_paper_s_space():
    assert SearchSpace.from_spec({}, **DATA) == SearchSpace()


def test_numpy_s_integers_and_arrays_are_limits_too():
    limits = {"max_layers": np.int64(3), "conv_filters": np.array([8, 16], dtype=np.int32)}
    space = SearchSpace.from_spec(limits, input_shape=(1, 8, np.int64(8)), num_classes=np.int8(3))
    assert space == SearchSpace((1, 8, 8), 3, max_layers=3, conv_filters=(8, 16))
    assert json.loads(json.dumps(asdict(space)))["max_layers"] == 3
    with pytest.raises(InvalidInput, match="max_layers"):
        SearchSpace(max_layers=np.float64(3))


def test_a_space_counts_more_than_every_smaller_number():
    for limits in ({"max_layers": 2}, {"max_layers": 1, "pools": []}, {"conv_filters": []}):
        space = SearchSpace.from_spec({"preset": "digits", **limits}, **DATA)
        count = space.count()
        assert [space.counts_more_than(n) for n in (0, count - 1, count, count + 1)] == [
            True, True, False, False,
        ]  # fmt: skip
    assert SearchSpace(max_layers=10**9).counts_more_than(10_000)


def test_a_mapping_survives_json():
    limits = {"input_shape": [1, 28, 28], "num_classes": 7, "pools": [[3, 2], [2, 2]]}
    space = SearchSpace.from_spec(json.loads(json.dumps(limits)))
    assert space == SearchSpace((1, 28, 28), 7, pools=((3, 2), (2, 2)))
    assert hash(space) == hash(SearchSpace((1, 28, 28), 7, pools=((3, 2), (2, 2))))


def test_the_caller_s_mapping_is_left_as_it_was():
    limits = {"preset": "digits", "max_layers": 2}
    SearchSpace.from_spec(limits, input_shape=(1, 8, 8), num_classes=10)
    assert limits == {"preset": "digits", "max_layers": 2}


def test_a_space_is_its_own_specification():
    assert SearchSpace.from_spec(SearchSpace(max_layers=5), **DATA) == SearchSpace(max_layers=5)


def test_what_is_not_known_of_the_data_contradicts_nothing():
    space = SearchSpace.from_spec(DATA, input_shape=None, num_classes=None)
    assert space == SearchSpace()


@pytest.mark.parametrize(
    ("spec", "known", "named"),
    [
        ("huge", DATA, ["huge", "metaqnn", "metaqnn-18", "digits"]),
        ({"preset": "huge"}, DATA, ["huge", "metaqnn", "metaqnn-18", "digits"]),
        ({"layers": 3}, DATA, ["layers", "max_layers", "conv_filters"]),
        ({"num_classes": 100}, DATA, ["num_classes", "100", "10"]),
        ({"input_shape": [1, 28, 28]}, DATA, ["input_shape", "28", "32"]),
        (SearchSpace(num_classes=3), DATA, ["num_classes", "3", "10"]),
        ("metaqnn", {}, ["input_shape"]),
        ("metaqnn", {"input_shape": (3, 32, 32), "num_classes": None}, ["num_classes"]),
        (5, DATA, ["5"]),
        (["metaqnn"], DATA, ["metaqnn"]),
    ],
)
def test_a_specification_that_cannot_be_used_is_refused_by_name(spec, known, named):
    with pytest.raises(InvalidInput) as error:
        SearchSpace.from_spec(spec, **known)
    assert [name for name in named if name not in str(error.value)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_layers", 0),
        ("max_layers", -1),
        ("max_layers", 2.5),
        ("max_layers", True),
        ("max_layers", "12"),
        ("max_layers", None),
        ("max_layers", (12,)),
        ("num_classes", 1),
        ("num_classes", (10,)),
        ("conv_filters", (64, 0)),
        ("conv_filters", (64, "128")),
        ("conv_filters", 64),
        ("conv_filters", (64, 64)),
        ("conv_receptive_fields", ((3,), (5,))),
        ("pools", (2, 2)),
        ("pools", ((2,),)),
        ("pools", ((2, 0),)),
        ("pools", "22"),
        ("fc_neurons", (1.5,)),
        ("input_shape", (3, 32, 28)),
        ("input_shape", (32, 32)),
        ("input_shape", (0, 32, 32)),
        ("input_shape", 32),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_with_its_name_and_value(name, value):
    with pytest.raises(InvalidInput) as error:
        SearchSpace(**{name: value})
    assert name in str(error.value)
    assert str(value) in str(error.value) or repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("max_layers", 0, "a positive integer"),
        ("input_shape", (32, 32), "three positive integers"),
        ("conv_filters", (8, 8), "positive integers, none twice"),
        ("pools", ((2, 2, 2),), "pairs of positive integers, (receptive field, stride)"),
    ],
)
def test_what_a_limit_can_be_is_said(name, value, kind):
    with pytest.raises(InvalidInput, match=re.escape(f"{name} must be {kind}")):
        SearchSpace(**{name: value})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[P(2,2), SM(10)]", ["Layer 1, P(2,2)", "convolution"]),
        ("[C(64,3,1), P(2,2), P(2,2), SM(10)]", ["Layer 3, P(2,2)", "convolution"]),
        ("[FC(128), SM(10)]", ["Layer 1, FC(128)", "at most 7", "32"]),
        # 32 -> 10 -> 2
        ("[C(64,1,1), P(5,3), C(64,1,1), P(5,3), C(64,3,1), SM(10)]", ["Layer 5", "field 3", "2"]),
        # 32 -> 16 -> 8 -> 4
        (
            "[C(64,1,1), P(2,2), C(64,1,1), P(2,2), C(64,1,1), P(2,2), C(64,1,1), P(5,3), SM(10)]",
            ["Layer 8, P(5,3)", "field 5", "size 4"],
        ),
        # 32 -> 10 -> 4 -> 2
        (
            "[C(64,1,1), P(5,3), C(64,1,1), P(3,2), FC(128), FC(256), SM(10)]",
            ["Layer 6, FC(256)", "FC(128)", "neurons"],
        ),
        (
            "[C(64,1,1), P(5,3), C(64,1,1), P(3,2), FC(128), FC(128), FC(128), SM(10)]",
            ["Layer 7, FC(128)", "at most 2"],
        ),
        (
            "[C(64,1,1), P(5,3), C(64,1,1), P(3,2), FC(128), C(64,1,1), SM(10)]",
            ["Layer 6, C(64,1,1)", "FC(128)"],
        ),
        (
            "[C(64,1,1), P(5,3), C(64,1,1), P(3,2), FC(128), GAP(10)]",
            ["Layer 6, GAP(10)", "FC(128)"],
        ),
        ("[" + "C(64,1,1), " * 13 + "GAP(10)]", ["Layer 13, C(64,1,1)", "at most 12 layers"]),
        ("[C(64,7,1), SM(10)]", ["Layer 1, C(64,7,1)", "search space", "C(64,5,1)"]),
        ("[SM(100)]", ["Layer 1, SM(100)", "search space", "SM(10)"]),
    ],
)
def test_validation_names_the_layer_the_rule_and_the_sizes(text, named):
    with pytest.raises(InvalidInput) as error:
        SearchSpace().validate(Architecture.parse(text))
    assert [name for name in named if name not in str(error.value)] == []
