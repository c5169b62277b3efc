# The two commands that do everything on a fresh machine: make demo, make test.
PYTHON ?= python3
BASE := .venv
FULL := .venv-test

.PHONY: demo demo-train check test lint format docs clean

demo: $(BASE)/installed
	$(BASE)/bin/trapmeter demo --out trapmeter-demo
	@echo "now: $(BASE)/bin/trapmeter predict YOUR_VIDEOS --out results"

# Frames, three folds, ensemble, a round of pseudolabels, submission and evaluation, on the same clips.
demo-train: $(FULL)/installed
	$(FULL)/bin/trapmeter run src/trapmeter/demo/chain.toml --out demo-train

# For daily work: all but the tests marked slow.
check: $(FULL)/installed lint
	$(FULL)/bin/python -m pytest -n auto -m "not slow"

# Trainings get processes of their own: in one that had run thousands of other tests, torch sometimes died.
TRAININGS := tests/training tests/distillation tests/competition
test: $(FULL)/installed lint
	$(FULL)/bin/python -m pytest -n auto $(TRAININGS:%=--ignore=%)
	$(FULL)/bin/python -m pytest -n auto $(TRAININGS)

lint: $(FULL)/installed
	$(FULL)/bin/ruff format --check .
	$(FULL)/bin/ruff check .
	$(FULL)/bin/mypy

format: $(FULL)/installed
	$(FULL)/bin/ruff format .
	$(FULL)/bin/ruff check --fix .

$(BASE)/installed: pyproject.toml
	@echo "installing the base package (0.7 GB) into $(BASE) ..."
	$(PYTHON) -m venv $(BASE)
	$(BASE)/bin/python -m pip install -qq --disable-pip-version-check -e .
	touch $@

# torch and torchvision in one command, so that both come from the same index and fit together.
$(FULL)/installed: pyproject.toml
	@echo "installing everything (6 GB, most of it torch) into $(FULL) ..."
	$(PYTHON) -m venv $(FULL)
	$(FULL)/bin/python -m pip install -qq --disable-pip-version-check -e '.[boxmodel,cloud,cluster,gcs,heif,openvino,pdf,review,train,dev]'
	touch $@

# The documentation as a site, in site/; a broken link is an error.
docs: $(FULL)/installed
	$(FULL)/bin/zensical build --strict

clean:
	rm -rf $(BASE) $(FULL) site trapmeter-demo demo-train dist .pytest_cache .mypy_cache .ruff_cache
