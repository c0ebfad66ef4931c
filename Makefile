# Every recipe is one exec: a signal to make reaches the real work, and nothing is left behind.
PYTHON ?= python3
BOOTSTRAP = exec $(PYTHON) robotctl/bootstrap.py

.PHONY: help run test lint bench bench-one simulator venv clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## everything, with simulated robots (PORT=8000 HOST=127.0.0.1 ROBOTCTL_VAR=var)
	@$(BOOTSTRAP) run

test: ## all tests (ARGS: for pytest)
	@$(BOOTSTRAP) test $(ARGS)

lint: ## style, types, floors of the house, security, missing migrations
	@$(BOOTSTRAP) lint

bench: ## all benchmarks, into benchmarks/results.json
	@$(BOOTSTRAP) bench $(ARGS)

bench-one: ## one benchmark: make bench-one NAME=…
	@$(BOOTSTRAP) bench-one $(NAME) $(ARGS)

simulator: ## one simulated OHT-50 on port 8080 (ARGS: --fault NAME …)
	@$(BOOTSTRAP) simulator --port 8080 --control-port 8081 $(ARGS)

venv: ## only make .venv, with the tools for tests and lint
	@$(BOOTSTRAP) dev

clean: ## remove .venv and caches (var/, with the database and the keys, stays)
	@exec rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
