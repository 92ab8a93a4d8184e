"""Keypoint files: what other programs found in a video, as people in every frame, joints in the order of `COCO_17`.

A file is recognized by its content, never by its name:

| `program` | what is read |
|---|---|
| coco | COCO keypoint annotations (`images`, `annotations`) and result lists (`image_id`, `keypoints`, `score`) |
| alphapose | `alphapose-results.json`, also in its CMU and OpenPose forms; `image_id` is a file name there |
| mmpose | `results_*.json` of the demos (`instance_info`), JSON of the inferencer (`frame_id`, `instances`) |
| openpose | a folder of `*_keypoints.json`, one a frame |
| detectron | `.npz` of VideoPose3D's inference with Detectron (`boxes`, `keypoints`, `metadata`) |
| videopose3d | `data_2d_*.npz` with one sequence (`positions_2d`, `metadata`) |
| landmarks | JSON of MediaPipe and its like: a list of frames of `{x, y, z, visibility}` |
| deeplabcut | CSV with the header rows scorer, (individuals,) bodyparts, coords |
| csv | columns `<joint>_x, <joint>_y, <joint>_score`; or one line a joint: frame, person, joint, x, y, score |
| numpy | `.npy`, or `.npz` with `keypoints`: (t, j, 2 or 3) or (t, people, j, 2 or 3), perhaps with scores, fps, ... |

Which joint is which is told by names where the file has them, else by their number (`LAYOUTS_OF`). Seventeen joints may
be COCO's or Human3.6M's, so the order is checked against the proportions of a body. A joint is unseen if it has no
finite coordinates, lies at exactly (0, 0), or has no positive score.
"""

import csv
import json
import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from actlift.data.archive import read_nested_npz
from actlift.errors import InputError, MissingInputError
from actlift.geometry.skeleton import COCO_17, H36M_17, SKELETONS, Skeleton, remap, remap_confidence
from actlift.video.detect import People

MOST_FRAMES = 5_000_000  # more than a day at 50 frames per second: such numbers do not count frames
FAR_BETTER = 0.15  # by how much an order of joints must fit better than the one taken; see `_oddity`
UNFIT = 0.9  # share of frames, or of what they say, from which the file is doubted; acrobats reach 0.5
OUTSIDE = 0.5  # share of joints outside of the image from which its size is wrong
FARTHEST_PX = 1e6  # what lies beyond has not been seen
STANDS_IN = 0.5  # factor on the confidence of joints of the face that are not in the file
DETECTRON_SURE = 6.0  # Detectron2 draws keypoints from a score of 0.05 on, others from 0.3


def _flat(name: str, joints: str) -> Skeleton:
    """A skeleton without bones: all that remapping needs."""
    names = tuple(joints.split())
    swapped = {"L": "R", "R": "L"}
    images = (swapped.get(joint[0], "") + joint[1:] for joint in names)
    mirror = tuple(names.index(image) if image in names else j for j, image in enumerate(images))
    return Skeleton(name, names, (-1,) * len(names), mirror)


# The orders of OpenPose (Cao et al., 2019): its Neck lies between the shoulders, its MidHip between the hips.
OPENPOSE_18 = _flat(
    "openpose_18",
    "Nose NeckBase RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle "
    "REye LEye REar LEar",
)
BODY_25 = _flat(
    "body_25",
    "Nose NeckBase RShoulder RElbow RWrist LShoulder LElbow LWrist Pelvis RHip RKnee RAnkle LHip LKnee LAnkle "
    "REye LEye REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel",
)
LAYOUTS: dict[str, Skeleton] = {**SKELETONS, "openpose_18": OPENPOSE_18, "body_25": BODY_25}

