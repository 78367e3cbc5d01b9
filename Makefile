# make run:   from nothing to a trained digit classifier, evaluated on the validation set.
# make test:  everything that must hold.   make check: lint, types, and the tests of what changed.
# make docs:  the documentation as a site in build/docs.   make notebooks: both notebooks executed, outputs kept.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready
# Threads of one computation share a core while several tests run: waiting ones must not spin.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: run test check docs notebooks clean

run: $(READY)
	$(VENV)/bin/imparfait train --suite digits

test: $(READY)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

check: $(READY)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest --quiet --numprocesses auto --dist loadfile $$($(VENV)/bin/python tests/helpers/changed.py)

docs: $(READY)
	$(VENV)/bin/zensical build --strict

notebooks: $(READY)
	cd notebooks && ../$(VENV)/bin/jupytext --to ipynb cnn.py cnn_gru.py
	$(VENV)/bin/python notebooks/classroom/make.py
	cd notebooks && ../$(VENV)/bin/jupyter execute --timeout=-1 --inplace cnn.ipynb cnn_gru.ipynb

# Set up again only when the requirements have changed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,serve,pdf,ray,keras,parquet,efficientnet,litert,skops,mlflow,tensorboard,wandb,hub,interop,docs,dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build
