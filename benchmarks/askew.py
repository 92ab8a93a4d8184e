"""``python -m benchmarks.askew cmu_v2.npz hdm05.npz``: what a camera that is held askew costs the networks that come.

Clips of people of the training side are seen by random cameras without distortion, and by the same ones turned about
their axes; focal lengths are guessed. What follows detection in `actlift lift`, but for the refinement, lifts them, as
it is and with the camera taken to be level. The people to report on are left out altogether. Keypoints are synthetic.
"""

import argparse
import zlib
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from recipes.weights import FPS, TEST, coco_joints
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation

from actlift.data.clip import Clip
from actlift.data.noise import DetectorNoise, Exact
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.evaluation.metrics import mpjpe, p_mpjpe
from actlift.geometry.camera import Camera, random_rig
from actlift.geometry.skeleton import COCO_17
from actlift.training.run import commit
from actlift.video import pipeline
from actlift.video.pipeline import Lifters, lift_track
from actlift.video.track import Track

ROLLS_DEG = (0.0, 10.0, 20.0, 30.0, 45.0, 90.0, 180.0)
FRAMES = 180  # of a clip at most


def rolled(camera: Camera, degrees: float) -> Camera:
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    R_cam_world, t_cam_world = turn @ camera.R_cam_world, turn @ camera.t_cam_world
    return replace(camera, R_cam_world=R_cam_world, t_cam_world=t_cam_world, radial=np.zeros(3))


def scored(clip: Clip, camera: Camera, noise: DetectorNoise | Exact, lifters: Lifters) -> dict[str, float]:
    pose3d_cam = camera.world_to_cam(clip.joints_world)
    seed = (0, zlib.crc32(clip.name.encode()))
    points_px, confidence = noise.observe(camera.cam_to_px(coco_joints(pose3d_cam)), COCO_17, clip.fps, seed)
    times_s = np.arange(clip.frames) / clip.fps
    track = Track(1, times_s, points_px.astype(np.float32), confidence.astype(np.float32))
    motion = lift_track(track, camera.width, camera.height, lifters=lifters, refine=False)
    found = motion.camera.world_to_cam(motion.joints_world.astype(np.float64))
    own, true = (pose - pose[:, :1] for pose in (found, pose3d_cam))
    up = float(motion.camera.R_cam_world[:, 2] @ camera.R_cam_world[:, 2])
    return {
        "P-MPJPE mm": 1000 * float(p_mpjpe(own, true).mean()),
        "MPJPE mm": 1000 * float(mpjpe(own, true).mean()),
        "gravity off, degrees": float(np.rad2deg(np.arccos(np.clip(up, -1, 1)))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--lifter", default="generalist")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument(
        "--noise", action="store_true", help="keypoints as a detector gives them, instead of exact ones"
    )
    asked = parser.parse_args()
    clips = [clip for source in asked.sources for clip in read_mocap_npz(source) if clip.subject not in TEST]
    chosen = [clips[i] for i in np.random.default_rng(0).permutation(len(clips))[: asked.clips]]
    lifters, noise = Lifters(asked.lifter), DetectorNoise() if asked.noise else Exact()
    rows = []
    for clip in (clip.resampled(FPS) for clip in chosen):
        piece = clip.piece(0, FRAMES) if clip.frames > FRAMES else clip
        (camera,) = random_rig(piece.joints_world, (0, zlib.crc32(clip.name.encode())), 1)
        for roll_deg in ROLLS_DEG:
            for way, level_deg in (("turned upright", pipeline.LEVEL_DEG), ("as it is", np.inf)):
                with patch.object(pipeline, "LEVEL_DEG", level_deg):
                    errors = scored(piece, rolled(camera, roll_deg), noise, lifters)
                rows.append({"lifted": way, "roll": roll_deg, **errors})
    found = pd.DataFrame(rows).groupby(["lifted", "roll"]).mean()
    table = Table(box=SIMPLE_HEAD, title=f"{asked.lifter}, {type(noise).__name__}; commit {commit()}")
    for column in ("lifted", "error", *(f"roll {roll:g}°" for roll in ROLLS_DEG)):
        table.add_column(column)
    for way, of_way in found.groupby(level="lifted"):
        for error, values in of_way.items():
            table.add_row(str(way), str(error), *(f"{v:.1f} ({v / values.iloc[0]:.2f})" for v in values))
    console = Console(width=150)
    console.print(table)
    console.print(f"mean over {len(chosen)} clips of {len({clip.subject for clip in chosen})} people; seed 0")


if __name__ == "__main__":
    main()
