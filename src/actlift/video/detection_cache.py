"""What a detector found in the frames of a video, kept on disk while it works, so that it can go on later.

A file of records, appended to as frames come: number, time, whether the scene was cut before, how many people, then
their keypoints and confidences. What was found is kept to the bit; a last record that was cut short is dropped.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from actlift.files import replacing
from actlift.video.detectors.base import Detections

_HEAD = struct.Struct("<qd?H")  # index, time_s, cut, people
MAGIC = b"actlift detections 1\n"


@dataclass(frozen=True, eq=False)
class FrameDetections:
    """What was found in one frame.

    Attributes:
        index, time_s, cut: of the frame, see :class:`actlift.video.decode.Frame`.
        detections: who was found.
    """

    index: int
    time_s: float
    cut: bool
    detections: Detections


class DetectionCache:
    """A file of detections, opened to read what is there and to append to it.

    Args:
        path: made with the first that is appended, and made anew then where it is not about the same.
        about: what determines the detections, JSON-able: source, detector, weights.
        joints: of the detector's skeleton.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], joints: int) -> None:
        self.path = path
        self.joints = joints
        self._header = header = MAGIC + json.dumps({**about, "joints": joints}, sort_keys=True).encode() + b"\n"
        self._file: BinaryIO | None = path.open("r+b") if _begins_with(path, header) else None

    def __iter__(self) -> Iterator[FrameDetections]:
        """What was kept, in order; afterwards the file is ready to be appended to, right behind the last whole one."""
        if self._file is None:
            return
        self._file.seek(len(self._header))
        while True:
            begin = self._file.tell()
            head = self._file.read(_HEAD.size)
            if len(head) == _HEAD.size:
                index, time_s, cut, n = _HEAD.unpack(head)
                body = self._file.read(n * self.joints * 12)
                if len(body) == n * self.joints * 12:
                    points = np.frombuffer(body, np.float32).reshape(n, self.joints, 3)
                    yield FrameDetections(index, time_s, cut, Detections(points[..., :2].copy(), points[..., 2].copy()))
                    continue
            self._file.seek(begin)
            self._file.truncate()
            return

    def append(self, frame: FrameDetections) -> None:
        """Add what was found in the next frame.

        Raises:
            OSError: if the file cannot be written; says what to do.
        """
        if self._file is None:
            with replacing(self.path) as beside:
                beside.write_bytes(self._header)
            self._file = self.path.open("r+b")
            self._file.seek(len(self._header))
        found = frame.detections
        points = np.concatenate([found.points_px, found.confidence[..., None]], axis=-1).astype(np.float32)
        self._file.write(_HEAD.pack(frame.index, frame.time_s, frame.cut, len(points)) + points.tobytes())

    def flush(self) -> None:
        """Hand what was appended to the operating system, so that it outlives the process."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _begins_with(path: Path, header: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(header)) == header