# By the number of joints: what is taken, then what else it may be. Whole bodies begin with the joints of the body.
LAYOUTS_OF: dict[int, tuple[Skeleton, ...]] = {
    17: (COCO_17, H36M_17),
    18: (OPENPOSE_18,),
    25: (BODY_25,),
    26: (SKELETONS["halpe_26"],),
    33: (SKELETONS["blazepose_33"],),
    133: (COCO_17,),  # COCO-WholeBody
    136: (SKELETONS["halpe_26"],),  # Halpe-FullBody
}


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
        program: which format was recognized, see the table of the module.
    """

    frames: tuple[tuple[float, People], ...]
    fps: float
    width: int
    height: int
    layout: str
    ids: tuple[Int[np.ndarray, " _"], ...] | None
    program: str


@dataclass(frozen=True, eq=False)
class _Found:
    """What stands in a file: one row per person and frame.

    Attributes:
        program: as in `KeypointFile`.
        frame: its number, or its time in seconds where `timed`.
        points: in pixels, or in widths and heights of the image.
        scores: of the joints, in any unit that rises with confidence; None where there are none.
        every: numbers of all frames, with people or without; None where the file lists only people.
        joints: their names.
        ids: of tracks, as they stand there.
        layout: name of the skeleton, where the file tells it otherwise than by names of joints.
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
        layout: name in `LAYOUTS`, for files that do not name their joints.
        fps: frames per second, for files that do not tell.
        size: width and height of the image in pixels, for files that do not tell.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is in no known format, damaged, without people, does not tell frame rate, image size or order of
            the joints and neither do the arguments, or contradicts them. The message names the file and the place.

    Warns:
        UserWarning: the order of joints was told and another fits far better, heads are below feet, or left and right
            are mixed up.
    """
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such file or folder")
    try:
        found = _folder(path) if path.is_dir() else _file(path)
        rate = _rate_of(found.fps, fps)
        width, height = _size_of(found.size, size)
        points, confidence = _seen(found)
        points = _in_pixels(points, width, height)
        skeleton, points, confidence, order = _in_order(found, points, confidence, layout)
        points, confidence = to_coco(points, confidence, skeleton)
        doubts = [order] if order else list(_doubts(points))
        frames, ids = _by_frame(found, points, confidence, rate)
    except (ValueError, OverflowError) as error:  # JSON has numbers that no float can be
        raise InputError(f"{path}: {error}") from error
    for doubt in doubts:
        warnings.warn(f"{path}: {doubt}", stacklevel=2)
    return KeypointFile(frames, rate, width, height, skeleton.name, ids, found.program)


def to_coco(
    points: Float[np.ndarray, "*lead j 2"], confidence: Float[np.ndarray, "*lead j"], skeleton: Skeleton
) -> tuple[Float[np.ndarray, "*lead 17 2"], Float[np.ndarray, "*lead 17"]]:
    """Points with gaps (NaN, confidence 0) in the order of `COCO_17`.

    A joint of the face that the skeleton lacks stands at the mean of those that it has; where it has none, at
    Thorax + 4/3 (Neck - Thorax), which undoes how `actlift.geometry.skeleton` makes Neck from the ears; else at Head.

    Raises:
        ValueError: limbs or everything about the head are missing.
    """
    face = [joint for joint in COCO_17.joints[:5] if joint not in skeleton.joints]
    whole = np.where(confidence[..., None] > 0, points, 0.0)  # a NaN would spread to all joints
    if face and (stand_in := _head(whole, confidence, skeleton)) is not None:
        head, sure = stand_in
        skeleton = _flat(skeleton.name, " ".join((*skeleton.joints, *face)))
        whole = np.concatenate([whole, np.repeat(head[..., None, :], len(face), axis=-2)], axis=-2)
        confidence = np.concatenate([confidence, np.repeat(sure[..., None] * STANDS_IN, len(face), axis=-1)], axis=-1)
    mapped, confidence = remap(whole, skeleton, COCO_17), remap_confidence(confidence, skeleton, COCO_17)
    return np.where(confidence[..., None] > 0, mapped, np.nan), confidence


def _head(
    points: Float[np.ndarray, "*lead j 2"], confidence: Float[np.ndarray, "*lead j"], skeleton: Skeleton
) -> tuple[Float[np.ndarray, "*lead 2"], Float[np.ndarray, "*lead"]] | None:
    """Where the middle of the head is, and how sure that is; None where no joint tells."""
    face = [skeleton.index(joint) for joint in COCO_17.joints[:5] if joint in skeleton.joints]
    if face:
        there = confidence[..., face] > 0
        count = there.sum(axis=-1).clip(1)
        return points[..., face, :].sum(axis=-2) / count[..., None], confidence[..., face].sum(axis=-1) / count
    if {"Thorax", "Neck"} <= set(skeleton.joints):
        thorax, neck = skeleton.index("Thorax"), skeleton.index("Neck")
        ears = points[..., thorax, :] + 4 / 3 * (points[..., neck, :] - points[..., thorax, :])
        return ears, confidence[..., [thorax, neck]].min(axis=-1)
    if "Head" in skeleton.joints:
        return points[..., skeleton.index("Head"), :], confidence[..., skeleton.index("Head")]
    return None


# --- what all formats share


def _rate_of(told: float | None, given: float | None) -> float:
    fps = told if told is not None else given
    if fps is None:
        raise InputError("the file does not tell its frames per second; give them, as in --fps 30")
    if not 0 < fps < math.inf:
        raise InputError(f"{fps:g} frames per second; wanted a positive number")
    return float(fps)


def _size_of(told: tuple[int, int] | None, given: tuple[int, int] | None) -> tuple[int, int]:
    if told is not None and given is not None and tuple(told) != tuple(given):
        raise InputError(
            f"the file tells of images of {told[0]}x{told[1]} pixels, but {given[0]}x{given[1]} was given; "
            "leave the size out or correct the file"
        )
    size = told if told is not None else given
    if size is None:
        raise InputError("the file does not tell the size of the image; give it, as in --size 1920x1080")
    if min(size) < 1:
        raise InputError(f"an image of {size[0]}x{size[1]} pixels; wanted a positive width and height")
    return int(size[0]), int(size[1])


def _seen(found: _Found) -> tuple[Float[np.ndarray, "r j 2"], Float[np.ndarray, "r j"]]:
    """Points with NaN, and confidence with 0, where unseen."""
    points, scores = found.points, found.scores
    there = (np.abs(points) < FARTHEST_PX).all(axis=-1) & (points != 0).any(axis=-1)  # no NaN either
    scores = np.ones(points.shape[:2]) if scores is None else np.nan_to_num(scores, nan=0.0, posinf=1.0, neginf=0.0)
    if not (scores > 0).any():  # as result lists have them whose writer left them out
        scores = np.ones_like(scores)
    if np.isin(scores, (0.0, 1.0, 2.0)).all() and (scores == 2).any():
        scores = scores / 2
    confidence = np.where(there, scores.clip(0, 1), 0.0)
    if not confidence.any():
        raise InputError(f"no joint of anybody is seen in it ({found.program})")
    return np.where(confidence[..., None] > 0, points, np.nan), confidence


def _in_pixels(points: Float[np.ndarray, "r j 2"], width: int, height: int) -> Float[np.ndarray, "r j 2"]:
    """Shares of width and height made pixels; pixels as they are."""
    seen = points[np.isfinite(points).all(axis=-1)]
    if np.quantile(np.abs(seen), 0.95) <= 2:
        if (seen < -0.05).mean() > 0.2:
            raise InputError(
                "coordinates lie between -1 and 1, around the middle of the image; wanted pixels, or shares of width "
                "and height from the top left"
            )
        return points * (width, height)
    outside = (seen < 0).any(axis=-1) | (seen > (width, height)).any(axis=-1)
    if outside.mean() > OUTSIDE:
        raise InputError(
            f"{outside.mean():.0%} of the joints lie outside of an image of {width}x{height} pixels: x from "
            f"{seen[:, 0].min():.0f} to {seen[:, 0].max():.0f}, y from {seen[:, 1].min():.0f} to "
            f"{seen[:, 1].max():.0f}; give the size of the image that they were found in"
        )
    return points


def _in_order(
    found: _Found, points: Float[np.ndarray, "r j 2"], confidence: Float[np.ndarray, "r j"], told: str | None
) -> tuple[Skeleton, Float[np.ndarray, "r k 2"], Float[np.ndarray, "r k"], str]:
    """The skeleton, its joints, and what speaks against it."""
    if told is not None and told not in LAYOUTS:
        raise InputError(f"no layout '{told}'; known are {', '.join(LAYOUTS)}")
    if found.joints is not None and len(found.joints) != points.shape[1]:
        raise InputError(f"{len(found.joints)} names of joints, but {points.shape[1]} joints; wanted a name for each")
    names = [known_joint(name) for name in found.joints or ()]
    if any(names):
        columns = {name: j for j, name in reversed(list(enumerate(names))) if name}  # of two of a name, the first
        if "Thorax" not in columns and "Neck" in columns:  # between the shoulders, unless both are there
            columns["NeckBase"] = columns.pop("Neck")
        if lost := [joint for joint in COCO_17.joints[5:] if joint not in columns]:
            raise InputError(f"no joints {', '.join(lost)}; the file names {', '.join(columns)}")
        skeleton = next(
            (known for known in LAYOUTS.values() if columns.keys() == set(known.joints)),
            _flat("custom", " ".join(sorted(columns, key=columns.__getitem__))),
        )
        if told is not None and told != skeleton.name:
            raise InputError(
                f"the file names its joints, which are those of '{skeleton.name}'; leave layout='{told}' out"
            )
        order = [columns[joint] for joint in skeleton.joints]
        return skeleton, points[:, order], confidence[:, order], ""

    count = points.shape[1]
    known = LAYOUTS_OF.get(count, ())
    name = told or found.layout or (known[0].name if known else None)
    if name is None:
        raise InputError(
            f"{count} joints without names; known are "
            f"{', '.join(f'{n} ({skeletons[0].name})' for n, skeletons in LAYOUTS_OF.items())}. Name them in the file"
        )
    skeleton = LAYOUTS[name]
    if count != len(skeleton) and skeleton not in known:
        raise InputError(f"{count} joints, but '{name}' has {len(skeleton)}; {_layouts_of(count)}")
    others = [other for other in known if other is not skeleton]
    points, confidence = points[:, : len(skeleton)], confidence[:, : len(skeleton)]
    doubt = _misfit(points, confidence, skeleton, others)
    if doubt and told is None and found.layout is None:
        raise InputError(doubt)
    return skeleton, points, confidence, doubt


def _layouts_of(count: int) -> str:
    names = [skeleton.name for skeleton in LAYOUTS_OF.get(count, ())]
    return f"that many are {' or '.join(names)}" if names else "no known layout has that many"


def _misfit(
    points: Float[np.ndarray, "r j 2"],
    confidence: Float[np.ndarray, "r j"],
    skeleton: Skeleton,
    others: Sequence[Skeleton],
) -> str:
    """In words, that another order fits far better; empty if none does."""
    own = _oddity(to_coco(points, confidence, skeleton)[0])
    for other in others:
        if _oddity(to_coco(points, confidence, other)[0]) < own - FAR_BETTER:
            count, name = points.shape[1], other.name
            return f"these {count} joints look like {name}, not {skeleton.name}: give layout='{name}'"
    return ""


# Bones between joints of COCO_17, and their usual lengths in meters.
_BONES = {
    ("LShoulder", "RShoulder"): 0.36,
    ("LHip", "RHip"): 0.27,
    **{(side + "Shoulder", side + "Hip"): 0.48 for side in "LR"},
    **{(side + "Shoulder", side + "Elbow"): 0.29 for side in "LR"},
    **{(side + "Elbow", side + "Wrist"): 0.26 for side in "LR"},
    **{(side + "Hip", side + "Knee"): 0.43 for side in "LR"},
    **{(side + "Knee", side + "Ankle"): 0.42 for side in "LR"},
}
_ENDS = np.array([[COCO_17.index(joint) for joint in bone] for bone in _BONES])
_LENGTHS = np.array(list(_BONES.values()))


def _oddity(points: Float[np.ndarray, "r 17 2"]) -> float:
    """How little these joints are a body, to be compared between orders of the same points.

    The mean deviation of the bones' lengths from human proportions, and the length of all bones together, both as
    logarithms: a wrong order draws bones across the body. It does not matter which way up people are; on 796 views of
    motion capture, of all sorts of action, the right one of `COCO_17` and `H36M_17` was less odd by 0.18 or more. NaN,
    which is never less, where some bone is never seen.
    """
    squares = np.square(points[:, _ENDS[:, 0]] - points[:, _ENDS[:, 1]]).sum(axis=-1)  # (r, bones)
    there = np.isfinite(squares)
    if not there.any(axis=0).all():
        return math.nan
    lengths = np.sqrt(np.where(there, squares, 0).sum(axis=0) / there.sum(axis=0)).clip(1e-6)
    deviation = np.log(lengths / _LENGTHS)
    return float(np.abs(deviation - np.median(deviation)).mean() + np.log(lengths.mean()))


def _doubts(points: Float[np.ndarray, "r 17 2"]) -> Iterable[str]:
    """What looks wrong with these people, in words."""

    left = {joint[1:]: points[:, COCO_17.index(joint)] for joint in COCO_17.joints if joint[0] == "L"}
    right = {joint[1:]: points[:, COCO_17.index(joint)] for joint in COCO_17.joints if joint[0] == "R"}
    below = _share((left["Shoulder"] + right["Shoulder"] - left["Ankle"] - right["Ankle"])[:, 1])
    if below > UNFIT:
        yield f"people stand on their heads ({below:.0%} of their heights): y must point down, from the image's top"
    if _share(((left["Shoulder"] - right["Shoulder"]) * (right["Hip"] - left["Hip"])).sum(axis=-1)) > UNFIT:
        yield "left and right of the shoulders are not those of the hips: are the joints in the order of the layout?"


def _share(values: Float[np.ndarray, " r"]) -> float:
    """Which part of those that are known is positive, by their size; 0 where too few are known to tell."""
    known = values[np.isfinite(values)]
    return float(known.clip(0).sum() / np.abs(known).sum().clip(1e-9)) if len(known) >= 5 else 0.0


def _by_frame(
    found: _Found, points: Float[np.ndarray, "r 17 2"], confidence: Float[np.ndarray, "r 17"], fps: float
) -> tuple[tuple[tuple[float, People], ...], tuple[Int[np.ndarray, " _"], ...] | None]:
    """Rows gathered into frames, and ids alike."""
    every = _without_gaps(np.unique(found.frame if found.every is None else np.append(found.every, found.frame)))
    from_one = found.every is not None and not found.timed and every[0] == 1
    first = every[0] if from_one or every[0] > MOST_FRAMES else 0.0
    times_s = (every - first) / (1.0 if found.timed else fps)
    rows = np.flatnonzero(confidence.any(axis=1))
    rows = rows[np.argsort(found.frame[rows], kind="stable")]
    ends = np.searchsorted(found.frame[rows], every, side="right")
    points, confidence = points[rows].astype(np.float32), confidence[rows].astype(np.float32)
    slices = [slice(start, end) for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]
    frames = tuple(
        (time_s, People(points[people], confidence[people]))
        for time_s, people in zip(times_s.tolist(), slices, strict=True)
    )
    numbers = _tracks(found, rows)
    return frames, None if numbers is None else tuple(numbers[people] for people in slices)


def _without_gaps(numbers: Float[np.ndarray, " f"]) -> Float[np.ndarray, " g"]:
    """Numbers of frames with those in between that are missing at their usual step."""
    if numbers[0] < 0:
        raise InputError(f"a frame has number {numbers[0]:g}; wanted 0 or more")
    if len(numbers) < 2:
        return numbers
    steps = np.diff(numbers)
    parts = np.rint(steps / np.median(steps)).clip(1)
    if parts.sum() >= MOST_FRAMES:
        raise InputError(
            f"frames are numbered from {numbers[0]:g} to {numbers[-1]:g} in steps of {np.median(steps):g}: over "
            f"{MOST_FRAMES} of them; wanted numbers that count frames"
        )
    parts = parts.astype(np.int64)
    within = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    return np.append(np.repeat(numbers[:-1], parts) + np.repeat(steps / parts, parts) * within, numbers[-1])


def _tracks(found: _Found, rows: Int[np.ndarray, " k"]) -> Int[np.ndarray, " k"] | None:
    """Ids as numbers, -1 for none; None if they do not tell people of a frame apart."""
    if found.ids is None:
        return None
    ids = [found.ids[row] for row in rows]
    if not all(isinstance(i, int | float) for i in ids):
        known = {name: number for number, name in enumerate(dict.fromkeys(i for i in ids if i is not None))}
        ids = [-1 if i is None else known[i] for i in ids]
    numbers = np.nan_to_num(np.array(ids, dtype=np.float64), nan=-1.0).clip(-1, 2**53).astype(np.int64)
    pairs = np.stack([found.frame[rows], numbers], axis=1)[numbers >= 0]
    if not len(pairs) or len(np.unique(pairs, axis=0)) < len(pairs):
        return None
    return numbers


def _number(label: Any, place: str) -> float:
    """The number of a frame: itself, or the last in the name of an image."""
    if isinstance(label, str):
        name = re.sub(r"(_keypoints)?\.(json|jpe?g|png|bmp|tiff?|webp)$", "", re.split(r"[\\/]", label)[-1], flags=re.I)
        if not (digits := re.findall(r"\d+", name)):
            raise InputError(f"{place} is '{label}'; wanted a number, or a name with the number of the frame in it")
        return float(digits[-1])
    if isinstance(label, bool) or not isinstance(label, int | float) or not math.isfinite(label):
        raise InputError(f"{place} is {_shown(label)}; wanted the number of a frame")
    return float(label)


def _numbers(labels: Sequence[Any], place: str) -> Float[np.ndarray, " n"]:
    """Numbers of frames; `place` has a {} for the index."""
    numbers: dict[Any, float] = {}
    for i, label in enumerate(labels):
        if not isinstance(label, int | float | str) or label not in numbers:
            numbers[label] = _number(label, place.format(i))
    named = [(number, name) for name, number in numbers.items() if isinstance(name, str)]
    if len(twice := Counter(number for number, _ in named)) < len(named):
        same, _ = twice.most_common(1)[0]
        names = [name for number, name in named if number == same]
        raise InputError(
            f"'{names[0]}' and '{names[1]}' are both frame {same:g}; wanted one video, or one camera, only"
        )
    return np.array([numbers[label] for label in labels])


def _shown(value: Any) -> str:
    """A short form of what came."""
    text = json.dumps(value, default=lambda other: type(other).__name__)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _records(value: Any, place: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise InputError(f"{place} is {_shown(value)}; wanted a list of objects")
    for i, record in enumerate(value):
        if not isinstance(record, dict):
            raise InputError(f"{place}[{i}] is {_shown(record)}; wanted an object")
    return value


def _field(record: Any, key: str, place: str) -> Any:
    if not isinstance(record, dict):
        raise InputError(f"{place} is {_shown(record)}; wanted an object")
    if key not in record:
        raise InputError(f"{place} has no '{key}'; it has {', '.join(map(str, record)) or 'nothing'}")
    return record[key]


def _array(values: Sequence[Any], places: Sequence[str], inner: tuple[int | None, ...]) -> Float[np.ndarray, "r ..."]:
    """Nested lists of numbers, all of one shape, as one array; None in `inner` stands for any length."""
    if not values:
        raise InputError("nobody is in it")
    wanted = " x ".join("n" if n is None else str(n) for n in inner)
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if array.ndim == len(inner) + 1 and all(n in (None, m) for n, m in zip(inner, array.shape[1:], strict=True)):
        return array
    shapes = [_shape(value) for value in values]
    usual = Counter(shape for shape in shapes if _fits(shape, inner)).most_common(1)
    for shape, place in zip(shapes, places, strict=True):
        if not usual or shape != usual[0][0]:
            came = "no list of numbers" if shape is None else f"numbers of shape {shape}"
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


def _triples(lists: Sequence[Any], places: Sequence[str]) -> Float[np.ndarray, "r j 3"]:
    """Lists of x, y, score, x, y, score, ... as points with scores."""
    array = _array(lists, places, (None,))
    if array.shape[1] % 3:
        raise InputError(f"{places[0]} has {array.shape[1]} numbers; wanted x, y and score of every joint")
    return array.reshape(len(array), -1, 3)


# --- names of joints


def _spellings() -> dict[str, str]:
    """Lower-case letters of a name -> joint."""
    found = {
        **dict.fromkeys(("midhip", "hip", "root", "hipcenter", "centerhip", "hips"), "Pelvis"),
        **dict.fromkeys(("tophead", "topofhead"), "HeadTop"),
    }
    parts = {"Foot": "Ankle"} | {
        joint[1:]: joint[1:] for known in LAYOUTS.values() for joint in known.joints if joint in _SIDED
    }
    for known in LAYOUTS.values():
        found |= {joint.lower(): joint for joint in known.joints}
    for part, joint in parts.items():
        for side in ("Left", "Right"):
            for spelling in (side + part, part + side, side[0] + part, part + side[0]):
                found.setdefault(spelling.lower(), side[0] + joint)
    return found


_SIDED = {known.joints[j] for known in LAYOUTS.values() for j in (*known.left, *known.right)}
_SPELLINGS = _spellings()


def known_joint(name: str) -> str | None:
    """The joint as `actlift.geometry.skeleton` names it, however it is spelt (`left_hip`, `LHip`, `hip.left`), or
    None."""
    return _SPELLINGS.get(re.sub(r"[^a-z0-9]", "", name.lower()))


# --- files


def _file(path: Path) -> _Found:
    if not path.stat().st_size:
        raise InputError("the file is empty (0 bytes)")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK\x03\x04"):
        return _npz(path)
    if start.startswith(b"\x93NUMPY"):
        return _npy(path)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _json(path)
    return _csv(path)


def _json(path: Path) -> _Found:
    held = _parsed(path)
    for recognized, read in JSON_FORMATS.values():
        if recognized(held):
            return read(held)
    came = f"an object with {', '.join(list(held)[:8])}" if isinstance(held, dict) else f"a list of {len(held)} items"
    raise InputError(f"{came} is no known format; known are {', '.join(JSON_FORMATS)}")


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"no valid JSON, or cut short: {error}") from error


def _is_record(held: Any, *keys: str) -> bool:
    return isinstance(held, dict) and all(key in held for key in keys)


def _are_records(held: Any, *keys: str) -> bool:
    return isinstance(held, list) and len(held) > 0 and _is_record(held[0], *keys)


def _coco(held: dict[str, Any]) -> _Found:
    """COCO's annotations: images, annotations, categories."""
    images = _records(held["images"], "images")
    ids = [str(_field(image, "id", f"images[{i}]")) for i, image in enumerate(images)]
    frames = dict(zip(ids, _frames_of(images).tolist(), strict=True))
    rows, places = [], []
    for i, note in enumerate(_records(held["annotations"], "annotations")):
        if note.get("keypoints"):  # without: objects, and people who are but boxes
            rows.append(note)
            places.append(f"annotations[{i}].keypoints")
            if (image := str(_field(note, "image_id", f"annotations[{i}]"))) not in frames:
                raise InputError(f"annotations[{i}].image_id is {image}, which is the id of no image")
    triples = _triples([note["keypoints"] for note in rows], places)
    categories = [c for c in _records(held.get("categories", []), "categories") if c.get("keypoints")]
    attributes = [more if isinstance(more := note.get("attributes"), dict) else {} for note in rows]
    about = held.get("info")
    return _Found(
        "coco",
        np.array([frames[str(note["image_id"])] for note in rows], dtype=np.float64),
        triples[..., :2],
        triples[..., 2],
        every=np.array(list(frames.values()), dtype=np.float64),
        joints=_names(categories[0]["keypoints"]) if len(categories) == 1 else None,
        ids=[_id(note.get("track_id", more.get("track_id"))) for note, more in zip(rows, attributes, strict=True)],
        fps=_positive(about.get("fps")) if isinstance(about, dict) else None,
        size=_one_size([(image.get("width"), image.get("height")) for image in images]),
    )


