"""The commands ``cnnarch report`` and ``cnnarch import``."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from train_eval.cli.options import check_positive
from train_eval.records.importing import import_results
from train_eval.records.run_directory import find_run
from train_eval.records.summary import summarise, tables
from train_eval.report.page import write_report

_out = Console()


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
        store, run = find_run(self.run_dir)
        page = write_report(self.run_dir, store, run, self.out or self.run_dir / "report", self.top)
        _out.print(f"Report: {page}", markup=False, soft_wrap=True)


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
        imported = import_results(self.file, self.env, self.run_dir, self.store)
        _out.print(tables(summarise(self.run_dir, imported.store, imported.run)))
        for reason, number in imported.skipped.items():
            _out.print(f"Left out {number:,} of {imported.rows:,} rows: {reason}.", markup=False)
        _out.print(f"Next: cnnarch report {shlex.quote(str(self.run_dir))}", markup=False)
