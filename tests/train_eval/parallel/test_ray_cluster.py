"""The Ray executor on a real Ray: a cluster that loses a node, and what a node may find."""

import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path

import pytest

from gym_cnnarch import Architecture, InvalidInput
from tests.helpers.instant import CurveEvaluator, make_search
from train_eval import Run
from train_eval.parallel.executors import InlineExecutor
from train_eval.parallel.ray_cluster import RayExecutor
from train_eval.parallel.task import EvaluationTask
from train_eval.parallel.worker import WorkerDied
from train_eval.training.evaluator import TrainingEvaluator
from train_eval.training.stopping import Halving

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

SETTINGS = {
    "dataset": "digits",
    "recipe": {"preset": "digits", "epochs": 1, "train_size": 200},
    "device": "cpu",
}
NETWORK = Architecture.parse("[SM(10)]")
BUDGET = 16
HELPERS = str(Path(__file__).parents[2] / "helpers")  # of the evaluators that workers make

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


def search_with(run_dir, executor, evaluate, after=lambda: None, **options):
    """Episodes and Q-values of a search; ``after`` is called after each episode."""
    search, store, run = make_search(
        run_dir, budget=BUDGET, lookahead=6, executor=executor, evaluate=evaluate, **options
    )
    for _ in search:
        after()
    return store.episodes(run), search._agent._table._values


def noted(notes, event):
    """How often an evaluation began or ended."""
    path = notes / event
    return len(path.read_text().splitlines()) if path.exists() else 0


def happens(condition, within):
    """Whether a condition comes to hold within some seconds."""
    deadline = time.monotonic() + within
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one CPU; their workers find this folder's evaluators."""
    monkeypatch.setenv("PYTHONPATH", HELPERS)
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.second = made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def test_searches_on_a_cluster_equal_searches_here(tmp_path, cluster):
    """With random delays, real training, rules that stop it, and while a busy node is lost."""
    evaluator = TrainingEvaluator(**SETTINGS)
    trained = search_with(tmp_path / "here", InlineExecutor(), evaluator.evaluate)
    instant = search_with(tmp_path / "instant", InlineExecutor(), None)
    notes = tmp_path / "notes"
    notes.mkdir()
    settings = {"notes": str(notes), "delay": 0.3}
    delayed = EvaluationTask("worker_evaluators:DelayedEvaluator", settings, "instant")
    training = EvaluationTask("train_eval:TrainingEvaluator", SETTINGS, evaluator.task)

    with RayExecutor(cluster.address) as executor:
        assert executor.workers == 2
        assert search_with(tmp_path / "delayed", executor, delayed) == instant
        assert len(list(notes.glob("pid-*"))) == 2  # both nodes had a part

        assert search_with(tmp_path / "trained", executor, training) == trained

        curves = EvaluationTask("instant:CurveEvaluator", {}, "curves")
        options = {"evaluator": CurveEvaluator(), "stopping": Halving(rungs=(1, 3), first=5)}
        decided = search_with(tmp_path / "stopping here", InlineExecutor(), None, **options)
        assert search_with(tmp_path / "stopping", executor, curves, **options) == decided
        assert Run(tmp_path / "stopping").summary.stopped

        def lose_the_second_node():
            """Once, at a moment when both nodes are at work, which may take a few networks."""
            busy = lambda: noted(notes, "began") - noted(notes, "ended") == 2
            if cluster.second is None:
                return
            (notes / "slow").touch()
            happens(busy, within=2.0)
            time.sleep(0.5)  # what began before the file is over
            both = busy()
            (notes / "slow").unlink()
            if both:
                cluster.remove_node(cluster.second, allow_graceful=False)
                cluster.second = None
                assert happens(lambda: sum(n["Alive"] for n in ray.nodes()) == 1, within=120)

        long = EvaluationTask("worker_evaluators:LongEvaluator", {"notes": str(notes)}, "instant")
        lost = search_with(tmp_path / "lost", executor, long, lose_the_second_node)
        assert cluster.second is None
        assert lost == instant
        assert noted(notes, "began") > BUDGET  # what the lost node had was begun again

        failures(executor, tmp_path, evaluator)


def failures(executor, tmp_path, evaluator):
    """A worker that dies twice, and a node with other data, are told in one line each."""
    settings = {"notes": str(tmp_path), "victim": "[SM(10)]", "deaths": 2}
    dying = EvaluationTask("worker_evaluators:FragileEvaluator", settings, "instant")
    with pytest.raises(WorkerDied, match=r"^the worker process died 2 times in a row[^\n]*$"):
        executor.submit(dying, NETWORK, 0).result()
    other = EvaluationTask("train_eval:TrainingEvaluator", SETTINGS, "other task")
    with pytest.raises(InvalidInput, match=r"^A worker on [^\n]*other data[^\n]*other task"):
        executor.submit(other, NETWORK, 0).result()


def test_no_more_networks_are_trained_at_a_time_than_asked(tmp_path, cluster):
    with pytest.raises(InvalidInput, match="takes 2 CPUs and 0 GPUs, but no node"):
        RayExecutor(cluster.address, cpus=2)
    long = EvaluationTask("worker_evaluators:LongEvaluator", {"notes": str(tmp_path)}, "instant")
    busiest = 0
    with RayExecutor(cluster.address, workers=1) as executor:
        futures = [executor.submit(long, NETWORK, seed) for seed in range(4)]
        while not all(future.done() for future in futures):
            began = noted(tmp_path, "began")
            busiest = max(busiest, began - noted(tmp_path, "ended"))
            time.sleep(0.02)
    assert busiest == 1
    assert noted(tmp_path, "ended") == 4


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere"])
def test_a_cluster_that_is_not_there_is_named(address):
    with pytest.raises(InvalidInput, match=f"No Ray cluster at {address}"):
        RayExecutor(address)


def test_a_network_that_was_taken_back_is_not_sent():
    """Without a cluster: what waits is sent when there is room."""
    sent = []

    class Remote:
        def remote(self, task, *arguments):
            sent.append(arguments)
            return self

        def future(self):
            return Future()

    executor = RayExecutor.__new__(RayExecutor)
    executor.workers, executor._running, executor._lock = 0, 0, threading.RLock()
    executor._waiting, executor._references, executor._evaluate = deque(), {}, Remote()
    futures = [executor.submit(None, number) for number in range(3)]
    assert futures[1].cancel()
    executor.workers = 2
    executor._start_next()
    assert sent == [(0,), (2,)]
    assert not futures[0].cancel()
