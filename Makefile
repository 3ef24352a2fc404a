# `make demo` needs Python 3.11 or newer and nothing else; every other target builds on `make install`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: install demo serve test test-jobs test-rest test-browser chaos check format bench lock clean
.DELETE_ON_ERROR:

install: $(VENV)/installed          ## the environment in .venv, with .venv/bin/data20 in it

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "data20 needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements/run.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements/run.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements/dev.lock $(VENV)/installed
	$(PIP) install --quiet --require-hashes --requirement requirements/dev.lock
	@touch $@

demo: install                       ## one real job through the whole system, then stop
	@$(BIN)/data20 demo

serve: install                      ## everything on http://127.0.0.1:8001 until Ctrl-C
	@exec $(BIN)/data20 up

test: $(VENV)/installed-dev         ## every test that needs no browser and no root
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target test-jobs test-rest

# Much of a test of workers is waiting for leases and limits, so the two halves run side by side.
test-jobs: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "not browser" tests/integration/jobs

test-rest: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "not browser" --ignore=tests/integration/jobs

test-browser: $(VENV)/installed-dev ## the pages and artifacts in a real Chromium
	$(BIN)/python -m pytest -m browser

chaos: $(VENV)/installed-dev        ## 20,000 jobs under continuous faults, and whether all held
	$(BIN)/python -m tests.chaos --jobs 20000 --minutes 25 --each 100

check: $(VENV)/installed-dev        ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed            ## our figures
	$(BIN)/python benchmarks/run.py

lock:                               ## needs uv; pins every dependency with its hashes
	uv pip compile pyproject.toml --extra embedded --extra tools --group build --universal \
	  --python-version 3.11 --generate-hashes --no-header --quiet -o requirements/run.lock
	uv pip compile pyproject.toml --extra embedded --extra tools --group build --group dev --universal \
	  --python-version 3.11 --generate-hashes --no-header --quiet -o requirements/dev.lock

clean:                              ## forget the environment; the data in var/ stays
	rm -rf $(VENV)
