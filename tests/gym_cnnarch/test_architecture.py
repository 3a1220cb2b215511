"""Architectures and their text."""

import csv
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.space.architecture import Conv, FullyConnected, GlobalAveragePool, Pool, Softmax

positive = st.integers(1, 10**6)
bodies = st.lists(
    st.one_of(
        st.builds(Conv, positive, positive),
        st.builds(Pool, positive, positive),
        st.builds(FullyConnected, positive),
    ),
    max_size=20,
)
terminators = st.one_of(st.builds(GlobalAveragePool, positive), st.builds(Softmax, positive))
steady = settings(deadline=None, derandomize=True)


@steady
@given(bodies, terminators)
def test_parsing_inverts_the_text(body, terminator):
    architecture = Architecture((*body, terminator))
    assert Architecture.parse(str(architecture)) == architecture


@steady
@given(bodies, terminators, st.data())
def test_spaces_mean_nothing_between_tokens(body, terminator, data):
    text = str(Architecture((*body, terminator)))
    spaces = st.text(" \t", max_size=3)
    loose = re.sub(r"[\[\],]\s*", lambda m: data.draw(spaces) + m[0] + data.draw(spaces), text)
    assert str(Architecture.parse(loose)) == text


def test_the_text_is_the_paper_s_notation():
    layers = (Conv(64, 3), Pool(2, 2), FullyConnected(128), Softmax(10))
    assert str(Architecture(layers)) == "[C(64,3,1), P(2,2), FC(128), SM(10)]"
    assert str(Architecture((Conv(64, 3), GlobalAveragePool(10)))) == "[C(64,3,1), GAP(10)]"


@pytest.mark.parametrize(
    ("published", "canonical"),
    [
        ("[C(256,1,1), GAP(10), SM(10)]", "[C(256,1,1), GAP(10)]"),
        ("[C(64,5,1), C(256,3,1), D(1,1), GAP(10), SM(10)]", "[C(64,5,1), C(256,3,1), GAP(10)]"),
        (
            "[C(128,1,1), P(5,3), D(1,2), FC(128), D(2,2), SM(10)]",
            "[C(128,1,1), P(5,3), FC(128), SM(10)]",
        ),
        ("[D(1,1), SM(10)]", "[SM(10)]"),
    ],
)
def test_the_published_code_s_files_are_read(published, canonical):
    assert str(Architecture.parse(published)) == canonical


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("metaqnn_cifar10.csv", 1_000),
        ("metaqnn_svhn.csv", 1_300),
        ("metaqnn-svhn-replay.csv", 1_983),
    ],
)
def test_every_published_network_is_read_without_its_dropout(file, rows, shared_data):
    with (shared_data / file).open(newline="") as lines:
        texts = [row["net"] for row in csv.DictReader(lines)]
    assert len(texts) == rows
    for text in texts:
        without_dropout = re.sub(r"D\(\d+,\d+\), ", "", text)
        canonical = without_dropout.replace("GAP(10), SM(10)", "GAP(10)")
        assert str(Architecture.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''"),
        ("C(64,3,1), SM(10)", "C(64,3,1), SM(10)"),
        ("[C(64,3,1), SM(10)", "[C(64,3,1), SM(10)"),
        ("[]", "empty"),
        ("[C(64,3,1), P(2,2)]", "P(2,2)"),
        ("[C(64,3,1), D(1,1)]", "C(64,3,1)"),
        ("[SM(10), SM(10)]", "SM(10)"),
        ("[GAP(10), SM(10), D(1,1), SM(10)]", "GAP(10)"),
        ("[SM(10), C(64,3,1)]", "C(64,3,1)"),
        ("[GAP(10), C(64,3,1), SM(10)]", "GAP(10)"),
        ("[GAP(10), SM(5)]", "GAP(10)"),
        ("[SM(10), GAP(10)]", "SM(10)"),
        ("[X(64), SM(10)]", "X(64)"),
        ("[c(64,3,1), SM(10)]", "c(64,3,1)"),
        ("[C(64,3), SM(10)]", "C(64,3)"),
        ("[C(64,3,1,1), SM(10)]", "C(64,3,1,1)"),
        ("[C(64,3,1,x), SM(10)]", "C(64,3,1,x)"),
        ("[C(64,3,2), SM(10)]", "C(64,3,2)"),
        ("[P(2), SM(10)]", "P(2)"),
        ("[FC(), SM(10)]", "FC()"),
        ("[FC(1.5), SM(10)]", "FC(1.5)"),
        ("[FC(-8), SM(10)]", "FC(-8)"),
        ("[FC(0), SM(10)]", "FC(0)"),
        (f"[FC({'0' * 5000}), SM(10)]", "FC(000"),
        ("[FC(eight), SM(10)]", "FC(eight)"),
        ("[C(64,3,1) SM(10)]", "C(64,3,1)"),
        ("[C(64,3,1); SM(10)]", "; SM(10)"),
        ("[C(64,3,1), , SM(10)]", ", SM(10)"),
        ("[C(64,3,1), SM(10),]", "SM(10)"),
        ("[, SM(10)]", ", SM(10)"),
        ("[C(64,3,1), SM(10)]]", "]"),
        ("[C(64,(3),1), SM(10)]", "C(64,(3),1)"),
        ("[64, SM(10)]", "64, SM(10)"),
    ],
)
def test_a_text_of_another_notation_is_refused_by_its_token(text, named):
    with pytest.raises(InvalidInput) as error:
        Architecture.parse(text)
    assert named in str(error.value)


@pytest.mark.parametrize("layers", [(), (Conv(8, 3),), (Softmax(10), Conv(8, 3), Softmax(10))])
def test_an_architecture_ends_with_its_only_terminator(layers):
    with pytest.raises(InvalidInput):
        Architecture(layers)


@steady
@given(bodies, terminators)
def test_equal_architectures_are_one_key(body, terminator):
    assert len({Architecture((*body, terminator)), Architecture((*body, terminator))}) == 1


def test_zeros_before_a_number_are_read_however_many():
    text = f"[FC({'0' * 5000}64), SM(10)]"
    assert str(Architecture.parse(text)) == "[FC(64), SM(10)]"
