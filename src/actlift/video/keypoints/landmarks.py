"""JSON of MediaPipe and its like: a list of frames of `{x, y, z, visibility}`, in any of many wrappings."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from actlift.video.keypoints.base import (
    COUNTS,
    SCORES,
    TIMES,
    Content,
    RawKeypoints,
    are_records,
    field_of,
    frame_numbers,
    is_record,
    one_size,
    positive,
    stacked,
    timing,
)

LANDMARKS = ("landmarks", "pose_landmarks", "poseLandmarks", "keypoints", "poses", "pose")


def recognize(content: Content) -> bool:
    return _frames_in(content.json) is not None


def read(content: Content) -> RawKeypoints:
    held = content.json
    frames = _frames_in(held) or []
    people, rows, places = [], [], []
    for i, frame in enumerate(frames):
        for k, marks in enumerate(_people_in(frame)):
            people.append(marks)
            rows.append(i)
            places.append(f"frame {i}, person {k}")
    axes = ["x", "y", *(key for key in SCORES if key in people[0][0])][:3]
    lists = [[[mark[axis] for axis in axes] if is_record(mark, *axes) else None for mark in marks] for marks in people]
    values = stacked(lists, places, (None, len(axes)))
    numbers = _numbers_of(frames, COUNTS)
    every, timed, fps = timing(
        np.arange(float(len(frames))) if numbers is None else numbers, _numbers_of(frames, TIMES)
    )
    about = held if isinstance(held, dict) else {}
    return RawKeypoints(
        "landmarks",
        every[rows],
        values[..., :2],
        values[..., 2] if len(axes) == 3 else None,
        every=every,
        joints=[str(field_of(mark, "name", places[0])) for mark in people[0]] if "name" in people[0][0] else None,
        fps=positive(about.get("fps")) or fps,
        size=one_size([(about.get("width"), about.get("height"))]),
        timed=timed,
    )


def _frames_in(held: Any) -> list[Any] | None:
    """The list of frames, if it is one of landmarks."""
    if isinstance(held, dict):
        held = next((held[key] for key in ("frames", "data", "results", *LANDMARKS) if key in held), None)
    if are_records(held, "x", "y"):
        return [held]  # of one image
    return held if isinstance(held, list) and any(_people_in(frame) for frame in held) else None


def _people_in(frame: Any) -> list[list[Any]]:
    """The people in a frame, each a list of landmarks; empty where there are none."""
    if isinstance(frame, dict):
        frame = next((frame[key] for key in LANDMARKS if frame.get(key)), None)
        if isinstance(frame, dict):  # joint -> landmark
            frame = [{"name": name, **mark} for name, mark in frame.items() if isinstance(mark, dict)]
    if not isinstance(frame, list):
        return []
    if are_records(frame, "x", "y"):
        return [frame]
    people = [one if isinstance(one, list) else (_people_in(one) or [[]])[0] for one in frame]
    return [one for one in people if are_records(one, "x", "y")]


def _numbers_of(frames: list[Any], keys: Iterable[str]) -> Float[np.ndarray, " f"] | None:
    """Which number every frame has by the first of these keys that frames have, or None."""
    key = next((key for key in keys if frames and is_record(frames[0], key)), None)
    if key is None:
        return None
    labels = [field_of(frame, key, f"frame {i}") if isinstance(frame, dict) else None for i, frame in enumerate(frames)]
    return frame_numbers(labels, f"frame {{}}: {key}")
