"""Orders of joints in files of keypoints, how their joints are spelled, and what becomes of them in `COCO_17`."""

import re

import numpy as np
from jaxtyping import Float

from actlift.geometry.skeleton import COCO_17, H36M_17, SKELETONS, Skeleton, remap, remap_confidence

STANDS_IN = 0.5  # factor on the confidence of joints of the face that are not in the file


def flat_skeleton(name: str, joints: str) -> Skeleton:
    """Make a skeleton without bones, all that remapping needs, of names with spaces between them."""
    names = tuple(joints.split())
    swapped = {"L": "R", "R": "L"}
    images = (swapped.get(joint[0], "") + joint[1:] for joint in names)
    mirror = tuple(names.index(image) if image in names else j for j, image in enumerate(images))
    return Skeleton(name, names, (-1,) * len(names), mirror)


# The orders of OpenPose (Cao et al., 2019): its Neck lies between the shoulders, its MidHip between the hips.
OPENPOSE_18 = flat_skeleton(
    "openpose_18",
    "Nose NeckBase RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle "
    "REye LEye REar LEar",
)
BODY_25 = flat_skeleton(
    "body_25",
    "Nose NeckBase RShoulder RElbow RWrist LShoulder LElbow LWrist Pelvis RHip RKnee RAnkle LHip LKnee LAnkle "
    "REye LEye REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel",
)
LAYOUTS: dict[str, Skeleton] = {**SKELETONS, "openpose_18": OPENPOSE_18, "body_25": BODY_25}

# By the number of joints: what is taken, then what else it may be. Whole bodies begin with the joints of the body.
LAYOUTS_OF: dict[int, tuple[Skeleton, ...]] = {
    17: (COCO_17, H36M_17),
    18: (OPENPOSE_18,),
    25: (BODY_25,),
    26: (SKELETONS["halpe_26"],),
    33: (SKELETONS["blazepose_33"],),
    133: (COCO_17,),  # COCO-WholeBody
    136: (SKELETONS["halpe_26"],),  # Halpe-FullBody
}


def to_coco(
    points: Float[np.ndarray, "*lead j 2"], confidence: Float[np.ndarray, "*lead j"], skeleton: Skeleton
) -> tuple[Float[np.ndarray, "*lead 17 2"], Float[np.ndarray, "*lead 17"]]:
    """Bring points with gaps (NaN, confidence 0) into the order of `COCO_17`.

    A joint of the face that the skeleton lacks stands at the mean of those that it has; where it has none, at
    Thorax + 4/3 (Neck - Thorax), which undoes how `actlift.geometry.skeleton` makes Neck from the ears; else at Head.

    Raises:
        InputError: limbs or everything about the head are missing.
    """
    face = [joint for joint in COCO_17.joints[:5] if joint not in skeleton.joints]
    whole = np.where(confidence[..., None] > 0, points, 0.0)  # a NaN would spread to all joints
    if face and (stand_in := _head(whole, confidence, skeleton)) is not None:
        head, sure = stand_in
        skeleton = flat_skeleton(skeleton.name, " ".join((*skeleton.joints, *face)))
        whole = np.concatenate([whole, np.repeat(head[..., None, :], len(face), axis=-2)], axis=-2)
        confidence = np.concatenate([confidence, np.repeat(sure[..., None] * STANDS_IN, len(face), axis=-1)], axis=-1)
    mapped, confidence = remap(whole, skeleton, COCO_17), remap_confidence(confidence, skeleton, COCO_17)
    return np.where(confidence[..., None] > 0, mapped, np.nan), confidence


def _head(
    points: Float[np.ndarray, "*lead j 2"], confidence: Float[np.ndarray, "*lead j"], skeleton: Skeleton
) -> tuple[Float[np.ndarray, "*lead 2"], Float[np.ndarray, "*lead"]] | None:
    """Where the middle of the head is, and how sure that is; None where no joint tells."""
    face = [skeleton.index(joint) for joint in COCO_17.joints[:5] if joint in skeleton.joints]
    if face:
        there = confidence[..., face] > 0
        count = there.sum(axis=-1).clip(1)
        return points[..., face, :].sum(axis=-2) / count[..., None], confidence[..., face].sum(axis=-1) / count
    if {"Thorax", "Neck"} <= set(skeleton.joints):
        thorax, neck = skeleton.index("Thorax"), skeleton.index("Neck")
        ears = points[..., thorax, :] + 4 / 3 * (points[..., neck, :] - points[..., thorax, :])
        return ears, confidence[..., [thorax, neck]].min(axis=-1)
    if "Head" in skeleton.joints:
        return points[..., skeleton.index("Head"), :], confidence[..., skeleton.index("Head")]
    return None


def _spellings() -> dict[str, str]:
    """Lower-case letters of a name -> joint."""
    found = {
        **dict.fromkeys(("midhip", "hip", "root", "hipcenter", "centerhip", "hips"), "Pelvis"),
        **dict.fromkeys(("tophead", "topofhead"), "HeadTop"),
    }
    parts = {"Foot": "Ankle"} | {
        joint[1:]: joint[1:] for known in LAYOUTS.values() for joint in known.joints if joint in _SIDED
    }
    for known in LAYOUTS.values():
        found |= {joint.lower(): joint for joint in known.joints}
    for part, joint in parts.items():
        for side in ("Left", "Right"):
            for spelling in (side + part, part + side, side[0] + part, part + side[0]):
                found.setdefault(spelling.lower(), side[0] + joint)
    return found


_SIDED = {known.joints[j] for known in LAYOUTS.values() for j in (*known.left, *known.right)}
_SPELLINGS = _spellings()


def known_joint(name: str) -> str | None:
    """Find the joint as `actlift.geometry.skeleton` names it, however it is spelled (`left_hip`, `LHip`, `hip.left`).

    None where there is no such joint.
    """
    return _SPELLINGS.get(re.sub(r"[^a-z0-9]", "", name.lower()))
