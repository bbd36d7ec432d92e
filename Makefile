# Two commands set everything up on a bare machine with Python 3.11 or newer: `make demo` and `make test`.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN   := checkpoints/demo

.PHONY: help demo test torture install clean
.DEFAULT_GOAL := help

help:  ## say what there is to make
	@echo "make demo     install, train a spiking PointNet on the built-in shapes, evaluate it, save a picture (minutes)"
	@echo "make test     install, then ruff, mypy and pytest"
	@echo "make torture  kills, lying servers, full disks and 20,000 damaged files; a table of what came of it (minutes)"
	@echo "make install  only make $(VENV), with the versions in constraints.txt"
	@echo "make clean    remove $(VENV) and the demo's run"
	@echo "Another Python: make demo PYTHON=/path/to/python3.11"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@bash scripts/setup.sh $(VENV)
	@touch $@

demo: $(STAMP)
	@rm -rf $(RUN)
	$(BIN)/spikecli data prepare shapes
	$(BIN)/spikecli train shapes --paper spiking-pointnet --timesteps 1 --epochs 20 --out $(RUN)
	$(BIN)/spikecli eval $(RUN) --timesteps 1,2,3,4
	$(BIN)/spikecli view shapes:test:0 --checkpoint $(RUN) --timesteps 4 --out demo.png
	@echo "The picture is demo.png; next: $(BIN)/spikecli --help"

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile

torture: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m torture $(TORTURE)

clean:
	rm -rf $(VENV) $(RUN) demo.png
