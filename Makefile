# Each target prepares what it needs on a fresh Debian 12 with Python, gcc and make.
#
#   make build                  .venv with the package and its extensions
#   make demo [DEVICES=200] [SEED=1]
#   make test                   everything a change has to pass
#   make fuzz [MUTANTS=100000] [SEED=…] [SECONDS_EACH=60]
#   make coverage               of the trust core: every line, every branch
#   make mutants [EACH=120]     of the trust core: nine of ten have to be noticed
#   make sanitize               all tests, with address and undefined sanitizers
#   make lint  make bench  make clean

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

DEVICES ?= 200
SEED ?=
MUTANTS ?= 100000
SECONDS_EACH ?= 60

VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(wildcard _native/*.pyx _native/*.pxi _native/*.pxd)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: build demo test fuzz coverage mutants sanitize bench lint compiled clean

build: $(VENV)/.built

# The package is installed editable, so that what is run is what is read here; sdist and wheel
# are installed for real by tests/packaging.
$(VENV)/.built: pyproject.toml setup.py $(NATIVE) | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	$(BIN)/registrar --version
	touch $@

$(VENV)/.created:
	python=$$(.ci/prepare) && { $(BIN)/python -m pip --version >/dev/null 2>&1 || "$$python" -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet 'setuptools>=77' 'cython>=3.1'
	touch $@

$(VENV)/.developing: pyproject.toml $(VENV)/.built
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[dev]'
	touch $@

demo: build
	$(BIN)/registrar demo --devices $(DEVICES) $(if $(SEED),--seed $(SEED))

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

compiled: build
	$(BIN)/python -c 'from registrar.native import missing_extensions as m; raise SystemExit(f"not compiled: {m()}" if m() else 0)'

# The Python bodies first, so that the closing line is that of the full, compiled run.
# Slow tests run whole enrolments, which the fast ones cover room by room for both bodies; those of
# the wire (foreign peers, attackers, F13, F14) run with both.
WIRE_TESTS := tests/ua tests/wire \
	$(addprefix tests/scenarios/test_,cut_anywhere.py endpoint_elsewhere.py)

test: lint compiled
	REGISTRAR_PURE=1 $(BIN)/python -m pytest -m 'not slow'
	REGISTRAR_PURE=1 $(BIN)/python -m pytest -m slow $(WIRE_TESTS)
	$(BIN)/python -m pytest

# Both bodies, as each runs lines that the other replaces.
TRUST_CORE := verify jws strict_json ticket_json ticket valid_ticket signatures certificate crl trust \
	issuers path validation identity match der usage scope names name_constraints revoked ticket_batch \
	ticket_snapshot
COMMA := ,
MEASURED := --include=$(subst $() ,$(COMMA),$(TRUST_CORE:%=registrar/core/%.py) registrar/onboarding/matching.py)
TRUST_TESTS := tests/core tests/onboarding/test_matching.py

coverage: $(VENV)/.developing compiled
	$(BIN)/coverage erase
	$(BIN)/coverage run --branch $(MEASURED) -m pytest $(TRUST_TESTS)
	REGISTRAR_PURE=1 $(BIN)/coverage run --append --branch $(MEASURED) -m pytest $(TRUST_TESTS)
	$(BIN)/coverage report --show-missing --fail-under=100

# EACH draws so many of every module, by SEED; all of them take two hours on two cores.
mutants: $(VENV)/.developing compiled
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[mutation]'
	$(BIN)/python -m tests.mutation $(if $(EACH),--each $(EACH)) $(if $(SEED),--seed $(SEED))

# The guided search needs atheris, which has no wheel for every Python.
fuzz: $(VENV)/.developing compiled
	$(BIN)/python -m tests.fuzz --mutants $(MUTANTS) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.fuzz.wire --mutants $(MUTANTS) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[fuzz]' || echo 'no atheris: no guided search'
	if $(BIN)/python -c 'import atheris' 2>/dev/null; then \
		for target in json jws der chunks decoder server client secured-server secured-client; do \
			$(BIN)/python -m tests.fuzz.guided $$target --seconds $(SECONDS_EACH); \
		done; \
	fi

# A copy of the package whose extensions stop at the first report, under the whole suite. Python itself
# leaks at its end by design, so leaks are left to the large run of fuzz, which watches the size of
# the process.
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g
SANITIZED := build/sanitize

sanitize: $(VENV)/.developing
	rm -rf $(SANITIZED)
	CFLAGS='$(SANITIZERS)' LDFLAGS='$(SANITIZERS)' $(BIN)/python setup.py --quiet build \
		--build-base $(SANITIZED) --build-lib $(SANITIZED)/lib
	@echo 'built with $(SANITIZERS); running all tests'
	export LD_PRELOAD=$$(gcc -print-file-name=libasan.so) PYTHONMALLOC=malloc PYTHONSAFEPATH=1 \
		PYTHONPATH=$(CURDIR)/$(SANITIZED)/lib:$(CURDIR) \
		ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1; \
	$(BIN)/python -c 'from registrar import native; import registrar._native.signatures as s; \
		print("sanitized:", s.__file__); raise SystemExit(bool(native.missing_extensions()))'; \
	$(BIN)/python -m pytest -p no:cacheprovider

bench: build
	$(BIN)/python -m benchmarks.signatures
	$(BIN)/python -m benchmarks.tickets
	$(BIN)/python -m benchmarks.imports
	$(BIN)/python -m benchmarks.matching
	$(BIN)/python -m benchmarks.channel
	$(BIN)/python -m benchmarks.campaign --devices 500

clean:
	rm -rf $(VENV) build dist mutants *.egg-info _native/*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
