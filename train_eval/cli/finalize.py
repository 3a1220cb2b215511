"""The commands ``cnnarch finalize`` and ``cnnarch transfer``."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.architecture import GlobalAveragePool, Softmax
from gym_cnnarch.shapes import count_parameters
from train_eval.cli.options import check_positive, leave, specification
from train_eval.environments import (
    absolute_dataset,
    absolute_path,
    find_spec,
    make_env,
    training_evaluator,
)
from train_eval.final.recipe import DEFAULT, FinalRecipe
from train_eval.parallel.executors import LocalExecutor, worker_environments
from train_eval.records.importing import IMPORTED
from train_eval.records.run_directory import (
    FINAL_FOLDER,
    LOCK,
    final_results,
    find_run,
    in_use,
    recorded_data,
)
from train_eval.records.summary import summarise
from train_eval.search.progress import duration

if TYPE_CHECKING:
    from train_eval.data.sources import ImageData
    from train_eval.final.finalize import Candidate
    from train_eval.final.training import FinalTask
    from train_eval.training.evaluator import TrainingEvaluator

_out = Console()
_err = Console(stderr=True)


@dataclass
class FinalOptions:
    """Options of final trainings."""

    recipe: tuple[str, ...] = ()
    """How the networks are trained: a preset (paper-final, short-final, one-cycle, digits-final)
    and settings, such as 'one-cycle steps=[[0.1,30]] batch_size=256'; see
    train_eval/final/recipe.py. Default: one-cycle."""
    seed: int = 0
    """Seed of the trainings."""
    dataset: str | None = None
    """Data set, if neither the environment nor the run says it: folder:PATH or npz:FILE."""
    data_root: str | None = None
    """Folder that holds torchvision's files of the data set."""
    device: str | None = None
    """Where to train: cpu, cuda, cuda:1, ... Default: CUDA where there is one, else the CPU."""
    workers: int | None = None
    """Networks to train at a time. Default: one a GPU, or one a core without GPUs."""

    def final_recipe(self) -> FinalRecipe:
        """The recipe that the words describe."""
        return FinalRecipe.from_spec(specification(DEFAULT, self.recipe))

    def env_kwargs(self) -> dict[str, Any]:
        """What of the environment's arguments is given."""
        given = {"dataset": self.dataset, "data_root": self.data_root, "device": self.device}
        return {name: value for name, value in given.items() if value is not None}

    def task(
        self,
        evaluator: "TrainingEvaluator",
        folder: Path,
        chosen: Sequence["Candidate"],
        initial: dict[str, str] | None = None,
    ) -> "FinalTask":
        """The training of the chosen networks on the evaluator's data."""
        from train_eval.final.training import FinalTask

        return FinalTask(
            dataset=absolute_dataset(evaluator.dataset),
            data_root=None if self.data_root is None else absolute_path(self.data_root),
            image_size=evaluator.recipe.image_size,
            recipe=json.dumps(specification(DEFAULT, self.recipe), sort_keys=True),
            device=self.device,
            folder=str(folder.resolve()),
            names=json.dumps({str(c.architecture): c.name for c in chosen}),
            initial=json.dumps(initial or {}),
        )

    def train(self, chosen: Sequence["Candidate"], task: "FinalTask") -> list[str]:
        """Trains what is not trained yet, says what happens, and names what could not be done."""
        from train_eval.final.finalize import train_all

        check_positive(self, "workers")
        environments = worker_environments(self.workers, self.device)[: len(chosen)]
        failed = []
        folder = Path(task.folder)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with in_use(folder / LOCK), LocalExecutor(environments) as executor:
                for number, (candidate, final) in enumerate(
                    train_all(chosen, task, executor, self.seed), start=1
                ):
                    if final.status != "ok":
                        failed.append(candidate.name)
                    what = (
                        f"training loss {final.losses[-1]:.4f}" if final.losses else final.message
                    )
                    _err.print(
                        f"{number}/{len(chosen)}  {candidate.name}  {final.status}, {what}, "
                        f"{duration(final.seconds)}  {candidate.architecture}",
                        markup=False, highlight=False, soft_wrap=True,
                    )  # fmt: skip
        except KeyboardInterrupt:
            leave(f"Stopped; every whole epoch is in {task.folder}.")
        return failed


