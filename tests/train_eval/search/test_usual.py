"""Usual designs: within any space's limits, and what people write."""

import pytest

from gym_cnnarch import SearchSpace
from tests.helpers.commands import cnnarch, recorded, search
from train_eval.search.usual import usual_networks

OWN = {"max_layers": 9, "conv_filters": [16, 32, 64], "pools": [[3, 2], [2, 2]]}


@pytest.mark.parametrize("size", [3, 8, 16, 28, 64])
@pytest.mark.parametrize(
    "spec",
    ["metaqnn", "digits", "small", OWN, {**OWN, "max_parameters": 20_000, "conv_filters": [8]},
     {"conv_receptive_fields": [5], "pools": [[5, 3]]}],
)  # fmt: skip
def test_they_are_of_the_space(spec, size):
    space = SearchSpace.from_spec(spec, input_shape=(1, size, size), num_classes=3)
    networks = usual_networks(space)
    assert len(networks) <= 4
    assert networks or size == 3
    for network in networks:
        space.validate(network)


@pytest.mark.parametrize(
    ("spec", "networks"), [({"pools": []}, 4), ({"conv_receptive_fields": [], "max_fc": 1}, 0)]
)
def test_a_space_without_pools_or_convolutions_has_others_or_none(spec, networks):
    space = SearchSpace.from_spec({**OWN, **spec}, input_shape=(1, 8, 8), num_classes=3)
    found = usual_networks(space)
    assert len(found) == networks
    assert not any("P(" in str(network) for network in found)


def test_the_first_is_written_by_hand_in_five_minutes():
    space = SearchSpace.from_spec(OWN, input_shape=(1, 28, 28), num_classes=10)
    assert str(usual_networks(space)[0]) == (
        "[C(16,3,1), C(32,3,1), P(2,2), C(32,3,1), P(2,2), C(64,3,1), P(2,2), SM(10)]"
    )


def test_a_search_begins_with_them(capsys, tmp_path):
    given = ("--agent", "local_search", "--network", "usual", "--budget", 2)
    status, _, err = cnnarch(capsys, *search(tmp_path / "run", *given))
    assert status == 0, err
    space = SearchSpace.from_spec("digits", input_shape=(1, 8, 8), num_classes=10)
    met = [episode["architecture"] for episode in recorded(capsys, tmp_path / "run")["episodes"]]
    assert met == [str(network) for network in usual_networks(space)[:2]]
    assert cnnarch(capsys, *search(tmp_path / "no", "--network", "usual"))[0] == 2


def test_where_they_are_too_large_the_same_follow_with_fewer_filters():
    given = {"input_shape": (3, 24, 24), "num_classes": 6}
    networks = usual_networks(SearchSpace.from_spec({**OWN, "max_parameters": 10_000}, **given))
    assert len(networks) == 4
    assert any("C(32,3,1)" in str(network) for network in networks)
    assert not usual_networks(SearchSpace.from_spec({**OWN, "max_parameters": 100}, **given))


def test_a_search_that_would_begin_with_none_is_refused(capsys, tmp_path):
    given = ("--agent", "local_search", "--network", "usual", "--search-space", "max_parameters=99")
    status, _, err = cnnarch(capsys, *search(tmp_path / "run", *given))
    assert status == 2
    assert "None of the usual networks is within the limits" in err
