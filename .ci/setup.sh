#!/usr/bin/env bash
# Makes .venv with the pinned dependencies and the Debian programs that Fabricscope calls.
# `make` runs it only when pyproject.toml or constraints.txt is newer than the last run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { echo "setup: $*" >&2; exit 1; }

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# PYTHON=... wins; else the newest version that the pins were tried with, then whatever python3 is.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null && suits "$candidate"; then
      command -v "$candidate"
      return
    fi
    [ "$candidate" = "${PYTHON:-}" ] && return 1
  done
  return 1
}

# Debian splits venv's own pip (ensurepip) off into a package named after the version.
make_environment() {
  local python=$1 version
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    .ci/packages.sh "python$version-venv" || true
  fi
  if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    "$python" -m venv --clear .venv
  elif "$python" -m virtualenv --version >/dev/null 2>&1; then
    "$python" -m virtualenv --quiet --clear .venv
  else
    rm -rf .venv
    "$python" -m venv --without-pip .venv 2>/dev/null &&
      "$python" -m pip --version >/dev/null 2>&1 &&
      "$python" -m pip --python .venv/bin/python install --quiet pip ||
      fail "$python can make no virtual environment: install python3-venv (or virtualenv), then make again."
  fi
}

.ci/packages.sh tshark || echo "setup: going on without tshark: 'fabricscope dissect' and the tests against it will say that it is missing." >&2

if ! { [ -x .venv/bin/python ] && suits .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
  python=$(find_python) ||
    fail "no Python 3.11 or newer${PYTHON:+ at $PYTHON}: install one (Debian: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3."
  echo "setup: making .venv with $("$python" -V 2>&1)"
  make_environment "$python"
fi

echo "setup: installing the pinned Python packages (constraints.txt) into .venv; the first time takes a minute or two"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_CONSTRAINT=constraints.txt
log=.venv/setup.log
if ! .venv/bin/python -m pip install --quiet --editable '.[all]' >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  fail "pip could not install the dependencies: look at the network and at $log, then make again."
fi
