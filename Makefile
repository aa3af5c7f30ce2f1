# Two commands: `make benchmark` draws the trade-off curves, `make test` passes the tests.
# Everything lives in a virtual environment of its own, pinned by constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
STORE ?= results/tradeoff
SLOW ?= not slow

.PHONY: benchmark test lint numbers package clean

benchmark: $(VENV)/.core
	$(BIN)/dp-synth benchmark run benchmarks/tradeoff.yaml --store $(STORE)
	$(BIN)/dp-synth benchmark plot $(STORE) --out $(STORE)

test: $(VENV)/.test
	$(BIN)/python -m pytest -m "$(SLOW)" -n auto

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The numbers of the README, printed by the scripts that measure them (needs DP_SYNTH_DATA).
numbers: $(VENV)/.test
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/accounting.py
	$(BIN)/python benchmarks/noise.py
	$(BIN)/python benchmarks/mst_adult.py
	$(BIN)/python benchmarks/siblings.py

# Builds wheel and sdist and checks that table, schema and licences are inside.
package: $(VENV)/.dev
	rm -rf build dist
	$(BIN)/python -m build --quiet
	$(BIN)/python tests/check_package.py dist

clean:
	rm -rf $(VENV) results build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dp_synth needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.test: setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test]'
	touch $@ $(VENV)/.core

$(VENV)/.dev: setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test,dev]'
	touch $@ $(VENV)/.test $(VENV)/.core
