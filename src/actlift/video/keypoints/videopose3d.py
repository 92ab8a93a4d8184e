"""VideoPose3D's `data_2d_*.npz` with one sequence: `metadata` and `positions_2d`.

The latter is subject -> take -> cameras, each (t, j, 2).
"""

from typing import Any

import numpy as np

from actlift.errors import InputError
from actlift.video.keypoints.base import Content, RawKeypoints, float_array, one_size
from actlift.video.keypoints.layouts import LAYOUTS_OF

SERIES = (list, tuple, np.ndarray)


def recognize(content: Content) -> bool:
    return {"positions_2d", "metadata"} <= content.arrays.keys()


def read(content: Content) -> RawKeypoints:
    subjects, metadata = content.arrays["positions_2d"], content.arrays["metadata"]
    if not (
        isinstance(subjects, dict)
        and all(isinstance(takes, dict) for takes in subjects.values())
        and all(isinstance(cameras, SERIES) for takes in subjects.values() for cameras in takes.values())
    ):
        raise InputError("'positions_2d' is not in its layout; wanted a dict of subjects, each a dict of takes")
    sequences = {
        f"{subject}/{take}, camera {i}": (subject, held)
        for subject, takes in subjects.items()
        for take, cameras in takes.items()
        for i, held in enumerate(cameras)
        if held is not None
    }
    if len(sequences) != 1:
        raise InputError(
            f"'positions_2d' has {len(sequences)} sequences ({', '.join(list(sequences)[:3])}, ...); wanted one. Write "
            "it into a file of its own: numpy.savez(name, keypoints=positions_2d[subject][take][camera])"
        )
    ((subject, held),) = sequences.values()
    points = float_array(held, "positions_2d")
    about = metadata if isinstance(metadata, dict) else {}
    sides = _sides(about.get("keypoints_symmetry"))
    layouts = LAYOUTS_OF.get(points.shape[1] if points.ndim == 3 else 0, ())
    videos = about.get("video_metadata")
    size = videos.get(subject) if isinstance(videos, dict) else None
    return RawKeypoints.from_arrays(
        "videopose3d",
        points,
        layout=next((known.name for known in layouts if sides == [list(known.left), list(known.right)]), None),
        size=one_size([(size.get("w"), size.get("h"))] if isinstance(size, dict) else []),
    )


def _sides(symmetry: Any) -> list[list[Any]]:
    """The joints of the left and of the right side; empty where they are not told."""
    if not isinstance(symmetry, SERIES) or not all(isinstance(side, SERIES) for side in symmetry):
        return []
    return [list(side) for side in symmetry]
