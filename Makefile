# Each target sets up what it needs in .venv; only Python 3.11 or newer, git and make are required.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-fast check format clean

demo: .venv/.ready
	$(BIN)/wsol demo

test: .venv/.ready  ## everything, whole pipelines included
	$(BIN)/pytest -q -n 2 --dist loadfile
	$(BIN)/pytest -q -m pipeline -n 2 --dist loadfile --no-loadscope-reorder --durations 20

test-fast: .venv/.ready
	$(BIN)/pytest -q -n 2 --dist loadfile

check: .venv/.ready  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv wsol-demo
