# `make help` lists the targets. Each that needs the environment makes it first.
SCALE ?= tiny
ARGS ?=
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The interpreter that makes .venv. With VENV=folder a ready environment is used as it is.
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3))
ifndef VENV
VENV := .venv
ENVIRONMENT := .venv/.installed
endif
RUN := $(VENV)/bin/python
TORCH := $(shell grep '^torch==' requirements.lock)
# Without CPU=1 the platform's usual wheel is taken (on Linux: CUDA, several GB).
TORCH_INDEX := $(if $(CPU),--index-url https://download.pytorch.org/whl/cpu)
# Small models are fastest on one thread each, two runs at a time.
LAUNCHER_tiny := launcher=joblib
LAUNCHER_minilm := launcher=joblib
# The grid of a scale, a file of conf/experiment.
EXPERIMENT_minilm := minilm
EXPERIMENT = $(or $(EXPERIMENT_$(SCALE)),glue)
# What a scale's table needs beside the grid of its first model. Tiny: what its rows are measured against, the head alone
# and a backbone that was never pretrained. Paper: the rows that Table 1 has for RoBERTa-large.
ALSO_tiny := experiment=glue_controls model=tiny_roberta,tiny_scratch
ALSO_paper := experiment=glue model=roberta_large \
	row=lora_qv,vera_qv,tied_lora_qv,vblora_qv,vera_all,tied_lora_all,vblora_all
# `experiments.report` calls paths.results, which the runs are given, results.
RESULTS = $(patsubst paths.results=%,results=%,$(filter paths.results=%,$(ARGS)))
REPORT = $(patsubst paths.results=%,results=%,$(ARGS))
SWEEP = $(RUN) -m experiments.run -m scale=$(SCALE) $(LAUNCHER_$(SCALE))
# Every run is tried; `status` remembers whether one failed. Ctrl-C ends it all.
GRID = trap 'exit 130' INT; status=0; $(SWEEP) experiment=$(EXPERIMENT) $(1) $(ARGS) || status=$$?; \
	$(if $(ALSO_$(SCALE)),$(SWEEP) $(ALSO_$(SCALE)) $(1) $(ARGS) || status=$$?;)

.PHONY: help env lint types test test-slow test-gpu params reproduce-glue plan status tables check check-results scripts clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17
	@echo; echo "SCALE=tiny|minilm|local|paper (now $(SCALE)), ARGS='more words for the command', CPU=1, PYTHON=…, VENV=…"

env: $(ENVIRONMENT)  ## make .venv from requirements.lock; CPU=1 takes torch's CPU wheel from pytorch.org

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] < (3, 13) else "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check $(TORCH) $(TORCH_INDEX)
	.venv/bin/python -m pip install --disable-pip-version-check --quiet -r requirements.lock
	.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

lint: $(ENVIRONMENT)  ## ruff: rules, import order, format
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check .

types: $(ENVIRONMENT)  ## mypy, strict, on both packages
	$(RUN) -m mypy

test: $(ENVIRONMENT)  ## the tests: no network, no GPU
	$(RUN) -m pytest $(ARGS)

test-slow: $(ENVIRONMENT)  ## the tests that take minutes
	$(RUN) -m pytest -m slow $(ARGS)

test-gpu: $(ENVIRONMENT)  ## the tests that need a CUDA device
	$(RUN) -m pytest -m gpu $(ARGS)

params: $(ENVIRONMENT)  ## the paper's parameter counts beside ours, computed without weights
	$(RUN) -m experiments.report params $(ARGS)

reproduce-glue: $(ENVIRONMENT)  ## run what is missing of Table 1's grid, then print the table
	@$(call GRID) $(RUN) -m experiments.report tables scale=$(SCALE) $(RESULTS) && exit $$status

plan: $(ENVIRONMENT)  ## what Table 1's grid would run, what is done, GPU hours, disk
	$(RUN) -m experiments.report plan scale=$(SCALE) $(REPORT)

status: $(ENVIRONMENT)  ## which runs are done, failed or missing
	$(RUN) -m experiments.report status scale=$(SCALE) $(REPORT)

tables: $(ENVIRONMENT)  ## Table 1 from the records, as text, Markdown, LaTeX and CSV
	$(RUN) -m experiments.report tables scale=$(SCALE) $(REPORT)

check: $(ENVIRONMENT)  ## check the configuration of the whole grid without running it
	@$(call GRID,check=true) exit $$status

check-results: $(ENVIRONMENT)  ## records fit the schema; each cell of a table traces to records
	$(RUN) -m experiments.report check $(REPORT)

scripts: $(ENVIRONMENT)  ## write scripts/ anew from the configuration
	$(RUN) -m experiments.report scripts $(ARGS)

clean:  ## remove tool caches, backbones made here and your tiny runs; no other record, no checkpoint of a larger run
	rm -rf .cache/backbones .cache/checkpoints/tiny .cache/sweeps .cache/finished outputs multirun wandb build *.egg-info \
		.mypy_cache .ruff_cache .pytest_cache results/runs/tiny
