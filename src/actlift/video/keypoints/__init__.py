"""Keypoint files: what other programs found in a video, as people in every frame, joints in the order of `COCO_17`.

A file is recognized by its content, never by its name. A format is a module of this package with two functions:

    recognize(content: Content) -> bool       is this yours? Quick, and false for whatever is of another kind
    read(content: Content) -> RawKeypoints    what stands in it

and a row of `FORMATS`. What all formats share comes after them: joints are put into order (`order`), and rows into
frames, pixels and seconds (`placing`). Which joint is which is told by names where the file has them, else by their
number (`layouts.LAYOUTS_OF`). Seventeen joints may be COCO's or Human3.6M's, so the order is checked against the
proportions of a body. A joint is unseen if it has no finite coordinates, lies at exactly (0, 0), or has no positive
score.
"""

import os
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from actlift.errors import InputError, MissingInputError
from actlift.video.keypoints.base import Content, KeypointFile, RawKeypoints
from actlift.video.keypoints.layouts import to_coco
from actlift.video.keypoints.order import doubts, in_order
from actlift.video.keypoints.placing import by_frame, in_pixels, rate_of, seen, size_of


class Format(NamedTuple):
    """Where a format is read, and what its files are called.

    Attributes:
        module: of this package; imported when a file is asked about.
        suffixes: of its files, by which keypoints are told from videos.
        folder: there is a file for each frame, in a folder.
    """

    module: str
    suffixes: tuple[str, ...]
    folder: bool = False


FORMATS = {  # by the names that messages have, in the order in which they are asked
    "OpenPose": Format("openpose", (".json",), folder=True),
    "COCO annotations": Format("coco_annotations", (".json",)),
    "COCO or AlphaPose results": Format("coco_results", (".json",)),
    "MMPose": Format("mmpose", (".json",)),
    "AlphaPose in the form of OpenPose or CMU-Pose": Format("alphapose", (".json",)),
    "landmarks of MediaPipe": Format("landmarks", (".json",)),
    "Detectron": Format("detectron", (".npz",)),
    "VideoPose3D": Format("videopose3d", (".npz",)),
    "NumPy": Format("numpy_arrays", (".npz", ".npy")),
    "DeepLabCut": Format("deeplabcut", (".csv",)),
    "table of joints": Format("joint_table", (".csv",)),
    "table of frames": Format("frame_table", (".csv",)),
}


def is_keypoints(path: Path) -> bool:
    """Whether it is called as a file of keypoints is, or is a folder of such, rather than of images."""
    if path.is_dir():
        return any(any(path.glob(f"*{suffix}")) for row in FORMATS.values() if row.folder for suffix in row.suffixes)
    return any(path.suffix.lower() in row.suffixes for row in FORMATS.values())


def read_keypoints(
    path: str | os.PathLike[str],
    *,
    layout: str | None = None,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
) -> KeypointFile:
    """Read the 2D keypoints that a program wrote.

    Frames are timed by their numbers in the file, which count from 0, or from 1 where a file that lists every frame
    begins so; numbers that are no such count, by their distance from the first. Coordinates that are shares of the
    image's width and height become pixels. Scores above 1 count as 1, those of COCO's visibility (0, 1, 2) as 0, 0.5
    and 1; a file without scores gets 1 for every joint. Joints of the face that the file lacks are put where the rest
    of the head is, with half of its confidence.

    Args:
        path: a file, or OpenPose's folder.
        layout: name in `layouts.LAYOUTS`, for files that do not name their joints.
        fps: frames per second, for files that do not tell.
        size: width and height of the image in pixels, for files that do not tell.

    Raises:
        MissingInputError: nothing is there.
        InputError: it is in no known format, damaged, without people, does not tell frame rate, image size or order of
            the joints and neither do the arguments, or contradicts them. The message names the file and the place.

    Warns:
        UserWarning: the order of joints was told and another fits far better, heads are below feet, or left and right
            are mixed up.
    """
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such file or folder")
    try:
        raw = _read(Content(path))
        rate = rate_of(raw.fps, fps)
        width, height = size_of(raw.size, size)
        points, confidence = seen(raw)
        points = in_pixels(points, width, height)
        skeleton, points, confidence, misfit = in_order(raw, points, confidence, layout)
        points, confidence = to_coco(points, confidence, skeleton)
        frames, ids = by_frame(raw, points, confidence, rate)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    for doubt in [misfit] if misfit else doubts(points):
        warnings.warn(f"{path}: {doubt}", stacklevel=2)
    return KeypointFile(frames, rate, width, height, skeleton.name, ids, raw.program)


def _read(content: Content) -> RawKeypoints:
    """What stands in a file, by the first format that recognizes it."""
    for row in FORMATS.values():
        module: Any = import_module(f"{__name__}.{row.module}")
        if module.recognize(content):
            raw: RawKeypoints = module.read(content)
            return raw
    raise InputError(
        content.unknown([name for name, row in FORMATS.items() if ".json" in row.suffixes and not row.folder])
    )
