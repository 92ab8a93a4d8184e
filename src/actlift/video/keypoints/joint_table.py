"""A table with a line for every joint: frame or time, person, joint, x, y, score."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from actlift.errors import InputError
from actlift.video.keypoints.base import COUNTS, SCORES, TIMES, Content, RawKeypoints
from actlift.video.keypoints.columns import PEOPLE, column, floats, frames_of, people_of, read_table

JOINTS = (
    *("joint", "keypoint", "landmark", "bodypart", "part", "name", "joint_name", "keypoint_name", "landmark_name"),
    *("joint_id", "keypoint_id", "landmark_id", "joint_index", "keypoint_index", "landmark_index", "marker"),
)


def recognize(content: Content) -> bool:
    _, rows = content.table
    names = {name.lower() for name in rows[0]} if len(rows) > 1 else set()
    return {"x", "y"} <= names and not names.isdisjoint(JOINTS)


def read(content: Content) -> RawKeypoints:
    table, names = read_table(content), [name.lower() for name in content.table[1][0]]
    frame, timed, fps = frames_of(table, names)
    if not timed and column(table, names, COUNTS) is None:
        raise InputError(
            f"no column for the frame among {', '.join(names)}; wanted one of {', '.join((*COUNTS, *TIMES))}"
        )
    labels = column(table, names, JOINTS)
    people = column(table, names, PEOPLE)
    assert labels is not None, "recognized by it"
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
    points[row[kept], joint[kept], 0] = floats(table[names.index("x")], "x")[kept]
    points[row[kept], joint[kept], 1] = floats(table[names.index("y")], "y")[kept]
    held = column(table, names, SCORES)
    if held is not None:
        scores[row[kept], joint[kept]] = floats(held, "score")[kept]
    return RawKeypoints(
        "csv",
        rows,
        points,
        None if held is None else scores,
        joints=[str(name) for name in joints],
        ids=None if people is None else people_of(people.iloc[first]),
        fps=fps,
        timed=timed,
    )


def _unique_rows(
    frame: Float[np.ndarray, " n"], person: np.ndarray
) -> tuple[tuple[Float[np.ndarray, " r"], Int[np.ndarray, " r"]], Int[np.ndarray, " n"]]:
    """Frames of the rows that lines make and the first line of each, and the row of every line."""
    pairs, first, row = np.unique(np.stack([frame, person], axis=1), axis=0, return_index=True, return_inverse=True)
    return (pairs[:, 0], first), row.ravel()
