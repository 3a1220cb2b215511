"""What ends a training early: prediction of the final accuracy, successive halving."""

from train_eval.training.stopping.halving import Halving
from train_eval.training.stopping.prediction import Prediction
from train_eval.training.stopping.rule import Decision, Finished, Rule

__all__ = ["Decision", "Finished", "Halving", "Prediction", "Rule"]
