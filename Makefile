# Every target works on a fresh Debian or Ubuntu with root, Python >= 3.11, git and make.
# Variables: PYTHON=python3.12 picks the interpreter, TESTS=tests/unit the tests, DEMO= the demo's flags.

BIN := .venv/bin
TESTS ?= tests
DEMO ?=
.DEFAULT_GOAL := help
# Where nft, iptables and chroot are, which a user's own PATH may not name.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help setup demo test lint types check bench docs clean
.PHONY: FORCE

help: ## What can be made
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: .venv/.dev ## Virtual environment, pinned dependencies, missing system packages

demo: .venv/.runtime ## Start a cluster of two nodes and walk through Kubernetes Services
	@$(BIN)/kubesvc demo $(DEMO)

test: .venv/.dev ## All tests; kernel and end-to-end ones in namespaces of their own
	@scripts/test $(TESTS)

lint: .venv/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## lint and test: what CI runs

bench: .venv/.dev ## All benchmarks, one after the other
	@for script in bench/[a-z]*.py; do PYTHONPATH=. $(BIN)/python $$script || exit; done

bench-%: .venv/.dev FORCE ## One benchmark: make bench-lab
	@PYTHONPATH=. $(BIN)/python bench/$*.py

docs: .venv/.dev FORCE ## Write docs/cli.md and docs/support.md anew; for docs/lab.md see scripts/console.py
	@$(BIN)/python scripts/cli_reference.py
	@$(BIN)/python scripts/support_table.py

clean: ## Remove what setup and the tools made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info

.venv/.runtime: requirements/runtime.txt pyproject.toml scripts/setup
	@scripts/setup runtime

.venv/.dev: requirements/dev.txt .venv/.runtime
	@scripts/setup dev
