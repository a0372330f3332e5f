# Everything lives in .venv in this checkout; PYTHON names the interpreter that makes it.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= out

.PHONY: install demo test lint bench soak soak-of-faults soak-of-latency clean

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

soak: install  ## what the tests do for a minute, for ten: faults upon faults, and a machine that is too slow for its feed
	$(MAKE) --jobs 2 --output-sync=target soak-of-faults soak-of-latency

soak-of-faults soak-of-latency: export SOAK_SECONDS ?= 600

soak-of-faults:
	$(BIN)/python -m pytest -s tests/faults/test_soak.py

soak-of-latency:
	$(BIN)/python -m pytest -s tests/faults/test_slow_machine.py

clean:
	rm -rf .venv out build dist *.egg-info
