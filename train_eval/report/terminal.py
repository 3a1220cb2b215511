"""A run as tables in the terminal."""

from pathlib import Path

from rich.console import Group
from rich.table import Table

from gym_cnnarch.rewards.reward import is_vector
from train_eval.output.console import duration, foreign
from train_eval.records.fit_plan import FIT_FILE
from train_eval.records.latency import Latencies
from train_eval.records.summary import Summary

_MOST_REASONS = 5


def tables(summary: Summary, top: int = 5) -> Group:
    """Accuracy per epsilon, and the best networks; the whole front of a run with objectives."""
    kinds = [kind for kind in ("failed", "stopped") if getattr(summary, kind)]
    of_what = ", of the networks that were trained to their end" if kinds else ""
    phases = Table(title=f"Validation accuracy per epsilon{of_what}", title_justify="left")
    columns = ["epsilon", "episodes", "unique models", *kinds, "mean, unique", "mean, episodes"]
    rewards = summary.stopped and not has_front(summary)
    if rewards:  # few of an epsilon may be left for the means
        columns.append("mean reward, unique")
    for column in columns:
        phases.add_column(column, justify="right")
    for phase in summary.epsilons:
        phases.add_row(
            "" if phase.epsilon is None else f"{phase.epsilon:g}",
            str(phase.episodes),
            str(phase.unique),
            *(str(getattr(phase, kind)) for kind in kinds),
            percent(phase.mean_accuracy),
            percent(phase.mean_accuracy_of_episodes),
            *((f"{phase.mean_reward or 0.0:.4g}",) if rewards else ()),
        )
    shown = summary.best[:top]
    title = "The best network" if len(shown) == 1 else f"The best {len(shown)} networks"
    if has_front(summary):
        shown = summary.front
        number = f"{len(shown)} network{'' if len(shown) == 1 else 's'}"
        title = f"The front by {', '.join(summary.objectives)}: {number}"
    best = Table(title=title, title_justify="left")
    best.add_column("accuracy", justify="right")
    best.add_column("parameters", justify="right")
    best.add_column("MACs", justify="right")
    if summary.latencies is not None:
        best.add_column("ms", justify="right")
    best.add_column("architecture", overflow="fold")
    for network in shown:
        best.add_row(
            f"{network.accuracy:.2%}",
            f"{network.parameters:,}",
            f"{network.macs:,}",
            *_time(summary.latencies, network.architecture),
            foreign(network.architecture),
        )
    lines = [
        _counts(summary), *_reasons(summary), stopped_early(summary), _measured(summary),
        summary.warning,
    ]  # fmt: skip
    return Group(phases, best, *(foreign(line) for line in lines if line))


def has_front(summary: Summary) -> bool:
    """Whether a run is about its front more than about its best network."""
    return is_vector(summary.settings.reward)


def percent(share: float | None) -> str:
    """Empty for what is not known."""
    return "" if share is None else f"{share:.2%}"


def stopped_early(summary: Summary) -> str:
    """How many networks were stopped early, and what that saved; empty if none was."""
    stopped = summary.stopped
    if not stopped:
        return ""
    epochs = [len(network.curve) for network in stopped]
    return (
        f"{len(stopped)} of {len(summary.networks)} networks were stopped early, after "
        f"{min(epochs)} to {max(epochs)} epochs, which saved {summary.epochs_saved:.0%} of all "
        f"epochs; their rewards are predictions, and no accuracy here is of them."
    )


def milliseconds(latencies: Latencies | None, architecture: str) -> str:
    """A network's latency in three digits; empty if it is not known."""
    known = None if latencies is None else latencies.milliseconds.get(architecture)
    return "" if known is None else f"{known:.3g}" if known < 1000 else f"{known:,.0f}"


def _time(latencies: Latencies | None, architecture: str) -> list[str]:
    """The cell of the column that is there if latencies are."""
    return [] if latencies is None else [milliseconds(latencies, architecture)]


def _measured(summary: Summary) -> str:
    return "" if summary.latencies is None else f"ms: {summary.latencies.conditions}."


def of_budget(summary: Summary) -> str:
    """The budget, unless the search ended for another reason."""
    ended_before = summary.finished and len(summary.networks) < summary.budget
    by_time = (Path(summary.run_dir) / FIT_FILE).is_file()  # whatever its budget
    return "" if ended_before or by_time else f" of {summary.budget}"


def _counts(summary: Summary) -> str:
    counts = (
        f"{len(summary.networks)}{of_budget(summary)} unique networks in "
        f"{len(summary.episodes)} episodes, {duration(summary.train_seconds)} of training"
    )
    kinds = summary.statuses.items()
    failures = ", ".join(f"{n} {s}" for s, n in kinds if s not in ("ok", "stopped"))
    return f"{counts}; failed: {failures}" if failures else counts


def _reasons(summary: Summary) -> list[str]:
    """A line a way to fail, the commonest ones."""
    ways = summary.failures
    lines = [f"  {way.networks} {way}" for way in ways[:_MOST_REASONS] if way.message]
    left = len(ways) - _MOST_REASONS
    return [*lines, f"  and {left} more reasons: see --json"] if left > 0 else lines
