"""A run so far, as plain data and as tables."""

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from gym_cnnarch import Architecture, Evaluation
from train_eval.records.store import EpisodeRecord, Store
from train_eval.search.progress import duration


def summarise(run_dir: Path, store: Store, run: str) -> dict[str, Any]:
    """All that is known of a run, as plain data.

    ``epsilons`` has one entry a phase of the schedule: the number of episodes and of unique models
    in it, the mean accuracy of the unique models and of all episodes. ``top`` lists all unique
    networks whose training succeeded, best first.
    """
    record = store.find_run(run)
    assert record is not None, "open_run and find_run see to that"
    settings = record.settings
    episodes = store.episodes(run)
    evaluations = _evaluations(store, settings, episodes)
    unique = [episode for episode in episodes if episode.new]
    accuracies = {text: evaluation.accuracy for text, evaluation in evaluations.items()}
    succeeded = [e for e in unique if evaluations[e.architecture].status == "ok"]
    succeeded.sort(key=lambda e: (-accuracies[e.architecture], e.number))
    return {
        "run_dir": str(run_dir),
        "store": str(store.path),
        "run": run,
        "settings": settings,
        "made_with": record.made_with,
        "finished": record.finished,
        "wall_seconds": record.wall_seconds,
        "unique": len(unique),
        "budget": settings["budget"],
        "train_seconds": sum(e.train_seconds or 0.0 for e in evaluations.values()),
        "statuses": dict(Counter(e.status for e in evaluations.values())),
        "epsilons": _by_epsilon(episodes, accuracies),
        "top": [_network(e.architecture, evaluations[e.architecture]) for e in succeeded],
        "episodes": [_episode(e, evaluations[e.architecture]) for e in episodes],
    }


def tables(summary: dict[str, Any], top: int = 5) -> Group:
    """The summary for people: accuracy per epsilon and the best networks."""
    phases = Table(title="Validation accuracy per epsilon", title_justify="left")
    for column in ("epsilon", "episodes", "unique models", "mean, unique", "mean, episodes"):
        phases.add_column(column, justify="right")
    for phase in summary["epsilons"]:
        epsilon = "" if phase["epsilon"] is None else f"{phase['epsilon']:g}"
        phases.add_row(
            epsilon,
            str(phase["episodes"]),
            str(phase["unique"]),
            "" if phase["mean_accuracy"] is None else f"{phase['mean_accuracy']:.2%}",
            f"{phase['mean_accuracy_of_episodes']:.2%}",
        )
    number = min(top, len(summary["top"]))
    title = "The best network" if number == 1 else f"The best {number} networks"
    best = Table(title=title, title_justify="left")
    best.add_column("accuracy", justify="right")
    best.add_column("parameters", justify="right")
    best.add_column("MACs", justify="right")
    best.add_column("architecture", overflow="fold")
    for network in summary["top"][:top]:
        best.add_row(
            f"{network['accuracy']:.2%}",
            f"{network['parameters']:,}",
            f"{network['macs']:,}",
            Text(network["architecture"]),
        )
    failures = ", ".join(f"{n} {s}" for s, n in summary["statuses"].items() if s != "ok")
    counts = (
        f"{summary['unique']} of {summary['budget']} unique networks in "
        f"{len(summary['episodes'])} episodes, {duration(summary['train_seconds'])} of training"
    )
    counts += f"; not trained to the end: {failures}" if failures else ""
    return Group(phases, best, Text(counts))


def _evaluations(
    store: Store, settings: dict[str, Any], episodes: list[EpisodeRecord]
) -> dict[str, Evaluation]:
    """Evaluation of each architecture of the episodes."""
    evaluations = {}
    for text in dict.fromkeys(episode.architecture for episode in episodes):
        architecture = Architecture.parse(text)
        evaluation = store.find(settings["task"], architecture, settings["evaluation_seed"])
        assert evaluation is not None, "an episode is recorded with or after its evaluation"
        evaluations[text] = evaluation
    return evaluations


def _by_epsilon(
    episodes: list[EpisodeRecord], accuracies: dict[str, float]
) -> list[dict[str, Any]]:
    phases = []
    for epsilon in dict.fromkeys(episode.epsilon for episode in episodes):
        all_of_phase = [e for e in episodes if e.epsilon == epsilon]
        new = [accuracies[e.architecture] for e in all_of_phase if e.new]
        every = [accuracies[e.architecture] for e in all_of_phase]
        phases.append(
            {
                "epsilon": epsilon,
                "episodes": len(every),
                "unique": len(new),
                "mean_accuracy": sum(new) / len(new) if new else None,
                "mean_accuracy_of_episodes": sum(every) / len(every),
            }
        )
    return phases


def _network(text: str, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "architecture": text,
        "accuracy": evaluation.accuracy,
        "parameters": evaluation.parameters,
        "macs": evaluation.macs,
        "train_seconds": evaluation.train_seconds,
        "learning_rate": evaluation.learning_rate,
        "curve": list(evaluation.curve),
    }


def _episode(episode: EpisodeRecord, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "number": episode.number,
        "epsilon": episode.epsilon,
        "actions": list(episode.actions),
        "architecture": episode.architecture,
        "reward": episode.reward,
        "accuracy": evaluation.accuracy,
        "status": evaluation.status,
        "new": episode.new,
    }
