"""Which joint is which: by name, by number, or by the proportions of a body."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from actlift.errors import InputError
from actlift.geometry.skeleton import COCO_17, Skeleton
from actlift.video.keypoints.base import RawKeypoints
from actlift.video.keypoints.layouts import LAYOUTS, LAYOUTS_OF, flat_skeleton, known_joint, to_coco

FAR_BETTER = 0.15  # by how much an order of joints must fit better than the one taken; see `oddity`
UNFIT = 0.9  # share of frames, or of what they say, from which the file is doubted; acrobats reach 0.5


def in_order(
    raw: RawKeypoints, points: Float[np.ndarray, "r j 2"], confidence: Float[np.ndarray, "r j"], told: str | None
) -> tuple[Skeleton, Float[np.ndarray, "r k 2"], Float[np.ndarray, "r k"], str]:
    """Find the skeleton and bring the joints into its order.

    Args:
        raw: what stands in the file.
        points, confidence: of its joints.
        told: name in `LAYOUTS` that the user gave.

    Returns:
        The skeleton, points and confidence of its joints, and in words what speaks against it; "" if nothing does.

    Raises:
        InputError: names or number of the joints are those of no known skeleton, or of another than the one told; or
            another fits far better and nobody told which it is.
    """
    for name in (told, raw.layout):
        if name is not None and name not in LAYOUTS:
            raise InputError(f"no layout '{name}'; known are {', '.join(LAYOUTS)}")
    if raw.joints is not None and len(raw.joints) != points.shape[1]:
        raise InputError(f"{len(raw.joints)} names of joints, but {points.shape[1]} joints; wanted a name for each")
    names = [known_joint(name) for name in raw.joints or ()]
    if any(names):
        columns = {name: j for j, name in reversed(list(enumerate(names))) if name}  # of two of a name, the first
        if "Thorax" not in columns and "Neck" in columns:  # between the shoulders, unless both are there
            columns["NeckBase"] = columns.pop("Neck")
        if lost := [joint for joint in COCO_17.joints[5:] if joint not in columns]:
            raise InputError(f"no joints {', '.join(lost)}; the file names {', '.join(columns)}")
        skeleton = next(
            (known for known in LAYOUTS.values() if columns.keys() == set(known.joints)),
            flat_skeleton("custom", " ".join(sorted(columns, key=columns.__getitem__))),
        )
        if told is not None and told != skeleton.name:
            raise InputError(
                f"the file names its joints, which are those of '{skeleton.name}'; leave layout='{told}' out"
            )
        order = [columns[joint] for joint in skeleton.joints]
        return skeleton, points[:, order], confidence[:, order], ""

    count = points.shape[1]
    known = LAYOUTS_OF.get(count, ())
    name = told or raw.layout or (known[0].name if known else None)
    if name is None:
        raise InputError(
            f"{count} joints without names; known are "
            f"{', '.join(f'{n} ({skeletons[0].name})' for n, skeletons in LAYOUTS_OF.items())}. Name them in the file"
        )
    skeleton = LAYOUTS[name]
    if count != len(skeleton) and skeleton not in known:
        raise InputError(f"{count} joints, but '{name}' has {len(skeleton)}; {_layouts_of(count)}")
    others = [other for other in known if other is not skeleton]
    points, confidence = points[:, : len(skeleton)], confidence[:, : len(skeleton)]
    doubt = _misfit(points, confidence, skeleton, others)
    if doubt and told is None and raw.layout is None:
        raise InputError(doubt)
    return skeleton, points, confidence, doubt


def _layouts_of(count: int) -> str:
    names = [skeleton.name for skeleton in LAYOUTS_OF.get(count, ())]
    return f"that many are {' or '.join(names)}" if names else "no known layout has that many"


def _misfit(
    points: Float[np.ndarray, "r j 2"],
    confidence: Float[np.ndarray, "r j"],
    skeleton: Skeleton,
    others: Sequence[Skeleton],
) -> str:
    """Say in words that another order fits far better; "" if none does."""
    own = oddity(to_coco(points, confidence, skeleton)[0])
    for other in others:
        if oddity(to_coco(points, confidence, other)[0]) < own - FAR_BETTER:
            count, name = points.shape[1], other.name
            return f"these {count} joints look like {name}, not {skeleton.name}: give layout='{name}'"
    return ""


# Bones between joints of COCO_17, and their usual lengths in meters.
_BONES = {
    ("LShoulder", "RShoulder"): 0.36,
    ("LHip", "RHip"): 0.27,
    **{(side + "Shoulder", side + "Hip"): 0.48 for side in "LR"},
    **{(side + "Shoulder", side + "Elbow"): 0.29 for side in "LR"},
    **{(side + "Elbow", side + "Wrist"): 0.26 for side in "LR"},
    **{(side + "Hip", side + "Knee"): 0.43 for side in "LR"},
    **{(side + "Knee", side + "Ankle"): 0.42 for side in "LR"},
}
_ENDS = np.array([[COCO_17.index(joint) for joint in bone] for bone in _BONES])
_LENGTHS = np.array(list(_BONES.values()))


def oddity(points: Float[np.ndarray, "r 17 2"]) -> float:
    """Measure how little these joints are a body, to be compared between orders of the same points.

    The mean deviation of the bones' lengths from human proportions, and the length of all bones together, both as
    logarithms: a wrong order draws bones across the body. It does not matter which way up people are; on 796 views of
    motion capture, of all sorts of action, the right one of `COCO_17` and `H36M_17` was less odd by 0.18 or more. NaN,
    which is never less, where some bone is never seen.
    """
    squares = np.square(points[:, _ENDS[:, 0]] - points[:, _ENDS[:, 1]]).sum(axis=-1)  # (r, bones)
    there = np.isfinite(squares)
    if not there.any(axis=0).all():
        return math.nan
    lengths = np.sqrt(np.where(there, squares, 0).sum(axis=0) / there.sum(axis=0)).clip(1e-6)
    deviation = np.log(lengths / _LENGTHS)
    return float(np.abs(deviation - np.median(deviation)).mean() + np.log(lengths.mean()))


def doubts(points: Float[np.ndarray, "r 17 2"]) -> Iterable[str]:
    """Say in words what looks wrong with these people."""
    left = {joint[1:]: points[:, COCO_17.index(joint)] for joint in COCO_17.joints if joint[0] == "L"}
    right = {joint[1:]: points[:, COCO_17.index(joint)] for joint in COCO_17.joints if joint[0] == "R"}
    below = _share((left["Shoulder"] + right["Shoulder"] - left["Ankle"] - right["Ankle"])[:, 1])
    if below > UNFIT:
        yield f"people stand on their heads ({below:.0%} of their heights): y must point down, from the image's top"
    if _share(((left["Shoulder"] - right["Shoulder"]) * (right["Hip"] - left["Hip"])).sum(axis=-1)) > UNFIT:
        yield "left and right of the shoulders are not those of the hips: are the joints in the order of the layout?"


def _share(values: Float[np.ndarray, " r"]) -> float:
    """Which part of those that are known is positive, by their size; 0 where too few are known to tell."""
    known = values[np.isfinite(values)]
    return float(known.clip(0).sum() / np.abs(known).sum().clip(1e-9)) if len(known) >= 5 else 0.0
