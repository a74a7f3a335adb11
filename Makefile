# Needs make and a Python >= 3.11; everything else is installed into $(VENV). `make help` lists the targets.
VENV ?= .venv
# Extras `make test` installs; tests of an extra that is absent skip and say so. `make test EXTRAS=dev` tests the core
# alone. Not among them: tensorflow, 1.6 GB that Keras and TFLite models do not need (EXTRAS=dev,torch,tensorflow).
EXTRAS ?= dev,torch,keras
# Passed on to pytest: make test ARGS="tests/espdl -x"
ARGS ?=
MODELS ?= $(TINSMITH_BENCH_MODELS)
DATA ?= $(TINSMITH_BENCH_DATA)

# The first Python >= 3.11 on the path; `make PYTHON=/path/to/python …` overrides.
SUITABLE := import sys; raise SystemExit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(SUITABLE)' 2>/dev/null && { echo $$p; break; }; done)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --no-input
comma := ,
TESTED := $(VENV)/.with-$(subst $(comma),-,$(EXTRAS))
OUTPUT := output

.DEFAULT_GOAL := help
.PHONY: help demo test test-full test-lowest lint format bench accuracy docs supported-operators clean

help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found. Name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON) …"
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot create a virtual environment (on Debian: apt install python3-venv)."; exit 1; }
	@touch $@

# One stamp for each set of extras, renewed when what is asked for changes.
$(VENV)/.with-%: pyproject.toml constraints.txt $(VENV)/.created
	@echo "Installing tinsmith[$(subst -,$(comma),$*)] into $(VENV) …"
	@$(PIP) -c constraints.txt -e '.[$(subst -,$(comma),$*)]'
	@touch $@

demo: $(VENV)/.with-examples  ## quantize and simulate the examples; results in output/
	@$(BIN)/python examples/digits/run.py --target esp32s3 --output $(OUTPUT)/digits-esp32s3
	@$(BIN)/python examples/digits/run.py --target esp32p4 --output $(OUTPUT)/digits-esp32p4
	@$(BIN)/python examples/sin/run.py --target esp32s3 --output $(OUTPUT)/sin-esp32s3
	@echo
	@echo "Everything is in $(CURDIR)/$(OUTPUT):"
	@ls -1 $(OUTPUT)/*/*.espdl $(OUTPUT)/*/report.html

test: $(TESTED)  ## the test suite, slow tests left out
	$(BIN)/python -m pytest -q -n auto -m "not slow" $(ARGS)

test-full: $(TESTED)  ## the test suite, slow tests included
	$(BIN)/python -m pytest -q -n auto $(ARGS)

test-lowest:  ## the test suite with the lowest dependency versions allowed, in a venv of its own
	@$(MAKE) --no-print-directory VENV=.venv-lowest .venv-lowest/.lowest
	.venv-lowest/bin/python -m pytest -q -n auto -m "not slow" $(ARGS)

$(VENV)/.lowest: pyproject.toml constraints-lowest.txt $(VENV)/.created
	@echo "Installing the lowest versions into $(VENV) …"
	@$(PIP) -c constraints-lowest.txt -e '.[dev]'
	@touch $@

lint: $(TESTED)  ## formatting, lint rules, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TESTED)  ## reformat and fix what can be fixed by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(TESTED)  ## speed beside ONNX Runtime and esp-ppq: make bench MODELS=… PEER=…
	$(BIN)/python benchmarks/bench.py $(if $(MODELS),--models $(MODELS)) $(if $(PEER),--peer-python $(PEER)) $(ARGS)

accuracy: $(TESTED)  ## accuracy on the chip, beside esp-ppq's, and its page in docs/: make accuracy DATA=… PEER=…
	@test -n "$(DATA)" || { echo "Name the folder of the networks and their data: make accuracy DATA=folder (see benchmarks/README.md)."; exit 1; }
	$(BIN)/python benchmarks/accuracy.py --data $(DATA) $(if $(PEER),--peer-python $(PEER)) --results $(OUTPUT)/accuracy --page docs/accuracy.md $(ARGS)

docs: $(VENV)/.with-docs  ## the manual, in docs/_build/html
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "The manual is in $(CURDIR)/docs/_build/html/index.html"

supported-operators: $(TESTED)  ## rewrite docs/supported-operators.md from the code
	$(BIN)/tinsmith ops --markdown > docs/supported-operators.md.part
	mv docs/supported-operators.md.part docs/supported-operators.md

clean:  ## remove what the other targets made, the environments included
	rm -rf .venv .venv-lowest build dist $(OUTPUT) docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
