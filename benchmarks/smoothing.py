"""``python -m benchmarks.smoothing cmu_v2.npz hdm05.npz``: which cut-off smooths lifted poses best?

Asked of people of the training set alone: networks are trained without HELD_OUT, and filters scored on these; the test
people of the standard split are left out of both. Three parts, each a table of figures (means over actions):

study    a generalist on plain keypoints, at 60 fps, its output filtered with cut-offs of 2 to 15 Hz: with 3 px of
         independent noise, and with a detector's errors (`DetectorNoise`).
product  what `actlift lift` does after detection, at 30 fps: a detector's keypoints cleaned, with and without their own
         low-pass, framed, lifted, in the camera's axes, filtered. Unfiltered and at the default cut-off, also how far
         off the speed of the pelvis through the scene is.
live     what `actlift lift --live` does: the causal network behind the 1 euro filter of keypoints, and behind that of
         poses.

Networks are small (27 frames, 128 channels). What was trained before is not trained again. Keypoints are synthetic.
"""

import argparse
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from recipes.weights import FPS, NOISE, TEST, coco_joints, training_corpus
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actlift.data.clip import Clip
from actlift.data.corpus import Corpus, write_corpus
from actlift.data.keypoints2d import Keypoints2D
from actlift.data.noise import DetectorNoise, IndependentNoise, Keypoints
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Variant
from actlift.geometry.camera import random_rig
from actlift.geometry.framing import CausalCrop, guessed_camera, virtual_camera_crop
from actlift.geometry.skeleton import COCO_17, H36M_17, remap, remap_confidence, root_relative
from actlift.geometry.trajectory import global_trajectory
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.lifting.smoothing import CUTOFF_HZ, CausalSmoother, smooth
from actlift.report.tables import number
from actlift.training.budget import Budget
from actlift.training.loop import ModelSpec, TrainProgress, train
from actlift.training.run import commit
from actlift.video.clean import OneEuro, preprocess
from actlift.video.track import Track

HELD_OUT = ("HDMdg", "CMU02", "CMU09", "CMU16", "CMU49")  # do most actions that somebody else does, too
CUTOFFS_HZ = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0)
INPUT_HZ = (None, 4.0, 6.0)  # cut-offs of the keypoints' own low-pass
LIVE = [(hz, slope) for hz in (0.5, 1.0, 2.0, 4.0) for slope in (0.0, 4.0, 8.0, 16.0, 32.0)]
SHOWN = (
    "mpjpe",
    "p_mpjpe",
    "mpjve",
    "velocity_error_per_s",
    "acceleration_error_per_s2",
    "peak_speed_lost",
    "power_lost",
    "power_added",
)
SPEED = METRICS["velocity_error_per_s"]
PELVIS = "Pelvis, velocity error\nmm/s"
CAMERAS = 2  # that see each clip in the parts of the product
CONSOLE = Console(width=170, highlight=False)

Figures = Mapping[str, float]


def generalist(folder: Path, corpus: Corpus, steps: int, seed: int, *, causal: bool = False) -> LifterPredictor:
    spec = ModelSpec("generalist", rows_of(corpus.views), Budget(steps, 256))
    model = {"widths": [3, 3, 3], "channels": 128, "dropout": 0.1, "causal": causal}
    name = f"{folder.name}-{steps}-seed{seed}"

    def on_progress(p: TrainProgress) -> None:
        CONSOLE.print(f"{name}: {p.windows / p.windows_total:.0%}, {p.loss:.1f} mm ", end="\r")

    run = train(folder.with_name(name), corpus, [spec], model=model, seed=seed, on_progress=on_progress)
    return LifterPredictor(load_lifter(run))


