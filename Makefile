# Everything a newcomer needs. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help serve test check bench docs lock clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.base: requirements/base.lock requirements/build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 serve") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.lock -r requirements/build.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

serve: $(VENV)/.base  ## Start the relay on an embedded SQLite file (settings: RELAY_*)
	@exec $(BIN)/relay serve

test: $(VENV)/.dev  ## Run every test on SQLite and on PostgreSQL
	$(BIN)/python -m pytest

check: $(VENV)/.dev  ## Lint, types, import rules, migrations, container files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/house tests/integration/test_migrations.py

bench: $(VENV)/.dev  ## Measure ingest, drain and latency; prints a table, writes JSON
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev  ## Generate the pages that come from the code
	$(BIN)/python -m docs.generate

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock"
lock: $(VENV)/.dev  ## Resolve the dependencies anew (hashes, no host names)
	$(COMPILE) pyproject.toml -o requirements/base.lock
	$(COMPILE) --group pyproject.toml:build -o requirements/build.lock
	$(COMPILE) pyproject.toml --group pyproject.toml:build --group pyproject.toml:dev -o requirements/dev.lock

clean:  ## Remove the environment and caches (never the data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
