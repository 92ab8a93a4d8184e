"""The works that are measured: each the same job done by the conventional implementation and by actlift."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from actlift.data.corpus import Corpus, write_corpus
from actlift.data.noise import IndependentNoise
from actlift.data.sources.synthetic import synthetic_clips
from actlift.data.windows import Sampler, Windows, rows_of
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import Variant
from actlift.geometry.skeleton import H36M_17
from actlift.lifting.predict import LifterPredictor, lift
from actlift.lifting.stream import Stream
from actlift.models.options import widths_of
from actlift.models.tcn import TCN
from actlift.training.ensemble import Ensemble
from benchmarks.conventional import ConvolutionalTCN, assemble, evaluate_one_by_one
from benchmarks.harness import Measured, Work, alternate, bare_products

FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
CPU = torch.device("cpu")


def training_step(receptive_field: int, dtype: torch.dtype, *, channels: int = 1024, batch: int = 1024) -> Measured:
    """One optimizer step on a batch that is already assembled."""
    widths = widths_of(receptive_field)
    pose2d, target = torch.randn(batch, receptive_field, 17, 2), torch.randn(batch, 17, 3)
    network = TCN(widths, channels)
    stack = Ensemble(["one"], [network], [(0, 0)], dtype=dtype, device=CPU)
    number = iter(range(1_000_000))
    ours = lambda: stack.step(next(number), pose2d[None], target[None], rates=[1e-3], momenta=[0.1])  # noqa: E731
    shapes, rows = [], batch * receptive_field
    for layer in network.layers:
        rows //= layer.width
        shapes.append((rows, *layer.weight.shape))
    shapes.append((batch, channels, 51))
    return alternate(
        f"training step, {receptive_field} frames, {channels} channels, {'bf16' if dtype == BFLOAT16 else 'fp32'}",
        conventional_step(widths, channels, pose2d, target),
        ours,
        unit="windows",
        amount=batch,
        rounds=3 if receptive_field == 243 else 7,
        floor=bare_products(shapes, dtype),
    )


def conventional_step(widths: tuple[int, ...], channels: int, pose2d: torch.Tensor, target: torch.Tensor) -> Work:
    """A step of the conventional network: forward, loss, backward, Adam."""
    network = ConvolutionalTCN(widths, channels, strided=True)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3, amsgrad=True)

    def step() -> None:
        adam.zero_grad()
        (network(pose2d)[:, 0] - target).norm(dim=-1).mean().backward()
        adam.step()

    return step


def batch_assembly(corpus: Corpus, receptive_field: int, batch: int = 1024) -> Measured:
    """A batch of windows and targets, half of them mirrored."""
    windows, sampler = Windows(corpus, receptive_field), Sampler(rows_of(corpus.views), batch, seed=0, name="one")
    sequences, targets = [np.array(v.pose2d) for v in corpus.views], [np.array(v.pose3d_cam) for v in corpus.views]
    starts = corpus.starts
    order = np.argsort(starts)
    rows, flips = sampler(0)
    view = order[np.searchsorted(starts[order], rows, side="right") - 1]
    picks = list(zip(view.tolist(), (rows - starts[view]).tolist(), flips.tolist(), strict=True))
    return alternate(
        f"batch assembly, {receptive_field} frames",
        lambda: assemble(sequences, targets, picks, receptive_field, H36M_17.mirror),
        lambda: windows.gather(rows, flips),
        unit="windows",
        amount=batch,
        rounds=15,
        repeat=(1, 4),
    )


def experts(corpus: Corpus, channels: int, dtype: torch.dtype, *, count: int = 15, batch: int = 256) -> Measured:
    """One step of each of 15 experts, batch assembly included: one after another, and side by side."""
    widths = widths_of(27)
    windows = Windows(corpus, 27)
    samplers = [Sampler(rows_of(corpus.views), batch, seed=e, name=str(e)) for e in range(count)]
    networks = [TCN(widths, channels) for _ in range(count)]
    stack = Ensemble([str(e) for e in range(count)], networks, [(0, e) for e in range(count)], dtype=dtype, device=CPU)
    number = iter(range(1_000_000))

    def ours() -> None:
        step = next(number)
        rows, flips = (np.concatenate(part) for part in zip(*(s(step) for s in samplers), strict=True))
        pose2d, target = windows.gather(rows, flips)
        e = (count, batch)
        stack.step(
            step,
            pose2d.reshape(*e, *pose2d.shape[1:]),
            target.reshape(*e, *target.shape[1:]),
            rates=[1e-3] * count,
            momenta=[0.1] * count,
        )

    sequences, targets = [np.array(v.pose2d) for v in corpus.views], [np.array(v.pose3d_cam) for v in corpus.views]
    generator = np.random.default_rng(0)
    conventional = [ConvolutionalTCN(widths, channels, strided=True) for _ in range(count)]
    adams = [torch.optim.Adam(n.parameters(), lr=1e-3, amsgrad=True) for n in conventional]

    def theirs() -> None:
        for network, adam in zip(conventional, adams, strict=True):
            index = generator.integers(0, len(sequences), batch)
            picks = [
                (int(i), int(generator.integers(0, len(sequences[i]))), bool(generator.random() < 0.5)) for i in index
            ]
            pose2d, target = (torch.from_numpy(a) for a in assemble(sequences, targets, picks, 27, H36M_17.mirror))
            adam.zero_grad()
            (network(pose2d)[:, 0] - target).norm(dim=-1).mean().backward()
            adam.step()

    name = "bf16" if dtype == BFLOAT16 else "fp32"
    return alternate(
        f"{count} experts of {channels} channels, {name}", theirs, ours, unit="windows", amount=count * batch
    )


def whole_sequences(corpus: Corpus, dtype: torch.dtype, channels: int = 1024) -> Measured:
    """Lift whole sequences, without flips."""
    network = TCN(widths_of(27), channels).eval()
    conventional = ConvolutionalTCN(network.widths, channels).load_rows(network).eval()
    sequences = [np.array(v.pose2d) for v in corpus.views[:24]]

    @torch.no_grad()
    def theirs() -> None:
        for sequence in sequences:
            conventional(torch.from_numpy(np.pad(sequence, ((13, 13), (0, 0), (0, 0)), "edge"))[None])

    name = "bf16" if dtype == BFLOAT16 else "fp32"
    return alternate(
        f"whole sequences, 27 frames, {channels} channels, {name}",
        theirs,
        lambda: lift(network, sequences, flip=False, dtype=dtype),
        unit="frames",
        amount=sum(map(len, sequences)),
    )


def streaming(receptive_field: int, *, strided: bool, channels: int = 1024) -> Measured:
    """The pose of one new frame: cached activations against a receptive field evaluated anew.

    Conventional projects keep two forms of a network, and evaluate with the dilated one; the strided one, meant for
    training, wastes nothing on a single receptive field and is the harder rival.
    """
    network = TCN(widths_of(receptive_field), channels).eval()
    conventional = ConvolutionalTCN(network.widths, channels, strided=strided).load_rows(network).eval()
    window, frame = torch.randn(1, receptive_field, 17, 2), np.random.default_rng(0).random((17, 2), np.float32)
    stream = Stream(network)
    for _ in range(receptive_field):
        stream.push(frame)

    @torch.no_grad()
    def theirs() -> None:
        conventional(window)

    return alternate(
        f"streaming, {receptive_field} frames, fp32, against the {'strided' if strided else 'dilated'} form",
        theirs,
        lambda: stream.push(frame),
        unit="frames",
        amount=1,
        rounds=15,
        repeat=(5, 20),
    )


def evaluation(corpus: Corpus, dtype: torch.dtype, channels: int = 1024) -> Measured:
    """Lift with flip averaging and score by all metrics."""
    network = TCN(widths_of(27), channels).eval()
    conventional = ConvolutionalTCN(network.widths, channels).load_rows(network).eval()
    views = corpus.views[:24]
    sequences = [np.array(v.pose2d) for v in views]
    predictor = LifterPredictor(network, dtype=dtype)

    def theirs() -> None:
        poses = evaluate_one_by_one(conventional, sequences, 27, H36M_17.mirror)
        for pose, view in zip(poses, views, strict=True):
            true = view.pose3d_cam - view.pose3d_cam[:, :1]
            for metric in METRICS.values():
                metric(pose, true, H36M_17).mean()

    name = "bf16" if dtype == BFLOAT16 else "fp32"
    return alternate(
        f"evaluation with flips and all metrics, {name}",
        theirs,
        lambda: score_poses(predictor(views), views, variant=Variant("one")),
        unit="frames",
        amount=sum(v.frames for v in views),
    )


def all_works(corpus: Corpus) -> Iterator[tuple[str, Callable[[], Measured]]]:
    """Every work by a short name, in the order of the table."""
    for receptive_field, dtype in ((27, FLOAT32), (27, BFLOAT16), (243, BFLOAT16), (1, BFLOAT16)):
        name = f"step{receptive_field}-{'bf16' if dtype == BFLOAT16 else 'fp32'}"
        yield name, lambda r=receptive_field, d=dtype: training_step(r, d)
    for receptive_field in (27, 243):
        yield f"batch{receptive_field}", lambda r=receptive_field: batch_assembly(corpus, r)
    for channels in (128, 256):
        yield f"experts{channels}", lambda c=channels: experts(corpus, c, BFLOAT16)
    for dtype in (FLOAT32, BFLOAT16):
        yield f"sequences-{'bf16' if dtype == BFLOAT16 else 'fp32'}", lambda d=dtype: whole_sequences(corpus, d)
    for receptive_field in (27, 243):
        for strided in (False, True):
            name = f"stream{receptive_field}-{'strided' if strided else 'dilated'}"
            yield name, lambda r=receptive_field, s=strided: streaming(r, strided=s)
    yield "evaluation", lambda: evaluation(corpus, BFLOAT16)


def benchmark_corpus() -> Corpus:
    """Synthetic motion, four cameras; in a folder that is gone with the process."""
    folder = tempfile.TemporaryDirectory(prefix="actlift-bench-")
    corpus = write_corpus(Path(folder.name) / "corpus", synthetic_clips(0), keypoints=IndependentNoise(3.0))
    _kept.append(folder)
    return corpus


_kept: list[object] = []  # the folder lives as long as the process
