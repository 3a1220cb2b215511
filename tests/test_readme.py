"""What the README shows runs."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_python_examples_run_one_after_another(tmp_path, monkeypatch, capsys):
    pytest.importorskip("stable_baselines3")
    monkeypatch.chdir(tmp_path)
    # The same on a recipe of a tenth of a second.
    cheap = '"CNNArch-Digits-v0", recipe={"preset": "digits", "epochs": 1, "train_size": 200}'
    examples = [text.replace('"CNNArch-Digits-v0", render', f"{cheap}, render") for text in PYTHON]
    names: dict[str, object] = {}
    for text in examples:
        if "load_network" in text:
            continue  # a test of its own: test_finalize.py
        exec(text, names)
    out = capsys.readouterr().out
    assert "total" in out  # the table that the first example prints
    assert names["agent"].epsilon == 1.0
    assert "Optimum(architecture=" in out
    assert names["many"].num_envs == 1024
    assert (tmp_path / "results.sqlite").is_file()


@pytest.mark.parametrize("path", re.findall(r"\]\(([\w./-]+)\)", README))
def test_links_lead_somewhere(path):
    assert (Path(__file__).parents[1] / path).exists()
