"""What keypoint formats share: a file that is parsed once, what is read from it, and checks of the fields in it."""

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from actlift.data.archive import read_nested_npz
from actlift.errors import InputError
from actlift.video.detectors.base import Detections

# Names of fields and columns, in the order in which they are looked for.
COUNTS = ("frame", "frame_id", "frame_index", "frame_idx", "frame_number", "frame_num", "image_id", "index")
TIMES = ("time_s", "time", "timestamp", "t", "seconds", "timestamp_s", "ms", "time_ms", "timestamp_ms", "milliseconds")
SCORES = ("score", "confidence", "conf", "likelihood", "visibility", "vis", "presence", "prob", "v", "c", "s", "p")

NO_TABLE = "no table with a line of names and lines of numbers; wanted columns as nose_x, nose_y, nose_score"


@dataclass(frozen=True, eq=False)
class KeypointFile:
    """What a program found in a video.

    Attributes:
        frames: (time in seconds, people in it) of every frame in order. Joints are those of `COCO_17`, NaN with
            confidence 0 where unseen. Frames that the file leaves out, as programs do where they find nobody, are there
            without people.
        fps: frames per second.
        width, height: of the image, in pixels.
        layout: name of the skeleton in the file; "custom" for joints known by name that make no known skeleton.
        ids: for each frame, the number of the track that each of its people belongs to, -1 for none; None where the
            file tells nobody's.
        program: which format was recognized, as `RawKeypoints.program`.
    """

    frames: tuple[tuple[float, Detections], ...]
    fps: float
    width: int
    height: int
    layout: str
    ids: tuple[Int[np.ndarray, " _"], ...] | None
    program: str


@dataclass(frozen=True, eq=False)
class RawKeypoints:
    """What stands in a file: one row per person and frame.

    Attributes:
        program: that wrote the file, or the sort of file.
        frame: its number, or its time in seconds where `timed`.
        points: in pixels, or in widths and heights of the image.
        scores: of the joints, in any unit that rises with confidence; None where there are none.
        every: numbers of all frames, with people or without; None where the file lists only people.
        joints: their names.
        ids: of tracks, as they stand there: numbers or words, None for none.
        layout: name of the skeleton, where the file tells it otherwise than by names of joints.
        fps: frames per second, where the file tells.
        size: width and height of the image, where the file tells.
        timed: see `frame`.
    """

    program: str
    frame: Float[np.ndarray, " r"]
    points: Float[np.ndarray, "r j 2"]
    scores: Float[np.ndarray, "r j"] | None
    every: Float[np.ndarray, " f"] | None = None
    joints: Sequence[str] | None = None
    ids: Sequence[Any] | None = None
    layout: str | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    timed: bool = False

    @classmethod
    def from_arrays(
        cls, program: str, points: Any, scores: Any = None, *, ids: Any = None, **about: Any
    ) -> "RawKeypoints":
        """Make rows from arrays whose first axis is frames.

        Args:
            program: as of the class.
            points: (t, j, 2 or 3) or (t, people, j, 2 or 3).
            scores: as `points` without the last axis, or with one of 1; where None, what stands third in `points`.
            ids: (people,) or (t, people).
            about: more attributes of the class.

        Raises:
            InputError: they are something else.
        """
        if not isinstance(points, np.ndarray) or points.dtype.kind not in "fiu" or points.ndim not in (3, 4):
            came = f"{points.dtype} {points.shape}" if isinstance(points, np.ndarray) else type(points).__name__
            raise InputError(
                f"keypoints are {came}; wanted numbers (frames, joints, 2 or 3) or (frames, people, joints, 2 or 3)"
            )
        if points.shape[-1] not in (2, 3) or 0 in points.shape:
            raise InputError(f"keypoints of shape {points.shape}; wanted x and y, or x, y and score, in the last axis")
        people = points.shape[1] if points.ndim == 4 else 1
        flat = np.asarray(points, dtype=np.float64).reshape(-1, *points.shape[-2:])  # (r, j, 2 or 3)
        if scores is not None:
            scores = float_array(scores, "scores")
            scores = scores[..., 0] if scores.shape == (*points.shape[:-1], 1) else scores
            if scores.shape != points.shape[:-1]:
                raise InputError(
                    f"scores of shape {scores.shape}, keypoints of {points.shape}; wanted {points.shape[:-1]}"
                )
            scores = scores.reshape(flat.shape[:2])
        elif points.shape[-1] == 3:
            scores = flat[..., 2]
        if ids is not None:
            came = f"of shape {ids.shape}" if isinstance(ids, np.ndarray) else f"in a {type(ids).__name__}"
            if not isinstance(ids, np.ndarray) or ids.shape not in ((people,), (len(points), people)):
                raise InputError(f"ids {came}; wanted {(people,)} or {(len(points), people)}")
            if ids.dtype.kind not in "fiuUS":
                raise InputError(f"ids are {ids.dtype}; wanted numbers or words")
            ids = np.ravel(np.broadcast_to(ids, (len(points), people))).tolist()
        every = np.arange(float(len(points)))
        return cls(program, np.repeat(every, people), flat[..., :2], scores, every=every, ids=ids, **about)


