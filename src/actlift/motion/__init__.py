"""Files that other programs open: a writer for each suffix."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from actlift.errors import InputError

if TYPE_CHECKING:
    from actlift.motion.motion import Motion

FORMATS = {  # suffix: module of this package, its function
    ".npz": ("tables", "write_npz"),
    ".csv": ("tables", "write_csv"),
    ".parquet": ("tables", "write_parquet"),
    ".json": ("tables", "write_motion_json"),
    ".bvh": ("bvh", "write_bvh"),
    ".c3d": ("c3d", "write_c3d"),
    ".trc": ("trc", "write_trc"),
    ".glb": ("gltf", "write_glb"),
    ".html": ("viewer", "write_page"),
}


def writer_for(suffix: str) -> "Callable[[Motion, Path], None]":
    """The function that writes a motion to a file of that suffix.

    Raises:
        ValueError: for an unknown suffix (lists the known).
    """
    if suffix.lower() not in FORMATS:
        raise InputError(
            f"no format is known for {suffix or 'a file without a suffix'}; known are {', '.join(FORMATS)}"
        )
    module, function = FORMATS[suffix.lower()]
    writer: Callable[[Motion, Path], None] = getattr(import_module(f"actlift.motion.{module}"), function)
    return writer
