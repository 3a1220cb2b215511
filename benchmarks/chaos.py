"""Kills a search at random moments and compares its end with a search that was left alone.

Runs `cnnarch search` on the embedded digits with two worker processes. Sends SIGKILL to the driver,
starts it again, sends SIGKILL to a worker, and so on; the store passes SQLite's integrity check
after each kill. In the end both runs must be equal row by row but for the seconds. Prints what it
did; exits with 1 if anything differs. Some 10 minutes:

    python benchmarks/chaos.py --driver-kills 30 --worker-kills 30
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVALUATIONS = (
    "SELECT task, architecture, seed, status, accuracy, curve, parameters, macs, learning_rate,"
    " message FROM evaluations ORDER BY task, architecture, seed"
)
EPISODES = "SELECT * FROM episodes ORDER BY number"


def command(run_dir: Path, budget: int) -> list[str]:
    return [
        sys.executable, "-m", "train_eval", "search", "--env", "CNNArch-Digits-v0",
        "--recipe", "digits", "epochs=6", "--budget", str(budget), "--workers", "2",
        "--lookahead", "8", "--run-dir", str(run_dir),
    ]  # fmt: skip


def workers_of(driver: int) -> list[int]:
    """Process numbers of the driver's workers that have torch loaded."""
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    threads = [p for t in Path(f"/proc/{driver}/task").iterdir() for p in _children(t)]
    found = []
    for pid in {*map(int, children), *threads}:
        try:
            loaded = "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if loaded:
            found.append(pid)
    return found


def _children(task: Path) -> list[int]:
    try:
        return [int(pid) for pid in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def rows(run_dir: Path) -> tuple[list[tuple], list[tuple]]:
    with sqlite3.connect(run_dir / "store.sqlite") as db:
        return db.execute(EVALUATIONS).fetchall(), db.execute(EPISODES).fetchall()


def check_integrity(run_dir: Path) -> None:
    path = run_dir / "store.sqlite"
    if path.exists():
        with sqlite3.connect(path, timeout=60) as db:
            (answer,) = db.execute("PRAGMA integrity_check").fetchone()
        assert answer == "ok", answer


def progress(run_dir: Path) -> int:
    path = run_dir / "store.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(path, timeout=60) as db:
        try:
            return db.execute("SELECT count(*) FROM evaluations").fetchone()[0]
        except sqlite3.OperationalError:  # killed before the tables were made
            return 0


def start(run_dir: Path, budget: int) -> subprocess.Popen:
    return subprocess.Popen(
        command(run_dir, budget), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--driver-kills", type=int, default=30)
    parser.add_argument("--worker-kills", type=int, default=30)
    parser.add_argument("--budget", type=int, default=400, help="unique networks (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the kills (default: 0)")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    kills = ["driver"] * arguments.driver_kills + ["worker"] * arguments.worker_kills
    rng.shuffle(kills)
    with tempfile.TemporaryDirectory() as folder:
        killed, whole = Path(folder) / "killed", Path(folder) / "whole"
        driver = start(killed, arguments.budget)
        done = {"driver": 0, "worker": 0}
        for kill in kills:
            # A driver is killed at any moment, its start included; before a worker is killed, the
            # network of the one killed before has time to end: hit twice, it would be an `error`.
            time.sleep(rng.uniform(0.0, 8.0) if kill == "driver" else rng.uniform(6.0, 9.0))
            if driver.poll() is not None:
                sys.exit(f"the search ended after {done}: raise --budget")
            if kill == "driver":
                driver.kill()
                driver.wait()
                done["driver"] += 1
                check_integrity(killed)
                driver = start(killed, arguments.budget)
                continue
            while not (workers := workers_of(driver.pid)):
                time.sleep(0.1)
            os.kill(rng.choice(workers), signal.SIGKILL)
            done["worker"] += 1
            check_integrity(killed)
            print(json.dumps({"killed": done, "evaluations": progress(killed)}), flush=True)
        status = driver.wait()
        print(f"killed {done['driver']} drivers and {done['worker']} workers; last exit {status}")
        check_integrity(killed)
        subprocess.run(
            command(whole, arguments.budget), check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        check_integrity(whole)
        evaluations, episodes = rows(killed)
        equal = (evaluations, episodes) == rows(whole)
        print(
            f"{len(evaluations)} evaluations and {len(episodes)} episodes: "
            f"{'equal' if equal else 'DIFFERENT'} row by row"
        )
        if not equal or status != 0:
            sys.exit(1)


if __name__ == "__main__":
    main()
