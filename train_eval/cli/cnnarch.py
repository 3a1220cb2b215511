"""The entry point of ``cnnarch``, and the one place where whatever goes wrong is said.

It imports little, so that Ctrl-C finds it ready while the rest is imported.
"""

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from train_eval.output.tracebacks import show_traceback

_BROKEN_PIPE = 141  # 128 + SIGPIPE, as of programs that the signal ends
_STOPPED = "cnnarch: Stopped."


def main() -> None:
    """Entry point: 0 is success, 2 the user's mistake, 1 anything else, 130 Ctrl-C."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of classes that it has no letters for
        sys.stdout.reconfigure(errors="backslashreplace")
    interrupted = threading.Event()
    with _ctrl_c(_ends_at_once):
        commands = _commands()
    try:
        with _ctrl_c(_raises(interrupted)):
            try:
                commands.run(sys.argv[1:])
            finally:
                sys.stdout.flush()
    except KeyboardInterrupt:
        _end(_STOPPED, 130)
    except Exception as error:
        if interrupted.is_set():  # libraries make errors of their own of it
            _end(_STOPPED, 130)
        if isinstance(error, BrokenPipeError):  # of ``cnnarch ... | head``
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the exit's flush
            sys.exit(_BROKEN_PIPE)
        show_traceback(error)
        message, status = commands.ending(error)
        from train_eval.output.console import fail

        fail(message, status)


def _commands() -> Any:
    """The module of the subcommands."""
    try:
        from train_eval.cli import commands
    except Exception as error:
        show_traceback(error)
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        _end(f"cnnarch: A package cannot be imported ({reason}): install gym-cnnarch anew.", 1)
    return commands


@contextlib.contextmanager
def _ctrl_c(handler: Any) -> Iterator[None]:
    """Sets what Ctrl-C does within the block, unless it does something else than usual already."""
    usual = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not usual
    ):
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, usual)


def _ends_at_once(*_: object) -> None:
    """Nothing has begun: there is nothing to save, and modules in C may not raise."""
    os.write(2, f"{_STOPPED}\n".encode())
    os._exit(130)


def _raises(interrupted: threading.Event) -> Any:
    """Raises KeyboardInterrupt, as usual, and notes it."""

    def handler(*_: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    return handler


def _end(message: str, status: int) -> Any:
    print(message, file=sys.stderr)
    sys.exit(status)
