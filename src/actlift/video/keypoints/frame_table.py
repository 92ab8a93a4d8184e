"""A table with a line for every person and frame, of columns such as `<joint>_x, <joint>_y, <joint>_score`."""

import re
from collections.abc import Sequence

from actlift.video.keypoints.base import SCORES, Content, RawKeypoints
from actlift.video.keypoints.columns import PEOPLE, column, frames_of, joints_of, people_of, read_table

_AXES = "x|y|" + "|".join(SCORES)
_LAST = re.compile(rf"(.*?[^\W_])[\s_.:/-]+({_AXES})|(.*[a-z0-9])(X|Y|V|C|S)|(\d+)({_AXES})", re.ASCII)
_FIRST = re.compile(rf"({_AXES})[\s_.:/-]*(\d+)|({_AXES})[\s_.:/-]+(.+)", re.ASCII)


def recognize(content: Content) -> bool:
    _, rows = content.table
    return len(rows) > 1 and len(_joints_in(_columns_of(rows[0]))) > 0


def read(content: Content) -> RawKeypoints:
    header = content.table[1][0]
    table, names, columns = read_table(content), [name.lower() for name in header], _columns_of(header)
    joints = _joints_in(columns)
    points, scores = joints_of(table, columns, joints)
    frame, timed, fps = frames_of(table, names)
    ids = people_of(column(table, names, PEOPLE))
    return RawKeypoints("csv", frame, points, scores, joints=joints, ids=ids, fps=fps, timed=timed)


def _columns_of(header: Sequence[str]) -> dict[tuple[str, str], int]:
    """The first column of every joint and axis."""
    columns: dict[tuple[str, str], int] = {}
    for at, name in enumerate(header):
        if (parts := _joint_and_axis(name)) is not None:
            columns.setdefault(parts, at)
    return columns


def _joints_in(columns: dict[tuple[str, str], int]) -> list[str]:
    """The joints with x and y, numbers in order."""
    joints = [joint for joint, axis in columns if axis == "x" and (joint, "y") in columns]
    if all(joint.isdecimal() for joint in joints):
        joints.sort(key=int)
    return joints


def _joint_and_axis(name: str) -> tuple[str, str] | None:
    """`LEFT_HIP_x`, `hip.left.likelihood`, `lmk3_vis`, `x3`, `y_nose`: the joint, and x, y or "score"."""
    if match := _LAST.fullmatch(name) or _LAST.fullmatch(name.lower()):
        joint, axis = [part for part in match.groups() if part]
    elif match := _FIRST.fullmatch(name.lower()):
        axis, joint = [part for part in match.groups() if part]
    else:
        return None
    number = re.fullmatch(r"(?:joint|keypoint|landmark|point|marker|kpt?|lmk?|pose|j|p)?[\s_.-]*(\d+)", joint, re.I)
    axis = axis.lower()
    return number[1] if number else joint, axis if axis in "xy" else "score"
