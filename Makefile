# Every target works on a fresh machine by itself: it creates $(VENV), installs and runs. A second call reuses it.
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
PIP := $(BIN)/python -m pip --disable-pip-version-check
CODE := latentvla_agent tests $(wildcard hydra_plugins)

# Fixtures of a file are made once: its tests stay on one core.
PARALLEL := -n auto --dist loadfile

# Options of eval-navsim: only those given reach the command, which knows the defaults.
comma := ,
AGENTS ?= $(AGENT)
EVAL_OPTIONS = \
	$(if $(DATA),--data "$(DATA)") \
	$(if $(MAPS),--maps "$(MAPS)") \
	$(if $(SPLIT),--split "$(SPLIT)") \
	$(foreach agent,$(subst $(comma), ,$(AGENTS)),--agent "$(agent)") \
	$(if $(METRIC),--metric "$(METRIC)") \
	$(if $(SCORER),--scorer "$(SCORER)") \
	$(if $(WORKERS),--workers "$(WORKERS)") \
	$(if $(DEVKIT_PYTHON),--devkit-python "$(DEVKIT_PYTHON)") \
	$(if $(DEVKIT_ROOT),--devkit-root "$(DEVKIT_ROOT)") \
	$(if $(NUPLAN_ROOT),--nuplan-root "$(NUPLAN_ROOT)") \
	$(if $(OUT),--out "$(OUT)")

# Options of eval-nuscenes, which needs DATA, AGENTS and OUT.
NUSCENES_OPTIONS = \
	$(if $(DATA),--data "$(DATA)") \
	$(if $(VERSION),--version "$(VERSION)") \
	$(if $(SPLIT),--split "$(SPLIT)") \
	$(foreach agent,$(subst $(comma), ,$(AGENTS)),--agent "$(agent)") \
	$(if $(WORKERS),--workers "$(WORKERS)") \
	$(if $(OUT),--out "$(OUT)")

# Options of bench. DEVKIT_ROOTS names one devkit of v1.1, one of v2.2, or both with a comma.
BENCH_OPTIONS = --out "$(or $(OUT),runs/bench)" \
	$(if $(DATA),--data "$(DATA)") \
	$(if $(MAPS),--maps "$(MAPS)") \
	$(if $(SPLIT),--split "$(SPLIT)") \
	$(if $(TRAJECTORIES),--trajectories "$(TRAJECTORIES)") \
	$(if $(DEVKIT_PYTHON),--devkit-python "$(DEVKIT_PYTHON)") \
	$(foreach root,$(subst $(comma), ,$(DEVKIT_ROOTS)),--devkit-root "$(root)") \
	$(if $(NUPLAN_ROOT),--nuplan-root "$(NUPLAN_ROOT)")

# What train-planners trains.
SEEDS ?= 0
PLANNERS ?= ipad-tiny ipad-blind-tiny transfuser-tiny transfuser-blind-tiny ego-status-mlp

make_worlds = $(foreach split,$(1),$(BIN)/latentvla world make --split $(split) &&) true
render = $(BIN)/latentvla world render --split $(1) $(addprefix --sensor ,$(2)) --frames $(3)

# All that the planners look at. Rendered ahead, so that no two stages render the same.
PLANNER_SENSORS := cam_f0 cam_l0 cam_r0 cam_b0 lidar_pc

# How many stages train runs at once, each on its share of the cores.
JOBS ?= 2
SHARE = $(shell $(BIN)/python -c "from latentvla_agent.evaluation.provenance import count_cores; print(max(1, count_cores() // $(JOBS)))")
ON_SHARE = $(foreach share,$(SHARE),--set threads=$(share) --set workers=$(share))

.DEFAULT_GOAL := help
.PHONY: help install eval-navsim eval-nuscenes train train-planners bench test test-fast test-all test-navsim lint types compat format clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  eval-navsim takes DATA SPLIT AGENTS METRIC SCORER WORKERS OUT MAPS, all optional, for example"
	@echo "    make eval-navsim DATA=/data/openscene SPLIT=navtest AGENTS=human,constant_velocity OUT=runs/first"
	@echo "  with NAVSIM's devkit also DEVKIT_PYTHON DEVKIT_ROOT NUPLAN_ROOT, or its own environment variables: docs/navsim.md"
	@echo "  bench takes OUT DATA MAPS SPLIT TRAJECTORIES, and DEVKIT_PYTHON DEVKIT_ROOTS NUPLAN_ROOT for a comparison"
	@echo "  Another interpreter: make install PYTHON=python3.12 (3.9 or newer), before the first other target"