def _frames_of(images: list[dict[str, Any]]) -> Float[np.ndarray, " n"]:
    """Numbers of COCO's images: by their own telling, else in their file names, else their ids."""
    for key in ("frame_id", "file_name", "id"):
        if all(key in image for image in images):
            try:
                numbers = _numbers([image[key] for image in images], f"images[{{}}].{key}")
            except ValueError:
                continue
            if len(np.unique(numbers)) == len(numbers):
                return numbers
    raise InputError("neither 'frame_id' nor 'file_name' nor 'id' of the images is a number of its own for each")


def _one_size(sizes: Iterable[tuple[Any, Any]]) -> tuple[int, int] | None:
    known = {(int(w), int(h)) for w, h in sizes if _positive(w) and _positive(h)}
    if len(known) > 1:
        (w, h), (other_w, other_h) = sorted(known)[:2]
        raise InputError(f"images are of several sizes, as {w}x{h} and {other_w}x{other_h}; wanted those of one video")
    return next(iter(known), None)


def _names(value: Any) -> list[str] | None:
    """A list of names, else None."""
    return value if isinstance(value, list) and all(isinstance(name, str) for name in value) else None


def _positive(value: Any) -> float | None:
    """A positive number, else None."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
    return float(value) if number else None


def _id(value: Any) -> Any:
    """A track's id as it is written: a number or word, or the first of a list of them; None for none."""
    while isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, int | float | str) else None


