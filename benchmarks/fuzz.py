"""Damages files in many ways and looks at what becomes of them.

Stores, .npz files, pictures, cards of networks and run.json are written, then single bits, bytes,
pages or values are changed, or the file is cut. Whatever reads a damaged file must give what the
whole file gave, or end in one sentence. Nothing is trained. Prints what happened to each kind;
exits with 1 after a traceback, or a success that differs. Some 3 minutes on one core:

    python benchmarks/fuzz.py
    python benchmarks/fuzz.py --stores 3000 --npz 0 --pictures 0 --cards 0 --runs 0 --seed 1
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gym_cnnarch import Architecture, Evaluation, InvalidInput
from train_eval import Run, run_search
from train_eval.records.store import StoreError

ENV, BUDGET, STOPPED_AFTER = "CNNArch-Digits-v0", 30, 15
VALUES = [None, True, False, 0, -1, 3, 1e300, 10**30, "", "x", [], [None], {}, {"a": 1}, "[" * 99]
COLUMNS = ("equal", "sentence", "DIFFERENT", "TRACEBACK")


class InstantEvaluator:
    """Accuracies made of the text's hash: nothing is trained."""

    task = "instant"

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        digest = hashlib.sha256(f"{seed}:{architecture}".encode()).digest()
        status = "ok" if digest[1] % 8 else "error"
        return Evaluation(digest[0] / 255, status, 1, 1, (0.1, 0.2), 0.0, message="x" * digest[2])


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, most often one."""
    changed = bytearray(content)
    place = rng.randrange(len(changed))
    match rng.choices(range(6), weights=(5, 5, 1, 1, 1, 1))[0]:
        case 0:
            changed[place] ^= 1 << rng.randrange(8)
        case 1:
            changed[place] = (changed[place] + rng.randrange(1, 256)) % 256
        case 2:
            del changed[place:]
        case 3:
            block = place - place % 512
            changed[block : block + 512] = bytes(len(changed[block : block + 512]))
        case 4:
            changed[place : place + 64] = rng.randbytes(len(changed[place : place + 64]))
        case 5:
            changed[place:place] = changed[:64]
    return bytes(changed)


def mutated(plain: Any, rng: random.Random) -> Any:
    """JSON with one value changed, somewhere."""
    if isinstance(plain, dict) and plain and rng.random() < 0.9:
        name = rng.choice(list(plain))
        if rng.random() < 0.1:
            return {key: value for key, value in plain.items() if key != name}
        return {**plain, name: mutated(plain[name], rng)}
    if isinstance(plain, list) and plain and rng.random() < 0.7:
        place = rng.randrange(len(plain))
        return [*plain[:place], mutated(plain[place], rng), *plain[place + 1 :]]
    return rng.choice(VALUES)


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return damaged(content, rng)
    return json.dumps(mutated(json.loads(content), rng)).encode()


def outcome(attempt: Callable[[], Any], expected: Any) -> str:
    """One of COLUMNS."""
    try:
        found = attempt()
    except (InvalidInput, StoreError) as error:
        return "sentence" if "\n" not in str(error) else "TRACEBACK"
    except Exception:
        traceback.print_exc()
        return "TRACEBACK"
    return "equal" if found == expected else "DIFFERENT"


def searched(run_dir: Path, stop: int | None = None) -> str:
    """All of a run after it has been begun or continued, but for its place."""
    seen: list[Any] = []

    def count(learned: Any) -> None:
        seen.append(learned)
        if len(seen) == stop:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        run_search(
            ENV, "random_walk", BUDGET, run_dir=run_dir, evaluator=InstantEvaluator(),
            on_episode=count,
        )  # fmt: skip
    return shown(run_dir)


def shown(run_dir: Path) -> str:
    plain = Run(run_dir).summary.as_json()
    for name in ("run_dir", "store", "wall_seconds"):
        del plain[name]
    return json.dumps(plain)


def runs(
    folder: Path, rng: random.Random, tries: int, file: str, damage: Callable[..., bytes]
) -> Iterator[str]:
    """Shows and continues runs, one of whose files is damaged: whole ones and stopped ones."""
    whole = searched(folder / "whole")
    stopped = {"whole": whole, "stopped": searched(folder / "stopped", STOPPED_AFTER)}
    for _ in range(tries):
        name = rng.choice(list(stopped))
        copy = folder / "copy"
        shutil.copytree(folder / name, copy)
        path = copy / file
        path.write_bytes(damage(path.read_bytes(), rng))
        results = [
            outcome(partial(shown, copy), stopped[name]),
            outcome(partial(searched, copy), whole),
        ]
        shutil.rmtree(copy)
        yield max(results, key=COLUMNS.index)


def stores(folder: Path, rng: random.Random, tries: int) -> Iterator[str]:
    return runs(folder, rng, tries, "store.sqlite", damaged)


def run_files(folder: Path, rng: random.Random, tries: int) -> Iterator[str]:
    return runs(folder, rng, tries, "run.json", damaged_json)


def npz(folder: Path, rng: random.Random, tries: int) -> Iterator[str]:
    from train_eval.data.sources import load_dataset

    numbers = np.random.default_rng(0)
    arrays = {
        "x_train": numbers.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(40) % 4,
        "class_names": np.array(["a", "b", "c", "d"]),
    }
    fingerprint = lambda path: load_dataset(f"npz:{path}").fingerprint
    files = []
    for save in (np.savez, np.savez_compressed):
        save(folder / "whole.npz", **arrays)
        files.append((folder / "whole.npz").read_bytes())
    expected = load_dataset(f"npz:{folder / 'whole.npz'}").fingerprint
    for number in range(tries):
        path = folder / f"{number}.npz"
        path.write_bytes(damaged(rng.choice(files), rng))
        yield outcome(partial(fingerprint, path), expected)
        path.unlink()


def pictures(folder: Path, rng: random.Random, tries: int) -> Iterator[str]:
    """PNG, which has checksums, as a success may not differ; what has none may."""
    from train_eval.data.pictures import read_picture, to_array

    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    bytes_of = lambda path: to_array(read_picture(path, "RGB"), None).tobytes()
    contents = []
    for mode in ("L", "RGB", "RGBA", "P"):
        Image.fromarray(pixels).convert(mode).save(folder / "whole.png")
        array = to_array(read_picture(folder / "whole.png", "RGB"), None)
        contents.append(((folder / "whole.png").read_bytes(), array.tobytes()))
    for number in range(tries):
        content, expected = rng.choice(contents)
        path = folder / f"{number}.png"
        path.write_bytes(damaged(content, rng))
        yield outcome(partial(bytes_of, path), expected)


def cards(folder: Path, rng: random.Random, tries: int) -> Iterator[str]:
    from train_eval.final.network.trained_network import load_network, save_network
    from train_eval.final.testing import predict
    from train_eval.training.network import build_network

    card = {
        "architecture": "[C(4,3,1), P(2,2), C(4,3,1), FC(8), SM(2)]", "input_shape": [3, 8, 8],
        "image_size": None, "dropout": True, "class_names": ["cat", "dog"],
        "normalisation": {"kind": "channels", "mean": [99.5] * 3, "std": [50.5] * 3},
    }  # fmt: skip
    network = build_network(Architecture.parse(str(card["architecture"])), (3, 8, 8), 2, True)
    save_network(network, card, folder / "net")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
    whole = (folder / "net.json").read_bytes()

    def answer() -> tuple[bytes, list[str]]:
        trained = load_network(folder / "net")
        return predict(trained, images).tobytes(), trained.class_names

    expected = answer()
    for _ in range(tries):
        (folder / "net.json").write_bytes(damaged_json(whole, rng))
        yield outcome(answer, expected)


KINDS: dict[str, tuple[Callable[[Path, random.Random, int], Iterator[str]], int]] = {
    "stores": (stores, 300),
    "npz": (npz, 300),
    "pictures": (pictures, 300),
    "cards": (cards, 100),
    "runs": (run_files, 100),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    for kind, (_, tries) in KINDS.items():
        parser.add_argument(f"--{kind}", type=int, default=tries, help=f"(default: {tries})")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage (default: 0)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    bad = 0
    print(f"{'':10}{'tries':>7}{''.join(f'{column:>11}' for column in COLUMNS)}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        for kind, (fuzz, _) in KINDS.items():
            (Path(folder) / kind).mkdir()
            tries = getattr(arguments, kind)
            began = time.monotonic()
            found = Counter(fuzz(Path(folder) / kind, random.Random(arguments.seed), tries))
            counts = "".join(f"{found[column]:>11}" for column in COLUMNS)
            print(f"{kind:10}{tries:>7}{counts}{time.monotonic() - began:>9.1f}", flush=True)
            bad += found["DIFFERENT"] + found["TRACEBACK"]
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
