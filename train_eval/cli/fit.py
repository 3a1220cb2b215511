"""The command ``cnnarch fit``."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import tyro

from gym_cnnarch import InvalidInput
from train_eval.cli.evaluate import show_classes
from train_eval.cli.finalize import say_where, show_results
from train_eval.cli.options import check_positive, specification
from train_eval.output import console
from train_eval.records.final_results import FINAL_FOLDER
from train_eval.records.latency import latest_latencies
from train_eval.records.run_directory import RUN_FILE
from train_eval.search.progress import SearchProgress
from train_eval.search.search import Learned, Search


@dataclass
class FitCommand:
    """From a folder of images to the best network in a given time: searched, trained and tested.

    A quarter of the time searches, beginning with designs that people write; the rest trains the
    best network to its end. The same command goes on where it was stopped.
    """

    dataset: tyro.conf.Positional[str]
    """Folder with train/<class>/*.png or jpg, and test/ and val/ likewise if there are any; an .npz
    file with x_train and y_train; or cifar10, cifar100, svhn, mnist, fashionmnist, digits,
    cluttered_digits."""
    hours: float = 1.0
    """Hours for all of it, but for reading the images."""
    run_dir: Path = Path("runs/fit")
    """Folder of the run; the trained networks are in final/ below it."""
    search_space: tuple[str, ...] = ()
    """Limits of the space, such as `--search-space max_parameters=100000 max_macs=5000000` for a
    small network, or `--search-space max_layers=12 conv_filters=[32,64,128,256]` for a long
    search."""
    recipe: tuple[str, ...] = ()
    """Settings of the search's recipe, such as `--recipe image_size=48`, or for classes of very
    different sizes `--recipe metric=balanced_accuracy class_weights=true`. Images that are not
    squares of one size of at most 64 pixels are cropped and resized to 32, unless it says else."""
    seed: int = 0
    """Seed of the search and of the final training."""
    data_root: str | None = None
    """Folder that holds torchvision's files of the data set, or to which they are downloaded."""
    device: str | None = None
    """Where to train: cpu, cuda, cuda:1, ... Default: CUDA where there is one, else the CPU."""
    workers: int | None = None
    """Networks to train at a time, also in the end. Default: one per GPU, or one per core without
    GPUs."""

    def run(self) -> None:
        """Searches, trains, tests, and shows what came of it."""
        check_positive(self, "workers")
        console.sign_of_life()
        from train_eval.final.progress import FinalProgress
        from train_eval.run.first import absolute_name
        from train_eval.run.fit import fit

        try:
            with FinalProgress() as watch:
                run = fit(
                    self.dataset, hours=self.hours, run_dir=self.run_dir,
                    recipe=specification(None, self.recipe),
                    search_space=specification(None, self.search_space),
                    data_root=self.data_root, device=self.device, seed=self.seed,
                    workers=self.workers, tell=console.note, follow=_shown, watch=watch,
                )  # fmt: skip
        except KeyboardInterrupt:
            if not (self.run_dir / RUN_FILE).is_file():
                console.leave(
                    "Stopped before the search began; a training that had not ended begins anew."
                )
            console.leave(f"Stopped; what was trained so far is in {self.run_dir}.")
        if (results := run.final) is None:
            raise InvalidInput(
                f"The results in {self.run_dir} are gone: run the same command again."
            )
        show_results(results, latest_latencies(self.run_dir))
        places = {"dataset": absolute_name(self.dataset), "data_root": self.data_root}
        found = run.assess(**{name: place for name, place in places.items() if place is not None})
        by = "test images" if results.test_fingerprint is not None else "images held out"
        console.say(
            f"{results.networks[0].name} on {found.images} {by}: accuracy {found.accuracy:.2%}, "
            f"balanced accuracy {found.balanced_accuracy:.2%}"
        )
        show_classes(found)
        say_where(results, self.run_dir / FINAL_FOLDER)
        console.say(f"All of it: cnnarch report {self.run_dir}")
        if results.failed:
            sys.exit(1)


def _shown(search: Search, seconds_left: Callable[[], float]) -> Iterable[Learned]:
    return SearchProgress(search, seconds_left).follow()