def _results(held: list[Any]) -> _Found:
    """COCO's result list, which AlphaPose extends by names of images and ids of tracks."""
    records = _records(held, "")
    labels = [_field(record, "image_id", f"[{i}]") for i, record in enumerate(records)]
    lists = [_field(record, "keypoints", f"[{i}]") for i, record in enumerate(records)]
    triples = _triples(lists, [f"[{i}].keypoints" for i in range(len(records))])
    ids = [_id(record.get("idx", record.get("track_id"))) for record in records]
    program = "alphapose" if isinstance(labels[0], str) or "idx" in records[0] else "coco"
    return _Found(program, _numbers(labels, "[{}].image_id"), triples[..., :2], triples[..., 2], ids=ids)


def _alphapose_forms(held: dict[str, Any]) -> _Found:
    """AlphaPose's JSON in the form of CMU-Pose (bodies, joints) or of OpenPose (people, pose_keypoints_2d)."""
    labels, lists, places = [], [], []
    for name, image in held.items():
        key, inner = ("bodies", "joints") if _is_record(image, "bodies") else ("people", "pose_keypoints_2d")
        for i, person in enumerate(_records(_field(image, key, name), f"{name}.{key}")):
            labels.append(name)
            lists.append(_field(person, inner, f"{name}.{key}[{i}]"))
            places.append(f"{name}.{key}[{i}].{inner}")
    triples = _triples(lists, places)
    return _Found("alphapose", _numbers(labels, "image {}"), triples[..., :2], triples[..., 2])


