# Two commands: `make benchmark` draws the trade-off curves, `make test` passes the tests.
# Everything lives in a virtual environment of its own, pinned by constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
STORE ?= results/tradeoff
LIVE_STORE ?= results/deep_live
DEEP_STORE ?= results/deep
DEEP_RECORDS := benchmarks/results/deep.jsonl
AUDIT_RECORDS := benchmarks/results/audits.jsonl
SELECTED ?= not slow and not browser
RESUME ?=
# What trains the networks. `make test DEEP=` leaves torch out: their tests then skip, and say so.
DEEP ?= deep
WITH := $(DEEP:%=,%)
# Only these files or folders of tests; all of them where it is empty.
TESTS ?=
# What `make test-core` runs of them.
CORE_TESTS ?= tests/docs/test_code_blocks.py tests/docs/test_written.py tests/cli/test_listing.py \
	tests/synthesizers/test_networks_alike.py
# What `make floors` runs with the oldest versions that setup.cfg allows.
FLOOR_TESTS ?= dp_synth tests/cli tests/figures tests/schema tests/datasets tests/metrics tests/report
# Where `make test-peers` installs another library, apart from everything else.
PEERS ?= $(VENV)/peers
PEER_TESTS ?= smartnoise
# Set before what fills an environment that is used once: modules are compiled as they are loaded.
UNCOMPILED := PIP_NO_COMPILE=no
# What is compiled once is kept, so that no process of a test compiles the package anew.
export PYTHONDONTWRITEBYTECODE :=
# How much pytest says in the targets beside `make test`.
PYTEST := $(BIN)/python -m pytest $(QUIET)

.PHONY: benchmark benchmark-deep test test-core test-browser test-postgres test-spark test-peers notebooks floors fuzz lint \
	numbers review synthesizers runner docs paper reproduce package chromium peers proofs coq everything clean

benchmark: $(VENV)/.core$(WITH)
	$(BIN)/dp-synth benchmark run benchmarks/tradeoff.yaml --store $(STORE)
	$(if $(DEEP),$(BIN)/dp-synth benchmark run benchmarks/deep_live.yaml --store $(LIVE_STORE))
	$(BIN)/dp-synth benchmark plot $(STORE) $(if $(DEEP),$(LIVE_STORE)) $(DEEP_RECORDS) $(AUDIT_RECORDS) --out $(STORE)

# The records of the networks that `make benchmark` draws, and their tables: two hours of one core,
# and half an hour more for coded Adult, which is left as it is where DP_SYNTH_DATA is unset.
# After a stop, `make benchmark-deep RESUME=--resume` goes on where it was.
benchmark-deep: $(VENV)/.test$(WITH)
	$(BIN)/dp-synth benchmark run benchmarks/deep.yaml --store $(DEEP_STORE)
	$(BIN)/dp-synth benchmark export $(DEEP_STORE) --out $(DEEP_RECORDS) --command "make benchmark-deep"
	@if test -n "$(DP_SYNTH_DATA)"; then $(BIN)/python -m benchmarks.synthesizers deep_adult $(RESUME); \
	else echo "DP_SYNTH_DATA is unset: the records of coded Adult stay as they are"; fi
	$(BIN)/python -m benchmarks.tables

# A process a core, and each on one thread: threads of all of them together would fight. Each takes
# tests that stand together, so that what a file of tests makes for all of them is made once.
test: $(VENV)/.test$(WITH)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(SELECTED)" -n auto --dist worksteal $(TESTS)

# Without torch, in an environment of its own: every test is collected, and some are run.
test-core:
	$(MAKE) test DEEP= VENV=$(VENV)-core TESTS='-qq --collect-only'
	$(MAKE) test DEEP= VENV=$(VENV)-core TESTS='-qq $(CORE_TESTS)'

# Every notebook from top to bottom, in a few minutes.
notebooks: $(VENV)/.test$(WITH)
	$(PYTEST) -o addopts= -n auto --nbmake --nbmake-timeout=900 notebooks

# The site and the page of a benchmark in headless Chromium, clicked through.
test-browser: $(VENV)/.browser$(WITH) docs chromium
	SITE=docs/_build/html $(PYTEST) -m browser tests/browser

# Debian's browser, where there is none.
chromium:
	{ command -v chromium && command -v chromedriver; } >/dev/null || { apt-get update -qq && apt-get install -qq --yes chromium chromium-driver; }

