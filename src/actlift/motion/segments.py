"""A file for each action of a motion."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from actlift.motion import writer_for
from actlift.motion.motion import Motion

LONGEST = 60  # bytes of a source or label in a name; usual file systems take 255 in all


def write_segments(motion: Motion, folder: Path | str, suffixes: Iterable[str]) -> list[Path]:
    """Write each segment of the timeline to a file of its own, in each format, and tell the files in their order.

    `clip_01_Walking_0.0-3.2s.bvh` is the first action of clip.mp4, from its beginning to 3.2 s; a motion without a
    source begins with `take`. Persons from the second on are named: `clip_person2_01_...`. The names are safe on every
    file system: letters, figures, `_`, `-` and `.` only.

    Args:
        motion: its segments that hold no frame have no file.
        folder: is made if it is not there.
        suffixes: of formats in `actlift.motion.WRITERS`, such as ".bvh".

    Raises:
        InputError: for an unknown suffix, before anything is written; or as the format's writer.
        OSError: a file cannot be written; those before it stay.
    """
    writers = {suffix: writer_for(suffix) for suffix in suffixes}
    take = _safe(Path(motion.source).stem) or "take"
    if motion.person > 1:
        take += f"_person{motion.person}"
    paths = []
    for number, (segment, part) in enumerate(motion.segments(), start=1):
        times = f"{segment.start_s:.1f}-{segment.stop_s:.1f}s"
        for suffix, write in writers.items():
            path = Path(folder) / f"{take}_{number:02}_{_safe(segment.label) or 'unnamed'}_{times}{suffix}"
            write(part, path)
            paths.append(path)
    return paths


def _safe(text: str) -> str:
    """Letters and figures of any script, _ and -, and a - for each run of all else; not longer than LONGEST."""
    kept = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", text))
    return kept.encode()[:LONGEST].decode(errors="ignore").strip("-")  # no half letters
