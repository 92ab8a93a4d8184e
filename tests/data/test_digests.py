"""Digests that are the same on every processor, as far as one processor can act as others.

OpenBLAS multiplies matrices by the kernel of the processor that it finds, or of the one that it is told; NumPy does
without the instructions that it is told to do without. Both change the last bits of results.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actlift.data.corpus import Corpus
from actlift.models.options import Network
from actlift.study.experiment import run_study
from actlift.study.plan import Plan
from actlift.training.budget import Budget

pytestmark = pytest.mark.slow
KERNELS = {"Prescott": "pni", "Nehalem": "sse4_2", "Haswell": "avx2", "SkylakeX": "avx512f"}  # and what they need
PREPARE = "data prepare synthetic --rig random --cameras 1 --fps 20 --keypoints detector --out"  # all that computes
PRODUCT = """
import hashlib, numpy
a, b = numpy.random.default_rng(0).standard_normal((2, 40, 40))
products = [(a[:n, :n] @ b[:n, :n]).tobytes() for n in range(2, 40)]
print(hashlib.sha256(b"".join(products)).hexdigest())
"""
CORPUS = """
import sys
from actlift.data.corpus import write_corpus
from actlift.data.noise import IndependentNoise
from actlift.data.sources.synthetic import synthetic_clips
clips = synthetic_clips(0, subjects=2, clips=1, seconds=0.8, fps=25.0, actions=["Walking", "Squat"])
write_corpus(sys.argv[1], clips, cameras=2, keypoints=IndependentNoise(3.0))
"""


def config(part: str) -> Any:
    return np.show_config(mode="dicts")[part]


@pytest.fixture(scope="module")
def settings() -> dict[str, dict[str, str]]:
    """Environments by name: the kernels that this processor can run, two threads, and NumPy without vectors."""
    about = Path("/proc/cpuinfo")
    flags = set(re.findall(r"\w+", about.read_text())) if about.exists() else set()
    kernels = [kernel for kernel, needed in KERNELS.items() if needed in flags]
    if "openblas" not in config("Build Dependencies")["blas"]["name"] or len(kernels) < 3:
        pytest.skip("no OpenBLAS with three kernels for this processor")
    found = {kernel: {"OPENBLAS_CORETYPE": kernel, "OMP_NUM_THREADS": "1"} for kernel in kernels}
    products = {run(setting, "-c", PRODUCT) for setting in found.values()}
    assert len(products) == len(kernels), "the setting does not change the kernel: this test would show nothing"
    found["two threads"] = {"OPENBLAS_CORETYPE": kernels[0], "OMP_NUM_THREADS": "2"}
    found["without vectors"] = {"NPY_DISABLE_CPU_FEATURES": " ".join(config("SIMD Extensions")["found"])}
    return found


def run(setting: Mapping[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], env={**os.environ, **setting}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_corpus_has_one_digest_on_every_processor(settings, tmp_path):
    digests = {}
    for name, setting in settings.items():
        out = tmp_path / name.replace(" ", "-")
        run(setting, "-m", "actlift", *PREPARE.split(), str(out))
        digests[name] = Corpus.open(out).digest
    assert len(set(digests.values())) == 1, digests


def test_a_study_takes_the_same_corpus_of_another_processor(settings, tmp_path):
    """A ring, and independent noise."""
    plan = Plan(("syn2",), ("generalist",), seeds=(0,), budget=Budget(2, 8), network=Network(9, channels=8))
    tables = []
    for name in [name for name in settings if name in KERNELS]:
        run(settings[name], "-c", CORPUS, str(tmp_path / name))
        tables.append(run_study(tmp_path / "study", Corpus.open(tmp_path / name), plan).table)
    assert all(table.equals(tables[0]) for table in tables)
