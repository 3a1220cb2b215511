"""Names of optimizers and schedules, and learning rates over the steps: known without torch."""

import math
from typing import Literal

OptimizerName = Literal["adam", "adamw", "sgd"]
Schedule = Literal["steps", "one-cycle"]

_WARM_UP = 0.3  # share of a one-cycle schedule


def one_cycle(peak: float, done: float) -> float:
    """The learning rate when a share ``done`` of the training is done (Smith, 2018).

    It rises linearly to its peak within the first 30 %, and falls along a cosine to zero.
    """
    if done < _WARM_UP:
        return peak * max(done, 0.01) / _WARM_UP
    return peak * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP))) / 2
