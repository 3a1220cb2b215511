"""The command ``cnnarch``: every subcommand is a dataclass, its fields the options."""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from gym_cnnarch import InvalidInput, __version__
from gym_cnnarch.errors import ProcessUnusable
from train_eval.cli.benchmark import BenchmarkCommand
from train_eval.cli.finalize import FinalizeCommand, TransferCommand
from train_eval.cli.predict import PredictCommand
from train_eval.cli.report import ImportCommand, ReportCommand
from train_eval.cli.search import SearchCommand
from train_eval.cli.show import ShowCommand
from train_eval.cli.space import SpaceCommand
from train_eval.cli.table import TableCommand
from train_eval.cli.train import TrainCommand
from train_eval.output.console import fail
from train_eval.parallel.worker import WorkersUnavailable
from train_eval.records.store import StoreError

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
        fail(error, 2)
    except (StoreError, WorkersUnavailable, ProcessUnusable, OSError) as error:
        fail(error, 1)
    except KeyboardInterrupt:
        fail("Stopped.", 130)
