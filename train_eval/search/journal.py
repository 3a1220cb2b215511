"""Writes a search to its store, in the right transactions."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from train_eval.records.kept import EpisodeRecord
from train_eval.records.machine import made_with
from train_eval.records.run_settings import RunSettings
from train_eval.records.store import Store

_UNKNOWN_REASON = (
    "the code or the machine has changed, or an agent or evaluator of one's own does not repeat "
    "itself"
)
_SAVE_EVERY = 1.0  # seconds in which episodes that cost nothing may wait to be committed


class Journal:
    """Records a run in order, and holds a run that is repeated to what is recorded of it.

    What was paid for is committed at once; what was looked up may wait for a second.

    Args:
        store: The store, which knows the run.
        settings: The run's settings.
    """

    def __init__(self, store: Store, settings: RunSettings) -> None:
        self._store = store
        self._settings = settings
        self._recorded = {e.number: e for e in store.episodes(settings.run)}
        self._learned = {e.architecture for e in self._recorded.values()}
        self._episodes: list[EpisodeRecord] = []  # not committed yet
        self._evaluations: list[tuple[Architecture, Evaluation]] = []  # not committed yet
        self._saved_at = time.monotonic()

    def find(self, architecture: Architecture) -> Evaluation | None:
        """The run's or else the shared evaluation of an architecture, None if there is none."""
        return self._store.find_in_run(self._settings, architecture)

    def has_learned(self, architecture: Architecture) -> bool:
        """Whether an episode of the run is recorded with what is found of an architecture."""
        return str(architecture) in self._learned

    def add(self, architecture: Architecture, evaluation: Evaluation) -> Evaluation:
        """Commits an evaluation; returns what the store holds then: an earlier one wins."""
        return self._store.add_in_run(self._settings, architecture, evaluation)

    def add_later(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Records an evaluation that cost nothing: committed with what follows."""
        self._evaluations.append((architecture, evaluation))

    def add_episode_later(self, episode: EpisodeRecord) -> None:
        """Records an episode that cost nothing: committed within about a second."""
        self._episodes.append(episode)
        if time.monotonic() - self._saved_at >= _SAVE_EVERY:
            self.save()

    @contextmanager
    def saving(self) -> Iterator[list[EpisodeRecord]]:
        """Commits a block, the episodes that it lists, and all that waits."""
        latest: list[EpisodeRecord] = []
        with self._store.transaction():
            yield latest
            for architecture, evaluation in self._evaluations:
                self.add(architecture, evaluation)
            self._store.add_episodes(self._settings.run, [*self._episodes, *latest])
        self._evaluations.clear()
        self._episodes.clear()
        self._saved_at = time.monotonic()

    def save(self) -> None:
        """Commits all that waits."""
        with self.saving():
            pass

    def finish(self) -> None:
        """Records that the run came to its end."""
        self._store.finish_run(self._settings.run)

    def check(self, number: int, name: str, value: Any) -> None:
        """Compares an episode with what is recorded of it: a repeated run must retrace it.

        Raises:
            InvalidInput: If they differ.
        """
        if number not in self._recorded:
            return
        recorded = getattr(self._recorded[number], name)
        if recorded == value:
            return
        run = self._store.find_run(self._settings.run)
        began = run.made_with if run is not None else {}
        now = made_with(began.get("workers", 1))
        changes = [f"{k} was {began[k]} and is {v}" for k, v in now.items() if began.get(k, v) != v]
        raise InvalidInput(
            f"This run left its recorded path: in episode {number} the {name} came as {recorded}, "
            f"but now as {value} ({'; '.join(changes) or _UNKNOWN_REASON}): continue it with what "
            f"it was begun with, or start another run."
        )
