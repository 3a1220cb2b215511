"""Published results become runs, and what is no result is counted."""

import numpy as np
import pytest

from gym_cnnarch import Architecture
from tests.helpers.commands import cnnarch
from train_eval.environments import make_env
from train_eval.records.importing import import_results

REPLAY = """net,accuracy_best_val,iter_best_val,accuracy_last_val,epsilon
"[C(64,3,1), D(1,1), GAP(10), SM(10)]",0.5,1.0,0.4,1.0
"[C(64,3,1), SM(10)]",0.6,1.0,0.6,1.0
"[C(64,3,1), GAP(10)]",0.7,1.0,0.7,0.9
"[C(64,3,1), SM(10)]",86.0,1.0,86.0,0.7
"[C(64,3,1), SM(10)]",,1.0,,0.7
"[C(65,3,1), SM(10)]",0.5,1.0,0.5,0.7
"a network",0.5,1.0,0.5,0.7
"""


def run_of(path, env_id, run_dir):
    return import_results(path, env_id, make_env(env_id, evaluator=None).search_space, run_dir)


def test_rows_become_episodes_and_the_rest_is_counted(tmp_path):
    (tmp_path / "replay.csv").write_text(REPLAY)
    imported = run_of(tmp_path / "replay.csv", "CNNArch-SVHN-v0", tmp_path / "run")
    assert imported.rows == 7
    assert imported.unique == 2
    assert imported.skipped == {
        "the accuracy is not in [0, 1]": 2,
        "the network is not of the space": 1,
        "the network cannot be read": 1,
    }
    episodes = imported.store.episodes(imported.run)
    assert [(e.architecture, e.reward, e.epsilon, e.new) for e in episodes] == [
        ("[C(64,3,1), GAP(10)]", 0.5, 1.0, True),
        ("[C(64,3,1), SM(10)]", 0.6, 1.0, True),
        ("[C(64,3,1), GAP(10)]", 0.5, 0.9, False),  # its first result
    ]
    record = imported.store.find_run(imported.run)
    space = record.settings.space
    for episode in episodes:
        layers = tuple(space.actions[action] for action in episode.actions)
        assert str(Architecture(layers)) == episode.architecture
    assert record.finished
    assert record.settings.agent["file"] == "replay.csv"
    again = run_of(tmp_path / "replay.csv", "CNNArch-SVHN-v0", tmp_path / "run")
    assert again.run == imported.run
    assert len(again.store.episodes(again.run)) == 3


def test_the_published_replay_has_the_papers_mean(shared_data, tmp_path, capsys):
    path = shared_data / "metaqnn-svhn-replay.csv"
    arguments = ("--env", "CNNArch-SVHN-v0", "--run-dir", tmp_path / "run")
    status, out, _ = cnnarch(capsys, "import", path, *arguments)
    assert status == 0
    assert "52.25%" in out  # table in section 5 of the paper: 52.25 %
    assert "Left out 73 of 1,983 rows: the accuracy is not in [0, 1]." in out


def test_the_published_curves_are_read_whole(shared_data, tmp_path):
    path = shared_data / "metaqnn_cifar10.csv"
    imported = run_of(path, "CNNArch-CIFAR10-v0", tmp_path / "run")
    assert (imported.rows, imported.unique, imported.skipped) == (1000, 1000, {})
    first = imported.store.episodes(imported.run)[0]
    task = imported.store.find_run(imported.run).settings.task
    evaluation = imported.store.find(task, Architecture.parse(first.architecture), 0)
    assert len(evaluation.curve) == 20
    assert evaluation.accuracy == max(evaluation.curve) == first.reward
    assert evaluation.learning_rate == 0.001
    assert np.isclose(evaluation.curve[0], 0.3152)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "neither a replay database"),
        ("", "it has no columns"),
        (REPLAY.splitlines()[0] + "\n", "holds no result for CNNArch-SVHN-v0: no rows"),
        ("net,acc_1\nnothing,0.5\n", "1 rows: the network cannot be read"),
    ],
)
def test_other_files_are_refused(capsys, tmp_path, content, message):
    (tmp_path / "file.csv").write_text(content)
    arguments = ("--env", "CNNArch-SVHN-v0", "--run-dir", tmp_path / "run")
    status, _, err = cnnarch(capsys, "import", tmp_path / "file.csv", *arguments)
    assert status == 2
    assert message in err
    assert not (tmp_path / "run").exists()
    status, _, err = cnnarch(capsys, "import", tmp_path / "missing.csv", *arguments)
    assert status == 2
    assert "Cannot read" in err


def test_rows_whose_curve_or_rate_is_none_are_left_out_and_counted(tmp_path):
    rows = "[SM(10)],0.5,0.6,0.1\n[GAP(10)],-1,0.6,0.1\n[C(64,3,1), SM(10)],0.5,0.6,inf\n"
    (tmp_path / "curves.csv").write_text(
        "net,acc_1,acc_2,lr\n" + rows.replace("[", '"[').replace("]", ']"')
    )
    imported = run_of(tmp_path / "curves.csv", "CNNArch-CIFAR10-v0", tmp_path / "run")
    assert imported.unique == 1
    assert sorted(imported.skipped.items()) == [
        ("the learning curve is not in [0, 1]", 1), ("the learning rate is no rate", 1)
    ]  # fmt: skip
