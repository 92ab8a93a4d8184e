"""``python -m benchmarks.lifting cmu.npz hdm05.npz``: what lifting gives of people nobody was trained on, end to end.

Clips of motion capture are seen by random cameras; their keypoints, as a detector would report them, go through all
that follows detection in `actlift lift`: cleaning, framing, recognition, lifting, floor and trajectory. Focal lengths
are guessed. Beside it stand exact keypoints, the upper bar. Keypoints are synthetic.
"""

import argparse
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from recipes.weights import FPS, TEST, coco_joints
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actlift.data.clip import Clip
from actlift.data.noise import DetectorNoise, Exact
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.evaluation.metrics import mpjpe, p_mpjpe
from actlift.geometry.camera import random_rig
from actlift.geometry.skeleton import COCO_17
from actlift.training.run import commit
from actlift.video.pipeline import Lifters, lift_track
from actlift.video.track import Track

CAMERAS = 2


def tracked(
    clip: Clip, noise: DetectorNoise | Exact
) -> list[tuple[Track, Float[np.ndarray, "t 17 3"], tuple[int, int]]]:
    """A clip as tracks of random cameras, with the joints in each camera's axes and the size of the image."""
    found = []
    for camera in random_rig(clip.joints_world, (0, zlib.crc32(clip.name.encode())), CAMERAS):
        pose3d_cam = camera.world_to_cam(clip.joints_world)
        exact_px = camera.cam_to_px(coco_joints(pose3d_cam))
        seed = (0, zlib.crc32(clip.name.encode()), zlib.crc32(camera.name.encode()))
        points_px, confidence = noise.observe(exact_px, COCO_17, clip.fps, seed)
        times_s = np.arange(clip.frames) / clip.fps
        track = Track(1, times_s, points_px.astype(np.float32), confidence.astype(np.float32))
        found.append((track, pose3d_cam, (camera.width, camera.height)))
    return found


def scored(clip: Clip, noise: DetectorNoise | Exact, lifters: Lifters, refine: bool) -> list[dict[str, object]]:
    rows = []
    for track, truth, (width, height) in tracked(clip, noise):
        motion = lift_track(track, width, height, lifters=lifters, refine=refine, fps=clip.fps)
        frames = min(motion.frames, len(truth))
        found = motion.camera.world_to_cam(motion.joints_world)[:frames]
        own, true = (p[:frames] - p[:frames, :1] for p in (found, truth))
        joined = motion.action_timeline
        right = sum(s.stop_s - s.start_s for s in joined if s.label == clip.action)
        unknown = sum(s.stop_s - s.start_s for s in joined if s.label == "unknown")
        total = sum(s.stop_s - s.start_s for s in joined)
        rows.append(
            {
                "action": clip.action,
                "mpjpe": 1000 * float(mpjpe(own, true).mean()),
                "p_mpjpe": 1000 * float(p_mpjpe(own, true).mean()),
                "mpjve": 1000 * float(np.linalg.norm(np.diff(own - true, axis=0), axis=-1).mean()),
                "named right": right / total,
                "named wrong": 1 - (right + unknown) / total,
                "warned": sum(s.stop_s - s.start_s for s in motion.warnings) / total,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--lifter", default="aware")
    parser.add_argument("--refine", action=argparse.BooleanOptionalAction, default=True)
    asked = parser.parse_args()
    clips = [clip for source in asked.sources for clip in read_mocap_npz(source) if clip.subject in TEST]
    lifters = Lifters(asked.lifter)
    clips = [clip.resampled(FPS) for clip in clips if clip.action in Lifters().card["actions"]]
    began = time.perf_counter()
    tables = {
        noise: pd.DataFrame([row for clip in clips for row in scored(clip, noise, lifters, asked.refine)])
        for noise in (DetectorNoise(), Exact())
    }
    frames = sum(clip.frames for clip in clips) * CAMERAS * len(tables)
    means = {type(noise).__name__: table.groupby("action").mean() for noise, table in tables.items()}
    way = f"{asked.lifter}, {'refined' if asked.refine else 'as lifted'}"
    title = f"{way}; commit {commit()}; {len(clips)} clips, {CAMERAS} cameras each"
    table = Table(box=SIMPLE_HEAD, title=title)
    table.add_column("")
    for kind, mean in means.items():
        for name in mean.columns:
            table.add_column(f"{kind}\n{name}", justify="right")
    for action in [*next(iter(means.values())).index, "mean over actions"]:
        rows = [mean.mean() if action == "mean over actions" else mean.loc[action] for mean in means.values()]
        table.add_row(str(action), *(f"{v:.1f}" if v > 1.5 else f"{v:.2f}" for row in rows for v in row))
    console = Console(width=180)
    console.print(table)
    console.print(f"{frames / (time.perf_counter() - began):.0f} frames/s from keypoints to motion")


if __name__ == "__main__":
    main()
