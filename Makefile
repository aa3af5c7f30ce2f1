# Two commands: `make benchmark` draws the trade-off curves, `make test` passes the tests.
# Everything lives in a virtual environment of its own, pinned by constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
STORE ?= results/tradeoff
SLOW ?= not slow
RESUME ?=

.PHONY: benchmark test lint numbers synthesizers package clean

benchmark: $(VENV)/.core
	$(BIN)/dp-synth benchmark run benchmarks/tradeoff.yaml --store $(STORE)
	$(BIN)/dp-synth benchmark plot $(STORE) --out $(STORE)

test: $(VENV)/.test
	$(BIN)/python -m pytest -m "$(SLOW)" -n auto

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The other numbers of the README, printed by the scripts that measure them.
numbers: $(VENV)/.test
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/accounting.py
	$(BIN)/python benchmarks/noise.py
	$(BIN)/python benchmarks/counting.py
	$(BIN)/python benchmarks/release_only.py
	$(BIN)/python benchmarks/siblings.py

# The tables of docs/synthesizers.md, measured and drawn: half an hour (needs DP_SYNTH_DATA).
# After a stop, `make synthesizers RESUME=--resume` goes on where it was.
synthesizers: $(VENV)/.test
	$(BIN)/python benchmarks/nist.py $(RESUME)
	$(BIN)/python benchmarks/synthesizers.py $(RESUME)
	$(BIN)/python benchmarks/scaling.py $(RESUME)
	$(BIN)/python benchmarks/tables.py

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
