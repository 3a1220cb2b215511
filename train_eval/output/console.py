"""The terminal: what is said, how an error ends a command, how to leave after Ctrl-C."""

import shlex
import signal
import sys
import unicodedata
from typing import NoReturn

from rich.console import Console
from rich.text import Text

_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # of text

out = Console()
err = Console(stderr=True)


def say(text: str) -> None:
    """Prints lines of results: no markup, no colours, not folded, nothing that steers terminals."""
    out.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """The same to standard error: what is no result."""
    err.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def sign_of_life() -> None:
    """Says that it has begun, unless what takes seconds has been imported already."""
    if "torch" not in sys.modules:
        note("Importing PyTorch and reading the images.")


def fail(error: object, status: int) -> NoReturn:
    """Ends the process with one line that says why."""
    err.print("[red]cnnarch:[/red] ", end="")
    note(" ".join(str(error).split("\n")))
    sys.exit(status)


def printable(text: str) -> str:
    """Foreign text as terminals may be given it: what controls them is written as an escape.

    Names of classes and files, messages and texts of networks come from anywhere. Line ends stay.
    """
    return "".join(repr(c)[1:-1] if _steers(c) else c for c in text)


def one_line(text: str) -> str:
    """The same without line ends."""
    return printable(text).replace("\n", "\\n")


def foreign(text: str) -> Text:
    """The same for a cell of a table or a line of a display: no markup."""
    return Text(one_line(text))


def _steers(character: str) -> bool:
    """Whether a terminal would do more than show a character."""
    category = unicodedata.category(character)
    return (category in ("Cc", "Cs", "Zl", "Zp") and character != "\n") or character in _DIRECTIONS


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
