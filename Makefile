# Backprop by Hand. `make help` lists what there is.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help train test board pictures bench prove check quick lowest newest clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

train: .venv/installed ## the lecture's run, by hand and in torch.nn, on the MNIST files in data/
	$(BIN)/python -m scripts.train $(ARGS)

test: .venv/installed ## all tests
	$(BIN)/python -m pytest

board: .venv/installed ## TensorBoard over runs/, on 127.0.0.1
	@echo 'http://127.0.0.1:6006/?smoothing=0  in a browser, until Ctrl-C here:'
	@echo '  Custom Scalars  do both learn the same, and how close? (the verdict is the title)'
	@echo '  Images          what was learned, and where does it fail?'
	@echo '  Text            the verdict, speed and accuracies as a table'
	@echo '  HParams         all runs side by side; also: python -m scripts.runs'
	$(BIN)/tensorboard --logdir runs --host 127.0.0.1

pictures: .venv/installed ## those of README and docs, from a run (needs chromium and chromedriver)
	$(BIN)/python -m tests.pictures $(ARGS)

bench: .venv/installed ## times of a training step (half an hour; ARGS=--quick: 2.5 minutes)
	$(BIN)/python -m scripts.bench $(ARGS)

prove: .venv/installed ## manual/ on symbols: backward is forward's derivative (half a minute)
	$(BIN)/python -m scripts.prove $(ARGS)

check: .venv/installed ## what has to pass before a commit: format, lint, types, imports, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

quick: .venv/installed ## what concerns manual/ alone: lint, types, its tests (a minute)
	$(BIN)/ruff format --check manual tests/manual
	$(BIN)/ruff check manual tests/manual
	$(BIN)/mypy --package manual
	$(BIN)/python -m pytest tests/manual

lowest: PYTHON = python3.11
lowest: .venv-lowest/installed ## the tests with the lowest releases that pyproject.toml allows
	.venv-lowest/bin/python -m pytest

newest: PYTHON = python3.13
newest: .venv-newest/installed ## the tests with the newest releases there are
	.venv-newest/bin/python -m pytest

clean: ## remove the environments
	rm -rf .venv .venv-lowest .venv-newest

# Installed anew only when what is installed changes.
.venv/installed .venv-lowest/installed .venv-newest/installed: pyproject.toml .ci/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed and $(PYTHON) is $$($(PYTHON) --version 2>&1):" \
			"make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module: install it (on Debian: apt install python3-venv)"; \
			exit 1; }
	$(PYTHON) .ci/environment.py $(@D)
