# `make` alone says what there is; `make train` and `make test` are enough. Each makes .venv first and
# installs only what it needs, at the versions of requirements/lock-py3.X.txt. Another Python:
# make test PYTHON=python3.12; a virtual environment elsewhere, such as one for each Python:
# VENV=FOLDER.
PYTHON ?= python3
VENV := .venv
LATEST := .venv-latest
LOWEST := .venv-lowest
# Trainers of others that are tested for real. Each has a virtual environment of its own, the versions
# of requirements/integrations-NAME-py3.X.txt, and tests/integrations/test_NAME.py.
INTEGRATIONS := trl verl verifiers openenv
BIN := $(VENV)/bin
# Commands or paths of the Pythons whose locks `make lock` renews; empty: python3.11, python3.12, ...
PYTHONS :=

# Empty if PYTHON is no Python.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
LOCK := requirements/lock-py$(VERSION).txt
LOCKED := $(patsubst requirements/lock-py%.txt,%,$(sort $(wildcard requirements/lock-py*.txt)))
INSTALL := $(BIN)/python -m pip install --quiet --constraint $(LOCK)

# Marks a virtual environment that may be deleted.
OURS := .made-by-make

# Two targets at a time would install into one virtual environment at a time.
.NOTPARALLEL:
.PHONY: help train apps-plus prm robustness test test-latest test-lowest test-integrations test-integrations-browser \
	test-busy fuzz check docs lock clean

# Settings of a command: make train ARGS="--seed 1 --out runs/second"
ARGS :=

help:
	@echo "make train           SFT, PPO, tables and a learning curve in runs/train"
	@echo "make test            ruff, mypy --strict and all tests, on the locked versions"
	@echo "make apps-plus       PPO on the sample of CodeGen-APPSPlus-v0"
	@echo "make prm             a process reward model from end to end"
	@echo "make robustness      the main job with ten seeds and other learning rates; takes hours"
	@echo "make test-latest     the tests on the newest versions; test-lowest: on the oldest"
	@echo "make test-integrations  real trainers of others, each in an environment of its own, and a browser"
	@echo "make test-busy       the tests three times beside eight busy loops"
	@echo "make fuzz            a hundred times as many damaged reports and odd answers as make test"
	@echo "make docs            builds the site into docs/_build"
	@echo "make check           ruff, mypy, the site and its links; also: make lock clean"
	@echo 'Settings of a command: make train ARGS="--seed 1"; another Python: PYTHON=python3.12'

train: $(VENV)/.train
	$(BIN)/python -m agents.train $(ARGS)

apps-plus: $(VENV)/.train
	$(BIN)/python -m agents.apps_plus $(ARGS)

prm: $(VENV)/.train
	$(BIN)/python -m agents.prm $(ARGS)

robustness: $(VENV)/.bench
	$(BIN)/python -m benchmarks.robustness $(ARGS)

# Warnings are errors here, and only here: no release of somebody else can change these versions.
test: check
	CODEGYM_LOCKED=1 $(BIN)/python -m pytest -n 2 -W error

# Nothing in the tests may depend on how busy the machine is: three times beside eight busy loops.
test-busy: $(VENV)/.test
	CODEGYM_LOCKED=1 $(BIN)/python -m tests.busy --runs 3 --loops 8 -n 8 -W error

# More than 100,000 examples of what a program may leave, in place of more than 1,000.
fuzz: $(VENV)/.test
	CODEGYM_FUZZ_EXAMPLES=100000 $(BIN)/python -m pytest -n 2 tests/grading/test_fuzz.py

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build
	$(BIN)/python docs/links.py docs/_build

# Pages of environments, of the API and of results are made from the code and the results first.
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build
	@echo "docs/_build/index.html"

