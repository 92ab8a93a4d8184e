"""Motions to export, and what every exporter's test asks."""

import numpy as np

from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.camera import Camera, look_at
from actlift.geometry.skeleton import COCO_17, H36M_17
from actlift.motion.motion import Motion, Segment


def motion_of(joints_world: np.ndarray, fps: float = 50.0, **fields) -> Motion:
    """A motion of these joints, seen by a camera six meters away; two actions unless told otherwise."""
    t = len(joints_world)
    start_s = fields.setdefault("start_s", 2.5)
    fields.setdefault(
        "action_timeline",
        (
            Segment(start_s, start_s + t / 2 / fps, "Walking", 0.9),
            Segment(start_s + t / 2 / fps, start_s + t / fps, "unknown"),
        ),
    )
    middle = joints_world[:, 0].mean(axis=0).astype(np.float64)
    R, translation = look_at(middle - (0, 6, 0), middle)
    camera = Camera(
        "assumed", R, translation, np.full(2, 1000.0), np.array([640.0, 360.0]), 1280, 720, np.zeros(3), np.zeros(2)
    )
    rng = np.random.default_rng(0)
    return Motion(
        fps=fps,
        joints_world=joints_world,
        pose2d_px=rng.uniform(0, 700, (t, len(COCO_17), 2)),
        confidence=rng.random((t, len(COCO_17))),
        contacts=joints_world[:, [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")], 2] < 0.1,
        camera=camera,
        **fields,
    )


def walking(seconds: float = 1.0, fps: float = 50.0, **fields) -> Motion:
    """Somebody who walks, with bones of constant lengths and hips on either side of the pelvis."""
    (clip,) = synthetic_clips(0, subjects=1, clips=1, seconds=seconds, fps=fps, actions=["Walking"])
    return motion_of(clip.joints_world.astype(np.float64), fps, **fields)
