# make course | test | lab: each does all the set-up it needs, once, into .venv. What each runs stands in tasks.py.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help course test book lab trials world notebooks stamp
help course test book lab trials world notebooks stamp:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PYTHON) tasks.py $(filter-out help,$@)
