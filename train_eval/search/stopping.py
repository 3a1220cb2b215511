"""What a search knows of its trainings, for the rule that stops them early."""

from typing import Any

from gym_cnnarch import Architecture, Evaluation
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.space.shapes import count_parameters
from train_eval.training.stopping import Decision, Finished, cut, make_rule


class Stopping:
    """Decides about each network by what the agent has learned by then.

    Args:
        settings: The rule and its settings; None for no rule, which decides nothing.
        env: The environment, whose evaluator trains by a recipe.
    """

    def __init__(self, settings: dict[str, Any] | None, env: CNNArchEnv) -> None:
        self._rule = None if settings is None else make_rule(settings)
        self._input_shape = env.search_space.input_shape
        self._recipe = getattr(env.evaluator, "recipe", None)
        self._finished: list[Finished] = []

    def decision(self, architecture: Architecture) -> Decision | None:
        """The decision about a network that is asked for now."""
        if self._rule is None:
            return None
        parameters = count_parameters(architecture, self._input_shape)
        return self._rule.decision(self._finished, parameters, len(architecture.layers))

    def as_decided(self, known: Evaluation, decision: Decision | None) -> Evaluation | None:
        """What is known of a network as far as a decision goes; None if it must be trained."""
        return known if known.status == "stopped" else cut(known, decision, self._recipe)

    def learn(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """One more network that the agent has learned, each once and in their order."""
        if self._rule is not None:
            self._finished.append(
                Finished(
                    evaluation.parameters,
                    len(architecture.layers),
                    evaluation.learning_rate or 0.0,
                    evaluation.curve,
                    evaluation.status,
                )
            )
