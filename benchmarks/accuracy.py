"""``python -m benchmarks.accuracy cmu.npz hdm05.npz``: how long training takes to an error on unseen people.

Both sides train a 27-frame network of 128 channels on the same corpus, on everybody but the test subjects of the motion
capture that actlift is developed with. The conventional side runs its published schedule to its end: 12 epochs of
463,104 windows in batches of 256, learning rate 1e-3 times 0.95 per epoch, BatchNorm momentum 0.1 falling to 0.001,
dropout 0.25, Adam with AMSGrad, flips (Pavllo et al. 2019, section 5). actlift runs its defaults. Only training is
timed, with batch assembly; both are scored by actlift's evaluation, the conventional network after every epoch.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from actlift.data.corpus import Corpus
from actlift.data.noise import IndependentNoise
from actlift.data.prepare import prepare
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import evaluate
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Variant
from actlift.geometry.skeleton import H36M_17
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.models.base import Lifter
from actlift.models.options import Network, widths_of
from actlift.models.tcn import TCN
from actlift.training.budget import Budget
from actlift.training.loop import ModelSpec, train
from actlift.training.run import commit
from benchmarks.conventional import ConvolutionalTCN, assemble
from benchmarks.harness import processor

TEST_SUBJECTS = ("HDMmm", "CMU13", "CMU38", "CMU32")
EPOCHS, BATCH, CHANNELS, WINDOWS_OF_EPOCH = 12, 256, 128, 463_104
STEPS = (4000, 5000, 6000)


def main(sources: list[str]) -> None:
    """Train actlift with growing budgets and the conventional implementation epoch by epoch; a line for each."""
    print(f"{processor()}; torch {torch.__version__}, {torch.get_num_threads()} threads; commit {commit()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="actlift-accuracy-") as folder:
        corpus = prepare(sources, Path(folder) / "corpus", keypoints=IndependentNoise(3.0))
        training, test = corpus.split(TEST_SUBJECTS, shared_actions_only=True)
        print(f"{training.frames:,} frames of {len(training.actions)} actions; digest {corpus.digest[:12]}", flush=True)
        for steps in STEPS:
            _actlift(Path(folder) / f"run{steps}", training, test, steps)
        _conventional(training, test)


def _actlift(folder: Path, training: Corpus, test: Corpus, steps: int) -> None:
    began = time.perf_counter()
    member = ModelSpec("everything", rows_of(training.views), Budget(steps, BATCH))
    run = train(folder, training, [member], model=Network(channels=CHANNELS).keywords(), device="cpu")
    _tell(f"actlift, {steps} steps", time.perf_counter() - began, load_lifter(run), test)


def _conventional(training: Corpus, test: Corpus) -> None:
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    network = ConvolutionalTCN(widths_of(27), CHANNELS, strided=True)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3, amsgrad=True)
    sequences, targets = [np.array(v.pose2d) for v in training.views], [np.array(v.pose3d_cam) for v in training.views]
    frames = [(i, t) for i, sequence in enumerate(sequences) for t in range(len(sequence))]
    seconds, order, at = 0.0, generator.permutation(len(frames)), 0
    for epoch in range(EPOCHS):
        network.train()
        momentum = 0.1 * (0.001 / 0.1) ** (epoch / (EPOCHS - 1))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.momentum = momentum
        began = time.perf_counter()
        for _ in range(WINDOWS_OF_EPOCH // BATCH):
            if at + BATCH > len(order):
                order, at = generator.permutation(len(frames)), 0
            picks = [(*frames[n], bool(generator.random() < 0.5)) for n in order[at : at + BATCH]]
            at += BATCH
            pose2d, target = (torch.from_numpy(a) for a in assemble(sequences, targets, picks, 27, H36M_17.mirror))
            adam.zero_grad()
            (network(pose2d)[:, 0] - target).norm(dim=-1).mean().backward()
            adam.step()
        seconds += time.perf_counter() - began
        for group in adam.param_groups:
            group["lr"] *= 0.95
        _tell(f"conventional, epoch {epoch + 1}", seconds, network.give_rows(TCN(widths_of(27), CHANNELS)), test)


def _tell(name: str, seconds: float, network: Lifter, test: Corpus) -> None:
    scores = evaluate(LifterPredictor(network.eval()), test.views, variant=Variant("one"), metrics=("mpjpe", "mpjve"))
    errors = [scores.per_action(metric).loc["one", MEAN_OVER_ACTIONS] for metric in ("mpjpe", "mpjve")]
    print(f"{name:24s} {seconds:7.1f} s  MPJPE {errors[0]:5.1f} mm  MPJVE {errors[1]:.2f} mm/frame", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
