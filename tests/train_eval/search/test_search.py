"""The search loop's laws, with an evaluator that answers at once."""

import contextlib
import importlib.metadata
import itertools
import sqlite3
import threading
import time
import types
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait

import numpy as np
import pytest

from agents import PAPER_SCHEDULE, MetaQNN, RandomWalk
from gym_cnnarch import InvalidInput
from tests.helpers.instant import DIGITS, InstantEvaluator, make_search
from tests.helpers.made_up_tables import make_table
from train_eval.environments import make_env
from train_eval.parallel.executors import InlineExecutor
from train_eval.records.run_directory import open_run
from train_eval.run.search import run_search
from train_eval.search import search as search_module
from train_eval.search.agents import make_agent, metaqnn_settings
from train_eval.search.search import Search
from train_eval.search.settings import default_lookahead, run_settings


class Recording(RandomWalk):
    """Notes when it acts and what it learns."""

    def __init__(self):
        super().__init__(11, seed=0)
        self.events = []

    def act(self, observation, action_mask):
        if observation[1] == 0:
            self.events.append("act")
        return super().act(observation, action_mask)

    def learn(self, episode):
        self.events.append("learn")


@pytest.mark.parametrize("agent", ["metaqnn", "random_walk"])
def test_a_run_has_exactly_its_budget_of_unique_networks(tmp_path, agent):
    search, store, run = make_search(tmp_path, agent, budget=60)
    learned = list(search)
    unique = {episode.record.architecture for episode in learned}
    assert len(unique) == 60
    assert [e.record.new for e in learned].count(True) == 60
    assert learned[-1].record.new
    assert store.episodes(run) == [episode.record for episode in learned]


@pytest.mark.parametrize("lookahead", [1, 3, 7])
def test_at_episode_t_the_agent_has_learned_those_up_to_t_minus_lookahead(tmp_path, lookahead):
    agent = Recording()
    search, _, _ = make_search(tmp_path, made=agent, budget=20, lookahead=lookahead)
    learned = list(search)
    events = agent.events
    acts = [position for position, event in enumerate(events) if event == "act"]
    for t, position in enumerate(acts):
        assert events[:position].count("learn") == max(0, t - lookahead + 1)
    assert events.count("learn") == len(acts) == len(learned)


@pytest.mark.parametrize("lookahead", [1, 15])
def test_epsilon_counts_the_unique_networks_begun_whatever_the_lookahead(tmp_path, lookahead):
    search, _, _ = make_search(tmp_path, budget=150, lookahead=lookahead)
    schedule = PAPER_SCHEDULE.scaled(150)
    begun = set()
    for episode in search:
        assert episode.record.epsilon == schedule.epsilon(len(begun))
        begun.add(episode.record.architecture)
    assert episode.record.epsilon == 0.1  # the whole schedule is gone through


@pytest.mark.parametrize("lookahead", [1, 4])
def test_the_executor_does_not_change_the_run(tmp_path, lookahead):
    inline, _, _ = make_search(tmp_path / "inline", lookahead=lookahead)
    with ThreadPoolExecutor(3) as executor:
        threads, _, _ = make_search(tmp_path / "threads", lookahead=lookahead, executor=executor)
        records = [episode.record for episode in threads]
    assert records == [episode.record for episode in inline]


def test_no_network_is_evaluated_twice_even_across_agents_on_one_store(tmp_path):
    evaluator = InstantEvaluator()
    shared = tmp_path / "shared.sqlite"
    for agent in ("metaqnn", "random_walk"):
        for seed in (0, 1):
            search, _, _ = make_search(
                tmp_path / f"{agent}{seed}", agent, seed=seed, evaluator=evaluator, store=shared
            )
            list(search)
    assert len(evaluator.asked) == len(set(evaluator.asked))


def test_what_was_looked_up_is_committed_before_the_search_waits(tmp_path):
    shared = tmp_path / "shared.sqlite"
    list(make_search(tmp_path / "one", "random_walk", budget=10, store=shared)[0])
    seen = []

    def evaluate(architecture, seed=0):
        count, deadline = 0, time.monotonic() + 10
        with contextlib.closing(sqlite3.connect(shared)) as db:
            while not count and time.monotonic() < deadline:
                query = "SELECT count(*) FROM episodes WHERE run = ?"
                (count,) = db.execute(query, (run,)).fetchone()
                time.sleep(0.01)
        seen.append(count)
        return InstantEvaluator().evaluate(architecture, seed)

    with ThreadPoolExecutor(1) as executor:
        search, _, run = make_search(
            tmp_path / "two", "random_walk", budget=11, store=shared,
            evaluate=evaluate, executor=executor,
        )  # fmt: skip
        episodes = len(list(search))
    assert 10 <= seen[0] == episodes - 1


