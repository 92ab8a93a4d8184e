"""Files that other programs open: a row for each suffix, whose module is imported when a file is written."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from actlift.errors import InputError


@dataclass(frozen=True)
class Writer:
    """What writes the files of a suffix, each whole or not at all.

    Attributes:
        module: of this package.
        function: of the module, `(motion, path) -> None`; where a file holds everybody `(motions, path, *, video)`,
            with motions of people of one source and the path of the video that they come from, or None.
        description: for whom and what it is, in a line, for help and documentation.
        everybody: whether one file holds all the people of a source.
    """

    module: str
    function: str
    description: str
    everybody: bool = False

    def load(self) -> Callable[..., None]:
        """Import the function."""
        function: Callable[..., None] = getattr(import_module(f"actlift.motion.{self.module}"), self.function)
        return function


WRITERS: dict[str, Writer] = {
    ".npz": Writer("arrays", "write_npz", "for programs: all there is, and `read_motion` gives the motion back"),
    ".csv": Writer("table", "write_csv", "for analysis: a row for each frame"),
    ".parquet": Writer("table", "write_parquet", "for analysis: a row for each frame, with units"),
    ".json": Writer("motion_json", "write_motion_json", "for programs: joints, contacts, actions as text"),
    ".bvh": Writer(
        "bvh", "write_bvh", "for Blender, Maya, MotionBuilder: rotations of constant bones; y up, centimeters"
    ),
    ".c3d": Writer("c3d", "write_c3d", "for biomechanics: points, an event for each action; z up, millimeters"),
    ".trc": Writer("trc", "write_trc", "for OpenSim and Pose2Sim: markers under their names there; y up, millimeters"),
    ".glb": Writer("gltf", "write_glb", "for the web and Blender: an animated skeleton with a body; y up, meters"),
    ".html": Writer(
        "viewer", "write_page", "for everybody: a page to look at, with the video beside the skeleton", everybody=True
    ),
}


def writer_for(suffix: str) -> Callable[[Any, Path], None]:
    """Find the function that writes one motion to a file of that suffix.

    Raises:
        InputError: for an unknown suffix (lists the known).
    """
    if suffix.lower() not in WRITERS:
        raise InputError(
            f"no format is known for {suffix or 'a file without a suffix'}; known are {', '.join(WRITERS)}"
        )
    row = WRITERS[suffix.lower()]
    write: Callable[..., None] = row.load()
    if not row.everybody:
        return write

    def write_alone(motion: Any, path: Path) -> None:
        write([motion], path, video=None)

    return write_alone