# --- files


class Content:
    """A file of keypoints, or a folder, parsed once for all formats that look at it.

    Args:
        path: of a file or folder that is there.

    Attributes:
        path: the same.
        kind: ".json", ".npz", ".npy" or "folder", whatever the name; else "".
        start: the first bytes of a file.

    Raises:
        InputError: the file is empty, or damaged where it is looked at.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start = b""
        if path.is_dir():
            self.kind = "folder"
            return
        if not path.stat().st_size:
            raise InputError("the file is empty (0 bytes)")
        with path.open("rb") as file:
            self.start = file.read(64)
        if self.start.startswith(b"PK\x03\x04"):
            self.kind = ".npz"
        elif self.start.startswith(b"\x93NUMPY"):
            self.kind = ".npy"
        else:
            self.kind = ".json" if self.start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") else ""

    @cached_property
    def json(self) -> Any:
        """What the JSON holds; None where it is none."""
        return parse_json(self.path) if self.kind == ".json" else None

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The arrays of an .npz archive by name, and plain data among them; none where it is none."""
        if self.kind != ".npz":
            return {}
        try:
            return read_nested_npz(self.path)
        except (InputError, NotImplementedError) as error:  # the latter of a version of .zip that there is not
            raise InputError(str(error).removeprefix(f"{self.path}: ")) from error

    @cached_property
    def table(self) -> tuple[str, list[list[str]]]:
        """What separates the columns of a table, and its first five lines, cells stripped.

        Nothing where it is no text; no lines where there are no three columns.
        """
        if self.kind:
            return "", []
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                start = file.readline(1_000_000)
                separator = max(",;\t", key=start.count)
                file.seek(0)
                rows = [row for row, _ in zip(csv.reader(file, delimiter=separator), range(5), strict=False)]
        except (UnicodeDecodeError, csv.Error):
            return "", []
        return separator, [[cell.strip() for cell in row] for row in rows] if start.count(separator) >= 2 else []

    def unknown(self, json_formats: Sequence[str]) -> str:
        """What is to be said where no format recognizes it."""
        if self.kind == "folder":
            return "no file *_keypoints.json in this folder; wanted OpenPose's, one a frame"
        if self.kind == ".npz":
            return (
                f"arrays {sorted(self.arrays)} are no known format; wanted 'keypoints' of shape (frames, joints, "
                "2 or 3) or (frames, people, joints, 2 or 3), perhaps with 'scores', 'fps', 'size' and 'joints'"
            )
        if self.kind == ".json":
            held = self.json
            keys = f"an object with {', '.join(list(held)[:8])}" if isinstance(held, dict) else ""
            return f"{keys or f'a list of {len(held)} items'} is no known format; known are {', '.join(json_formats)}"
        separator, rows = self.table
        if not separator:
            return "neither JSON, .npz, .npy nor text with columns"
        if len(rows) < 2:
            return NO_TABLE
        return (
            f"columns {', '.join(rows[0][:8])}, ... name no joints; wanted some as nose_x, nose_y, nose_score, or "
            "the columns frame, joint, x, y, score"
        )


def parse_json(path: Path) -> Any:
    """Parse a file of JSON.

    Raises:
        InputError: it is none; says where.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits
        raise InputError(f"no valid JSON, or cut short: {error}") from error


# --- fields


def shown(value: Any) -> str:
    """A short form of what came."""
    text = json.dumps(value, default=lambda other: type(other).__name__)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_record(held: Any, *keys: str) -> bool:
    """Whether it is an object with these keys."""
    return isinstance(held, dict) and all(key in held for key in keys)


def are_records(held: Any, *keys: str) -> bool:
    """Whether it is a list that begins with an object with these keys."""
    return isinstance(held, list) and len(held) > 0 and is_record(held[0], *keys)


def records(value: Any, place: str) -> list[dict[str, Any]]:
    """Give a list of objects, or raise for anything else; `place` is where it stands in the file."""
    if not isinstance(value, list):
        raise InputError(f"{place} is {shown(value)}; wanted a list of objects")
    for i, record in enumerate(value):
        if not isinstance(record, dict):
            raise InputError(f"{place}[{i}] is {shown(record)}; wanted an object")
    return value


def field_of(record: Any, key: str, place: str) -> Any:
    """Give a field of an object, or raise where there is none."""
    if not isinstance(record, dict):
        raise InputError(f"{place} is {shown(record)}; wanted an object")
    if key not in record:
        raise InputError(f"{place} has no '{key}'; it has {', '.join(map(str, record)) or 'nothing'}")
    return record[key]


def positive(value: Any) -> float | None:
    """A positive number, else None."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max
    return float(value) if number else None


