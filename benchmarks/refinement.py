"""``python -m benchmarks.refinement cmu_v2.npz``: what bringing lifted poses onto their keypoints gives.

Asked of people who are in neither part of the standard split and whom the networks that come with actlift never saw, in
motion capture of which the joints are exact. Pieces of their clips are seen by random cameras and go through what
`actlift lift` does between a detector and the trajectory, with exact keypoints and with a detector's errors, offline
and live; see docs/decisions/refinement.md. Errors are means over pieces.
"""

import argparse
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from recipes.weights import FPS, coco_joints
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actlift.data.clip import Clip
from actlift.data.keypoints2d import Keypoints2D
from actlift.data.noise import DetectorNoise, Exact
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.evaluation.metrics import p_mpjpe
from actlift.geometry.camera import random_rig
from actlift.geometry.framing import CausalCrop, guessed_camera, virtual_camera_crop
from actlift.geometry.sight import LIMBS, sighted
from actlift.geometry.skeleton import COCO_17, H36M_17, remap, remap_confidence, root_relative
from actlift.geometry.trajectory import root_trajectory
from actlift.lifting.refine import CausalRefiner, refine
from actlift.lifting.smoothing import CUTOFF_HZ, CausalSmoother, butterworth
from actlift.training.run import commit
from actlift.video.clean import OneEuro, preprocess
from actlift.video.pipeline import Lifters
from actlift.video.track import Track

HELD_OUT = ("CMU29", "CMU93", "CMU131", "CMU135")
EXACT = "asf/amc"  # clips that are captured so
PIECE_S = 4.5
LIMB_BONES = [bone for bone in H36M_17.bones if H36M_17.joints[bone[0]][1:] in ("Knee", "Ankle", "Elbow", "Wrist")]


