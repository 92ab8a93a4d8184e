"""Skeletons: which joints a pose has, how they hang together, and how one layout is turned into another.

Left and right are the person's own. The layouts known by name (`SKELETONS`) are

- `H36M_17`: the 17 joints of Human3.6M (Ionescu et al., 2014) that the lifting literature reports on;
- `COCO_17`: COCO keypoints (Lin et al., 2014);
- `HALPE_26`: Halpe (Fang et al., AlphaPose, 2022). Its "Head" is the top of the head and is called HeadTop here, its
  "Neck" lies between the shoulders and is called NeckBase, its "Hip" lies between the hips and is called Pelvis;
- `BLAZEPOSE_33`: BlazePose (Bazarevsky et al., 2020). The face does not hang on the body: it has three roots.

`remapping` takes a joint of the target from the source joint of the same name. What the source lacks is derived, by the
first of these recipes whose ingredients the source has or can derive:

| joint | recipe |
|---|---|
| Pelvis | midpoint of LHip and RHip |
| Thorax | NeckBase; else midpoint of LShoulder and RShoulder |
| NeckBase | midpoint of LShoulder and RShoulder |
| Spine | midpoint of Pelvis and Thorax |
| Neck | three quarters of the way from Thorax to the midpoint of LEar and REar |
| Head | halfway between HeadTop and the midpoint of the ears; else the midpoint of the ears |

Human3.6M places Neck at the base of the skull, at about the height of the mouth, and Head inside the skull, above the
ears. The nose and the eyes have the right height but lie ten centimeters in front, so the ears stand for both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from actlift.errors import InputError


@dataclass(frozen=True)
class Skeleton:
    """Names of joints, the parent of each, and the joint that takes its place when left and right are swapped.

    Attributes:
        name: of the layout.
        joints: names, in the order of the joint axis of every array of this layout.
        parents: index of each joint's parent; -1 marks a root. Detector layouts may have several roots.
        mirror: index of each joint's mirror image; a joint in the middle of the body is its own. A swapped pair is
            named L... and R....

    Raises:
        InputError: what was given is no skeleton; the message says which joint is wrong.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    mirror: tuple[int, ...]

    def __post_init__(self) -> None:
        n = len(self.joints)
        if n == 0:
            raise InputError(f"skeleton {self.name!r} has no joints; give at least one")
        twice = sorted({joint for joint in self.joints if self.joints.count(joint) > 1})
        if twice:
            raise InputError(f"skeleton {self.name!r} names {', '.join(twice)} more than once; names must differ")
        for field, values in (("parents", self.parents), ("mirror", self.mirror)):
            if len(values) != n:
                raise InputError(f"skeleton {self.name!r} has {n} joints but {len(values)} {field}; give one per joint")
        for joint, parent in zip(self.joints, self.parents, strict=True):
            if not -1 <= parent < n:
                raise InputError(
                    f"skeleton {self.name!r}: the parent of {joint} is {parent}; want -1 for a root or 0 to {n - 1}"
                )
        if (loop := _loop(self.parents)) is not None:
            raise InputError(
                f"skeleton {self.name!r}: {self.joints[loop]} is its own ancestor; parents must end at a -1"
            )
        if sorted(self.mirror) != list(range(n)) or any(self.mirror[self.mirror[j]] != j for j in range(n)):
            raise InputError(
                f"skeleton {self.name!r}: mirror {self.mirror} is no swap of pairs; mirror[mirror[j]] must be j for "
                f"every joint j of 0 to {n - 1}"
            )
        for j, (joint, other) in enumerate(zip(self.joints, self.mirror, strict=True)):
            if other != j and {joint[:1].upper(), self.joints[other][:1].upper()} != {"L", "R"}:
                raise InputError(
                    f"skeleton {self.name!r}: {joint} and {self.joints[other]} mirror each other; name one L... and "
                    "the other R..., so that left and right are known"
                )
            parent = self.parents[j]
            if self.parents[other] != (-1 if parent == -1 else self.mirror[parent]):
                raise InputError(
                    f"skeleton {self.name!r}: the parents of {joint} and its mirror image {self.joints[other]} do not "
                    "mirror each other"
                )

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def root(self) -> int:
        """Index of the first root."""
        return self.parents.index(-1)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) of every joint that has a parent, in the order of the joints."""
        return tuple((child, parent) for child, parent in enumerate(self.parents) if parent != -1)

    @property
    def left(self) -> tuple[int, ...]:
        """Indices of the joints on the person's left."""
        return tuple(j for j, joint in enumerate(self.joints) if self.mirror[j] != j and joint[0] in "Ll")

    @property
    def right(self) -> tuple[int, ...]:
        """Indices of the joints on the person's right, in the order of their mirror images in `left`."""
        return tuple(self.mirror[j] for j in self.left)

    def index(self, joint: str) -> int:
        """Find the index of a joint.

        Raises:
            InputError: no joint has that name; the message lists those that exist.
        """
        if joint not in self.joints:
            raise InputError(f"skeleton {self.name!r} has no joint {joint!r}; it has {', '.join(self.joints)}")
        return self.joints.index(joint)


