"""What a store keeps, and its rows: the values of ``rows.COLUMNS``, in that order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gym_cnnarch import Evaluation
from gym_cnnarch.rewards.reward import Reward
from train_eval.records.run_settings import RunSettings

Row = tuple[Any, ...]


@dataclass(frozen=True)
class EpisodeRecord:
    """One recorded episode of a search.

    Attributes:
        number: 0, 1, 2, ... in the order in which the agent acted.
        actions: The agent's actions.
        epsilon: The agent's share of random actions then; None for agents without.
        architecture: Canonical text.
        reward: The reward, or the vector of a run with objectives.
        new: Whether the run met this architecture for the first time.
    """

    number: int
    actions: tuple[int, ...]
    epsilon: float | None
    architecture: str
    reward: Reward
    new: bool


@dataclass(frozen=True)
class RunRecord:
    """One recorded run.

    Attributes:
        settings: All that its course depends on.
        made_with: Versions and workers at its start.
        finished: Whether it came to its end.
        wall_seconds: From its beginning to its end, pauses included; None before the end.
        folder: Where it was worked on last; empty if that is not known.
        episodes: How many there were in the end; None before, and if that is not known.
    """

    settings: RunSettings
    made_with: dict[str, Any]
    finished: bool
    wall_seconds: float | None = None
    folder: str = ""
    episodes: int | None = None


def evaluation_row(task: str, architecture: str, seed: int, evaluation: Evaluation) -> Row:
    """Of the table ``evaluations``."""
    return (
        task, architecture, int(seed), evaluation.status, _real(evaluation.accuracy),
        json.dumps(evaluation.curve), evaluation.parameters, evaluation.macs,
        _real(evaluation.train_seconds), _real(evaluation.learning_rate),
        plain_text(evaluation.message), now(), _real(evaluation.test_accuracy),
    )  # fmt: skip


def evaluation_of(row: Sequence[Any]) -> tuple[str, int, Evaluation]:
    """Architecture text, seed and evaluation."""
    (
        _, text, seed, status, accuracy, curve, parameters, macs, seconds, learning_rate, message,
        _, test,
    ) = row  # fmt: skip
    evaluation = Evaluation(
        accuracy, status, parameters, macs, tuple(json.loads(curve)), seconds, learning_rate,
        message, cached=True, test_accuracy=test,
    )  # fmt: skip
    return text, seed, evaluation


def stopped_row(run: str, architecture: str, evaluation: Evaluation) -> Row:
    """Of the table ``stopped``."""
    return (
        run, architecture, _real(evaluation.accuracy), _real(evaluation.predicted),
        json.dumps(evaluation.curve), evaluation.parameters, evaluation.macs,
        _real(evaluation.train_seconds), _real(evaluation.learning_rate), now(),
    )  # fmt: skip


def stopped_of(row: Sequence[Any]) -> Evaluation:
    """The evaluation of a training that a run stopped early."""
    _, _, accuracy, predicted, curve, parameters, macs, seconds, learning_rate, _ = row
    return Evaluation(
        accuracy, "stopped", parameters, macs, tuple(json.loads(curve)), seconds, learning_rate,
        cached=True, predicted=predicted,
    )  # fmt: skip


def run_row(settings: RunSettings, made_with: Mapping[str, Any], folder: str) -> Row:
    """Of the table ``runs``, for one that begins now."""
    made = json.dumps(settings.as_json()), json.dumps(made_with)
    return (settings.run, *made, now(), None, None, plain_text(folder))


def run_of(row: Sequence[Any]) -> RunRecord:
    """The record of a run."""
    _, settings, made_with, started, finished, episodes, folder = row
    seconds = None
    if finished is not None:
        span = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
        seconds = span.total_seconds()
    return RunRecord(
        RunSettings.from_json(json.loads(settings)), json.loads(made_with), finished is not None,
        seconds, folder, episodes,
    )  # fmt: skip


def episode_row(run: str, episode: EpisodeRecord) -> Row:
    """Of the table ``episodes``; a vector is a list in JSON."""
    reward = episode.reward
    return (
        run, episode.number, json.dumps(episode.actions), _real(episode.epsilon),
        episode.architecture,
        json.dumps([_real(r) for r in reward]) if isinstance(reward, tuple) else _real(reward),
        int(episode.new),
    )  # fmt: skip


def episode_of(row: Sequence[Any]) -> EpisodeRecord:
    """The record of an episode."""
    _, number, actions, epsilon, text, reward, new = row
    given: Reward = tuple(json.loads(reward)) if isinstance(reward, str) else reward
    return EpisodeRecord(number, tuple(json.loads(actions)), epsilon, text, given, bool(new))


def plain_text(text: str) -> str:
    """Without what is no text: half characters, of file names that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _real(number: float | None) -> float | None:
    """As SQLite gives it back: a float, and never -0.0."""
    return None if number is None else float(number) + 0.0
