# Needs Python >= 3.10 with venv, make and git; for all tests of storages also npm, openssh-server, openssl, docker.io and
# docker-registry, and root. Everything else goes to .venv and .venvs, and nothing outside this folder except package
# caches. `make PYTHON=python3.12` picks the interpreter.

PYTHON ?= python3
ARGS ?=
MINUTES ?= 10

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AZURITE := .venvs/azurite/.ready
PROJECTS := $(sort $(wildcard packages/*/pyproject.toml))
PACKAGES := $(patsubst %/pyproject.toml,%,$(PROJECTS))
TESTED ?= $(PACKAGES)

# Gives a recipe a temporary folder of its own, removed when it ends (stored trees are read-only).
SCRATCH = tmp=$$(mktemp -d) && trap 'chmod -R u+rwX "$$tmp"; rm -rf "$$tmp"' EXIT && trap 'exit 130' INT TERM && export TMPDIR="$$tmp"
# Tests wait for servers more than they compute.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
PYTEST = pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-long fuzz conformance coverage lint docs dist pants bench bench-quick services clean

help: ## Show this list
	@echo "make PYTHON=python3.12 TARGET picks the interpreter; make test ARGS='-k name' passes arguments on."
	@sed -n 's/^\([a-z%-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

# pip asks rustc for its version, and rustup would make a folder in HOME to answer that.
$(READY): export RUSTUP_HOME = $(CURDIR)/$(VENV)
$(READY): pyproject.toml $(PROJECTS)
	@command -v "$(PYTHON)" >/dev/null || { echo "$(PYTHON) was not found: install Python 3.10 or newer, or name one with make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is $$("$(PYTHON)" -V 2>&1), but Python 3.10 or newer is needed: name one with make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) comes without venv: install it (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" -V)"
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev $(addprefix -e ,$(PACKAGES))
	@touch $(READY)

# Not needed to run the other tests, so that whatever goes wrong here is only said. npm gets a cache of its own,
# as the default one is no folder of caches but one in HOME.
$(AZURITE):
	@rm -rf $(@D)
	@if ! command -v npm >/dev/null; then echo "npm was not found: tests that need azurite are skipped" >&2; \
	elif echo "Installing azurite" && npm install --prefix $(@D) --cache "$(CURDIR)/$(@D)/.cache" --no-audit --no-fund --no-update-notifier --ignore-scripts --silent azurite@3.37.0; then rm -rf $(@D)/.cache && touch $@; \
	else rm -rf $(@D) && echo "npm could not install azurite: tests that need it are skipped" >&2; fi

demo: $(READY) ## Register a real flow three ways, run each elsewhere, compare the reports
	@$(BIN)/python examples/quickstart/demo.py .demo

test: $(READY) $(AZURITE) ## Run the tests, except those marked long
	@$(SCRATCH) && $(BIN)/$(PYTEST) -m "not long" $(ARGS)

test-long: $(READY) $(AZURITE) ## Run all tests
	@$(SCRATCH) && $(BIN)/$(PYTEST) $(ARGS)

fuzz: export FLOWHOLD_FUZZ_MINUTES = $(MINUTES)
fuzz: $(READY) ## Try each reader with random values for ten minutes: make fuzz MINUTES=1 ARGS='-k signed'
	@$(SCRATCH) && $(BIN)/$(PYTEST) $(ARGS)

coverage: $(READY) $(AZURITE) ## Run the tests and demand 95 % line coverage of the packages
	@$(BIN)/coverage erase
	@$(SCRATCH) && $(BIN)/coverage run -m $(PYTEST) -m "not long" $(ARGS)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95

conformance: $(READY) $(AZURITE) ## Run the conformance kit for every storage, and print the counts of each
	@$(SCRATCH) && $(BIN)/$(PYTEST) -q -m conformance $(ARGS)

CHOICE = -m "not long and not engine"
test-lowest: CHOICE = -m "not long and not engine and not conformance" --ignore-glob='*_network.py'
test-%: .venvs/%/.ready $(AZURITE) ## Run the packages' tests, without an engine: test-py3.10 under another Python, test-lowest with the oldest dependencies
	@$(SCRATCH) && for package in $(TESTED); do echo "$$package" && $(<D)/bin/$(PYTEST) -q $(CHOICE) $(ARGS) "$$package" || exit 1; done

.PRECIOUS: .venvs/py%/.ready
.venvs/py%/.ready: pyproject.toml $(PROJECTS) | $(READY)
	@rm -rf $(@D)
	@python=$$(.ci/python $*) && $(BIN)/uv venv --quiet --python "$$python" $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --group dev $(addprefix -e ,$(PACKAGES))
	@touch $@

# The lowest versions that the packages declare, under the lowest Python; what those and the tests need besides is as new
# as it can be.
.venvs/lowest/.ready: pyproject.toml $(PROJECTS) | $(READY)
	@rm -rf $(@D)
	@python=$$(.ci/python 3.10) && $(BIN)/uv venv --quiet --python "$$python" $(@D)
	@$(BIN)/uv pip compile --quiet --no-deps --all-extras --resolution lowest-direct --python $(@D)/bin/python $(PROJECTS) --output-file $(@D)/lowest.txt >/dev/null
	@grep -v '^-e ' $(@D)/lowest.txt >$(@D)/constraints.txt
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --group test --constraints $(@D)/constraints.txt $(addprefix -e ,$(PACKAGES))
	@touch $@

lint: $(READY) ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venvs/docs/.ready ## Build the site of the documentation into site/; a dead link or an unlisted page is an error
	@NO_MKDOCS_2_WARNING=1 $(<D)/bin/mkdocs build
	@! grep -rnoE '<(script|link|img|iframe|source)[^>]* (src|href)="?(https?:)?//[^>]*' site --include='*.html' || { echo "the site gets these from other hosts" >&2; exit 1; }

.venvs/docs/.ready: pyproject.toml packages/core/pyproject.toml | $(READY)
	@echo "Making $(@D)"
	@rm -rf $(@D)
	@$(BIN)/uv venv --quiet --python $(BIN)/python $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --group docs -e packages/core
	@touch $@

dist: $(READY) ## Build every distribution into dist/ reproducibly, check it, try it in empty environments
	@$(SCRATCH) && .ci/dist

pants: ## Lint, check, test and package with Pants, also where GitHub cannot be reached
	@.ci/pants --no-dynamic-ui lint check test package ::

bench: $(READY) $(AZURITE) ## Run the benchmarks beside the peers, and write docs/benchmarks.md
	@$(SCRATCH) && $(BIN)/python benchmarks --page $(ARGS)

bench-quick: $(READY) $(AZURITE) ## Run a short version of the benchmarks, to see that all of it runs
	@$(SCRATCH) && $(BIN)/python benchmarks --quick $(ARGS)

services: ## Install the servers that tests start by themselves and that pip does not have
	@.ci/services

clean: ## Remove everything that make made
	@for folder in .demo dist site .venvs $(VENV); do if [ -e "$$folder" ]; then chmod -R u+rwX "$$folder"; rm -rf "$$folder"; fi; done
	@rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.*
	@find packages tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
