"""What ends a training early: prediction of the final accuracy, successive halving."""

from train_eval.training.stopping.cut import cut
from train_eval.training.stopping.halving import Halving
from train_eval.training.stopping.prediction import Prediction
from train_eval.training.stopping.rule import Decision, Finished, Rule
from train_eval.training.stopping.settings import make_rule, rule_settings

__all__ = [
    "Decision",
    "Finished",
    "Halving",
    "Prediction",
    "Rule",
    "cut",
    "make_rule",
    "rule_settings",
]
