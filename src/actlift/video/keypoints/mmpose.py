"""MMPose: frames with instances, as its demos (`instance_info`) or its inferencer (`frame_id`, `instances`) write them.

What the dataset calls its joints stands in front of them, or does not.
"""

from typing import Any

from actlift.errors import InputError
from actlift.video.keypoints.base import (
    Content,
    RawKeypoints,
    are_records,
    field_of,
    frame_number,
    frame_numbers,
    is_record,
    records,
    shown,
    stacked,
    track_id,
)


def recognize(content: Content) -> bool:
    held = content.json
    return (
        is_record(held, "instance_info")
        or are_records(held, "instances")
        or are_records(held, "keypoints", "keypoint_scores")
        or (isinstance(held, list) and any(are_records(frame, "keypoints", "bbox") for frame in held))
    )


def read(content: Content) -> RawKeypoints:
    held = content.json
    listed = held["instance_info"] if isinstance(held, dict) else held
    where = "instance_info" if isinstance(held, dict) else ""
    if are_records(listed, "keypoints"):  # of one image
        listed = [listed]
    labels: list[Any] = []
    instances: list[dict[str, Any]] = []
    rows, places = [], []
    if not isinstance(listed, list):
        raise InputError(f"{where} is {shown(listed)}; wanted a list of frames")
    for i, frame in enumerate(listed):
        of_frame = field_of(frame, "instances", f"{where}[{i}]") if isinstance(frame, dict) else frame
        labels.append(frame.get("frame_id", i) if isinstance(frame, dict) else i)
        for k, instance in enumerate(records(of_frame, f"{where}[{i}].instances")):
            instances.append(instance)
            rows.append(i)
            places.append(f"{where}[{i}].instances[{k}]")

    def of_all(key: str, inner: tuple[int | None, ...]) -> Any:
        fields = [field_of(instance, key, place) for instance, place in zip(instances, places, strict=True)]
        return stacked(fields, [f"{place}.{key}" for place in places], inner)

    points = of_all("keypoints", (None, None))
    key = next((key for key in ("keypoint_scores", "scores") if key in instances[0]), None)
    if points.shape[2:] not in ((2,), (3,)) or (points.shape[2] == 3 and key):
        raise InputError(
            f"{places[0]}.keypoints are {points.shape[2]} numbers a joint besides scores; wanted 2: x and y"
        )
    scores = points[..., 2] if points.shape[2] == 3 else None
    if key:
        scores = of_all(key, (points.shape[1],))
    numbers = frame_numbers(labels, where + "[{}].frame_id")
    return RawKeypoints(
        "mmpose",
        numbers[rows],
        points[..., :2],
        scores,
        every=numbers,
        joints=_names(held.get("meta_info") if isinstance(held, dict) else None),
        ids=[track_id(instance.get("track_id")) for instance in instances],
    )


def _names(about: Any) -> list[str] | None:
    """The joints in order, where the dataset names them."""
    names = about.get("keypoint_id2name") if isinstance(about, dict) else None
    named = names.items() if isinstance(names, dict) else ()
    order = sorted((frame_number(i, "a key of keypoint_id2name"), str(name)) for i, name in named)
    return [name for _, name in order] or None
