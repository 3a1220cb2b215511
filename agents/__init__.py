"""Agents that know observations, masks and episodes, and nothing of networks or data."""

from agents.base import Agent, Episode, Sequences
from agents.evolution import RegularizedEvolution
from agents.guided_evolution import GuidedEvolution
from agents.local_search import LocalSearch
from agents.metaqnn import MetaQNN
from agents.nsga2 import NSGA2
from agents.pareto_q import ParetoQ
from agents.random_walk import RandomWalk
from agents.reinforce import Reinforce
from agents.rollout import roll_out
from agents.schedules import PAPER_SCHEDULE, EpsilonSchedule
from agents.thompson import ThompsonSampling
from agents.tpe import TPE
from agents.uniform import Uniform

__all__ = [
    "NSGA2",
    "PAPER_SCHEDULE",
    "TPE",
    "Agent",
    "Episode",
    "EpsilonSchedule",
    "GuidedEvolution",
    "LocalSearch",
    "MetaQNN",
    "ParetoQ",
    "RandomWalk",
    "RegularizedEvolution",
    "Reinforce",
    "Sequences",
    "ThompsonSampling",
    "Uniform",
    "roll_out",
]
