"""The commands ``cnnarch show`` and ``cnnarch latency``."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.live import Live

from gym_cnnarch import InvalidInput
from train_eval.cli.options import check_positive
from train_eval.output import console
from train_eval.records.run_directory import is_in_use
from train_eval.report.terminal import tables
from train_eval.run.run import Run

_WATCH_SECONDS = 2.0


@dataclass
class ShowCommand:
    """Show a run so far: accuracy per epsilon and the best networks."""

    run_dir: tyro.conf.Positional[Path]
    """The --run-dir of a search."""
    top: int = 5
    """Number of networks to list."""
    json: bool = False
    """Print all of it as JSON, every network and episode included."""
    watch: bool = False
    """Follow a running search until it ends, or until Ctrl-C."""

    def run(self) -> None:
        """Prints the tables or the JSON."""
        check_positive(self, "top")
        if self.json and self.watch:
            raise InvalidInput("--json prints the run as it is: leave out --watch.")
        run = Run(self.run_dir)
        summary = run.summary
        if self.json:
            print(json.dumps(summary.as_json(), indent=2))
            return
        if not self.watch:
            console.out.print(tables(summary, self.top))
            return
        with Live(tables(summary, self.top), console=console.out, auto_refresh=False) as live:
            at_work = True
            while at_work and not summary.finished:
                time.sleep(_WATCH_SECONDS)
                at_work = is_in_use(self.run_dir)  # before it is read for the last time
                summary = run.summary
                live.update(tables(summary, self.top), refresh=True)
        if not summary.finished:
            console.note(f"No search is at work in {self.run_dir}.")


@dataclass
class LatencyCommand:
    """Measure how long a run's best networks take on this machine, and record it."""

    run_dir: tyro.conf.Positional[Path]
    """The --run-dir of a search."""
    networks: int = 10
    """Number of networks, the best by validation accuracy."""
    latency_batch: int = 1
    """Images of a forward pass."""
    device: str | None = None
    """Where to measure: cpu, cuda, cuda:1, ... Default: CUDA where there is one, else the CPU."""
    json: bool = False
    """Print what is known of this machine as JSON."""

    def run(self) -> None:
        """Measures what is not known yet, while nothing else should be at work."""
        check_positive(self, "networks", "latency_batch")
        run = Run(self.run_dir)
        if not run.best(1):
            raise InvalidInput(f"The run in {self.run_dir} has no trained network yet.")
        found = run.latencies(self.networks, self.device, self.latency_batch)
        if self.json:
            print(json.dumps(found.as_json(), indent=2))
            return
        console.out.print(tables(run.summary, self.networks))
