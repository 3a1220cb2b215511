"""A run's folder: one run, one folder, one store; and folders may move."""

import shutil

import pytest

from gym_cnnarch import InvalidInput
from tests.helpers.instant import make_search
from train_eval import Run, run_search
from train_eval.records.run_directory import LOCK, in_use
from train_eval.records.store import StoreError


def test_a_store_in_memory_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="would throw away: name a file"):
        run_search("CNNArch-Digits-v0", budget=2, run_dir=tmp_path / "run", store=":memory:")


def test_the_same_run_in_two_folders_on_one_store_is_refused(tmp_path):
    store = tmp_path / "shared.sqlite"
    list(make_search(tmp_path / "one", store=store)[0])
    with pytest.raises(InvalidInput, match=r"for the folder .*one: continue it there"):
        make_search(tmp_path / "two", store=store)
    assert not (tmp_path / "two" / "run.json").exists()
    make_search(tmp_path / "two", store=store, seed=1)  # another run
    make_search(tmp_path / "one", store=store)


def test_a_run_that_begins_in_two_folders_at_once_begins_in_one(tmp_path):
    store = tmp_path / "shared.sqlite"
    make_search(tmp_path / "one", store=store)
    (tmp_path / "one" / "run.json").unlink()  # as if it were not written yet
    with (
        in_use(tmp_path / "one" / LOCK),
        pytest.raises(InvalidInput, match="holds this run for the folder"),
    ):
        make_search(tmp_path / "two", store=store)


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_that_was_moved_goes_on(tmp_path, shared):
    store = tmp_path / "shared.sqlite" if shared else None
    for number, _ in enumerate(make_search(tmp_path / "one", store=store)[0]):
        if number == 20:
            break
    (tmp_path / "one").rename(tmp_path / "two")
    episodes = list(make_search(tmp_path / "two", store=store)[0])
    assert [e.record for e in episodes] == [e.record for e in make_search(tmp_path / "whole")[0]]


def test_a_copy_of_a_folder_with_its_store_is_a_run_of_its_own(tmp_path):
    list(make_search(tmp_path / "one")[0])
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for folder in ("two", "one"):
        assert len(list(make_search(tmp_path / folder)[0])) >= 60


def test_a_run_goes_on_with_its_store_in_another_place_and_knows_it_from_then_on(tmp_path):
    before, after = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    env, folder = "CNNArch-CIFAR10Table-v0", tmp_path / "run"
    run_search(env, "random_walk", 5, run_dir=folder, store=before)
    before.rename(after)
    run_search(env, "random_walk", 9, run_dir=folder, store=after)
    assert len(Run(folder).networks) == 9


def test_a_run_does_not_grow_into_that_of_another_folder(tmp_path):
    store, env = tmp_path / "shared.sqlite", "CNNArch-CIFAR10Table-v0"
    for folder, budget in (("one", 5), ("two", 9)):
        run_search(env, "random_walk", budget, run_dir=tmp_path / folder, store=store)
    with pytest.raises(InvalidInput, match=r"for the folder .*two: continue it there"):
        run_search(env, "random_walk", 9, run_dir=tmp_path / "one", store=store)
    run_search(env, "random_walk", 12, run_dir=tmp_path / "two", store=store)
    assert [len(Run(tmp_path / name).networks) for name in ("one", "two")] == [5, 12]


def test_a_run_whose_settings_are_damaged_is_refused(tmp_path):
    search, store, _ = make_search(tmp_path / "run")
    list(search)
    store.close()
    path = tmp_path / "run" / "store.sqlite"
    before = path.read_bytes()
    assert before.count(b'"budget": 60') == 1
    path.write_bytes(before.replace(b'"budget": 60', b'"budget": 61'))
    with pytest.raises(StoreError, match="is damaged"):
        make_search(tmp_path / "run")
