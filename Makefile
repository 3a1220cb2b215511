# make search: the tabular agent on the embedded digits.  make test, make lint: the checks.
# make test-lowest: the tests with the oldest versions of the dependencies.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: search test test-lowest lint format clean

search: .venv/installed
	$(BIN)/cnnarch search --env CNNArch-Digits-v0 --agent metaqnn --budget 150 --seed 0 --run-dir runs/digits

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest -n 2 --dist worksteal -W ignore::DeprecationWarning

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

# The lowest versions that pyproject.toml allows, but for torch and what must fit it.
.venv-lowest/installed: pyproject.toml .ci/lowest.py
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python .ci/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --editable '.[dev]' --constraint .venv-lowest/constraints.txt
	touch $@

clean:
	rm -rf .venv .venv-lowest
