"""`.npz` of VideoPose3D's inference with Detectron: `boxes`, `keypoints` and `metadata`.

For every frame there is a pair, of the class of nothing and of people: (people, 4, 17) of x, y, logit, probability.
"""

import numpy as np

from actlift.errors import InputError
from actlift.video.keypoints.base import Content, RawKeypoints, one_size, stacked

SURE = 6.0  # Detectron2 draws keypoints from a score of 0.05 on, others from 0.3


def recognize(content: Content) -> bool:
    return {"boxes", "keypoints", "metadata"} <= content.arrays.keys()


def read(content: Content) -> RawKeypoints:
    listed, about = content.arrays["keypoints"], content.arrays["metadata"]
    frames, rows, places = [], [], []
    for i, pair in enumerate(listed):
        if not isinstance(pair, list | tuple | np.ndarray) or len(pair) != 2:
            raise InputError(f"keypoints[{i}] is no pair of classes; wanted those of VideoPose3D's inference")
        for k, person in enumerate(pair[1]):
            frames.append(i)
            rows.append(person)
            places.append(f"keypoints[{i}][1][{k}]")
    values = stacked(rows, places, (4, None))
    # The older Detectron spreads its probabilities over all pixels, and draws keypoints from a logit of 2 on.
    sure = 1 / (1 + np.exp(2 - values[:, 2])) if values[:, 2].any() else SURE * values[:, 3]
    size = (about.get("w"), about.get("h")) if isinstance(about, dict) else (None, None)
    return RawKeypoints(
        "detectron",
        np.array(frames, dtype=np.float64),
        values[:, :2].transpose(0, 2, 1),
        sure,
        every=np.arange(float(len(listed))),
        size=one_size([size]),
    )
