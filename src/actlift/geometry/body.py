"""A body of constant bones: from positions of joints to rotations, as animation programs want them.

The rig has the names that animators know. It differs from `H36M_17` where a body moves more freely than a tree of those
joints could: the collarbones and the neck are joints of their own, all three at the thorax, and the lumbar joint
`Spine` lies a tenth of the way from the pelvis to `H36M_17`'s Spine. Each bone is then turned by one joint of its own,
but for the pelvis: pelvis and both hips are one rigid piece.

Rest pose: a T-pose that faces the camera. In world coordinates left is +x, forward is -y and up is +z. Legs hang;
trunk, neck and head stand; arms are stretched out to the sides; hips and collarbones lie as they do on average.

Twist, the turn of a bone about itself, does not show in the positions of two joints. It is

- of the pelvis: none; the line of the hips and the trunk (or, where the pelvis lies above the hips, as in CMU's
  skeletons, that triangle) give its frame;
- of the chest: from the line of the shoulders;
- of upper arm and thigh: from the plane in which elbow and knee bend. The straighter the limb, the less its plane says;
  it is held, and fades to that of the rest pose, while the limb is straight. An elbow or knee that bends the wrong way
  does not count;
- of all else: what comes along. Elbows and knees turn in the plane of their limb and about no other axis than that,
  hands and feet go with forearm and shin.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy.linalg import solve_banded
from scipy.spatial.transform import Rotation

from actlift.errors import InputError
from actlift.geometry.rotations import forward_kinematics
from actlift.geometry.skeleton import H36M_17

_LEFT, _BACK, _UP = np.eye(3)
_SIDES = (("Left", "L", _LEFT), ("Right", "R", -_LEFT))

# Each joint's parent and the joint of H36M_17 that lies where it does.
_RIG: dict[str, tuple[str | None, str | None]] = {
    "Hips": (None, "Pelvis"),
    "Spine": ("Hips", None),
    "Spine1": ("Spine", "Spine"),
    "Neck": ("Spine1", "Thorax"),
    "Head": ("Neck", "Neck"),
} | {
    f"{side}{joint}": (parent if parent in ("Hips", "Spine1") else f"{side}{parent}", place and letter + place)
    for side, letter, _ in _SIDES
    for joint, parent, place in (
        ("Shoulder", "Spine1", None),
        ("Arm", "Shoulder", "Shoulder"),
        ("ForeArm", "Arm", "Elbow"),
        ("Hand", "ForeArm", "Wrist"),
        ("UpLeg", "Hips", "Hip"),
        ("Leg", "UpLeg", "Knee"),
        ("Foot", "Leg", "Ankle"),
    )
}
JOINTS = tuple(_RIG)
"""Names of the rig's joints; parents come before their children."""
PARENTS = tuple(-1 if parent is None else JOINTS.index(parent) for parent, _ in _RIG.values())
"""Index of each joint's parent; -1 for the one root."""
PLACES = {joint: place for joint, (_, place) in _RIG.items() if place is not None}
"""The joint of `H36M_17` that lies where a joint of the rig does. Shoulders start at Thorax, `Spine` lies at none."""
TIPS = ("Head", "LeftHand", "RightHand", "LeftFoot", "RightFoot")
"""Joints whose bones end at no other joint."""

Y_UP_WORLD = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""World coordinates to those of files with y up: x to the camera's right, y up, z towards the camera."""

LUMBAR = 0.1  # of the way from pelvis to Spine
TRIANGLE_M = 0.03  # a pelvis this far from the line of the hips makes a triangle with them, nearer ones are noise
HAND, FOOT, ANKLE = 0.45, 0.5, 0.16  # hand of a forearm, toes in front of and sole below the ankle, of a shin
HELD_S = 0.03  # over how long the plane of a limb bent by 90 degrees is averaged; of one by 6 degrees: 0.3 s
UNSURE = 1e-2  # what the plane of the rest pose weighs; that of a limb weighs the squared sine of its bend


@dataclass(frozen=True, eq=False)
class Body:
    """Constant bones in motion.

    Attributes:
        offsets: (j, 3) meters, of each joint of `JOINTS` from its parent in the rest pose; 0 for the root.
        tips: (5, 3) meters, from the joints of `TIPS` to where their bones end. Head's ends at `H36M_17`'s Head; those
            of hands and feet are not measured but in proportion to forearm and shin.
        rotations: (t, j, 3, 3) of each joint relative to its parent, of the root to the world; none in the rest pose.
        root_world: (t, 3) meters, of the root.
    """

    offsets: Float[np.ndarray, "j 3"]
    tips: Float[np.ndarray, "e 3"]
    rotations: Float[np.ndarray, "t j 3 3"]
    root_world: Float[np.ndarray, "t 3"]

    def joints_world(self) -> Float[np.ndarray, "t 17 3"]:
        """Where the joints of `H36M_17` lie, by forward kinematics, in meters."""
        head = JOINTS.index("Head")
        still = np.broadcast_to(np.eye(3), (len(self.root_world), 1, 3, 3))
        joints = forward_kinematics(
            (*PARENTS, head),
            np.concatenate([self.offsets, self.tips[TIPS.index("Head")][None]]),
            np.concatenate([self.rotations, still], axis=1),
            self.root_world,
        )
        rows = {place: JOINTS.index(joint) for joint, place in PLACES.items()} | {"Head": len(JOINTS)}
        return joints[:, [rows[joint] for joint in H36M_17.joints]]


