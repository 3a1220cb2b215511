"""Evolution towards the whole front of several objectives."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import Beginnings, Episode, Observation, Sequences, state_key
from agents.neighbours import Actions, mutate
from agents.pareto import crowding_distances, non_dominated_ranks
from agents.random_walk import random_legal


class NSGA2:
    """Evolution with NSGA-II's selection (Deb et al., 2002), one network at a time.

    The first ``population`` networks are drawn as the random walk draws them, since small networks
    are the cheap end of a front. After that each is the mutation of a parent, see
    ``agents.neighbours``. Of two members drawn at random the parent is that of the better rank, or
    of equal ranks the one whose neighbours are farther away. A network that is learned joins the
    population; then the worst member by the same order leaves (steady state: Durillo et al., EMO
    2009, find it better than generations, and no worker waits for one to be complete).

    Args:
        num_actions: A, the number of actions.
        seed: Seed of all draws.
        sequences: The legal action sequences.
        population: Number of members.

    Raises:
        ValueError: If there are fewer than two members.
    """

    vector_rewards = True

    def __init__(
        self, num_actions: int, seed: int = 0, *, sequences: Sequences, population: int = 30
    ) -> None:
        if population < 2:
            raise ValueError(f"population must be at least 2, but is {population}.")
        self.num_actions = num_actions
        self.population = population
        self._sequences = sequences
        self._rng = np.random.default_rng(seed)
        self._members: list[tuple[Actions, NDArray[np.float64]]] = []  # the best first
        self._beginnings = Beginnings()
        self._begun = 0
        self._rest: list[int] = []

    def act(self, observation: Observation, action_mask: NDArray[Any]) -> int:
        """The next action of the network that was mutated for this episode."""
        key = state_key(observation)
        self._begun += self._beginnings.begins_at(key)
        if self._begun <= self.population or not self._members:
            return random_legal(self._rng, action_mask)
        if not self._rest:
            drawn = self._rng.integers(len(self._members), size=2)
            parent = self._members[int(drawn.min())][0]
            self._rest = list(mutate(parent, self.num_actions, self._sequences, self._rng))
        return self._rest.pop(0)

    def learn(self, episode: Episode) -> None:
        """A new network joins the members, and the worst leaves a population that is too large."""
        network = tuple(episode.actions.tolist())
        if any(network == known for known, _ in self._members):
            return
        self._members.append((network, np.atleast_1d(episode.reward)))
        order = best_first(np.array([reward for _, reward in self._members]))
        self._members = [self._members[position] for position in order[: self.population]]


def best_first(points: NDArray[np.float64]) -> list[int]:
    """Positions of (N, k) points by rank, then by the distance to their neighbours of that rank."""
    ranks = non_dominated_ranks(points)
    distances = np.zeros(len(points))
    for rank in range(int(ranks.max()) + 1):
        alike = ranks == rank
        distances[alike] = crowding_distances(points[alike])
    return [int(position) for position in np.lexsort((-distances, ranks))]
