"""``Run``: what a search leaves behind."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train_eval.records.final_results import FinalResults, final_results
from train_eval.records.latency import Latencies
from train_eval.records.run_directory import find_run
from train_eval.records.run_rows import EpisodeRow, NetworkRow
from train_eval.records.summary import Summary, summarise

if TYPE_CHECKING:
    from train_eval.final.network.assessment import Assessment
    from train_eval.final.recipe import FinalRecipe


class Run:
    """A search's run, finished or not, as it is on disk when a property is read.

    Args:
        run_dir: The folder of a search or of imported results.

    Raises:
        InvalidInput: If the folder holds no run, or its store is gone.
    """

    def __init__(self, run_dir: str | Path) -> None:
        self.run_dir = Path(run_dir)
        find_run(self.run_dir)[0].close()

    @classmethod
    def open(cls, run_dir: str | Path) -> "Run":
        """The run in a folder."""
        return cls(run_dir)

    def __repr__(self) -> str:
        return f"Run({str(self.run_dir)!r})"

    @property
    def summary(self) -> Summary:
        """All that is known of the run so far."""
        store, name = find_run(self.run_dir)  # which has another name once it is to be longer
        with contextlib.closing(store):
            return summarise(self.run_dir, store, name)

    @property
    def networks(self) -> tuple[NetworkRow, ...]:
        """The networks in the order in which the run met them, failed ones included."""
        return self.summary.networks

    @property
    def final(self) -> FinalResults | None:
        """How the final trainings ended; None if there were none."""
        return final_results(self.run_dir)

    @property
    def episodes(self) -> tuple[EpisodeRow, ...]:
        """The episodes in order."""
        return self.summary.episodes

    def best(self, count: int = 1) -> tuple[NetworkRow, ...]:
        """The best networks by validation accuracy whose training succeeded."""
        return self.summary.best[:count]

    def latencies(self, networks: int = 10, device: str | None = None, batch: int = 1) -> Latencies:
        """Measures how long the best networks take on this machine, unless it is known.

        Args:
            networks: Number of networks, the best by validation accuracy.
            device: Such as ``cpu``; None for CUDA where there is one, else the CPU.
            batch: Images of a forward pass.

        Returns:
            Milliseconds of all networks that were measured so far under these conditions.

        Raises:
            InvalidInput: If the device or the batch cannot be used.
        """
        from train_eval.final.latency import measure_latencies

        best = (row.architecture for row in self.best(networks))
        return measure_latencies(self.summary, best, device, batch)

    def report(self, folder: str | Path | None = None, top: int = 10) -> Path:
        """Writes one page of the run with its figures, and returns its path.

        Args:
            folder: Where to; None for ``report`` in the run's folder.
            top: Number of networks to show.

        Raises:
            InvalidInput: If matplotlib is missing.
        """
        from train_eval.report.page import write_report

        place = self.run_dir / "report" if folder is None else Path(folder)
        return write_report(self.summary, self.final, place, top)

    def assess(self, **env_arguments: Any) -> "Assessment":
        """Judges the best network that was finalized: per class, and what it takes for what.

        By the test images; where the data set has none, by those that judged it in its training.

        Args:
            env_arguments: ``dataset``, ``data_root`` or ``device``, where they are others now.

        Raises:
            InvalidInput: If none was, no image judged it, or the images are not here.
        """
        from train_eval.final.finalize import assess_best

        return assess_best(self.summary, self.final, env_arguments)

    def finalize(
        self,
        recipe: "str | Mapping[str, Any] | FinalRecipe" = "own-final",
        networks: int = 10,
        ensemble: int = 5,
        folder: str | Path | None = None,
        seed: int = 0,
        workers: int | None = None,
        hours: float | None = None,
        max_latency: float | None = None,
        **env_arguments: Any,
    ) -> FinalResults:
        """Trains the best networks on all training images and tests them once.

        What is trained already is not trained again.

        Args:
            recipe: A preset of final recipes, or settings.
            networks: Number of networks, the best by validation accuracy.
            ensemble: Number of networks whose probabilities are averaged.
            folder: Where the networks go; None for ``final`` in the run's folder.
            seed: Seed of the trainings.
            workers: Networks to train at a time; None for one per GPU, or per core without GPUs.
            hours: Time for all trainings, in place of the recipe's epochs; None for those.
            max_latency: Most milliseconds of a forward pass of one image on this machine; None for
                no limit.
            env_arguments: ``dataset``, ``data_root`` or ``device``, where they are others now.

        Raises:
            InvalidInput: If the run trained nothing, or its data are not here.
        """
        from train_eval.final.finalize import finalize
        from train_eval.final.recipe import FinalRecipe

        return finalize(
            self.summary, FinalRecipe.from_spec(recipe), networks, ensemble, folder, seed, workers,
            hours=hours, max_latency=max_latency, **env_arguments,
        )  # fmt: skip