def _mmpose(held: Any) -> _Found:
    """MMPose: frames with instances, with what the dataset calls its joints in front of them or not."""
    about = held.get("meta_info") if isinstance(held, dict) else None
    listed = held["instance_info"] if isinstance(held, dict) else held
    where = "instance_info" if isinstance(held, dict) else ""
    if _are_records(listed, "keypoints"):  # of one image
        listed = [listed]
    labels: list[Any] = []
    instances: list[dict[str, Any]] = []
    rows, places = [], []
    if not isinstance(listed, list):
        raise InputError(f"{where} is {_shown(listed)}; wanted a list of frames")
    for i, frame in enumerate(listed):
        of_frame = _field(frame, "instances", f"{where}[{i}]") if isinstance(frame, dict) else frame
        labels.append(frame.get("frame_id", i) if isinstance(frame, dict) else i)
        for k, instance in enumerate(_records(of_frame, f"{where}[{i}].instances")):
            instances.append(instance)
            rows.append(i)
            places.append(f"{where}[{i}].instances[{k}]")
    points = _array(
        [_field(instance, "keypoints", place) for instance, place in zip(instances, places, strict=True)],
        [f"{place}.keypoints" for place in places],
        (None, None),
    )
    key = next((key for key in ("keypoint_scores", "scores") if key in instances[0]), None)
    if points.shape[2:] not in ((2,), (3,)) or (points.shape[2] == 3 and key):
        raise InputError(
            f"{places[0]}.keypoints are {points.shape[2]} numbers a joint besides scores; wanted 2: x and y"
        )
    scores = points[..., 2] if points.shape[2] == 3 else None
    if key:
        listed_scores = [_field(instance, key, place) for instance, place in zip(instances, places, strict=True)]
        scores = _array(listed_scores, [f"{place}.{key}" for place in places], (points.shape[1],))
    numbers = _numbers(labels, where + "[{}].frame_id")
    names = about.get("keypoint_id2name") if isinstance(about, dict) else None
    named = names.items() if isinstance(names, dict) else ()
    order = sorted((_number(i, "a key of keypoint_id2name"), str(name)) for i, name in named)
    return _Found(
        "mmpose",
        numbers[rows],
        points[..., :2],
        scores,
        every=numbers,
        joints=[name for _, name in order] or None,
        ids=[_id(instance.get("track_id")) for instance in instances],
    )


LANDMARKS = ("landmarks", "pose_landmarks", "poseLandmarks", "keypoints", "poses", "pose")
COUNTS = ("frame", "frame_id", "frame_index", "frame_idx", "frame_number", "frame_num", "image_id", "index")
TIMES = ("time_s", "time", "timestamp", "t", "seconds", "timestamp_s", "ms", "time_ms", "timestamp_ms", "milliseconds")
SCORES = ("score", "confidence", "conf", "likelihood", "visibility", "vis", "presence", "prob", "v", "c", "s", "p")


def _landmark_frames(held: Any) -> list[Any] | None:
    """The list of frames, if it is one of landmarks."""
    if isinstance(held, dict):
        held = next((held[key] for key in ("frames", "data", "results", *LANDMARKS) if key in held), None)
    if _are_records(held, "x", "y"):
        return [held]  # of one image
    return held if isinstance(held, list) and any(_landmark_people(frame) for frame in held) else None


def _landmark_people(frame: Any) -> list[list[Any]]:
    """The people in a frame, each a list of landmarks; empty where there are none."""
    if isinstance(frame, dict):
        frame = next((frame[key] for key in LANDMARKS if frame.get(key)), None)
        if isinstance(frame, dict):  # joint -> landmark
            frame = [{"name": name, **mark} for name, mark in frame.items() if isinstance(mark, dict)]
    if not isinstance(frame, list):
        return []
    if _are_records(frame, "x", "y"):
        return [frame]
    people = [one if isinstance(one, list) else (_landmark_people(one) or [[]])[0] for one in frame]
    return [one for one in people if _are_records(one, "x", "y")]


