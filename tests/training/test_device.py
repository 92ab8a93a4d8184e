"""How many threads compute a training, and that a run keeps those it was begun with."""

import os
import subprocess
import sys

import pytest
import torch

from actlift.training.device import ONE_THREAD, choose_threads, threads_of
from actlift.training.run import Identity, Run

IDENTITY = {"members": {"one": {}}, "model": {}, "seed": 0}


@pytest.fixture
def unasked(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("unasked", "two_threads")
def test_small_steps_take_one_thread_and_large_ones_all():
    assert choose_threads(ONE_THREAD) == 1
    assert choose_threads(ONE_THREAD + 1) == 2


@pytest.mark.usefixtures("two_threads")
def test_what_the_environment_asks_for_is_taken(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert choose_threads(1) == 2


@pytest.mark.usefixtures("unasked", "two_threads")
def test_a_run_goes_on_with_its_own_threads(tmp_path):
    run = Run.create(tmp_path, Identity.read(IDENTITY | {"threads": 1}))
    with threads_of(run, 2):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_unless_the_environment_asks_for_others_and_then_it_says_what_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    run = Run.create(tmp_path, Identity.read(IDENTITY | {"threads": 1}))
    with pytest.warns(RuntimeWarning, match="begun with 1 thread.* goes on with 2, .*last bit"), threads_of(run, 2):
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("asked", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_spin_briefly_unless_the_environment_says_how(asked, spins):
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    script = "import actlift, os, sys; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=kept | asked, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [spins, "False"]
