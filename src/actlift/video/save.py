"""Files of a lifted video: one of each person and format, and a page and a video of everybody."""

from collections.abc import Callable, Sequence
from pathlib import Path

from actlift.errors import InputError
from actlift.motion import WRITERS
from actlift.motion.motion import Motion
from actlift.motion.segments import write_segments

OVERLAY = "mp4"  # drawn over the video, with everybody in one file
TOGETHER = tuple(suffix.removeprefix(".") for suffix, row in WRITERS.items() if row.everybody)
CHOICES = (*(suffix.removeprefix(".") for suffix in WRITERS), OVERLAY)


def check_formats(formats: Sequence[str], video: Path | None) -> None:
    """Raise for formats that :func:`save_motions` will not write; to be asked before the work that leads to it.

    Raises:
        InputError: for an unknown format (lists the known), or an overlay without a video.
    """
    if unknown := sorted(set(formats) - set(CHOICES)):
        raise InputError(f"no format is known for {', '.join(unknown)}; known are {', '.join(CHOICES)}")
    if OVERLAY in formats and video is None:
        raise InputError("an overlay is drawn over a video, and there are only keypoints: leave out the format mp4")


def save_motions(
    motions: Sequence[Motion],
    folder: Path,
    formats: Sequence[str],
    *,
    video: Path | None = None,
    segments: bool = False,
    on_progress: Callable[[str, int, int | None], None] = lambda _stage, _done, _total: None,
) -> list[Path]:
    """Write motions of one source to a folder, each file whole or not at all, and tell which were written.

    Files are called by the source's name, with ``_person2`` and so on behind, and ``_person1`` too where there are
    several people.

    Args:
        motions: of the people of one source.
        folder: made where it is not there.
        formats: of :data:`CHOICES`.
        video: the source, where it is a video: shown on the page, and drawn over.
        segments: also write one file per segment of the action timeline, into the folder ``segments``.
        on_progress: is told the stage, how much of it is done, and how much there is where that is known.

    Raises:
        InputError: for an unknown format (lists the known), or an overlay without a video.
        MissingPackageError: for a format whose library is not installed; says how to install it.
        OSError: if a file cannot be written.
    """
    check_formats(formats, video)
    stem = Path(motions[0].source).stem
    each = [name for name in formats if name not in (*TOGETHER, OVERLAY)]
    written: list[Path] = []
    for motion in motions:
        own = stem if len(motions) == 1 and motion.person == 1 else f"{stem}_person{motion.person}"
        written += [motion.save(folder / f"{own}.{name}") for name in each]
        if segments:
            written += write_segments(motion, folder / "segments", [f".{name}" for name in each])
    for name in TOGETHER:
        if name in formats:
            WRITERS[f".{name}"].load()(motions, folder / f"{stem}.{name}", video=video)
            written.append(folder / f"{stem}.{name}")
    if OVERLAY in formats:
        from actlift.video.overlay import write_overlay

        assert video is not None
        path = folder / f"{stem}_overlay.mp4"
        write_overlay(motions, video, path, on_progress=lambda done: on_progress("drawing over the video", done, None))
        written.append(path)
    return written
