"""Motion that nobody captured: other bodies, other poses, other pairings of legs and arms, other timing.

Each is a generator from clips to clips: `bodies`, `posed`, `recombined`, `warped`. What becomes of a clip depends on
the seed and its name alone (of `recombined` also on who lends the upper body), so that any order and any part of them
gives the same. They may be chained; clips pass one at a time.

All keep people whole: bones as long as they are in the clip (`bodies` has others, both sides alike), joints within
their limits (or those of the clip, where it goes beyond), the lowest joint as high as it was. They are for networks
that learn poses. Labels are those of the clip, or of the legs', and need not fit any more; feet may slide.

Limits of joints are those of adults, rounded (Norkin and White, "Measurement of joint motion", 2016, appendix B).
Masses of segments: Winter, "Biomechanics and motor control of human movement" (2009), Table 4.1.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from actlift.data.clip import Clip
from actlift.errors import InputError
from actlift.geometry.sight import length, unit
from actlift.geometry.skeleton import H36M_17

# bodies

PROPORTION_SPREAD = 0.05  # standard deviation of the logarithm of the length of a kind of bone
SIZES = (0.9, 1.1)
KINDS = (  # bones whose lengths vary together, by the joint at their end
    ("Hip",),
    ("Knee",),
    ("Ankle",),
    ("Spine", "Thorax"),
    ("Neck", "Head"),
    ("Shoulder",),
    ("Elbow",),
    ("Wrist",),
)

# poses

SPREAD_DEG = {  # standard deviation of what is added to a bone's direction (along each axis) or a hinge's flexion
    "Thorax": 10.0,
    "Neck": 12.0,
    "Elbow": 30.0,
    "Wrist": 40.0,
    "Knee": 8.0,
    "Ankle": 10.0,
}
MOST = 2.0  # standard deviations that are added at most
STEADY_SHARE = 0.5  # of the variance: it lasts for the clip
MEMORY_S = (0.4, 2.0)  # over which the rest is smooth
HINGES = ("Wrist", "Ankle")  # bones that elbows and knees flex
HINGE_S = 0.1  # over which the axes of elbows and knees are averaged
FLEXION_DEG = 150.0  # of elbow and knee at most
CONE_DEG = {"Thorax": 60.0, "Neck": 60.0, "Elbow": 120.0, "Knee": 80.0}  # of a bone about the middle of its range
CROUCH_SHARE, CROUCH = 0.4, 0.4  # of clips; how far pelvises go down at most, in parts of the legs' length
CROUCH_S = 0.2  # smoothing of how deep
LYING_SHARE = 0.1  # of clips, whose people lie on their backs, sides or bellies
LYING_M = 0.08  # height of their lowest joint
QUIET_S = 0.05  # smoothing of the height by which the floor is kept

# pairings

SUPPORT_M = 0.15  # farthest that the center of mass may be from the line between the ankles, along the floor,
LOOSER_M = 0.05  # or this much farther than with its own upper body,
BALANCED = 0.95  # in this share of the frames
TRIES = 8  # people who may lend an upper body
SEGMENTS = {  # share of the mass at the middle between two joints
    ("Pelvis", "Thorax"): 0.497,
    ("Neck", "Head"): 0.081,
    **{(f"{side}Shoulder", f"{side}Elbow"): 0.028 for side in "LR"},
    **{(f"{side}Elbow", f"{side}Wrist"): 0.022 for side in "LR"},
    **{(f"{side}Hip", f"{side}Knee"): 0.100 for side in "LR"},
    **{(f"{side}Knee", f"{side}Ankle"): 0.061 for side in "LR"},
}

# timing

PACE = 0.3  # standard deviation of the logarithm of the speed
PACE_S = 1.5  # over which it changes
FASTEST_M_S = 10.0  # of a joint; faster clips become no faster

_BODY, _POSE, _PAIR, _TIME = 0, 1, 2, 3  # what random numbers are for
_AT = {joint: number for number, joint in enumerate(H36M_17.joints)}
_LEGS = tuple(_AT[f"{side}{joint}"] for side in "LR" for joint in ("Hip", "Knee", "Ankle"))
_UPPER = tuple((child, parent) for child, parent in H36M_17.bones if child not in _LEGS)


def bodies(clips: Iterable[Clip], count: int, seed: int = 0) -> Iterator[Clip]:
    """Each clip as ``count`` people of other sizes and proportions do it; left and right are alike.

    The pelvis rises and steps with the length of the legs.
    """
    kind = np.array([next((k for k, ends in enumerate(KINDS) if joint.endswith(ends)), 0) for joint in H36M_17.joints])
    for clip in clips:
        for body in range(count):
            rng = np.random.default_rng((seed, zlib.crc32(clip.name.encode()), body))
            size = rng.uniform(*SIZES)
            lengths = size * np.exp(PROPORTION_SPREAD * rng.standard_normal(len(KINDS)))
            joints = np.empty_like(clip.joints_world)
            legs = lengths[[1, 2]].mean()
            joints[:, 0] = clip.joints_world[:, 0] * (legs, legs, legs)
            for child, parent in H36M_17.bones:
                bone = clip.joints_world[:, child] - clip.joints_world[:, parent]
                joints[:, child] = joints[:, parent] + lengths[kind[child]] * bone
            yield replace(clip, name=f"{clip.name}/{body}", joints_world=joints)


def posed(clips: Iterable[Clip], strength: float = 1.0, seed: int = 0) -> Iterator[Clip]:
    """Each clip in other poses: limbs and trunk held otherwise, crouching, lying.

    Noise that is smooth in time turns the trunk and the neck, upper arms and thighs, and flexes elbows and knees; what
    hangs on a bone turns with it. Some people go down on their knees: the pelvis is lower, ankles are where they were.
    Some lie: the whole body is turned, and lies on the floor.

    Args:
        clips: to change.
        strength: factor on all spreads and shares; 0 leaves clips as they are, but for their names.
        seed: of what is drawn.

    Raises:
        InputError: for a strength that is negative or over 2.
    """
    _check_strength("poses", strength)
    for clip in clips:
        rng = _rng(seed, _POSE, clip)
        joints = clip.joints_world.astype(np.float64)
        lowest = joints[..., 2].min(axis=1)
        crouches, lies = rng.uniform(size=2) < strength * np.array([CROUCH_SHARE, LYING_SHARE])
        moved = _turned(joints, strength, clip.fps, rng)
        if lies:
            moved = _lying(moved, rng)
            lowest = np.full(clip.frames, LYING_M)
        elif crouches:
            moved = _lowered(moved, clip.fps, rng)
        if strength:
            rise = gaussian_filter1d(lowest - moved[..., 2].min(axis=1), QUIET_S * clip.fps, mode="nearest")
            moved[..., 2] += rise[:, None]
        yield replace(clip, name=f"{clip.name}/posed", joints_world=moved)


def recombined(clips: Iterable[Clip], donors: Sequence[Clip], seed: int = 0) -> Iterator[Clip]:
    """Each clip with somebody else's upper body on its legs, where that keeps its balance; else it is left out.

    The upper body is in the same place to the frame of the pelvis, and its bones are as long as the clip's. A donor's
    clip begins anywhere, and runs forward and back where it is the shorter one. It keeps its balance where the center
    of mass is, in 95 % of the frames, at most 0.15 m (along the floor) from the line between the ankles, or at most
    0.05 m farther than with the clip's own upper body, and no joint is more than 0.05 m below what was the lowest one.

    Args:
        clips: whose legs are kept, with name, person and label.
        donors: whose upper bodies are taken; several are tried in turn.
        seed: of what is drawn.
    """
    for clip in clips:
        rng = _rng(seed, _PAIR, clip)
        joints = clip.joints_world.astype(np.float64)
        for number in rng.permutation(len(donors))[:TRIES].tolist():
            donor = donors[number]
            if donor.name == clip.name:
                continue
            lent = donor.resampled(clip.fps).joints_world.astype(np.float64)
            rows = np.abs(
                (np.arange(clip.frames) + rng.integers(len(lent))) % max(1, 2 * len(lent) - 2) - len(lent) + 1
            )
            mixed = _with_upper_body(joints, lent[len(lent) - 1 - rows])
            if _balanced(mixed, joints):
                yield replace(clip, name=f"{clip.name}/with {donor.name}", joints_world=mixed)
                break


def warped(clips: Iterable[Clip], strength: float = 1.0, seed: int = 0) -> Iterator[Clip]:
    """Each clip in another time: faster here and slower there, by a speed that changes smoothly.

    Args:
        clips: to change.
        strength: factor on the spread of the speed's logarithm; 0 leaves clips as they are, but for their names.
        seed: of what is drawn.

    Raises:
        InputError: for a strength that is negative or over 2.
    """
    _check_strength("times", strength)
    for clip in clips:
        rng = _rng(seed, _TIME, clip)
        name = f"{clip.name}/warped"
        if not strength or clip.frames < 4:
            yield replace(clip, name=name)
            continue
        joints = clip.joints_world.astype(np.float64)
        fastest = float(np.linalg.norm(np.diff(joints, axis=0), axis=-1).max()) * clip.fps
        pace = np.exp(strength * PACE * _smooth(rng, (clip.frames,), PACE_S * clip.fps))
        pace = np.minimum(pace, max(1.0, FASTEST_M_S / max(fastest, 1e-9)))
        reached = np.concatenate([[0.0], np.cumsum(1 / ((pace[1:] + pace[:-1]) / 2))])  # when each frame is reached
        frames = np.interp(np.arange(int(reached[-1]) + 1), reached, np.arange(clip.frames))
        rows = np.arange(clip.frames)
        lengths = _lengths(joints)
        bones = CubicSpline(rows, _bones(joints))(frames)
        bones *= (np.stack([np.interp(frames, rows, of) for of in lengths.T], axis=1) / length(bones))[..., None]
        yield replace(clip, name=name, joints_world=_joints(CubicSpline(rows, joints[:, 0])(frames), bones))


def _check_strength(what: str, strength: float) -> None:
    if not 0 <= strength <= 2:
        raise InputError(f"{what} are varied with a strength of 0 to 2; got {strength:g}")


# what is drawn


def _rng(seed: int, purpose: int, clip: Clip) -> np.random.Generator:
    return np.random.default_rng((seed, purpose, zlib.crc32(clip.name.encode())))


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Float[np.ndarray, "t *c"]:
    """Noise along the first axis of unit variance, smooth over so many frames, and never beyond `MOST`."""
    pad = int(4 * memory) + 1
    white = rng.standard_normal((shape[0] + 2 * pad, *shape[1:]))
    smooth = gaussian_filter1d(white, memory, axis=0)[pad : pad + shape[0]]
    smooth *= np.sqrt(2 * np.sqrt(np.pi) * memory)  # the filter leaves this variance
    return np.asarray(MOST * np.tanh(smooth / MOST))


def _noise(rng: np.random.Generator, t: int, channels: int, fps: float) -> Float[np.ndarray, "t c"]:
    """What is added to the angles of one part, of unit variance: a part that lasts, and one that changes."""
    lasting = rng.standard_normal(channels)
    memory = fps * np.exp(rng.uniform(*np.log(MEMORY_S)))
    changing = _smooth(rng, (t, channels), memory)
    both = np.sqrt(STEADY_SHARE) * lasting + np.sqrt(1 - STEADY_SHARE) * changing
    return np.asarray(MOST * np.tanh(both / MOST))


# what is turned


def _turned(
    joints: Float[np.ndarray, "t 17 3"], strength: float, fps: float, rng: np.random.Generator
) -> Float[np.ndarray, "t 17 3"]:
    """Bones turned by noise within the limits of joints, with all that hangs on them."""
    pelvis, chest = _frame(joints, "Hip", "Pelvis", "Spine"), _frame(joints, "Shoulder", "Spine", "Thorax")
    bones = _bones(joints)
    changed = np.empty_like(bones)
    turns = {H36M_17.root: Rotation.identity(len(joints))}
    for row, (child, parent) in enumerate(H36M_17.bones):
        side, part = _side_and_part(H36M_17.joints[child])
        turns[child] = turns[parent]
        if part in SPREAD_DEG:
            spread = strength * np.deg2rad(SPREAD_DEG[part])
            frame = pelvis if part in ("Thorax", "Knee", "Ankle") else chest
            if part in HINGES:  # the bone above stands in the row above
                noise = spread * _noise(rng, len(joints), 1, fps)[:, 0]
                own = _flexed(bones[:, row - 1], bones[:, row], _times(frame, _hinge(part, side)), noise, fps)
            else:
                added = Rotation.from_rotvec(_times(frame, spread * _noise(rng, len(joints), 3, fps)))
                own = _within(_times(frame, _middle(part, side)), np.deg2rad(CONE_DEG[part]), bones[:, row], added)
            turns[child] = turns[parent] * own
        changed[:, row] = turns[child].apply(bones[:, row])
    return _joints(joints[:, 0], changed)


def _side_and_part(joint: str) -> tuple[int, str]:
    """1 and the part for one on the left, -1 for one on the right, 0 for what has no side."""
    return ({"L": 1, "R": -1}[joint[0]], joint[1:]) if joint[1:] in SPREAD_DEG else (0, joint)


def _middle(part: str, side: int) -> Float[np.ndarray, "3"]:
    """The middle of the range of a bone, in its frame of left, forward and up: its end's part names the bone."""
    ways = {"Thorax": (0, 0, 1), "Neck": (0, 0, 1), "Elbow": (side, 1, 0), "Knee": (0.2 * side, 1, -1)}
    return unit(np.array(ways[part], dtype=np.float64))


