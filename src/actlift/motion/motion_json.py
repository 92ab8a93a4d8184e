"""JSON, for people and for any program: `meta`, `action_timeline`, `warnings` and `frames`.

Meters and seconds of the source, in the world of `Motion`. Each frame stands in a line of its own, with its time,
contacts and joints. Coordinates are rounded to 0.1 mm. What is not a number is null.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from actlift import __version__
from actlift.files import replacing
from actlift.motion.motion import Motion, Segment

FEET = ("left_foot_stands", "right_foot_stands")
AXES = "meters, right-handed: x to the camera's right, y away from the camera, z up, floor at z = 0"


def write_motion_json(motion: Motion, path: Path) -> None:
    """Write JSON to be read by people and by anything, whole or not at all; layout as above.

    Raises:
        TypeError: `about` holds what JSON cannot.
        OSError: the file cannot be written; what lay there stays.
    """
    joints = np.round(motion.joints_world.astype(np.float64), 4) + 0.0  # + 0: no -0
    rows = zip(motion.times_s.round(6).tolist(), motion.contacts.tolist(), joints.tolist(), strict=True)
    head = described(motion)
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}"))
        file.write(',\n "frames": [')
        for number, (time_s, contacts, pose) in enumerate(rows):
            row = {"time_s": time_s, **dict(zip(FEET, contacts, strict=True)), "joints_m": pose}
            file.write(f"{',' if number else ''}\n  {json.dumps(row)}")
        file.write("\n ]\n}\n")


def described(motion: Motion) -> dict[str, Any]:
    """Collect what is true of a motion as a whole, for JSON: `meta`, `action_timeline`, `warnings`."""
    meta = {
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
    return {"meta": meta, "action_timeline": _records(motion.action_timeline), "warnings": _records(motion.warnings)}


def _records(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    return [_finite(asdict(segment)) for segment in segments]


def _finite(value: Any) -> Any:
    """The same with None for what is not a number, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
