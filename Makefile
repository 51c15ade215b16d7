# Everything is installed into .venv; a second run needs no network.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.embertune

.DEFAULT_GOAL := help
.PHONY: help install demo check fix test test-torch test-integrations test-ui pictures finetune finetune-tensorboard infer benchmarks tables docs clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 22

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Embertune needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(STAMP)-base: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(STAMP)-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[api,parquet,serve]' --group test --group lint
	@touch $@ $(STAMP)-base

# constraints-torch.txt names the CPU build for development machines; users get a range.
$(STAMP)-torch: pyproject.toml constraints-torch.txt $(STAMP)-test
	$(BIN)/python -m pip install --quiet --constraint constraints-torch.txt --editable '.[sentence-transformers,model2vec,fastembed,finetune]' --group torch
	@touch $@

# uv chooses among the versions of 190 packages in seconds, pip in minutes; but only pip reads pip.conf, with an index of one's own.
OTHERS := --quiet --constraint constraints-torch.txt --group databases --group frameworks --group integrations
$(STAMP)-integrations: pyproject.toml constraints-torch.txt $(STAMP)-torch
	$(BIN)/python -m pip install --quiet uv
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --python $(BIN)/python $(OTHERS) || $(BIN)/python -m pip install $(OTHERS)
	@touch $@

$(STAMP)-ui: pyproject.toml $(STAMP)-test
	$(BIN)/python -m pip install --quiet --editable '.[serve,ui]' --group browser
	@touch $@

install: $(STAMP)-test  ## set up .venv for development

demo: $(STAMP)-base  ## tune on the Python documentation of this machine, offline, under a minute
	$(BIN)/embertune demo

check: $(STAMP)-test  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(STAMP)-test  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(STAMP)-test  ## every test that needs no torch
	$(BIN)/python -m pytest

test-torch: $(STAMP)-torch  ## the tests that need torch
	$(BIN)/python -m pytest -m torch

test-integrations: $(STAMP)-integrations  ## the tests that need vector databases, frameworks and clients of others: the real ones
	$(BIN)/python -m pytest tests/integrations tests/serving "tests/test_docs.py::test_guides_run[docs/guides/frameworks.md]" -m 'not network and not gpu and not browser'

# Where something is wrong with the page every test waits for it; three have said so.
test-ui: $(STAMP)-ui  ## the tests of the workbench, its page in headless Chromium
	$(BIN)/python -m pytest tests/ui -m 'browser or not browser' --maxfail=3

CONFIG ?= finetune.yaml

finetune: $(STAMP)-torch  ## fine-tune a model: make finetune CONFIG=my.yaml ARGS="num_epochs=6 batch_size=16"
	$(BIN)/embertune finetune $(CONFIG) $(ARGS)

finetune-tensorboard: $(STAMP)-torch  ## watch trainings under way, and those that are done
	$(BIN)/tensorboard --logdir "$$($(BIN)/python -c 'from embertune.core.paths import cache_folder; print(cache_folder())')/finetune"

MODEL ?= finetuned-model

infer: $(STAMP)-torch  ## compare texts: make infer MODEL=my-model ARGS="'first text' 'second text'"
	$(BIN)/embertune infer --model $(MODEL) $(ARGS)

# The peers of the benchmark have an environment of their own: the package never depends on them.
build/venv-peers/.installed: benchmarks/peers/requirements.txt | $(BIN)/python
	$(BIN)/python -m venv build/venv-peers
	build/venv-peers/bin/pip install --quiet --no-deps --requirement benchmarks/peers/requirements.txt
	@touch $@

build/venv-optuna/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv build/venv-optuna
	build/venv-optuna/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	build/venv-optuna/bin/python -m pip install --quiet --editable . --group optuna
	@touch $@

benchmarks: $(STAMP)-test build/venv-peers/.installed build/venv-optuna/.installed  ## measure on the shared data sets, beside the peers (hours)
	$(BIN)/python benchmarks/reach.py
	$(BIN)/python benchmarks/peers.py
	build/venv-optuna/bin/python benchmarks/optuna_search.py
	$(BIN)/python benchmarks/aa_check.py
	$(BIN)/python benchmarks/interval_coverage.py
	$(BIN)/python benchmarks/tables.py

tables: $(STAMP)-test  ## make the tables of README and benchmarks from the results
	$(BIN)/python benchmarks/tables.py

docs: $(STAMP)-test  ## write the generated parts of docs/
	$(BIN)/python docs/generate.py

pictures: $(STAMP)-ui  ## take the pictures of the workbench anew, from the real app in Chromium
	$(BIN)/python docs/pictures.py

clean:  ## remove .venv and every cache
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
