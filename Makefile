# make search: the tabular agent on the embedded digits.  make test, make lint: the checks.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: search test lint format clean

search: .venv/installed
	$(BIN)/cnnarch search --env CNNArch-Digits-v0 --agent metaqnn --budget 150 --seed 0 --run-dir runs/digits

test: .venv/installed
	$(BIN)/python -m pytest -n 2

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gym-cnnarch needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv
