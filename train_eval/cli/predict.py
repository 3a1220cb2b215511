"""The command ``cnnarch predict``."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from gym_cnnarch import InvalidInput
from train_eval.cli.options import check_positive
from train_eval.output import console


@dataclass
class PredictCommand:
    """Classify images with a finalized network."""

    network: tyro.conf.Positional[Path]
    """Its weights, NAME.safetensors, or its card, NAME.json; the other lies beside it."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files."""
    top: int = 1
    """Number of classes to show for each image."""

    def run(self) -> None:
        """Prints a line an image: file, class and probability."""
        from train_eval.final.finalize import predict
        from train_eval.final.trained_network import load_network

        if not self.images:
            raise InvalidInput("Name at least one image.")
        check_positive(self, "top")
        trained = load_network(self.network)
        for path in self.images:
            (answer,) = predict(trained, trained.preprocess(path)[None])
            best = answer.argsort()[::-1][: self.top]
            names = [console.one_line(name) for name in trained.class_names]
            words = "  ".join(f"{names[i]} {answer[i]:.2%}" for i in best)
            console.say(f"{console.one_line(str(path))}  {words}")