def _loop(parents: Sequence[int]) -> int | None:
    """A joint from which no root is reached, or None."""
    for joint in range(len(parents)):
        ancestor = joint
        for _ in parents:
            if ancestor == -1:
                break
            ancestor = parents[ancestor]
        if ancestor != -1:
            return joint
    return None


def _skeleton(name: str, joint_to_parent: Mapping[str, str | None]) -> Skeleton:
    """A skeleton from the names of joints and their parents; L... mirrors R..., every other joint itself."""
    joints = tuple(joint_to_parent)
    swapped = {"L": "R", "R": "L"}
    images = (swapped.get(joint[0], joint[0]) + joint[1:] for joint in joints)
    return Skeleton(
        name,
        joints,
        parents=tuple(-1 if parent is None else joints.index(parent) for parent in joint_to_parent.values()),
        mirror=tuple(joints.index(image) for image in images),
    )


H36M_17 = _skeleton(
    "h36m_17",
    {
        "Pelvis": None,
        "RHip": "Pelvis",
        "RKnee": "RHip",
        "RAnkle": "RKnee",
        "LHip": "Pelvis",
        "LKnee": "LHip",
        "LAnkle": "LKnee",
        "Spine": "Pelvis",
        "Thorax": "Spine",
        "Neck": "Thorax",
        "Head": "Neck",
        "LShoulder": "Thorax",
        "LElbow": "LShoulder",
        "LWrist": "LElbow",
        "RShoulder": "Thorax",
        "RElbow": "RShoulder",
        "RWrist": "RElbow",
    },
)

COCO_17 = _skeleton(
    "coco_17",
    {
        "Nose": None,
        "LEye": "Nose",
        "REye": "Nose",
        "LEar": "LEye",
        "REar": "REye",
        "LShoulder": "LEar",
        "RShoulder": "REar",
        "LElbow": "LShoulder",
        "RElbow": "RShoulder",
        "LWrist": "LElbow",
        "RWrist": "RElbow",
        "LHip": "LShoulder",
        "RHip": "RShoulder",
        "LKnee": "LHip",
        "RKnee": "RHip",
        "LAnkle": "LKnee",
        "RAnkle": "RKnee",
    },
)

HALPE_26 = _skeleton(
    "halpe_26",
    {
        "Nose": "NeckBase",
        "LEye": "Nose",
        "REye": "Nose",
        "LEar": "LEye",
        "REar": "REye",
        "LShoulder": "NeckBase",
        "RShoulder": "NeckBase",
        "LElbow": "LShoulder",
        "RElbow": "RShoulder",
        "LWrist": "LElbow",
        "RWrist": "RElbow",
        "LHip": "Pelvis",
        "RHip": "Pelvis",
        "LKnee": "LHip",
        "RKnee": "RHip",
        "LAnkle": "LKnee",
        "RAnkle": "RKnee",
        "HeadTop": "NeckBase",
        "NeckBase": "Pelvis",
        "Pelvis": None,
        "LBigToe": "LAnkle",
        "RBigToe": "RAnkle",
        "LSmallToe": "LAnkle",
        "RSmallToe": "RAnkle",
        "LHeel": "LAnkle",
        "RHeel": "RAnkle",
    },
)

BLAZEPOSE_33 = _skeleton(
    "blazepose_33",
    {
        "Nose": None,
        "LEyeInner": "Nose",
        "LEye": "LEyeInner",
        "LEyeOuter": "LEye",
        "REyeInner": "Nose",
        "REye": "REyeInner",
        "REyeOuter": "REye",
        "LEar": "LEyeOuter",
        "REar": "REyeOuter",
        "LMouth": "Nose",
        "RMouth": "Nose",
        "LShoulder": None,
        "RShoulder": None,
        "LElbow": "LShoulder",
        "RElbow": "RShoulder",
        "LWrist": "LElbow",
        "RWrist": "RElbow",
        "LPinky": "LWrist",
        "RPinky": "RWrist",
        "LIndex": "LWrist",
        "RIndex": "RWrist",
        "LThumb": "LWrist",
        "RThumb": "RWrist",
        "LHip": "LShoulder",
        "RHip": "RShoulder",
        "LKnee": "LHip",
        "RKnee": "RHip",
        "LAnkle": "LKnee",
        "RAnkle": "RKnee",
        "LHeel": "LAnkle",
        "RHeel": "RAnkle",
        "LFootIndex": "LHeel",
        "RFootIndex": "RHeel",
    },
)

