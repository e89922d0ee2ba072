# The commands of the project. `make demo` and `make test` need nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROTOS := $(shell find protos -name '*.proto')
GENERATED := code_server/src

.PHONY: setup test demo bench check lint types layers protos generate pins clean

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml code_server/pyproject.toml storage/pyproject.toml host/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/dev.txt -e code_server -e storage -e host
	touch $(STAMP)

.venv-codegen/.installed: requirements/codegen.txt $(STAMP)
	$(PYTHON) -m venv .venv-codegen
	$(BIN)/uv pip install --quiet --python .venv-codegen/bin/python -r requirements/codegen.txt
	touch .venv-codegen/.installed

# Regenerate the gRPC code from protos/.
generate: .venv-codegen/.installed
	PATH="$(CURDIR)/.venv-codegen/bin:$$PATH" .venv-codegen/bin/python -m grpc_tools.protoc -I protos \
		--python_out=$(GENERATED) --grpc_python_out=$(GENERATED) \
		--mypy_out=quiet:$(GENERATED) --mypy_grpc_out=quiet:$(GENERATED) $(PROTOS)
