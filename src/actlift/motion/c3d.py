"""C3D, for Mokka, Visual3D, Vicon Nexus, MATLAB's and Python's toolboxes: joints as points, actions as events.

Millimeters; z up, floor at z = 0, x to the camera's right, y away from it. Points carry the names of `H36M_17`. Each
action begins with an event of its name in the context "General"; its time counts from the first frame. Residuals are 0:
C3D's word for a point that is there but was reconstructed, not measured. No point is invalid, for a motion has no gaps.

Layout: 32-bit floats, little-endian, as in the user guide "The C3D File Format" (Motion Lab Systems, 2021).
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from actlift import __version__
from actlift.errors import InputError
from actlift.files import replacing
from actlift.motion.motion import Motion

MM = 1000.0  # per meter
BLOCK = 512  # bytes
MOST_FRAMES = 65_534  # 16 bits count them, and 65,535 stands for any number more
MOST_EVENTS = 255  # 8 bits count them
LONGEST = 127  # bytes of a text

Value = int | float | Sequence[str] | np.ndarray


def write_c3d(motion: Motion, path: Path) -> None:
    """Write the joints and the beginnings of the actions, whole or not at all.

    Raises:
        InputError: the motion has more than 65,534 frames or 255 segments, which the format cannot count.
        OSError: the file cannot be written; what lay there stays.
    """
    for count, most, what in (
        (motion.frames, MOST_FRAMES, "frames"),
        (len(motion.action_timeline), MOST_EVENTS, "actions"),
    ):
        if count > most:
            raise InputError(
                f"C3D counts {most:,} {what}, this motion has {count:,}: write parts of it, such as "
                f"motion.cut({motion.start_s:g}, {motion.start_s + motion.frames / motion.fps / 2:g})"
            )
    joints = len(motion.skeleton)
    data = np.zeros((motion.frames, joints, 4), "<f4")  # the fourth is the residual
    data[..., :3] = motion.joints_world * MM
    parameters = _parameters(motion, 0)
    parameters = _parameters(motion, 2 + len(parameters) // BLOCK)
    header = struct.pack("<BB", 2, 0x50)  # where the parameters begin, in blocks, and that it is C3D
    header += struct.pack("<HHHHHf", joints, 0, 1, motion.frames, 0, -1.0)  # no analog channels; < 0: data are floats
    header += struct.pack("<HHf", 2 + len(parameters) // BLOCK, 0, motion.fps)
    with replacing(path) as beside, beside.open("wb") as file:
        file.write(_filled(header))
        file.write(parameters)
        file.write(_filled(data.tobytes()))


def _parameters(motion: Motion, data_block: int) -> bytes:
    """The section of parameters, whole blocks; the data begin at a block (from 1)."""
    timeline = motion.action_timeline
    minutes, seconds = np.divmod([s.start_s - motion.start_s for s in timeline], 60.0)
    joints = motion.skeleton.joints
    groups: dict[str, dict[str, Value]] = {
        "POINT": {
            "USED": len(joints),
            "FRAMES": motion.frames,
            "SCALE": -1.0,
            "RATE": float(motion.fps),
            "DATA_START": data_block,
            "UNITS": ["mm"],
            "X_SCREEN": ["+X"],
            "Y_SCREEN": ["+Z"],
            "LABELS": joints,
            "DESCRIPTIONS": [f"{joint} of {motion.skeleton.name}, lifted from video" for joint in joints],
        },
        "ANALOG": {"USED": 0, "GEN_SCALE": 1.0, "RATE": 0.0},
        "TRIAL": {
            "ACTUAL_START_FIELD": np.array([1, 0], "<u2"),
            "ACTUAL_END_FIELD": np.array([motion.frames, 0], "<u2"),
        },
        "EVENT": {
            "USED": len(timeline),
            "CONTEXTS": ["General"] * len(timeline),
            "LABELS": [segment.label for segment in timeline],
            "TIMES": np.stack([minutes, seconds], axis=1).astype("<f4"),
        },
        "MANUFACTURER": {"COMPANY": ["actlift"], "SOFTWARE": ["actlift"], "VERSION_LABEL": [__version__]},
    }
    section = b""
    for number, (group, values) in enumerate(groups.items(), start=1):
        section += _entry(group, -number, b"")
        for name, value in values.items():
            section += _entry(name, number, _value(value))
    blocks = -(-(4 + len(section) + 2) // BLOCK)
    return _filled(struct.pack("<BBBB", 1, 0x50, blocks, 84) + section + bytes(2))  # 84: little-endian


def _entry(name: str, group: int, value: bytes) -> bytes:
    """A group (negative number, no value) or a parameter of a group, without a description."""
    return struct.pack("<bb", len(name), group) + name.encode() + struct.pack("<h", 2 + len(value) + 1) + value + b"\0"


def _value(value: Value) -> bytes:
    """Type, sizes and content of a parameter."""
    if isinstance(value, int):
        return struct.pack("<bBH", 2, 0, value)
    if isinstance(value, float):
        return struct.pack("<bBf", 4, 0, value)
    if isinstance(value, np.ndarray):
        kind = 2 if value.dtype.kind == "u" else 4
        return struct.pack("<bB", kind, value.ndim) + bytes(value.shape[::-1]) + value.tobytes()
    texts = [text.encode()[:LONGEST].decode(errors="ignore").encode() for text in value]  # no half letters
    width = max(map(len, texts), default=0)
    return struct.pack("<bBBB", -1, 2, width, len(texts)) + b"".join(text.ljust(width) for text in texts)


def _filled(content: bytes) -> bytes:
    """With zeros up to a whole number of blocks."""
    return content + bytes(-len(content) % BLOCK)
