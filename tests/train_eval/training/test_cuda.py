"""Training on a GPU, where there is one."""

import numpy as np
import pytest
import torch

from gym_cnnarch import Architecture
from train_eval.environments import make_env
from train_eval.parallel.executors import LocalExecutor, worker_environments
from train_eval.parallel.task import evaluation_task
from train_eval.run.fit import fit
from train_eval.run.run import Run
from train_eval.training.evaluator import TrainingEvaluator
from train_eval.training.latency import conditions_of, measure

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

NETWORK = Architecture.parse("[C(32,3,1), C(32,3,1), P(2,2), FC(64), SM(10)]")


def test_a_network_learns_as_well_as_on_the_cpu():
    results = [
        TrainingEvaluator("digits", recipe="digits", device=d).evaluate(NETWORK)
        for d in ("cpu", "cuda")
    ]
    assert [result.status for result in results] == ["ok", "ok"]
    assert abs(results[0].accuracy - results[1].accuracy) < 0.03


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_learns_in_either_precision(precision):
    recipe = {"preset": "digits", "precision": precision}
    found = TrainingEvaluator("digits", recipe=recipe, device="cuda").evaluate(NETWORK)
    assert found.accuracy > 0.9


def test_latencies_are_those_of_the_gpu():
    device = torch.device("cuda")
    assert conditions_of(device).device == torch.cuda.get_device_name(device)
    (milliseconds,) = measure([NETWORK], (1, 8, 8), device, passes=5)
    assert milliseconds > 0


def test_the_callers_random_states_are_left_alone():
    torch.cuda.manual_seed_all(3)
    before = [torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())]
    TrainingEvaluator("digits", recipe={"preset": "digits", "epochs": 1}).train(NETWORK)
    after = [torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_too_large_a_network_is_out_of_memory_and_the_next_one_trains():
    evaluator = TrainingEvaluator("digits", recipe={"preset": "digits", "epochs": 1})
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(2**30 / total)  # 1 GiB: what the host has anyway
    try:
        large = Architecture.parse("[C(16,1,1), FC(300000), FC(300), SM(10)]")  # 1.6 GB of weights
        found = evaluator.train(large)
        assert (found.status, "CUDA" in found.message) == ("out_of_memory", True)
        assert evaluator.train(NETWORK).status == "ok"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_workers_train_on_their_gpus():
    env = make_env("CNNArch-Digits-v0", recipe={"preset": "digits", "epochs": 2})
    task = evaluation_task(env)
    with LocalExecutor(worker_environments(workers_per_gpu=2)) as executor:
        futures = [executor.submit(task, NETWORK, seed) for seed in range(4)]
        accuracies = [future.result().accuracy for future in futures]
    assert np.mean(accuracies) > 0.7


def test_fit_learns_what_large_networks_cost_and_the_first_pays_for_no_libraries(tmp_path):
    said = []
    fit(
        "digits", hours=20 / 3600, run_dir=tmp_path, recipe={"steps": 20, "epochs": 1},
        executor="inline", device="cuda", tell=said.append,
    )  # fmt: skip
    run = Run(tmp_path)
    assert len(run.networks) > 1
    assert run.assess().accuracy > 0.9
    assert run.networks[0].train_seconds < 2
    most = run.summary.settings.search_space["max_macs"]
    assert most > 10 * run.networks[0].macs, said
