"""Stable-Baselines3's agents on an environment of this package.

Stable-Baselines3 is imported when an algorithm is asked for: ``pip install gym-cnnarch[rl]``.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import DtypeObservation, FlattenObservation

_PPO = {
    "n_steps": 128, "batch_size": 64, "n_epochs": 5, "learning_rate": 1e-3, "ent_coef": 0.2,
}  # fmt: skip

DEFAULTS: dict[str, dict[str, Any]] = {
    "PPO": _PPO,
    "MaskablePPO": _PPO,
    "A2C": {"n_steps": 32, "learning_rate": 1e-3, "ent_coef": 0.02},
    "DQN": {
        "learning_rate": 1e-3, "learning_starts": 100, "train_freq": 4,
        "target_update_interval": 250, "exploration_fraction": 0.3, "exploration_final_eps": 0.1,
    },
}  # fmt: skip
"""Settings for episodes of 1 to 19 steps with one reward at the end, beside ``gamma`` = 1 where
there is one (ARS has none).

Updates come often and entropy counts for much, since these agents pay for networks that they have
not met: found on ``CNNArch-CIFAR10Table-v0``, see docs/benchmark.md.
"""

_MODULES = ("stable_baselines3", "sb3_contrib")


def find_algorithm(name: str) -> Any:
    """The class of an algorithm of stable-baselines3 or sb3-contrib.

    Raises:
        ValueError: If there is none of that name, or the packages are missing.
    """
    known: list[str] = []
    for module_name in _MODULES:
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise ValueError(
                f"{name} needs {error.name}: pip install 'gym-cnnarch[rl]'."
            ) from error
        base = importlib.import_module("stable_baselines3.common.base_class").BaseAlgorithm
        algorithms = {n: c for n, c in vars(module).items() if _is_algorithm(c, base)}
        if name in algorithms:
            return algorithms[name]
        known += algorithms
    raise ValueError(f"Stable-Baselines3 has no algorithm {name!r}: it has {', '.join(known)}.")


def make_model(name: str, env: gym.Env[Any, Any], seed: int, settings: Mapping[str, Any]) -> Any:
    """A model of the algorithm, on the CPU.

    Args:
        name: ``PPO``, ``DQN``, ``MaskablePPO``, ...
        env: The environment; MaskablePPO calls its ``action_masks()``.
        seed: Seed of the policy and its exploration.
        settings: Keyword arguments of the algorithm, over ``DEFAULTS``.

    Raises:
        ValueError: If there is no such algorithm, or it does not accept the actions or settings.
    """
    algorithm = find_algorithm(name)
    policy = "MlpPolicy"
    if "MlpLstmPolicy" in algorithm.policy_aliases:
        policy = "MlpLstmPolicy"  # of RecurrentPPO, whose networks cannot read MultiDiscrete
        env = DtypeObservation(FlattenObservation(env), np.float32)
    usual = {"policy": policy, "gamma": 1.0, "device": "cpu", **DEFAULTS.get(name, {})}
    taken = inspect.signature(algorithm).parameters
    arguments = {key: value for key, value in usual.items() if key in taken} | dict(settings)
    try:
        return algorithm(env=env, seed=seed, **arguments)
    except (TypeError, ValueError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{name} cannot be used here: {reason}") from error


def train(model: Any, steps: int) -> None:
    """Trains until the environment raises, which is how its budget ends the training.

    Args:
        model: Of ``make_model``.
        steps: About how many steps that takes, which is the horizon of schedules.
    """
    model.learn(steps)
    while True:
        model.learn(steps, reset_num_timesteps=False)


def _is_algorithm(candidate: Any, base: type) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, base) and candidate is not base
