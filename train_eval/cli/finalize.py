"""The commands ``cnnarch finalize`` and ``cnnarch transfer``."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.table import Table

from gym_cnnarch import Architecture, InvalidInput
from train_eval.cli.options import check_positive, specification
from train_eval.environments import find_spec, make_env, needs_training
from train_eval.final.recipe import DEFAULT, FinalRecipe
from train_eval.output import console
from train_eval.output.console import foreign
from train_eval.records.final_results import FINAL_FOLDER, FinalResults, final_results
from train_eval.records.latency import Latencies, latest_latencies
from train_eval.report.terminal import milliseconds
from train_eval.run.run import Run


@dataclass
class FinalOptions:
    """Options of final trainings."""

    recipe: tuple[str, ...] = ()
    """How the networks are trained: a preset (own-final, paper-final, short-final, one-cycle,
    digits-final) and settings, such as `--recipe one-cycle steps=[[0.1,30]] batch_size=256`; see
    train_eval/final/recipe.py. Default: own-final."""
    seed: int = 0
    """Seed of the trainings."""
    dataset: str | None = None
    """Data set, if neither the environment nor the run says it: folder:PATH or npz:FILE."""
    data_root: str | None = None
    """Folder that holds torchvision's files of the data set."""
    device: str | None = None
    """Where to train: cpu, cuda, cuda:1, ... Default: CUDA where there is one, else the CPU."""
    workers: int | None = None
    """Networks to train at a time. Default: one per GPU, or one per core without GPUs."""

    def final_recipe(self) -> FinalRecipe:
        """The recipe that the words describe."""
        return FinalRecipe.from_spec(specification(DEFAULT, self.recipe))

    def env_kwargs(self) -> dict[str, Any]:
        """Returns the environment's arguments that are given."""
        given = {"dataset": self.dataset, "data_root": self.data_root, "device": self.device}
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class FinalizeCommand(FinalOptions):
    """Train a search's best networks to the end, rank and test them once, and export them."""

    run_dir: tyro.conf.Positional[Path] = tyro.MISSING
    """The --run-dir of a search."""
    networks: int = 10
    """Number of networks, the best by validation accuracy; none that was stopped early."""
    front: bool = False
    """Choose among those alone to which none is preferable in every objective of the search: in
    accuracy and parameters, unless it had others."""
    max_latency: float | None = None
    """Choose among those alone whose forward pass takes at most so many milliseconds on this
    machine, which is measured first. Default: no limit."""
    latency_batch: int = 1
    """Images of a forward pass whose time is measured."""
    architecture: tuple[str, ...] = ()
    """Networks to train instead, such as "[C(16,3,1), P(2,2), SM(10)]"."""
    ensemble: int = 5
    """Number of networks, the best of all, whose probabilities are averaged."""
    hours: float | None = None
    """Hours for all trainings, of which each has an equal part, in place of the recipe's epochs. On
    a CPU they are those of the process: on a busy machine it takes longer. Default: the recipe's
    epochs."""
    onnx: bool = False
    """Export each network to ONNX too."""
    out: Path | None = None
    """Folder of the networks. Default: final in the run's folder, where transfer and report look
    for them."""

    def run(self) -> None:
        """Trains, tests, exports; what is done already is not done again."""
        check_positive(self, "networks", "ensemble", "workers", "latency_batch")
        recipe = self.final_recipe()
        console.sign_of_life()
        from train_eval.final.candidates import overlooked
        from train_eval.final.finalize import finalize
        from train_eval.final.network.trained_network import check_onnx
        from train_eval.final.progress import FinalProgress

        if self.onnx:
            check_onnx()
        summary = Run(self.run_dir).summary
        folder = self.out or self.run_dir / FINAL_FOLDER
        named = [Architecture.parse(text) for text in self.architecture]
        if named and self.front:
            raise InvalidInput(
                "--front trains the run's front, --architecture what it names: give one of them."
            )
        if not named and (sentence := overlooked(summary, self.networks)):
            console.note(sentence)
        try:
            with FinalProgress() as shown:
                results = finalize(
                    summary, recipe, named or self.networks, self.ensemble, folder, self.seed,
                    self.workers, self.onnx, shown, self.front, self.hours, self.max_latency,
                    self.latency_batch, **self.env_kwargs(),
                )  # fmt: skip
        except KeyboardInterrupt:
            console.leave(f"Stopped; every whole epoch is in {folder}.")
        show_results(results, latest_latencies(self.run_dir))
        say_where(results, folder)
        if results.failed:
            sys.exit(1)


