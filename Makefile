# The commands of this project. `make demo` and `make test` need only python3 (3.11 or newer) with venv, and make.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?= tests

.PHONY: help venv demo compose-demo up client down test test-long test-abuse lint protos lock bench install rollback uninstall clean

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Two stamps: what running needs, and what developing needs besides.
$(VENV)/.runtime: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.bench: requirements-bench.txt $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

venv: $(VENV)/.runtime  ## the three programs, in .venv/bin

demo: $(VENV)/.runtime  ## play the main job on a locator and four peers, then clean up
	$(BIN)/python -m demo

compose-demo:  ## the same in containers, which are killed and cut off meanwhile (needs Docker with Compose)
	$(PYTHON) -m demo.compose

up: $(VENV)/.runtime  ## start a cluster for playing (a locator and four peers on loopback)
	$(BIN)/python -m demo.cluster up

client: $(VENV)/.runtime  ## the interactive client of the playing cluster's first peer (PEER=b for the second)
	@$(BIN)/python -m demo.cluster client $(PEER)

down: $(VENV)/.runtime  ## stop that cluster and remove its files
	$(BIN)/python -m demo.cluster down

test: $(VENV)/.dev  ## the tests (TESTS=tests/pserver for some)
	$(BIN)/python -m pytest $(TESTS) -n 3 --dist worksteal -m "not long and not abuse"

# By files, for the tests of one share machines or containers. (Groups of pytest-xdist 3.8 do nothing with pytest 9.2.)
test-long: $(VENV)/.dev  ## the tests that take more than a minute together (CI runs them too)
	$(BIN)/python -m pytest $(TESTS) -n 2 --dist loadfile -m "long and not abuse"

$(VENV)/.fuzz: requirements-fuzz.txt $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r requirements-fuzz.txt \
		|| echo "atheris (wheels for x86-64 only) could not be installed: the tests that need it are skipped"
	@touch $@

test-abuse: $(VENV)/.fuzz  ## what hostile strangers and members may try, at length (CI runs it too)
	$(BIN)/python -m pytest $(TESTS) -n 2 -m abuse

lint: $(VENV)/.dev  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict central_server pserver pclient protos demo bench docker tests
	$(BIN)/lint-imports

protos: $(VENV)/.dev  ## make the stubs anew from protos/locator.proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. protos/locator.proto

LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(VENV)/.dev  ## make all locks anew from pyproject.toml (UPGRADE=--upgrade for current releases)
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) $(UPGRADE) --output-file requirements.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) $(UPGRADE) --extra dev --allow-unsafe --constraint requirements.txt \
		--output-file requirements-dev.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) $(UPGRADE) --extra bench --constraint requirements-dev.txt \
		--output-file requirements-bench.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) $(UPGRADE) --extra fuzz --constraint requirements-dev.txt \
		--output-file requirements-fuzz.txt pyproject.toml

bench: $(VENV)/.bench  ## measure, print, and write docs/BENCHMARKS.md
	$(BIN)/python -m bench

# The Python of the services: they see no home folder, so not whatever `python3` is in this shell.
INSTALL = PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) PURGE=$(PURGE) \
	PYTHON=$(if $(filter file,$(origin PYTHON)),/usr/bin/python3,$(PYTHON)) systemd/install.sh
PREFIX ?= /opt/p2p-file-sharing

install:  ## as root: install or upgrade the services below PREFIX (DESTDIR=… into another root)
	@$(INSTALL) install

rollback:  ## as root: back to the release that was installed before
	@$(INSTALL) rollback

uninstall:  ## as root: remove what was installed; shares, keys and settings stay (PURGE=1: they go too)
	@$(INSTALL) uninstall

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
