"""The terminal: what is said, how an error ends a command, how to leave after Ctrl-C."""

import shlex
import signal
import sys
from typing import NoReturn

from rich.console import Console

out = Console()
err = Console(stderr=True)


def say(text: str) -> None:
    """Prints a line of results as it is: no markup, no colours, not folded."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """The same to standard error: what is no result."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def fail(error: object, status: int) -> NoReturn:
    """Ends the process with one line that says why."""
    err.print("[red]cnnarch:[/red] ", end="")
    note(str(error))
    sys.exit(status)


def leave(what: str) -> NoReturn:
    """After Ctrl-C: says what is kept and how to go on, and ends with status 130."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending takes a moment: let it
    note(f"{what} To continue, run the same command again:\n  {this_command()}")
    sys.exit(130)


def this_command() -> str:
    """The command line as it was given."""
    return shlex.join(["cnnarch", *sys.argv[1:]])


def duration(seconds: float) -> str:
    """3725 as 1:02:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
