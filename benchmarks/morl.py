"""MORL-Baselines' tabular agents on the CIFAR-10 table, next to this project's.

Measures the hypervolume of the front of the networks that each built, in percent of the table's
true front. Every agent meets mean results (``repeat="mean"``, no noise), one seed. MORL-Baselines'
agents know no action masks: their illegal actions end an episode and are counted. MORL-Baselines
asks for other versions of some packages: ``pip install morl-baselines`` into an environment of its
own.

    python benchmarks/morl.py --steps 10000
"""

import argparse
from typing import Any

import gymnasium as gym
import mo_gymnasium
import numpy as np

import gym_cnnarch  # noqa: F401  registers the ids
from train_eval.benchmark.fronts import truth
from train_eval.benchmark.run import AgentRun, Found
from train_eval.environments import make_env

ENV = "CNNArch-CIFAR10Table-v0"
KWARGS: dict[str, Any] = {"reward": ["accuracy", "-parameters"], "repeat": "mean"}


class Notes(gym.Wrapper):
    """Notes each network once, and illegal actions."""

    def __init__(self, env):
        super().__init__(env)
        self.found: dict[str, Found] = {}
        self.illegal = 0

    def step(self, action):
        *others, info = self.env.step(action)
        if "architecture" in info:
            text, reward = info["architecture"], tuple(others[1].tolist())
            self.found.setdefault(text, Found(text, reward, 0.0, 0, 0, 0))
        self.illegal += "invalid_action" in info
        return *others, info


def made():
    return mo_gymnasium.make(ENV, **KWARGS)


def pareto_q_learning(env, reference, steps):
    from morl_baselines.multi_policy.pareto_q_learning.pql import PQL

    agent = PQL(env, reference, 1.0, 1.0, steps, 0.1, seed=0, log=False)
    agent.train(steps, eval_env=made(), log_every=10**9)


def multi_policy_q_learning(env, reference, steps):
    from morl_baselines.multi_policy.multi_policy_moqlearning.mp_mo_q_learning import MPMOQLearning

    agent = MPMOQLearning(
        env, gamma=1.0, initial_epsilon=1.0, epsilon_decay_steps=steps // 10, seed=0, log=False
    )
    agent.train(steps, made(), reference, timesteps_per_iteration=steps // 10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=10_000)
    steps = parser.parse_args().steps
    known = truth(make_env(ENV, **KWARGS), [])
    networks = 0
    for train in (multi_policy_q_learning, pareto_q_learning):
        env = Notes(made())
        np.random.seed(0)  # theirs draw from it too
        train(env, known.reference, steps)
        networks, found = len(env.found), list(env.found.values())
        volume = 1 - known.losses(found)[-1]
        print(f"{train.__name__}: {networks} networks, {env.illegal} illegal, {volume:.2%}")
    for name in ("random_walk", "pareto_q", "nsga2"):
        run = AgentRun(ENV, KWARGS, {"name": name}, 0, networks, 10 * networks)
        found = run.execute().found
        print(f"{name}: {len(found)} networks, {1 - known.losses(found)[-1]:.2%}")
