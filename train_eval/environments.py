"""Environments by their id, and which of their arguments are places on this machine."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.errors import WrongArguments, first_line
from gym_cnnarch.rewards.table_evaluator import find_table
from gym_cnnarch.space.latencies import LayerLatencies

if TYPE_CHECKING:
    from train_eval.training.evaluator import TrainingEvaluator

PLACES = ("data_root", "store", "table", "curves")
"""Arguments of environments that are files or folders; ``dataset`` may hold one too."""


def with_absolute_places(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with absolute paths, so that they mean the same in any process and folder.

    ``folder:DATA`` and ``npz:FILE`` are made absolute too; names of shipped tables stay. Latencies
    of layers become their content.
    """
    absolute = dict(arguments)
    for name in PLACES:
        place = absolute.get(name)
        if place is not None and not (
            name == "table" and find_table(place) != Path(place).expanduser()
        ):
            absolute[name] = _absolute(place)
    if (dataset := absolute.get("dataset")) is not None:
        kind, separator, place = str(dataset).partition(":")
        absolute["dataset"] = f"{kind}:{_absolute(place)}" if separator else dataset
    space = absolute.get("search_space")
    if isinstance(space, Mapping) and isinstance(space.get("latencies"), str | Path):
        latencies = LayerLatencies.from_spec(space["latencies"]).as_json()
        absolute["search_space"] = {**space, "latencies": latencies}
    return absolute


def find_spec(env_id: str) -> EnvSpec:
    """The registered specification of an environment that designs networks.

    Args:
        env_id: An id, or ``module:ID`` where a module registers it.

    Raises:
        InvalidInput: If there is no such id, its module cannot be imported, or the environment is
            of another kind.
    """
    module, _, name = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        spec = gym.spec(name)
        creator: Any = spec.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
    except gym.error.Error as error:
        raise InvalidInput(f"No environment {env_id!r}: {error}") from error
    except (Exception, SystemExit) as error:  # what a module does when it is imported is its own
        raise InvalidInput(f"No environment {env_id!r}: {first_line(error)}.") from error
    if isinstance(creator, type) and not issubclass(creator, CNNArchEnv):
        raise InvalidInput(
            f"{env_id} does not design networks: expected one like CNNArch-Digits-v0."
        )
    return spec


def full_id(env_id: str) -> str:
    """The id that makes the environment anywhere: with its version, and its module if it is one's
    own.
    """
    module, separator, _ = env_id.rpartition(":")
    return f"{module}{separator}{find_spec(env_id).id}"


def make_env(env_id: str, **kwargs: Any) -> CNNArchEnv:
    """The unwrapped environment of an id.

    Raises:
        InvalidInput: If there is no such environment, or an argument cannot be used.
    """
    spec = find_spec(env_id)
    try:
        env = gym.make(spec, **with_absolute_places({**spec.kwargs, **kwargs})).unwrapped
    except WrongArguments as error:  # Gymnasium adds all of them
        raise InvalidInput(str(error).partition(" was raised from the environment")[0]) from error
    if not isinstance(env, CNNArchEnv):
        raise InvalidInput(f"{env_id} does not design networks: its entry point makes {env!r}.")
    return env


def training_evaluator(env: CNNArchEnv) -> "TrainingEvaluator | None":
    """The environment's evaluator if it trains networks, else None.

    To ask does not import torch: an evaluator that trains has imported it.
    """
    if "train_eval.training.evaluator" not in sys.modules:
        return None
    from train_eval.training.evaluator import TrainingEvaluator

    return env.evaluator if isinstance(env.evaluator, TrainingEvaluator) else None


def needs_training(env: CNNArchEnv, env_id: str) -> "TrainingEvaluator":
    """The environment's evaluator.

    Raises:
        InvalidInput: If it does not train networks.
    """
    evaluator = training_evaluator(env)
    if evaluator is None:
        raise InvalidInput(f"{env_id} does not train: choose an environment that does.")
    return evaluator


def _absolute(place: str | Path) -> str:
    return str(Path(place).expanduser().resolve())
