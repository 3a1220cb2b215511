"""Where evaluations run changes nothing of a search; workers that die or hang are results."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import gymnasium as gym
import loky
import numpy as np
import pytest

from gym_cnnarch import Architecture, InvalidInput
from tests.helpers.instant import DIGITS, InstantEvaluator, make_search
from train_eval.parallel import worker
from train_eval.parallel.executors import InlineExecutor, LocalExecutor, worker_environments
from train_eval.parallel.task import EvaluationTask
from train_eval.parallel.worker import WorkerHung, WorkersUnavailable

NETWORK = Architecture.parse("[SM(10)]")
HELPERS = str(Path(__file__).parents[2] / "helpers")  # of the evaluators that workers make


@pytest.fixture(autouse=True)
def evaluators_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(HELPERS)


def task(name, notes, time_limit=None, **settings):
    settings = {"notes": str(notes), **settings}
    return EvaluationTask(f"worker_evaluators:{name}", settings, "instant", time_limit)


def asked(notes):
    """How often each architecture was evaluated."""
    return Counter(line for file in notes.glob("pid-*") for line in file.read_text().splitlines())


def outcome(run_dir, executor, evaluate):
    """Episodes and all Q-values of a search that looks 4 episodes ahead."""
    with executor:
        search, store, run = make_search(
            run_dir, budget=40, lookahead=4, executor=executor, evaluate=evaluate
        )
        learned = list(search)
    table = search._agent._table
    return store.episodes(run), table._values, [e.evaluation.accuracy for e in learned]


def test_any_executor_gives_the_same_episodes_and_q_values(tmp_path):
    expected = outcome(tmp_path / "inline", InlineExecutor(), InstantEvaluator().evaluate)
    spawn = multiprocessing.get_context("spawn")
    executors = {f"local-{n}": LocalExecutor([{}] * n) for n in (1, 2, 4)}
    executors["standard library"] = ProcessPoolExecutor(2, mp_context=spawn)
    for name, executor in executors.items():
        (tmp_path / name).mkdir()
        got = outcome(tmp_path / f"{name}-run", executor, task("DelayedEvaluator", tmp_path / name))
        assert got == expected, name
        assert set(asked(tmp_path / name).values()) == {1}
        assert len(asked(tmp_path / name)) == 40


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_network_whose_worker_is_killed_is_tried_once_more(tmp_path, deaths):
    victim = "[SM(10)]"  # among the first networks of this seed
    fragile = task("FragileEvaluator", tmp_path, victim=victim, deaths=deaths)
    with LocalExecutor([{}] * 2) as executor:
        search, _, _ = make_search(
            tmp_path / "run", "random_walk", budget=30, lookahead=4, executor=executor,
            evaluate=fragile,
        )  # fmt: skip
        results = {e.record.architecture: e for e in search}
    assert (tmp_path / "tries").stat().st_size == 2
    assert len(results) == 30
    killed = results.pop(victim)
    if deaths == 1:
        assert killed.evaluation.status == "ok"
    else:
        assert killed.evaluation.status == "error"
        assert "died 2 times" in killed.evaluation.message
        assert killed.evaluation.parameters == 650  # 64 inputs and a bias for each of 10 classes
        assert killed.record.reward == 0.0
    assert {e.evaluation.status for e in results.values()} == {"ok"}


def test_a_worker_that_hangs_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "GRACE", 0.5)
    hanging = task("FragileEvaluator", tmp_path, 0.5, victim="[SM(10)]", seconds=600)
    other = Architecture.parse("[GAP(10)]")
    with LocalExecutor([{}]) as executor:
        with pytest.raises(WorkerHung, match="time limit"):
            executor.submit(hanging, NETWORK, 0).result()
        assert executor.submit(hanging, other, 0).result().status == "ok"


def test_a_worker_is_asked_once_more_before_it_has_hung(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "GRACE", 0.5)
    evaluator = task("OnceSlowEvaluator", tmp_path, 0.5)
    with LocalExecutor([{}]) as executor:
        assert executor.submit(evaluator, NETWORK, 0).result().status == "ok"
    assert (tmp_path / "asked").stat().st_size == 2


def test_time_in_which_the_driver_was_stopped_does_not_count(tmp_path):
    """Driver and worker are stopped for longer than limit and grace, and then go on."""
    script = (
        "import sys\n"
        f"sys.path.insert(0, {HELPERS!r})\n"
        "from gym_cnnarch import Architecture\n"
        "from train_eval.parallel import worker\n"
        "from train_eval.parallel.executors import LocalExecutor\n"
        "from train_eval.parallel.task import EvaluationTask\n"
        "worker.GRACE, worker.TRIES = 1.0, 1\n"
        f"settings = {{'notes': {str(tmp_path)!r}}}\n"
        "task = EvaluationTask('worker_evaluators:WaitingEvaluator', settings, 'instant', 2.0)\n"
        "with LocalExecutor([{}]) as executor:\n"
        "    print(executor.submit(task, Architecture.parse('[SM(10)]'), 0).result().status)\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert driver.poll() is None
        time.sleep(0.05)
    pids = driver.pid, int((tmp_path / "pid").read_text())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(5.0)
    (tmp_path / "go").touch()
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert driver.communicate(timeout=60)[0] == "ok\n"


def test_a_worker_that_dies_while_it_starts_is_no_fault_of_the_network(tmp_path):
    starting = task("UnstartableEvaluator", tmp_path, deaths=3)
    with LocalExecutor([{}]) as executor:
        assert executor.submit(starting, NETWORK, 0).result().status == "ok"
    assert (tmp_path / "starts").stat().st_size == 4


def test_workers_that_cannot_start_end_the_search(tmp_path):
    starting = task("UnstartableEvaluator", tmp_path, deaths=1000)
    with LocalExecutor([{}]) as executor:
        search, _, _ = make_search(tmp_path / "run", executor=executor, evaluate=starting)
        with pytest.raises(WorkersUnavailable, match="while it started"):
            list(search)
    assert count(tmp_path / "run") == 0  # no network is blamed


def test_workers_that_cannot_prepare_end_the_search_with_the_reason(tmp_path):
    with LocalExecutor([{}]) as executor:
        future = executor.submit(task("UnpreparedEvaluator", tmp_path), NETWORK, 0)
        with pytest.raises(WorkersUnavailable, match=r"\(CUDA error: out of memory\): free memory"):
            future.result()


def no_threads(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def no_shared_memory(monkeypatch):
    def refuse(*arguments, **options):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(worker, "ProcessPoolExecutor", refuse)


def daemonic(monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)


@pytest.mark.parametrize(
    ("refuse", "reason"),
    [
        (no_threads, r"No worker can be started \(RuntimeError: can't start new thread\)"),
        (no_shared_memory, r"\(FileNotFoundError: .*No such file or directory\): check the limits"),
        (daemonic, r"\(OSError: this is a daemonic process"),
    ],
)
def test_a_machine_that_gives_no_workers_ends_the_search_with_the_reason(
    tmp_path, monkeypatch, refuse, reason
):
    executor = LocalExecutor([{}])
    refuse(monkeypatch)
    search, _, _ = make_search(
        tmp_path / "run", executor=executor, evaluate=task("DelayedEvaluator", tmp_path)
    )
    with pytest.raises(WorkersUnavailable, match=reason):
        list(search)
    executor.shutdown()
    assert count(tmp_path / "run") == 0


def test_a_timeout_of_the_evaluator_s_own_is_no_hanging_worker(tmp_path):
    with LocalExecutor([{}]) as executor:
        future = executor.submit(task("ImpatientEvaluator", tmp_path), NETWORK, 0)
        with pytest.raises(TimeoutError, match="licence server"):
            future.result()


def test_shutting_down_does_not_wait_for_what_is_trained(tmp_path):
    slow = task("FragileEvaluator", tmp_path, victim="[SM(10)]", seconds=600)
    executor = LocalExecutor([{}])
    future = executor.submit(slow, NETWORK, 0)
    while not (tmp_path / "tries").exists():
        time.sleep(0.05)
    ((network, _),) = executor.activity.values()
    assert network == NETWORK
    executor.shutdown()
    assert future.exception() is not None
    assert executor.activity == {}


def test_workers_end_with_a_driver_that_is_killed(tmp_path):
    script = (
        "import sys, os, signal, json\n"
        f"sys.path.insert(0, {HELPERS!r})\n"
        "from gym_cnnarch import Architecture\n"
        "from train_eval.parallel.executors import LocalExecutor\n"
        "from train_eval.parallel.task import EvaluationTask\n"
        f"settings = {{'notes': {str(tmp_path)!r}, 'delay': 0}}\n"
        "task = EvaluationTask('worker_evaluators:DelayedEvaluator', settings, 'instant')\n"
        "executor = LocalExecutor([{}])\n"
        "executor.submit(task, Architecture.parse('[SM(10)]'), 0).result()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    (note,) = tmp_path.glob("pid-*")
    pid = int(note.name.removeprefix("pid-"))
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(pid)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended but was not waited for still has its number.
    return (
        "Z"
        not in subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    )


def test_results_that_finish_early_are_saved_while_a_slow_one_is_waited_for(tmp_path):
    first = next(iter(make_search(tmp_path / "probe", "random_walk", lookahead=8)[0]))
    slow = task("FragileEvaluator", tmp_path, victim=first.record.architecture, seconds=600)
    with LocalExecutor([{}] * 2) as executor:
        search, store, _ = make_search(
            tmp_path / "run", "random_walk", lookahead=8, executor=executor, evaluate=slow
        )
        waiter = iter(search)
        interrupt_once(lambda: count(tmp_path / "run") >= 5)
        with pytest.raises(KeyboardInterrupt):
            next(waiter)
    assert count(tmp_path / "run") >= 5
    assert store.find("instant", Architecture.parse(first.record.architecture), 0) is None


def count(run_dir):
    """Number of stored evaluations, by a connection of its own."""
    with sqlite3.connect(run_dir / "store.sqlite") as db:
        return db.execute("SELECT count(*) FROM evaluations").fetchone()[0]


def interrupt_once(condition):
    """Sends this process Ctrl-C as soon as a condition holds."""

    def interrupt():
        while not condition():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()


def test_environments_in_several_processes_share_one_store(tmp_path):
    store = tmp_path / "store.sqlite"
    recipe = {"preset": "digits", "epochs": 1, "train_size": 200}
    envs = gym.make_vec(
        DIGITS, num_envs=2, vectorization_mode="async", recipe=recipe, store=str(store)
    )
    _, info = envs.reset(seed=0)
    rewards = {}
    for _ in range(60):
        actions = [envs.single_action_space.sample(mask=mask) for mask in info["action_mask"]]
        _, reward, terminated, _, info = envs.step(np.array(actions))
        for i in np.flatnonzero(terminated):
            rewards.setdefault(info["architecture"][i], set()).add(float(reward[i]))
    envs.close()
    assert all(len(found) == 1 for found in rewards.values())
    alone = gym.make(DIGITS, recipe=recipe, store=str(store)).unwrapped.evaluator
    for text, found in rewards.items():
        evaluation = alone.evaluate(Architecture.parse(text))
        assert evaluation.cached
        assert found == {evaluation.accuracy if evaluation.status == "ok" else 0.0}


def test_a_worker_with_other_data_is_refused(tmp_path):
    other = EvaluationTask(
        "worker_evaluators:DelayedEvaluator", {"notes": str(tmp_path)}, "other task"
    )
    with LocalExecutor([{}]) as executor:
        future = executor.submit(other, NETWORK, 0)
        with pytest.raises(InvalidInput, match=r"other data.*instant, not other task"):
            future.result()


def test_a_process_that_lost_its_gpu_is_replaced(tmp_path):
    lost = task("LostEvaluator", tmp_path)
    with LocalExecutor([{}]) as executor:
        assert executor.submit(lost, NETWORK, 0).result().status == "ok"
    assert (tmp_path / "lost").stat().st_size == 2


@pytest.mark.parametrize(
    ("gpus", "options", "seen"),
    [
        (0, {"workers": 3}, [None] * 3),
        (0, {}, [None] * loky.cpu_count()),
        (2, {}, ["0", "1"]),
        (2, {"device": "cuda", "workers_per_gpu": 2}, ["0", "1", "0", "1"]),
        (2, {"workers": 3}, ["0", "1", "0"]),
        (2, {"device": "cpu"}, [None] * loky.cpu_count()),
        (2, {"device": "cuda:1"}, [None]),
        (2, {"device": "cuda:1", "workers_per_gpu": 3}, [None] * 3),
    ],
)
def test_each_worker_sees_one_gpu(monkeypatch, gpus, options, seen):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert [env.get("CUDA_VISIBLE_DEVICES") for env in worker_environments(**options)] == seen


def test_gpus_are_named_as_the_driver_sees_them(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [env["CUDA_VISIBLE_DEVICES"] for env in worker_environments()] == ["5", "7"]
