# `make` alone lists what there is. Everything runs from .venv, which `make setup` makes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
BOOTSTRAP := local/bootstrap.txt
UV_VERSION := $(shell sed -nE 's/^uv==([^ ]+).*/\1/p' $(BOOTSTRAP))
READY := $(VENV)/ready

# sam looks for the runtime's Python on the path.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export SAM_CLI_TELEMETRY ?= 0

# The section of samconfig.toml that `make deploy` uses; it names a stack once its questions were answered.
ENV ?= default
DEPLOYED = $(shell sed -n '/^\[$(ENV)\.deploy\.parameters\]/,/^\[/{/^stack_name/p;}' samconfig.toml)
FIRST_NAME = voice-gateway$(if $(filter-out default,$(ENV)),-$(ENV))
quoted = '$(subst ','\'',$(1))'
upper = $(shell printf '%s' '$(1)' | tr '[:lower:]' '[:upper:]')
VENDORS = $(patsubst functions/callback_%/,%,$(wildcard functions/callback_*/))
option = $(if $($(2)),--$(1) $(call quoted,$($(2))))

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  \033[1m%-10s\033[0m %s\n' "$$name" "$$text"; done

# Working on it

.PHONY: setup
setup: $(READY) ## Make .venv with everything needed; quick where nothing changed
	@:

$(READY): pyproject.toml uv.lock layers/gateway/pyproject.toml cli/pyproject.toml client/pyproject.toml .python-version $(BOOTSTRAP)
	@echo 'making $(VENV), with everything that is needed'
	@is_313() { "$$@" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' > /dev/null 2>&1; }; \
	if ! is_313 $(BIN)/python; then \
		rm -rf $(VENV); \
		if is_313 python3.13; then python3.13 -m venv $(VENV); \
		elif is_313 python3; then python3 -m venv $(VENV); \
		elif command -v uv > /dev/null && uv python find --no-config 3.13 > /dev/null 2>&1; then \
			uv venv --quiet --no-config --seed --python 3.13 $(VENV); \
		else \
			echo 'Python 3.13 is needed, as python3.13 or python3 on the path, or in pyenv or uv.' >&2; exit 1; \
		fi; \
	fi
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(BIN)/python -m ensurepip > /dev/null
	@$(BIN)/uv --version 2> /dev/null | grep -q '^uv $(UV_VERSION)\b' \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(BOOTSTRAP)
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --locked
	@touch $@

.PHONY: demo
demo: $(READY) ## Show the whole gateway at work on this machine, in about a minute
	@$(BIN)/python -m local demo

.PHONY: test
test: $(READY) ## Run all tests, the local stack included
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: check
check: $(READY) ## Check format, style, types, layering and template, with checkov and serverless rules; writes nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy layers/gateway/src cli/src client/src functions local tests examples
	$(BIN)/mypy --python-version 3.10 client/src
	$(BIN)/lint-imports
	$(BIN)/python -m tests.structure
	$(BIN)/cfn-lint
	$(BIN)/cfn-lint examples/*/template.yaml
	$(BIN)/sam validate --lint --region us-east-1
	$(BIN)/python -m tests.scanners template

.PHONY: audit
audit: $(READY) ## Ask PyPI's database for vulnerabilities of all that is pinned; fails where it does not answer
	@$(BIN)/python -m tests.scanners audit

.PHONY: faults
faults: $(READY) ## Attack the gateway for half an hour, and print what came of it: SEED=
	@$(BIN)/python -m tests.faults $(call option,seed,SEED)

.PHONY: scale
scale: $(READY) ## See what volume is reached, in virtual time and on the local stack, in some minutes: docs/scale.md
	@$(BIN)/python -m tests.scale

.PHONY: format
format: $(READY) ## Put code into its format, and mend what can be mended without asking
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: bench
bench: $(READY) ## Measure cold starts, warm CPU, requests and size beside others' code; deadlines kept and memory held
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.faults.wire

.PHONY: deps
deps: $(READY) ## Pin anew what layer, local AWS server and scanners are made of; list the licences
	$(BIN)/uv lock
	$(BIN)/uv export --quiet --frozen --package voice-gateway --no-dev --no-emit-workspace --no-header \
		--format requirements-txt --output-file layers/dependencies/requirements.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version=3.13 \
		--output-file=local/requirements.txt local/requirements.in
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version=3.13 \
		--output-file=tests/scanners/requirements.txt tests/scanners/requirements.in
	UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --locked
	$(BIN)/python -m local.dependencies list

.PHONY: docs
docs: $(READY) ## Make a site of the pages in docs/, to be read from disk or any web server; fails where a link leads nowhere
	@UV_PROJECT_ENVIRONMENT=.local/docs $(BIN)/uv sync --quiet --locked --only-group docs --python $(BIN)/python --compile-bytecode
	@NO_MKDOCS_2_WARNING=1 .local/docs/bin/mkdocs build
	@echo 'The site is in .local/site; open .local/site/index.html.'

# The local stack

.PHONY: upgrade
upgrade: $(READY) ## Upgrade a local stack from another commit to this one under traffic, and roll it back: FROM=
	@$(BIN)/python -m local upgrade $(call option,from,FROM)

.PHONY: up
up: $(READY) ## Start the stack in the background: PORT=, <VENDOR>_ENDPOINT=, JUMDATA_HOURS=, PARAMETERS="Name=Value …"
	@$(BIN)/python -m local up $(call option,port,PORT) $(call option,jumdata-hours,JUMDATA_HOURS) \
		$(foreach vendor,$(VENDORS),$(call option,$(vendor)-endpoint,$(call upper,$(vendor))_ENDPOINT)) $(PARAMETERS)

.PHONY: down
down: $(READY) ## Stop it, and leave nothing behind
	@$(BIN)/python -m local down

# An AWS account

.PHONY: build
build: $(READY) ## Build functions and layers for Lambda, with a bill of materials
	$(BIN)/sam build
	$(BIN)/python -m local.dependencies bom .aws-sam/build

.PHONY: dist
dist: build ## Build what a release holds into dist/: the gateway ready to deploy, wheels, bill of materials, checksums
	@$(BIN)/python -m local.release dist

.PHONY: deploy
deploy: build ## Deploy to your AWS account; asks for what it needs the first time: ENV=staging, ENV=production
	@sed -i.bak -E "s/^( *RELEASE:).*/\1 '$$(date -u +%Y-%m-%dT%H:%M:%SZ)'/" .aws-sam/build/template.yaml
	@$(BIN)/python -m local.account $(call quoted,$(ENV))
	@$(if $(DEPLOYED),,echo 'The first time sam asks for everything; Enter takes what is in brackets. Think about these: the stack name;' && \
		echo 'AlarmEmail; VendorOrder, if you have one vendor only; CallbackMode poll in China without an ICP licence;' && \
		echo 'ApiGatewayLogRole existing, if your APIs have access logs already. Save the answers in samconfig.toml.')
	$(BIN)/sam deploy --config-env $(call quoted,$(ENV)) $(if $(DEPLOYED),,--guided --stack-name $(call quoted,$(FIRST_NAME)))
	@echo 'Next: fill in the secrets, register the address that `make address STACK=…` prints with its vendor, `make smoke STACK=…`.'

.PHONY: smoke
smoke: $(READY) ## Check a deployed stack from end to end, and ring no phone: STACK=
	@$(BIN)/voice-gateway smoke $(call option,stack,STACK)

.PHONY: address
address: $(READY) ## Print the address to register in the vendor's console: STACK=
	@$(BIN)/voice-gateway address $(call option,stack,STACK)

.PHONY: templates
templates: $(READY) ## Check a file of text templates and push it to the catalogue: FILE=, STACK=
	@$(BIN)/voice-gateway templates push $(call option,stack,STACK) $(call quoted,$(FILE))
