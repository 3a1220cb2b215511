"""The networks of a search that are to be trained to the end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.space.shapes import count_parameters, layer_shapes
from train_eval.records.run_rows import NetworkRow
from train_eval.records.summary import Summary
from train_eval.training.evaluator import TrainingEvaluator


@dataclass(frozen=True)
class Candidate:
    """A network of a search.

    Attributes:
        name: Of its files: 01 for the best by validation accuracy, 02, ...
        architecture: The network.
        validation_accuracy: In the search; None if it was not there, or that was on other data.
        parameters: Trainable parameters.
    """

    name: str
    architecture: Architecture
    validation_accuracy: float | None
    parameters: int


def candidates(
    summary: Summary, count: int, front: bool = False, among: Iterable[NetworkRow] | None = None
) -> list[Candidate]:
    """The best networks of a run by validation accuracy, of those trained to their end.

    Args:
        summary: The run.
        count: Their number.
        front: Whether to choose among those alone to which none is preferable in every objective of
            the run.
        among: Those to choose from, the best first, as many as are needed; None for all.

    Raises:
        InvalidInput: If the run has none.
    """
    if not summary.best:
        raise InvalidInput(f"The run in {summary.run_dir} has no trained network yet.")
    rows = summary.best if among is None else among
    chosen = islice(summary.front_of(rows) if front else rows, count)
    return [
        Candidate(
            f"{number:02}", Architecture.parse(row.architecture), row.accuracy, row.parameters
        )
        for number, row in enumerate(chosen, start=1)
    ]


def overlooked(summary: Summary, count: int) -> str:
    """A sentence if stopped networks are predicted to be better than the last of the best.

    Args:
        summary: The run.
        count: Number of the best.

    Returns:
        Empty if there are none.
    """
    last = min((row.accuracy for row in summary.best[:count]), default=1.0)
    predicted = [(row.predicted or 0.0, row.architecture) for row in summary.stopped]
    better = [(accuracy, text) for accuracy, text in predicted if accuracy > last]
    if not better:
        return ""
    accuracy, text = max(better)
    return (
        f"{len(better)} networks that were stopped early are predicted to be better than the last "
        f'of the best {count}, first "{text}" ({accuracy:.2%}): --architecture trains those that '
        f"you name."
    )


def named_candidates(
    summary: Summary, networks: Sequence[Architecture], evaluator: TrainingEvaluator
) -> list[Candidate]:
    """Networks as they are named, with what the run knows of them.

    Raises:
        InvalidInput: If a network does not fit the data.
    """
    known = {row.architecture: row for row in summary.best}
    chosen = []
    for number, network in enumerate(dict.fromkeys(networks), start=1):
        if layer_shapes(network.layers, evaluator.input_shape)[-1] != (evaluator.num_classes,):
            raise InvalidInput(
                f"{network} ends with {network.layers[-1]}, but the data has "
                f"{evaluator.num_classes} classes: write {evaluator.num_classes} instead."
            )
        row = known.get(str(network))
        parameters = count_parameters(network, evaluator.input_shape)
        accuracy = None if row is None else row.accuracy
        chosen.append(Candidate(f"{number:02}", network, accuracy, parameters))
    return chosen