def _hinge(part: str, side: int) -> Float[np.ndarray, "3"]:
    """About what a straight knee, or elbow, flexes: shins to the back, forearms to the front."""
    return np.array([1.0, 0, 0] if part == "Ankle" else [-1.0, 0, -0.5 * side])


def _within(middle: Float[np.ndarray, "t 3"], most: float, bone: Float[np.ndarray, "t 3"], added: Rotation) -> Rotation:
    """The rotation, less what takes a bone farther from the middle of its range than it may be, or was."""
    now = added.apply(bone)
    excess = np.maximum(_angle(now, middle) - np.maximum(most, _angle(bone, middle)), 0)
    return Rotation.from_rotvec(excess[:, None] * unit(np.cross(now, middle))) * added


def _flexed(
    above: Float[np.ndarray, "t 3"],
    bone: Float[np.ndarray, "t 3"],
    hinge: Float[np.ndarray, "t 3"],
    added: Float[np.ndarray, " t"],
    fps: float,
) -> Rotation:
    """The rotation that flexes a joint by so much, between straight and its limit, about `hinge` while straight."""
    along = unit(above)
    axis = gaussian_filter1d(np.cross(along, unit(bone)) + 0.25 * hinge, HINGE_S * fps, axis=0, mode="nearest")
    axis = unit(_across(axis, along))
    flexion = _angle(above, bone)
    wanted = np.clip(flexion + added, 0, np.maximum(np.deg2rad(FLEXION_DEG), flexion))
    return Rotation.from_rotvec((wanted - flexion)[:, None] * axis)


