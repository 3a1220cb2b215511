"""The search loop: ask the agent, evaluate, tell the agent, in order."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import gymnasium as gym

from agents import Agent, Episode, roll_out
from gym_cnnarch import Architecture, Evaluation, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from train_eval.environments import RunSettings
from train_eval.parallel.worker import lost, result
from train_eval.records.run_directory import made_with
from train_eval.records.store import EpisodeRecord, Store

MAX_REPEATS = 1000
"""Episodes in a row without a new network after which the space counts as exhausted."""

_SAVE_EVERY = 1.0  # seconds in which episodes that cost nothing may wait to be committed


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
    """Stands in for the evaluator while the agent acts: takes down the network it is asked for."""

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
        evaluate: Called with an architecture and the evaluation's seed, through the executor.
        store: Keeps evaluations and episodes; what was paid for is there before the agent learns
            it.
        executor: Where evaluations run.

    Attributes:
        exhausted: Whether the search ended for want of new networks.
    """

    def __init__(
        self,
        env: CNNArchEnv,
        settings: RunSettings,
        agent: Agent,
        evaluate: Callable[[Architecture, int], Evaluation],
        store: Store,
        executor: Executor,
    ) -> None:
        self._proposal = _Proposal()
        self._env = CNNArchEnv(
            env.search_space, self._proposal, invalid_action="raise", observe_size=env.observe_size
        )
        self._reward_function = env.reward_function
        self._settings = settings
        self._agent = agent
        self._evaluate = evaluate
        self._store = store
        self._executor = executor
        self._recorded = {e.number: e for e in store.episodes(settings.run)}
        self._unsaved: list[EpisodeRecord] = []
        self._looked_up: list[tuple[Architecture, Evaluation]] = []
        self._evaluations: dict[str, Evaluation | Future[Evaluation]] = {}
        self._in_flight: dict[Future[Evaluation], Architecture] = {}
        self._saved_at = time.monotonic()
        self._waited = 0.0
        self._waiting_since: float | None = None
        self.exhausted = False

    def __iter__(self) -> Iterator[Learned]:
        """Runs the search and yields each episode when the agent has learned from it."""
        pending: deque[_Acted] = deque()
        repeats = 0
        try:
            for number in count():
                while pending and pending[0].number <= number - self._settings.lookahead:
                    yield self._learn(pending.popleft())
                if len(self._evaluations) == self._settings.budget:
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
            self._save_finished()
            self._save_rest()
        self._store.finish_run(self._settings.run)

    def _act(self, number: int) -> _Acted:
        """Lets the agent build a network and asks for its evaluation if it is new."""
        epsilon = getattr(self._agent, "epsilon", None)
        try:
            episode = roll_out(self._env, self._agent)
        except gym.error.InvalidAction as error:
            raise InvalidInput(
                f"The agent chose an illegal action in episode {number}. {error}"
            ) from error
        architecture = self._proposal.architecture
        self._check_against_record(number, "actions", tuple(episode.actions.tolist()))
        new = str(architecture) not in self._evaluations
        if new:
            self._evaluations[str(architecture)] = self._request(architecture)
        return _Acted(number, epsilon, architecture, episode, new)

    def _request(self, architecture: Architecture) -> Evaluation | Future[Evaluation]:
        """The stored evaluation, or the future one."""
        seed = self._settings.evaluation_seed
        known = self._store.find(self._settings.task, architecture, seed)
        if known is not None:
            return known
        began = time.perf_counter()
        future = self._executor.submit(self._evaluate, architecture, seed)
        if future.done():  # it was evaluated here and now
            self._waited += time.perf_counter() - began
            if not future.exception() and (evaluation := future.result()).cached:
                self._looked_up.append((architecture, evaluation))
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
            self._unsaved.append(learned.record)  # nothing was paid: saved with what follows
            if time.monotonic() - self._saved_at >= _SAVE_EVERY:
                self._save_rest()
        self._agent.learn(replace(acted.episode, reward=learned.record.reward))
        return learned

    def _wait_for(self, future: Future[Evaluation]) -> None:
        """Waits for an evaluation, and saves whatever else is finished meanwhile."""
        while not future.done():
            self._waiting_since = time.perf_counter()
            try:
                # Those that end the search wait for their turn, and are not waited for again.
                wait([f for f in self._in_flight if not lost(f)], return_when=FIRST_COMPLETED)
            finally:
                self._waited, self._waiting_since = self.waited_seconds, None
            self._save_finished(but=future)
        self._save_finished(but=future)

    def _save_finished(self, but: Future[Evaluation] | None = None) -> None:
        """Saves the evaluations that are finished, whenever the agent will learn them."""
        for future in [f for f in self._in_flight if f.done() and f is not but]:
            if not lost(future):
                stored = self._add(self._in_flight[future], self._result(future))
                self._become_known(future, stored)

    def _save(self, acted: _Acted, future: Future[Evaluation]) -> Learned:
        """Commits an evaluation together with the episodes up to its own."""
        evaluation = self._result(future)
        with self._saving() as latest:
            stored = self._add(acted.architecture, evaluation)
            latest.append(record := self._record(acted, stored))
        self._become_known(future, stored)
        return Learned(record, stored)

    @contextmanager
    def _saving(self) -> Iterator[list[EpisodeRecord]]:
        """Commits a block, the episodes it lists, and all that cost nothing and could wait."""
        latest: list[EpisodeRecord] = []
        with self._store.transaction():
            yield latest
            for architecture, evaluation in self._looked_up:
                self._add(architecture, evaluation)
            self._store.add_episodes(self._settings.run, [*self._unsaved, *latest])
        self._looked_up.clear()
        self._unsaved.clear()
        self._saved_at = time.monotonic()

    def _save_rest(self) -> None:
        with self._saving():
            pass

    def _add(self, architecture: Architecture, evaluation: Evaluation) -> Evaluation:
        """What the store holds after adding the evaluation: an earlier one wins."""
        seed = self._settings.evaluation_seed
        return self._store.add(self._settings.task, architecture, seed, evaluation)

    def _become_known(self, future: Future[Evaluation], stored: Evaluation) -> None:
        architecture = self._in_flight.pop(future)
        self._evaluations[str(architecture)] = stored

    def _result(self, future: Future[Evaluation]) -> Evaluation:
        """What became of a network; a worker that died or hung is a result too."""
        return result(future, self._in_flight[future], self._env.search_space.input_shape)

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
        self._check_against_record(acted.number, "reward", reward)
        return EpisodeRecord(
            acted.number,
            tuple(acted.episode.actions.tolist()),
            acted.epsilon,
            str(acted.architecture),
            reward,
            acted.new,
        )

    def _check_against_record(self, number: int, name: str, value: Any) -> None:
        """Repeating the run must retrace what is recorded of it."""
        if number not in self._recorded:
            return
        recorded = getattr(self._recorded[number], name)
        if recorded == value:
            return
        run = self._store.find_run(self._settings.run)
        began = run.made_with if run is not None else {}
        now = made_with(began.get("workers", 1))
        changes = [f"{k} was {began[k]} and is {v}" for k, v in now.items() if began.get(k, v) != v]
        raise InvalidInput(
            f"This run left its recorded path: in episode {number} the {name} was {recorded}, but "
            f"is now {value} ({'; '.join(changes) or 'the code or the machine has changed'}): "
            f"continue it with what it was begun with, or start another run."
        )
