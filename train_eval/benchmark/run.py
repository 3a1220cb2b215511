"""One agent, one seed, one budget: what it found, and what that cost."""

import csv
import gzip
import io
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from agents import roll_out, sb3
from gym_cnnarch import InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.files import replace_file
from gym_cnnarch.rewards.reward import Reward
from train_eval.environments import make_env
from train_eval.search.agents import SB3_PREFIX, find_agent, make_agent


@dataclass(frozen=True)
class Found:
    """A network that an agent met for the first time.

    Attributes:
        architecture: Canonical text.
        reward: Its reward, the first and only one that the agent is given for it; with objectives
            a vector.
        seconds: Training seconds of it and all before; recorded ones where nothing was trained.
        episodes: Number of episodes so far, this one included.
        steps: Number of steps so far.
        illegal: Number of illegal actions so far.
    """

    architecture: str
    reward: Reward
    seconds: float
    episodes: int
    steps: int
    illegal: int


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        found: The networks in the order in which they were met.
        episodes: Number of episodes of the whole run.
        steps: Number of its steps.
        illegal: Number of its illegal actions.
    """

    found: list[Found]
    episodes: int
    steps: int
    illegal: int


class BudgetSpent(Exception):
    """The agent has met as many networks as it may, or has had as many episodes."""


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Records each new network, and ends the run when the budget is spent.

    A network that is met again gives the reward it gave first, as the paper's replay dictionary
    does: agents pay for unique networks.

    Args:
        env: The environment, unwrapped.
        seed: Seed of its first reset.
        budget: Number of unique networks.
        max_episodes: Number of episodes after which an agent that repeats itself is stopped.

    Attributes:
        found: The networks in the order in which they were met.
        episodes, steps, illegal: Number of episodes, steps and illegal actions so far.
    """

    def __init__(self, env: CNNArchEnv, seed: int, budget: int, max_episodes: int) -> None:
        super().__init__(env)
        self.search_space = env.search_space
        self.action_masks = env.action_masks  # for MaskablePPO
        self.found: list[Found] = []
        self._first_seed: int | None = seed
        self._budget = budget
        self._max_episodes = max_episodes
        self._rewards: dict[str, Reward] = {}
        self._seconds = 0.0
        self.episodes = self.steps = self.illegal = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Resets; the first time with the run's seed, so that agents cannot choose it."""
        if len(self.found) == self._budget or self.episodes == self._max_episodes:
            raise BudgetSpent
        seed, self._first_seed = self._first_seed, None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Steps, and records what is new at the end of an episode."""
        reward: Any
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.steps += 1
        if terminated:
            self.episodes += 1
            if "architecture" in info:
                given = tuple(reward.tolist()) if np.ndim(reward) else float(reward)
                reward = np.array(self._reward(info, given))[()]
            else:
                self.illegal += 1
        return observation, reward, terminated, truncated, info

    def _reward(self, info: dict[str, Any], reward: Reward) -> Reward:
        text = info["architecture"]
        if text not in self._rewards:
            self._rewards[text] = reward
            self._seconds += info.get("train_seconds", 0.0)
            self.found.append(
                Found(text, reward, self._seconds, self.episodes, self.steps, self.illegal)
            )
        return self._rewards[text]


@dataclass(frozen=True)
class AgentRun:
    """One run of one agent, before it is done.

    Attributes:
        env: Id of the environment.
        kwargs: Its keyword arguments.
        agent: Name and settings of the agent.
        seed: Seed of the agent, from which that of the environment follows.
        budget: Number of unique networks.
        max_episodes: Number of episodes at most.
    """

    env: str
    kwargs: Mapping[str, Any]
    agent: Mapping[str, Any]
    seed: int
    budget: int
    max_episodes: int

    def execute(self) -> Outcome:
        """Runs the agent until its budget is spent.

        Raises:
            InvalidInput: If there is no such agent or environment, or settings cannot be used.
        """
        settings = dict(self.agent)
        kwargs = dict(self.kwargs)
        if "observe_size" in settings:
            kwargs["observe_size"] = settings.pop("observe_size")
        chance = np.random.SeedSequence([self.seed, 1])  # not the agent's own numbers again
        seed = int(chance.generate_state(1)[0])
        env = make_env(self.env, **kwargs)
        if env.objectives:
            find_agent(settings["name"], vector=True)
        recorder = Recorder(env, seed, self.budget, self.max_episodes)
        try:
            if settings["name"].startswith(SB3_PREFIX):
                name = settings.pop("name").removeprefix(SB3_PREFIX)
                try:
                    model = sb3.make_model(name, recorder, self.seed, settings)
                except ValueError as error:
                    raise InvalidInput(str(error)) from error
                sb3.train(model, self._usual_steps(recorder))
            else:
                _act_and_learn(recorder, settings, self.seed)
        except BudgetSpent:
            pass
        return Outcome(recorder.found, recorder.episodes, recorder.steps, recorder.illegal)

    def _usual_steps(self, recorder: Recorder) -> int:
        """For the horizon of schedules: half of the episodes new, of the greatest length."""
        return 2 * self.budget * (recorder.search_space.max_layers + 1)


def _act_and_learn(recorder: Recorder, settings: dict[str, Any], seed: int) -> None:
    agent = make_agent(settings, recorder.search_space, seed)
    while True:
        agent.learn(roll_out(recorder, agent))


def write_outcome(path: Path, outcome: Outcome) -> None:
    """A CSV file, compressed; equal runs give equal bytes.

    One row per network; the last row, without an architecture, is the end of the run.
    """
    seconds = outcome.found[-1].seconds if outcome.found else 0.0
    end = Found("", 0.0, seconds, outcome.episodes, outcome.steps, outcome.illegal)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Found))
    writer.writerows(
        (row.architecture, _as_text(row.reward), *astuple(row)[2:]) for row in (*outcome.found, end)
    )
    replace_file(path, gzip.compress(text.getvalue().encode(), mtime=0))


def read_outcome(path: Path) -> Outcome:
    """The inverse of ``write_outcome``."""
    rows = csv.reader(gzip.decompress(path.read_bytes()).decode().splitlines()[1:])
    *found, end = [
        Found(text, _as_reward(reward), float(seconds), int(episodes), int(steps), int(illegal))
        for text, reward, seconds, episodes, steps, illegal in rows
    ]
    return Outcome(found, end.episodes, end.steps, end.illegal)


def _as_text(reward: Reward) -> str:
    """A vector's numbers are kept apart by spaces."""
    return " ".join(map(repr, reward)) if isinstance(reward, tuple) else repr(reward)


def _as_reward(text: str) -> Reward:
    numbers = tuple(map(float, text.split()))
    return numbers if len(numbers) > 1 else numbers[0]
