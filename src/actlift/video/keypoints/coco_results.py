"""COCO's result list (`image_id`, `keypoints`, `score`), which AlphaPose extends by ids of tracks.

In `alphapose-results.json`, `image_id` is the name of a file.
"""

from actlift.video.keypoints.base import (
    Content,
    RawKeypoints,
    are_records,
    field_of,
    frame_numbers,
    records,
    track_id,
    triples,
)


def recognize(content: Content) -> bool:
    return are_records(content.json, "image_id", "keypoints")


def read(content: Content) -> RawKeypoints:
    people = records(content.json, "")
    labels = [field_of(person, "image_id", f"[{i}]") for i, person in enumerate(people)]
    lists = [field_of(person, "keypoints", f"[{i}]") for i, person in enumerate(people)]
    scored = triples(lists, [f"[{i}].keypoints" for i in range(len(people))])
    ids = [track_id(person.get("idx", person.get("track_id"))) for person in people]
    program = "alphapose" if isinstance(labels[0], str) or "idx" in people[0] else "coco"
    return RawKeypoints(program, frame_numbers(labels, "[{}].image_id"), scored[..., :2], scored[..., 2], ids=ids)
