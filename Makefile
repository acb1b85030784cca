# `make help` lists the targets. Each that needs the environment makes it first.
SCALE ?= tiny
FAMILY ?= glue
ARGS ?=
JOBS ?= 2
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The interpreter that makes .venv. With VENV=folder a ready environment is used as it is.
PYTHON ?= $(or $(firstword $(shell command -v python3.11 python3.12 python3.13)),python3)
# What installs into it: uv, which is installed first, or pip alone.
INSTALLER ?= uv
ifndef VENV
VENV := .venv
ENVIRONMENT := .venv/.installed
endif
# RUN on the command line is a run that `dashboard` opens; in this file it is the environment's Python, whose path may have spaces.
WANTED := $(if $(filter command line,$(origin RUN)),$(RUN))
override RUN := '$(VENV)/bin/python'
# Small models are fastest on one thread each, two runs at a time.
LAUNCHER_tiny := launcher=joblib
LAUNCHER_small := launcher=joblib
LAUNCHER_minilm := launcher=joblib
# The grid of a family at a scale is an experiment, a file of conf/experiment; most have the family's name. At tiny there are more
# rows, which the others are measured against: the backbone as it is (with a head, the head alone), or full fine-tuning.
EXPERIMENT_glue_tiny := glue row=full,lora_qv,vera_qv,tied_lora_qv,vblora_qv,vera_all,tied_lora_all,vblora_all,head
EXPERIMENT_e2e_tiny := e2e row=full,lora_qv,vera_qv,vblora_all,none
EXPERIMENT_instruct_tiny := instruct row=none,lora_all,vera_all,vblora_all,full
EXPERIMENT_math_tiny := math row=full,lora_all,lora_xs_all,vblora_all,none
EXPERIMENT_glue_minilm := minilm
EXPERIMENT_e2e_small := e2e_small
EXPERIMENT_math_small := math_small
EXPERIMENT_ablations_paper := ablations model=roberta_large
GRID_OF = experiment=$(or $(EXPERIMENT_$(FAMILY)_$(SCALE)),$(FAMILY))
# What a table needs beside that grid, sweep by sweep. Tiny: a backbone that was never pretrained. Paper: the table's second model.
ALSO_glue_tiny := "experiment=glue model=tiny_scratch row=vblora_qv"
ALSO_e2e_tiny := "experiment=e2e model=tiny_gpt2_scratch row=vblora_all,full"
ALSO_instruct_tiny := "experiment=instruct model=tiny_llama_scratch row=vblora_all"
ALSO_math_tiny := "experiment=math model=tiny_llama_scratch row=vblora_all,full"
ALSO_ablations_tiny := "experiment=glue task=cola row=vblora_qv"
ALSO_ablations_minilm := "experiment=minilm task=cola row=vblora_qv"
ALSO_ablations_paper := "experiment=glue model=roberta_large task=cola row=vblora_qv"
ALSO_glue_paper := "experiment=glue model=roberta_large \
	row=lora_qv,vera_qv,tied_lora_qv,vblora_qv,vera_all,tied_lora_all,vblora_all"
ALSO_e2e_paper := "experiment=e2e model=gpt2_large"
ALSO_instruct_paper := "experiment=instruct model=llama2_13b"
ALSO_math_paper := "experiment=math model=gemma_7b"
# GLUE's scales stand in conf/scale itself, another family's in a folder of its name.
SCALE_WORD = scale=$(if $(filter glue ablations,$(FAMILY)),,$(FAMILY)/)$(SCALE)
# `experiments.report` calls paths.results and paths.cache, which the runs are given, results and cache.
RESULTS = $(patsubst paths.results=%,results=%,$(filter paths.results=%,$(ARGS)))
REPORT = $(patsubst paths.cache=%,cache=%,$(patsubst paths.results=%,results=%,$(ARGS)))
TABLE = $(RUN) -m experiments.report $(1) $(SCALE_WORD)$(if $(filter ablations,$(FAMILY)), family=ablations)
SWEEP = $(RUN) -m experiments.run -m $(SCALE_WORD) $(LAUNCHER_$(SCALE))
# Runs of W&B lie in the cache, which the runs are given as paths.cache; PROJECT as tracker.project.
CACHE = $(patsubst paths.cache=%,--cache %,$(filter paths.cache=%,$(ARGS)))
DASHBOARD = --family $(FAMILY) --scale $(SCALE) $(if $(ENTITY),--entity $(ENTITY)) $(if $(PROJECT),--project $(PROJECT))
# Every run is tried; `status` remembers whether one failed. Ctrl-C ends it all.
GRID = trap 'exit 130' INT; status=0; for sweep in "$(GRID_OF)" $(ALSO_$(FAMILY)_$(SCALE)); do \
	$(SWEEP) $$sweep $(1) $(ARGS) || status=$$?; done;

REPRODUCE := reproduce-glue reproduce-e2e reproduce-instruct reproduce-math reproduce-ablations

.PHONY: help env lock lint types test test-slow test-gpu params $(REPRODUCE) judge bench plan status retry-failed tables figures claims \
	page check check-results scripts dashboard wandb-dashboard wandb-search wandb-tables docs docs-serve wheel clean

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20
	@echo; echo "SCALE=tiny|minilm|small|local|paper (now $(SCALE)), FAMILY=glue|e2e|instruct|math|ablations (now $(FAMILY)),"
	@echo "ARGS='more words for the command', CPU=1, INSTALLER=uv|pip, JOBS=2, PYTHON=…, VENV=…"

env: $(ENVIRONMENT)  ## make .venv from requirements.lock; CPU=1 without CUDA, INSTALLER=pip without uv, PYTHON=… another Python

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) tools/environment.py .venv --installer $(INSTALLER) $(if $(CPU),--cpu)
	@touch $@

