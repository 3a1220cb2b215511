"""Look-ups of the vector environment: a table's results and each environment's random numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.mdp import MDP
from gym_cnnarch.rewards.table_evaluator import TableEvaluator

_BLOCK = 64  # random numbers drawn at a time for one environment


class TableColumns:
    """A table's results as arrays.

    Attributes:
        choices: R, the number of results that an evaluation can have.
        smaller: (S, A) int64, how many ways to finish a network of any cost come before those with
            this layer; summed along an episode, the architecture's rank among those of any cost.
        rewards: (R * N,) float64, by choice, then rank; (R * N, k) with k objectives.
        columns: The final info's fields, (R, N) each.
    """

    def __init__(self, env: CNNArchEnv, evaluator: TableEvaluator, mdp: MDP) -> None:
        space = env.search_space
        of_any_cost = space.of_any_cost
        self.choices = evaluator.choices
        self.smaller = np.zeros(mdp.legal.shape, dtype=np.int64)
        for number, state in enumerate(mdp.states):
            for layer, (smaller, _) in of_any_cost.branches(replace(state, channels=0)).items():
                self.smaller[number, space.actions.index(layer)] = smaller
        self._ranks: NDArray[np.int64] | None = None  # of each network among those of any cost
        if of_any_cost != space:
            networks = map(space.unrank, range(space.count()))
            self._ranks = np.array([of_any_cost.rank(network) for network in networks])
        shape = (self.choices, space.count())
        self.rewards = np.zeros((self.choices * space.count(), *np.shape(env.no_reward)))
        self.columns: dict[str, NDArray[Any]] = {}
        for rank in range(space.count()):
            architecture = space.unrank(rank)
            for choice in range(self.choices):
                evaluation = evaluator.result(rank, choice)
                self.rewards[choice * space.count() + rank] = env.reward_function(evaluation)
                for name, value in env.result_info(architecture, evaluation, space).items():
                    if name not in self.columns:
                        dtype = object if isinstance(value, str) else type(value)
                        self.columns[name] = np.zeros(shape, dtype=dtype)
                    self.columns[name][choice, rank] = value

    def positions(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ranks in the space of networks with these ranks among those of any cost."""
        return ranks if self._ranks is None else np.searchsorted(self._ranks, ranks)


class UniformStreams:
    """For each environment the uniform numbers that its own generator would draw, in blocks."""

    def __init__(self, num_envs: int) -> None:
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._seeds = [0] * num_envs  # of the generators that there are
        self._numbers = np.zeros((num_envs, _BLOCK))
        self._used = np.full(num_envs, _BLOCK)

    def seed(self, i: int, seed: int | None) -> None:
        """Begins the stream of environment i anew, unless the seed is None."""
        if seed is not None:
            self._generators[i], self._seeds[i] = seeding.np_random(seed)
            self._used[i] = _BLOCK

    def seed_of(self, i: int) -> int:
        """The seed of environment i, by chance if nobody gave it one."""
        self.generator(i)
        return self._seeds[i]

    def generator(self, i: int) -> np.random.Generator:
        """The generator of environment i, seeded by chance if nobody did."""
        generator = self._generators[i]
        if generator is None:
            generator, self._seeds[i] = seeding.np_random()
            self._generators[i] = generator
        return generator

    def draw(self, which: NDArray[np.int64]) -> NDArray[np.float64]:
        """The next number of each of these environments, in [0, 1)."""
        for i in which[self._used[which] == _BLOCK].tolist():
            self._numbers[i] = self.generator(i).random(_BLOCK)
            self._used[i] = 0
        numbers: NDArray[np.float64] = self._numbers[which, self._used[which]]
        self._used[which] += 1
        return numbers
