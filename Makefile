# Two commands to know: `make run` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
FILE   ?=
SEEDS  ?= 20
FIRST  ?= 100
SEED   ?= 1
FOLDER ?=
IMAGES ?=
ONLY   ?=
STEPS  ?= 100000
PARTS  ?=
# the rehearsal need not wait for the cautious default of 600 requests a minute
REHEARSAL_RATE := 6000

# the oldest Python, and each platform that there is
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --constraint constraints.txt \
	--generate-hashes --no-annotate --custom-compile-command 'make lock'

# compiled anew in each process, the tests would take a minute of CPU more
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help run test test-fast check unit promises chaos simulate soak containers units pythons bench lock docs flower clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(VENV)/.installed ## Rehearse the example; with FILE=patches.csv and OPENAI_API_KEY, the real thing
ifeq ($(FILE),)
	@RELABEL_RATE__PER_MINUTE=$(REHEARSAL_RATE) $(BIN)/relabel run --sandbox examples/relabel.csv
else
	@$(BIN)/relabel run "$(FILE)"
endif

test: check unit ## Lint, types and the tests

test-fast: $(VENV)/.installed-dev ## The tests without whole process trees, for the inner loop
	$(BIN)/pytest -n 4 --dist worksteal --quick

check: $(VENV)/.installed-dev ## Lint, import contracts and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -n 6 --dist worksteal

chaos: $(VENV)/.installed-dev ## Kill everything at random; SEEDS=20 FIRST=100
	$(BIN)/python -m tests.faults.chaos --seeds $(SEEDS) --first $(FIRST)

simulate: $(VENV)/.installed-dev ## Simulate disasters of the ledger; SEED=1 STEPS=100000
	$(BIN)/python -m tests.simulation.run --seed $(SEED) --steps $(STEPS)

promises: $(VENV)/.installed-dev ## The promises at full scale, which CI runs after the tests
	$(BIN)/pytest -n 4 --dist worksteal -m promise

soak: $(VENV)/.installed-dev ## What takes longest: promises, long outages, 1,000 examples of each property
	HYPOTHESIS_PROFILE=soak $(BIN)/pytest -n 4 --dist worksteal -m "promise or slow or hypothesis"

bench: $(VENV)/.installed-bench ## Measure into bench/RESULTS.md what relabel costs, beside its peers (an hour); PARTS=cost
	$(BIN)/python -W ignore -m bench --write $(PARTS)
	$(BIN)/python -m docs.generate

containers: $(VENV)/.installed-dev ## The operations with a real container engine (root); FOLDER=kept IMAGES=archives
	$(BIN)/python -W ignore -m tests.containers $(if $(FOLDER),--folder $(FOLDER)) $(if $(IMAGES),--images $(IMAGES))

units: $(VENV)/.installed-dev ## The operations on a machine with systemd (root); FOLDER=kept
	$(BIN)/python -W ignore -m tests.units $(if $(FOLDER),--folder $(FOLDER))

pythons: $(VENV)/.installed-dev $(VENV)/bin/uv ## The quick tests on Python 3.11 to 3.14, with oldest and newest libraries; ONLY=3.13-pinned
	$(BIN)/python -m tests.pythons $(if $(FOLDER),--folder $(FOLDER)) $(if $(ONLY),--only $(ONLY))


lock: $(VENV)/bin/uv ## Pin what the image is built of, with hashes, after a change of pyproject.toml or constraints.txt
	$(LOCK) pyproject.toml --extra flower --extra web --output-file deploy/requirements.txt
	$(LOCK) --group build --output-file deploy/build-requirements.txt
	$(LOCK) --group sbom --output-file deploy/sbom-requirements.txt

docs: $(VENV)/.installed-docs ## Build the docs as a site in docs/_site
	$(BIN)/python -m docs.generate
	$(BIN)/sphinx-build -q -E -W --keep-going -c docs . docs/_site

flower: $(VENV)/.installed-flower ## Watch workers and shards in a browser, on http://127.0.0.1:5555
	@$(BIN)/celery -A tasks.app flower

clean: ## Remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "relabel needs Python 3.11 or newer; name one with: make run PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-flower: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[flower]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-flower

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-flower $(VENV)/.installed-dev

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-flower $(VENV)/.installed-dev

$(VENV)/bin/uv: constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@touch $@