def body_from_joints(joints_world: Float[np.ndarray, "t 17 3"], fps: float) -> Body:
    """Fit the rig to a motion: bones as long as the median over frames, rotations that point them where they point.

    Forward kinematics of the result has every bone of `H36M_17` in its direction of every frame, but for the hips if
    they move within the pelvis: these are a fit. Positions differ by as much as the bones change their lengths.

    Args:
        joints_world: (t, 17, 3) meters, joints in the order of `H36M_17`, z up.
        fps: frames per second.

    Raises:
        InputError: a bone, or the line of the hips, has no length or no sensible direction in some frame.
    """
    joints = joints_world.astype(np.float64)
    at = {name: joints[:, j] for j, name in enumerate(H36M_17.joints)}
    bones = {H36M_17.joints[child]: joints[:, child] - joints[:, parent] for child, parent in H36M_17.bones}
    lengths = {name: float(np.median(np.linalg.norm(bone, axis=1))) for name, bone in bones.items()}
    towards = {name: _unit(bone, f"the bone to {name}") for name, bone in bones.items()}

    offsets = dict.fromkeys(JOINTS, np.zeros(3))
    pelvis, offsets["LeftUpLeg"], offsets["RightUpLeg"] = _pelvis(bones["LHip"], bones["RHip"], towards["Spine"])
    turned = {"Hips": pelvis}  # frames of the joints in the world, (t, 3, 3)

    base = LUMBAR * lengths["Spine"]
    offsets["Spine"], offsets["Spine1"] = base * _UP, (lengths["Spine"] - base) * _UP
    raised = (pelvis @ _UP) * base
    turned["Spine"] = _aimed(pelvis, _UP, _reaching(raised, towards["Spine"], lengths["Spine"] - base))
    shoulders = _unit(at["LShoulder"] - at["RShoulder"], "the line of the shoulders")
    chest = _aimed(turned["Spine"], _UP, towards["Thorax"])
    turned["Spine1"] = _twisted(chest, _LEFT, towards["Thorax"], shoulders, fps)
    turned["Neck"] = _aimed(turned["Spine1"], _UP, towards["Neck"])
    turned["Head"] = _aimed(turned["Neck"], _UP, towards["Head"])
    offsets["Neck"] = offsets["LeftShoulder"] = offsets["RightShoulder"] = lengths["Thorax"] * _UP
    offsets["Head"] = lengths["Neck"] * _UP
    tips = {"Head": lengths["Head"] * _UP}

    for side, s, out in _SIDES:
        collarbone = np.median(np.einsum("tji,tj->ti", turned["Spine1"], towards[f"{s}Shoulder"]), axis=0)
        collarbone /= np.linalg.norm(collarbone)
        turned[f"{side}Shoulder"] = _aimed(turned["Spine1"], collarbone, towards[f"{s}Shoulder"])
        offsets[f"{side}Arm"] = lengths[f"{s}Shoulder"] * collarbone
        for upper, lower, tip, names, along, hinge in (
            ("Arm", "ForeArm", "Hand", ("Elbow", "Wrist"), out, np.cross(out, -_BACK)),
            ("UpLeg", "Leg", "Foot", ("Knee", "Ankle"), -_UP, np.cross(-_UP, _BACK)),
        ):
            first, second = (f"{s}{name}" for name in names)
            parent = turned[JOINTS[PARENTS[JOINTS.index(side + upper)]]]
            bend = np.cross(towards[first], towards[second])  # (t, 3), as long as the sine of the bend
            swung = _aimed(parent, along, towards[first])
            turned[side + upper] = _twisted(swung, hinge, towards[first], bend, fps)
            turned[side + lower] = turned[side + tip] = _aimed(turned[side + upper], along, towards[second])
            offsets[side + lower], offsets[side + tip] = lengths[first] * along, lengths[second] * along
        tips[f"{side}Hand"] = HAND * offsets[f"{side}Hand"]
        tips[f"{side}Foot"] = lengths[f"{s}Ankle"] * (-FOOT * _BACK - ANKLE * _UP)

    rotations = np.stack([turned[joint] for joint in JOINTS], axis=1)
    rotations[:, 1:] = np.swapaxes(rotations[:, PARENTS[1:]], -1, -2) @ rotations[:, 1:]
    return Body(
        offsets=np.stack([offsets[joint] for joint in JOINTS]),
        tips=np.stack([tips[joint] for joint in TIPS]),
        rotations=rotations,
        root_world=at["Pelvis"],
    )


