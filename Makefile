# Everything needs only Python >= 3.11 with pip, and make; .venv is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin


.PHONY: demo test test-long check format docs bench-table clean

demo: $(VENV)/.installed
	@echo "7 small models of all three families, 3 seeds each, on what the program draws itself: three and a half to five and a half minutes on two cores with bfloat16 instructions, a quarter of an hour without"
	env -u OMP_NUM_THREADS $(BIN)/triptych study quickstart --out demo
	env -u OMP_NUM_THREADS $(BIN)/triptych explore $(foreach r,gan vae lcfm,$$(ls -dt demo/$(r)-glyphs-quick-*-seed0 | head -n 1)) \
	  --precision fp16 --out demo/explore.html
	$(BIN)/triptych report demo --out demo/report.html
	@echo "open demo/explore.html in a browser: the models run there; demo/report.html compares them"

# Bare and short: no data sets, no browser, no network but the package index, ten minutes on two fast cores, half an hour on slow ones.
APART := data or browser or gpu or long
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal --durations 20

test: check
	$(PYTEST) -m 'not ($(APART))'

# The rest, at most an hour: what needs the data sets (TRIPTYCH_DATA or ../shared/data), a browser, a GPU or patience.
test-long: $(VENV)/.installed-test browser
	$(PYTEST) -m '$(APART)'

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The pages are looked at in real browsers; where none can be installed those tests say why they are skipped.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 \
	  || echo "no Chromium could be installed: browser tests are skipped"
	@command -v firefox-esr >/dev/null || command -v firefox >/dev/null \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends firefox-esr; } >/dev/null 2>&1 \
	  || echo "no Firefox could be installed: its tests are skipped"

# The site, with its search, in docs/_build/html/index.html; a warning is an error.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -E -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

bench-table: $(VENV)/.installed-test
	$(BIN)/python benchmarks/table.py

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[onnx]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) build docs/_build docs/_made *.egg-info .pytest_cache .ruff_cache
