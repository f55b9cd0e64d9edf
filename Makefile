# `make run` and `make test` set everything up by themselves; a second run does no set-up work.
# PYTHON=/path/to/python3 chooses the interpreter of .venv; ARGS="..." reaches the program run.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
READY := .venv/ready
FRESH := .venv/kernels-fresh

# Numba's cache of a kernel notices a change of the kernel's own file only; what it inlines from
# these files would go stale.
FOLDERS := $(wildcard analyzers collectors topology)
INLINED := src/fabricscope/records.py \
	$(shell find $(FOLDERS) -name kernels.py -o -name layout.py -o -name tables.py)

.PHONY: run test check bench bench-sim accuracy pictures screenshots bench-dashboard bench-live setup clean

run: setup
	@$(BIN)/fabricscope demo $(ARGS)

# The kernels run a first time uncompiled, where an index out of bounds or an overflow shows: in the
# tests that compare them with their slow twins in tests/reference.
TWINS = tests/collectors/decode $(shell find tests/analyzers -name test_kernels.py \
	-o -name test_room.py -o -name test_matching.py -o -name test_transfers.py \
	-o -name test_fpdu.py) tests/collectors/mirror/test_tunnels.py
# What tests run against, each if it can be had; without one its tests are skipped with a reason.
PROGRAMS = chromium influxdb openvswitch-switch prometheus prometheus-alertmanager tcpreplay \
	victoria-metrics
test: setup
	@for package in $(PROGRAMS); do .ci/packages.sh $$package || true; done
	@echo "test: kernels uncompiled"
	@grep -rlZE '^(from|import) reference' --include='test_*.py' $(TWINS) | \
		NUMBA_DISABLE_JIT=1 xargs -0 $(BIN)/python -m pytest -q --no-header
	@echo "test: the whole suite"
	@$(BIN)/python -m pytest -q -n auto --dist loadfile $(ARGS)

check: setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/lint-imports --no-logo

bench: setup
	@$(BIN)/python benchmarks/peers.py $(ARGS)

# The simulators are Debian packages; what cannot be installed is left out of the table and named.
bench-sim: setup
	@.ci/packages.sh g++ libns3-dev libsimgrid-dev || true
	@PYTHONPATH=benchmarks $(BIN)/python benchmarks/simulators/compare.py $(ARGS)

# Each script prints its part; document.py puts it between the part's marks in docs/accuracy.md.
accuracy: setup
	@set -o pipefail; cd benchmarks/accuracy && python=../../$(BIN)/python && \
		$$python dpi.py --markdown | $$python document.py dpi && \
		$$python behaviour.py | $$python document.py behaviour --text && \
		$$python collectives.py $(ARGS) | $$python document.py collectives

# The live site with 1,984 links, a real browser and 20 clients; ARGS="--minutes 30" watches memory.
bench-dashboard: setup
	@$(BIN)/python benchmarks/dashboard/measure.py $(ARGS)

# Every page of the live site over the demo, to build/screenshots and docs/images.
screenshots: setup
	@$(BIN)/python docs/screenshots.py $(ARGS)

# As root, on a machine with nothing else to do; TORCH=python names an interpreter with PyTorch.
LIVE = python ../accuracy/document.py --page live-benchmarks.md
bench-live: setup
	@.ci/packages.sh tcpreplay tcpdump wireshark-common iproute2 ethtool
	@set -o pipefail; cd benchmarks/live && PATH=$(CURDIR)/$(BIN):$$PATH && \
		python ring.py --frames small | $(LIVE) ring-small && \
		python ring.py --frames large | $(LIVE) ring-large && \
		python ring.py --overload --seconds 30 | $(LIVE) overload && \
		python bridge.py $(if $(TORCH),--torch $(TORCH)) | $(LIVE) bridge && \
		python soak.py $(ARGS) | $(LIVE) soak

pictures: setup
	@$(BIN)/python docs/pictures.py

setup: $(READY) $(FRESH)

$(READY): pyproject.toml constraints.txt .ci/setup.sh .ci/packages.sh
	@.ci/setup.sh
	@touch $@

$(FRESH): $(INLINED) | $(READY)
	@find $(FOLDERS) -name '*.nb[ic]' -delete
	@touch $@

clean:
	@rm -rf .venv .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@rm -rf build dist src/*.egg-info
	@find . -path ./.git -prune -o -name __pycache__ -type d -exec rm -rf {} +
