# make train   train LeNet-5 on MNIST, or on the bundled digits without a network
# make test    run the test suite
# make lint    ruff, mypy and the guards of the structure
# make bench   the short benchmarks, under ten minutes
# make docs    the documentation as a site, in site/; readable without a network
# All of them run in .venv, which the first one makes. PYTHON chooses the interpreter (3.11 or newer).

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
SETUP = setup.py pyproject.toml

# A checkout may have real data beside it; elsewhere the platform's cache folder is used.
ifneq ($(wildcard ../shared/data),)
export MINICNN_DATA ?= $(abspath ../shared/data)
endif

.PHONY: train test lint bench docs clean

train: $(VENV)/installed
	$(BIN)/minicnn train lenet5

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/guards.py

bench: $(VENV)/installed-test
	$(BIN)/python benchmarks/startup.py --repeats 3
	$(BIN)/python benchmarks/lenet_mnist.py --repeats 3 --no-training
	$(BIN)/python benchmarks/layers.py memory --rounds 1
	$(BIN)/python benchmarks/models.py lenet5 alexnet vgg16 googlenet resnet18 --rounds 1

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "site/index.html"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "minicnn needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which one to use: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SETUP) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/installed-test: $(SETUP) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-docs: $(SETUP) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist site *.egg-info
