# Everything lives in .venv in this checkout; PYTHON names the interpreter that makes it.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= out

.PHONY: install demo test lint bench clean

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --editable ".[cpu,dev]"
	touch $@

demo: install  ## real weights on a real video: an overlay MP4, results as JSONL and a summary in OUT
	$(BIN)/peoplestream demo --out $(OUT)

test: install  ## every test that this machine can run; those with real weights fetch them once
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install  ## how fast this machine is, stage by stage
	$(BIN)/peoplestream bench pipeline

clean:
	rm -rf .venv out build dist *.egg-info
