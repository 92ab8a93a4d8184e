"""From sources of motion capture to a corpus: what the verb `prepare` does."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from actlift.data.clip import Clip, dataset_of
from actlift.data.corpus import Corpus, Exclusion, write_corpus
from actlift.data.noise import Exact, Keypoints
from actlift.data.sources import SOURCES, source_of, wanted
from actlift.errors import InputError

EXCLUSION_COLUMNS = ("clip", "camera", "first", "last", "reason")


def read_source(
    source: str | os.PathLike[str], *, detections: str | os.PathLike[str] | None = None, seed: int = 0
) -> list[Clip]:
    """Read the clips of a source. Clips that name no data set get that of `dataset_of`.

    Args:
        source: a file or folder in a format of `actlift.data.sources.SOURCES`, or the word of one that has no files.
            What a file or folder is shows in what is in it.
        detections: 2D keypoints that a detector made of the source's videos, where its format takes them.
        seed: of motions that are made, not read.

    Raises:
        MissingInputError: there is nothing at this path.
        InputError: it is in no known format, it takes no detections and there are some, or what its reader says.
    """
    source = os.fspath(source)
    row = source_of(source)
    if detections is not None and "detections" not in row.options:
        takers = [other for other in SOURCES.values() if "detections" in other.options]
        raise InputError(
            f"{source}: detections ({detections}) go with {' and '.join(other.title for other in takers)} only, "
            f"with {', or '.join(other.looks_like for other in takers)}; prepare other sources without"
        )
    clips = row.read(source, detections=detections, seed=seed)
    return [clip if clip.dataset else replace(clip, dataset=dataset_of(source)) for clip in clips]


def prepare(
    sources: Sequence[str],
    out: str | os.PathLike[str],
    *,
    detections: str | os.PathLike[str] | None = None,
    rig: str | None = None,
    cameras: int = 4,
    keypoints: Keypoints | None = None,
    fps: float | None = None,
    seed: int = 0,
    exclusions: Sequence[Exclusion] = (),
    max_speed: float = 12.0,
) -> Corpus:
    """Read sources and write one corpus of all their clips; sources are read one after the other.

    Args:
        sources, detections: as for `read_source`.
        out: folder of the corpus.
        rig, cameras, keypoints, fps, seed, exclusions, max_speed: as for `write_corpus`; keypoints exact if not given.

    Raises:
        FileNotFoundError, FileExistsError, ValueError, OSError: as `read_source` and `write_corpus`.
    """
    if not sources:
        raise InputError(f"no source to prepare; {wanted()}")

    def clips() -> Iterator[Clip]:
        for source in sources:
            yield from read_source(source, detections=detections, seed=seed)

    return write_corpus(
        out,
        clips(),
        rig=rig,
        cameras=cameras,
        keypoints=Exact() if keypoints is None else keypoints,
        fps=fps,
        seed=seed,
        exclusions=exclusions,
        max_speed=max_speed,
        sources=[str(source) for source in sources],
    )


def read_exclusions(path: str | os.PathLike[str]) -> tuple[Exclusion, ...]:
    """Read exclusions from a CSV table with the columns clip, camera, first, last, reason (see `Exclusion`).

    Raises:
        MissingInputError: there is no such file.
        InputError: a column is missing or unknown, or a cell is not what it should be; the message names line and
            column.
    """
    path = Path(path)
    rows = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        columns = table.fieldnames or ()
        if sorted(columns) != sorted(EXCLUSION_COLUMNS):
            raise InputError(f"{path}: columns {','.join(columns)}; wanted {','.join(EXCLUSION_COLUMNS)}")
        for row in table:
            where = f"{path}, line {table.line_num}"
            if None in row or None in row.values():
                raise InputError(f"{where}: wanted {len(EXCLUSION_COLUMNS)} cells; quote a reason that holds commas")
            for column in ("clip", "camera", "reason"):
                if not row[column].strip():
                    raise InputError(f"{where}, column {column}: it is empty")
            first, last = (_whole_number(row[column], f"{where}, column {column}") for column in ("first", "last"))
            if first < 0:
                raise InputError(f"{where}, column first: {first}; frames count from 0")
            if last != -1 and last < first:
                raise InputError(f"{where}, column last: {last} comes before first, {first}; -1 is the clip's end")
            rows.append(Exclusion(row["clip"], row["camera"], first, last, row["reason"]))
    return tuple(rows)


def _whole_number(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{where}: '{text}' is no whole number") from None
