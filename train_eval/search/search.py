"""The search loop: ask the agent, evaluate, tell the agent, in order."""

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from itertools import count

import gymnasium as gym

from agents import Agent, Episode, roll_out
from gym_cnnarch import Architecture, Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.errors import first_line
from train_eval.parallel.worker import has_no_outcome, outcome_of
from train_eval.records.kept import EpisodeRecord
from train_eval.records.run_settings import RunSettings
from train_eval.records.store import Store
from train_eval.search.journal import Journal
from train_eval.search.stopping import Stopping

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
    episode: Episode
    new: bool


class _Proposal:
    """Stands in for the evaluator while the agent acts: keeps the network it is asked for."""

    task = "proposal"
    architecture: Architecture

    def evaluate(self, architecture: Architecture, seed: int = 0) -> Evaluation:
        self.architecture = architecture
        return _NOTHING_YET


_NOTHING_YET = Evaluation(accuracy=0.0, status="ok", parameters=0, macs=0)


class Search:
    """One run of one agent on one search space.

    The agent at episode t has learned from exactly the episodes up to t - lookahead, however long
    each network takes: the run depends on the settings alone, not on timing. What was evaluated
    before comes from the store, so that repeating a run from the start is how it is continued.

    Args:
        env: The environment, which gives rules and rewards; it is stepped without its evaluator.
        settings: The run's settings.
        agent: A new agent.
        evaluate: Called with an architecture and the evaluation's seed, through the executor; and
            with a decision if the settings have a rule that stops trainings.
        store: Keeps evaluations and episodes; what was paid for is there before the agent learns
            it.
        executor: Where evaluations run.
        workers: Number of networks that are evaluated at a time.
        seconds: Time after which no further network is begun; None for no limit.

    Attributes:
        evaluator: The environment's.
        settings, store, executor, workers, seconds: As given.
        exhausted: Whether the search ended for want of new networks.
        out_of_time: Whether it ended before its budget was spent: it can be continued.
    """

    def __init__(
        self,
        env: CNNArchEnv,
        settings: RunSettings,
        agent: Agent,
        evaluate: Callable[..., Evaluation],
        store: Store,
        executor: Executor,
        workers: int = 1,
        seconds: float | None = None,
    ) -> None:
        self.evaluator = env.evaluator
        self.settings, self.executor, self.workers = settings, executor, workers
        self._proposal = _Proposal()
        self._env = CNNArchEnv(
            env.search_space, self._proposal, invalid_action="raise",
            observe_size=env.observe_size, observe_budget=env.observe_budget,
            observation=env.observation,
        )  # fmt: skip
        self._reward_function = env.reward_function
        self._agent = agent
        self._evaluate = evaluate
        self.store = store
        self._journal = Journal(store, settings)
        self._stopping = Stopping(settings.stopping, env)
        self._evaluations: dict[str, Evaluation | Future[Evaluation]] = {}
        self._in_flight: dict[Future[Evaluation], Architecture] = {}
        self._waited = 0.0
        self._waiting_since: float | None = None
        self.seconds = seconds
        self._winds_up = False
        self._deadline = math.inf
        self.exhausted = False
        self.out_of_time = False

    def __iter__(self) -> Iterator[Learned]:
        """Runs the search and yields each episode when the agent has learned from it."""
        if self.seconds is not None:
            self._deadline = time.monotonic() + self.seconds
        pending: deque[_Acted] = deque()
        repeats = 0
        try:
            for number in count():
                while pending and pending[0].number <= number - self.settings.lookahead:
                    yield self._learn(pending.popleft())
                if len(self._evaluations) == self.settings.budget:
                    break
                if repeats == MAX_REPEATS:
                    self.exhausted = True
                    break
                if self._winds_up:
                    break
                if time.monotonic() >= self._deadline:
                    self.out_of_time = True
                    break
                acted = self._act(number)
                repeats = 0 if acted.new else repeats + 1
                pending.append(acted)
                if self.settings.lookahead > 1:
                    self._save_finished()  # it may be long until the agent learns them
            while pending:
                if self._winds_up or self.out_of_time:
                    self._give_up_waiting()
                if self._is_given_up(pending[0]):
                    self.out_of_time = not self._winds_up
                    break
                yield self._learn(pending.popleft())
        finally:
            self._save_finished()
            self._journal.save()
        if not self.out_of_time:
            self._journal.finish()

    def wind_up(self) -> None:
        """Ends the search: no further network is begun, those in training are finished."""
        self._winds_up = True

    def _give_up_waiting(self) -> None:
        """Takes back the networks that no worker has begun: executors begin the oldest first."""
        unfinished = [future for future in self._in_flight if not future.done()]
        for future in unfinished[self.workers :]:
            future.cancel()

    def _is_given_up(self, acted: _Acted) -> bool:
        evaluation = self._evaluations[str(acted.architecture)]
        return isinstance(evaluation, Future) and evaluation.cancelled()

    def _act(self, number: int) -> _Acted:
        """Lets the agent build a network and asks for its evaluation if it is new."""
        epsilon = getattr(self._agent, "epsilon", None)
        try:
            with self._named_if_own(f"in episode {number}"):
                episode = roll_out(self._env, self._agent)
        except gym.error.InvalidAction as error:
            raise InvalidInput(
                f"The agent chose an illegal action in episode {number}. {error}"
            ) from error
        architecture = self._proposal.architecture
        self._journal.check(number, "actions", tuple(episode.actions.tolist()))
        new = str(architecture) not in self._evaluations
        if new:
            self._evaluations[str(architecture)] = self._request(architecture)
        return _Acted(number, epsilon, architecture, episode, new)

    @contextlib.contextmanager
    def _named_if_own(self, when: str) -> Iterator[None]:
        """Names an agent of one's own that raises; nothing is wrong with this package then."""
        try:
            yield
        except (InvalidInput, gym.error.Error):
            raise
        except Exception as error:
            agent = type(self._agent)
            if agent.__module__.partition(".")[0] == "agents":
                raise
            raise InvalidInput(
                f"The agent {agent.__module__}:{agent.__qualname__} failed {when}: "
                f"{first_line(error)}."
            ) from error

    def _request(self, architecture: Architecture) -> Evaluation | Future[Evaluation]:
        """The stored evaluation, or the future one."""
        stored = self._journal.find(architecture)
        if stored is not None and self._journal.has_learned(architecture):
            return stored
        decision = self._stopping.decision(architecture)
        known = None if stored is None else self._stopping.as_decided(stored, decision)
        if known is not None:
            if known is not stored:
                self._journal.add_later(architecture, known)
            return known
        began = time.perf_counter()
        arguments = (architecture, self.settings.evaluation_seed)
        decided = () if decision is None else (decision,)
        future = self.executor.submit(self._evaluate, *arguments, *decided)
        if future.done():  # it was evaluated here and now
            self._waited += time.perf_counter() - began
            if not future.exception() and (evaluation := future.result()).cached:
                self._journal.add_later(architecture, evaluation)
                return evaluation
        self._in_flight[future] = architecture
        return future

    def _learn(self, acted: _Acted) -> Learned:
        """Waits for the evaluation, records it with the episode, then tells the agent."""
        evaluation = self._evaluations[str(acted.architecture)]
        if isinstance(evaluation, Future):
            self._wait_for(evaluation)
            learned = self._save(acted, evaluation)
        else:
            self._save_finished()
            learned = Learned(self._record(acted, evaluation), evaluation)
            self._journal.add_episode_later(learned.record)
        with self._named_if_own(f"when it learned from episode {acted.number}"):
            self._agent.learn(replace(acted.episode, reward=learned.record.reward))
        if acted.new:
            self._stopping.learn(acted.architecture, learned.evaluation)
        return learned

    def _wait_for(self, future: Future[Evaluation]) -> None:
        """Waits for an evaluation, and saves whatever else is finished meanwhile."""
        if not future.done():
            self._journal.save()  # it may be long
        while not future.done():
            self._waiting_since = time.perf_counter()
            try:
                # Those that end the search wait for their turn, and are not waited for again.
                expected = [f for f in self._in_flight if not has_no_outcome(f)]
                left = None if self.seconds is None else self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    self._give_up_waiting()
                    left = None
                longest = None if left is None else min(left, threading.TIMEOUT_MAX)
                wait(expected, longest, FIRST_COMPLETED)
            finally:
                self._waited, self._waiting_since = self.waited_seconds, None
            self._save_finished(but=future)
        self._save_finished(but=future)

    def _save_finished(self, but: Future[Evaluation] | None = None) -> None:
        """Saves the evaluations that are finished, whenever the agent will learn them."""
        for future in [f for f in self._in_flight if f.done() and f is not but]:
            if not has_no_outcome(future):
                stored = self._journal.add(self._in_flight[future], self._outcome_of(future))
                self._become_known(future, stored)

    def _save(self, acted: _Acted, future: Future[Evaluation]) -> Learned:
        """Commits an evaluation together with the episodes up to its own."""
        evaluation = self._outcome_of(future)
        with self._journal.saving() as latest:
            stored = self._journal.add(acted.architecture, evaluation)
            latest.append(record := self._record(acted, stored))
        self._become_known(future, stored)
        return Learned(record, stored)

    def _become_known(self, future: Future[Evaluation], stored: Evaluation) -> None:
        architecture = self._in_flight.pop(future)
        self._evaluations[str(architecture)] = stored

    def _outcome_of(self, future: Future[Evaluation]) -> Evaluation:
        """The evaluation of a network in flight; a worker that died or hung is a result too."""
        return outcome_of(future, self._in_flight[future], self._env.search_space.input_shape)

    @property
    def in_flight(self) -> int:
        """Number of networks that were asked for and are not evaluated yet."""
        return len(self._in_flight)

    @property
    def waited_seconds(self) -> float:
        """Time in which the search had nothing to do but to wait for evaluations."""
        since = self._waiting_since
        return self._waited + (0.0 if since is None else time.perf_counter() - since)

    def _record(self, acted: _Acted, evaluation: Evaluation) -> EpisodeRecord:
        reward = self._reward_function(evaluation)
        self._journal.check(acted.number, "reward", reward)
        return EpisodeRecord(
            acted.number,
            tuple(acted.episode.actions.tolist()),
            acted.epsilon,
            str(acted.architecture),
            reward,
            acted.new,
        )
