"""Measures what this project makes of a GPU: one command, for anyone who has one.

Needs no network and nothing but this folder, PyTorch and what it lists if that is missing. Without
images of your own the speeds are measured on noise, as pixels do not matter to them; the search at
the end, `--hours`, wants real ones: a folder with train/<class>/*.png or jpg, an archive (.tar.gz,
.zip) of one, an .npz file, or CIFAR-10 as its authors publish it (cifar-10-python.tar.gz, or the
folder cifar-10-batches-py):

    python benchmarks/gpu.py --data cifar10-images.tar.gz --hours 1

Prints a table for each part and writes all to `gpu.json` in the folder `--out`. `--only PART...`
chooses parts. `--device cpu --tiny` runs every part in a minute or two, to see that it runs.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    "tests", "training_loop", "workers", "deterministic", "evaluation", "peak", "graphs", "search",
)  # fmt: skip


def main() -> None:
    arguments = _arguments()
    missing = _missing()
    if missing:
        sys.exit(
            f"Missing: {', '.join(missing)}. Install them with\n"
            f"  {sys.executable} -m pip install --editable {ROOT} pytest\n"
            f"which keeps the PyTorch that is here if it is new enough."
        )
    if arguments.device == "cuda":  # one card, also where there are more
        seen = os.environ.get("CUDA_VISIBLE_DEVICES") or "0"
        os.environ["CUDA_VISIBLE_DEVICES"] = seen.partition(",")[0]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path.insert(0, str(ROOT))
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # for workers
    measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Runs the parts one after the other; one that fails does not stop the rest."""
    import gpu_parts as parts
    import torch
    from gpu_place import PEAKS, Place
    from rich.console import Console

    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device here: try --device cpu --tiny.")
    if "search" in (arguments.only or ()) and not arguments.hours:
        sys.exit("A search wants to know how long: say it with --hours.")
    if arguments.hours and not arguments.data:
        sys.exit("A search wants real images: name them with --data.")
    console = Console(width=None if sys.stdout.isatty() else 160)
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = torch.device(arguments.device)
    machine = _machine(device)
    sheet = next((tflops for name, tflops in PEAKS.items() if name in machine["card"]), None)
    dataset, data_root = _images(arguments)
    place = Place(
        device, dataset, data_root, arguments.out, 0.05 if arguments.tiny else arguments.seconds,
        arguments.tiny, arguments.peak or sheet,
    )  # fmt: skip
    console.print(
        *(f"{name}: {value}" for name, value in machine.items()), sep="\n", highlight=False
    )
    console.print(f"images: {dataset}; peak by the data sheet: {place.peak or 'not known'} TFLOPS")
    results = {"machine": machine, "peak": place.peak, "images": dataset, "parts": {}}
    for name in arguments.only or PARTS:
        if name == "search" and not arguments.hours:
            continue
        part = parts.search_for if name == "search" else getattr(parts, name)
        options = (arguments.hours, arguments.budget, arguments.workers_per_gpu)
        started = time.monotonic()
        try:
            rows = part(place, *options) if name == "search" else part(place)
            found = {"rows": rows}
        except Exception as error:
            rows, found = [], {"error": f"{type(error).__name__}: {error}"}
        found["seconds"] = round(time.monotonic() - started, 1)
        results["parts"][name] = {"what": " ".join((part.__doc__ or "").split()), **found}
        console.print(_table(name, results["parts"][name], rows))
        (arguments.out / "gpu.json").write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"All of it: {arguments.out / 'gpu.json'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="images of 32x32 pixels in 10 classes")
    parser.add_argument("--hours", type=float, help="of the search; without it there is none")
    parser.add_argument("--budget", type=int, help="networks of its schedule (the paper's: 2,700)")
    parser.add_argument("--workers-per-gpu", type=int, default=1, help="of the search")
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement of a step")
    parser.add_argument("--out", type=Path, default=Path("gpu-benchmark"))
    parser.add_argument(
        "--peak", type=float, help="TFLOPS of the card, if its name says too little"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--tiny", action="store_true", help="small networks, few images: no figures"
    )
    return parser.parse_args()


def _missing() -> list[str]:
    """Packages that this project needs and that are not here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [re.match(r"[\w.-]+", each)[0] for each in project["dependencies"]]
    missing = []
    for name in (*wanted, "pytest", project["name"]):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    return missing


def _machine(device) -> dict[str, str]:
    """Card, driver, processor and versions."""
    import torch

    from train_eval.records.machine import processor, versions

    found = {"card": "none", "processor": processor(), "cores": os.cpu_count(), **versions()}
    if device.type == "cuda":
        known = torch.cuda.get_device_properties(device)
        found |= {
            "card": known.name,
            "memory": f"{known.total_memory / 2**30:.0f} GiB",
            "capability": f"{known.major}.{known.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
        asked = ["nvidia-smi", "--query-gpu=driver_version,power.limit", "--format=csv,noheader"]
        with contextlib.suppress(OSError):
            found["driver, power"] = subprocess.run(
                asked, capture_output=True, text=True
            ).stdout.strip()
    return found


def _images(arguments: argparse.Namespace) -> tuple[str, str | None]:
    """Name of the data set, and where torchvision's files lie."""
    given, tiny = arguments.data, arguments.tiny
    if given is None:
        return f"npz:{_noise(arguments.out, 300 if tiny else 10_500)}", None
    given = given.expanduser().resolve()
    if not given.exists():
        sys.exit(f"There is nothing at {given}: name images with --data.")
    if given.suffix == ".npz":
        return f"npz:{given}", None
    if given.name in ("cifar-10-python.tar.gz", "cifar-10-batches-py"):
        return "cifar10", str(given.parent)
    if given.is_file():
        unpacked = (arguments.out / "images").resolve()
        if not unpacked.exists():
            part = unpacked.with_name("images.part")
            shutil.rmtree(part, ignore_errors=True)
            safely = {} if given.suffix == ".zip" else {"filter": "data"}
            shutil.unpack_archive(given, part, **safely)
            part.rename(unpacked)
        given = unpacked
    if (given / "cifar-10-batches-py").is_dir():
        return "cifar10", str(given)
    for folder in (given, *sorted(each for each in given.iterdir() if each.is_dir())):
        if (folder / "train").is_dir():
            return f"folder:{folder}", None
    sys.exit(f"{given} holds no train/<class>/ with pictures: name another with --data.")


def _noise(folder: Path, images: int) -> Path:
    """An .npz file of noise in ten classes."""
    import numpy as np

    file = (folder / f"noise-{images}.npz").resolve()
    if not file.exists():
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (images, 32, 32, 3), dtype=np.uint8)
        np.savez(file, x_train=pixels, y_train=np.arange(images) % 10)
    return file


def _table(name: str, part: dict, rows: list):
    from rich.table import Table

    table = Table(title=f"{name}: {part['what']} ({part['seconds']} s)", title_justify="left")
    if "error" in part:
        table.add_column("failed")
        table.add_row(part["error"])
        return table
    columns = max(rows, key=len)
    for column in columns:
        table.add_column(
            column, overflow="fold", justify="left" if column == "network" else "right"
        )
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    return table


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


if __name__ == "__main__":
    main()
