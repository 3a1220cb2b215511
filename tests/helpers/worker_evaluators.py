"""Evaluators that worker processes find by name; the tests put this folder on the path."""

import os
import random
import signal
import time
from pathlib import Path

from instant import InstantEvaluator

from gym_cnnarch.errors import ProcessUnusable

TASK = InstantEvaluator.task


class DelayedEvaluator:
    """Answers after a random delay, and notes what it was asked."""

    task = TASK

    def __init__(self, notes, delay=0.02):
        self.notes, self.delay = Path(notes), delay

    def evaluate(self, architecture, seed=0):
        time.sleep(random.uniform(0, self.delay))
        with (self.notes / f"pid-{os.getpid()}").open("a") as file:
            file.write(f"{architecture}\n")
        return InstantEvaluator().evaluate(architecture, seed)


class FragileEvaluator:
    """At one architecture kills its process the first ``deaths`` times, then takes ``seconds``."""

    task = TASK

    def __init__(self, notes, victim, deaths=0, seconds=0.0):
        self.tries, self.victim, self.deaths, self.seconds = (
            Path(notes) / "tries", victim, deaths, seconds,
        )  # fmt: skip

    def evaluate(self, architecture, seed=0):
        if str(architecture) == self.victim:
            with self.tries.open("a") as file:
                file.write(".")
            if self.tries.stat().st_size <= self.deaths:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(self.seconds)
        return InstantEvaluator().evaluate(architecture, seed)


class UnstartableEvaluator:
    """Kills its process while it is made, the first ``deaths`` times."""

    task = TASK

    def __init__(self, notes, deaths):
        starts = Path(notes) / "starts"
        with starts.open("a") as file:
            file.write(".")
        if starts.stat().st_size <= deaths:
            os.kill(os.getpid(), signal.SIGKILL)

    def evaluate(self, architecture, seed=0):
        return InstantEvaluator().evaluate(architecture, seed)


class UnpreparedEvaluator:
    """Has no room for its images."""

    task = TASK

    def __init__(self, notes):
        pass

    def prepare(self):
        raise RuntimeError("CUDA error: out of memory\nmore")

    def evaluate(self, architecture, seed=0):
        raise AssertionError("never reached")


class ImpatientEvaluator:
    """Raises a TimeoutError of its own."""

    task = TASK

    def __init__(self, notes):
        pass

    def evaluate(self, architecture, seed=0):
        raise TimeoutError("the licence server did not answer")


class LostEvaluator:
    """Its first process cannot go on."""

    task = TASK

    def __init__(self, notes):
        self.notes = Path(notes) / "lost"

    def evaluate(self, architecture, seed=0):
        with self.notes.open("a") as file:
            file.write(".")
        if self.notes.stat().st_size == 1:
            raise ProcessUnusable("the GPU has fallen off the bus")
        return InstantEvaluator().evaluate(architecture, seed)


class LongEvaluator:
    """Takes 0.3 seconds, or 15 while there is a file ``slow``; notes when it begins and ends."""

    task = TASK

    def __init__(self, notes):
        self.notes = Path(notes)

    def evaluate(self, architecture, seed=0):
        seconds = 15.0 if (self.notes / "slow").exists() else 0.3
        for event, pause in (("began", seconds), ("ended", 0.0)):
            with (self.notes / event).open("a") as file:
                file.write(f"{architecture}\n")
            time.sleep(pause)
        return InstantEvaluator().evaluate(architecture, seed)


class OnceSlowEvaluator:
    """Takes an hour when it is asked for the first time."""

    task = TASK

    def __init__(self, notes):
        self.asked = Path(notes) / "asked"

    def evaluate(self, architecture, seed=0):
        with self.asked.open("a") as file:
            file.write(".")
        time.sleep(3600 if self.asked.stat().st_size == 1 else 0)
        return InstantEvaluator().evaluate(architecture, seed)


class WaitingEvaluator:
    """Notes its process, and answers once there is a file ``go``."""

    task = TASK

    def __init__(self, notes):
        self.notes = Path(notes)

    def evaluate(self, architecture, seed=0):
        (self.notes / "pid").write_text(str(os.getpid()))
        while not (self.notes / "go").exists():
            time.sleep(0.05)
        return InstantEvaluator().evaluate(architecture, seed)
