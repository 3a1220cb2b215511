"""Cards are checked when they are read: no value leads to more than a sentence."""

import json
import resource

import pytest

from gym_cnnarch import Architecture, InvalidInput
from train_eval.final.network.trained_network import load_network, save_network
from train_eval.training.network import build_network

CARD = {
    "architecture": "[C(4,3,1), GAP(2)]",
    "input_shape": [3, 8, 8],
    "image_size": 8,
    "normalisation": {"kind": "channels", "mean": [100.0] * 3, "std": [50.0] * 3},
    "class_names": ["cat", "dog"],
    "dropout": True,
}


def saved(folder, **changes):
    """A network whose card is changed in some values, without its seal."""
    network = build_network(Architecture.parse(CARD["architecture"]), (3, 8, 8), 2, True)
    save_network(network, CARD, folder / "net")
    card = json.loads((folder / "net.json").read_text())
    if changes:
        del card["card_sha256"]
    (folder / "net.json").write_text(json.dumps(card | changes))
    return folder / "net"


def test_a_card_as_it_was_written_is_read(tmp_path):
    assert load_network(saved(tmp_path)).class_names == ["cat", "dog"]


def test_a_card_that_was_changed_is_refused_until_its_seal_is_taken_out(tmp_path):
    path = saved(tmp_path).with_suffix(".json")
    path.write_text(path.read_text().replace("cat", "cow"))
    with pytest.raises(InvalidInput, match="card_sha256"):
        load_network(path)
    card = json.loads(path.read_text())
    del card["card_sha256"]
    path.write_text(json.dumps(card))
    assert load_network(path).class_names == ["cow", "dog"]


@pytest.mark.parametrize(
    "changes",
    [
        *({name: value} for name in CARD for value in (True, 5, "x", [], {}, [None], -1, 1e300)
          if (name, value) not in (("dropout", True),)),
        {"input_shape": [3, 40_000, 40_000], "image_size": 40_000},
        {"image_size": 40_000},
        {"input_shape": [3, 8, 9]},
        {"input_shape": [2, 8, 8]},
        {"architecture": "[C(512,3,1), FC(100000000), SM(2)]"},
        {"class_names": ["cat"] * 1_000_000},
        {"normalisation": {"kind": "channels", "mean": [1.0], "std": [1.0]}},
        {"normalisation": {"kind": "channels", "mean": [1.0] * 3, "std": [0.0] * 3}},
        {"normalisation": {"kind": "other", "mean": [1.0] * 3, "std": [1.0] * 3}},
        {"format": "1"},
        {"format": 2},
        {"weights_sha256": None},
    ],
)  # fmt: skip
def test_no_value_of_a_card_leads_to_more_than_a_sentence(tmp_path, changes):
    path = saved(tmp_path, **changes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInput) as info:
        load_network(path)
    assert "\n" not in str(info.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize("content", ["null", "[]", "3", "[" * 100_000, "\xff", ""])
def test_a_file_that_is_no_card_is_one_sentence(tmp_path, content):
    path = saved(tmp_path).with_suffix(".json")
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidInput, match="card"):
        load_network(path)
