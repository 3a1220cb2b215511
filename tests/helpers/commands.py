"""Commands as tests give them, and what a run holds afterwards."""

import json
import subprocess
import sys

import pytest
import torch  # noqa: F401  (commands that find it imported do not say that they import it)

from train_eval.cli.cnnarch import main

FAST = ("--env", "CNNArch-Digits-v0", "--recipe", "digits", "epochs=1", "train_size=200")


def cnnarch(capsys, *arguments):
    """Exit status, standard output and standard error of a command in this process."""
    status = status_of(*arguments)
    out, err = capsys.readouterr()
    return status, out, err


def status_of(*arguments):
    """Exit status of a command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cnnarch", *map(str, arguments)])
        try:
            main()
        except SystemExit as exit_:
            return exit_.code or 0
    return 0


def start(*arguments, **options):
    """The same in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "train_eval", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def recorded(capsys, run_dir):
    """All of a run but its seconds and its place."""
    summary = json.loads(cnnarch(capsys, "show", run_dir, "--json")[1])
    for network in summary["top"]:
        del network["train_seconds"]
    return {key: summary[key] for key in ("episodes", "epsilons", "top", "statuses", "unique")}


def search(run_dir, *arguments):
    return ("search", *FAST, "--executor", "inline", "--run-dir", run_dir, *arguments)