def pieces(clips: Sequence[Clip], every: int) -> Iterator[Clip]:
    """One from the middle of each clip, or two of long ones; every so many-th of all."""
    found = []
    for clip in clips:
        frames = min(clip.frames, round(PIECE_S * clip.fps))
        middles = (1, 3) if clip.frames > 2.5 * frames else (2,)
        for quarter in middles:
            first = max(0, quarter * clip.frames // 4 - frames // 2)
            joints_world = clip.joints_world[first : first + frames]
            found.append(replace(clip, name=f"{clip.name}/{quarter}", joints_world=joints_world))
    yield from found[::every]


def errors(
    pose: Float[np.ndarray, "t 17 3"],
    truth: Float[np.ndarray, "t 17 3"],
    root: Float[np.ndarray, "t 3"] | None,
    rays: Float[np.ndarray, "t 12 3"],
) -> dict[str, float]:
    frames = min(len(pose), len(truth))
    own, true = root_relative(pose[:frames]), root_relative(truth[:frames])
    off = own - true
    limbs = [np.linalg.norm(own[:, child] - own[:, parent], axis=-1).std() for child, parent in LIMB_BONES]
    found = {
        "MPJPE": 1000 * np.linalg.norm(off, axis=-1).mean(),
        "P-MPJPE": 1000 * p_mpjpe(own, true).mean(),
        "MPJVE": 1000 * np.linalg.norm(np.diff(off, axis=0), axis=-1).mean(),
        "m/s²": FPS**2 * np.linalg.norm(np.diff(off, n=2, axis=0), axis=-1).mean(),
        "limbs' sd": 1000 * np.mean(limbs),
    }
    if root is not None:
        placed = (pose + root[:, None])[:, [H36M_17.index(joint) for joint in LIMBS]]
        found["off rays"] = 1000 * np.linalg.norm(np.cross(placed, rays[: len(placed)]), axis=-1).mean()
    return {name: float(value) for name, value in found.items()}


def scored(clip: Clip, noise: DetectorNoise | Exact, lifters: Lifters, causal: Lifters) -> Iterator[dict[str, object]]:
    (camera,) = random_rig(clip.joints_world, (0, zlib.crc32(clip.name.encode())), 1)
    pose3d_cam = camera.world_to_cam(clip.joints_world)
    seed = (0, zlib.crc32(clip.name.encode()), zlib.crc32(camera.name.encode()))
    points_px, confidence = noise.observe(camera.cam_to_px(coco_joints(pose3d_cam)), COCO_17, clip.fps, seed)
    points_px, confidence = points_px.astype(np.float32), confidence.astype(np.float32)
    times_s = np.arange(clip.frames) / clip.fps
    guess = guessed_camera(camera.width, camera.height)
    step = round(clip.fps / FPS)
    truth = pose3d_cam[::step]

    clean = preprocess(Track(1, times_s, points_px, confidence), FPS)
    frames = virtual_camera_crop(remap(clean.points_px, COCO_17, H36M_17), guess, FPS)
    sure = remap_confidence(clean.confidence, COCO_17, H36M_17).astype(np.float32)
    lifted = butterworth(frames.to_cam(lifters.lift(Keypoints2D(frames.pose2d, sure, FPS, guess))), FPS, CUTOFF_HZ)
    began = time.process_time()
    refined = refine(lifted, clean.points_px, clean.confidence, FPS, guess)
    seconds = time.process_time() - began
    root = root_trajectory(sighted(lifted, clean.points_px, clean.confidence, FPS, guess)).root_cam

    follow = OneEuro()
    parts = zip(times_s[::step], points_px[::step], confidence[::step], strict=True)
    live_px = np.stack([follow(float(at_s), points, known) for at_s, points, known in parts])
    frames = CausalCrop(guess, FPS)(remap(live_px, COCO_17, H36M_17))
    live = frames.to_cam(causal.lift(Keypoints2D(frames.pose2d, np.ones((len(live_px), 17), np.float32), FPS, guess)))
    live_refined = CausalRefiner(FPS, guess)(live, live_px, confidence[::step])

    def rays(seen_px: Float[np.ndarray, "t 17 2"]) -> Float[np.ndarray, "t 12 3"]:
        limbs_px = seen_px[:, [COCO_17.index(joint) for joint in LIMBS]]
        along = guess.px_to_cam(limbs_px, np.ones(limbs_px.shape[:2]))
        return np.asarray(along / np.linalg.norm(along, axis=-1, keepdims=True))

    about = {"keypoints": type(noise).__name__, "frames": len(lifted), "seconds": seconds}
    for way, pose, place in (
        ("lifted", lifted, root),
        ("refined", refined.pose3d_cam, refined.root_cam),
        ("live, lifted", CausalSmoother(FPS)(live), None),
        ("live, refined", CausalSmoother(FPS)(live_refined), None),
    ):
        yield {**about, "way": way, **errors(pose, truth, place, rays(clean.points_px))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--every", type=int, default=1, help="of how many pieces one is taken")
    asked = parser.parse_args()
    clips = [c for c in read_mocap_npz(asked.source) if c.subject in HELD_OUT and c.capture == EXACT]
    chosen = list(pieces(clips, asked.every))
    lifters, causal = Lifters(), Lifters("causal")
    kinds = (Exact(), DetectorNoise())
    rows = pd.DataFrame([row for clip in chosen for noise in kinds for row in scored(clip, noise, lifters, causal)])
    means = rows.groupby(["keypoints", "way"], sort=False).mean()
    shown = [name for name in means.columns if name not in ("frames", "seconds")]
    table = Table(box=SIMPLE_HEAD, title=f"{len(chosen)} pieces of {', '.join(HELD_OUT)}; mm; commit {commit()}")
    for head in ("keypoints", "", *shown):
        table.add_column(head, justify="right" if head in shown else "left")
    for (kind, way), row in means.iterrows():  # type: ignore[misc]
        table.add_row(kind, way, *("" if np.isnan(row[name]) else f"{row[name]:.2f}" for name in shown))
    console = Console(width=120)
    console.print(table)
    one = rows[rows.way == "refined"]
    console.print(f"{one.frames.sum() / one.seconds.sum():.0f} frames/s of CPU time refined")


if __name__ == "__main__":
    main()
