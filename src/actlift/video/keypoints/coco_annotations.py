"""COCO's annotations: an object with `images`, `annotations` and perhaps `categories` and `info`."""

from typing import Any

import numpy as np
from jaxtyping import Float

from actlift.errors import InputError
from actlift.video.keypoints.base import (
    Content,
    RawKeypoints,
    field_of,
    frame_numbers,
    is_record,
    one_size,
    positive,
    records,
    track_id,
    triples,
)


def recognize(content: Content) -> bool:
    return is_record(content.json, "images", "annotations")


def read(content: Content) -> RawKeypoints:
    held = content.json
    images = records(held["images"], "images")
    image_ids = [str(field_of(image, "id", f"images[{i}]")) for i, image in enumerate(images)]
    frames = dict(zip(image_ids, _frames_of(images).tolist(), strict=True))
    rows, places = [], []
    for i, note in enumerate(records(held["annotations"], "annotations")):
        if note.get("keypoints"):  # without: objects, and people who are but boxes
            rows.append(note)
            places.append(f"annotations[{i}].keypoints")
            if (image := str(field_of(note, "image_id", f"annotations[{i}]"))) not in frames:
                raise InputError(f"annotations[{i}].image_id is {image}, which is the id of no image")
    scored = triples([note["keypoints"] for note in rows], places)
    categories = [c for c in records(held.get("categories", []), "categories") if c.get("keypoints")]
    attributes = [more if isinstance(more := note.get("attributes"), dict) else {} for note in rows]
    about = held.get("info")
    return RawKeypoints(
        "coco",
        np.array([frames[str(note["image_id"])] for note in rows], dtype=np.float64),
        scored[..., :2],
        scored[..., 2],
        every=np.array(list(frames.values()), dtype=np.float64),
        joints=_names(categories[0]["keypoints"]) if len(categories) == 1 else None,
        ids=[track_id(note.get("track_id", more.get("track_id"))) for note, more in zip(rows, attributes, strict=True)],
        fps=positive(about.get("fps")) if isinstance(about, dict) else None,
        size=one_size([(image.get("width"), image.get("height")) for image in images]),
    )


def _frames_of(images: list[dict[str, Any]]) -> Float[np.ndarray, " n"]:
    """Numbers of images: by their own telling, else in their file names, else their ids."""
    for key in ("frame_id", "file_name", "id"):
        if all(key in image for image in images):
            try:
                numbers = frame_numbers([image[key] for image in images], f"images[{{}}].{key}")
            except InputError:
                continue
            if len(np.unique(numbers)) == len(numbers):
                return numbers
    raise InputError("neither 'frame_id' nor 'file_name' nor 'id' of the images is a number of its own for each")


def _names(value: Any) -> list[str] | None:
    """A list of names, else None."""
    return value if isinstance(value, list) and all(isinstance(name, str) for name in value) else None
