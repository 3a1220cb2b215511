"""From a folder of images to a trained network and its test error, in minutes of one's choice.

    python examples/own_images.py DATA --minutes 30

DATA holds train/<class>/ and test/<class>/ with pictures.
"""

import argparse
import json

from train_eval import fit, load_network

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--minutes", type=float, default=30)
parser.add_argument("--recipe", type=json.loads, default={})
parser.add_argument("--workers", type=int, help="networks to train at a time")
arguments = parser.parse_args()

run = fit(
    arguments.data,
    hours=arguments.minutes / 60,
    run_dir="runs/own_images",
    recipe=arguments.recipe,
    workers=arguments.workers,
    tell=print,
)
for network in run.best(3):
    print(f"{network.accuracy:.1%}  {network.parameters:,} parameters  {network.architecture}")
for network in run.final.networks:
    print(f"test error {network.test_error:.1%}  {network.architecture}")
print(run.assess().confusion)  # rows: what it is; columns: the answer
best = load_network(run.run_dir / "final" / run.final.networks[0].name)
print("Classes:", ", ".join(best.class_names))
