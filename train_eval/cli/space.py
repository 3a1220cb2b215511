"""The commands ``cnnarch space`` and ``cnnarch layers``."""

from dataclasses import dataclass
from pathlib import Path

from gym_cnnarch import InvalidInput
from gym_cnnarch.files import replace_json
from gym_cnnarch.mdp import compile_mdp
from train_eval.cli.options import EnvOptions, TrainingOptions, check_positive
from train_eval.output import console


@dataclass
class SpaceCommand(EnvOptions):
    """Show an environment's actions in order, its number of states and of architectures."""

    def run(self) -> None:
        """Prints the space; reads no data where the images are known."""
        space = self.space()
        for action, layer in enumerate(space.actions):
            console.out.print(f"{action:3}  {layer}", highlight=False)
        mdp = compile_mdp(space)
        observed = len({row.tobytes() for row in mdp.observations})
        shape = "x".join(map(str, space.input_shape))
        console.out.print(f"input {shape}, {space.num_classes} classes")
        console.out.print(f"{len(mdp.states):,} states, {observed:,} as the agent observes them")
        try:
            console.out.print(f"{space.count():,} architectures")
        except InvalidInput as too_many:
            console.out.print(f"{too_many}")


@dataclass
class LayersCommand(TrainingOptions):
    """Measure how long each layer of a space takes on this machine, for the limit max_latency.

    Networks that are drawn from the space are measured too: half of them for what layers take in a
    network rather than alone, half to say how well the sums then hold.
    """

    out: Path = Path("layers.json")
    """The file of the latencies. A search within 5 ms reads it as the limits max_latency=5
    latencies=layers.json of its --search-space."""
    networks: int = 100
    """Networks that are drawn and measured."""
    latency_batch: int = 1
    """Images of a forward pass."""
    passes: int = 50
    """Forward passes of each layer and each network, in five rounds."""

    def run(self) -> None:
        """Measures while nothing else should be at work, and writes the file."""
        check_positive(self, "networks", "latency_batch", "passes")
        space = self.space()
        console.sign_of_life()
        from train_eval.training.device import find_device
        from train_eval.training.layers import LEAST_R_SQUARED, measure_space

        found = measure_space(
            space, find_device(self.device), self.networks, self.latency_batch, self.passes
        )
        replace_json(self.out, found.as_json())
        check = found.as_json()["check"]
        console.out.print(f"{found}", highlight=False)
        console.out.print(
            f"Of {check['networks']} other networks the sums have an R-squared of "
            f"{check['r_squared']:.4f}, and are wrong by {check['median_error']:.1%} (median), "
            f"{check['most_error']:.1%} (most).",
            highlight=False,
        )
        if check["r_squared"] < LEAST_R_SQUARED:
            console.note(
                f"That is less than {LEAST_R_SQUARED}: sums of layers say too little here. "
                f"Measure while nothing else is at work, or choose by cnnarch finalize "
                f"--max-latency."
            )
        console.say(f"Latencies: {self.out}")