def show(title: str, rows: Mapping[tuple[str, ...], Figures], heads: Sequence[str]) -> None:
    table = Table(box=SIMPLE_HEAD, title=f"{title}; commit {commit()}", title_justify="left")
    for head in heads:
        table.add_column(head)
    shown = list(next(iter(rows.values())))  # the first row has all there are
    for name in shown:
        head = f"{METRICS[name].title}\n{METRICS[name].unit}" if name in METRICS else PELVIS
        table.add_column(head, justify="right")
    for labels, figures in rows.items():
        table.add_row(*labels, *(number(figures.get(name, np.nan), METRICS.get(name, SPEED)) for name in shown))
    CONSOLE.print(table)


def hertz(cutoff: float | None) -> str:
    return "none" if cutoff is None else f"{cutoff:g} Hz"


# the study's way


def study(work: Path, clips: Sequence[Clip], steps: int, seed: int) -> None:
    kinds: dict[str, Keypoints] = {"independent": IndependentNoise(3.0), "detector": DetectorNoise()}
    for kind, keypoints in kinds.items():
        folder = work / f"study-{kind}"
        whole = folder / "manifest.json"
        corpus = Corpus.open(folder) if whole.exists() else write_corpus(folder, clips, keypoints=keypoints)
        training, held_out = corpus.split(HELD_OUT, shared_actions_only=True)
        predictor = generalist(work / f"study-{kind}-run", training, steps, seed)
        views = held_out.views
        poses = predictor([v.keypoints for v in views])
        rows = {}
        for cutoff in (None, *CUTOFFS_HZ):
            found = poses if cutoff is None else smooth(poses, corpus.fps, cutoff)
            scores = score_poses(found, views, variant=Variant("generalist"), metrics=SHOWN)
            rows[hertz(cutoff),] = {m: float(scores.per_action(m)[MEAN_OVER_ACTIONS].iloc[0]) for m in SHOWN}
        about = f"{kind}, {len(views)} views of {len(held_out.actions)} actions, digest {corpus.digest[:12]}"
        show(f"study: {about}; {steps:,} steps, seed {seed}", rows, ["output"])


# the product's way


def seen(clips: Sequence[Clip]) -> Iterator[tuple[Clip, Track, Float[np.ndarray, "t 17 3"], Any]]:
    """Each clip as a detector reports it of random cameras, the pose in their axes, and the camera as guessed."""
    for clip in clips:
        for camera in random_rig(clip.joints_world, (0, zlib.crc32(clip.name.encode())), CAMERAS):
            pose3d_cam = camera.world_to_cam(clip.joints_world)
            seed = (0, zlib.crc32(clip.name.encode()), zlib.crc32(camera.name.encode()))
            points_px, confidence = NOISE.observe(camera.cam_to_px(coco_joints(pose3d_cam)), COCO_17, clip.fps, seed)
            track = Track(1, np.arange(clip.frames) / clip.fps, points_px.astype(np.float32), confidence)
            yield clip, track, pose3d_cam, guessed_camera(camera.width, camera.height)


def figures(clip: Clip, pose: Float[np.ndarray, "t 17 3"], truth: Float[np.ndarray, "t 17 3"]) -> dict[str, Any]:
    """All errors of one view, and what to weigh it by."""
    frames = min(len(pose), len(truth))
    own, true = root_relative(pose[:frames].astype(np.float64)), root_relative(truth[:frames].astype(np.float64))
    length = np.array([frames])
    values = {
        m.name: m.scale * float(m(own, true, H36M_17, FPS).mean())
        for m in map(METRICS.__getitem__, SHOWN)
        if m.frames(length, FPS)[0]
    }
    return {"action": clip.action, "frames": frames, **values}


def over_actions(views: Sequence[Mapping[str, Any]]) -> Figures:
    table = pd.DataFrame(views)
    weighed = {
        name: [np.average(own[name], weights=own["frames"]) for _, own in table.dropna(subset=[name]).groupby("action")]
        for name in table.columns.drop(["action", "frames"])
    }
    return {name: float(np.mean(values)) for name, values in weighed.items()}


