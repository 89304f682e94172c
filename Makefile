# make setup    create the development environment .venv-dev (the launcher uses .venv)
# make test     run all tests that need no PyTorch; downloads the demo model from the package registry,
#               and needs Chromium or Chrome (installed by apt-get if you are root)
# make check    format, lint, types, layers, unit tests, and the size of what the launcher installs
# make parity   compute the goldens again with transformers, in .venv-parity, and compare
# make fuzz     run mutated input files (SECONDS=60 SEED=0); failures are saved in tests/fuzz/corpus
# make fuzz-configs  compare changed configurations with transformers (COUNT=1000 SEED=0)
# make fuzz-api  ask the real server what its OpenAPI description allows, and more (EXAMPLES=50 SEED=0)
# make bench    run the benchmarks; writes bench/RESULTS.md
# make chaos    kill -9, full disks and read errors (KILLS=1000 SEED=0); writes chaos.json
.PHONY: setup browser test check parity fuzz fuzz-replay fuzz-configs fuzz-api chaos bench clean

PYTHON ?= python3
DEV := .venv-dev
PARITY := .venv-parity
KILLS ?= 1000
JOBS ?= 2
INSTALL := -m pip install --quiet --disable-pip-version-check
GROUPS := 'pip>=25.1'  # the first that knows dependency groups

setup: $(DEV)/made

$(DEV)/made: pyproject.toml constraints.txt
	rm -rf $(DEV)
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python $(INSTALL) $(GROUPS)
	$(DEV)/bin/python $(INSTALL) -c constraints.txt --group dev -e .
	touch $@

$(PARITY)/made: pyproject.toml
	rm -rf $(PARITY)
	$(PYTHON) -m venv $(PARITY)
	$(PARITY)/bin/python $(INSTALL) $(GROUPS)
	$(PARITY)/bin/python $(INSTALL) --group parity
	touch $@

# The Chromium of the tests of the page.
browser: setup
	PYTHONPATH=tests $(DEV)/bin/python -m page.browser

test: setup browser
	$(DEV)/bin/python -m pytest -q -n $(JOBS) --dist worksteal

check: setup
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports
	$(DEV)/bin/python -m pytest -q -n $(JOBS) tests/unit
	./litert-lm-cli --version
	$(DEV)/bin/python bench/install_size.py .venv

parity: $(PARITY)/made
	for script in tests/*/make_*goldens.py; do \
	  PYTHONPATH=src:tests $(PARITY)/bin/python $$script --check || exit 1; \
	done
	$(COMPARE) --replay
	$(COMPARE) --count 200

COMPARE := PYTHONPATH=src:tests $(PARITY)/bin/python -m fuzz.compare_configs
SECONDS ?= 60
SEED ?= 0
COUNT ?= 1000

fuzz: setup
	PYTHONPATH=src:tests $(DEV)/bin/python -m fuzz.campaign --seconds $(SECONDS) --seed $(SEED) \
	  --json fuzz-$(SEED).json

# All stored inputs again; UPDATE=1 corrects the entries after a fix.
fuzz-replay: setup
	PYTHONPATH=src:tests $(DEV)/bin/python -m fuzz.campaign --replay $(if $(UPDATE),--update)

# Changed configurations against transformers: COUNT of them.
fuzz-configs: $(PARITY)/made
	$(COMPARE) --count $(COUNT) --seed $(SEED) --store tests/fuzz/configs \
	  --json fuzz-configs-$(SEED).json

# Requests that schemathesis derives from the server's OpenAPI description: valid and invalid ones.
EXAMPLES ?= 50
fuzz-api: setup
	PYTHONPATH=src:tests $(DEV)/bin/python -m server.openapi_run --examples $(EXAMPLES) --seed $(SEED)

bench: setup
	$(DEV)/bin/python bench/run.py

chaos: setup
	PYTHONPATH=src:tests $(DEV)/bin/python -m chaos all --kills $(KILLS) --seed $(SEED) --json chaos.json

clean:
	rm -rf $(DEV) $(PARITY) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
