"""An agent of one's own on equal terms with the random walk: seconds, without training.

It walks at random, but repeats the first layer of the best network so far half of the time.

    python examples/own_agent.py
"""

import numpy as np

from agents import Episode
from train_eval import run_search


class FirstLayer:
    """Deterministic given its seed, as searches that can be continued require."""

    def __init__(self, num_actions: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.best: Episode | None = None

    def act(self, observation: np.ndarray, action_mask: np.ndarray) -> int:
        at_start = observation[1] == 0  # the depth
        if at_start and self.best is not None and self.rng.random() < 0.5:
            return int(self.best.actions[0])
        return int(self.rng.choice(np.flatnonzero(action_mask)))

    def learn(self, episode: Episode) -> None:
        if self.best is None or episode.reward > self.best.reward:
            self.best = episode


for name, agent in (("own", FirstLayer(11)), ("random_walk", "random_walk")):
    run = run_search("CNNArch-CIFAR10Table-v0", agent, 200, run_dir=f"runs/own_agent/{name}")
    mean = np.mean([network.accuracy for network in run.networks])
    best = run.best()[0]
    print(f"{name}: mean {mean:.1%}, best {best.accuracy:.1%} {best.architecture}")
