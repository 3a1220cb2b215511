"""The subcommands of ``cnnarch``: each is a dataclass, its fields the options."""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from gym_cnnarch import InvalidInput, __version__
from gym_cnnarch.errors import ProcessUnusable, first_line
from train_eval.cli.benchmark import BenchmarkCommand
from train_eval.cli.evaluate import EvaluateCommand
from train_eval.cli.export import ExportCommand
from train_eval.cli.finalize import FinalizeCommand, TransferCommand
from train_eval.cli.fit import FitCommand
from train_eval.cli.predict import PredictCommand
from train_eval.cli.report import ImportCommand, ReportCommand
from train_eval.cli.search import SearchCommand
from train_eval.cli.show import LatencyCommand, ShowCommand
from train_eval.cli.space import LayersCommand, SpaceCommand
from train_eval.cli.table import TableCommand
from train_eval.cli.train import TrainCommand
from train_eval.output.tracebacks import TRACEBACK
from train_eval.parallel.worker import WorkersUnavailable
from train_eval.records.store import StoreError

Command = (
    Annotated[SearchCommand, tyro.conf.subcommand("search")]
    | Annotated[FitCommand, tyro.conf.subcommand("fit")]
    | Annotated[TrainCommand, tyro.conf.subcommand("train")]
    | Annotated[SpaceCommand, tyro.conf.subcommand("space")]
    | Annotated[ShowCommand, tyro.conf.subcommand("show")]
    | Annotated[TableCommand, tyro.conf.subcommand("table")]
    | Annotated[BenchmarkCommand, tyro.conf.subcommand("benchmark")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
    | Annotated[ImportCommand, tyro.conf.subcommand("import")]
    | Annotated[FinalizeCommand, tyro.conf.subcommand("finalize")]
    | Annotated[LatencyCommand, tyro.conf.subcommand("latency")]
    | Annotated[LayersCommand, tyro.conf.subcommand("layers")]
    | Annotated[TransferCommand, tyro.conf.subcommand("transfer")]
    | Annotated[PredictCommand, tyro.conf.subcommand("predict")]
    | Annotated[EvaluateCommand, tyro.conf.subcommand("evaluate")]
    | Annotated[ExportCommand, tyro.conf.subcommand("export")]
)


def run(arguments: list[str]) -> None:
    """Runs the command that the arguments describe."""
    if arguments == ["--version"]:
        print(f"cnnarch {__version__}")
        return
    command: Any = tyro.cli(
        Command,
        prog="cnnarch",
        description="CNN architecture search with reinforcement learning.",
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    sys.path.append(str(Path.cwd()))  # for agents of one's own
    command.run()


def ending(error: Exception) -> tuple[str, int]:
    """Returns the sentence for an error that ends a command, and the exit status."""
    if isinstance(error, InvalidInput):
        return str(error), 2
    if isinstance(error, (StoreError, WorkersUnavailable, ProcessUnusable, OSError)):
        return str(error), 1
    return (
        f"This should not have happened ({first_line(error)}): please report it, with what "
        f"{TRACEBACK}=1 in the environment shows."
    ), 1
