# Everything lives in .venv in this checkout; PYTHON names the interpreter that makes it.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= out

.PHONY: install demo test lint bench rtx-check soak soak-of-faults soak-of-latency clean

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

# QUICK=1: a little of everything, in OUT, to see that it works. PEERS=1: others beside us as well, in environments of their own.
BENCH_FOLDER := $(if $(QUICK),$(OUT)/bench/results,benchmarks/results)
bench: install  ## how fast this machine is: JSON in benchmarks/results, tables and plots in docs/performance.md
	$(BIN)/python -m benchmarks.run $(if $(QUICK),--quick) $(if $(PEERS),--peers) --results $(BENCH_FOLDER)
	$(BIN)/python -m benchmarks.report --results $(BENCH_FOLDER) $(if $(QUICK),--to $(OUT)/bench/performance.md)

soak: install  ## what the tests do for a minute, for ten: faults upon faults, and a machine that is too slow for its feed
	$(MAKE) --jobs 2 --output-sync=target soak-of-faults soak-of-latency

soak-of-faults soak-of-latency: export SOAK_SECONDS ?= 600

soak-of-faults:
	$(BIN)/python -m pytest -s tests/faults/test_soak.py

soak-of-latency:
	$(BIN)/python -m pytest -s tests/faults/test_slow_machine.py

# An environment of its own, 1.7 GB: TensorRT-RTX and TensorRT cannot be installed together.
rtx-check: .venv-rtx/installed  ## whether the default networks convert to TensorRT-RTX and build engines; needs no GPU
	.venv-rtx/bin/python -m benchmarks.rtx_check

.venv-rtx/installed: pyproject.toml
	$(PYTHON) -m venv .venv-rtx
	.venv-rtx/bin/python -m pip install --quiet --upgrade "pip>=24"
	.venv-rtx/bin/python -m pip install --quiet --editable ".[tensorrt-rtx]"
	touch $@

clean:
	rm -rf .venv .venv-rtx out build dist *.egg-info