def _lying(joints: Float[np.ndarray, "t 17 3"], rng: np.random.Generator) -> Float[np.ndarray, "t 17 3"]:
    """The body on its back, a side or its belly, and about where it was; how high it lies is for others to say."""
    azimuth, angle = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.normal(90, 10))
    turn = Rotation.from_rotvec(angle * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
    root = joints[:, :1]
    rests = root.mean(axis=0) + 0.1 * (root - root.mean(axis=0))
    return np.asarray(rests + turn.apply((joints - root).reshape(-1, 3)).reshape(joints.shape))


def _lowered(joints: Float[np.ndarray, "t 17 3"], fps: float, rng: np.random.Generator) -> Float[np.ndarray, "t 17 3"]:
    """The pelvis and all on it lowered over legs that stand; ankles stay, knees bend in the plane where they were."""
    legs = [(_AT[f"{side}Hip"], _AT[f"{side}Knee"], _AT[f"{side}Ankle"]) for side in "LR"]
    lengths = [
        (length(joints[:, knee] - joints[:, hip]), length(joints[:, ankle] - joints[:, knee]))
        for hip, knee, ankle in legs
    ]
    reach = float(np.mean([thigh + shin for thigh, shin in lengths]))
    depth = CROUCH * reach * (1 + _noise(rng, len(joints), 1, fps)[:, 0] / MOST) / 2
    over = np.min([joints[:, hip, 2] - joints[:, ankle, 2] for hip, _, ankle in legs], axis=0)
    depth = gaussian_filter1d(
        np.minimum(depth, np.maximum(over - (1 - CROUCH) * reach, 0)), CROUCH_S * fps, mode="nearest"
    )
    lowered = joints - depth[:, None, None] * (0, 0, 1)
    forward = _frame(joints, "Hip", "Pelvis", "Spine")[..., 1]
    for (hip, knee, ankle), (thigh, shin) in zip(legs, lengths, strict=True):
        bend = _across(joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, hip])
        gap = joints[:, ankle] - lowered[:, hip]
        towards, bend = unit(gap), unit(_across(bend + 0.1 * thigh[:, None] * forward, gap))
        folded = np.sqrt(thigh**2 + shin**2 + 2 * thigh * shin * np.cos(np.deg2rad(FLEXION_DEG)))
        far = np.clip(length(gap), folded, thigh + shin)
        along = (thigh**2 + far**2 - shin**2) / (2 * far)
        beside = np.sqrt(np.maximum(thigh**2 - along**2, 0))
        lowered[:, knee] = lowered[:, hip] + along[:, None] * towards + beside[:, None] * bend
        lowered[:, ankle] = lowered[:, hip] + far[:, None] * towards
    return lowered