def _landmarks(held: Any) -> _Found:
    """MediaPipe and its like: frames of objects with x, y and visibility."""
    frames = _landmark_frames(held) or []
    people, rows, places = [], [], []
    for i, frame in enumerate(frames):
        for k, marks in enumerate(_landmark_people(frame)):
            people.append(marks)
            rows.append(i)
            places.append(f"frame {i}, person {k}")
    axes = ["x", "y", *(key for key in SCORES if key in people[0][0])][:3]
    lists = [[[mark[axis] for axis in axes] if _is_record(mark, *axes) else None for mark in marks] for marks in people]
    values = _array(lists, places, (None, len(axes)))
    numbers = _of_frames(frames, COUNTS)
    every, timed, fps = _timing(
        np.arange(float(len(frames))) if numbers is None else numbers, _of_frames(frames, TIMES)
    )
    about = held if isinstance(held, dict) else {}
    return _Found(
        "landmarks",
        every[rows],
        values[..., :2],
        values[..., 2] if len(axes) == 3 else None,
        every=every,
        joints=[str(_field(mark, "name", places[0])) for mark in people[0]] if "name" in people[0][0] else None,
        fps=_positive(about.get("fps")) or fps,
        size=_one_size([(about.get("width"), about.get("height"))]),
        timed=timed,
    )


def _of_frames(frames: list[Any], keys: Iterable[str]) -> Float[np.ndarray, " f"] | None:
    """Which number every frame has by the first of these keys that frames have, or None."""
    key = next((key for key in keys if frames and _is_record(frames[0], key)), None)
    if key is None:
        return None
    labels = [_field(frame, key, f"frame {i}") if isinstance(frame, dict) else None for i, frame in enumerate(frames)]
    return _numbers(labels, f"frame {{}}: {key}")


def _timing(
    numbers: Float[np.ndarray, " n"], times: Float[np.ndarray, " n"] | None
) -> tuple[Float[np.ndarray, " n"], bool, float | None]:
    """Seconds, True and their rate, where times tell frames apart as numbers do; else numbers.

    Readers of videos that do not know the time say 0. The unit is told by the step: seconds below 1, microseconds from
    1000, milliseconds in between.
    """
    if times is not None and len(known := np.unique(times)) >= max(2, len(np.unique(numbers))) and known[0] >= 0:
        step = np.median(np.diff(known))
        unit = 1.0 if step < 1 else 1e-3 if step < 1000 else 1e-6
        return times * unit, True, round(1 / float(step * unit), 3)
    return numbers, False, None


JSON_FORMATS: dict[str, tuple[Callable[[Any], bool], Callable[[Any], _Found]]] = {
    "COCO annotations": (lambda held: _is_record(held, "images", "annotations"), _coco),
    "COCO or AlphaPose results": (lambda held: _are_records(held, "image_id", "keypoints"), _results),
    "MMPose": (
        lambda held: (
            _is_record(held, "instance_info")
            or _are_records(held, "instances")
            or _are_records(held, "keypoints", "keypoint_scores")
            or (isinstance(held, list) and any(_are_records(frame, "keypoints", "bbox") for frame in held))
        ),
        _mmpose,
    ),
    "AlphaPose in the form of OpenPose or CMU-Pose": (
        lambda held: (
            isinstance(held, dict) and any(_is_record(i, "bodies") or _is_record(i, "people") for i in held.values())
        ),
        _alphapose_forms,
    ),
    "landmarks of MediaPipe": (lambda held: _landmark_frames(held) is not None, _landmarks),
}


def _folder(path: Path) -> _Found:
    """OpenPose's folder: one file a frame. Pose2Sim's too, whose files have other endings."""
    files = list(path.glob("*_keypoints.json")) or list(path.glob("*.json"))
    if not files:
        raise InputError("no file *_keypoints.json in this folder; wanted OpenPose's, one a frame")
    numbers = _numbers([file.name for file in files], "file {}")
    frames, lists, places, ids = [], [], [], []
    for number, file in sorted(zip(numbers.tolist(), files, strict=True)):
        try:
            held = _parsed(file)
            people = _records(_field(held, "people", "the frame") if isinstance(held, dict) else held, "people")
        except ValueError as error:
            raise InputError(f"{file.name}: {error}") from error
        for i, person in enumerate(people):
            if points := _field(person, "pose_keypoints_2d", f"{file.name}: people[{i}]"):
                frames.append(number)
                lists.append(points)
                places.append(f"{file.name}: people[{i}].pose_keypoints_2d")
                ids.append(_id(person.get("person_id")))
    triples = _triples(lists, places)
    return _Found("openpose", np.array(frames), triples[..., :2], triples[..., 2], every=np.sort(numbers), ids=ids)


# --- arrays


def _npz(path: Path) -> _Found:
    arrays = _nested(path)
    for names, read in NPZ_FORMATS:
        if names <= arrays.keys():
            return read(arrays)
    raise InputError(
        f"arrays {sorted(arrays)} are no known format; wanted 'keypoints' of shape (frames, joints, 2 or 3) or "
        "(frames, people, joints, 2 or 3), perhaps with 'scores', 'fps', 'size' and 'joints'"
    )


def _nested(path: Path) -> dict[str, Any]:
    """As `read_nested_npz`, whose messages name the file as ours will."""
    try:
        return read_nested_npz(path)
    except (ValueError, NotImplementedError) as error:  # also a version of .zip that there is not
        raise InputError(str(error).removeprefix(f"{path}: ")) from error


def _detectron(arrays: dict[str, Any]) -> _Found:
    """For every frame a pair, of the class of nothing and of people: (people, 4, 17) of x, y, logit, probability."""
    frames, rows, places = [], [], []
    for i, pair in enumerate(arrays["keypoints"]):
        if not isinstance(pair, list | tuple | np.ndarray) or len(pair) != 2:
            raise InputError(f"keypoints[{i}] is no pair of classes; wanted those of VideoPose3D's inference")
        for k, person in enumerate(pair[1]):
            frames.append(i)
            rows.append(person)
            places.append(f"keypoints[{i}][1][{k}]")
    values = _array(rows, places, (4, None))
    # The older Detectron spreads its probabilities over all pixels, and draws keypoints from a logit of 2 on.
    sure = 1 / (1 + np.exp(2 - values[:, 2])) if values[:, 2].any() else DETECTRON_SURE * values[:, 3]
    about = arrays["metadata"]
    size = (about.get("w"), about.get("h")) if isinstance(about, dict) else (None, None)
    return _Found(
        "detectron",
        np.array(frames, dtype=np.float64),
        values[:, :2].transpose(0, 2, 1),
        sure,
        every=np.arange(float(len(arrays["keypoints"]))),
        size=_one_size([size]),
    )


