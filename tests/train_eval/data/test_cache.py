"""The cache of decoded data sets: always right, bounded, and dispensable."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gym_cnnarch import InvalidInput
from train_eval.data import cache
from train_eval.data.image_data import make_image_data

DATA = make_image_data(
    np.arange(4 * 64, dtype=np.uint8).reshape(4, 1, 8, 8), np.array([0, 1, 0, 1]), ("a", "b")
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(cache.LIMIT_VARIABLE, raising=False)


class Decode:
    """Counts how often it is asked."""

    calls = 0

    def __call__(self):
        self.calls += 1
        return DATA


def folders():
    return sorted(path for path in (cache.cache_root() / "decoded").iterdir() if path.is_dir())


def assert_equal(found):
    assert np.array_equal(found.images, DATA.images)
    assert np.array_equal(found.labels, DATA.labels)
    assert (found.class_names, found.fingerprint) == (DATA.class_names, DATA.fingerprint)
    assert found.reading == DATA.reading


def test_what_was_decoded_once_is_read_again():
    decode = Decode()
    for _ in range(3):
        found = cache.cached(["key"], decode)
        assert_equal(found)
        assert isinstance(found.images, np.memmap)
    assert decode.calls == 1


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "description.json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b"x" * path.stat().st_size),
        lambda path: path.write_bytes(b"[]"),
    ],
    ids=["missing", "empty", "cut", "overwritten", "other content"],
)
def test_a_damaged_copy_is_decoded_again(name, damage):
    decode = Decode()
    cache.cached(["key"], decode)
    (folder,) = folders()
    damage(folder / name)
    assert_equal(cache.cached(["key"], decode))
    assert_equal(cache.cached(["key"], decode))
    assert decode.calls == 2


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("images.npy", np.zeros((3, 1, 8, 8), np.uint8)),
        ("images.npy", np.zeros((4, 1, 8, 8), np.float32)),
        ("labels.npy", np.array([0, 0, 0, 1])),
        ("labels.npy", np.array([0, 1, 0, -1])),
        ("labels.npy", np.array([0, 1, 0, 10**15])),
    ],
)
def test_a_copy_that_is_not_what_was_read_is_decoded_again(name, array):
    decode = Decode()
    cache.cached(["key"], decode)
    (folder,) = folders()
    np.save(folder / name, array)
    assert_equal(cache.cached(["key"], decode))
    assert decode.calls == 2


def test_the_least_recently_used_copies_go_first(monkeypatch):
    known = set()
    for number, key in enumerate(["first", "second", "third"]):
        cache.cached([key], Decode())
        (new,) = set(folders()) - known
        os.utime(new / "description.json", (number, number))
        known.add(new)
    cache.cached(["first"], Decode())  # used again
    size = sum(file.stat().st_size for file in folders()[0].iterdir())
    monkeypatch.setenv(cache.LIMIT_VARIABLE, str(3.5 * size / 1e9))
    cache.cached(["fourth"], Decode())
    decode = Decode()
    for key in ("first", "third", "fourth"):
        cache.cached([key], decode)
    assert decode.calls == 0
    cache.cached(["second"], decode)
    assert decode.calls == 1


def test_the_newest_copy_stays_even_if_it_is_beyond_the_limit(monkeypatch):
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "0")
    decode = Decode()
    for key in ("first", "second", "second"):
        assert_equal(cache.cached([key], decode))
    assert decode.calls == 2
    assert len(folders()) == 1


@pytest.mark.parametrize("limit", ["much", "-1", "nan", ""])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, limit):
    monkeypatch.setenv(cache.LIMIT_VARIABLE, limit)
    with pytest.raises(InvalidInput, match="number of gigabytes"):
        cache.cached(["key"], Decode())


def test_what_a_killed_process_left_is_removed():
    cache.cached(["key"], Decode())
    left = cache.cache_root() / "decoded" / "0123.unfinished"
    left.mkdir()
    (left / "description.json").write_text("{}")
    cache.cached(["other"], Decode())
    assert not left.exists()
    assert len(folders()) == 2


def test_processes_that_want_the_same_data_decode_it_once():
    decode = Decode()
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: cache.cached(["key"], decode), range(16)):
            assert_equal(found)
    assert decode.calls == 1


def test_without_a_folder_to_write_the_copy_lasts_as_long_as_the_process(tmp_path):
    (tmp_path / "file").write_text("no folder")
    code = """
from pathlib import Path
from tests.train_eval.data.test_cache import DATA, Decode, assert_equal
from train_eval.data import cache
decode = Decode()
for _ in range(2):
    found = cache.cached(["key"], decode)
    assert_equal(found)
assert decode.calls == 1
print(Path(found.images.filename).parents[1])
"""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file" / "cache")}
    environment["TMPDIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    folder = done.stdout.strip()
    assert folder.startswith(f"{tmp_path}/gym-cnnarch-")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_a_home_folder_nothing_is_written_beside_the_user_s_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: Path("~/.cache") / name)
    assert_equal(cache.cached(["key"], Decode()))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    monkeypatch.setattr(cache, "cache_root", lambda: tmp_path)
    with pytest.raises(InvalidInput, match=r"No space left.*make room there, or set XDG_CACHE"):
        cache.cached(["key"], Decode())
    assert not list(tmp_path.glob("decoded/*/*"))
