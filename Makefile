# Short commands for rixs-pipeline, which alone decides what a reduction has to make again.
# A fresh machine needs make, git and Python 3.11 or later. Everything else is installed into .venv, with the versions
# and hashes of the lock files.
#
#   make run BEAMTIME=/data/2026-11 CONFIG=nov.yaml OUT=/scratch/nov SCHEDULER=processes WORKERS=8

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run submit test test-slow test-lowest lint bench docs data-samples lock clean

BEAMTIME ?= data_samples/lmr_beamtime
OUT ?= out
CONFIG ?=
SITE ?=
SCHEDULER ?=
WORKERS ?=
PYTEST_WORKERS ?= auto
PYTHON ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CONFIG_OPTIONS = $(if $(CONFIG),-c "$(CONFIG)") $(if $(SITE),--site "$(SITE)")
RUN_OPTIONS = $(CONFIG_OPTIONS) $(if $(SCHEDULER),--scheduler $(SCHEDULER)) $(if $(WORKERS),--workers $(WORKERS))

help: ## list these commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1 \2/p' Makefile | while read -r name text; do printf 'make %-14s%s\n' "$$name" "$$text"; done

run: $(VENV)/run.stamp ## reduce BEAMTIME into OUT (default: the sample beamtime into out/)
	$(BIN)/rixs-pipeline run "$(BEAMTIME)" -o "$(OUT)" $(RUN_OPTIONS)
	@printf '%-8s %s\n' 'maps' '$(OUT)/maps/*.nxs' 'spectra' '$(OUT)/spectra/*.nxs' 'figures' '$(OUT)/figures/*/*.png' 'summary' '$(OUT)/run.json' 'report' '$(OUT)/report.html'

submit: $(VENV)/run.stamp ## reduce BEAMTIME in SLURM jobs (SITE=configs/slurm.yaml sets partition, account, ...)
	$(BIN)/rixs-pipeline submit "$(BEAMTIME)" -o "$(OUT)" $(CONFIG_OPTIONS)

test: $(VENV)/dev.stamp ## run the tests, in minutes
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -m 'not slow'

test-slow: $(VENV)/dev.stamp ## run the slow tests: SLURM, real data, whole reductions
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -m slow

test-lowest: ## run tests with the lowest versions that pyproject.toml allows
	.ci/lowest

lint: $(VENV)/dev.stamp ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp ## run the benchmarks
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-quiet

docs: $(VENV)/dev.stamp ## build the documentation as HTML
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build
	@echo 'docs/_build/index.html'

data-samples: $(VENV)/run.stamp ## simulate the sample beamtime again; fail if it differs from git
	rm -rf data_samples/lmr_beamtime
	$(BIN)/rixs-pipeline simulate data_samples/lmr_beamtime --preset sample
	$(BIN)/python -c 'from pathlib import Path; from rixs_pipeline.simulate.manifest import write_manifest; \
	write_manifest(Path("data_samples"))'
	git diff --stat --exit-code -- data_samples

# Keeps the locked versions where pyproject.toml allows it; `make lock UPGRADE=--upgrade` takes the newest ones.
# Use the oldest supported Python (`make clean lock PYTHON=python3.11`): newer ones choose packages that it cannot install.
UPGRADE ?=
COMPILE = CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/python -m piptools compile --quiet $(UPGRADE) --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --build-deps-for=editable
lock: $(BIN)/python ## solve the dependencies into requirements.lock and requirements-dev.lock
	$(PIP) 'pip-tools>=7.5'
	$(COMPILE) --extra slurm -o requirements.lock pyproject.toml
	$(COMPILE) --extra slurm --extra dashboard --extra dev --extra docs -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## remove the environment, the results of the sample, and caches
	rm -rf $(VENV) .venv-lowest out docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find rixs_pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment

$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3; do \
	  if $$python -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo "$$python -m venv $(VENV)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo 'make: no Python 3.11 or later with venv (on Debian: apt install python3.11-venv)' >&2; exit 1

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) --no-deps --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# contains everything in requirements.lock, at the same versions
$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP) --no-deps --require-hashes -r requirements-dev.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/run.stamp
