# Everything sets itself up: Python 3.11+, make and PyPI are all that is needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
LNBITS := .cache/lnbits/.ready
ARGS   ?=

.PHONY: help demo test check docs format bench simulate soak fuzz machine lock clean

help:
	@echo 'make demo    the whole thing, live, on this machine (ARGS="--once --json" for scripts)'
	@echo 'make test    all tests, on a real PostgreSQL and a real LNbits'
	@echo 'make check   lint, format, types, direction of dependencies'
	@echo 'make docs    the documentation as a site, in build/site'
	@echo 'make bench   measures what it must reach (ARGS=--pages, --drill or --simulation: that only); writes build/bench.jsonl'
	@echo 'make simulate  ten thousand simulated worlds of faults (SEED=7: one of them, with what happened)'
	@echo 'make soak    breaks everything again and again for hours (ARGS="--rounds 50 --seed 7" for the kills of LNbits)'
	@echo 'make fuzz    bad inputs without end (ARGS="--seconds 600 lnbits lnurl"); see docs/testing.md'
	@echo 'make machine  installs it on an empty Debian with a real systemd (as root), and breaks it there'
	@echo 'make format  formats the code'
	@echo 'make lock    renews the lock files'

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; say which with make PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)"
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# LNbits pins old libraries, so it lives in a virtual environment of its own.
$(LNBITS): src/dca_daemon/demo/lnbits.lock | $(VENV)/.ready
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m dca_daemon.demo.lnbits_server install $(dir $(LNBITS))
	@touch $@

demo: $(VENV)/.ready
	@DCA_DEMO_LNBITS_DIR=.cache/lnbits $(BIN)/dca-daemon demo $(ARGS)

test: $(VENV)/.ready $(LNBITS)
	@$(BIN)/pytest -n 6 --dist worksteal $(ARGS)  # many of them wait for servers that they have killed

check: $(VENV)/.ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(VENV)/.ready
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)
	@echo 'build/site/index.html'

format: $(VENV)/.ready
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.ready $(LNBITS)
	@mkdir -p build
	@$(BIN)/python -m tests.bench $(ARGS)

simulate: $(VENV)/.ready
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(ARGS)

soak: $(VENV)/.ready $(LNBITS)
	@DCA_TEST_SOAK=1 DCA_ALL_PAIRS=1 $(BIN)/pytest -n 2 --timeout 3600 tests/faults tests/services/test_all_the_money.py
	@$(BIN)/python -m tests.soak $(ARGS)

fuzz: $(VENV)/.ready
	@$(BIN)/python -m tests.fuzz $(ARGS)

machine: $(VENV)/.ready $(LNBITS)
	@$(BIN)/python -m tests.machine

lock: $(VENV)/.ready
	@$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 --extra demo --group dev pyproject.toml -o requirements.lock
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 -c requirements.lock pyproject.toml -o src/dca_daemon/requirements.lock
	@printf 'lnbits==1.6.2\nbitstring<5\n' | $(UV) pip compile --quiet --upgrade --universal --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --python-version 3.10 - -o src/dca_daemon/demo/lnbits.lock

clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
