"""The commands ``cnnarch report`` and ``cnnarch import``."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import tyro

from train_eval.cli.options import check_positive
from train_eval.environments import make_env
from train_eval.output import console
from train_eval.records.importing import import_results
from train_eval.report.terminal import tables
from train_eval.run.run import Run


@dataclass
class ReportCommand:
    """Write one self-contained page of a run, also while it is running."""

    run_dir: tyro.conf.Positional[Path]
    """The --run-dir of a search or of an import."""
    out: Path | None = None
    """Folder for the page and its figures. Default: report/ in the run's folder."""
    top: int = 10
    """Number of networks to show."""

    def run(self) -> None:
        """Writes the page and says where."""
        check_positive(self, "top")
        console.say(f"Report: {Run(self.run_dir).report(self.out, self.top)}")


@dataclass
class ImportCommand:
    """Make a run of results that others have published: a replay database or learning curves."""

    file: tyro.conf.Positional[Path]
    """CSV file with columns net, accuracy_best_val, epsilon, ... or net, acc_1, acc_2, ..."""
    env: str
    """Id of the environment whose space the networks are of, such as CNNArch-SVHN-v0."""
    run_dir: Path = Path("runs/imported")
    """Folder of the run."""
    store: Path | None = None
    """File of results to share with other runs. Default: store.sqlite in the run's folder."""

    def run(self) -> None:
        """Imports the file, and shows what is in it."""
        space = make_env(self.env, evaluator=None).search_space
        imported = import_results(self.file, self.env, space, self.run_dir, self.store)
        console.out.print(tables(Run(self.run_dir).summary))
        for reason, number in imported.skipped.items():
            console.say(f"Left out {number:,} of {imported.rows:,} rows: {reason}.")
        console.say(f"Next: cnnarch report {shlex.quote(str(self.run_dir))}")