@pytest.mark.parametrize("stop", [1, 17, 40])
def test_a_run_that_was_stopped_and_repeated_equals_one_that_was_not(tmp_path, stop):
    whole, _, _ = make_search(tmp_path / "whole", lookahead=2)
    expected = [episode.record for episode in whole]

    first, interrupted = InstantEvaluator(), InstantEvaluator()
    search, store, _ = make_search(tmp_path / "stopped", lookahead=2, evaluator=first)
    episodes = iter(search)
    for _ in range(stop):
        next(episodes)
    store.close()  # as a kill would: nothing more is written
    with pytest.raises(sqlite3.ProgrammingError):
        episodes.throw(KeyboardInterrupt)

    again, store, run = make_search(tmp_path / "stopped", lookahead=2, evaluator=interrupted)
    assert [episode.record for episode in again] == expected
    assert store.episodes(run) == expected
    paid_twice = set(first.asked) & set(interrupted.asked)
    assert len(paid_twice) <= 2  # at most those in flight at the stop


def test_a_finished_run_is_repeated_without_evaluating(tmp_path):
    list(make_search(tmp_path)[0])
    evaluator = InstantEvaluator()
    list(make_search(tmp_path, evaluator=evaluator)[0])
    assert evaluator.asked == []


def test_leaving_the_recorded_path_is_refused_and_named(tmp_path):
    list(make_search(tmp_path)[0])
    other = MetaQNN(11, seed=1)
    with pytest.raises(InvalidInput, match="in episode 0 the actions came as"):
        list(make_search(tmp_path, made=other)[0])


def test_leaving_the_recorded_path_with_another_version_names_it(tmp_path, monkeypatch):
    list(make_search(tmp_path)[0])
    version = importlib.metadata.version
    monkeypatch.setattr(
        "importlib.metadata.version", lambda name: "9.9" if name == "numpy" else version(name)
    )
    with pytest.raises(InvalidInput, match=r"numpy was .* and is 9\.9"):
        list(make_search(tmp_path, made=MetaQNN(11, seed=1))[0])


def test_a_reward_that_is_not_finite_ends_the_search_and_keeps_the_evaluation(tmp_path):
    search, store, run = make_search(tmp_path, "random_walk")

    def broken(evaluation):
        raise InvalidInput("The reward must be a finite number.")

    search._reward_function = broken
    with pytest.raises(InvalidInput):
        list(search)
    assert store.episodes(run) == []
    assert stored(tmp_path) == 1


class SlowThenBroken(Executor):
    """The first network takes a while; the next one fails at once."""

    def __init__(self):
        self.submitted = 0

    def submit(self, evaluate, architecture, seed):
        future = Future()
        self.submitted += 1
        if self.submitted == 1:
            result = evaluate(architecture, seed)
            threading.Timer(0.3, future.set_result, [result]).start()
        else:
            future.set_exception(InvalidInput("no worker"))
        return future


def test_a_failure_that_must_wait_for_its_turn_does_not_keep_the_search_busy(tmp_path, monkeypatch):
    waits = []

    def counted(*arguments, **options):
        waits.append(arguments)
        return wait(*arguments, **options)

    monkeypatch.setattr(search_module, "wait", counted)
    search, store, run = make_search(tmp_path, lookahead=4, executor=SlowThenBroken())
    with pytest.raises(InvalidInput, match="no worker"):
        list(search)
    assert len(waits) < 5
    assert len(store.episodes(run)) == 1


def test_inline_evaluations_are_saved_even_when_the_agent_learns_them_much_later(tmp_path):
    class Watching(InstantEvaluator):
        def evaluate(self, architecture, seed=0):
            assert stored(tmp_path) == len(self.asked)  # all that were evaluated so far
            return super().evaluate(architecture, seed)

    evaluator = Watching()
    search, _, _ = make_search(tmp_path, lookahead=8, budget=40, evaluator=evaluator)
    list(search)
    assert len(evaluator.asked) == stored(tmp_path) == 40


def stored(run_dir):
    """Number of evaluations that another process would see."""
    with sqlite3.connect(run_dir / "store.sqlite") as db:
        return db.execute("SELECT count(*) FROM evaluations").fetchone()[0]


def test_a_store_that_is_gone_is_never_replaced_by_a_new_one(tmp_path):
    list(make_search(tmp_path)[0])
    path = tmp_path / "store.sqlite"
    for damage in (path.unlink, path.touch):
        damage()
        with pytest.raises(InvalidInput, match="put"):
            make_search(tmp_path)


def test_a_run_that_was_killed_while_it_began_can_begin_again(tmp_path):
    make_search(tmp_path)
    for left in ("run.json", None):
        if left is not None:
            (tmp_path / left).rename(tmp_path / f"{left}.unfinished")
        search, _, _ = make_search(tmp_path)
        assert len(list(search)) >= 60


