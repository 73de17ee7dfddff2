# Everything a developer does with ARPilot. `make` alone lists it.
PYTHON := .venv/bin/python
COMPOSE := docker compose --project-directory deploy -f deploy/compose.yaml
LOCK := .venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header -q

# One worker where a broker is given, since the services' queues have fixed names; else each worker starts its own.
WORKERS := $(if $(ARPILOT_TEST_AMQP_URL),1,2)

# Start from compiled files the second time, also where the environment asks Python not to keep them.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help run demo test test-faults check audit bench lock clean up down logs tenant key setup setup-test

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup:
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test

run: setup ## everything in one process on http://localhost:8080, data in .arpilot/
	@$(PYTHON) -m services run all

demo: setup ## feed a year of a small firm's book into the running system
	@$(PYTHON) -m services demo

test: setup-test ## all tests (TESTS=tests/unit for some of them)
	@$(PYTHON) -m pytest -n $(WORKERS) --dist loadfile $(or $(TESTS),tests) $(ARGS)

test-faults: setup-test ## the long form of the faults suite (SECONDS_EACH=60)
	@ARPILOT_FAULTS_LONG=1 $(PYTHON) -m pytest -s tests/faults $(ARGS)

check: setup-test ## format, lint and types
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy

audit: setup-test ## ask for known weaknesses of what we depend on (needs the advisory service of the package index)
	@.venv/bin/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes -r requirements.lock

bench: setup-test ## measure against docs/performance.md (NAME=create for one)
	@$(PYTHON) -m bench $(NAME)

lock: setup-test ## write the lock files anew from pyproject.toml
	@$(LOCK) pyproject.toml -o requirements.lock
	@$(LOCK) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove what can be made again; the data in .arpilot/ stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	@find . -name __pycache__ -not -path './.arpilot/*' -prune -exec rm -rf {} +

deploy/.env:
	@deploy/make-env.sh

up: deploy/.env ## start all containers (PROFILES=observability for Prometheus and Grafana too)
	@$(COMPOSE) $(addprefix --profile ,$(PROFILES)) up --build --detach --wait

down: ## stop the containers; their data stays
	@$(COMPOSE) down

logs: ## follow the containers' logs
	@$(COMPOSE) logs --follow --tail 100

tenant: ## a tenant in the containers: make tenant NAME="Acme Inc."
	@$(COMPOSE) run --rm tools tenant create --name "$(NAME)" $(ARGS)

key: ## an API key in the containers: make key TENANT=<id>
	@$(COMPOSE) run --rm tools key create --tenant "$(TENANT)" $(ARGS)
