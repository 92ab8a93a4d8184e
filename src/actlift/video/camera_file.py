"""What a user knows of a camera, in a JSON file."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from actlift.errors import InputError, MissingInputError
from actlift.files import read_json
from actlift.geometry.camera import Camera

NEEDED = ("focal_px", "width", "height")


def read_camera(path: Path) -> Camera:
    """A camera from a JSON file: ``focal_px`` (a number, or two), ``width`` and ``height`` of the image, and, where
    they are known, what else a `Camera` has (``center_px``, ``radial``, ``tangential``, ``R_cam_world``).

    Raises:
        MissingInputError: for no such file.
        InputError: for what is no camera; names the file and what is missing or unknown.
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
    numbers = {name: _numbers(path, name, value) for name, value in record.items() if name != "name"}
    if numbers["width"].shape or numbers["height"].shape:
        raise InputError(f"{path}: width and height are one number each, in pixels")
    known: dict[str, Any] = {
        "name": path.stem,
        "R_cam_world": np.eye(3),
        "t_cam_world": np.zeros(3),
        "center_px": [record["width"] / 2, record["height"] / 2],
        "radial": np.zeros(3),
        "tangential": np.zeros(2),
    }
    focal_px = numbers["focal_px"] if numbers["focal_px"].shape else np.repeat(numbers["focal_px"], 2)
    try:
        return Camera.from_dict({**known, **record, "focal_px": focal_px})
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _numbers(path: Path, name: str, value: Any) -> Float[np.ndarray, "..."]:
    try:
        numbers = np.asarray(np.nan if isinstance(value, str) else value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # no numbers, or lists of different lengths
        numbers = np.array(np.nan)
    if not np.isfinite(numbers).all():
        raise InputError(f"{path}: {name} is {value!r}; wanted a number or numbers")
    return numbers
