"""The command ``cnnarch space``."""

from dataclasses import dataclass

from gym_cnnarch import InvalidInput, SearchSpace
from gym_cnnarch.mdp import compile_mdp
from gym_cnnarch.registration import DATASET_INPUTS
from train_eval.cli.options import EnvOptions
from train_eval.environments import find_spec, make_env
from train_eval.output import console
from train_eval.training.recipe import Recipe


@dataclass
class SpaceCommand(EnvOptions):
    """Show an environment's actions in order, its number of states and of architectures."""

    def run(self) -> None:
        """Prints the space; reads no data where the images are known."""
        space = self._space()
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

    def _space(self) -> SearchSpace:
        changed = self.kwargs()
        if (find_spec(self.env).kwargs | changed).get("dataset") in DATASET_INPUTS:
            Recipe.from_spec(changed.get("recipe", "paper"))  # refuses what is none
            changed["evaluator"] = None
        return make_env(self.env, **changed).search_space