def test_the_default_lookahead_grows_with_the_workers_up_to_a_quarter_of_the_budget():
    assert default_lookahead(workers=1, budget=2700) == 1
    assert default_lookahead(workers=2, budget=2700) == 16
    assert default_lookahead(workers=64, budget=150) == 37
    assert default_lookahead(workers=4, budget=5) == 1


def test_failures_are_recorded_rewarded_and_do_not_end_the_search(tmp_path):
    statuses = ("ok", "diverged", "out_of_memory", "timeout", "error")
    search, _, _ = make_search(tmp_path, evaluator=InstantEvaluator(statuses))
    learned = list(search)
    assert {episode.evaluation.status for episode in learned} == set(statuses)
    for episode in learned:
        failed = episode.evaluation.status != "ok"
        assert episode.record.reward == (0.0 if failed else episode.evaluation.accuracy)


def test_an_exhausted_space_ends_the_search_well(tmp_path, monkeypatch):
    monkeypatch.setattr(search_module, "MAX_REPEATS", 5)
    search, store, run = make_search(tmp_path, "random_walk", budget=4808)
    learned = list(search)
    assert search.exhausted
    assert [episode.record.new for episode in learned[-5:]] == [False] * 5
    assert store.episodes(run) == [episode.record for episode in learned]


def test_a_budget_beyond_the_space_is_the_space(tmp_path):
    env = make_env(
        DIGITS,
        evaluator=InstantEvaluator(),
        search_space={"preset": "digits", "max_layers": 1, "conv_filters": [8]},
    )
    settings = run_settings(env, {"name": "random_walk"}, seed=0, budget=100)
    store = open_run(tmp_path / "run", settings)
    agent = RandomWalk(len(env.search_space.actions))
    learned = list(Search(env, settings, agent, env.evaluator.evaluate, store, InlineExecutor()))
    assert settings.budget == env.search_space.count() == 6
    assert len({e.record.architecture for e in learned}) == 6


def test_an_agent_that_acts_illegally_is_named(tmp_path):
    class Illegal:
        def act(self, observation, action_mask):
            return int(np.flatnonzero(~np.asarray(action_mask, bool))[0])

        def learn(self, episode):
            raise AssertionError("never reached")

    with pytest.raises(
        InvalidInput, match=r"illegal action in episode 0\. Action 6, P\(2,2\), is illegal"
    ):
        list(make_search(tmp_path, made=Illegal())[0])


def test_rewards_of_agents_that_learn_rise(tmp_path):
    """On a space where only the terminator matters, epsilon 0.1 earns more than epsilon 1."""

    class Terminators(InstantEvaluator):
        def evaluate(self, architecture, seed=0):
            good = str(architecture).endswith("SM(10)]")
            return super().evaluate(architecture, seed).__class__(0.9 if good else 0.1, "ok", 1, 1)

    search, _, _ = make_search(tmp_path, budget=200, evaluator=Terminators())
    rewards = {}
    for episode in search:
        rewards.setdefault(episode.record.epsilon, []).append(episode.record.reward)
    assert np.mean(rewards[0.1]) > np.mean(rewards[1.0]) + 0.1


def test_metaqnn_settings_follow_the_budget():
    paper, total = metaqnn_settings(None)
    assert (total, paper["alpha"], paper["replay"]) == (2700, 0.01, 100)
    short, total = metaqnn_settings(300)
    assert total == sum(models for _, models in short["schedule"]) == 300
    assert short["alpha"] == pytest.approx(0.09)
    assert metaqnn_settings(30)[0]["alpha"] == 0.1
    assert metaqnn_settings(27_000)[0]["alpha"] == 0.01


def test_what_is_looked_up_is_written_in_batches_and_retraced(tmp_path):
    """Nothing was paid for a table's results: they may wait, but none is lost at an end."""
    make_table().save(tmp_path / "table.npz")
    env = make_env("CNNArch-CIFAR10Table-v0", table=str(tmp_path / "table.npz"))
    settings = run_settings(env, {"name": "random_walk"}, seed=0, budget=1000)

    def run(folder, episodes):
        """Runs the search until it ends or has learned from some episodes; all that is stored."""
        agent = make_agent(settings.agent, env.search_space, 0)
        store = open_run(tmp_path / folder, settings)
        search = Search(env, settings, agent, env.evaluator.evaluate, store, InlineExecutor())
        with contextlib.closing(iter(search)) as learning:
            learned = [each.record for each in itertools.islice(learning, episodes)]
        assert store.episodes(settings.run)[: len(learned)] == learned
        evaluations = list(store.evaluations(settings.task))
        store.close()
        return learned, evaluations

    stopped, _ = run("stopped", 250)
    whole, evaluations = run("whole", None)
    assert len(whole) > 400  # more than one batch
    assert len(evaluations) == env.search_space.count()
    assert stopped == whole[:250]
    assert run("stopped", None) == (whole, evaluations)


