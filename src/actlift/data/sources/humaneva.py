"""HumanEva-I as the .npz file in which it circulates: `data_3d_humaneva15.npz` of Pavllo et al. (VideoPose3D, 2019).

Three people, five actions, 60 frames per second (Sigal, Balan, Black, IJCV 2010). `positions_3d` is subject -> take ->
(t, 15, 3) meters in the world. Subjects are `Train/S1`, `Validate/S1` and so on: the same people on both sides, which
is the protocol of that dataset. Here the subject is the person, `S1`, so that nobody stands on both sides of a split;
the side remains in the clip's name, `Train/S1/Walking 1 chunk0`. Takes are cut into chunks where the capture failed.

`H36M_17` has two joints more: Spine, put halfway between Pelvis and Thorax, and Neck, halfway between Thorax and Head.
Thorax is the mean of the upper end of the torso and the lower end of the head; Head is the head's upper end.

No table of the three color cameras is public in full (the lenses of C2 and C3 lack their distortion), so clips come
without cameras: a virtual rig sees them, and detections in the videos cannot be used.
"""

import os
import re
from pathlib import Path

import numpy as np

from actlift.data.archive import npz_holds
from actlift.data.clip import Clip
from actlift.data.sources.h36m import check_positions, read_positions
from actlift.errors import InputError
from actlift.geometry.skeleton import H36M_17

FPS = 60.0
ACTIONS = ("Box", "Gestures", "Jog", "ThrowCatch", "Walking")
JOINTS_15 = (
    *("Pelvis", "Thorax", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist"),
    *("LHip", "LKnee", "LAnkle", "RHip", "RKnee", "RAnkle", "Head"),
)
INTERPOLATED = {"Spine": ("Pelvis", "Thorax"), "Neck": ("Thorax", "Head")}  # joint: halfway between which


def is_humaneva(source: str) -> bool:
    """Tell whether a source is a file like `data_3d_humaneva15.npz`: a slash stands in the names of its subjects."""
    return npz_holds(source, "positions_3d") and any("/" in subject for subject in read_positions(Path(source)))


def read_humaneva(path: str | os.PathLike[str]) -> list[Clip]:
    """Read all chunks, named like `Train/S1/Walking 1 chunk0`, subject `S1`, action `Walking`.

    Raises:
        MissingInputError: there is no such file.
        InputError: it is damaged or not in its layout, or a subject or action is not one of HumanEva-I.
    """
    path = Path(path)
    clips = []
    for side, takes in read_positions(path).items():
        person = re.fullmatch(r"(?:Train|Validate)/(S[1-4])", side)
        if not person:
            raise InputError(f"{path}: subject '{side}'; wanted 'Train/' or 'Validate/' and S1 to S4")
        for take, positions in takes.items():
            name = f"{side}/{take}"
            action = take.split(" ")[0]
            if action not in ACTIONS:
                raise InputError(f"{path}: '{take}' is no action of HumanEva-I; they are {', '.join(ACTIONS)}")
            try:
                joints = np.moveaxis(check_positions(name, positions, len(JOINTS_15)), 1, 0)
                points = dict(zip(JOINTS_15, joints, strict=True))
                points |= {joint: (points[a] + points[b]) / 2 for joint, (a, b) in INTERPOLATED.items()}
                joints_world = np.stack([points[joint] for joint in H36M_17.joints], axis=1)
                clips.append(Clip(name, person[1], action, FPS, joints_world, capture="HumanEva-I", dataset="humaneva"))
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
    return clips
