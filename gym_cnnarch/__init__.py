"""CNN architecture search as a Gymnasium environment; importing it registers the ids."""

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.registration import register_environments
from gym_cnnarch.rewards.evaluation import Evaluation, Evaluator
from gym_cnnarch.space import shapes
from gym_cnnarch.space.architecture import Architecture
from gym_cnnarch.space.search_space import SearchSpace
from gym_cnnarch.version import __version__

__all__ = [
    "Architecture",
    "Evaluation",
    "Evaluator",
    "InvalidInput",
    "SearchSpace",
    "__version__",
    "shapes",
]

register_environments()
