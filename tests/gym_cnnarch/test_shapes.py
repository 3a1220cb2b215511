"""Sizes, parameters and MACs against numbers worked out by hand."""

import csv

import pytest

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.space.architecture import Conv, FullyConnected, GlobalAveragePool, Pool, Softmax
from gym_cnnarch.space.shapes import (
    count_macs,
    count_parameters,
    layer_parameters,
    layer_shapes,
    pooled_size,
)

CIFAR = (3, 32, 32)

# The paper's five best CIFAR-10 networks (Table A1): weights, and millions as printed there.
PAPER = [
    (
        "[C(512,5,1), C(256,3,1), C(256,5,1), C(256,3,1), P(5,3), C(512,3,1), C(512,5,1), P(2,2),"
        " SM(10)]",
        # 38,400 + 1,179,648 + 1,638,400 + 589,824 + 1,179,648 + 6,553,600
        11_179_520,
        11.18,
    ),
    (
        "[C(128,1,1), C(512,3,1), C(64,1,1), C(128,3,1), P(2,2), C(256,3,1), P(2,2), C(512,3,1),"
        " P(3,2), SM(10)]",
        # 384 + 589,824 + 32,768 + 73,728 + 294,912 + 1,179,648
        2_171_264,
        2.17,
    ),
    (
        "[C(128,3,1), C(128,1,1), C(512,5,1), P(2,2), C(128,3,1), P(2,2), C(64,3,1), C(64,5,1),"
        " SM(10)]",
        # 3,456 + 16,384 + 1,638,400 + 589,824 + 73,728 + 102,400
        2_424_192,
        2.42,
    ),
    (
        "[C(256,3,1), C(256,3,1), P(5,3), C(256,1,1), C(128,3,1), P(2,2), C(128,3,1), SM(10)]",
        # 6,912 + 589,824 + 65,536 + 294,912 + 147,456
        1_104_640,
        1.10,
    ),
    (
        "[C(128,5,1), C(512,3,1), P(2,2), C(128,1,1), C(128,5,1), P(3,2), C(512,3,1), SM(10)]",
        # 9,600 + 589,824 + 65,536 + 409,600 + 589,824
        1_664_384,
        1.66,
    ),
]

# Text, input, parameters, MACs.
SMALL = [
    # conv 8*1*9 + 8 = 80, 72 at 64 positions; pooled to 8x4x4 = 128 features;
    # FC 128*32 + 32 = 4,128; classifier 32*10 + 10 = 330
    ("[C(8,3,1), P(2,2), FC(32), SM(10)]", (1, 8, 8), 80 + 4_128 + 330, 4_608 + 4_096 + 320),
    # 16*3 + 16 = 64, 48 at 81 positions; 8*16*25 + 8 = 3,208, 3,200 at 81; pooled to 8x4x4, whose
    # average has 8 features: 8*10 + 10 = 90
    ("[C(16,1,1), C(8,5,1), P(3,2), GAP(10)]", (3, 9, 9), 64 + 3_208 + 90, 3_888 + 259_200 + 80),
    # 3*32*32 = 3,072 features
    ("[SM(10)]", CIFAR, 30_730, 30_720),
    ("[GAP(10)]", CIFAR, 40, 30),
    # 4 features -> 4 -> 3 -> 2: 16 + 4, 12 + 3, 6 + 2
    ("[FC(4), FC(3), SM(2)]", (1, 2, 2), 43, 34),
    # 2*1*1 + 2 = 4, 2 at 36 positions; pooled to 2x2x2 and flattened: 8*5 + 5
    ("[C(2,1,1), P(3,3), SM(5)]", (1, 6, 6), 4 + 45, 72 + 40),
]


@pytest.mark.parametrize(("text", "weights", "millions"), PAPER)
def test_the_paper_s_networks_have_the_paper_s_weights(text, weights, millions):
    architecture = Architecture.parse(text)
    counted = count_parameters(architecture, CIFAR, biases=False, classifier=False)
    assert counted == weights
    assert round(counted / 1e6, 2) == millions


@pytest.mark.parametrize(("text", "input_shape", "parameters", "macs"), SMALL)
def test_small_networks_have_the_hand_computed_costs(text, input_shape, parameters, macs):
    architecture = Architecture.parse(text)
    assert count_parameters(architecture, input_shape) == parameters
    assert count_macs(architecture, input_shape) == macs


def test_biases_and_the_classifier_are_counted_apart():
    # conv 72 weights, 8 biases; FC 4,096 and 32; classifier 320 and 10
    architecture = Architecture.parse("[C(8,3,1), P(2,2), FC(32), SM(10)]")
    counts = {
        (biases, classifier): count_parameters(architecture, (1, 8, 8), biases, classifier)
        for biases in (True, False)
        for classifier in (True, False)
    }
    assert counts == {
        (True, True): 4_538,
        (True, False): 4_208,
        (False, True): 4_488,
        (False, False): 4_168,
    }
    assert layer_parameters(architecture.layers, (1, 8, 8)) == (80, 0, 4_128, 330)


def test_each_layer_has_its_shape():
    layers = (Conv(8, 5), Pool(5, 3), Conv(4, 1), Pool(3, 2), FullyConnected(6), Softmax(10))
    # 32 -> (32 - 5) // 3 + 1 = 10 -> (10 - 3) // 2 + 1 = 4
    expected = ((8, 32, 32), (8, 10, 10), (4, 10, 10), (4, 4, 4), (6,), (10,))
    assert layer_shapes(layers, CIFAR) == expected
    assert layer_shapes((GlobalAveragePool(7),), CIFAR) == ((7,),)
    assert layer_shapes((), CIFAR) == ()


@pytest.mark.parametrize("pool", [Pool(5, 3), Pool(3, 2), Pool(2, 2), Pool(2, 1), Pool(1, 1)])
def test_a_pooled_side_is_the_number_of_windows_that_fit(pool):
    for size in range(pool.receptive_field, 65):
        windows = [i for i in range(0, size, pool.stride) if i + pool.receptive_field <= size]
        assert pooled_size(size, pool) == len(windows)


@pytest.mark.parametrize(
    "text",
    [
        "[P(5,3), SM(10)]",
        "[FC(8), C(8,3,1), SM(10)]",
        "[FC(8), P(2,2), SM(10)]",
        "[FC(8), GAP(10)]",
    ],
)
def test_a_layer_that_cannot_follow_is_refused_with_the_shape(text):
    architecture = Architecture.parse(text)
    for count in (count_parameters, count_macs):
        with pytest.raises(InvalidInput, match=r"cannot follow .*(\(1, 4, 4\)|\(8,\))"):
            count(architecture, (1, 4, 4))


@pytest.mark.parametrize("file", ["metaqnn_cifar10.csv", "metaqnn_svhn.csv"])
def test_published_weights_are_met_where_pooling_sizes_do_not_matter(file, shared_data):
    """Their pooling sizes are Caffe's, but no weight of a network that ends with GAP sees one."""
    with (shared_data / file).open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if "GAP" in row["net"]]
    assert len(rows) > 80
    for row in rows:
        architecture = Architecture.parse(row["net"])
        assert count_parameters(architecture, CIFAR, biases=False) == int(row["num_params"])