def product(work: Path, training: Sequence[Clip], held_out: Sequence[Clip], steps: int, seed: int) -> None:
    corpus = training_corpus(work, training, causal=False)
    predictor = generalist(work / "product-run", corpus, steps, seed)
    views: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for clip, track, truth, camera in seen(held_out):
        for input_hz in INPUT_HZ:
            clean = preprocess(track, FPS, cutoff_hz=input_hz or FPS)
            frames = virtual_camera_crop(remap(clean.points_px, COCO_17, H36M_17), camera, FPS)
            confidence = remap_confidence(clean.confidence, COCO_17, H36M_17).astype(np.float32)
            pose = frames.to_cam(predictor([Keypoints2D(frames.pose2d, confidence, FPS, camera)])[0])
            for output_hz in (None, *CUTOFFS_HZ[:-1]):
                found = pose if output_hz is None else smooth([pose], FPS, output_hz)[0]
                figure = figures(clip, found, truth)
                if output_hz in (None, CUTOFF_HZ):  # it takes its time
                    way = global_trajectory(found, clean.points_px, clean.confidence, FPS, camera)
                    pelvis = way.camera.world_to_cam(way.joints_world)[: len(truth), :1]
                    figure[PELVIS] = SPEED.scale * SPEED(pelvis, truth[: len(pelvis), :1], H36M_17, FPS).mean()
                views.setdefault((hertz(input_hz), hertz(output_hz)), []).append(figure)
    about = f"{len(held_out)} clips, {CAMERAS} cameras each, training digest {corpus.digest[:12]}"
    rows = {labels: over_actions(of) for labels, of in views.items()}
    show(f"product: {about}; {steps:,} steps, seed {seed}", rows, ["input", "output"])


def live(work: Path, training: Sequence[Clip], held_out: Sequence[Clip], steps: int, seed: int) -> None:
    corpus = training_corpus(work, training, causal=True)
    predictor = generalist(work / "live-run", corpus, steps, seed, causal=True)
    views: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for clip, track, truth, camera in seen(held_out):
        follow = OneEuro()
        if not track.confidence[0].any():
            continue
        clean = np.stack(
            [follow(float(t), p, c) for t, p, c in zip(track.times_s, track.points_px, track.confidence, strict=True)]
        )
        frames = CausalCrop(camera, FPS)(remap(clean, COCO_17, H36M_17))
        ones = np.ones(frames.pose2d.shape[:2], np.float32)
        pose = frames.to_cam(predictor([Keypoints2D(frames.pose2d, ones, FPS, camera)])[0])
        ways: dict[tuple[str, ...], Callable[[np.ndarray], np.ndarray]] = {("none", ""): lambda p: p}
        ways |= {(hertz(hz), f"{slope:g}"): CausalSmoother(FPS, hz, slope) for hz, slope in LIVE}
        for labels, way in ways.items():
            views.setdefault(labels, []).append(figures(clip, way(pose), truth))
    about = f"{len(held_out)} clips, {CAMERAS} cameras each, training digest {corpus.digest[:12]}"
    rows = {labels: over_actions(of) for labels, of in views.items()}
    show(f"live: {about}; {steps:,} steps, seed {seed}", rows, ["at rest", "Hz per m/s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, default=Path("out/smoothing"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", default=["study", "product", "live"])
    asked = parser.parse_args()
    clips = [c for source in asked.sources for c in read_mocap_npz(source) if c.subject not in TEST]
    training = [clip for clip in clips if clip.subject not in HELD_OUT]
    shared = {clip.action for clip in training}
    held_out = [clip.resampled(FPS) for clip in clips if clip.subject in HELD_OUT and clip.action in shared]
    if "study" in asked.parts:
        study(asked.work, clips, asked.steps, asked.seed)
    if "product" in asked.parts:
        product(asked.work, training, held_out, asked.steps, asked.seed)
    if "live" in asked.parts:
        live(asked.work, training, held_out, asked.steps, asked.seed)


if __name__ == "__main__":
    main()
