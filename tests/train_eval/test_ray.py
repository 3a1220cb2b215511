"""The Ray executor on a real Ray: one node here, and a cluster that loses a node."""

import json

import pytest

from gym_cnnarch import InvalidInput
from train_eval.evaluator import TrainingEvaluator
from train_eval.executors import InlineExecutor
from train_eval.ray_executor import RayExecutor
from train_eval.workers import EvaluationTask

from .instant import make_search

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

SETTINGS = {
    "dataset": "digits",
    "recipe": {"preset": "digits", "epochs": 1, "train_size": 200},
    "device": "cpu",
}
TASK = EvaluationTask("train_eval.evaluator:TrainingEvaluator", json.dumps(SETTINGS))

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


def search_with(run_dir, executor, evaluate, after=None):
    """Episodes and Q-values of a search; ``after`` is called once 5 episodes are learned."""
    with executor:
        search, store, run = make_search(
            run_dir, budget=24, lookahead=6, executor=executor, evaluate=evaluate
        )
        for number, _ in enumerate(search, start=1):
            if number == 5 and after is not None:
                after()
    return store.episodes(run), search._agent._table._values


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    evaluator = TrainingEvaluator(**SETTINGS)
    return search_with(
        tmp_path_factory.mktemp("inline") / "run", InlineExecutor(), evaluator.evaluate
    )


def test_a_cluster_that_loses_a_node_gives_the_same_episodes_and_q_values(tmp_path, expected):
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        node = cluster.add_node(num_cpus=1)
        executor = RayExecutor(cluster.address)
        assert executor.workers == 2
        removed = []

        def remove_node():
            cluster.remove_node(node, allow_graceful=False)
            removed.append(len([n for n in ray.nodes() if n["Alive"]]))

        assert search_with(tmp_path / "run", executor, TASK, remove_node) == expected
        assert removed
    finally:
        cluster.shutdown()


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere"])
def test_a_cluster_that_is_not_there_is_named(address):
    with pytest.raises(InvalidInput, match=f"No Ray cluster at {address}"):
        RayExecutor(address)
