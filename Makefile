# Everything runs in .venv, which the first target that needs it sets up by itself.
# Only Python 3.11 or newer and make have to be there.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench figures lock clean

VENV := .venv
READY := $(VENV)/.ready
UV := .cache/uv/bin/uv
COMPILE := UV_FIND_LINKS= $(UV) pip compile pyproject.toml --no-config --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
ARGS ?=

help: ## What can be made
	@echo "London Connection. Make one of:"
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  \1\t\2/p' Makefile | expand -t 10
	@echo 'Arguments are passed on: make demo ARGS="--members 300 --once"'

demo: $(READY) ## The whole way on this machine: Kafka, three services, an inbox, a synthetic London
	@$(VENV)/bin/connection demo $(ARGS)

test: lint ## Every check, and every test (on a real Kafka, in headless Chromium where there is one)
	$(VENV)/bin/python -m pytest --timeout 600 $(ARGS)

lint: $(READY) ## Style, types, and who may import whom
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(READY) ## The figures, as a table and as JSON
	@$(VENV)/bin/python -m benchmarks $(ARGS)

figures: $(READY) ## The pictures of every email and page, taken anew in headless Chromium (docs/figures)
	@KEEP_FIGURES=1 $(VENV)/bin/python -m pytest -q tests/notifier/test_looks.py $(ARGS)

lock: ## Renew the locks from pyproject.toml (ARGS=--upgrade for newer versions)
	@test -x $(UV) || { python3 -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet uv; } >&2
	@$(COMPILE) --all-extras --output-file requirements.lock $(ARGS)
	@$(COMPILE) --constraints requirements.lock --output-file deploy/requirements.lock
	@! grep -nE '://|pypi\.|index-url|find-links' requirements.lock deploy/requirements.lock || \
	  { echo "A lock names a registry." >&2; exit 1; }

clean: ## Remove what was made here: the virtual environment and the caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The stamp is touched last: what broke off is done again. Everything goes to standard
# error, since a demo's standard output ends with its result. Wheels only: building from
# source would fetch build tools that no hash vouches for.
$(READY): requirements.lock pyproject.toml
	@{ \
	  if ! $(VENV)/bin/python -c '' 2>/dev/null; then \
	    python=; \
	    for candidate in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	      if $$candidate -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        python=$$candidate; break; \
	      fi; \
	    done; \
	    if [ -z "$$python" ]; then \
	      echo "No Python 3.11 or newer with its venv module was found on the PATH; install one and try again."; \
	      echo "(python3 here: $$(python3 --version 2>&1). On Debian and Ubuntu: apt install python3 python3-venv)"; \
	      exit 1; \
	    fi; \
	    echo "Making $(VENV) with $$($$python --version)."; \
	    rm -rf $(VENV) && $$python -m venv $(VENV) || exit 1; \
	  fi; \
	  echo "Installing the locked packages into $(VENV): about 250 MB once, a minute or two."; \
	  $(VENV)/bin/python -m pip install --disable-pip-version-check --no-deps --only-binary :all: \
	    --require-hashes -r requirements.lock && \
	  $(VENV)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-index \
	    --no-build-isolation --editable . && \
	  touch $@; \
	} >&2
