"""NPZ, for programs: arrays that hold the whole motion and give it back.

Meters and seconds of the source, in the world of `Motion`: z up, floor at z = 0, x to the camera's right, y away from
it. Plain arrays without Python objects; t frames, n segments, m warnings:

| array | shape, type | meaning |
|---|---|---|
| `joints_world`, `pose2d_px`, `confidence`, `contacts` | (t, ...) | as in `Motion`, with its types |
| `times_s` | (t,) float | seconds of the source, of each frame |
| `fps`, `start_s`, `person`, `source` | () | as in `Motion` |
| `joints`, `joints2d` | (17,) str | names, in the order of the joints of `joints_world` and `pose2d_px` |
| `parents`, `parents2d` | (17,) int | index of each joint's parent, -1 for a root |
| `camera_name`, `camera_R_cam_world`, ... | | the fields of `Camera` |
| `action_start_s`, `action_stop_s`, `action_probability` | (n,) float | of each segment; probability NaN: not known |
| `action_label` | (n,) str | |
| `warning_start_s`, `warning_stop_s`, `warning_probability`, `warning_label` | (m,) | likewise |
| `about` | () str | JSON |
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actlift.data.archive import read_npz
from actlift.errors import InputError
from actlift.files import replacing
from actlift.geometry.camera import Camera
from actlift.geometry.skeleton import Skeleton
from actlift.motion.motion import Motion, Segment


def write_npz(motion: Motion, path: Path) -> None:
    """Write all that a motion holds, whole or not at all; `read_motion` gives the same motion back.

    Raises:
        TypeError: `about` holds what JSON cannot.
        OSError: the file cannot be written; what lay there stays.
    """
    arrays: dict[str, Any] = {
        "joints_world": motion.joints_world,
        "pose2d_px": motion.pose2d_px,
        "confidence": motion.confidence,
        "contacts": motion.contacts,
        "times_s": motion.times_s,
        "fps": np.float64(motion.fps),
        "start_s": np.float64(motion.start_s),
        "person": np.int64(motion.person),
        "source": np.str_(motion.source),
        **_named("", motion.skeleton),
        **_named("2d", motion.skeleton2d),
        **{f"camera_{field}": np.array(value) for field, value in motion.camera.to_dict().items()},
        **_columns("action", motion.action_timeline),
        **_columns("warning", motion.warnings),
        "about": np.str_(json.dumps(dict(motion.about))),
    }
    with replacing(path) as beside, beside.open("wb") as file:  # a file: to a path, savez would add an ending
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_motion(path: Path | str) -> Motion:
    """Read the motion that `write_npz` wrote, bit for bit.

    Raises:
        MissingInputError: there is no such file.
        InputError: the file is damaged, holds Python objects, or is no motion; the message names file and array.
    """
    arrays = read_npz(path)

    def take(name: str, kinds: str, *shape: int | None) -> Any:
        """The array, or what is in it if it has no axes; None is any length."""
        if name not in arrays:
            raise InputError(f"{path}: array '{name}' is missing; wanted what write_npz writes, got {sorted(arrays)}")
        array = arrays[name]
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in kinds:
            sizes = ", ".join("any" if length is None else str(length) for length in shape)
            words = {"f": "floats", "b": "truth values", "i": "whole numbers", "U": "text"}[kinds]
            raise InputError(f"{path}: array '{name}' is {array.dtype} {array.shape}; wanted {words} ({sizes})")
        return array if shape else array.item()

    def segments(of: str) -> tuple[Segment, ...]:
        labels = take(f"{of}_label", "U", None)
        numbers = [take(f"{of}_{what}", "f", len(labels)) for what in ("start_s", "stop_s", "probability")]
        rows = zip(*(column.tolist() for column in (*numbers[:2], labels, numbers[2])), strict=True)
        return tuple(Segment(*row) for row in rows)

    for suffix, skeleton in (("", Motion.skeleton), ("2d", Motion.skeleton2d)):
        names = tuple(take(f"joints{suffix}", "U", None).tolist())
        if names != skeleton.joints:
            raise InputError(f"{path}: 'joints{suffix}' are {', '.join(names)}; wanted {', '.join(skeleton.joints)}")
    joints_world = take("joints_world", "f", None, 17, 3)
    t = len(joints_world)
    read = {
        "fps": take("fps", "f"),
        "joints_world": joints_world,
        "pose2d_px": take("pose2d_px", "f", t, 17, 2),
        "confidence": take("confidence", "f", t, 17),
        "contacts": take("contacts", "b", t, 2),
        "action_timeline": segments("action"),
        "start_s": take("start_s", "f"),
        "person": take("person", "i"),
        "source": take("source", "U"),
        "warnings": segments("warning"),
    }
    camera = {name.removeprefix("camera_"): a.tolist() for name, a in arrays.items() if name.startswith("camera_")}
    try:
        about = json.loads(take("about", "U"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: array 'about' holds no JSON: {error}") from error
    if not isinstance(about, dict):
        raise InputError(f"{path}: array 'about' holds {type(about).__name__}; wanted a JSON object")
    try:
        return Motion(**read, camera=Camera.from_dict(camera), about=about)
    except InputError as error:  # what cameras and motions check themselves
        raise InputError(f"{path}: {error}") from error


def _named(suffix: str, skeleton: Skeleton) -> dict[str, np.ndarray]:
    return {f"joints{suffix}": np.array(skeleton.joints), f"parents{suffix}": np.array(skeleton.parents)}


def _columns(of: str, segments: Sequence[Segment]) -> dict[str, np.ndarray]:
    numbers = {
        f"{of}_{what}": np.array([getattr(segment, what) for segment in segments], dtype=np.float64)
        for what in ("start_s", "stop_s", "probability")
    }
    return numbers | {f"{of}_label": np.array([segment.label for segment in segments], dtype=np.str_)}
