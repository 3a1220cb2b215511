"""Infos of a network beside the action mask: all that is known, or numbers alone."""

from typing import Any, Literal

from gym_cnnarch.rewards.evaluation import STATUSES, Evaluation
from gym_cnnarch.space.architecture import Architecture
from gym_cnnarch.space.search_space import SearchSpace
from gym_cnnarch.space.shapes import count_macs, count_parameters

InfoKind = Literal["full", "numeric"]

_NONE = -1  # as a rank: no network is finished; as a status: none was evaluated


def full_info(
    architecture: Architecture, evaluation: Evaluation | None, space: SearchSpace
) -> dict[str, Any]:
    """An episode's final info; what is not known is left out."""
    if evaluation is None:
        return {
            "architecture": str(architecture),
            "parameters": count_parameters(architecture, space.input_shape),
            "macs": count_macs(architecture, space.input_shape),
        }
    info = {
        "architecture": str(architecture),
        "accuracy": evaluation.accuracy,
        "status": evaluation.status,
        "parameters": evaluation.parameters,
        "macs": evaluation.macs,
        "cached": evaluation.cached,
    }
    if evaluation.train_seconds is not None:
        info["train_seconds"] = evaluation.train_seconds
    return info


def numeric_info(
    architecture: Architecture, evaluation: Evaluation | None, space: SearchSpace
) -> dict[str, Any]:
    """The same in the keys of ``no_result``."""
    info = full_info(architecture, evaluation, space)
    if evaluation is not None:
        info["status"] = STATUSES.index(evaluation.status)
    if _has_ranks(space):
        info["rank"] = space.of_any_cost.rank(architecture)
    return {key: info[key] for key in no_result(space) if key in info}


def no_result(space: SearchSpace) -> dict[str, Any]:
    """Returns the numeric info of an unfinished network: every key, each of its type."""
    rank = {"rank": _NONE} if _has_ranks(space) else {}
    info = {"accuracy": 0.0, "status": _NONE, "parameters": 0, "macs": 0, "invalid_action": False}
    return {**rank, **info}


def _has_ranks(space: SearchSpace) -> bool:
    """Whether the numbers of networks of any cost, which take no time to find, fit into 64 bits."""
    return space.of_any_cost.count() < 2**63
