"""A run so far: its networks, its episodes, and what they come to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from agents.pareto import front
from gym_cnnarch import Architecture
from gym_cnnarch.rewards.evaluation import Status
from gym_cnnarch.rewards.objectives import DEFAULT_OBJECTIVES, as_counted
from gym_cnnarch.rewards.reward import is_vector
from train_eval.records.kept import EpisodeRecord
from train_eval.records.latency import Latencies, latest_latencies
from train_eval.records.run_rows import (
    EpisodeRow,
    NetworkRow,
    Phase,
    as_json,
    has_failed,
    phase_of,
)
from train_eval.records.run_settings import RunSettings
from train_eval.records.store import Store, StoreError


@dataclass(frozen=True)
class Failure:
    """Networks whose training failed in one way.

    Attributes:
        status: How, in a word.
        message: How, in a sentence; empty if that is not known.
        networks: Their number.
    """

    status: Status
    message: str
    networks: int

    def __str__(self) -> str:
        return f"{self.status} ({self.message.rstrip('.')})" if self.message else self.status


@dataclass(frozen=True)
class Summary:
    """All that is known of a run.

    Attributes:
        run_dir: The run's folder.
        store: Its store.
        run: Its name there.
        settings: What its course depends on.
        made_with: Versions and workers at its start.
        finished: Whether it came to its end.
        wall_seconds: From its beginning to its end, pauses included; None before the end.
        networks: In the order in which the run met them.
        episodes: In order.
        latencies: Of its networks where they were measured last; None if they were not.
    """

    run_dir: str
    store: str
    run: str
    settings: RunSettings
    made_with: dict[str, Any]
    finished: bool
    wall_seconds: float | None
    networks: tuple[NetworkRow, ...] = field(repr=False)
    episodes: tuple[EpisodeRow, ...] = field(repr=False)
    latencies: Latencies | None = field(repr=False, default=None)

    @property
    def budget(self) -> int:
        """Number of unique networks that the run is to meet."""
        return self.settings.budget

    @cached_property
    def best(self) -> tuple[NetworkRow, ...]:
        """All networks that were trained to their end, the best by validation accuracy first."""
        succeeded = [network for network in self.networks if network.status == "ok"]
        return tuple(sorted(succeeded, key=lambda network: -network.accuracy))

    @cached_property
    def stopped(self) -> tuple[NetworkRow, ...]:
        """The networks whose training was stopped early, in the order in which they were met."""
        return tuple(network for network in self.networks if network.status == "stopped")

    @property
    def epochs_saved(self) -> float:
        """Share of the epochs of all trainings that need not be trained, in [0, 1]."""
        whole = max((len(network.curve) for network in self.best), default=0)
        left = sum(max(0, whole - len(network.curve)) for network in self.stopped)
        epochs = left + sum(len(network.curve) for network in self.networks)
        return left / epochs if left else 0.0

    @property
    def objectives(self) -> tuple[str, ...]:
        """Those of the run's reward, and where that is one number, accuracy and parameters."""
        reward = self.settings.reward
        return tuple(reward) if is_vector(reward) else DEFAULT_OBJECTIVES

    @cached_property
    def front(self) -> tuple[NetworkRow, ...]:
        """The networks of ``best`` to which none is preferable in every objective."""
        return self.front_of(self.best)

    def front_of(self, networks: Iterable[NetworkRow]) -> tuple[NetworkRow, ...]:
        """Those of some networks to which none of these is preferable in every objective."""
        rows = tuple(networks)
        points = [[as_counted(network, name) for name in self.objectives] for network in rows]
        return tuple(rows[position] for position in front(np.array(points)))

    @property
    def statuses(self) -> dict[str, int]:
        """Status -> number of networks."""
        return dict(Counter(network.status for network in self.networks))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """How the training of networks failed, the commonest way first."""
        ways = Counter((n.status, n.message) for n in self.networks if has_failed(n.status))
        return tuple(Failure(*way, number) for way, number in ways.most_common())

    @property
    def failed(self) -> int:
        """Number of networks whose training failed."""
        return sum(has_failed(network.status) for network in self.networks)

    @property
    def warning(self) -> str:
        """A sentence if most networks failed; empty if not."""
        if 2 * self.failed <= len(self.networks):
            return ""
        return (
            f"{self.failed} of {len(self.networks)} networks failed, most often "
            f"{self.failures[0]}: look at the images and the recipe, since the agent learns "
            f"little from failures."
        )

    @property
    def train_seconds(self) -> float:
        """Seconds of training, of all networks."""
        return sum(network.train_seconds or 0.0 for network in self.networks)

    @cached_property
    def epsilons(self) -> tuple[Phase, ...]:
        """One entry per phase of the schedule."""
        return tuple(
            phase_of(epsilon, [e for e in self.episodes if e.epsilon == epsilon])
            for epsilon in dict.fromkeys(episode.epsilon for episode in self.episodes)
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data: what ``cnnarch show --json`` prints."""
        return {
            "run_dir": self.run_dir,
            "store": self.store,
            "run": self.run,
            "settings": self.settings.as_json(),
            "made_with": self.made_with,
            "finished": self.finished,
            "wall_seconds": self.wall_seconds,
            "unique": len(self.networks),
            "budget": self.budget,
            "train_seconds": self.train_seconds,
            "statuses": self.statuses,
            "latencies": None if self.latencies is None else self.latencies.as_json(),
            "failures": [asdict(failure) for failure in self.failures],
            "epsilons": [asdict(phase) for phase in self.epsilons],
            "objectives": list(self.objectives),
            "front": [network.architecture for network in self.front],
            "top": [as_json(network) for network in self.best],
            "stopped": [as_json(network) for network in self.stopped],
            "epochs_saved": self.epochs_saved,
            "failed": [as_json(n) for n in self.networks if has_failed(n.status)],
            "episodes": [as_json(episode) for episode in self.episodes],
        }


def summarise(run_dir: Path, store: Store, run: str) -> Summary:
    """Reads all that is known of a run.

    Raises:
        StoreError: If the store lacks the run, or an evaluation of one of its episodes.
    """
    record = store.find_run(run)
    if record is None:
        raise StoreError(f"The store {store.path} does not hold the run {run}.")
    settings = record.settings
    recorded = store.episodes(run)
    networks: dict[str, NetworkRow] = {}
    for text in dict.fromkeys(episode.architecture for episode in recorded):
        networks[text] = _network(store, settings, text)
    return Summary(
        run_dir=str(run_dir),
        store=str(store.path),
        run=run,
        settings=settings,
        made_with=record.made_with,
        finished=record.finished,
        wall_seconds=record.wall_seconds,
        networks=tuple(networks.values()),
        episodes=tuple(_episode(episode, networks[episode.architecture]) for episode in recorded),
        latencies=latest_latencies(run_dir),
    )


def _network(store: Store, settings: RunSettings, text: str) -> NetworkRow:
    architecture = Architecture.parse(text)
    evaluation = store.find_in_run(settings, architecture)
    if evaluation is None:  # an episode is recorded with or after its evaluation
        raise StoreError(
            f"The store {store.path} is damaged: it lacks the evaluation of {text}; restore the "
            f"file from a copy."
        )
    return NetworkRow(
        architecture=text,
        accuracy=evaluation.accuracy,
        status=evaluation.status,
        message=evaluation.message,
        parameters=evaluation.parameters,
        macs=evaluation.macs,
        train_seconds=evaluation.train_seconds,
        learning_rate=evaluation.learning_rate,
        curve=evaluation.curve,
        predicted=evaluation.predicted,
    )


def _episode(episode: EpisodeRecord, network: NetworkRow) -> EpisodeRow:
    return EpisodeRow(
        number=episode.number,
        epsilon=episode.epsilon,
        actions=episode.actions,
        architecture=episode.architecture,
        reward=episode.reward,
        accuracy=network.accuracy,
        status=network.status,
        new=episode.new,
    )
