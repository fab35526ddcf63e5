# Two commands matter: `make bench` measures and names the report's file,
# `make test` runs every test. Each sets up what it needs first.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.requirements-installed
GO     := $(abspath $(BIN))/go

# The Go toolchain is the one pinned in requirements.lock, never the machine's.
export GOTOOLCHAIN := local
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: setup bench bench-full test lint format lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
