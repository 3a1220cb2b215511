"""Agents that know observations, masks and episodes, and nothing of networks or data."""

from agents.base import Agent, Episode
from agents.metaqnn import MetaQNN
from agents.random_walk import RandomWalk
from agents.schedules import PAPER_SCHEDULE, EpsilonSchedule

__all__ = ["PAPER_SCHEDULE", "Agent", "Episode", "EpsilonSchedule", "MetaQNN", "RandomWalk"]
