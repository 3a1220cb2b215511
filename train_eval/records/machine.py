"""On what something was made: versions of packages, the machine, its processor."""

import contextlib
import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def made_with(workers: int) -> dict[str, Any]:
    """Returns versions and workers, on which a run's numbers may depend besides its settings."""
    return {**versions(), "workers": workers}


def versions() -> dict[str, Any]:
    """Of packages, Python and the machine."""
    packages = ("gym-cnnarch", "numpy", "torch")
    return {
        **{package: importlib.metadata.version(package) for package in packages},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def installed_versions(packages: Iterable[str]) -> dict[str, Any]:
    """Of those packages that are installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def processor() -> str:
    """The processor's name; Linux tells it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()  # platform.processor() is empty
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