SKELETONS: dict[str, Skeleton] = {
    "h36m_17": H36M_17,
    "coco_17": COCO_17,
    "halpe_26": HALPE_26,
    "blazepose_33": BLAZEPOSE_33,
}

# The table of the module docstring: recipes in the order in which they are tried, weights summing to one.
_RECIPES: dict[str, tuple[dict[str, float], ...]] = {
    "Pelvis": ({"LHip": 0.5, "RHip": 0.5},),
    "Thorax": ({"NeckBase": 1.0}, {"LShoulder": 0.5, "RShoulder": 0.5}),
    "NeckBase": ({"LShoulder": 0.5, "RShoulder": 0.5},),
    "Spine": ({"Pelvis": 0.5, "Thorax": 0.5},),
    "Neck": ({"Thorax": 0.25, "LEar": 0.375, "REar": 0.375},),
    "Head": ({"HeadTop": 0.5, "LEar": 0.25, "REar": 0.25}, {"LEar": 0.5, "REar": 0.5}),
}


def remapping(source: Skeleton, target: Skeleton) -> Float[np.ndarray, "j_target j_source"]:
    """Find the weights with which the joints of `source` add up to those of `target`; every row sums to one.

    Raises:
        InputError: joints of the target can neither be found in the source nor derived from it; they are listed.
    """
    rows = [_weights(joint, source) for joint in target.joints]
    lost = [joint for joint, row in zip(target.joints, rows, strict=True) if row is None]
    if lost:
        raise InputError(
            f"{target.name!r} cannot be made from {source.name!r}: nothing there gives {', '.join(lost)}. "
            f"{source.name!r} has {', '.join(source.joints)}; remap to a skeleton without the missing joints"
        )
    return np.stack([row for row in rows if row is not None])


def _weights(joint: str, source: Skeleton) -> Float[np.ndarray, " j_source"] | None:
    """One row of the remapping, or None where the joint cannot be had."""
    row: Float[np.ndarray, " j_source"]
    if joint in source.joints:
        row = np.zeros(len(source))
        row[source.index(joint)] = 1.0
        return row
    for recipe in _RECIPES.get(joint, ()):
        parts = [(weight, _weights(ingredient, source)) for ingredient, weight in recipe.items()]
        found = [weight * row for weight, row in parts if row is not None]
        if len(found) == len(parts):
            row = np.sum(found, axis=0)
            return row
    return None


def remap(
    points: Float[np.ndarray, "*lead j_source c"], source: Skeleton, target: Skeleton
) -> Float[np.ndarray, "*lead j_target c"]:
    """Turn points (2D or 3D, any unit) of the source layout into points of the target layout, in the dtype that came.

    Raises:
        InputError: as `remapping`; or the joint axis of `points` is not that of the source.
    """
    _check_joints(points.shape, -2, source)
    mapped: Float[np.ndarray, "*lead j_target c"] = remapping(source, target).astype(points.dtype) @ points
    return mapped


def remap_confidence(
    confidence: Float[np.ndarray, "*lead j_source"], source: Skeleton, target: Skeleton
) -> Float[np.ndarray, "*lead j_target"]:
    """Remap confidences: a joint is as sure as the least sure of the joints that it is made of.

    Raises:
        InputError: as `remap`.
    """
    _check_joints(confidence.shape, -1, source)
    rows = remapping(source, target)
    return np.stack([confidence[..., row > 0].min(axis=-1) for row in rows], axis=-1)


def _check_joints(shape: tuple[int, ...], axis: int, skeleton: Skeleton) -> None:
    if len(shape) < -axis or shape[axis] != len(skeleton):
        raise InputError(
            f"got an array of shape {shape}; its axis {axis} must hold the {len(skeleton)} joints of {skeleton.name!r}"
        )


def mirror_points(points: Float[np.ndarray, "*lead j c"], skeleton: Skeleton) -> Float[np.ndarray, "*lead j c"]:
    """Mirror points (2D or 3D, any unit): x changes sign, left and right joints change places.

    Raises:
        InputError: the joint axis of `points` is not that of the skeleton.
    """
    _check_joints(points.shape, -2, skeleton)
    mirrored: Float[np.ndarray, "*lead j c"] = points.take(skeleton.mirror, axis=-2)
    mirrored[..., 0] *= -1
    return mirrored


def root_relative(pose3d: Float[np.ndarray, "t j 3"], skeleton: Skeleton = H36M_17) -> Float[np.ndarray, "t j 3"]:
    """Take the root joint away from the pose, in float64."""
    pose = pose3d.astype(np.float64)
    return pose - pose[:, skeleton.root : skeleton.root + 1]