def _videopose3d(arrays: dict[str, Any]) -> _Found:
    """The sequence of a `data_2d_*.npz`: positions_2d, subject -> take -> cameras, each (t, j, 2)."""
    subjects, about = arrays["positions_2d"], arrays["metadata"]
    if not (isinstance(subjects, dict) and all(isinstance(takes, dict) for takes in subjects.values())):
        raise InputError("'positions_2d' is not in its layout; wanted a dict of subjects, each a dict of takes")
    sequences = {
        f"{subject}/{take}, camera {i}": (subject, np.asarray(held))
        for subject, takes in subjects.items()
        for take, cameras in takes.items()
        for i, held in enumerate(cameras)
        if held is not None
    }
    if len(sequences) != 1:
        raise InputError(
            f"'positions_2d' has {len(sequences)} sequences ({', '.join(list(sequences)[:3])}, ...); wanted one. Write "
            "it into a file of its own: numpy.savez(name, keypoints=positions_2d[subject][take][camera])"
        )
    (subject, points), *_ = sequences.values()
    about = about if isinstance(about, dict) else {}
    sides = [[int(j) for j in side] for side in about.get("keypoints_symmetry", ())]
    layouts = LAYOUTS_OF.get(points.shape[1] if points.ndim == 3 else 0, ())
    size = (about.get("video_metadata") or {}).get(subject) or {}
    return _rows_of(
        "videopose3d",
        points,
        None,
        layout=next((known.name for known in layouts if sides == [list(known.left), list(known.right)]), None),
        size=_one_size([(size.get("w"), size.get("h"))]),
    )


def _plain(arrays: dict[str, Any]) -> _Found:
    def first(*names: str) -> Any:
        return next((arrays[name] for name in names if name in arrays), None)

    size = first("size", "image_size", "resolution")
    width, height = (first("width", "w"), first("height", "h")) if size is None else np.ravel(size)[:2]
    names, layout = first("joints", "joint_names", "names"), first("layout")
    return _rows_of(
        "numpy",
        arrays["keypoints"],
        first("scores", "confidence", "score", "keypoint_scores"),
        joints=None if names is None else [str(name) for name in np.ravel(names)],
        layout=None if layout is None else str(layout),
        fps=_positive(_item(first("fps"))),
        size=_one_size([(_item(width), _item(height))]),
        ids=first("ids", "track_ids"),
    )


def _item(value: Any) -> Any:
    """The number in an array of one."""
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.size == 1 else value


def _npy(path: Path) -> _Found:
    try:
        return _rows_of("numpy", np.load(path, mmap_mode="r", allow_pickle=False), None)  # mapped: no size is believed
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"no whole .npy file of numbers: {error}") from error


def _rows_of(program: str, points: Any, scores: Any, *, ids: Any = None, **about: Any) -> _Found:
    """Rows from (t, j, 2 or 3) or (t, people, j, 2 or 3), and what else is known."""
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
        scores = np.asarray(scores, dtype=np.float64)
        scores = scores[..., 0] if scores.shape == (*points.shape[:-1], 1) else scores
        if scores.shape != points.shape[:-1]:
            raise InputError(f"scores of shape {scores.shape}, keypoints of {points.shape}; wanted {points.shape[:-1]}")
        scores = scores.reshape(flat.shape[:2])
    elif points.shape[-1] == 3:
        scores = flat[..., 2]
    if ids is not None:
        if np.shape(ids) not in ((people,), (len(points), people)):
            raise InputError(f"ids of shape {np.shape(ids)}; wanted {(people,)} or {(len(points), people)}")
        ids = np.ravel(np.broadcast_to(ids, (len(points), people))).tolist()
    every = np.arange(float(len(points)))
    return _Found(program, np.repeat(every, people), flat[..., :2], scores, every=every, ids=ids, **about)


NPZ_FORMATS: tuple[tuple[set[str], Callable[[dict[str, Any]], _Found]], ...] = (
    ({"boxes", "keypoints", "metadata"}, _detectron),
    ({"positions_2d", "metadata"}, _videopose3d),
    ({"keypoints"}, _plain),
)

# --- tables

PEOPLE = ("person", "person_id", "track", "track_id", "id", "individual", "individuals", "idx", "player", "people")
JOINTS = (
    *("joint", "keypoint", "landmark", "bodypart", "part", "name", "joint_name", "keypoint_name", "landmark_name"),
    *("joint_id", "keypoint_id", "landmark_id", "joint_index", "keypoint_index", "landmark_index", "marker"),
)
_AXES = "x|y|" + "|".join(SCORES)
_LAST = re.compile(rf"(.*?[^\W_])[\s_.:/-]+({_AXES})|(.*[a-z0-9])(X|Y|V|C|S)|(\d+)({_AXES})", re.ASCII)
_FIRST = re.compile(rf"({_AXES})[\s_.:/-]*(\d+)|({_AXES})[\s_.:/-]+(.+)", re.ASCII)


