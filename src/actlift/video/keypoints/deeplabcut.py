"""DeepLabCut's CSV: header rows scorer, individuals where there are several animals, bodyparts, coords."""

import numpy as np

from actlift.errors import InputError
from actlift.video.keypoints.base import NO_TABLE, Content, RawKeypoints, frame_numbers
from actlift.video.keypoints.columns import joints_of, read_table


def recognize(content: Content) -> bool:
    return len(_header(content)) > 1


def read(content: Content) -> RawKeypoints:
    heads = _header(content)
    if len(heads) == len(content.table[1]):
        raise InputError(NO_TABLE)
    table = read_table(content, len(heads))
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
    parts = [joints_of(table, columns, joints) for columns in whole.values()]
    frame = frame_numbers(table[first - 1].tolist(), "frame of row {}")
    scores = [scores for _, scores in parts if scores is not None]
    return RawKeypoints(
        "deeplabcut",
        np.tile(frame, len(whole)),
        np.concatenate([points for points, _ in parts]),
        np.concatenate(scores) if len(scores) == len(whole) else None,
        joints=joints,
        ids=[number for number in range(len(whole)) for _ in frame] if "individuals" in rows else None,
    )


def _header(content: Content) -> list[list[str]]:
    """The rows above the numbers; none where the first is not the scorer's."""
    _, rows = content.table
    if not rows or not rows[0] or rows[0][0].lower() != "scorer":
        return []
    named = ("".join(row[:1]).lower() in ("individuals", "bodyparts", "coords") for row in rows[1:4])
    return rows[: 1 + sum(named)]
