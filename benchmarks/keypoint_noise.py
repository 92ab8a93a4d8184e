"""``python -m benchmarks.keypoint_noise CORPUS ...``: what smoothing gains on white noise and on a detector's.

Takes corpora of the same clips and cameras (``actlift data prepare cmu_v2.npz hdm05.npz --keypoints ...``). On each a
generalist is trained and scored on four people of the training side; the people to report on are left out altogether.
The output is scored as it is and through a Butterworth filter of second order, run forward and back.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.signal import butter, sosfiltfilt

from actlift.data.corpus import Corpus
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_ACTIONS
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.models.options import Network
from actlift.study.experiment import run_study
from actlift.study.plan import Plan
from actlift.training.budget import Budget
from actlift.training.run import Run, commit

REPORTED = ("HDMmm", "CMU13", "CMU38", "CMU32")
HELD_OUT = ("HDMbk", "CMU02", "CMU16", "CMU49")
METRICS = ("mpjpe", "p_mpjpe", "mpjve")
CUTOFFS_HZ = (None, 6.0, 4.0)
SHORTEST = 16  # frames that are filtered


def smoothed(poses: Float[np.ndarray, "t j 3"], fps: float, cutoff_hz: float | None) -> Float[np.ndarray, "t j 3"]:
    if cutoff_hz is None or len(poses) < SHORTEST:
        return poses
    return sosfiltfilt(butter(2, cutoff_hz, fs=fps, output="sos"), poses, axis=0)


def scored(corpus: Corpus, steps: int, seed: int) -> list[list[float]]:
    """Errors of a generalist, unfiltered and by cut-off: rows cut-offs, columns metrics."""
    plan = Plan(
        test_subjects=HELD_OUT,
        arms=("generalist",),
        seeds=(seed,),
        budget=Budget(steps, 256),
        network=Network(receptive_field=27, channels=128),
        precision="float32",
        device="cpu",
    )
    with TemporaryDirectory() as folder:
        run_study(Path(folder), corpus, plan)
        lifter = load_lifter(Run.open(Path(folder) / "runs" / f"generalist-seed{seed}"))
    _, test = corpus.split(HELD_OUT, shared_actions_only=True)
    poses = LifterPredictor(lifter)([view.keypoints for view in test.views])
    rows = []
    for cutoff_hz in CUTOFFS_HZ:
        of_views = [smoothed(pose, corpus.fps, cutoff_hz) for pose in poses]
        scores = score_poses(of_views, test.views, variant=GENERALIST, seed=seed, metrics=METRICS)
        rows.append([float(scores.per_action(name).T[GENERALIST][MEAN_OVER_ACTIONS]) for name in METRICS])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    table = Table(box=SIMPLE_HEAD)
    for column in ("keypoints", "output filter", "MPJPE mm", "P-MPJPE mm", "MPJVE mm/frame"):
        table.add_column(column)
    digests = []
    for folder in asked.corpora:
        corpus = Corpus.open(folder)
        digests.append(corpus.digest[:16])
        corpus = corpus.select(subjects=set(corpus.subjects) - set(REPORTED))
        rows = scored(corpus, asked.steps, asked.seed)
        for cutoff_hz, row in zip(CUTOFFS_HZ, rows, strict=True):
            cells = [f"{e:.2f} ({100 * (e / e0 - 1):+.1f} %)" for e, e0 in zip(row, rows[0], strict=True)]
            filtered = "none" if cutoff_hz is None else f"{cutoff_hz:g} Hz"
            table.add_row(corpus.provenance["keypoints"]["kind"], filtered, *cells)
    console = Console(width=120)
    console.print(table)
    console.print(f"{asked.steps} steps, seed {asked.seed}, digests {' '.join(digests)}, commit {commit()}")


if __name__ == "__main__":
    main()