@dataclass
class FinalizeCommand(FinalOptions):
    """Train a search's best networks on all training images, test them once, and export them."""

    run_dir: tyro.conf.Positional[Path] = tyro.MISSING
    """The --run-dir of a search."""
    networks: int = 10
    """Number of networks, the best by validation accuracy."""
    ensemble: int = 5
    """Number of networks, the best by validation accuracy, whose probabilities are averaged."""
    onnx: bool = False
    """Export each network to ONNX too."""
    out: Path | None = None
    """Folder of the networks. Default: final in the run's folder, where transfer and report look
    for them."""

    def run(self) -> None:
        """Trains, tests, exports; what is done already is not done again."""
        from train_eval.final.finalize import candidates, evaluate, write_results
        from train_eval.final.trained_network import check_onnx

        check_positive(self, "networks", "ensemble")
        self.final_recipe()
        if self.onnx:
            check_onnx()
        store, run = find_run(self.run_dir)
        summary = summarise(self.run_dir, store, run)
        chosen = candidates(summary, self.networks)
        recorded = recorded_data(self.run_dir)
        self.dataset = self.dataset or recorded.get("dataset")
        self.data_root = self.data_root or recorded.get("data_root")
        evaluator = _evaluator(summary["settings"], self.env_kwargs())
        folder = self.out or self.run_dir / FINAL_FOLDER
        test = _test_images(evaluator, self.data_root)
        failed = self.train(chosen, self.task(evaluator, folder, chosen))
        results = evaluate(chosen, folder, test, self.ensemble, self.device)
        if not results["networks"]:
            _err.print("No network could be trained to its end: see what is said above.")
            sys.exit(1)
        write_results(folder, results, self.onnx)
        _out.print(_table(results))
        if test is None:
            _out.print(f"{evaluator.dataset} has no test images: nothing was tested.", markup=False)
        _out.print(f"Networks: {folder}", markup=False, soft_wrap=True)
        first = shlex.quote(str(folder / f"{results['networks'][0]['name']}.safetensors"))
        _out.print(f"Next: cnnarch predict {first} IMAGES...", markup=False, soft_wrap=True)
        if failed:
            _err.print(f"Not trained to their end: {', '.join(failed)}.", markup=False)
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
        from train_eval.final.finalize import Candidate, evaluate, write_results
        from train_eval.final.trained_network import load_network

        self.final_recipe()
        results = final_results(self.run_dir)
        if results is None:
            raise InvalidInput(f"{self.run_dir} is not finalized: run cnnarch finalize first.")
        best = results["networks"][0]
        weights = self.run_dir / FINAL_FOLDER / f"{best['name']}.safetensors"
        size = load_network(weights).card["input_shape"][1]
        recipe = specification(find_spec(self.env).kwargs.get("recipe"), (f"image_size={size}",))
        env = make_env(self.env, search_space=None, recipe=recipe, **self.env_kwargs())
        evaluator = training_evaluator(env)
        if evaluator is None:
            raise InvalidInput(f"{self.env} has no data to train on: choose another.")
        architecture = _for_classes(Architecture.parse(best["architecture"]), evaluator)
        test = _test_images(evaluator, self.data_root)
        if test is None:
            raise InvalidInput(f"{evaluator.dataset} has no test images to compare by.")
        table = Table(title=f"{architecture} on {evaluator.dataset}", title_justify="left")
        table.add_column("weights at the beginning")
        table.add_column("test error", justify="right")
        for name, initial in (("random", None), ("fine-tuned", str(weights.resolve()))):
            folder = (self.out or self.run_dir / "transfer" / self.env) / name
            parameters = count_parameters(architecture, evaluator.input_shape)
            candidate = Candidate("01", architecture, None, parameters)
            start = {} if initial is None else {str(architecture): initial}
            if self.train([candidate], self.task(evaluator, folder, [candidate], start)):
                sys.exit(1)
            found = evaluate([candidate], folder, test, 1, self.device)
            write_results(folder, found, onnx=False)
            table.add_row(name, f"{found['networks'][0]['test_error']:.2%}")
        _out.print(table)


def _test_images(evaluator: "TrainingEvaluator", data_root: str | None) -> "ImageData | None":
    from train_eval.data.sources import has_test_images, load_train_and_test

    if not has_test_images(evaluator.dataset):
        return None
    return load_train_and_test(evaluator.dataset, data_root, evaluator.recipe.image_size)[1]


def _evaluator(settings: dict[str, Any], given: dict[str, Any]) -> "TrainingEvaluator":
    """The search's evaluator, for its data and image size.

    Raises:
        InvalidInput: If the data are not those of the search.
    """
    if settings["agent"]["name"] == IMPORTED or settings["task"].startswith(("surrogate", "table")):
        raise InvalidInput("Nothing was trained in this run: finalize a search that trained.")
    if settings["recipe"] is not None:
        given = {"recipe": settings["recipe"], **given}
    env = make_env(settings["env"], **given, search_space=settings["search_space"])
    evaluator = training_evaluator(env)
    if evaluator is None:
        raise InvalidInput(f"{settings['env']} trains nothing: finalize a search that trained.")
    if evaluator.task != settings["task"]:
        raise InvalidInput(
            f"The data here are not those of the search ({evaluator.task}, not "
            f"{settings['task']}): name them with --dataset and --data-root."
        )
    return evaluator


def _for_classes(architecture: Architecture, evaluator: "TrainingEvaluator") -> Architecture:
    """The same network for another number of classes."""
    *body, end = architecture.layers
    kind = GlobalAveragePool if isinstance(end, GlobalAveragePool) else Softmax
    return Architecture((*body, kind(evaluator.num_classes)))


def _table(results: dict[str, Any]) -> Table:
    table = Table(title="Test error", title_justify="left")
    for column in ("", "test error", "validation accuracy in the search", "parameters"):
        table.add_column(column, justify="right")
    table.add_column("architecture", overflow="fold")
    for row in results["networks"]:
        table.add_row(
            row["name"],
            _percent(row["test_error"]),
            f"{row['validation_accuracy']:.2%}",
            f"{row['parameters']:,}",
            Text(row["architecture"]),
        )
    together = results["ensemble"]
    names = f"mean of the probabilities of {', '.join(together['networks'])}"
    table.add_row("all", _percent(together["test_error"]), "", "", names)
    return table


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
