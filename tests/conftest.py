"""What all tests share."""

import os
from pathlib import Path

import pytest

from train_eval.parallel.executors import InlineExecutor

SHARED_DATA = Path(
    os.environ.get("CNNARCH_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")
)


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory):
    """Decoded data sets go to a temporary folder, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def shared_data() -> Path:
    """Real data beside the project, where there is some."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    return SHARED_DATA


@pytest.fixture
def final_trainings_here(monkeypatch):
    """Final trainings in this process: a worker's start takes seconds."""
    monkeypatch.setattr("train_eval.final.finalize.LocalExecutor", lambda _: InlineExecutor())
