"""Every store that a test leaves behind must be sound."""

import sqlite3

import pytest


@pytest.fixture(autouse=True)
def stores_are_sound(request, tmp_path):
    yield
    if "damaged" in request.node.name or "other_programs" in request.node.name:
        return
    for path in tmp_path.rglob("*.sqlite"):
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
