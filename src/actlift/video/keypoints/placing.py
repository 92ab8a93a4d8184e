"""Rows of a file put into place: joints seen or not, pixels, seconds, frames."""

import math

import numpy as np
from jaxtyping import Float, Int

from actlift.errors import InputError
from actlift.video.detectors.base import Detections
from actlift.video.keypoints.base import RawKeypoints

MOST_FRAMES = 5_000_000  # more than a day at 50 frames per second: such numbers do not count frames
OUTSIDE = 0.5  # share of joints outside of the image from which its size is wrong
FARTHEST_PX = 1e6  # what lies beyond has not been seen


def rate_of(told: float | None, given: float | None) -> float:
    """Choose the frames per second: as the file tells, else as given.

    Raises:
        InputError: neither does, or it is no rate.
    """
    fps = told if told is not None else given
    if fps is None:
        raise InputError("the file does not tell its frames per second; give them, as in --fps 30")
    if not 0 < fps < math.inf:
        raise InputError(f"{fps:g} frames per second; wanted a positive number")
    return float(fps)


def size_of(told: tuple[int, int] | None, given: tuple[int, int] | None) -> tuple[int, int]:
    """Choose the width and height of the image in pixels: as the file tells, else as given.

    Raises:
        InputError: neither does, they differ, or it is no size.
    """
    if told is not None and given is not None and tuple(told) != tuple(given):
        raise InputError(
            f"the file tells of images of {told[0]}x{told[1]} pixels, but {given[0]}x{given[1]} was given; "
            "leave the size out or correct the file"
        )
    size = told if told is not None else given
    if size is None:
        raise InputError("the file does not tell the size of the image; give it, as in --size 1920x1080")
    if not 1 <= min(size) <= max(size) <= FARTHEST_PX:
        raise InputError(
            f"an image of {size[0]}x{size[1]} pixels; wanted a positive width and height, of at most {FARTHEST_PX:.0f}"
        )
    return int(size[0]), int(size[1])


def seen(raw: RawKeypoints) -> tuple[Float[np.ndarray, "r j 2"], Float[np.ndarray, "r j"]]:
    """Find which joints are seen: points are NaN, and confidence is 0, where unseen.

    Raises:
        InputError: none is.
    """
    points, scores = raw.points, raw.scores
    there = (np.abs(points) < FARTHEST_PX).all(axis=-1) & (points != 0).any(axis=-1)  # no NaN either
    scores = np.ones(points.shape[:2]) if scores is None else np.nan_to_num(scores, nan=0.0, posinf=1.0, neginf=0.0)
    if not (scores > 0).any():  # as result lists have them whose writer left them out
        scores = np.ones_like(scores)
    if np.isin(scores, (0.0, 1.0, 2.0)).all() and (scores == 2).any():
        scores = scores / 2
    confidence = np.where(there, scores.clip(0, 1), 0.0)
    if not confidence.any():
        raise InputError(f"no joint of anybody is seen in it ({raw.program})")
    return np.where(confidence[..., None] > 0, points, np.nan), confidence


def in_pixels(points: Float[np.ndarray, "r j 2"], width: int, height: int) -> Float[np.ndarray, "r j 2"]:
    """Make shares of width and height pixels; leave pixels as they are.

    Raises:
        InputError: coordinates are neither, or lie outside of the image.
    """
    known = points[np.isfinite(points).all(axis=-1)]
    if np.quantile(np.abs(known), 0.95) <= 2:
        if (known < -0.05).mean() > 0.2:
            raise InputError(
                "coordinates lie between -1 and 1, around the middle of the image; wanted pixels, or shares of width "
                "and height from the top left"
            )
        return points * (width, height)
    outside = (known < 0).any(axis=-1) | (known > (width, height)).any(axis=-1)
    if outside.mean() > OUTSIDE:
        raise InputError(
            f"{outside.mean():.0%} of the joints lie outside of an image of {width}x{height} pixels: x from "
            f"{known[:, 0].min():.0f} to {known[:, 0].max():.0f}, y from {known[:, 1].min():.0f} to "
            f"{known[:, 1].max():.0f}; give the size of the image that they were found in"
        )
    return points


def by_frame(
    raw: RawKeypoints, points: Float[np.ndarray, "r 17 2"], confidence: Float[np.ndarray, "r 17"], fps: float
) -> tuple[tuple[tuple[float, Detections], ...], tuple[Int[np.ndarray, " _"], ...] | None]:
    """Gather rows into frames, each with its time in seconds, and ids alike.

    Raises:
        InputError: numbers of frames do not count them.
    """
    every = _without_gaps(np.unique(raw.frame if raw.every is None else np.append(raw.every, raw.frame)))
    from_one = raw.every is not None and not raw.timed and every[0] == 1
    first = every[0] if from_one or every[0] > MOST_FRAMES else 0.0
    times_s = (every - first) / (1.0 if raw.timed else fps)
    rows = np.flatnonzero(confidence.any(axis=1))
    rows = rows[np.argsort(raw.frame[rows], kind="stable")]
    ends = np.searchsorted(raw.frame[rows], every, side="right")
    points, confidence = points[rows].astype(np.float32), confidence[rows].astype(np.float32)
    slices = [slice(start, end) for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]
    frames = tuple(
        (time_s, Detections(points[people], confidence[people]))
        for time_s, people in zip(times_s.tolist(), slices, strict=True)
    )
    numbers = _tracks(raw, rows)
    return frames, None if numbers is None else tuple(numbers[people] for people in slices)


def _without_gaps(numbers: Float[np.ndarray, " f"]) -> Float[np.ndarray, " g"]:
    """Fill in the numbers of frames that are missing in between, at their usual step."""
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


def _tracks(raw: RawKeypoints, rows: Int[np.ndarray, " k"]) -> Int[np.ndarray, " k"] | None:
    """Ids as numbers, -1 for none; None if they do not tell people of a frame apart."""
    if raw.ids is None:
        return None
    ids = [raw.ids[row] for row in rows]
    if not all(isinstance(i, int | float) for i in ids):
        known = {name: number for number, name in enumerate(dict.fromkeys(i for i in ids if i is not None))}
        ids = [-1 if i is None else known[i] for i in ids]
    numbers = np.nan_to_num(np.array(ids, dtype=np.float64), nan=-1.0).clip(-1, 2**53).astype(np.int64)
    pairs = np.stack([raw.frame[rows], numbers], axis=1)[numbers >= 0]
    if not len(pairs) or len(np.unique(pairs, axis=0)) < len(pairs):
        return None
    return numbers
