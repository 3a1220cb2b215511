"""build_network makes what the arithmetic of shapes.py says."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gym_cnnarch import Architecture, InvalidInput, shapes
from gym_cnnarch.registration import ENVIRONMENTS
from gym_cnnarch.space.architecture import Conv
from train_eval.environments import make_env
from train_eval.training.network import build_network


def sample_architectures(env_id, number):
    kwargs = {"evaluator": None}
    if env_id == "CNNArch-v0":
        kwargs["search_space"] = {"input_shape": [3, 48, 48], "num_classes": 7}
    if "table" in ENVIRONMENTS[env_id]:
        kwargs = {}  # costs nothing as it is
    space = make_env(env_id, **kwargs).search_space
    rng = np.random.default_rng(0)
    return space, [space.sample(rng) for _ in range(number)]


def layer_outputs(network, images):
    """Shapes after each layer of the architecture, dropout left out."""
    outputs = []
    for module in network:
        images = module(images)
        if not isinstance(module, nn.Dropout):
            outputs.append(tuple(images.shape[1:]))
    return tuple(outputs)


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_parameters_and_sizes_are_as_predicted(env_id):
    space, architectures = sample_architectures(env_id, 80)
    for architecture in architectures:
        with torch.device("meta"):  # shapes without storage: the large spaces cost nothing
            network = build_network(architecture, space.input_shape, space.num_classes, True)
            outputs = layer_outputs(network, torch.empty(2, *space.input_shape))
        parameters = sum(p.numel() for p in network.parameters())
        assert parameters == shapes.count_parameters(architecture, space.input_shape)
        assert outputs == shapes.layer_shapes(architecture.layers, space.input_shape)


def test_batch_normalisation_follows_each_convolution_and_folds_into_it():
    space, architectures = sample_architectures("CNNArch-CIFAR10Table-v0", 50)
    for architecture in architectures:
        network = build_network(architecture, space.input_shape, 10, batch_norm=True).eval()
        images = torch.rand(2, *space.input_shape)
        expected, outputs = network(images), layer_outputs(network, images)
        assert outputs == shapes.layer_shapes(architecture.layers, space.input_shape)
        for layer, module in zip(architecture.layers, network, strict=True):
            if isinstance(layer, Conv):
                convolution, normalisation, _ = module
                assert isinstance(normalisation, nn.BatchNorm2d)
                module[0] = fuse_conv_bn_eval(convolution, normalisation)
                module[1] = nn.Identity()
        parameters = sum(p.numel() for p in network.parameters())
        assert parameters == shapes.count_parameters(architecture, space.input_shape)
        assert torch.allclose(network(images), expected, atol=1e-4)


def test_forward_gives_finite_logits():
    space, architectures = sample_architectures("CNNArch-Digits-v0", 20)
    for architecture in architectures:
        network = build_network(architecture, space.input_shape, space.num_classes)
        logits = network(torch.rand(3, *space.input_shape))
        assert logits.shape == (3, 10)
        assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("text", "dropouts"),
    [
        ("[SM(10)]", []),
        ("[C(8,3,1), SM(10)]", []),
        ("[C(8,3,1), C(8,3,1), SM(10)]", [1 / 2]),
        ("[C(8,3,1), C(8,3,1), P(2,2), SM(10)]", [1 / 2]),
        ("[C(8,3,1), P(2,2), C(8,3,1), C(8,1,1), GAP(10)]", [1 / 4, 2 / 4]),
        ("[C(8,3,1), P(2,2), C(8,3,1), C(8,1,1), FC(32), FC(32), SM(10)]", [1 / 6, 2 / 6, 3 / 6]),
    ],
)
def test_dropout_follows_every_two_layers(text, dropouts):
    network = build_network(Architecture.parse(text), (1, 8, 8), 10, dropout=True)
    kinds = ["D" if isinstance(module, nn.Dropout) else "layer" for module in network]
    positions = [position for position, kind in enumerate(kinds) if kind == "D"]
    assert positions == [3 * i + 2 for i in range(len(dropouts))]
    assert [network[position].p for position in positions] == dropouts


def test_initial_weights_are_xavier_uniform():
    network = build_network(Architecture.parse("[C(64,3,1), FC(256), SM(10)]"), (3, 4, 4), 10)
    conv, linear = network[0][0], network[1][1]
    for layer, fan_in, fan_out in ((conv, 3 * 9, 64 * 9), (linear, 64 * 16, 256)):
        bound = math.sqrt(6 / (fan_in + fan_out))
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.98 * bound
        assert layer.weight.detach().std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert (layer.bias == 0).all()


def test_a_network_for_other_classes_is_refused():
    with pytest.raises(InvalidInput, match=r"SM\(10\).*7 classes"):
        build_network(Architecture.parse("[SM(10)]"), (1, 8, 8), 7)
