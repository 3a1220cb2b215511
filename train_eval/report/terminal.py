"""A run as tables in the terminal."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from train_eval.output.console import duration
from train_eval.records.summary import Summary


def tables(summary: Summary, top: int = 5) -> Group:
    """Accuracy per epsilon, and the best networks."""
    phases = Table(title="Validation accuracy per epsilon", title_justify="left")
    for column in ("epsilon", "episodes", "unique models", "mean, unique", "mean, episodes"):
        phases.add_column(column, justify="right")
    for phase in summary.epsilons:
        phases.add_row(
            "" if phase.epsilon is None else f"{phase.epsilon:g}",
            str(phase.episodes),
            str(phase.unique),
            "" if phase.mean_accuracy is None else f"{phase.mean_accuracy:.2%}",
            f"{phase.mean_accuracy_of_episodes:.2%}",
        )
    shown = summary.best[:top]
    title = "The best network" if len(shown) == 1 else f"The best {len(shown)} networks"
    best = Table(title=title, title_justify="left")
    best.add_column("accuracy", justify="right")
    best.add_column("parameters", justify="right")
    best.add_column("MACs", justify="right")
    best.add_column("architecture", overflow="fold")
    for network in shown:
        best.add_row(
            f"{network.accuracy:.2%}",
            f"{network.parameters:,}",
            f"{network.macs:,}",
            Text(network.architecture),
        )
    return Group(phases, best, Text(_counts(summary)))


def _counts(summary: Summary) -> str:
    counts = (
        f"{len(summary.networks)} of {summary.budget} unique networks in "
        f"{len(summary.episodes)} episodes, {duration(summary.train_seconds)} of training"
    )
    failures = ", ".join(f"{n} {s}" for s, n in summary.statuses.items() if s != "ok")
    return f"{counts}; not trained to the end: {failures}" if failures else counts
