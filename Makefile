# Two commands do all the set-up: `make repro` runs the pipeline, `make test` runs the tests.
PYTHON ?= python3
JOBS   ?= auto
BIN    := .venv/bin
# Stages must find this environment's python, and queue workers its dvc.
export PATH := $(CURDIR)/$(BIN):$(PATH)
ENV    := $(BIN)/.installed

.PHONY: repro test setup lint lock clean
repro: $(ENV)
	@hw2 repro --jobs $(JOBS)

# A file of tests stays in one process, so that what its tests share is made once.
test: $(ENV)
	@python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not browser"

setup: $(ENV)

lint: $(ENV)
	ruff check .
	ruff format --check .
	mypy
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

lock: $(ENV)
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" -o requirements.txt

clean:
	rm -rf .venv build *.egg-info runs .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(ENV): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hw2core needs Python 3.11 or newer; name one with PYTHON=, e.g. make repro PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@
