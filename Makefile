# Two commands set everything up on a bare machine with Python 3.11 or newer: `make demo` and `make test`.

VENV  := .venv
BIN   := $(VENV)/bin
USE   := $(VENV)/.installed
WORK  := $(VENV)/.installed-dev
RUN   := checkpoints/demo

.PHONY: help demo test docs torture install clean
.DEFAULT_GOAL := help

help:  ## say what there is to make
	@echo "make demo     install, name four meshes, train a spiking PointNet on built-in shapes, evaluate it (minutes)"
	@echo "make test     install, then ruff, mypy and pytest"
	@echo "make docs     the documentation site, in site/; every link is checked"
	@echo "make torture  kills, lying servers, full disks and 20,000 damaged files; a table of what came of it (minutes)"
	@echo "make install  only make $(VENV), with the versions in constraints.txt"
	@echo "make clean    remove $(VENV), the site and the demo's run"
	@echo "Another Python: make demo PYTHON=/path/to/python3.11"

install: $(WORK)

# The demo does not wait for what it does not use: the packages of CLIP, of other event formats, of tests, site and exports.
$(USE): pyproject.toml constraints.txt scripts/setup.sh
	@bash scripts/setup.sh $(VENV) pictures
	@touch $@

$(WORK): pyproject.toml constraints.txt scripts/setup.sh
	@bash scripts/setup.sh $(VENV) clip,events,train,view,dev
	@touch $(USE) $@

demo: $(USE)
	@rm -rf $(RUN)
	$(BIN)/spikecli predict reference examples/chair.off examples/toilet.off --top 1
	$(BIN)/spikecli train shapes --points 512 --epochs 8 --out $(RUN)
	$(BIN)/spikecli eval $(RUN) --timesteps 1,2,4 --runs 1 --out $(RUN)/scores.csv
	$(BIN)/spikecli view examples/chair.off --checkpoint $(RUN) --out demo.png
	@bash scripts/after_demo.sh $(BIN) $(RUN)

test: $(WORK)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n 2
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

docs: $(WORK)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python scripts/command_reference.py --check
	@echo "The site is in site/; open site/index.html"

torture: $(WORK)
	PYTHONPATH=tests $(BIN)/python -m torture $(TORTURE)

clean:
	rm -rf $(VENV) $(RUN) site demo.png
