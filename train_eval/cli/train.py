"""The command ``cnnarch train``."""

import time
from dataclasses import dataclass

import tyro

from gym_cnnarch import Architecture
from train_eval.cli.options import TrainingOptions
from train_eval.environments import make_env, needs_training
from train_eval.output import console


@dataclass
class TrainCommand(TrainingOptions):
    """Train one network and show its curve, parameters, MACs and seconds."""

    architecture: tyro.conf.Positional[str] = tyro.MISSING
    """The network, such as `"[C(16,3,1), P(2,2), FC(32), SM(10)]"`."""
    seed: int = 0
    """Seed of the training."""

    def run(self) -> None:
        """Trains the network, printing the curve as it grows."""
        architecture = Architecture.parse(self.architecture)
        if self.trains():
            console.sign_of_life()
        env = make_env(self.env, **self.kwargs())
        env.search_space.validate(architecture)
        evaluator = needs_training(env, self.env)
        console.note("\n".join(evaluator.what_was_read()))
        console.say(f"{architecture} on {evaluator.dataset}")
        epochs = evaluator.recipe.epochs_of(len(evaluator.data.train))
        started = time.monotonic()

        def say(epoch: int, accuracy: float, loss: float) -> None:
            left = (time.monotonic() - started) * (epochs - epoch) / epoch
            console.say(
                f"epoch {epoch:3}/{epochs}   loss {loss:.4f}   accuracy {accuracy:.2%}   "
                f"time left {console.duration(left)}"
            )

        evaluation = evaluator.train(architecture, self.seed, say)
        reason = f": {evaluation.message}" if evaluation.message else ""
        console.say(f"{evaluation.status}{reason}")
        console.out.print(f"best validation accuracy {evaluation.accuracy:.2%}")
        console.out.print(f"parameters {evaluation.parameters:,}   MACs {evaluation.macs:,}")
        console.out.print(
            f"initial learning rate {evaluation.learning_rate:g}   "
            f"seconds {evaluation.train_seconds:.1f}"
        )