# With a PostgreSQL server of the tests' own; without its programs they skip.
test-postgres: $(VENV)/.test$(WITH)
	{ command -v pg_ctl || ls -d /usr/lib/postgresql/*/bin/pg_ctl; } >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends postgresql; }
	$(PYTEST) tests/schema/test_foreign_postgres.py tests/counting/test_database.py

# With Spark in a folder of its own; it needs Java 17 or later.
test-spark: $(VENV)/.test$(WITH)
	$(BIN)/python -m pip install --quiet --upgrade --target $(VENV)/spark 'pyspark>=4'
	PYTHONPATH=$(VENV)/spark $(PYTEST) tests/counting/test_spark.py

# Another public library for real: smartnoise-synth in an environment of its own.
test-peers: $(VENV)/.test$(WITH) peers
	DP_SYNTH_PEERS=$(PEERS) $(PYTEST) -k '$(PEER_TESTS)' tests/benchmark/peers/test_real_peers.py

peers: $(PEERS)/smartnoise/peer.json

$(PEERS)/smartnoise/peer.json: dp_synth/benchmark/peers/constraints/smartnoise.txt | $(VENV)/.test$(WITH)
	$(UNCOMPILED) DP_SYNTH_PEERS=$(PEERS) $(BIN)/dp-synth peers install smartnoise

# The tests of the core with the oldest version of each package that setup.cfg allows: two minutes.
floors: | $(VENV)/bin/python
	$(BIN)/python tests/check_floors.py $(VENV)/floors $(FLOOR_TESTS)

# Five thousand changed files of every format through the command line, in bounds of memory.
FUZZ ?= --cases 5000
fuzz: $(VENV)/.test$(WITH)
	$(BIN)/python tests/fuzz/by_hand.py $(FUZZ)

lint: $(VENV)/.dev$(WITH)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The other numbers of the README, printed by the scripts that measure them.
numbers: $(VENV)/.test$(WITH)
	$(BIN)/python -m benchmarks.calibration
	$(BIN)/python -m benchmarks.risk_calibration
	$(BIN)/python -m benchmarks.noise
	$(BIN)/python -m benchmarks.counting
	$(BIN)/python -m benchmarks.release_only
	$(BIN)/python -m benchmarks.siblings

# What the accounting, the mechanisms and the audits were found to keep, measured again by slow means.
review: $(VENV)/.test$(WITH)
	$(BIN)/python -m experiments verified --jobs 2

# What the benchmark runner costs a cell, what it loses to kills (nothing), how fast it gathers.
runner: $(VENV)/.test$(WITH)
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m experiments survival
	$(BIN)/python -m benchmarks.store

# The tables of docs/synthesizers.md, measured and drawn: half an hour (needs DP_SYNTH_DATA).
# After a stop, `make synthesizers RESUME=--resume` goes on where it was.
synthesizers: $(VENV)/.test$(WITH)
	$(BIN)/python -m benchmarks.synthesizers $(RESUME)
	$(BIN)/python -m benchmarks.tables

# The documentation, strictly: a warning is an error. Open docs/_build/html/index.html; no network needed.
docs: $(VENV)/.docs$(WITH)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

# The proofs of docs/explanation/proofs: checked by Coq in seconds, by its second checker in a minute.
# `make proofs PROOFS=all` leaves the second out.
PROOFS ?= all validate
proofs: coq $(VENV)/.test$(WITH)
	rm -rf results/proofs && mkdir -p results/proofs
	cp docs/explanation/proofs/*.v docs/explanation/proofs/_CoqProject results/proofs
	cd results/proofs && coq_makefile -f _CoqProject -o Makefile
	$(MAKE) --directory=results/proofs --silent $(PROOFS)
	PROOFS_CHECKED=results/proofs $(PYTEST) tests/docs/test_theorems.py

# Debian's proof checker, where there is none.
coq:
	command -v coqc >/dev/null || { apt-get update -qq && apt-get install -qq --yes --no-install-recommends coq; }

EXPERIMENT ?= tradeoff-small
# Runs a reduced main figure again and compares it with the paper (needs DP_SYNTH_DATA): minutes of two cores.
reproduce: $(VENV)/.test$(WITH)
	$(BIN)/python -m experiments.reproduce $(EXPERIMENT)

# Figures, numbers and both PDFs of paper/, from committed records alone.
paper: $(VENV)/.paper
	$(BIN)/python -m paper.build

# Builds wheel and sdist, checks that table, schema and licences are inside, and runs each in an
# environment of nothing else, without network.
package: $(VENV)/.dev$(WITH)
	rm -rf build dist
	$(UNCOMPILED) $(BIN)/python -m build --quiet
	$(BIN)/python tests/check_package.py dist
	$(UNCOMPILED) $(BIN)/python tests/check_installed.py dist constraints.txt

clean:
	rm -rf $(VENV) results build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dp_synth needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

# A file a set of extras says that they are installed; without torch it is another.
$(VENV)/.core$(WITH): setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.$(DEEP:%=[%])'
	touch $@

$(VENV)/.test$(WITH): setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test$(WITH)]'
	touch $@ $(VENV)/.core$(WITH)

$(VENV)/.dev$(WITH): setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test,dev$(WITH)]'
	touch $@ $(VENV)/.test$(WITH) $(VENV)/.core$(WITH)

$(VENV)/.browser$(WITH): setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test,browser$(WITH)]'
	touch $@ $(VENV)/.test$(WITH) $(VENV)/.core$(WITH)

$(VENV)/.docs$(WITH): setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[docs$(WITH)]'
	touch $@ $(VENV)/.core$(WITH)

$(VENV)/.paper: setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[paper]'
	touch $@

# All extras at once, so that other targets find nothing to install and can run beside each other.
everything: | $(VENV)/bin/python
	$(PIP) --editable '.[test,dev,docs,browser,paper$(WITH)]'
	touch $(VENV)/.core$(WITH) $(VENV)/.test$(WITH) $(VENV)/.dev$(WITH) $(VENV)/.docs$(WITH) $(VENV)/.browser$(WITH) $(VENV)/.paper
