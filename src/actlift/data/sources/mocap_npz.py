"""Clips in one .npz file without pickled objects: compact, readable by anything that reads NumPy arrays.

| array | shape, type | meaning |
|---|---|---|
| `clip`, `subject`, `action` | (n,) str | name, person and label of each clip |
| `frames` | (n,) int | its length; the clips lie one behind the other in the next two arrays |
| `root_m` | (f, 3) float32 | pelvis in meters, right-handed, z up, floor near z = 0 |
| `joint_offset_tenth_mm` | (f, 17, 3) int16 | joint minus pelvis in units of 0.1 mm |
| `joints` | (17,) str | the names of `H36M_17`, in its order |
| `fps` | () float | frames per second of all clips |
| `capture`, `description` | (n,) str | optional: how the clip came about, and words about it |
| `dataset` | (n,) or () str | optional: the data set of each clip, or of all; else told by the file's name |
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from actlift.data.archive import npz_holds, read_npz
from actlift.data.clip import Clip, dataset_of
from actlift.errors import InputError
from actlift.files import replacing
from actlift.geometry.skeleton import H36M_17

UNIT_M = 1e-4  # of joint_offset_tenth_mm
REQUIRED = ("clip", "subject", "action", "frames", "root_m", "joint_offset_tenth_mm", "joints", "fps")


def is_mocap_npz(source: str) -> bool:
    """Tell whether a source is a file in the layout above, whole or in part."""
    return npz_holds(source, "root_m", "joint_offset_tenth_mm")


def read_mocap_npz(path: str | os.PathLike[str]) -> list[Clip]:
    """Read all clips of a file in the layout above.

    Raises:
        MissingInputError: there is no such file.
        InputError: the file is not in this layout; the message names file and array, what came and what was wanted.
    """
    arrays = read_npz(path)
    missing = [name for name in REQUIRED if name not in arrays]
    if missing:
        raise InputError(f"{path}: arrays {missing} are missing; it has {sorted(arrays)}")

    count = len(np.atleast_1d(arrays["clip"]))
    texts: dict[str, list[str]] = {}
    for name in ("clip", "subject", "action", "capture", "description"):
        column = arrays.get(name, np.full(count, ""))
        _expect(path, name, column, (count,), "U")
        texts[name] = column.tolist()
    datasets = arrays.get("dataset", np.array(""))
    _expect(path, "dataset", datasets, () if datasets.ndim == 0 else (count,), "U")
    texts["dataset"] = [name or dataset_of(path) for name in np.broadcast_to(datasets, count).tolist()]
    _expect(path, "frames", arrays["frames"], (count,), "iu")
    total = int(arrays["frames"].sum(dtype=np.int64))
    _expect(path, "root_m", arrays["root_m"], (total, 3), "f")
    _expect(path, "joint_offset_tenth_mm", arrays["joint_offset_tenth_mm"], (total, len(H36M_17), 3), "i")
    _expect(path, "joints", arrays["joints"], (len(H36M_17),), "U")
    _expect(path, "fps", arrays["fps"], (), "fiu")
    if tuple(arrays["joints"].tolist()) != H36M_17.joints:
        raise InputError(
            f"{path}: joints are {arrays['joints'].tolist()}; wanted {list(H36M_17.joints)}, in this order"
        )
    if count == 0 or arrays["frames"].min() < 1:
        raise InputError(f"{path}: wanted at least one clip, and at least one frame in each")
    _expect_own_names(path, texts["clip"])

    joints_world = arrays["root_m"][:, None] + arrays["joint_offset_tenth_mm"] * np.float32(UNIT_M)  # (f, 17, 3)
    pieces = np.split(joints_world, np.cumsum(arrays["frames"])[:-1])
    try:
        return [
            Clip(
                name=texts["clip"][i],
                subject=texts["subject"][i],
                action=texts["action"][i],
                fps=float(arrays["fps"]),
                joints_world=piece,
                capture=texts["capture"][i],
                description=texts["description"][i],
                dataset=texts["dataset"][i],
            )
            for i, piece in enumerate(pieces)
        ]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_mocap_npz(path: str | os.PathLike[str], clips: Iterable[Clip]) -> None:
    """Write clips of one frame rate in the layout above; joints are rounded to 0.1 mm.

    The file appears whole or not at all.

    Raises:
        InputError: there is no clip, rates differ, a name is used twice, or a joint is over 3.27 m from the pelvis.
    """
    clips = list(clips)
    rates = sorted({clip.fps for clip in clips})
    if len(rates) != 1:
        raise InputError(f"{path}: clips of {rates} frames per second; wanted one rate (see Clip.resampled)")
    _expect_own_names(path, (clip.name for clip in clips))
    joints_world = np.concatenate([clip.joints_world for clip in clips])
    root_m = joints_world[:, H36M_17.root]
    offset = np.rint((joints_world - root_m[:, None]) / UNIT_M)
    if np.abs(offset).max() > np.iinfo(np.int16).max:
        farthest = np.abs(offset).max(axis=(1, 2)).argmax()
        owner = clips[int(np.searchsorted(np.cumsum([clip.frames for clip in clips]), farthest, side="right"))]
        raise InputError(
            f"{path}: clip '{owner.name}' has a joint {np.abs(offset).max() * UNIT_M:.2f} m from the pelvis; "
            f"the format ends at {np.iinfo(np.int16).max * UNIT_M:.2f} m. Is this clip in another unit than meters?"
        )
    arrays = {
        "clip": np.array([clip.name for clip in clips]),
        "subject": np.array([clip.subject for clip in clips]),
        "action": np.array([clip.action for clip in clips]),
        "capture": np.array([clip.capture for clip in clips]),
        "description": np.array([clip.description for clip in clips]),
        "dataset": np.array([clip.dataset for clip in clips]),
        "frames": np.array([clip.frames for clip in clips], dtype=np.int32),
        "root_m": root_m,
        "joint_offset_tenth_mm": offset.astype(np.int16),
        "joints": np.array(H36M_17.joints),
        "fps": np.float64(rates[0]),
    }
    with replacing(Path(path)) as beside, beside.open("wb") as file:  # a file: to a path, savez would add an ending
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _expect_own_names(path: str | os.PathLike[str], names: Iterable[str]) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise InputError(f"{path}: clip names {repeated[:5]} stand more than once; give each clip its own name")


def _expect(path: str | os.PathLike[str], name: str, array: np.ndarray, shape: tuple[int, ...], kinds: str) -> None:
    """Raise unless the array has this shape and a type of one of these NumPy kinds."""
    if array.shape != shape or array.dtype.kind not in kinds:
        words = " or ".join({"U": "text", "i": "int", "u": "unsigned int", "f": "float"}[kind] for kind in kinds)
        raise InputError(f"{path}: array '{name}' is {array.dtype} {array.shape}; wanted {words} {shape}")
