"""The search loop: ask the agent, evaluate, tell the agent, in order."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from agents import Agent, Episode
from gym_cnnarch import Architecture, Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.evaluation import Status
from gym_cnnarch.reward import RewardFunction
from gym_cnnarch.shapes import count_macs, count_parameters
from train_eval.store import EpisodeRecord, Store
from train_eval.workers import WorkerDied, WorkerHung

MAX_REPEATS = 1000
"""Episodes in a row without a new network after which the space counts as exhausted."""


@dataclass(frozen=True)
class Learned:
    """An episode that the agent has just learned from."""

    record: EpisodeRecord
    evaluation: Evaluation


@dataclass(frozen=True)
class _Acted:
    """An episode whose network may still be in training."""

    number: int
    epsilon: float | None
    architecture: Architecture
    observations: list[np.ndarray]
    actions: list[int]
    action_masks: list[np.ndarray]
    new: bool


class Search:
    """One run of one agent on one search space.

    The agent at episode t has learned from exactly the episodes up to t - lookahead, however long
    each network takes: the run depends on the settings alone, not on timing. What was evaluated
    before comes from the store, so that repeating a run from the start is how it is continued.

    Args:
        env: The environment, which gives the rules; it is stepped without its evaluator.
        task: The evaluator's task, under which evaluations are stored.
        evaluate: Called with an architecture and a seed, through the executor.
        reward_function: Evaluation to reward.
        agent: A new agent.
        store: Keeps evaluations and episodes; an evaluation is there before the agent learns it.
        run: Name of the run in the store.
        budget: Number of unique networks.
        executor: Where evaluations run.
        lookahead: See above; 1 is the paper's Algorithm 1.
        evaluation_seed: Seed of the evaluations.

    Attributes:
        exhausted: Whether the search ended for want of new networks.
        waited_seconds: Time in which the search had nothing to do but to wait for evaluations.
    """

    def __init__(
        self,
        env: CNNArchEnv,
        task: str,
        evaluate: Callable[[Architecture, int], Evaluation],
        reward_function: RewardFunction,
        agent: Agent,
        store: Store,
        run: str,
        budget: int,
        executor: Executor,
        lookahead: int = 1,
        evaluation_seed: int = 0,
    ) -> None:
        self._env = CNNArchEnv(search_space=env.search_space, observe_size=env.observe_size)
        self._task = task
        self._evaluate = evaluate
        self._reward_function = reward_function
        self._agent = agent
        self._store = store
        self._run = run
        self._budget = min(budget, env.search_space.count())
        self._executor = executor
        self._lookahead = lookahead
        self._evaluation_seed = evaluation_seed
        self._recorded = store.episodes(run)
        self._unsaved: list[EpisodeRecord] = []
        self._evaluations: dict[str, Evaluation | Future[Evaluation]] = {}
        self._in_flight: dict[Future[Evaluation], Architecture] = {}
        self.exhausted = False
        self.waited_seconds = 0.0

    def __iter__(self) -> Iterator[Learned]:
        """Runs the search and yields each episode when the agent has learned from it."""
        pending: deque[_Acted] = deque()
        repeats = 0
        try:
            for number in count():
                while pending and pending[0].number <= number - self._lookahead:
                    yield self._learn(pending.popleft())
                if len(self._evaluations) == self._budget:
                    break
                if repeats == MAX_REPEATS:
                    self.exhausted = True
                    break
                acted = self._act(number)
                repeats = 0 if acted.new else repeats + 1
                pending.append(acted)
            while pending:
                yield self._learn(pending.popleft())
        finally:
            self._save_all()

    def _act(self, number: int) -> _Acted:
        """Lets the agent build a network and asks for its evaluation if it is new."""
        epsilon = getattr(self._agent, "epsilon", None)
        observation, info = self._env.reset()
        observations, actions, masks = [observation], [], []
        terminated = False
        while not terminated:
            mask = info["action_mask"].astype(bool)
            action = self._agent.act(observation, mask)
            observation, _, terminated, _, info = self._env.step(action)
            observations.append(observation)
            actions.append(action)
            masks.append(mask)
        if "architecture" not in info:
            raise InvalidInput(
                f"The agent chose the illegal action {actions[-1]} in episode {number}: "
                f"an agent's actions must be legal by the mask."
            )
        text = info["architecture"]
        self._check_against_record(number, "actions", tuple(actions))
        architecture = Architecture.parse(text)
        new = text not in self._evaluations
        if new:
            self._evaluations[text] = self._request(architecture)
        return _Acted(number, epsilon, architecture, observations, actions, masks, new)

    def _request(self, architecture: Architecture) -> Evaluation | Future[Evaluation]:
        """The stored evaluation, or the promise of one."""
        seed = self._evaluation_seed
        known = self._store.find(self._task, architecture, seed)
        if known is not None:
            return known
        with self._not_own_time():
            promise = self._executor.submit(self._evaluate, architecture, seed)
        self._in_flight[promise] = architecture
        return promise

    def _learn(self, acted: _Acted) -> Learned:
        """Waits for the evaluation, records it with the episode, then tells the agent."""
        text = str(acted.architecture)
        promise = self._evaluations[text]
        if isinstance(promise, Future):
            self._save_others_until(promise)
            evaluation = self._result(promise)
            with self._store.transaction():  # an evaluation that another run wrote first wins
                evaluation = self._add(acted.architecture, evaluation)
                record = self._record(acted, evaluation)
                self._store.add_episodes(self._run, [*self._unsaved, record])
            self._unsaved.clear()
        else:
            evaluation = promise
            record = self._record(acted, evaluation)
            self._unsaved.append(record)  # nothing new was paid: saved with the next evaluation
        self._agent.learn(
            Episode(
                np.array(acted.observations),
                np.array(acted.actions),
                np.array(acted.action_masks),
                record.reward,
            )
        )
        return Learned(record, evaluation)

    def _save_others_until(self, promise: Future[Evaluation]) -> None:
        """Waits for a promise, and saves whatever else is finished meanwhile."""
        while True:
            with self._not_own_time():
                finished, _ = wait(self._in_flight, return_when=FIRST_COMPLETED)
            for other in finished - {promise}:
                self._add(self._in_flight[other], self._result(other))
            if promise in finished:
                return

    def _save_all(self) -> None:
        """Saves what is finished or known, however the search ends."""
        for promise in [p for p in self._in_flight if p.done() and not p.cancelled()]:
            if promise.exception() is None:
                self._add(self._in_flight[promise], promise.result())
        self._store.add_episodes(self._run, self._unsaved)

    def _result(self, promise: Future[Evaluation]) -> Evaluation:
        """What became of a network; a worker that died or hung is a result too."""
        try:
            return promise.result()
        except WorkerDied as error:
            return self._failed(self._in_flight[promise], "error", str(error))
        except WorkerHung as error:
            return self._failed(self._in_flight[promise], "timeout", str(error))

    def _failed(self, architecture: Architecture, status: Status, message: str) -> Evaluation:
        shape = self._env.search_space.input_shape
        return Evaluation(
            accuracy=0.0,
            status=status,
            parameters=count_parameters(architecture, shape),
            macs=count_macs(architecture, shape),
            message=message,
        )

    def _add(self, architecture: Architecture, evaluation: Evaluation) -> Evaluation:
        """Stores an evaluation; returns what the store then holds."""
        stored = self._store.add(self._task, architecture, self._evaluation_seed, evaluation)
        text = str(architecture)
        promise = self._evaluations[text]
        assert isinstance(promise, Future), "it was in flight"
        del self._in_flight[promise]
        self._evaluations[text] = stored
        return stored

    @property
    def in_flight(self) -> int:
        """Number of networks that were asked for and are not evaluated yet."""
        return len(self._in_flight)

    @contextmanager
    def _not_own_time(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.waited_seconds += time.perf_counter() - started

    def _record(self, acted: _Acted, evaluation: Evaluation) -> EpisodeRecord:
        reward = self._reward_function(evaluation)
        self._check_against_record(acted.number, "reward", reward)
        return EpisodeRecord(
            acted.number,
            tuple(acted.actions),
            acted.epsilon,
            str(acted.architecture),
            reward,
            acted.new,
        )

    def _check_against_record(self, number: int, name: str, value: Any) -> None:
        """Repeating the run must retrace what is recorded of it."""
        if number >= len(self._recorded):
            return
        recorded = getattr(self._recorded[number], name)
        if recorded != value:
            raise InvalidInput(
                f"This run left its recorded path: in episode {number} the {name} was {recorded}, "
                f"but is now {value}; the code, NumPy or the machine has changed since: "
                f"continue with what it was begun with, or start another run."
            )
