"""NumPy: `.npy`, or `.npz` with `keypoints`, perhaps with scores, fps, size, joints, layout and ids.

Keypoints are (t, j, 2 or 3) or (t, people, j, 2 or 3).
"""

from typing import Any

import numpy as np

from actlift.errors import InputError
from actlift.video.keypoints.base import Content, RawKeypoints, one_size, positive


def recognize(content: Content) -> bool:
    return content.kind == ".npy" or "keypoints" in content.arrays


def read(content: Content) -> RawKeypoints:
    arrays = content.arrays
    if content.kind == ".npy":
        try:
            points = np.load(content.path, mmap_mode="r", allow_pickle=False)  # mapped: no size is believed
        except (ValueError, EOFError, OSError) as error:
            raise InputError(f"no whole .npy file of numbers: {error}") from error
        return RawKeypoints.from_arrays("numpy", points)

    def first(*names: str) -> Any:
        return next((arrays[name] for name in names if name in arrays), None)

    size = first("size", "image_size", "resolution")
    if size is not None and np.size(size) < 2:
        raise InputError("the size of the image is one number; wanted width and height")
    width, height = (first("width", "w"), first("height", "h")) if size is None else np.ravel(size)[:2]
    names, layout = first("joints", "joint_names", "names"), first("layout")
    return RawKeypoints.from_arrays(
        "numpy",
        arrays["keypoints"],
        first("scores", "confidence", "score", "keypoint_scores"),
        joints=None if names is None else [str(name) for name in np.ravel(names)],
        layout=None if layout is None else str(layout),
        fps=positive(_item(first("fps"))),
        size=one_size([(_item(width), _item(height))]),
        ids=first("ids", "track_ids"),
    )


def _item(value: Any) -> Any:
    """The number in an array of one."""
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.size == 1 else value
