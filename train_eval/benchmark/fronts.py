"""What fronts are worth: hypervolume, as a share of what can be had."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.pareto import Points, front, hypervolume
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.objectives import ACCURACY
from gym_cnnarch.rewards.reward import Reward
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from train_eval.benchmark.run import Found


@dataclass(frozen=True)
class Truth:
    """What is known of a problem's front, to judge the fronts of runs by.

    Attributes:
        reference: (k,), the accuracy of guessing, and the costs of the dearest network.
        values: Of a table, architecture -> (k,), by the mean test accuracy of its trainings, which
            no agent sees. Empty elsewhere: there a network is worth its reward.
        best: The networks of the front that is as good as can be: the table's true one. Elsewhere
            that of all networks of all runs.
        volume: Its hypervolume.
    """

    reference: NDArray[np.float64]
    values: dict[str, Reward]
    best: frozenset[str]
    volume: float

    def losses(self, found: Iterable[Found]) -> list[float]:
        """The share of the hypervolume that a run's front lacks, after each of its networks.

        The front is chosen by the rewards, as the agent was given them, and then judged.
        """
        rewards: Points = np.zeros((0, len(self.reference)))
        chosen: list[Found] = []
        losses: list[float] = []
        for row in found:
            known = np.array([*rewards, row.reward])
            positions = front(known)
            if positions != list(range(len(chosen))) or not losses:
                chosen = [[*chosen, row][position] for position in positions]
                rewards = known[positions]
                worth = np.array([self.values.get(f.architecture, f.reward) for f in chosen])
                current = 1.0 - hypervolume(worth, self.reference) / self.volume
            losses.append(current)
        return losses

    def share(self, found: Iterable[Found]) -> float:
        """The share of the best front's networks that a run met."""
        met = self.best & {row.architecture for row in found}
        return len(met) / max(1, len(self.best))


def truth(env: CNNArchEnv, found: Iterable[Found]) -> Truth:
    """What is known of the front: all of it on a table, elsewhere what all runs found."""
    evaluator = env.evaluator
    values: dict[str, Reward] = {}
    if isinstance(evaluator, TableEvaluator):
        for rank, accuracy in enumerate(evaluator.mean_test.tolist()):
            # A failed training is a zero in the mean already.
            evaluation = dataclasses.replace(
                evaluator.result(rank, 0), accuracy=accuracy, status="ok"
            )
            values[str(env.search_space.unrank(rank))] = env.reward_function(evaluation)
    known = list(values.items()) or [(row.architecture, row.reward) for row in found]
    points = np.array([value for _, value in known])
    guessing = 1 / env.search_space.num_classes
    reference = np.array([guessing if n == ACCURACY else -1.0 for n in env.objectives])
    best = front(points) if known else []
    volume = hypervolume(points[best], reference) if best else 0.0
    return Truth(reference, values, frozenset(known[i][0] for i in best), volume or 1.0)
