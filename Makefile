# Every command of the project. `make` alone lists them. Whatever a target lacks on this machine it
# installs by itself (.ci/setup.sh), and says so; the second time it finds everything in place.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Cargo and pytest use both cores by themselves, and the servers of two test runs would only disturb
# each other's clocks.
.NOTPARALLEL:

SETUP := .ci/setup.sh
ENV := . .ci/env.sh;
PYTHON := PYTHONPATH=tests .run/venv/bin/python

# Passed on to pytest (-k, -x, …), and the PostgreSQL major of its fixture `cluster`.
ARGS ?=
POSTGRES ?= 15
# Of `make bench`: a fraction of the full size, and one group of figures. Of `make soak`: how long.
export SCALE ONLY SOAK_MINUTES
# Of `make build` and `make install`.
PG_CONFIG ?= pg_config
PREFIX ?= /usr/local

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
	  printf '  %-20s %s\n' "$$name" "$$text"; done

# --- use ------------------------------------------------------------------------------------------

.PHONY: demo bench soak build install
demo: ## the main job end to end: an encrypted file on an SFTP server becomes a list, and dialers work it
	@$(SETUP) packages rust python pgrx account
	@$(ENV) $(PYTHON) -m support.build release worker 15
	@$(ENV) $(PYTHON) tests/demo/run.py

bench: ## measure (SCALE=0.1 for a quick look, ONLY=<group>)
	@$(SETUP) packages rust python pgrx account
	@$(ENV) $(PYTHON) -m support.build release worker 15
	@$(ENV) $(PYTHON) tests/bench/run.py

soak: ## let dialers work for half an hour, and see whether they slow down (SOAK_MINUTES=5)
	@$(SETUP) packages rust python pgrx account
	@$(ENV) $(PYTHON) -m support.build release worker 15
	@$(ENV) ONLY=soak $(PYTHON) tests/bench/run.py

build: ## build the worker and the extension for the PostgreSQL that PG_CONFIG names (release)
	@$(SETUP) packages rust pgrx
	@.ci/build_for.sh package "$(PG_CONFIG)"

install: ## install both: the extension into the PostgreSQL that PG_CONFIG names, the worker below PREFIX
	@$(SETUP) packages rust pgrx
	@.ci/build_for.sh install "$(PG_CONFIG)" "$(PREFIX)"

# --- test -----------------------------------------------------------------------------------------

.PHONY: test test-core test-worker test-extension-15 test-extension-18 test-end-to-end test-airflow
test: setup test-core test-worker test-extension-15 test-extension-18 test-end-to-end test-airflow ## run every test

test-core: ## the pure rules, and the reference model of the status machine by itself
	@$(SETUP) packages rust
	$(ENV) cargo test -p outbound-core -p outbound-model

test-worker: ## the worker's parts
	@$(SETUP) packages rust
	$(ENV) cargo test -p outbound --features fault-points

test-extension-15: ## the extension inside PostgreSQL 15
	@$(SETUP) packages rust pgrx
	.ci/test_extension.sh 15

test-extension-18: ## the extension inside PostgreSQL 18
	@$(SETUP) packages rust pgrx
	.ci/test_extension.sh 18

test-end-to-end: ## all parts together, with a real SFTP server and GnuPG (ARGS="-k name", POSTGRES=18)
	@$(SETUP) packages rust python pgrx account
	@$(ENV) $(PYTHON) -m support.build debug worker 15 18
	$(ENV) $(PYTHON) -m pytest tests --postgres $(POSTGRES) $(ARGS)

test-airflow: ## the Airflow provider, with a real Airflow
	@$(SETUP) packages rust python pgrx airflow
	@$(ENV) $(PYTHON) -m support.build debug worker 15
	$(ENV) PYTHONPATH=tests .run/venv-airflow/bin/python -m pytest dags/tests $(ARGS)

# --- check ----------------------------------------------------------------------------------------

.PHONY: lint lint-text lint-rust lint-sql audit format
lint: lint-text lint-rust lint-sql ## formatting, lints, licences and bans, safety of the SQL

lint-text: ## what needs no compiler: names, Python, Rust's formatting, licences, bans, sources
	@$(SETUP) packages rust python deny
	.run/venv/bin/python .ci/check_names.py
	.run/venv/bin/ruff check .
	.run/venv/bin/ruff format --check .
	$(ENV) cargo fmt --all --check
	$(ENV) cargo deny --log-level warn check licenses bans sources

lint-rust: ## clippy over everything, for PostgreSQL 15 and 18
	@$(SETUP) packages rust pgrx
	$(ENV) cargo clippy --workspace --all-targets --features outbound/fault-points -- -D warnings
	$(ENV) cargo clippy -p outbound -- -D warnings
	$(ENV) cargo clippy -p pg_outbound --all-targets --no-default-features --features pg18 -- -D warnings

lint-sql: ## pgspot over the extension's SQL; .ci/pgspot.allow explains what may stay
	@$(SETUP) packages rust python pgrx
	$(ENV) .run/venv/bin/python .ci/check_sql.py

audit: ## known vulnerabilities in what we build on (fetches the advisory database)
	@$(SETUP) packages rust deny
	$(ENV) cargo deny check advisories

format: ## format Rust and Python
	@$(SETUP) rust python
	$(ENV) cargo fmt --all
	.run/venv/bin/ruff check --fix --select I .
	.run/venv/bin/ruff format .

# --- keep -----------------------------------------------------------------------------------------

.PHONY: setup lock freeze clean
setup: ## install what building and testing need
	@$(SETUP)

lock: ## renew tests/requirements.lock
	@$(SETUP) python
	.run/venv/bin/uv pip compile --quiet --upgrade --python-version 3.11 \
	  -o tests/requirements.lock tests/requirements.in

freeze: ## keep this version's install script for the upgrade test (part of a release)
	@$(SETUP) packages rust python pgrx
	@$(ENV) version=$$(sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml); \
	  mkdir -p tests/upgrade; \
	  cargo pgrx schema pg15 -p pg_outbound --out "tests/upgrade/pg_outbound--$$version.sql"; \
	  echo "tests/upgrade/pg_outbound--$$version.sql"

clean: ## remove everything that was built or installed into the checkout
	@$(ENV) rm -rf "$$OUTBOUND_SERVERS" .run target
	@find . -name __pycache__ -prune -exec rm -rf {} +
	@rm -rf tests/.pytest_cache dags/.pytest_cache .ruff_cache
