"""Whatever goes wrong ends in one sentence: Ctrl-C at any moment, broken code, bad files."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.commands import FAST, cnnarch, search
from tests.helpers.instant import make_search
from train_eval.output.tracebacks import TRACEBACK


def said(status, err, expected):
    """Checks that there is one sentence at the end, and returns it."""
    assert status == expected, err
    assert err.startswith("cnnarch: ")
    assert err.count("\n") == 1, err
    return err


INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000): pass

sys.meta_path.insert(0, Interrupt())
sys.argv = {argv!r}
from train_eval.cli.cnnarch import main
main()
"""


@pytest.mark.parametrize(
    "module", ["tyro", "numpy", "numpy.linalg", "gymnasium.core", "rich.table", "loky", "torch"]
)
def test_ctrl_c_while_modules_are_imported_is_one_sentence(tmp_path, module):
    argv = ["cnnarch", "train", "[SM(10)]", *FAST]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(module=module, argv=argv)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    *before, last = done.stderr.splitlines(keepends=True)
    assert said(done.returncode, last, 130) == "cnnarch: Stopped.\n"
    assert len(before) == (module == "torch"), before  # that it is being imported


@pytest.mark.parametrize("arguments", [("--help",), ("search", "--help"), ("space",)])
def test_output_that_nobody_reads_is_no_error(arguments):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "train_eval", *arguments], stdout=write, stderr=subprocess.PIPE,
        text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.stderr == ""
    assert done.returncode in (0, 1, 141)  # rich ends by itself, with 1, old versions with 0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no licence\\nmore')", "RuntimeError: no licence"),
        ("import sys; sys.exit()", "SystemExit"),
        ("import nothing_like_that", "No module named 'nothing_like_that'"),
        ("def Mine(", "SyntaxError"),
    ],
)
def test_an_agent_whose_module_cannot_be_imported_is_one_sentence(
    capsys, tmp_path, monkeypatch, code, reason
):
    (tmp_path / "broken_agent.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    for agent in ("broken_agent:Mine", f"{tmp_path / 'broken_agent.py'}:Mine"):
        status, _, err = cnnarch(capsys, *search(tmp_path / "run", "--agent", agent))
        sys.modules.pop("broken_agent", None)
        assert reason in said(status, err, 2)


def test_what_nobody_foresaw_is_one_sentence_and_its_traceback_can_be_seen(
    capsys, tmp_path, monkeypatch
):
    def careless(*_):
        return {}["a\x1bkey"]

    monkeypatch.setattr("train_eval.cli.show.tables", careless)
    command = ("show", a_run(tmp_path / "run"))
    status, _, err = cnnarch(capsys, *command)
    assert "Traceback" not in err
    sentence = said(status, err.splitlines(keepends=True)[-1], 1)
    assert "KeyError" in sentence
    assert f"{TRACEBACK}=1" in sentence
    assert "\x1b" not in sentence
    monkeypatch.setenv(TRACEBACK, "1")
    status, _, err = cnnarch(capsys, *command)
    assert status == 1
    assert "Traceback" in err
    assert err.endswith(sentence)


def a_run(folder):
    list(make_search(folder, budget=3)[0])
    return folder


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "content",
    ["", "null", "[]", "{}", DEEP, '{"a": ' * 20_000, '{"store": null}', "\xff", "NaN", "1e999"],
)
@pytest.mark.parametrize("name", ["run.json", "final/results.json"])
def test_a_json_file_of_something_else_is_one_sentence(capsys, tmp_path, name, content):
    run_dir = a_run(tmp_path / "run")
    (run_dir / "final").mkdir()
    (run_dir / name).write_bytes(content.encode("latin-1"))
    command = ("report", run_dir) if "results" in name else ("show", run_dir)
    status, _, err = cnnarch(capsys, *command)
    assert str(run_dir / name) in said(status, err, 2)


def paths(plain, before=()):
    """The way to each value of plain data."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield (*before, key)
            yield from paths(value, (*before, key))


def replaced(plain, path, value):
    if not path:
        return value
    return {**plain, path[0]: replaced(plain[path[0]], path[1:], value)}


@pytest.mark.parametrize("value", [None, True, [], {}, "x", -1, 1e300, [DEEP[:10]]])
def test_no_value_of_a_run_file_leads_to_more_than_a_sentence(capsys, tmp_path, value):
    run_dir = a_run(tmp_path / "run")
    before = json.loads((run_dir / "run.json").read_text())
    before["data"] = {"dataset": "digits", "data_root": "/x", "fingerprints": ["a"], "reading": {}}
    (run_dir / "run.json").write_text(json.dumps(before))
    expected = cnnarch(capsys, "show", run_dir, "--json")
    assert expected[0] == 0
    for path in paths(before):
        (run_dir / "run.json").write_text(json.dumps(replaced(before, path, value)))
        status, out, err = cnnarch(capsys, "show", run_dir, "--json")
        if status == 0:
            assert out == expected[1]
        else:
            said(status, err, 2)


def test_a_byte_order_mark_in_a_csv_file_is_normal(capsys, tmp_path):
    file = tmp_path / "curves.csv"
    file.write_text('net,acc_1\n"[C(64,3,1), SM(10)]",0.5\n', encoding="utf-8-sig")
    status, _, err = cnnarch(
        capsys, "import", file, "--env", "CNNArch-SVHN-v0", "--run-dir", tmp_path / "run"
    )
    assert status == 0, err