def one_size(sizes: Iterable[tuple[Any, Any]]) -> tuple[int, int] | None:
    """The size of all images that tell theirs; None where none does.

    Raises:
        InputError: they differ.
    """
    known = {(int(w), int(h)) for w, h in sizes if positive(w) and positive(h)}
    if len(known) > 1:
        (w, h), (other_w, other_h) = sorted(known)[:2]
        raise InputError(f"images are of several sizes, as {w}x{h} and {other_w}x{other_h}; wanted those of one video")
    return next(iter(known), None)


def track_id(value: Any) -> Any:
    """A track's id as it is written: a number or word, or the first of a list of them; None for none."""
    while isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        return str(value)
    return value if isinstance(value, int | float | str) else None


def frame_number(label: Any, place: str) -> float:
    """The number of a frame: itself, or the last in the name of an image."""
    if isinstance(label, str):
        name = re.sub(r"(_keypoints)?\.(json|jpe?g|png|bmp|tiff?|webp)$", "", re.split(r"[\\/]", label)[-1], flags=re.I)
        number = float((re.findall(r"\d+", name) or ["inf"])[-1])
        if number > sys.float_info.max:
            raise InputError(f"{place} is '{label}'; wanted a number, or a name with the number of the frame in it")
        return number
    if isinstance(label, bool) or not isinstance(label, int | float) or not abs(label) <= sys.float_info.max:
        raise InputError(f"{place} is {shown(label)}; wanted the number of a frame")
    return float(label)


def frame_numbers(labels: Sequence[Any], place: str) -> Float[np.ndarray, " n"]:
    """Numbers of frames; `place` has a {} for the index.

    Raises:
        InputError: some are none, or two names have the same number.
    """
    numbers: dict[Any, float] = {}
    for i, label in enumerate(labels):
        if not isinstance(label, int | float | str) or label not in numbers:
            numbers[label] = frame_number(label, place.format(i))
    named = [(number, name) for name, number in numbers.items() if isinstance(name, str)]
    if len(twice := Counter(number for number, _ in named)) < len(named):
        same, _ = twice.most_common(1)[0]
        names = [name for number, name in named if number == same]
        raise InputError(
            f"'{names[0]}' and '{names[1]}' are both frame {same:g}; wanted one video, or one camera, only"
        )
    return np.array([numbers[label] for label in labels])


def timing(
    numbers: Float[np.ndarray, " n"], times: Float[np.ndarray, " n"] | None
) -> tuple[Float[np.ndarray, " n"], bool, float | None]:
    """Seconds, True and their rate, where times tell frames apart as numbers do; else numbers, False and None.

    Readers of videos that do not know the time say 0. The unit is told by the step: seconds below 1, microseconds from
    1000, milliseconds in between.
    """
    if times is not None and len(known := np.unique(times)) >= max(2, len(np.unique(numbers))) and known[0] >= 0:
        step = np.median(np.diff(known))
        unit = 1.0 if step < 1 else 1e-3 if step < 1000 else 1e-6
        return times * unit, True, round(1 / float(step * unit), 3)
    return numbers, False, None


# --- numbers


def float_array(value: Any, name: str) -> Float[np.ndarray, "..."]:
    """Numbers as an array.

    Raises:
        InputError: they are none.
    """
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} are no array of numbers: {error}") from error


def stacked(values: Sequence[Any], places: Sequence[str], inner: tuple[int | None, ...]) -> Float[np.ndarray, "r ..."]:
    """Nested lists of numbers, all of one shape, as one array.

    Args:
        values: a nested list for each row.
        places: where each stands in the file.
        inner: the shape that each has; None stands for any length.

    Raises:
        InputError: there are none, or one is something else.
    """
    if not values:
        raise InputError("nobody is in it")
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if _fits(array.shape[1:] if array.ndim else None, inner):
        return array
    shapes = [_shape(value) for value in values]
    usual = Counter(shape for shape in shapes if _fits(shape, inner)).most_common(1)
    for shape, place in zip(shapes, places, strict=True):
        if not usual or shape != usual[0][0]:
            came = "no list of numbers" if shape is None else f"numbers of shape {shape}"
            wanted = " x ".join("n" if n is None else str(n) for n in inner)
            also = f", and {usual[0][0]} as elsewhere" if usual else ""
            raise InputError(f"{place} is {came}; wanted {wanted} numbers{also}")
    raise AssertionError("unreachable: arrays of one right shape stack")


def _shape(value: Any) -> tuple[int, ...] | None:
    try:
        return np.array(value, dtype=np.float64).shape
    except (TypeError, ValueError, OverflowError):
        return None


def _fits(shape: tuple[int, ...] | None, inner: tuple[int | None, ...]) -> bool:
    return (
        shape is not None
        and len(shape) == len(inner)
        and all(n in (None, m) for n, m in zip(inner, shape, strict=True))
    )


def triples(lists: Sequence[Any], places: Sequence[str]) -> Float[np.ndarray, "r j 3"]:
    """Lists of x, y, score, x, y, score, ... as points with scores."""
    array = stacked(lists, places, (None,))
    if array.shape[1] % 3:
        raise InputError(f"{places[0]} has {array.shape[1]} numbers; wanted x, y and score of every joint")
    return array.reshape(len(array), -1, 3)
