# `make demo` and `make test` are all a newcomer needs; `make check` is what every commit passes.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

.PHONY: setup format lint check test test-all docs bench demo clean
.DEFAULT_GOAL := check

setup: $(INSTALLED)  ## create .venv and install tinylm with everything that developing it needs

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

format: $(INSTALLED)  ## rewrite the code in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(INSTALLED)  ## static checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(INSTALLED)  ## the tests, minutes
	$(PYTEST) -m 'not slow'

test-all: $(INSTALLED)  ## the slow tests too
	$(PYTEST)

check: lint test  ## everything CI runs

docs: $(INSTALLED)  ## regenerate docs/cli.md and docs/config.md
	$(BIN)/python docs/generate.py

bench: $(INSTALLED)  ## tinylm beside its peers; see benchmarks/README.md
	$(BIN)/python benchmarks/accounting.py

demo: $(INSTALLED)  ## from nothing to a model that writes stories, in minutes
	$(BIN)/tinylm demo --out demo

clean:  ## remove what the targets above made
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