lock: $(ENVIRONMENT)  ## write requirements.lock from pyproject.toml, versions kept; ARGS='--upgrade-package peft' raises one
	'$(VENV)/bin/uv' pip compile pyproject.toml --all-extras --universal --generate-hashes --quiet \
		--custom-compile-command 'make lock' --output-file requirements.lock $(ARGS)

lint: $(ENVIRONMENT)  ## ruff: rules, import order, format
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check .

types: $(ENVIRONMENT)  ## mypy, strict, on the packages
	$(RUN) -m mypy

test: $(ENVIRONMENT)  ## the tests: no network, no GPU; JOBS=2 files at a time, JOBS=0 in one process
	$(RUN) -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

test-slow: $(ENVIRONMENT)  ## the tests that take minutes
	$(RUN) -m pytest -m slow $(ARGS)

test-gpu: $(ENVIRONMENT)  ## the tests that need a CUDA device
	$(RUN) -m pytest -m gpu $(ARGS)

params: $(ENVIRONMENT)  ## the paper's parameter counts beside ours, computed without weights
	$(RUN) -m experiments.report params $(ARGS)

reproduce-glue:  ## run what is missing of Table 1's grid, then show table, picture and page; SCALE=minilm is on real input, from the hub
reproduce-e2e:  ## the same for Table 2 (E2E); SCALE=small is on real input
reproduce-instruct:  ## the same for Table 3 (instruction tuning); at paper, `make judge` rates the answers
reproduce-math:  ## the same for Table 4 (mathematical reasoning); SCALE=small is on real input
reproduce-ablations:  ## the same for Tables 5 and 6 (selection of vectors, length of sub-vectors)
reproduce-%: override FAMILY = $(@:reproduce-%=%)
$(REPRODUCE): $(ENVIRONMENT)
	@$(call GRID) $(call TABLE,results) $(RESULTS) && exit $$status

judge: $(ENVIRONMENT)  ## rate MT-Bench's answers with a judge model; ARGS='--help' says how
	$(RUN) -m experiments.judging $(ARGS)

bench: $(ENVIRONMENT)  ## measure speed side by side; ARGS='--help' says what there is to measure
	$(RUN) -m benchmarks $(ARGS)

plan: $(ENVIRONMENT)  ## what the grid of FAMILY's table would run, what is done, GPU hours, disk
	$(call TABLE,plan) $(REPORT)

status: $(ENVIRONMENT)  ## which runs of FAMILY's table are done, running, failed (and why) or missing
	$(call TABLE,status) $(REPORT)

retry-failed: $(ENVIRONMENT)  ## run FAMILY's failed runs again, and no other; ARGS as for reproduce
	$(call TABLE,retry) $(LAUNCHER_$(SCALE)) $(REPORT)

tables: $(ENVIRONMENT)  ## FAMILY's table from the records, as text, Markdown, LaTeX and CSV
	$(call TABLE,tables) $(REPORT)

figures: $(ENVIRONMENT)  ## Figures 1 and 3 to 9 from the records, as SVG and PDF, in results/figures
	$(RUN) -m experiments.report figures $(SCALE_WORD) $(REPORT)

claims: $(ENVIRONMENT)  ## what the runs of a scale say to each claim of the paper's abstract
	$(RUN) -m experiments.report claims $(SCALE_WORD) $(REPORT)

page: $(ENVIRONMENT)  ## results/page.html: all tables, figures and runs of all scales on one page
	$(RUN) -m experiments.report page $(REPORT)

check: $(ENVIRONMENT)  ## check the configuration of FAMILY's whole grid without running it
	@$(call GRID,check=true) exit $$status

check-results: $(ENVIRONMENT)  ## records fit the schema; each cell of a table traces to records
	$(RUN) -m experiments.report check $(REPORT)

scripts: $(ENVIRONMENT)  ## write scripts/ anew from the configuration
	$(RUN) -m experiments.report scripts $(ARGS)

dashboard: $(ENVIRONMENT)  ## look at offline runs in the terminal; RUN='part of a run_id' opens that one
	@$(RUN) -m experiments.dashboards open $(if $(WANTED),--run '$(WANTED)') $(CACHE)

wandb-dashboard: $(ENVIRONMENT)  ## make a workspace and a report of FAMILY and SCALE in W&B; ENTITY=…, PROJECT=…
	@$(RUN) -m experiments.dashboards create $(DASHBOARD)

wandb-search: $(ENVIRONMENT)  ## make a sweep of W&B for the learning rates of one run: ARGS='row=vblora_qv task=cola'
	@$(RUN) -m experiments.dashboards search $(if $(ENTITY),--entity $(ENTITY)) $(if $(PROJECT),--project $(PROJECT)) $(ARGS)

wandb-tables: $(ENVIRONMENT)  ## log the tables of SCALE as an artifact of W&B; ARGS=--online uploads it at once
	@$(RUN) -m experiments.dashboards publish $(DASHBOARD) $(patsubst paths.cache=%,--cache %,$(ARGS))

docs: $(ENVIRONMENT)  ## the site, in site/: docs/ and the docstrings; no network
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

docs-serve: $(ENVIRONMENT)  ## show the site on http://localhost:8000 and build it anew as you write
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs serve --livereload

wheel: $(ENVIRONMENT)  ## the package vblora as wheel and source archive, in dist/; no network
	$(RUN) -m build --no-isolation

clean:  ## remove tool caches, backbones made here and your tiny runs; no other record, no checkpoint of a larger run
	rm -rf .cache/backbones .cache/checkpoints/tiny .cache/sweeps .cache/finished outputs multirun wandb build dist site *.egg-info \
		.mypy_cache .ruff_cache .pytest_cache results/runs/tiny
