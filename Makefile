# make course | test | lab: each does all the set-up it needs, once, into .venv.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
NOTEBOOKS := $(sort $(wildcard notebooks/0*.ipynb))

# Nothing but the set-up needs a network.
export HF_HUB_OFFLINE := 1
export TRANSFORMERS_OFFLINE := 1
export HF_DATASETS_OFFLINE := 1

.PHONY: help course test trials lab world notebooks book
help:
	@echo "make course     run the whole course on the embedded data and print the scoreboard"
	@echo "make test       run all tests and check every notebook's outputs"
	@echo "make trials     what takes long: kills, installs (for authors)"
	@echo "make lab        open the course in JupyterLab"
	@echo "make book       build the web edition: build/book/index.html"
	@echo "make world      rebuild data/ from data/facts/"
	@echo "make notebooks  execute the notebooks in place (for authors)"

.venv/ready: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11: name a newer one with PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "Setting up .venv (a few minutes, once) …"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
	@touch $@

course: .venv/ready
	$(BIN)/course notebooks $(NOTEBOOKS)

test: .venv/ready
	$(BIN)/python -m pytest -q tests
	$(if $(NOTEBOOKS),$(BIN)/python -m pytest -q --nbval --nbval-current-env --nbval-cell-timeout=3600 -p no:cacheprovider $(NOTEBOOKS))

trials: .venv/ready
	$(BIN)/python -m pytest -q tests -m trial

lab: .venv/ready
	$(BIN)/jupyter lab --ip=127.0.0.1 $(firstword $(NOTEBOOKS))

# The pages need none of the course's packages, and the course none of theirs: a set-up of its own, without torch.
.venv-book/ready: requirements-book.txt
	@echo "Setting up .venv-book (a minute, once) …"
	$(PYTHON) -m venv .venv-book
	.venv-book/bin/python -m pip install --disable-pip-version-check --quiet --progress-bar on -r requirements-book.txt
	@touch $@

book: .venv-book/ready
	.venv-book/bin/python book/build.py

world: .venv/ready
	$(BIN)/python data/builder

notebooks: .venv/ready
	for book in $(NOTEBOOKS); do $(BIN)/jupyter nbconvert --to notebook --execute --inplace $$book || exit 1; done
