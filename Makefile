# Everything a developer or a continuous-integration machine runs. `make help` lists it.
SHELL := /bin/bash
PY := .venv/bin/python
WORKERS ?= 3
ARGS ?=
# The tests start hundreds of interpreters; each would compile every module anew where this is set.
unexport PYTHONDONTWRITEBYTECODE

COMPILE = $(PY) -m uv pip compile -q --universal --fork-strategy fewest --generate-hashes --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)
PYTEST = $(PY) -m pytest -n $(WORKERS)

.DEFAULT_GOAL := help
.PHONY: help setup demo lint format test test-full bench lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv with what the program needs, from hash-checked pins
	@bash scripts/bootstrap.sh core

demo: setup  ## a made-up shop from its sales to its orders, in the current folder's orders/
	.venv/bin/shelfwise demo $(ARGS)

lint:  ## style, types and the import rules
	@bash scripts/bootstrap.sh test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo

format:  ## rewrite the sources in the house style
	@bash scripts/bootstrap.sh test
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

test: lint  ## lint, then every test that needs neither a browser nor minutes of load
	$(PYTEST) $(ARGS)

test-full:  ## test, with torch on CPU, ray, browser, soak and nightly tests as well, and how much of the code they ran
	@bash scripts/bootstrap.sh full
	@$(MAKE) --no-print-directory lint
	$(PYTEST) -m "" --cov --cov-report=term $(ARGS)

bench:  ## run every measurement of bench/ with its defaults (one of them: .venv/bin/python bench/NAME.py --help)
	@bash scripts/bootstrap.sh bench
	@set -e; for script in bench/[a-z]*.py; do echo "== $$script"; $(PY) "$$script" $(ARGS); done

lock:  ## rewrite requirements/*.lock after a change in pyproject.toml (UPGRADE=1 takes newer versions too)
	@bash scripts/bootstrap.sh test
	$(COMPILE) requirements/tools.in -o requirements/tools.lock
	$(COMPILE) pyproject.toml requirements/build.in -o requirements/core.lock
	$(COMPILE) pyproject.toml requirements/build.in --extra classic --extra test \
		-c requirements/core.lock -o requirements/test.lock
	$(COMPILE) pyproject.toml requirements/build.in --extra classic --extra test --extra bench \
		-c requirements/test.lock -o requirements/bench.lock
	$(COMPILE) pyproject.toml requirements/build.in requirements/deep.in --extra classic --extra test --extra bench \
		--extra scale -c requirements/bench.lock -o requirements/full.lock

clean:  ## remove the environment, caches and build results; your data and orders stay
	rm -rf .venv build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
