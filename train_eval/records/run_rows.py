"""The rows of a run: its networks, its episodes, and the phases of its schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gym_cnnarch.rewards.evaluation import Status
from gym_cnnarch.rewards.reward import Reward


@dataclass(frozen=True)
class NetworkRow:
    """A network of a run.

    Attributes:
        architecture: Canonical text.
        accuracy: Best validation accuracy, in [0, 1]; of a stopped training that so far.
        status: ``ok``, ``stopped`` by the run's rule, or how its training failed.
        message: What went wrong, in words; empty if nothing did.
        parameters: Trainable parameters.
        macs: Multiply-accumulates of a forward pass of one image.
        train_seconds: Seconds of training, see ``Evaluation``; None if nothing was trained.
        learning_rate: The initial learning rate that was used; None if there is none.
        curve: Validation accuracy after each epoch.
        predicted: The accuracy that a stopped training is predicted to have had in the end, which
            its reward is of; None for all others.
    """

    architecture: str
    accuracy: float
    status: Status
    message: str
    parameters: int
    macs: int
    train_seconds: float | None
    learning_rate: float | None
    curve: tuple[float, ...]
    predicted: float | None = None


@dataclass(frozen=True)
class EpisodeRow:
    """An episode of a run.

    Attributes:
        number: 0, 1, 2, ... in the order in which the agent acted.
        epsilon: The agent's share of random actions then; None for agents without.
        actions: The agent's actions.
        architecture: Canonical text of the network.
        reward: The reward, or the vector of a run with objectives.
        accuracy: The network's best validation accuracy.
        status: ``ok``, ``stopped``, or how its training failed.
        new: Whether the run met this network for the first time.
    """

    number: int
    epsilon: float | None
    actions: tuple[int, ...]
    architecture: str
    reward: Reward
    accuracy: float
    status: Status
    new: bool


@dataclass(frozen=True)
class Phase:
    """The episodes of one epsilon.

    Attributes:
        epsilon: The agent's share of random actions; None for agents without.
        episodes: Number of episodes.
        unique: Number of networks that were new, failed and stopped ones included.
        failed: Number of those whose training failed; no mean of accuracies is over them.
        stopped: Number of those whose training was stopped early; nor is one over them.
        mean_accuracy: Of the new networks that were trained to their end; None if there are none.
        mean_accuracy_of_episodes: Of the episodes of networks that were trained to their end, as
            often as they came.
        mean_reward: Of all new networks, whatever became of them; None for none and for vectors.
    """

    epsilon: float | None
    episodes: int
    unique: int
    failed: int
    stopped: int
    mean_accuracy: float | None
    mean_accuracy_of_episodes: float | None
    mean_reward: float | None


def phase_of(epsilon: float | None, episodes: Sequence[EpisodeRow]) -> Phase:
    """What the episodes of one epsilon come to."""
    succeeded = [episode for episode in episodes if episode.status == "ok"]
    new = [episode.accuracy for episode in succeeded if episode.new]
    statuses = [episode.status for episode in episodes if episode.new]
    return Phase(
        epsilon=epsilon,
        episodes=len(episodes),
        unique=len(statuses),
        failed=sum(map(has_failed, statuses)),
        stopped=statuses.count("stopped"),
        mean_accuracy=_mean(new),
        mean_accuracy_of_episodes=_mean([episode.accuracy for episode in succeeded]),
        mean_reward=_mean(
            [e.reward for e in episodes if e.new and not isinstance(e.reward, tuple)]
        ),
    )


def has_failed(status: Status) -> bool:
    """Whether a training failed, rather than ended or was stopped early."""
    return status not in ("ok", "stopped")


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def as_json(row: NetworkRow | EpisodeRow) -> dict[str, Any]:
    """Plain data; lists where Python has tuples."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(row).items()}
