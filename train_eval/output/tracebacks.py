"""Whether errors are shown with the place where they arose. Imports little."""

import os
import traceback

TRACEBACK = "CNNARCH_TRACEBACK"
"""Environment variable; if it is set, they are."""


def show_traceback(error: BaseException) -> None:
    """Prints where an error arose, if that is wished."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
