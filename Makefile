# Everything a person does with this project, one word each. `make help` lists the words.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.9
MEMBERS := contracts $(wildcard services/*) deploy/embedded
READY := .venv/.ready

.PHONY: help run test check journeys up cluster cluster-stop fresh size lock generate long bench faults

help: ## what can be done here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# A fresh machine needs Python 3.11 or newer and make; everything else is fetched into .venv, by hash.
$(READY): requirements.lock $(wildcard contracts/pyproject.toml services/*/pyproject.toml deploy/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 69; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@test -x .venv/bin/uv || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "fetching what the lock names ..."
	@UV_COMPILE_BYTECODE=1 .venv/bin/uv pip install --quiet --require-hashes -r requirements.lock
	@.venv/bin/uv pip install --quiet --no-deps --no-build-isolation $(addprefix -e ./,$(MEMBERS))
	@.venv/bin/python -m compileall -q $(addsuffix /src,$(MEMBERS))
	@touch $(READY)

run: $(READY) ## start everything on this machine (SQLite, embedded log); Ctrl-C stops it
	@.venv/bin/baton up

test: $(READY) ## every test, on SQLite and on real PostgreSQL and Apache Kafka
	@.venv/bin/pytest -q -m 'not long'

long: $(READY) ## the tests that take minutes: kills in a loop
	@.venv/bin/pytest -q -m long

check: $(READY) ## format, lint, types, import map, dependencies, generated contracts
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .
	@.venv/bin/mypy --no-error-summary $(addsuffix /src,$(MEMBERS))
	@for tests in $(wildcard $(addsuffix /tests,$(MEMBERS))) tests/architecture tests/faults tests/journeys tests/performance tools; do MYPYPATH=tests/performance .venv/bin/mypy --no-error-summary $$tests || exit 1; done
	@.venv/bin/lint-imports --no-cache >/dev/null || .venv/bin/lint-imports --no-cache
	@for member in $(MEMBERS); do (cd $$member && $(CURDIR)/.venv/bin/deptry --no-ansi src 2>&1 | grep -E "DEP00|error" ; true) ; done | (! grep .)
	@.venv/bin/python -m baton_contracts.generate --check
	@.venv/bin/python -m baton_embedded.generating --check
	@echo "check: all well"

journeys: $(READY) ## whole stories over running installations, in both ways of running
	@.venv/bin/pytest -q tests/journeys

up: ## the same in containers; needs a Docker engine with Compose
	@docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1 || { echo "make up needs a running Docker engine with Compose. Without one: make run, or make cluster."; exit 69; }
	@docker compose --file deploy/compose/compose.yaml up --build --detach --wait && echo "up at http://127.0.0.1:8400"

faults: $(READY) ## kills, damage, hostile requests, canaries
	@.venv/bin/pytest -q tests/faults -m 'not long'

bench: $(READY) ## figures, each beside a baseline of the same run
	@.venv/bin/python tests/performance/bench_baton.py

cluster: $(READY) ## PostgreSQL, Apache Kafka and two processes of every service on this machine
	@.venv/bin/python -m baton_embedded.cluster

cluster-stop: $(READY) ## stop what `make cluster` started
	@.venv/bin/python -m baton_embedded.cluster stop

fresh: ## drop the data of `make run` and `make cluster`
	@if [ -e .baton/run.json ]; then echo "Stop Baton first (.baton/run.json says where it runs)."; exit 1; fi
	@rm -rf .baton

size: ## lines of product and of tests, by member
	@$(PYTHON) tools/size.py

lock: ## write requirements.lock anew (hashes, no addresses)
	@.venv/bin/uv pip compile --quiet --generate-hashes --no-header --no-annotate --universal --python-version 3.11 \
	    pyproject.toml --group dev contracts/pyproject.toml services/*/pyproject.toml deploy/embedded/pyproject.toml \
	    $(foreach name,contracts chassis formats intake scheduling notes notification console embedded,--no-emit-package baton-$(name)) \
	    --output-file requirements.lock

generate: $(READY) ## write schemas, AsyncAPI, OpenAPI and generated parts of pages anew
	@.venv/bin/python -m baton_contracts.generate
	@.venv/bin/python -m baton_embedded.generating