def _pelvis(
    lhip: Float[np.ndarray, "t 3"], rhip: Float[np.ndarray, "t 3"], trunk: Float[np.ndarray, "t 3"]
) -> tuple[Float[np.ndarray, "t 3 3"], Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """The frame of the pelvis and where in it the hips lie, from the hips as seen from the pelvis."""
    left = _unit(lhip - rhip, "the line of the hips")
    back = _unit(np.cross(trunk, left), "the trunk, which must not lie along the line of the hips,")
    frame = np.stack([left, back, np.cross(left, back)], axis=-1)
    # the hips' middle, across their line, as complex numbers: by how much the pelvis is tilted against the trunk
    middle = (np.einsum("tji,tj->ti", frame, (lhip + rhip) / 2) * (0, 1, 1j)).sum(axis=-1)
    usual = _median(middle)
    if abs(usual) > TRIANGLE_M:
        tilt = np.angle(middle / usual)
        frame = frame @ Rotation.from_rotvec(tilt[:, None] * _LEFT).as_matrix()
        usual = _median(middle * np.exp(-1j * tilt))
    across = (0, usual.real, usual.imag)
    return frame, *(np.median((hip * left).sum(axis=1)) * _LEFT + across for hip in (lhip, rhip))


def _median(values: Complex[np.ndarray, " t"]) -> complex:
    return complex(np.median(values.real), np.median(values.imag))


def _reaching(
    start: Float[np.ndarray, "t 3"], towards: Float[np.ndarray, "t 3"], length: float
) -> Float[np.ndarray, "t 3"]:
    """The direction in which a bone of that length, from a start nearer than that, ends on a ray from the origin."""
    along = (start * towards).sum(axis=1, keepdims=True)
    beside = (start**2).sum(axis=1, keepdims=True) - along**2
    aim: Float[np.ndarray, "t 3"] = ((along + np.sqrt(length**2 - beside)) * towards - start) / length
    return aim


def _aimed(
    frame: Float[np.ndarray, "t 3 3"], rest: Float[np.ndarray, "3"], towards: Float[np.ndarray, "t 3"]
) -> Float[np.ndarray, "t 3 3"]:
    """The frame, turned by the smallest angle so that what rests along `rest` points towards a direction."""
    now = frame @ rest
    half = np.concatenate([np.cross(now, towards), 1 + (now * towards).sum(axis=1, keepdims=True)], axis=1)
    opposite = np.linalg.norm(half, axis=1) < 1e-6  # half a turn, about any axis across
    across = np.eye(3)[np.argmin(np.abs(rest))]
    half[opposite, :3] = frame[opposite] @ np.cross(rest, across)
    aimed: Float[np.ndarray, "t 3 3"] = Rotation.from_quat(half).as_matrix() @ frame
    return aimed


def _twisted(
    frame: Float[np.ndarray, "t 3 3"],
    rest: Float[np.ndarray, "3"],
    axis: Float[np.ndarray, "t 3"],
    towards: Float[np.ndarray, "t 3"],
    fps: float,
) -> Float[np.ndarray, "t 3 3"]:
    """The frame, turned about an axis so that what rests along `rest`, across it, points towards a direction.

    The direction counts by the squared length of its part across the axis, and less the farther the turn. Over time the
    turn is smooth: with z = exp(i angle), it minimizes the sum of w |z - z_seen|² + UNSURE |z - 1|² and of
    (HELD_S fps)² times the squared differences of successive z (a Whittaker smoother of complex numbers).
    """
    now = frame @ rest
    seen = (now * towards).sum(axis=1) + 1j * (np.cross(axis, now) * towards).sum(axis=1)
    size = np.abs(seen)
    weight = size * (size + seen.real) / 2  # |seen|² (1 + cos angle) / 2
    stiff = (HELD_S * fps) ** 2
    diagonal = weight + UNSURE + stiff * (np.minimum(np.arange(len(now)), 1) + np.minimum(np.arange(len(now))[::-1], 1))
    wanted = weight * np.divide(seen, size, out=np.ones_like(seen), where=size > 0) + UNSURE
    beside = np.full(len(now), -stiff)
    solved = solve_banded((1, 1), (beside, diagonal, beside), np.stack([wanted.real, wanted.imag], axis=1))
    turn = Rotation.from_rotvec(np.arctan2(solved[:, 1:], solved[:, :1]) * axis)
    turned: Float[np.ndarray, "t 3 3"] = turn.as_matrix() @ frame
    return turned


def _unit(vectors: Float[np.ndarray, "t 3"], what: str) -> Float[np.ndarray, "t 3"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (lengths < 1e-9).any():
        raise InputError(f"frame {int(lengths.argmin())}: {what} has no direction; wanted the joints of a body")
    directions: Float[np.ndarray, "t 3"] = vectors / lengths
    return directions
