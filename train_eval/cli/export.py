"""The command ``cnnarch export``."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from gym_cnnarch import InvalidInput
from train_eval.output import console


@dataclass
class ExportCommand:
    """Write a finalized network for others: as a plain torch module, as ONNX."""

    network: tyro.conf.Positional[Path]
    """Its weights, NAME.safetensors, or its card, NAME.json; the other lies beside it."""
    python: Path | None = None
    """File of Python source that needs torch and safetensors alone, such as network.py."""
    onnx: Path | None = None
    """ONNX file."""

    def run(self) -> None:
        """Writes the files."""
        from train_eval.final.network.python_module import export_python
        from train_eval.final.network.trained_network import export_onnx, load_network

        if self.python is None and self.onnx is None:
            raise InvalidInput("Say what to write: --python FILE, --onnx FILE, or both.")
        for path in (self.python, self.onnx):
            if path is not None and path.is_dir():
                raise InvalidInput(f"{path} is a folder: name a file.")
        trained = load_network(self.network)
        if self.python is not None:
            weights = self.network.with_suffix(".safetensors")
            export_python(trained, self.python, str(weights))
            console.say(f"Wrote {self.python}; its weights stay in {weights}.")
        if self.onnx is not None:
            export_onnx(trained, self.onnx)
            console.say(f"Wrote {self.onnx}.")
