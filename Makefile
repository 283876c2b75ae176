# Everything a developer runs. Needs python3 (3.11 or later) and make; each target makes its own .venv when there is none.

PYTHON ?= python3
WORKERS ?= 2
TRIES ?= 20
MINUTES ?= 5
VENV := .venv
BIN := $(VENV)/bin
DEV := $(VENV)/.installed-dev
DOCS := $(VENV)/.installed-docs
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# One thread per process: the workers are the parallelism, and sums come out the same on every machine.
SINGLE := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
# loadfile keeps a file's tests in one worker, so that a model fitted for a file is fitted once.
PYTEST := $(SINGLE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

EXAMPLES := $(sort $(wildcard examples/*.py))
BENCHMARKS := $(sort $(wildcard benchmarks/bench_*.py))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-learning test-kill test-pages fuzz test-report lint examples bench bench-quick bench-page docs notebook dist clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(DEV) ## the whole loop on the embedded shop log: runs/demo/report.html
	$(BIN)/rlrec demo --out runs/demo

test: $(DEV) ## every test but the slow ones that train
	$(PYTEST) -m "not learning and not pages"

test-learning: $(DEV) ## the tests that train something for more than a few seconds
	$(PYTEST) -m learning

test-kill: $(DEV) ## kill, fill, lock and double every long verb TRIES times (20), and write the table into the docs
	$(SINGLE) PYTHONPATH=. $(BIN)/python tests/kill/ordeal.py --tries $(TRIES) --page

test-pages: $(DEV) ## every command of the documentation, as it stands there (long)
	$(SINGLE) $(BIN)/python -m pytest -m pages --durations=0 tests/test_pages_run.py

fuzz: $(DEV) ## random and mutated files into every reader and loader for MINUTES (5)
	$(SINGLE) PYTHONPATH=. $(BIN)/python -W ignore tests/hostile/fuzz.py --minutes $(MINUTES)

test-report: $(DEV) build/axe/node_modules ## the report in Chromium, with axe-core from npm (needs npm and chromium)
	$(SINGLE) $(BIN)/python -m pytest tests/evaluation/test_report_in_browser.py

lint: $(DEV) ## style, format, types, and the one-way order of the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

examples: $(DEV) ## run every file in examples/ small
	@set -e; for example in $(EXAMPLES); do echo "== $$example"; $(SINGLE) $(BIN)/python "$$example" --quick; done

bench: $(DEV) ## run every benchmark; records go to benchmarks/results/
	@set -e; for bench in $(BENCHMARKS); do echo "== $$bench"; $(BIN)/python "$$bench" --out benchmarks/results; done

bench-quick: $(DEV) ## run every benchmark small, to see that it runs; nothing is recorded
	@set -e; for bench in $(BENCHMARKS); do echo "== $$bench"; $(BIN)/python "$$bench" --quick; done

bench-page: $(DEV) ## write docs/benchmarks.md from benchmarks/results/
	$(BIN)/python benchmarks/page.py

docs: $(DOCS) bench-page ## build the documentation into site/, any warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

notebook: $(DEV) ## run examples/quickstart.py as a notebook and a page of the docs (installs nbclient and ipykernel)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check nbclient ipykernel
	$(SINGLE) $(BIN)/python docs/make_notebook.py

dist: $(DEV) ## build sdist and wheel twice, and see that the bytes are the same
	rm -rf dist build/again
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --outdir dist .
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --outdir build/again .
	cmp dist/*.whl build/again/*.whl && cmp dist/*.tar.gz build/again/*.tar.gz && ls -l dist

clean: ## remove what was built and cached; .venv and runs/ stay
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find rlrec tests -type d -name __pycache__ -prune -exec rm -rf {} +

build/axe/node_modules:
	npm install --silent --no-audit --no-fund --prefix build/axe axe-core@4

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@

$(DOCS): $(DEV)
	$(PIP_INSTALL) -e '.[dev,docs]'
	@touch $@