def _across(vectors: Float[np.ndarray, "t 3"], line: Float[np.ndarray, "t 3"]) -> Float[np.ndarray, "t 3"]:
    """What of vectors is across a line."""
    way = unit(line)
    return np.asarray(vectors - (vectors * way).sum(axis=1, keepdims=True) * way)


# what is put together


def _with_upper_body(
    legs: Float[np.ndarray, "t 17 3"], upper: Float[np.ndarray, "t 17 3"]
) -> Float[np.ndarray, "t 17 3"]:
    """The legs with another upper body in the same place to the pelvis, its bones as long as those that it replaces."""
    own, other = (_frame(joints, "Hip", "Pelvis", "Spine") for joints in (legs, upper))
    mixed = legs.copy()
    for child, parent in _UPPER:
        way = np.einsum("tij,tkj,tk->ti", own, other, unit(upper[:, child] - upper[:, parent]))
        mixed[:, child] = mixed[:, parent] + length(legs[:, child] - legs[:, parent])[:, None] * way
    return mixed


def _balanced(mixed: Float[np.ndarray, "t 17 3"], own: Float[np.ndarray, "t 17 3"]) -> bool:
    """Whether the center of mass is over the feet, or about as far from them as with the own upper body.

    Nor may anything go through the floor: be lower than the lowest joint was.
    """
    allowed = np.maximum(SUPPORT_M, off_balance(own) + LOOSER_M)
    holds = off_balance(mixed) <= allowed
    holds &= mixed[..., 2].min(axis=1) >= own[..., 2].min(axis=1) - LOOSER_M
    return bool(holds.mean() >= BALANCED)


