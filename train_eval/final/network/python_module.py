"""A trained network as Python source that needs nothing but torch and safetensors."""

import json
from pathlib import Path

from torch import nn

from gym_cnnarch import InvalidInput
from gym_cnnarch.files import replace_file
from train_eval.final.network.trained_network import TrainedNetwork

_HEADER = '''"""{architecture}

A network for {classes} classes that cnnarch found and trained. Its input are the pixel values, from
0 to 255, of images of {shape} (channels, height, width), its output the classes' probabilities:

    network = load("{weights}")
    probabilities = network(images)  # (N, channels, height, width) -> (N, {classes})
"""

from collections import OrderedDict

import torch
from safetensors.torch import load_file
from torch import nn

CLASS_NAMES = {names}


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            OrderedDict(
                [
{layers}
                ]
            )
        )

    def forward(self, images):
{normalisation}
        return self.layers(images).softmax(dim=1)


def load(weights):
    network = Network()
    network.layers.load_state_dict(load_file(weights))
    return network.eval()
'''

_CONTRAST = """        images = images.float()
        images = images - images.mean(dim=(1, 2, 3), keepdim=True)
        variance = (images * images).mean(dim=(1, 2, 3), keepdim=True)
        images = images / (variance + 1e-8).sqrt().clamp(min=1e-3)"""

_CHANNELS = """        mean = torch.tensor({mean}, device=images.device)
        std = torch.tensor({std}, device=images.device)
        images = (images.float() - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)"""


def export_python(trained: TrainedNetwork, path: Path, weights: str) -> None:
    """Writes the network's source.

    Args:
        trained: The network.
        path: The file, .py.
        weights: Name of the weights (.safetensors), for the example in the file.
    """
    card = trained.card
    kind = card["normalisation"]
    normalisation = _CONTRAST if kind["kind"] == "contrast" else _CHANNELS.format(**kind)
    layers = "\n".join(
        f"                    ({json.dumps(name)}, {_source(module)}),"
        for name, module in trained.network.named_children()
    )
    text = _HEADER.format(
        architecture=card["architecture"],
        classes=len(trained.class_names),
        shape=tuple(card["input_shape"]),
        weights=weights.replace("\\", "/").replace('"', ""),
        names=ascii(trained.class_names),
        layers=layers,
        normalisation=normalisation,
    )
    replace_file(path, text.encode())


def _source(module: nn.Module) -> str:
    """Python that makes a module of ``build_network``."""
    match module:
        case nn.Sequential():
            return f"nn.Sequential({', '.join(_source(child) for child in module)})"
        case nn.Conv2d():
            size = module.kernel_size[0]
            return f"nn.Conv2d({module.in_channels}, {module.out_channels}, {size}, padding='same')"
        case nn.MaxPool2d():
            return f"nn.MaxPool2d({module.kernel_size}, {module.stride})"
        case nn.Linear():
            return f"nn.Linear({module.in_features}, {module.out_features})"
        case nn.AdaptiveAvgPool2d():
            return "nn.AdaptiveAvgPool2d(1)"
        case nn.Flatten():
            return "nn.Flatten()"
        case nn.ReLU():
            return "nn.ReLU()"
        case nn.Dropout():
            return f"nn.Dropout({module.p!r})"
        case _:
            raise InvalidInput(f"There is no Python for a {type(module).__name__}.")
