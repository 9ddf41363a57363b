.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What `make demo` trains, of a folder, an archive, s3://bucket/prefix or kaggle:owner/dataset; say `make demo DATA=folder NETWORKS=resnet18,resnet50 EPOCHS=30 SIDE_PX=96`.
DATA ?= demo
NETWORKS ?=
EPOCHS ?=
SIDE_PX ?=
DEMO_OPTIONS = --data "$(DATA)" $(if $(NETWORKS),--networks "$(NETWORKS)") $(if $(EPOCHS),--epochs $(EPOCHS)) $(if $(SIDE_PX),--side-px $(SIDE_PX))

# The stack needs Docker and a bare Python alone, so these targets make no environment.
STACK = $(or $(PYTHON),python3) -m affect_tasks.stack

.PHONY: help demo ui test test-services test-stack up down clean-stack logs ps doctor gpu-worker check format lock setup clean clean-all

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.embedded ## Run the whole pipeline here, on drawn faces or on DATA=folder or archive, to a registered champion
	@$(BIN)/affect demo $(DEMO_OPTIONS)

ui: $(VENV)/.embedded ## Open the Airflow and MLflow UIs on this machine; Ctrl-C ends them
	@$(BIN)/affect ui

test: $(VENV)/.dev ## Set up what is needed and run the tests
	@$(BIN)/pytest

test-services: $(VENV)/.services ## Run the DAG over Celery on real services here: MinIO, Redis, Postgres, MLflow
	@$(BIN)/python tests/integration/local_stack/programs.py
	@$(BIN)/pytest -m services tests/integration

up: ## Start the stack on Docker: Airflow, MLflow, store, broker, database, workers; wait until all are healthy
	@$(STACK) up

down: ## End the stack; its data stays
	@$(STACK) down

clean-stack: ## Remove the stack and all its data, after asking
	@$(STACK) clean

logs: ## Follow the stack's logs, or those of SERVICE=name
	@$(STACK) logs $(SERVICE)

ps: ## List the stack's services
	@$(STACK) ps

doctor: ## Look at the stack: versions, health, devices, exposure, disk; with TIMING=1 memory and time too
	@$(STACK) doctor $(if $(TIMING),--timing)

gpu-worker: ## Let this machine train for a stack elsewhere: ADDRESS=where it is reached TOKEN=its docker/worker.env
	@$(STACK) gpu-worker --address "$(ADDRESS)" --token "$(TOKEN)"

test-stack: $(VENV)/.dev ## Run the tests of the stack on Docker: exposure, the DAG, faults
	@$(BIN)/pytest -m stack tests/stack

check: $(VENV)/.dev ## Lint and check types
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q . && $(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev ## Format the code and mend what lint can mend
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

setup: $(VENV)/.embedded ## Make the environment in .venv

lock: $(VENV)/.uv ## Resolve the requirements anew into the hash-pinned lock files
	@for name in uv embedded dev services airflow worker gpu mlflow; do \
	  case $$name in uv|embedded) with=;; worker|gpu) with="-c requirements/embedded.txt -c requirements/airflow.txt";; *) with="-c requirements/embedded.txt";; esac; \
	  $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" $$with requirements/$$name.in -o requirements/$$name.txt $(UPGRADE) || exit 1; done

clean: ## Remove everything the embedded mode made (.affect) and caches; the environment stays
	@rm -rf .affect .pytest_cache .ruff_cache .hypothesis

clean-all: clean ## Remove the environment too
	@rm -rf $(VENV)

# The environment, in stages; each stamp is made last, so a killed set-up goes on when started again.
$(VENV)/.uv: requirements/uv.txt
	@python=; for name in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then echo "Python 3.11, 3.12 or 3.13 is needed; found none. Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; fi; \
	if [ ! -x $(BIN)/pip ]; then \
	  echo "Making the environment $(VENV) with $$($$python --version) ..."; \
	  rm -rf $(VENV); $$python -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is needed. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; fi
	@$(BIN)/pip install -q --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.embedded: $(VENV)/.uv requirements/embedded.txt pyproject.toml
	@echo "Installing about 200 packages (2.5 GB on disk), once ..."
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/embedded.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.embedded requirements/dev.txt
	@echo "Installing the tools for tests and checks, once ..."
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.services: $(VENV)/.dev requirements/services.txt
	@echo "Installing what the services need, once ..."
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/services.txt
	@touch $@
