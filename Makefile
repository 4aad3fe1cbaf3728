# Two commands set everything up on a fresh machine with Python 3.11 and make:
#   make run     the Telegram bot when ZHIWEI_TELEGRAM_TOKEN is set, else a chat in the terminal
#   make test    all tests
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
ARGS   ?=

.PHONY: run test check format lint types arrows bench faults audit audit-offline screenshots install install-dev clean

run: install
	@$(BIN)/zhiwei run $(ARGS)

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

# torch comes first and by itself: unpinned, it would bring gigabytes of GPU packages.
$(VENV)/.installed: constraints.txt pyproject.toml
	@echo "Setting up $(VENV) (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -q "torch==2.13.0"
	$(PIP) install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -q -c constraints.txt -e ".[dev]"
	@touch $@

test: install-dev
	$(BIN)/python -m pytest -q $(ARGS)

check: install-dev lint types arrows

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install-dev
	$(BIN)/mypy

arrows: install-dev
	$(BIN)/lint-imports

bench: install-dev
	$(BIN)/python -m benchmarks $(ARGS)

faults: install-dev
	$(BIN)/python -m tests.faults --runs $(or $(FAULT_RUNS),2000)

audit-offline: install-dev
	$(BIN)/bandit -q -c .bandit.yaml -r bot recommender index data
	git ls-files -z -- . ':!tests' ':!*.jsonl' ':!*.tsv' ':!*.csv' ':!*.npz' ':!*.png' | xargs -0 $(BIN)/detect-secrets-hook --exclude-lines 'SECRET_HEADER ='
	$(PIP) check
	$(BIN)/hadolint Dockerfile

# Asks an advisory service for known vulnerabilities; says so when that was not possible.
audit: audit-offline
	@$(BIN)/pip-audit --strict --progress-spinner off --disable-pip --no-deps -r constraints.txt || \
	  { echo "audit: NOT PASSED. pip-audit found a vulnerability, or could not ask for known ones; only audit-offline has passed." >&2; exit 1; }

screenshots: install-dev
	$(BIN)/python -m tests.browser.screenshots

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
