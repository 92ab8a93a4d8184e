"""What a user knows of a camera, in a JSON file."""

from pathlib import Path
from typing import Any

import numpy as np

from actlift.errors import InputError, MissingInputError
from actlift.files import read_json
from actlift.geometry.camera import Camera

NEEDED = ("focal_px", "width", "height")


def read_camera(path: Path) -> Camera:
    """A camera from a JSON file: ``focal_px`` (a number, or two), ``width`` and ``height`` of the image, and, where
    they are known, what else a `Camera` has (``center_px``, ``radial``, ``tangential``, ``R_cam_world``).

    Raises:
        FileNotFoundError: for no such file.
        ValueError: for what is no camera; names the file and what is missing or unknown.
    """
    if not path.is_file():
        raise MissingInputError(f"{path}: no such file; --camera takes a JSON file")
    record = read_json(path)
    if not isinstance(record, dict) or (missing := [name for name in NEEDED if name not in record]):
        lacking = ", ".join(missing) if isinstance(record, dict) else "everything"
        raise InputError(
            f'{path}: no camera; {lacking} is missing. Wanted something like {{"focal_px": 1450, "width": 1920, '
            '"height": 1080}'
        )
    known: dict[str, Any] = {
        "name": path.stem,
        "R_cam_world": np.eye(3).tolist(),
        "t_cam_world": [0.0] * 3,
        "center_px": [record["width"] / 2, record["height"] / 2],
        "radial": [0.0] * 3,
        "tangential": [0.0] * 2,
    }
    focal = record["focal_px"]
    try:
        return Camera.from_dict({**known, **record, "focal_px": focal if isinstance(focal, list) else [focal, focal]})
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error
