"""Prints pip constraints: of each requirement of pyproject.toml the lowest version that it allows.

torch and torchvision come as they come: their old versions are large, and not for all machines. So
do the packages for ONNX, as each version of torch exports with an onnxscript of its time.

    python .ci/lowest.py > constraints.txt
"""

import itertools
import re
import tomllib
from pathlib import Path

AS_THEY_COME = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime")

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"].values()
for requirement in itertools.chain(project["dependencies"], *extras):
    match = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
    if match and match[1] not in AS_THEY_COME:
        print(f"{match[1]}=={match[2]}")
