# What a user types -> the script that does it; `make` alone lists the targets.
#
# Options of tools/setup_env.sh: make env SETUP_OPTIONS="--torch_index_url URL". Another Python: make env PYTHON=python3.12

SHELL := /bin/bash
SETUP_OPTIONS ?=
DEMO_OPTIONS ?=
BENCH_OPTIONS ?=
venv := tools/venv/bin
setup := tools/setup_env.sh $(SETUP_OPTIONS)
setup_test := $(setup) --with_test true
pytest := $(venv)/python -m pytest
# Two workers on two cores; more than eight only import torch more often.
parallel := -n auto --maxprocesses 8 --dist loadfile
triton_tests := test/espnet2/ssl/kernels test/benchmark/test_compiled_kernels.py
ifdef PYTHON
export PYTHON
endif

.DEFAULT_GOAL := help
.PHONY: help env demo doc test test-browser test-cluster test-interop test-recipes test-damage test-compiler test-triton lint dist bench-gpu check

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

env:  ## build the environment in tools/venv
	$(setup)

check: env  ## show what works in the environment and what is missing
	$(venv)/python tools/check_install.py

demo: env  ## environment, then hubert1 and ssl1 on the embedded corpus
	egs2/mini_espeak/demo.sh $(DEMO_OPTIONS)

test:  ## environment, then lint and the tests (not browser, cluster, compiler, interop, recipes, damage)
	$(setup_test)
	$(venv)/ruff check .
	$(pytest) $(parallel) -m "not browser and not cluster and not compiler and not interop and not recipes and not damage and not triton"
	TRITON_INTERPRET=1 $(pytest) -m triton $(triton_tests)

test-triton:  ## attention kernels, interpreted and compiled without a GPU; a part of make test
	$(setup_test)
	TRITON_INTERPRET=1 $(pytest) -m triton $(triton_tests)

test-browser:  ## the pages of reports in a headless Chromium, which root installs on Debian
	$(setup_test)
	$(pytest) -m browser

test-cluster:  ## jobs and trainings on real schedulers, which root installs on Debian or Ubuntu
	$(setup_test)
	$(pytest) $(parallel) -m cluster

test-recipes:  ## every recipe's stages and two updates, on small corpora of the same layout
	$(setup_test)
	$(pytest) $(parallel) -m recipes

test-damage:  ## all programs on hundreds of damaged inputs, drawn from seeds: no traceback, nothing wrong in silence
	$(setup_test)
	$(pytest) -n auto --maxprocesses 8 -m damage test/damage

test-compiler:  ## every objective through torch.compile's inductor: a minute each
	$(setup_test)
	$(pytest) -m compiler

test-interop:  ## exported models in fresh environments that hold only the other library
	$(setup_test)
	$(pytest) $(parallel) -m interop

lint:  ## ruff, mypy, shellcheck, links, house rules
	$(setup_test)
	$(venv)/ruff check .
	$(pytest) -q test/contracts

doc:  ## the pages of doc/ as html in doc/_build/html; warnings are errors
	$(setup_test)
	$(venv)/python doc/generate/stages.py
	$(venv)/python doc/generate/configuration.py
	$(venv)/python doc/generate/tools.py
	$(venv)/python -m sphinx -q -E -a -W --keep-going -c doc -d doc/_build/doctrees . doc/_build/html

dist:  ## source and wheel distributions in dist/; TAG=v<version> is compared with the version
	$(setup_test)
	$(venv)/python -m build --no-isolation --outdir dist
	[ -z "$(TAG)" ] || [ -f "dist/espnet2_ssl-$(TAG:v%=%).tar.gz" ] || { echo "$(TAG) is not the version in espnet2/__init__.py" >&2; exit 2; }

bench-gpu:  ## kernels, training speed, k-means, feature dump and resume on one GPU
	benchmark/gpu.sh $(BENCH_OPTIONS)
