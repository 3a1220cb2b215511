"""Measures whether MetaQNN learns: MetaQNN against the random walk on the embedded digits.

Runs `cnnarch search` for each agent and seed with the same budget, on one store, so that no network
is trained twice; prints the mean validation accuracy of the unique models at epsilon = 1 and at the
last epsilon, and the best. Interrupted, it continues where it stopped. Some 40 minutes on one core:

    python benchmarks/digits_agents.py --budget 300 --seeds 3 --folder runs/digits_agents
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

AGENTS = ("metaqnn", "random_walk")


def cnnarch(*arguments: str) -> str:
    command = [sys.executable, "-m", "train_eval", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--budget", type=int, default=300, help="unique networks (default: 300)")
    parser.add_argument("--seeds", type=int, default=3, help="agent seeds (default: 3)")
    parser.add_argument("--folder", type=Path, default=Path("runs/digits_agents"))
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        for agent in AGENTS:
            run_dir = arguments.folder / f"{agent}-{seed}"
            cnnarch(
                "search", "--env", "CNNArch-Digits-v0", "--agent", agent, "--seed", str(seed),
                "--budget", str(arguments.budget), "--run-dir", str(run_dir),
                "--store", str(arguments.folder / "store.sqlite"),
            )  # fmt: skip
            summary = json.loads(cnnarch("show", str(run_dir), "--json"))
            rows.append((agent, seed, summary))
    print(f"{'agent':12} seed  unique  epsilon=1  last epsilon  (its value)    mean    best")
    for agent, seed, summary in rows:
        first, last = summary["epsilons"][0], summary["epsilons"][-1]
        new = [e["accuracy"] for e in summary["episodes"] if e["new"]]
        print(
            f"{agent:12} {seed:4}  {len(new):6}  {first['mean_accuracy']:9.2%}"
            f"  {last['mean_accuracy']:12.2%}  {last['epsilon']:11.1f}  {sum(new) / len(new):6.2%}"
            f"  {max(new):6.2%}"
        )


if __name__ == "__main__":
    main()
