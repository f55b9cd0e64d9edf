# `make run` and `make test` set everything up by themselves; a second run does no set-up work.
# A wish: PYTHON=/path/to/python3 chooses the interpreter for .venv.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
READY := .venv/ready
BIN := .venv/bin

.PHONY: run test check bench setup clean

run: $(READY)
	@$(BIN)/fabricscope demo

# The kernels run a first time uncompiled, against the same slow twins, before the whole suite.
test: $(READY)
	@echo "test: kernels uncompiled"
	@NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q --no-header --no-summary -m twin
	@echo "test: whole suite"
	@$(BIN)/python -m pytest -q

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/lint-imports --no-logo 2>/dev/null || PYTHONPATH=src $(BIN)/lint-imports

bench: $(READY)
	@$(BIN)/python benchmarks/peers.py $(ARGS)

setup: $(READY)

$(READY): pyproject.toml constraints.txt .ci/setup.sh .ci/packages.sh
	@.ci/setup.sh
	@touch $@

clean:
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist src/*.egg-info
	@find . -path ./.git -prune -o -name __pycache__ -type d -exec rm -rf {} +