@pytest.mark.parametrize(
    ("shown", "shape"),
    [({}, (8,)), ({"observe_budget": True}, (9,)), ({"observation": "onehot"}, None)],
)
def test_a_search_s_agent_sees_what_the_environment_shows(tmp_path, shown, shape):
    """And the run says so: other observations are another run."""
    seen = []

    class Looks(RandomWalk):
        def act(self, observation, action_mask):
            seen.append(observation)
            return super().act(observation, action_mask)

    limits = {"preset": "small", "max_parameters": 3000}
    env = make_env("CNNArch-CIFAR10Table-v0", search_space=limits, **shown)
    agent = Looks(env.action_space.n, seed=0)
    run = run_search(
        "CNNArch-CIFAR10Table-v0", agent, 3, search_space=limits, run_dir=tmp_path / "run", **shown
    )
    assert all(env.observation_space.contains(observation) for observation in seen)
    assert shape in (None, seen[0].shape)
    plain = run.summary.settings.as_json()
    assert {name: plain.get(name) for name in shown} == shown
    assert shown or not {"observe_budget", "observation"} & plain.keys()


def test_agents_that_read_fields_are_not_given_onehot_observations(tmp_path):
    for agent, form, reason in (
        ("thompson", "onehot", "thompson reads observation='multidiscrete'"),
        ("metaqnn", "dict", "reads observation='multidiscrete'"),
        (RandomWalk(13), "dict", "read arrays"),
    ):
        with pytest.raises(InvalidInput, match=reason):
            run_search(
                "CNNArch-CIFAR10Table-v0", agent, 3, observation=form, run_dir=tmp_path / "run"
            )


class TwoWorkers(Executor):
    """Two networks at a time; the oldest one ends when somebody waits."""

    def __init__(self):
        self.queue, self.running, self.begun = deque(), deque(), 0

    def submit(self, *call):
        self.queue.append((Future(), call))
        future = self.queue[-1][0]
        self.start()
        return future

    def start(self):
        while self.queue and len(self.running) < 2:
            future, call = self.queue.popleft()
            if future.set_running_or_notify_cancel():
                self.running.append((future, call))
                self.begun += 1

    def end_one(self):
        future, (evaluate, *arguments) = self.running.popleft()
        future.set_result(evaluate(*arguments))
        self.start()


@pytest.mark.parametrize("by", ["winding up", "hours"])
def test_at_its_end_no_network_that_waits_for_a_worker_is_begun(tmp_path, monkeypatch, by):
    executor, ended = TwoWorkers(), []
    clock = types.SimpleNamespace(
        monotonic=lambda: clock.now, perf_counter=time.perf_counter, now=0
    )

    def waits(futures, timeout, until):
        assert timeout == (5 if by == "hours" and clock.now == 0 else None)
        if timeout is not None and executor.begun == 7:
            clock.now += timeout  # before a network ends
        else:
            executor.end_one()

    monkeypatch.setattr(search_module, "wait", waits)
    monkeypatch.setattr(search_module, "time", clock)
    search, store, run = make_search(tmp_path / "parts", lookahead=16, executor=executor)
    search.workers = 2
    if by == "hours":
        search.seconds = 5
    for learned in search:
        ended.append(learned.record)
        if by == "winding up" and len(ended) == 5:
            search.wind_up()
    assert executor.begun == 7  # two were in training when the fifth had ended
    assert sum(record.new for record in ended) == 7
    assert store.episodes(run) == ended
    assert store.find_run(run).finished == (by == "winding up")

    whole = [e.record for e in make_search(tmp_path / "whole", lookahead=16)[0]]
    assert ended == whole[: len(ended)]
    again, store, run = make_search(tmp_path / "parts", lookahead=16)
    assert [episode.record for episode in again] == whole
    assert store.episodes(run) == whole


class Deaf(TwoWorkers):
    """Of whose futures nobody knows that they are running, as Dask's."""

    def start(self):
        while self.queue and len(self.running) < 2:
            self.running.append(self.queue.popleft())
            self.begun += not self.running[-1][0].cancelled()

    def end_one(self):
        future, (evaluate, *arguments) = self.running.popleft()
        if not future.cancelled():
            future.set_result(evaluate(*arguments))
        self.start()


def test_what_is_in_training_at_the_end_is_kept_where_nobody_says_that_it_runs(
    tmp_path, monkeypatch
):
    executor, ended = Deaf(), []
    monkeypatch.setattr(search_module, "wait", lambda *_: executor.end_one())
    search, _, _ = make_search(tmp_path, lookahead=16, executor=executor)
    search.workers = 2
    for learned in search:
        ended.append(learned.record)
        if len(ended) == 5:
            search.wind_up()
    assert sum(record.new for record in ended) == executor.begun == 7
