"""The registered environments: id -> plain-data keyword arguments."""

from typing import Any

import gymnasium as gym

TRAINING = "train_eval:TrainingEvaluator"
TABLE = "gym_cnnarch.rewards.table_evaluator:TableEvaluator"

EVALUATORS: dict[str, str] = {
    "training": TRAINING,
    "table": TABLE,
    "surrogate": "train_eval:SurrogateEvaluator",
}
"""Short names of evaluators -> where they are."""

DATASET_INPUTS: dict[str, tuple[tuple[int, int, int], int]] = {
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
    "svhn": ((3, 32, 32), 10),
    "mnist": ((1, 28, 28), 10),
    "fashionmnist": ((1, 28, 28), 10),
    "digits": ((1, 8, 8), 10),
    "cluttered_digits": ((1, 16, 16), 10),
}
"""Data set -> (channels, height, width) and number of classes, for construction without data."""

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "CNNArch-CIFAR10-v0": {"dataset": "cifar10", "search_space": "metaqnn-18", "recipe": "paper"},
    "CNNArch-CIFAR100-v0": {"dataset": "cifar100", "search_space": "metaqnn-18", "recipe": "paper"},
    "CNNArch-SVHN-v0": {"dataset": "svhn", "search_space": "metaqnn", "recipe": "paper"},
    "CNNArch-MNIST-v0": {"dataset": "mnist", "search_space": "metaqnn", "recipe": "paper"},
    "CNNArch-FashionMNIST-v0": {
        "dataset": "fashionmnist",
        "search_space": "metaqnn",
        "recipe": "paper",
    },
    "CNNArch-Digits-v0": {"dataset": "digits", "search_space": "digits", "recipe": "digits"},
    "CNNArch-ClutteredDigits-v0": {
        "dataset": "cluttered_digits",
        "search_space": "small",
        "recipe": "cluttered-digits",
    },
    "CNNArch-v0": {"dataset": None, "search_space": "metaqnn", "recipe": "own"},
    "CNNArch-CIFAR10Table-v0": {"evaluator": TABLE, "table": "cifar10-16x16"},
    "CNNArch-ClutteredDigitsTable-v0": {"evaluator": TABLE, "table": "cluttered-digits"},
}


def register_environments() -> None:
    """Registers every id with Gymnasium.

    Ids that train are not deterministic in the strict sense of Gymnasium's tests: their infos say
    how long training took. ``max_episode_steps`` is left out, for ``gym.make`` would then mark the
    last step of a longest episode as truncated, and end episodes of wider search spaces early.
    """
    for env_id, kwargs in ENVIRONMENTS.items():
        arguments = {"evaluator": TRAINING, **kwargs}
        gym.register(
            env_id,
            entry_point="gym_cnnarch.env:CNNArchEnv",
            vector_entry_point="gym_cnnarch.vector_env:CNNArchVectorEnv",
            nondeterministic=arguments["evaluator"] == TRAINING,
            kwargs=arguments,
        )
