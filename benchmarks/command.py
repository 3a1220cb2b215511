"""How the scripts here end: a wrong argument is one sentence, as in ``cnnarch``."""

import sys
from collections.abc import Callable

from gym_cnnarch import InvalidInput
from train_eval.parallel.worker import WorkersUnavailable
from train_eval.records.store import StoreError


def run(main: Callable[[], None]) -> None:
    """Runs a script; any other error is one of ours, and shows where it arose."""
    try:
        main()
    except (InvalidInput, StoreError, WorkersUnavailable, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
