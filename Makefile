# make demo      the whole pipeline on generated people, on this CPU
# make test      linters, types, import layers, the documentation's site, tests, and a short real run
# make docs      the documentation's site, into build/docs; open build/docs/index.html
# make test-all  everything, the long proofs included; the log goes to results/test-all.log

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec

PYTHON ?= python3
# An exact pin resolves to the CPU build where the package index offers one; on a GPU machine name the
# build you want, e.g. `make test TORCH="torch==2.11.0"`.
TORCH ?= torch==2.13.0
VENV ?= .venv
BIN := $(VENV)/bin
# As the command nas does for itself: threads that wait sleep, so that a busy machine does not stall the tests.
export OMP_WAIT_POLICY ?= PASSIVE
# Processes that run tests, each with one thread.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS) --dist worksteal
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint types layers docs unit short-run

help:
	@sed -n 's/^# \(make .*\)/\1/p' $(firstword $(MAKEFILE_LIST))

install: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else \
		"Python 3.11 or newer is needed; $(PYTHON) is %d.%d: name another with PYTHON=..." % v[:2])'
	@echo "Installing into $(VENV): some minutes the first time, then never again until pyproject.toml changes."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[train,postgres,dashboard,dev,docs]"
	@touch $@

demo: $(STAMP)
	$(BIN)/nas demo

test: lint types layers docs unit short-run

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy --strict nas

layers: $(STAMP)
	$(BIN)/lint-imports

# Without --quiet, under which warnings are not counted, and no link is looked at.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

unit: $(STAMP)
	$(PYTEST) -m "not slow and not e2e" --durations=40

short-run: $(STAMP)
	$(BIN)/pytest -m e2e -s

test-all: $(STAMP)
	@mkdir -p results
	{ date -u; uname -srm; $(MAKE) --no-print-directory lint types layers docs; $(PYTEST) -vv --durations=40 --hypothesis-profile=thorough; } 2>&1 \
		| tee results/test-all.log