install: $(STAMP)  ## Create .venv and install this package with its development tools

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null \
		|| { echo "PYTHON=$(PYTHON) is not a Python 3.9 or newer; name one, as in: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -q -e ".[dev]"
	@touch $@

eval-navsim: $(STAMP)  ## Score agents and print the table: minitown-val, or your data (variables below)
	$(strip $(BIN)/latentvla eval $(EVAL_OPTIONS))

eval-nuscenes: $(STAMP)  ## Evaluate agents on nuScenes: DATA AGENTS OUT, maybe VERSION SPLIT WORKERS
	$(strip $(BIN)/latentvla eval-nuscenes $(NUSCENES_OPTIONS))

train-planners: $(STAMP)  ## Train the tiny planners and their blind controls on minitown-train, SEEDS=0 (resumable)
	$(call make_worlds,minitown-train minitown-dev)
	$(foreach seed,$(SEEDS),$(foreach config,$(PLANNERS),\
		$(BIN)/latentvla train planner --config $(config) --seed $(seed) &&)) true

train: $(STAMP)  ## The whole chain, seed 0, JOBS=2 stages side by side: planners to fused planners (resumable)
	$(call make_worlds,minitown-train minitown-dev minitown-unlabelled)
	$(call render,minitown-unlabelled,cam_f0,window)
	$(call render,minitown-dev,cam_f0,window)
	$(call render,minitown-dev,$(PLANNER_SENSORS),current)
	$(call render,minitown-train,$(PLANNER_SENSORS),current)
	$(MAKE) -j$(JOBS) $(addprefix train-,latentvla-tiny latentvla-transfuser-tiny)

# Stages of train. Two on one core each are through earlier than one after the other on both.
CODE_STAGES := train-latent-actions train-teacher
STUDENT_STAGES := train-distillation-tiny train-distillation-transfuser-tiny
PLANNER_STAGES := train-ipad-tiny train-transfuser-tiny train-latentvla-tiny train-latentvla-transfuser-tiny
.PHONY: $(CODE_STAGES) $(STUDENT_STAGES) $(PLANNER_STAGES)
$(CODE_STAGES): train-%: $(STAMP)
	$(BIN)/latentvla train $* $(ON_SHARE)
$(STUDENT_STAGES): train-%: $(STAMP)
	$(BIN)/latentvla train distill --config $* $(ON_SHARE)
$(PLANNER_STAGES): train-%: $(STAMP)
	$(BIN)/latentvla train planner --config $* $(ON_SHARE)
train-teacher: train-latent-actions
train-distillation-tiny: train-teacher train-ipad-tiny
train-distillation-transfuser-tiny: train-teacher train-transfuser-tiny
train-latentvla-tiny: train-distillation-tiny
train-latentvla-transfuser-tiny: train-distillation-transfuser-tiny

bench: $(STAMP)  ## Measure the scorer on one core, beside a devkit where one is named (variables below)
	$(strip $(BIN)/latentvla bench $(BENCH_OPTIONS))

test: lint types compat test-fast  ## Lint, types, Python 3.9 compatibility, import rules, fast tests

test-fast: $(STAMP)  ## The fast tests alone
	$(BIN)/python -m pytest -q $(PARALLEL) -m "not slow and not navsim"

test-all: $(STAMP)  ## All tests, the slow ones too
	$(BIN)/python -m pytest -q $(PARALLEL) -m "not navsim"

test-navsim: $(STAMP)  ## Tests against a real devkit: NAVSIM_PYTHON, NAVSIM_DEVKIT_ROOT, NUPLAN_DEVKIT_ROOT
	$(BIN)/python -m pytest -q -m navsim

lint: $(STAMP)  ## flake8, isort, black
	$(BIN)/python -m flake8 $(CODE)
	$(BIN)/python -m isort --check --quiet $(CODE)
	$(BIN)/python -m black --line-length 120 --check --quiet $(CODE) \
		|| { echo "black would change files: make format" >&2; exit 1; }

types: $(STAMP)  ## mypy
	$(BIN)/python -m mypy latentvla_agent

compat: $(STAMP)  ## Python 3.9 compatibility of the rooms that run inside NAVSIM
	$(BIN)/python -m pytest -q tests/test_compatibility.py

format: $(STAMP)  ## Let isort and black rewrite the code
	$(BIN)/python -m isort --quiet $(CODE)
	$(BIN)/python -m black --line-length 120 --quiet $(CODE)

clean:  ## Remove caches and build outputs (.venv and runs/ stay)
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .hypothesis
	find latentvla_agent tests -name __pycache__ -type d -prune -exec rm -rf {} +
