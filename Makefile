.DEFAULT_GOAL := help
PYTHON ?= python3
RELEASE ?= trixie

-include cloud/targets.mk

ifdef OFFLINE
export OFFLINE
export PIP_NO_INDEX = 1
export PIP_FIND_LINKS = $(OFFLINE)/wheels
endif

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/run ## prepare .venv, to run the program (a minute)

run: .venv/run ## render 24 images on this machine, no server needed (seconds)
	@.venv/bin/oat run

test: .venv/develop ## install the servers the tests need, then run all tests (a quarter of an hour)
	@tests/install-servers
	.venv/bin/python -m pytest -n 3 --dist worksteal

test-unit: .venv/develop ## run the tests that need no server, while you edit (half a minute)
	.venv/bin/python -m pytest -n 2 --dist worksteal tests/unit

test-vagrant: .venv/develop ## run the Vagrant environment for real, on LXC (Debian 12, root; ten minutes)
	@tests/deploy/vagrant/run

test-container: .venv/develop ## build the container image and run the services in it (Debian 12, root; five minutes)
	@tests/install-servers
	@tests/deploy/container/run

test-tutorial: .venv/develop ## run all chapters of the tutorial, those on machines and clusters too (Debian 12, root; half an hour)
	@tests/install-servers
	exec setpriv --pdeathsig TERM .venv/bin/python -m pytest -m "" tests/tutorial

test-debian: ## run the two commands on a bare Debian, RELEASE=trixie, as a user and as root (Debian, root; half an hour)
	@tests/deploy/release/run $(RELEASE)

test-offline: ## prove that the folder of make offline is enough, where there is no network (root; twenty minutes)
	@tests/deploy/offline/run

test-emulated: .venv/bench ## compare the files on an emulated x86 without AVX, an emulated ARM, with another zlib (root; ten minutes)
	@tests/deploy/emulated/run

test-cluster: .venv/develop ## kill and cut off nodes of a RabbitMQ cluster under load (root; five minutes)
	@tests/install-servers
	CHAOS_SEED=$(SEED) .venv/bin/python -m pytest tests/deploy/cluster

chaos: .venv/develop ## kill, cut off and fill up everything; SEED=… repeats the same moments (tens of minutes)
	@tests/install-servers
	CHAOS_SEED=$(SEED) .venv/bin/python -m pytest -m "" tests/chaos

soak: .venv/develop ## a random fault every few seconds while tasks come all the time; MINUTES=30, SEED=…
	@tests/install-servers
	.venv/bin/python tests/soak/run.py --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED))

mutants: .venv/develop ## plant a fault for each rule into a copy of the sources; a test must catch it (a quarter of an hour)
	@tests/install-servers
	.venv/bin/python tests/mutants/run.py

exercise: .venv/develop ## break src/ in one place, to be mended: N=1 to 12; N=0 puts all back; without N, list all
	@.venv/bin/python exercises/run.py exercise $(N)

hint: .venv/develop ## say where to look in the exercise
	@.venv/bin/python exercises/run.py hint

check: .venv/develop ## show the harm of the exercise on real processes, or that it is mended (seconds)
	@.venv/bin/python exercises/run.py check

solve: .venv/develop ## put in the solution of the exercise, and say why it is right
	@.venv/bin/python exercises/run.py solve

test-exercises: .venv/develop ## see each exercise fail by its own harm and pass when mended; ROUNDS=10 (two minutes a round)
	@tests/install-servers
	EXERCISE_ROUNDS=$(or $(ROUNDS),1) .venv/bin/python -m pytest -m "" -n 3 --dist worksteal tests/system/test_exercises.py

lint: .venv/develop ## format, rules, types, import directions, sizes, and what the documentation says (half a minute)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/python .ci/sizes.py
	.venv/bin/python docs/check_links.py
	.venv/bin/python docs/check_troubleshooting.py
	.venv/bin/python docs/generate_reference.py --check

docs: .venv/develop ## build the site of the documentation into docs/_build (half a minute)
	.venv/bin/sphinx-build -q -W --keep-going -d docs/_build/doctrees docs docs/_build/html

docs-serve: docs ## show the site at http://127.0.0.1:8000/ until Ctrl-C
	.venv/bin/python -m http.server 8000 --bind 127.0.0.1 --directory docs/_build/html

bench: bench-kernel bench-png bench-load bench-durability ## measure the renderer and the pipeline, side by side with others (a quarter of an hour)

bench-kernel: .venv/develop ## measure the renderer, side by side with plain Python and C (two minutes)
	.venv/bin/python benchmarks/kernel.py

bench-png: .venv/bench ## measure the image file, side by side with the libraries that could write it (a minute)
	.venv/bin/python benchmarks/png.py

bench-load: .venv/bench ## measure the pipeline, side by side with Celery and dramatiq (eight minutes)
	@tests/install-servers
	.venv/bin/python benchmarks/load.py

bench-compare: .venv/develop ## measure an older commit beside this one, COMMIT=v1.1.0 (five minutes)
	@tests/install-servers
	.venv/bin/python benchmarks/compare.py --commit $(or $(COMMIT),$(error COMMIT=… is missing))

bench-scale: .venv/develop ## measure what broker, tracker and database carry, with workers that sleep (five minutes)
	@tests/install-servers
	.venv/bin/python benchmarks/scale.py

bench-store: .venv/develop ## measure what an object store costs, side by side with a directory (a minute)
	.venv/bin/python benchmarks/store.py

bench-durability: .venv/develop ## measure what it costs that every write is on the disk before it counts (two minutes)
	.venv/bin/python benchmarks/durability.py

simulation: .venv/develop ## measure what an image costs, predict the speed of 1 to 4 workers, compare (five minutes)
	@tests/install-servers
	.venv/bin/python benchmarks/simulation.py

tutorial: .venv/develop ## run the tutorial's chapters, and write what has changed, ANEW=1 all; CHAPTER=3 (minutes)
	@tests/install-servers
	@PYTHONPATH=tests exec setpriv --pdeathsig TERM .venv/bin/python -m tutorial.update $(if $(ANEW),--anew) $(CHAPTER)

screenshot: .venv/develop ## make the picture of the gallery in the README (half a minute)
	@tests/install-servers
	@.venv/bin/python docs/images/gallery.py

offline: ## fill FOLDER=build/offline with all that make run and make test need where there is no network (minutes)
	@PYTHON=$(PYTHON) .ci/offline $(or $(FOLDER),build/offline)

windows: .venv/run ## show the services in a tmux session, all at once for a projector; LAYOUT=windows, one each
	@provision/oat-windows $(or $(LAYOUT),tiled)

lock: .venv/develop ## pin the newest versions of all dependencies (half a minute)
	.venv/bin/uv pip compile -U -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	  pyproject.toml -o requirements.txt
	.venv/bin/uv pip compile -U -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	  pyproject.toml --group dev -o requirements-dev.txt
	.venv/bin/uv pip compile -U -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	  pyproject.toml --group dev --group bench -o requirements-bench.txt

clean: ## remove what the other targets made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis docs/_build

.venv/run .venv/develop .venv/bench: FORCE
	@PYTHON=$(PYTHON) .ci/venv $(@F)

FORCE:

.PHONY: FORCE help setup run test test-unit chaos soak mutants test-vagrant test-container test-cluster test-debian test-emulated test-offline offline windows lint docs docs-serve bench bench-kernel bench-png bench-load bench-compare bench-scale bench-store bench-durability simulation screenshot lock clean exercise hint check solve test-exercises test-tutorial tutorial
