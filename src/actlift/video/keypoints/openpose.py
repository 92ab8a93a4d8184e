"""OpenPose: a folder of `*_keypoints.json`, one a frame. Pose2Sim's too, whose files have other endings."""

import numpy as np

from actlift.errors import InputError
from actlift.video.keypoints.base import (
    Content,
    RawKeypoints,
    field_of,
    frame_numbers,
    parse_json,
    records,
    track_id,
    triples,
)


def recognize(content: Content) -> bool:
    return content.kind == "folder" and any(content.path.glob("*.json"))


def read(content: Content) -> RawKeypoints:
    files = list(content.path.glob("*_keypoints.json")) or list(content.path.glob("*.json"))
    numbers = frame_numbers([file.name for file in files], "file {}")
    frames, lists, places, ids = [], [], [], []
    for number, file in sorted(zip(numbers.tolist(), files, strict=True)):
        try:
            held = parse_json(file)
            people = records(field_of(held, "people", "the frame") if isinstance(held, dict) else held, "people")
        except InputError as error:
            raise InputError(f"{file.name}: {error}") from error
        for i, person in enumerate(people):
            if points := field_of(person, "pose_keypoints_2d", f"{file.name}: people[{i}]"):
                frames.append(number)
                lists.append(points)
                places.append(f"{file.name}: people[{i}].pose_keypoints_2d")
                ids.append(track_id(person.get("person_id")))
    scored = triples(lists, places)
    return RawKeypoints("openpose", np.array(frames), scored[..., :2], scored[..., 2], every=np.sort(numbers), ids=ids)