def _csv(path: Path) -> _Found:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            start = file.readline(1_000_000)
            separator = max(",;\t", key=start.count)
            file.seek(0)
            top = [row for row, _ in zip(csv.reader(file, delimiter=separator), range(5), strict=False)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("neither JSON, .npz, .npy nor text with columns") from error
    top = [[cell.strip() for cell in row] for row in top]
    heads = 1
    if top[0][:1] and top[0][0].lower() == "scorer":
        heads += sum("".join(row[:1]).lower() in ("individuals", "bodyparts", "coords") for row in top[1:4])
    if start.count(separator) < 2 or heads >= len(top):
        raise InputError(
            "no table with a line of names and lines of numbers; wanted columns as nose_x, nose_y, nose_score"
        )
    dotted = separator != ";" or re.search(r"\d\.\d", ";".join(top[heads])) is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # instead of cutting lines that are too long
            table = pd.read_csv(
                path,
                sep=separator,
                decimal="." if dotted else ",",
                header=None,
                skiprows=heads,
                names=range(len(top[0])),
                index_col=False,
                encoding="utf-8-sig",
                skipinitialspace=True,
                low_memory=False,
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise InputError(f"lines do not have the columns of the first: {error}") from error
    if heads > 1:
        return _deeplabcut(table, top[:heads])
    names = [name.lower() for name in top[0]]
    if any(name in JOINTS for name in names) and {"x", "y"} <= set(names):
        return _long(table, names)
    return _wide(table, top[0])


def _column(table: pd.DataFrame, names: Sequence[str], wanted: Iterable[str]) -> pd.Series | None:
    """The first of the wanted columns that there is."""
    name = next((name for name in wanted if name in names), None)
    return None if name is None else table[names.index(name)]


def _floats(column: pd.Series, name: str) -> Float[np.ndarray, " n"]:
    """A column of numbers, NaN where empty."""
    numbers = pd.to_numeric(column, errors="coerce")
    if len(bad := np.flatnonzero(numbers.isna() & column.notna())):
        raise InputError(f"column '{name}' has {_shown(str(column.iloc[bad[0]]))} in row {bad[0] + 1}; wanted a number")
    return numbers.to_numpy(dtype=np.float64)


def _when(table: pd.DataFrame, names: Sequence[str]) -> tuple[Float[np.ndarray, " n"], bool, float | None]:
    """Number or time of the frame of every line; lines are frames where there is neither."""
    counted, timed = _column(table, names, COUNTS), _column(table, names, TIMES)
    times = None if timed is None else _floats(timed, "time")
    if times is not None and (np.isnan(times).any() or len(np.unique(times)) < 2):
        times = None
    if counted is not None:
        return _timing(_numbers(counted.tolist(), "frame of row {}"), times)
    return _timing(np.arange(float(len(table))) if times is None else times, times)


def _wide(table: pd.DataFrame, header: Sequence[str]) -> _Found:
    """A line a person and frame, columns `<joint>_x` and so on."""
    names = [name.lower() for name in header]
    columns: dict[tuple[str, str], int] = {}
    for at, name in enumerate(header):
        if (parts := _joint_and_axis(name)) is not None:
            columns.setdefault(parts, at)
    joints = [joint for joint, axis in columns if axis == "x" and (joint, "y") in columns]
    if not joints:
        raise InputError(
            f"columns {', '.join(header[:8])}, ... name no joints; wanted some as nose_x, nose_y, nose_score, or the "
            "columns frame, joint, x, y, score"
        )
    if all(joint.isdecimal() for joint in joints):
        joints.sort(key=int)
    points, scores = _joints_of(table, columns, joints)
    frame, timed, fps = _when(table, names)
    people = _column(table, names, PEOPLE)
    return _Found("csv", frame, points, scores, joints=joints, ids=_people(people), fps=fps, timed=timed)


def _joint_and_axis(name: str) -> tuple[str, str] | None:
    """`LEFT_HIP_x`, `hip.left.likelihood`, `lmk3_vis`, `x3`, `y_nose`: the joint, and x, y or "score"."""
    if match := _LAST.fullmatch(name) or _LAST.fullmatch(name.lower()):
        joint, axis = [part for part in match.groups() if part]
    elif match := _FIRST.fullmatch(name.lower()):
        axis, joint = [part for part in match.groups() if part]
    else:
        return None
    number = re.fullmatch(r"(?:joint|keypoint|landmark|point|marker|kpt?|lmk?|pose|j|p)?[\s_.-]*(\d+)", joint, re.I)
    axis = axis.lower()
    return number[1] if number else joint, axis if axis in "xy" else "score"


def _joints_of(
    table: pd.DataFrame, columns: Mapping[tuple[str, str], int], joints: Sequence[str]
) -> tuple[Float[np.ndarray, "n j 2"], Float[np.ndarray, "n j"] | None]:
    def stacked(axis: str) -> Float[np.ndarray, "n j"]:
        held = [_floats(table[columns[joint, axis]], f"{joint}, {axis}") for joint in joints]
        return np.stack(held, axis=1)

    scored = all((joint, "score") in columns for joint in joints)
    return np.stack([stacked("x"), stacked("y")], axis=-1), stacked("score") if scored else None


def _people(column: pd.Series | None) -> list[Any] | None:
    """Ids of people: numbers or words, None where empty."""
    return None if column is None else [None if pd.isna(value) else value for value in column.tolist()]


def _long(table: pd.DataFrame, names: Sequence[str]) -> _Found:
    """A line a joint: frame or time, person, joint, x, y, score."""
    frame, timed, fps = _when(table, names)
    if not timed and _column(table, names, COUNTS) is None:
        raise InputError(
            f"no column for the frame among {', '.join(names)}; wanted one of {', '.join((*COUNTS, *TIMES))}"
        )
    labels = _column(table, names, JOINTS)
    people = _column(table, names, PEOPLE)
    assert labels is not None, "the caller looked"
    joints = list(labels.dropna().unique())
    if pd.api.types.is_numeric_dtype(labels):
        joints.sort()
    joint = pd.Categorical(labels, categories=joints).codes
    person = pd.factorize(people)[0] if people is not None else np.zeros(len(table))
    (rows, first), row = _unique_rows(frame, person)
    kept = joint >= 0
    if len(np.unique(np.stack([row[kept], joint[kept]]), axis=1).T) < kept.sum():
        raise InputError("a joint is there twice in a frame; wanted a column that tells people apart, as 'person'")
    points, scores = np.full((len(rows), len(joints), 2), np.nan), np.full((len(rows), len(joints)), np.nan)
    points[row[kept], joint[kept], 0] = _floats(table[names.index("x")], "x")[kept]
    points[row[kept], joint[kept], 1] = _floats(table[names.index("y")], "y")[kept]
    held = _column(table, names, SCORES)
    if held is not None:
        scores[row[kept], joint[kept]] = _floats(held, "score")[kept]
    return _Found(
        "csv",
        rows,
        points,
        None if held is None else scores,
        joints=[str(name) for name in joints],
        ids=None if people is None else _people(people.iloc[first]),
        fps=fps,
        timed=timed,
    )


def _unique_rows(
    frame: Float[np.ndarray, " n"], person: np.ndarray
) -> tuple[tuple[Float[np.ndarray, " r"], Int[np.ndarray, " r"]], Int[np.ndarray, " n"]]:
    """Frames of the rows that lines make and the first line of each, and the row of every line."""
    pairs, first, row = np.unique(np.stack([frame, person], axis=1), axis=0, return_index=True, return_inverse=True)
    return (pairs[:, 0], first), row.ravel()


def _deeplabcut(table: pd.DataFrame, heads: Sequence[Sequence[str]]) -> _Found:
    """DeepLabCut's table: header rows scorer, individuals for several animals, bodyparts, coords."""
    rows = {head[0].lower(): head for head in heads}
    if not {"bodyparts", "coords"} <= rows.keys() or len({len(head) for head in heads}) > 1:
        raise InputError(
            f"header rows {', '.join(rows)}; wanted scorer, bodyparts and coords of one length, as of DeepLabCut"
        )
    first = next((at for at, axis in enumerate(rows["coords"]) if axis == "x"), 0)  # behind the columns of the index
    individuals = rows.get("individuals", [""] * len(rows["coords"]))
    found: dict[str, dict[tuple[str, str], int]] = {}
    for at in range(first, len(rows["coords"])):
        axis = rows["coords"][at]
        found.setdefault(individuals[at], {})[rows["bodyparts"][at], axis if axis in ("x", "y") else "score"] = at
    joints = list(dict.fromkeys(joint for columns in found.values() for joint, _ in columns))
    needed = {(joint, axis) for joint in joints for axis in "xy"}
    whole = {who: columns for who, columns in found.items() if needed <= columns.keys()}
    if not first or not whole:
        raise InputError("no animal has x and y of all body parts; wanted a table as DeepLabCut writes it")
    parts = [_joints_of(table, columns, joints) for columns in whole.values()]
    frame = _numbers(table[first - 1].tolist(), "frame of row {}")
    scores = [scores for _, scores in parts if scores is not None]
    return _Found(
        "deeplabcut",
        np.tile(frame, len(whole)),
        np.concatenate([points for points, _ in parts]),
        np.concatenate(scores) if len(scores) == len(whole) else None,
        joints=joints,
        ids=[number for number in range(len(whole)) for _ in frame] if "individuals" in rows else None,
    )
