# Two commands: `make report` renders the samples, `make test` runs the tests. Both set up what they need, once.
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
VENV2 := .venv-pandas2
BIN := $(VENV)/bin
WORKERS ?= 2
PYTEST_ARGS ?=

# Thread pools are sized before any process starts: two pools on one core cost 10-25 times the work.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

SOURCES := $(shell find src notebooks data/samples -type f ! -path '*/__pycache__/*' ! -path '*/.ipynb_checkpoints/*' 2>/dev/null)
SAMPLES ?= cdnow demo

.PHONY: help report test test-slow test-pandas2 lint lock environment architecture clean

help:
	@echo 'make report        render the sample reports into reports/'
	@echo 'make test          run every test'
	@echo 'make test-pandas2  run every test under the older pandas major'
	@echo 'make test-slow     run the statistical studies that take minutes'
	@echo 'make lint          style, types and docstrings'
	@echo 'make lock          resolve pyproject.toml into the hashed locks, and write environment.yml'

report: reports/.rendered

# A page that somebody removed is missing whatever the stamp says.
ifneq ($(words $(wildcard $(SAMPLES:%=reports/%/index.html))),$(words $(SAMPLES)))
.PHONY: reports/.rendered
endif

reports/.rendered: $(VENV)/.installed $(SOURCES)
	$(BIN)/clv report $(SAMPLES) --out reports
	@touch $@

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow' $(PYTEST_ARGS)

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) -m slow $(PYTEST_ARGS)

test-pandas2: $(VENV2)/.installed
	$(VENV2)/bin/python -m pytest -n $(WORKERS) -m 'not slow' $(PYTEST_ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/mypy

$(VENV)/.installed: requirements.lock
$(VENV2)/.installed: tests/requirements-pandas2.lock

# One recipe for both environments: the lock is the only input that differs.
$(VENV)/.installed $(VENV2)/.installed: pyproject.toml scripts/check_python.py
	$(PYTHON) scripts/check_python.py
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --require-hashes --requirement $(filter %.lock,$^)
	$(@D)/bin/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

lock: $(VENV)/.installed
	scripts/lock.sh
	$(BIN)/python scripts/environment.py

environment: $(VENV)/.installed
	$(BIN)/python scripts/environment.py

architecture:
	$(PYTHON) scripts/architecture.py

clean:
	rm -rf $(VENV) $(VENV2) reports/.rendered
