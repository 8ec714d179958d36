# One word for each thing that is done to this project. `make fit` and `make test` work in a fresh clone.
#
#   make setup    makes .venv and installs, once (again when pyproject.toml or constraints.txt change)
#   make fit      fits the handwritten digits; another set: make fit DATA=iris ARGS="--system mlp"
#   make tiny     the whole journey in seconds: before each commit
#   make check    ruff (lint, format), pyright
#   make test     the whole suite without what is marked slow;  make slow: that
#   make docs     writes the option tables in docs/ anew
#   make messages collects the sentences to be translated, and compiles the Korean
#   make bench    gipi and its peers on the same work (35 minutes on two idle cores; BENCH=--quick: whether all runs)
#   make bench-doctor  spoiled and sound runs: what the doctor names (ARGS="--unseen --seed 7", --remedies)
#   make clean    removes what tools leave behind; .venv and runs/ stay

VENV ?= .venv
PYTHON ?= python3
DATA ?= digits
ARGS ?=
WORKERS ?= 2
BENCH ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := bench/.venv-peers

.PHONY: setup fit test check tiny slow bench bench-doctor docs messages clean

setup: $(STAMP)

# A virtual environment that is there already is used as it is, and what it lacks is installed into it.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

fit: setup
	$(BIN)/gipi fit $(DATA) $(ARGS)

# One thread in each test process: they share the cores already.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

tiny: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_tiny.py

slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# The peers have an environment of their own, with gipi in it: theirs are many packages, and none of ours needs them.
$(PEERS)/.installed: pyproject.toml constraints.txt bench/peers.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r bench/peers.txt -e '.[export,web]'
	touch $@

bench: $(PEERS)/.installed
	set -e; for name in step predict resnet pictures tables gpt word2vec; do $(PEERS)/bin/python bench/$$name.py $(BENCH); done
	$(PEERS)/bin/python bench/table.py

bench-doctor: setup
	$(BIN)/python bench/doctor/run.py $(ARGS)

docs: setup
	$(BIN)/python docs/make.py

messages: setup
	$(BIN)/python tools/messages.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find gipi tests bench docs tools -name __pycache__ -type d -prune -exec rm -rf {} +
