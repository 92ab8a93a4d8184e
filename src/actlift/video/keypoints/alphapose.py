"""AlphaPose's JSON in the form of CMU-Pose (bodies, joints) or of OpenPose (people, pose_keypoints_2d), by image.

Its own form is a result list of COCO's (`coco_results`).
"""

from actlift.video.keypoints.base import (
    Content,
    RawKeypoints,
    field_of,
    frame_numbers,
    is_record,
    records,
    triples,
)


def recognize(content: Content) -> bool:
    held = content.json
    return isinstance(held, dict) and any(is_record(i, "bodies") or is_record(i, "people") for i in held.values())


def read(content: Content) -> RawKeypoints:
    labels, lists, places = [], [], []
    for name, image in content.json.items():
        key, inner = ("bodies", "joints") if is_record(image, "bodies") else ("people", "pose_keypoints_2d")
        for i, person in enumerate(records(field_of(image, key, name), f"{name}.{key}")):
            labels.append(name)
            lists.append(field_of(person, inner, f"{name}.{key}[{i}]"))
            places.append(f"{name}.{key}[{i}].{inner}")
    scored = triples(lists, places)
    return RawKeypoints("alphapose", frame_numbers(labels, "image {}"), scored[..., :2], scored[..., 2])
