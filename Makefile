.DEFAULT_GOAL := help
PYTHON ?= python3

-include cloud/targets.mk

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/run ## prepare .venv, to run the program

run: .venv/run ## render 24 images on this machine, no server needed
	@.venv/bin/oat run

test: .venv/develop ## install the servers the tests need, then run all tests
	@tests/install-servers
	.venv/bin/python -m pytest -n 3 --dist worksteal

test-vagrant: .venv/develop ## run the Vagrant environment for real, on LXC (Debian 12, root, ten minutes)
	@tests/vagrant/run

test-container: .venv/develop ## build the container image and run the services in it (Debian 12, root, five minutes)
	@tests/install-servers
	@tests/container/run

test-cluster: .venv/develop ## kill and cut off nodes of a RabbitMQ cluster under load (root, five minutes)
	@tests/install-servers
	CHAOS_SEED=$(SEED) .venv/bin/python -m pytest tests/cluster

chaos: .venv/develop ## kill, cut off and fill up everything, at length (SEED=… repeats the same moments)
	@tests/install-servers
	CHAOS_SEED=$(SEED) .venv/bin/python -m pytest -m "" tests/chaos

lint: .venv/develop ## format, rules, types and import directions
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

bench: bench-kernel bench-load ## measure the renderer and the pipeline, side by side with others (ten minutes)

bench-kernel: .venv/develop ## measure the renderer, side by side with plain Python and C
	.venv/bin/python benchmarks/kernel.py

bench-load: .venv/bench ## measure the pipeline, side by side with Celery and dramatiq
	@tests/install-servers
	.venv/bin/python benchmarks/load.py

bench-store: .venv/develop ## measure what an object store costs, side by side with a directory
	.venv/bin/python benchmarks/store.py

simulation: .venv/develop ## measure what an image costs, predict the speed of 1 to 4 workers, and compare
	@tests/install-servers
	.venv/bin/python benchmarks/simulation.py

screenshot: .venv/develop ## make the picture of the gallery in the README
	@tests/install-servers
	@.venv/bin/python tests/screenshot.py

lock: .venv/develop ## pin the newest versions of all dependencies
	.venv/bin/uv pip compile -U -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	  pyproject.toml -o requirements.txt
	.venv/bin/uv pip compile -U -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	  pyproject.toml --group dev -o requirements-dev.txt
	.venv/bin/uv pip compile -U -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	  pyproject.toml --group dev --group bench -o requirements-bench.txt

clean: ## remove what the other targets made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "oat needs Python 3.11 or newer, this is %d.%d" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv || { echo "python3 has no venv: install the package python3-venv"; rm -rf .venv; exit 1; }

.venv/run: .venv/bin/python requirements.txt pyproject.toml
	@echo "Setting up .venv with the pinned requirements"
	@.venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@.venv/bin/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

.venv/develop: .venv/run requirements-dev.txt
	@echo "Setting up .venv with the pinned tools for development"
	@.venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv/bench: .venv/develop requirements-bench.txt
	@echo "Setting up .venv with the peers for comparison"
	@.venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

.PHONY: help setup run test chaos test-vagrant test-container test-cluster lint bench bench-kernel bench-load bench-store simulation screenshot lock clean
