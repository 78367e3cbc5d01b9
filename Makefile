# make run: from nothing to a proven digit classifier.   make test: everything that must hold.
# make notebooks: both notebooks executed on all pictures, their outputs kept; under 40 minutes on two cores.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready

.PHONY: run test notebooks clean

run: $(READY)
	$(VENV)/bin/imparfait train --final

test: $(READY)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

notebooks: $(READY)
	$(VENV)/bin/python notebooks/execute.py

# Set up anew only when the list of what is needed has changed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,serve,ray,keras,dev]'
	touch $(READY)

clean:
	rm -rf $(VENV)