# The same on the newest versions that pyproject.toml allows today, whatever the locks say.
test-latest: $(LATEST)/.python-$(VERSION)
	$(LATEST)/bin/python -m pip install --quiet --upgrade pip
	$(LATEST)/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable ".[dev]"
	$(LATEST)/bin/python -m pytest -n 2
	$(LATEST)/bin/ruff check .
	$(LATEST)/bin/ruff format --check .
	$(LATEST)/bin/mypy

# The tests on the lowest versions that pyproject.toml allows, which exist for Python 3.11 only.
test-lowest: $(LOWEST)/.python-$(VERSION)
	$(PYTHON) requirements/lock.py --lowest > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt \
		--editable ".[dev]"
	$(LOWEST)/bin/python -m pytest -n 2

# Real trainers on the CPU. Their results are kept in benchmarks/results/integrations_NAME.json.
test-integrations: $(addprefix test-integrations-,$(INTEGRATIONS)) test-integrations-browser

test-integrations-%: .venv-%/.python-$(VERSION)
	.venv-$*/bin/python -m pip install --quiet \
		--requirement requirements/integrations-$*-py$(VERSION).txt --editable .
	.venv-$*/bin/python -m benchmarks.integrations $* $* torch transformers accelerate datasets

# The page of `codegym view` in a headless Chromium (Debian's package chromium, or $$CHROMIUM).
test-integrations-browser: $(VENV)/.test
	$(BIN)/python -m benchmarks.integrations browser

lock:
	$(PYTHON) requirements/lock.py $(PYTHONS)

clean:
	for each in $(VENV) $(LATEST) $(LOWEST) $(addprefix .venv-,$(INTEGRATIONS)); do \
		if test -e $$each/$(OURS); then rm -rf $$each; fi; done
	rm -rf runs docs/_build

$(VENV)/.train: EXTRAS := agents
$(VENV)/.bench: EXTRAS := agents,bench
$(VENV)/.docs: EXTRAS := docs
$(VENV)/.test: EXTRAS := dev
$(VENV)/.train $(VENV)/.bench $(VENV)/.docs $(VENV)/.test: $(VENV)/.build
	$(INSTALL) --no-build-isolation --editable ".[$(EXTRAS)]" || { $(MISFIT); exit 1; }
	touch $@

# The build backend comes from the lock as well, which pip's build isolation would not look into.
$(VENV)/.build: $(VENV)/.python-$(VERSION) $(LOCK) pyproject.toml
	$(INSTALL) pip hatchling editables || { $(MISFIT); exit 1; }
	touch $@

# A virtual environment that was made with another Python is made anew, if it was made here.
%/.python-$(VERSION):
	@test -n "$(VERSION)" || { echo >&2 "make: PYTHON=$(PYTHON) is no Python that runs here." \
		"Name one of $(LOCKED), as in make test PYTHON=/path/to/python."; exit 1; }
	@test -f $(LOCK) || { $(UNLOCKED); exit 1; }
	@if test -e $*/pyvenv.cfg && ! test -e $*/$(OURS); then \
		echo >&2 "make: expected no virtual environment in $*, or one that make made; this one is" \
		"somebody else's and stays as it is. Name another folder with VENV=FOLDER, or remove it."; \
		exit 1; fi
	@if test -e $*/$(OURS); then echo "$* is made anew with Python $(VERSION)"; rm -rf $*; fi
	mkdir -p $* && touch $*/$(OURS)
	$(PYTHON) -m venv $*
	touch $@

# Without this rule, make itself would complain that there is no rule to make the lock.
requirements/lock-py%.txt:
	@$(UNLOCKED); exit 1

UNLOCKED = echo >&2 "make: expected a Python with a lock file in requirements/, which is one of" \
	"$(LOCKED). PYTHON=$(PYTHON) is Python $(VERSION). Name another: make test PYTHON=python3.12"
MISFIT = echo >&2 "make: the versions of $(LOCK) could not be installed (pip tells why above)." \
	"If pyproject.toml was changed, 'make lock' renews the locks; 'make clean' starts afresh."