@dataclass
class TransferCommand(FinalOptions):
    """Train a finalized run's best network on another data set, from chance and fine-tuned."""

    run_dir: tyro.conf.Positional[Path] = tyro.MISSING
    """The --run-dir of a search that was finalized."""
    env: str = tyro.MISSING
    """Id of the environment with the other data set."""
    out: Path | None = None
    """Folder of the networks. Default: transfer/ENV in the run's folder."""

    def run(self) -> None:
        """Trains the network twice, and shows both test errors."""
        check_positive(self, "workers")
        recipe = self.final_recipe()
        console.sign_of_life()
        from train_eval.final.network.trained_network import load_network
        from train_eval.final.progress import FinalProgress
        from train_eval.final.transfer import for_classes, transfer

        results = final_results(self.run_dir)
        if results is None or not results.networks:
            raise InvalidInput(
                f"{self.run_dir} has no network that was trained to its end: run cnnarch finalize "
                f"first."
            )
        best = results.networks[0]
        weights = self.run_dir / FINAL_FOLDER / f"{best.name}.safetensors"
        card = load_network(weights).card
        size = card["image_size"] or card["input_shape"][1]
        words = (f"image_size={size}",)
        registered = specification(find_spec(self.env).kwargs.get("recipe"), words)
        env = make_env(self.env, search_space=None, recipe=registered, **self.env_kwargs())
        evaluator = needs_training(env, self.env)
        architecture = for_classes(Architecture.parse(best.architecture), evaluator.num_classes)
        title = foreign(f"{architecture} on {evaluator.dataset}")
        table = Table(title=title, title_justify="left")
        table.add_column("weights at the beginning")
        table.add_column("test error", justify="right")
        place = self.out or self.run_dir / "transfer" / self.env.replace(":", "-")
        for name, initial in (("random", None), ("fine-tuned", weights)):
            try:
                with FinalProgress() as shown:
                    found = transfer(
                        architecture, evaluator, recipe, place / name, initial, self.seed,
                        self.workers, shown,
                    )  # fmt: skip
            except KeyboardInterrupt:
                console.leave(f"Stopped; every whole epoch is in {place / name}.")
            if not found.networks:
                console.note(f"Failed: {found.failed[0].status}, {found.failed[0].message}.")
                sys.exit(1)
            table.add_row(name, _percent(found.networks[0].test_error))
        console.out.print(table)


def show_results(results: FinalResults, latencies: Latencies | None) -> None:
    """Prints the networks, the best first; those that failed apart."""
    for lost in results.failed:
        console.note(
            f"Failed, not to be used: {lost.name}  {lost.architecture} ({lost.status}: "
            f"{lost.message})."
        )
    if not results.networks:
        console.note("No network could be trained to a good end: see what is said above.")
        sys.exit(1)
    console.out.print(_table(results, latencies))
    for row in results.networks:  # whole lines, so that they can be copied
        console.say(f"{row.name:>8}  {row.architecture}")
    if len(results.ensemble) > 1:
        console.say(f"ensemble  mean of the probabilities of {', '.join(results.ensemble)}")
    if latencies is not None:
        console.say(f"ms: {latencies.conditions}.")
    if results.test_fingerprint is None:
        console.say("The data set has no test images: nothing was tested.")


def say_where(results: FinalResults, folder: Path) -> None:
    """Says by how many images the networks were judged, where they are, and what comes next."""
    from train_eval.final.network.card import read_card

    images = read_card(folder / f"{results.networks[0].name}.json")["data"]
    console.say(
        f"Trained on {images['training_images']} images, judged by "
        f"{images['validation_images']} that were held out"
        + (f", tested once on {results.test_images}." if results.test_images else ".")
    )
    console.say(f"Networks: {folder}")
    first = shlex.quote(str(folder / f"{results.networks[0].name}.safetensors"))
    console.say(f"Next: cnnarch predict {first} IMAGES...")


def _table(results: FinalResults, latencies: Latencies | None) -> Table:
    table = Table(title="The best first, by validation accuracy", title_justify="left")
    for column in ("", "validation accuracy", "in the search", "test error", "parameters", "ms"):
        table.add_column(column, justify="right")
    for row in results.networks:
        table.add_row(
            row.name,
            _percent(row.final_accuracy),
            _percent(row.validation_accuracy),
            _percent(row.test_error),
            f"{row.parameters:,}",
            milliseconds(latencies, row.architecture),
        )
    if len(results.ensemble) > 1:
        table.add_row("ensemble", "", "", _percent(results.ensemble_error), "", "")
    return table


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
