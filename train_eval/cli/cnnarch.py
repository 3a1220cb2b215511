"""The command ``cnnarch``: every subcommand is a dataclass, its fields the options."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from gym_cnnarch import Architecture, InvalidInput, SearchSpace, __version__
from gym_cnnarch.errors import ProcessUnusable
from gym_cnnarch.mdp import compile_mdp
from gym_cnnarch.registration import DATASET_INPUTS
from train_eval.cli.benchmark import BenchmarkCommand
from train_eval.cli.finalize import FinalizeCommand, TransferCommand
from train_eval.cli.options import EnvOptions, TrainingOptions, check_positive
from train_eval.cli.predict import PredictCommand
from train_eval.cli.report import ImportCommand, ReportCommand
from train_eval.cli.search import SearchCommand
from train_eval.cli.table import TableCommand
from train_eval.environments import find_spec, make_env, training_evaluator
from train_eval.parallel.worker import WorkersUnavailable
from train_eval.records.run_directory import find_run
from train_eval.records.store import StoreError
from train_eval.records.summary import summarise, tables
from train_eval.training.recipe import Recipe

_WATCH_SECONDS = 2.0

_out = Console()
_err = Console(stderr=True)


@dataclass
class TrainCommand(TrainingOptions):
    """Train one network and show its curve, parameters, MACs and seconds."""

    architecture: tyro.conf.Positional[str] = tyro.MISSING
    """The network, such as "[C(16,3,1), P(2,2), FC(32), SM(10)]"."""
    seed: int = 0
    """Seed of the training."""

    def run(self) -> None:
        """Trains the network, printing the curve as it grows."""
        architecture = Architecture.parse(self.architecture)
        env = make_env(self.env, **self.kwargs())
        env.search_space.validate(architecture)
        evaluator = training_evaluator(env)
        if evaluator is None:
            raise InvalidInput(f"{self.env} does not train: choose an environment that does.")
        _out.print(f"{architecture} on {evaluator.dataset}", markup=False)
        evaluation = evaluator.train(
            architecture,
            self.seed,
            lambda epoch, accuracy: _out.print(f"epoch {epoch:3}   accuracy {accuracy:.2%}"),
        )
        _out.print(
            f"{evaluation.status}{': ' if evaluation.message else ''}{evaluation.message}",
            markup=False,
        )
        _out.print(f"best validation accuracy {evaluation.accuracy:.2%}")
        _out.print(f"parameters {evaluation.parameters:,}   MACs {evaluation.macs:,}")
        _out.print(
            f"initial learning rate {evaluation.learning_rate:g}   "
            f"seconds {evaluation.train_seconds:.1f}"
        )


@dataclass
class SpaceCommand(EnvOptions):
    """Show an environment's actions in order, its number of states and of architectures."""

    def run(self) -> None:
        """Prints the space; reads no data where the images are known."""
        space = self._space()
        for action, layer in enumerate(space.actions):
            _out.print(f"{action:3}  {layer}", highlight=False)
        mdp = compile_mdp(space)
        observed = len({row.tobytes() for row in mdp.observations})
        _out.print(f"input {'x'.join(map(str, space.input_shape))}, {space.num_classes} classes")
        _out.print(f"{len(mdp.states):,} states, {observed:,} as the agent observes them")
        _out.print(f"{space.count():,} architectures")

    def _space(self) -> SearchSpace:
        changed = self.kwargs()
        if (find_spec(self.env).kwargs | changed).get("dataset") in DATASET_INPUTS:
            Recipe.from_spec(changed.get("recipe", "paper"))  # refuses what is none
            changed["evaluator"] = None
        return make_env(self.env, **changed).search_space


@dataclass
class ShowCommand:
    """Show a run so far: accuracy per epsilon and the best networks."""

    run_dir: tyro.conf.Positional[Path]
    """The --run-dir of a search."""
    top: int = 5
    """Number of networks to list."""
    json: bool = False
    """Print all of it as JSON, every network and episode included."""
    watch: bool = False
    """Follow a running search until it ends, or until Ctrl-C."""

    def run(self) -> None:
        """Prints the tables or the JSON."""
        check_positive(self, "top")
        if self.json and self.watch:
            raise InvalidInput("--json prints the run as it is: leave out --watch.")
        store, run = find_run(self.run_dir)
        summary = summarise(self.run_dir, store, run)
        if self.json:
            print(json.dumps(summary, indent=2))
            return
        if not self.watch:
            _out.print(tables(summary, self.top))
            return
        with Live(tables(summary, self.top), console=_out, auto_refresh=False) as live:
            while not summary["finished"]:
                time.sleep(_WATCH_SECONDS)
                summary = summarise(self.run_dir, store, run)
                live.update(tables(summary, self.top), refresh=True)


Command = (
    Annotated[SearchCommand, tyro.conf.subcommand("search")]
    | Annotated[TrainCommand, tyro.conf.subcommand("train")]
    | Annotated[SpaceCommand, tyro.conf.subcommand("space")]
    | Annotated[ShowCommand, tyro.conf.subcommand("show")]
    | Annotated[TableCommand, tyro.conf.subcommand("table")]
    | Annotated[BenchmarkCommand, tyro.conf.subcommand("benchmark")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
    | Annotated[ImportCommand, tyro.conf.subcommand("import")]
    | Annotated[FinalizeCommand, tyro.conf.subcommand("finalize")]
    | Annotated[TransferCommand, tyro.conf.subcommand("transfer")]
    | Annotated[PredictCommand, tyro.conf.subcommand("predict")]
)


def main() -> None:
    """Entry point: 0 is success, 2 the user's mistake, 1 anything else, 130 Ctrl-C."""
    if sys.argv[1:] == ["--version"]:
        print(f"cnnarch {__version__}")
        return
    command: Any = tyro.cli(
        Command,
        prog="cnnarch",
        description="CNN architecture search with reinforcement learning.",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    sys.path.append(str(Path.cwd()))  # for agents of one's own
    try:
        command.run()
    except InvalidInput as error:
        _fail(error, 2)
    except (StoreError, WorkersUnavailable, ProcessUnusable, OSError) as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        _fail("Stopped.", 130)


def _fail(error: object, status: int) -> None:
    _err.print(f"[red]cnnarch:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
    sys.exit(status)
