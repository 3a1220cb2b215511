"""Seconds from a command to its first line, the median of five, by standard output and error.

    python benchmarks/first_sign.py

Each command is ended as soon as it has said something. What a machine has not read for long takes
longer the first time.
"""

import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time

RUN = ["--recipe", "digits", "epochs=1", "--budget", "2", "--executor", "inline", "--run-dir"]
TIMES = 5


def first_line(arguments: list[str]) -> tuple[float, str]:
    """Seconds to the first line, and the line."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "train_eval", *arguments], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            selector.register(stream, selectors.EVENT_READ)
        (key, _), *_ = selector.select()
        said = os.read(key.fd, 1000).decode().partition("\n")[0]
    took = time.perf_counter() - began
    process.kill()
    process.communicate()
    return took, said


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        run = f"{place}/run"
        done = [sys.executable, "-m", "train_eval", "search", *RUN, run]
        subprocess.run(done, check=True, capture_output=True)
        for arguments in (
            ["search", *RUN, f"{place}/other"],
            ["finalize", run, "--out", f"{place}/final"],
            ["train", "[C(8,3,1), SM(10)]"],
            ["benchmark", "--out", f"{place}/page", "--budget", "10", "--seeds", "2"],
        ):
            times, said = zip(*(first_line(arguments) for _ in range(TIMES)), strict=True)
            print(f"{arguments[0]:10} {statistics.median(times):5.2f} s   {said[0]}", flush=True)


if __name__ == "__main__":
    main()
