"""From sources of motion capture to a corpus: what the verb `prepare` does."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from actlift.data.archive import npz_names
from actlift.data.clip import Clip
from actlift.data.corpus import Corpus, Exclusion, write_corpus
from actlift.data.noise import DetectorNoise, Exact, IndependentNoise
from actlift.data.sources.asfamc import read_asfamc_folder
from actlift.data.sources.h36m import CDF_FILES, read_h36m, read_positions
from actlift.data.sources.humaneva import read_humaneva
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips
from actlift.errors import InputError, MissingInputError

SYNTHETIC = "synthetic"
EXCLUSION_COLUMNS = ("clip", "camera", "first", "last", "reason")


def read_source(
    source: str | os.PathLike[str], *, detections: str | os.PathLike[str] | None = None, seed: int = 0
) -> list[Clip]:
    """The clips of a source.

    Args:
        source: an .npz file in the layout of `mocap_npz`, `h36m` or `humaneva`; a folder with one .asf and its .amc
            files, or with the CDF files of Human3.6M; or the word `synthetic`, for the motions that actlift makes
            itself. What a file or folder is shows in what is in it.
        detections: 2D keypoints of Human3.6M; other sources have none.
        seed: of synthetic motions.

    Raises:
        FileNotFoundError: there is nothing at this path.
        ValueError: it is none of the above, it is not Human3.6M and there are detections, or what its reader says.
    """
    path = Path(source)
    if _is_h36m(source):
        return read_h36m(path, detections=detections)
    if detections is not None:
        raise InputError(
            f"{source}: detections ({detections}) go with Human3.6M only, with data_3d_h36m.npz or its CDF files; "
            "prepare other sources without"
        )
    if source == SYNTHETIC:
        return list(synthetic_clips(seed))
    if path.is_dir():
        if any(entry.suffix.lower() == ".asf" for entry in path.iterdir()):
            return read_asfamc_folder(path)
        raise InputError(f"{path}: a folder without an .asf file; {_WANTED}")
    if not path.exists():
        raise MissingInputError(f"{path}: nothing there; {_WANTED}")
    if path.suffix.lower() != ".npz":
        raise InputError(f"{path}: not a kind of source that is known; {_WANTED}")
    return read_humaneva(path) if "positions_3d" in npz_names(path) else read_mocap_npz(path)


def _is_h36m(source: str | os.PathLike[str]) -> bool:
    """Whether it is Human3.6M, by its content; in HumanEva-I, a slash stands in the names of subjects."""
    path = Path(source)
    if source == SYNTHETIC or not path.exists():
        return False
    if path.is_dir():
        return any(path.glob(CDF_FILES))
    if path.suffix.lower() != ".npz" or "positions_3d" not in npz_names(path):
        return False
    return not any("/" in subject for subject in read_positions(path))


_WANTED = (
    "wanted a motion capture .npz, a folder with an .asf and its .amc files or with the CDF files of Human3.6M, "
    f"or the word {SYNTHETIC}"
)


def prepare(
    sources: Sequence[str],
    out: str | os.PathLike[str],
    *,
    detections: str | os.PathLike[str] | None = None,
    rig: str | None = None,
    cameras: int = 4,
    keypoints: Exact | IndependentNoise | DetectorNoise | None = None,
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
        raise InputError(f"no source to prepare; {_WANTED}")

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
    """Exclusions from a CSV table with the columns clip, camera, first, last, reason (see `Exclusion`).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing or unknown, or a cell is not what it should be; the message names line and
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
