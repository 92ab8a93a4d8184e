"""Tables and arrays: .npz that gives the motion back, .csv and .parquet for analysis, .json to read.

All are in meters and seconds of the source, in the world of `Motion`: z up, floor at z = 0, x to the camera's right, y
away from it.

**.npz** (`write_npz`, `read_motion`), plain arrays without Python objects; t frames, n segments, m warnings:

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

**.csv** and **.parquet** (`write_csv`, `write_parquet`), a row for each frame: `frame` from 0, `time_s`, `action`, then
`<joint>_x_m`, `<joint>_y_m`, `<joint>_z_m` for each joint of `H36M_17`, then `left_foot_stands` and
`right_foot_stands`, 0 or 1. The .csv has six decimals. The .parquet has the unit of a column in the column's metadata,
and what is true of the whole motion as JSON in the table's metadata under `actlift`.

**.json** (`write_motion_json`): `meta`, `action_timeline`, `warnings` and `frames`. Each frame stands in a line of its
own, with its time, contacts and joints. Coordinates are rounded to 0.1 mm. What is not a number is null.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from actlift import __version__
from actlift.data.archive import read_npz
from actlift.errors import InputError
from actlift.files import replacing
from actlift.geometry.camera import Camera
from actlift.geometry.skeleton import Skeleton
from actlift.motion.motion import Motion, Segment

FEET = ("left_foot_stands", "right_foot_stands")
AXES = "meters, right-handed: x to the camera's right, y away from the camera, z up, floor at z = 0"


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
    """The motion that `write_npz` wrote, bit for bit.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, holds Python objects, or is no motion; the message names file and array.
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
    about = take("about", "U")
    camera = {name.removeprefix("camera_"): a.tolist() for name, a in arrays.items() if name.startswith("camera_")}
    try:
        return Motion(**read, camera=Camera.from_dict(camera), about=json.loads(about))
    except (ValueError, TypeError) as error:  # what cameras, motions and JSON check themselves
        raise InputError(f"{path}: {error}") from error


def write_csv(motion: Motion, path: Path) -> None:
    """Write a row for each frame, whole or not at all; columns as above.

    Raises:
        OSError: the file cannot be written; what lay there stays.
    """
    import pandas as pd

    with replacing(path) as beside:
        frames = pd.DataFrame({name: column for name, column, _ in _frames(motion)})
        frames.to_csv(beside, index=False, float_format="%.6f", lineterminator="\n", encoding="utf-8")


def write_parquet(motion: Motion, path: Path) -> None:
    """Write a row for each frame, whole or not at all; columns and metadata as above.

    Raises:
        OSError: the file cannot be written; what lay there stays.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _frames(motion)
    whole = {
        **_meta(motion),
        "action_timeline": _records(motion.action_timeline),
        "warnings": _records(motion.warnings),
    }
    schema = pa.schema(
        [
            pa.field(name, pa.array(column).type, metadata={"unit": unit} if unit else None)
            for name, column, unit in columns
        ],
        metadata={"actlift": json.dumps(whole)},
    )
    with replacing(path) as beside:
        pq.write_table(pa.table([pa.array(column) for _, column, _ in columns], schema=schema), beside)


def write_motion_json(motion: Motion, path: Path) -> None:
    """Write JSON to be read by people and by anything, whole or not at all; layout as above.

    Raises:
        TypeError: `about` holds what JSON cannot.
        OSError: the file cannot be written; what lay there stays.
    """
    head = {
        "meta": _meta(motion),
        "action_timeline": _records(motion.action_timeline),
        "warnings": _records(motion.warnings),
    }
    joints = np.round(motion.joints_world.astype(np.float64), 4) + 0.0  # + 0: no -0
    rows = zip(motion.times_s.round(6).tolist(), motion.contacts.tolist(), joints.tolist(), strict=True)
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}"))
        file.write(',\n "frames": [')
        for number, (time_s, contacts, pose) in enumerate(rows):
            row = {"time_s": time_s, **dict(zip(FEET, contacts, strict=True)), "joints_m": pose}
            file.write(f"{',' if number else ''}\n  {json.dumps(row)}")
        file.write("\n ]\n}\n")


def _named(suffix: str, skeleton: Skeleton) -> dict[str, np.ndarray]:
    return {f"joints{suffix}": np.array(skeleton.joints), f"parents{suffix}": np.array(skeleton.parents)}


def _columns(of: str, segments: Sequence[Segment]) -> dict[str, np.ndarray]:
    numbers = {
        f"{of}_{what}": np.array([getattr(segment, what) for segment in segments], dtype=np.float64)
        for what in ("start_s", "stop_s", "probability")
    }
    return numbers | {f"{of}_label": np.array([segment.label for segment in segments], dtype=np.str_)}


def _frames(motion: Motion) -> list[tuple[str, Shaped[np.ndarray, " t"], str]]:
    """Name, values and unit of the columns of a table with a row for each frame."""
    action = np.full(motion.frames, "", dtype=object)
    for segment, part in motion.segments():
        first = round((part.start_s - motion.start_s) * motion.fps)
        action[first : first + part.frames] = segment.label
    return [
        ("frame", np.arange(motion.frames), ""),
        ("time_s", motion.times_s, "s"),
        ("action", action, ""),
        *(
            (f"{joint}_{axis}_m", motion.joints_world[:, j, c], "m")
            for j, joint in enumerate(motion.skeleton.joints)
            for c, axis in enumerate("xyz")
        ),
        *((foot, motion.contacts[:, side].astype(np.int8), "") for side, foot in enumerate(FEET)),
    ]


def _meta(motion: Motion) -> dict[str, Any]:
    """What is true of the whole motion, for JSON."""
    return {
        "producer": f"actlift {__version__}",
        "source": motion.source,
        "person": motion.person,
        "fps": float(motion.fps),
        "frames": motion.frames,
        "start_s": float(motion.start_s),
        "axes": AXES,
        "skeleton": motion.skeleton.name,
        "joints": motion.skeleton.joints,
        "parents": motion.skeleton.parents,
        "camera": motion.camera.to_dict(),
        "about": _finite(dict(motion.about)),
    }


def _records(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    return [_finite(asdict(segment)) for segment in segments]


def _finite(value: Any) -> Any:
    """The same with None for what is not a number, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
