"""Searches that cost nothing: an evaluator that answers at once, from the text alone."""

import hashlib

from gym_cnnarch import Evaluation
from train_eval.environments import make_env
from train_eval.parallel.executors import InlineExecutor
from train_eval.records.run_directory import open_run
from train_eval.search.agents import make_agent, search_settings
from train_eval.search.search import Search
from train_eval.search.settings import run_settings
from train_eval.training.stopping import rule_settings

DIGITS = "CNNArch-Digits-v0"


class InstantEvaluator:
    """Accuracies made of the text's hash; remembers what it was asked."""

    task = "instant"

    def __init__(self, statuses=("ok",)):
        self.statuses = statuses
        self.asked = []

    def evaluate(self, architecture, seed=0):
        self.asked.append(str(architecture))
        digest = hashlib.sha256(f"{seed}:{architecture}".encode()).digest()
        status = self.statuses[digest[1] % len(self.statuses)]
        return Evaluation(digest[0] / 255, status, parameters=1, macs=1, train_seconds=0.0)


class FailingEvaluator(InstantEvaluator):
    """Finds nothing, and says why in words that would steer a terminal."""

    def __init__(self, dataset=None):
        super().__init__()

    def evaluate(self, architecture, seed=0):
        return Evaluation(0.0, "error", 1, 1, train_seconds=0.0, message="no \x1b[2Jmemory\x07.")


class CurveEvaluator:
    """Six epochs in no time: a curve made of the text's hash, with failures; asks decisions."""

    task = "curves"

    def __init__(self):
        self.asked = []

    def evaluate(self, architecture, seed=0, decision=None):
        self.asked.append(str(architecture))
        one, two, three, four = hashlib.sha256(f"{seed}:{architecture}".encode()).digest()[:4]
        parameters = 1000 + 16 * one
        if one % 16 == 0:
            return Evaluation(0.0, "out_of_memory", parameters, 1, message="no memory")
        limit, speed, noise = 0.2 + two / 400, 0.2 + three / 600, four / 10_000
        curve = ()
        for epoch in range(1, 7):
            curve += (limit * (1 - (1 - speed) ** epoch) + noise * (epoch % 2),)
            if one % 16 == 1 and epoch == 4:
                return Evaluation(max(curve), "diverged", parameters, 1, curve, 1.0, 0.01)
            if decision is not None and decision.stops(curve, 0.01):
                predicted = decision.predicted(curve, 0.01)
                return Evaluation(
                    max(curve), "stopped", parameters, 1, curve, 1.0, 0.01, predicted=predicted
                )
        return Evaluation(max(curve), "ok", parameters, 1, curve, 1.0, 0.01)


def make_search(
    run_dir, agent="metaqnn", budget=60, seed=0, lookahead=1, evaluator=None, store=None,
    stopping=None, **options,
):  # fmt: skip
    """A search on the digits' space, with the store and run that it writes."""
    evaluator = evaluator or InstantEvaluator()
    env = make_env(DIGITS, evaluator=evaluator)
    settings = search_settings(agent, budget, {})
    rule = None if stopping is None else rule_settings(stopping)
    described = run_settings(env, settings, seed, budget, lookahead, stopping=rule)
    store = open_run(run_dir, described, store)
    search = Search(
        env,
        described,
        options.pop("made", None) or make_agent(settings, env.search_space, seed),
        options.pop("evaluate", None) or evaluator.evaluate,
        store,
        options.pop("executor", None) or InlineExecutor(),
    )
    return search, store, described.run
