"""How final trainings go, on the terminal."""

import json
from collections.abc import Sequence
from pathlib import Path

from train_eval.final.candidates import Candidate
from train_eval.final.checkpoint import EpochResult
from train_eval.final.finalize import Watch
from train_eval.final.training import EPOCHS_SUFFIX, Final
from train_eval.output import console
from train_eval.output.console import duration
from train_eval.output.progress import Facts, Progress


class FinalProgress(Watch):
    """Shows the epochs of each network that is trained, and says how each ended."""

    def __init__(self) -> None:
        self._folder = Path()
        self._going: dict[str, EpochResult] = {}  # by the network's name, its last epoch
        self._ended: set[str] = set()
        self._progress: Progress | None = None
        self._names: list[str] = []
        self._before = 0.0  # trainings that earlier calls have done

    def __enter__(self) -> "FinalProgress":
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.__exit__(*error)

    def began(self, chosen: Sequence[Candidate], folder: Path) -> None:
        """Says what is trained."""
        self._folder, self._names = folder, [candidate.name for candidate in chosen]
        self._before = sum(_done_before(folder, name) for name in self._names)
        console.note(f"Training {len(chosen)} networks to the end in {folder}.")
        self._progress = Progress("networks", len(chosen), facts=self._facts)
        self._progress.__enter__()

    def waiting(self) -> None:
        """Reads the epochs so far."""
        for name in self._names:
            if name not in self._ended:
                self._going |= _last_epoch(self._folder / f"{name}{EPOCHS_SUFFIX}", name)
        if self._progress is not None and self._going:
            self._progress.remind()

    def ended(self, candidate: Candidate, final: Final) -> None:
        """Says how a network's training ended."""
        self._going.pop(candidate.name, None)
        self._ended.add(candidate.name)
        console.note(
            f"{len(self._ended)}/{len(self._names)}  {candidate.name}  {final.status}, "
            f"{_how(final)}, {duration(final.seconds)}  {candidate.architecture}"
        )
        if self._progress is not None:
            self._progress.advance(quiet=True)

    def _facts(self) -> Facts:
        """Of each network in training its epoch, and the time left for all."""
        facts = [(name, _in_words(epoch)) for name, epoch in sorted(self._going.items())]
        done = len(self._ended) + sum(e.done for e in self._going.values())
        if done > self._before and self._progress is not None:
            left = self._progress.elapsed * (len(self._names) - done) / (done - self._before)
            left = max(left, 0.0)  # the last epoch may end later than the time
            facts.append(("time left", duration(left)))
        return facts


def _done_before(folder: Path, name: str) -> float:
    """Share of a network's training that is over already."""
    if (folder / f"{name}.json").is_file():
        return 1.0
    return sum(e.done for e in _last_epoch(folder / f"{name}{EPOCHS_SUFFIX}", name).values())


def _last_epoch(file: Path, name: str) -> dict[str, EpochResult]:
    """The last whole line of a file of epochs, if there is one."""
    try:
        lines = file.read_text().split("\n")[:-1]
        return {name: EpochResult(**json.loads(lines[-1]))} if lines else {}
    except (OSError, ValueError, TypeError):  # not there yet, or gone: the training has ended
        return {}


def _in_words(epoch: EpochResult) -> str:
    of = f"/{epoch.epochs}" if epoch.share is None else f", {epoch.share:.0%} of the time"
    words = f"epoch {epoch.epoch}{of}, loss {epoch.loss:.4f}"
    return words if epoch.accuracy is None else f"{words}, validation {epoch.accuracy:.2%}"


def _how(final: Final) -> str:
    if final.best is None:
        return final.message or "no epoch was finished"
    words = f"training loss {final.best.loss:.4f}"
    if final.best.accuracy is None:
        return words
    metric = final.metric.replace("_", " ")
    return f"{words}, validation {metric} {final.best.accuracy:.2%} in epoch {final.best.epoch}"
