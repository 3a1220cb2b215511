"""From a folder of images to a trained network and its test error: minutes.

    python examples/own_images.py DATA --networks 20

DATA holds train/<class>/ and test/<class>/ with pictures.
"""

import argparse
import json

from train_eval import load_network, run_search

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--networks", type=int, default=20)
parser.add_argument("--image-size", type=int, default=32)
parser.add_argument("--recipe", type=json.loads, default={"preset": "own"})
parser.add_argument("--final-recipe", type=json.loads, default="own-final")
arguments = parser.parse_args()

run = run_search(
    "CNNArch-v0",
    budget=arguments.networks,
    run_dir="runs/own_images",
    dataset=f"folder:{arguments.data}",
    recipe={**arguments.recipe, "image_size": arguments.image_size},
    search_space={"preset": "metaqnn", "max_layers": 6, "conv_filters": [16, 32, 64]},
)
for network in run.best(3):
    print(f"{network.accuracy:.1%}  {network.parameters:,} parameters  {network.architecture}")
results = run.finalize(arguments.final_recipe, networks=3)
for network in results.networks:
    print(f"test error {network.test_error:.1%}  {network.architecture}")
classes = load_network(f"runs/own_images/final/{results.networks[0].name}").class_names
print("Classes:", ", ".join(classes))