def off_balance(joints: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, " t"]:
    """How far the center of mass is from the line between the ankles, in meters along the floor."""
    mass = np.zeros((len(joints), 2))
    for ends, share in SEGMENTS.items():
        mass += share * joints[:, [_AT[end] for end in ends], :2].mean(axis=1)
    left, right = joints[:, _AT["LAnkle"], :2], joints[:, _AT["RAnkle"], :2]
    line = right - left
    part = ((mass - left) * line).sum(axis=1) / np.maximum((line**2).sum(axis=1), 1e-9)
    return length(left + part.clip(0, 1)[:, None] * line - mass)


# bones


def _bones(joints: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, "t 16 3"]:
    """Every bone from its parent to its child, in the order of `H36M_17.bones`."""
    children, parents = np.array(H36M_17.bones).T
    return np.asarray(joints[:, children] - joints[:, parents])


def _lengths(joints: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, "t 16"]:
    return length(_bones(joints))


def _joints(root: Float[np.ndarray, "t 3"], bones: Float[np.ndarray, "t 16 3"]) -> Float[np.ndarray, "t 17 3"]:
    """Undo `_bones`."""
    joints = np.empty((len(root), len(H36M_17), 3))
    joints[:, H36M_17.root] = root
    for row, (child, parent) in enumerate(H36M_17.bones):
        joints[:, child] = joints[:, parent] + bones[:, row]
    return joints


def _frame(joints: Float[np.ndarray, "t 17 3"], sides: str, low: str, high: str) -> Float[np.ndarray, "t 3 3"]:
    """The frame of a part of the trunk: columns are the person's left, forward and up."""
    left = unit(joints[:, _AT[f"L{sides}"]] - joints[:, _AT[f"R{sides}"]])
    up = joints[:, _AT[high]] - joints[:, _AT[low]]
    up = unit(up - (up * left).sum(axis=1, keepdims=True) * left)
    return np.stack([left, np.cross(left, up), up], axis=-1)


def _times(frame: Float[np.ndarray, "t 3 3"], vectors: Float[np.ndarray, "*t 3"]) -> Float[np.ndarray, "t 3"]:
    """Vectors in a frame (one for all times, or each its own) as vectors in the world."""
    return np.asarray((frame @ vectors[..., None])[..., 0])


def _angle(one: Float[np.ndarray, "t 3"], other: Float[np.ndarray, "t 3"]) -> Float[np.ndarray, " t"]:
    """Between two directions, in radians; small ones too."""
    return np.asarray(np.arctan2(length(np.cross(one, other)), (one * other).sum(axis=1)))
