"""Motions that actlift makes itself: people of different build and manner, eight actions, nothing to download.

An action is a table of joint angles over the phase of a cycle. A person plays it through their own bones, posture,
tempo, reach and preferred side; smooth random motion is added to every angle, everything stays within what joints
allow, and forward kinematics keep bones at their lengths. The root follows from the feet: the lower ankle stands on the
floor (but for ballistic flights), and the foot that bears does not slide.

The poses look like people, but nobody moved: numbers measured on them say that code works, not how well people are
lifted.
The angles of the walk follow the normal curves of gait analysis (Perry and Burnfield, "Gait Analysis", 2nd ed., 2010).
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from actlift.data.clip import Clip
from actlift.errors import InputError
from actlift.geometry.rotations import forward_kinematics
from actlift.geometry.skeleton import H36M_17

SYNTHETIC = "synthetic"  # the word that stands for these motions where a source is named
GRAVITY = 9.81

# Angles in degrees, all 0 for a person upright with arms hanging; (rest, lowest, highest). Flexing a hip or shoulder
# lifts the limb forwards, flexing the trunk bends it forwards, `out` is away from the body, `in` turns a limb about its
# own axis.
LIMB_ANGLES = {
    "hip_flex": (4.0, -28.0, 125.0),
    "hip_out": (4.0, -12.0, 45.0),
    "hip_in": (-4.0, -30.0, 25.0),
    "knee": (7.0, 1.0, 145.0),
    "shoulder_flex": (2.0, -55.0, 175.0),
    "shoulder_out": (9.0, -10.0, 165.0),
    "shoulder_in": (12.0, -95.0, 70.0),
    "elbow": (16.0, 3.0, 145.0),
}
TRUNK_ANGLES = {
    "pelvis_flex": (0.0, -20.0, 75.0),
    "pelvis_side": (0.0, -12.0, 12.0),
    "pelvis_turn": (0.0, -20.0, 20.0),
    "spine_flex": (2.0, -20.0, 45.0),
    "spine_side": (0.0, -20.0, 20.0),
    "spine_turn": (0.0, -25.0, 25.0),
    "chest_flex": (3.0, -20.0, 35.0),
    "chest_side": (0.0, -20.0, 20.0),
    "chest_turn": (0.0, -25.0, 25.0),
    "neck_flex": (2.0, -30.0, 40.0),
    "neck_side": (0.0, -20.0, 20.0),
    "neck_turn": (0.0, -50.0, 50.0),
}
# Degrees of random motion (standard deviation); what is not named here gets DEFAULT_SWAY.
SWAY = {"hip_flex": 1.5, "hip_out": 1.0, "hip_in": 3.0, "knee": 2.0, "pelvis_turn": 1.0, "pelvis_side": 1.0}
SWAY |= {
    "shoulder_flex": 6.0,
    "shoulder_out": 5.0,
    "shoulder_in": 8.0,
    "elbow": 8.0,
    "neck_turn": 12.0,
    "neck_flex": 5.0,
}
DEFAULT_SWAY = 2.5

SIDED = ("side", "turn")  # endings of angles that have a left and a right

Keys = tuple[tuple[float, float | int], ...]  # (phase in [0, 1), value)


@dataclass(frozen=True)
class Action:
    """Joint angles over the phase of a cycle; an angle without keys stays at rest.

    Attributes:
        seconds: of a cycle, for a person of middling tempo.
        keys: of the trunk, and of the limbs on both sides.
        near, far: of the limbs on the preferred and on the other side alone.
        lag: by how much of a cycle `keys` come later on the far side.
        flights: phases (from, to) in which no foot is on the ground.
        rise: meters by which the bearing ankle stands above its usual height (tiptoes).
        turning: degrees per second in which the way curves, at most.
    """

    seconds: float
    keys: Mapping[str, Keys]
    near: Mapping[str, Keys] = field(default_factory=dict)
    far: Mapping[str, Keys] = field(default_factory=dict)
    lag: float = 0.0
    flights: tuple[tuple[float, float], ...] = ()
    rise: Keys = ()
    turning: float = 0.0


ACTIONS = {
    "Walking": Action(
        seconds=1.1,
        lag=0.5,
        turning=25.0,
        rise=((0.0, 0.0), (0.3, 0.0), (0.46, 0.02), (0.52, 0.0), (0.8, 0.0), (0.96, 0.02)),
        keys={
            "hip_flex": ((0.0, 27), (0.12, 23), (0.3, 7), (0.5, -12), (0.6, -4), (0.75, 22), (0.88, 30)),
            "knee": ((0.0, 5), (0.14, 17), (0.38, 6), (0.5, 14), (0.62, 42), (0.72, 60), (0.85, 30), (0.96, 5)),
            "shoulder_flex": ((0.0, -20), (0.5, 22)),
            "elbow": ((0.05, 14), (0.55, 34)),
            "pelvis_turn": ((0.0, -6), (0.5, 6)),
            "chest_turn": ((0.0, 9), (0.5, -9)),
            "pelvis_side": ((0.15, 4), (0.65, -4)),
            "pelvis_flex": ((0.0, 4),),
        },
    ),
    "Running": Action(
        seconds=0.74,
        lag=0.5,
        turning=70.0,
        flights=((0.36, 0.5), (0.86, 1.0)),
        keys={
            "hip_flex": ((0.0, 40), (0.1, 34), (0.34, -8), (0.42, -10), (0.68, 58), (0.82, 62), (0.93, 48)),
            "knee": ((0.0, 18), (0.14, 42), (0.34, 18), (0.48, 70), (0.62, 108), (0.76, 82), (0.92, 18)),
            "shoulder_flex": ((0.0, -42), (0.5, 32)),
            "shoulder_in": ((0.0, 5), (0.5, 35)),
            "elbow": ((0.0, 82), (0.5, 100)),
            "pelvis_turn": ((0.0, -7), (0.5, 7)),
            "chest_turn": ((0.0, 13), (0.5, -13)),
            "pelvis_flex": ((0.0, 9),),
            "neck_flex": ((0.0, -4),),
        },
    ),
    "Sitting": Action(
        seconds=5.5,
        keys={
            "pelvis_flex": ((0.0, 0), (0.08, 0), (0.17, 30), (0.26, -8), (0.78, -8), (0.86, 32), (0.96, 0)),
            "spine_flex": ((0.0, 2), (0.17, 16), (0.28, 10), (0.76, 10), (0.86, 16), (0.96, 2)),
            "hip_flex": ((0.0, 4), (0.08, 4), (0.17, 76), (0.26, 85), (0.78, 85), (0.86, 82), (0.96, 4)),
            "hip_out": ((0.0, 4), (0.26, 12), (0.78, 12), (0.96, 4)),
            "knee": ((0.0, 7), (0.08, 7), (0.17, 68), (0.26, 92), (0.78, 92), (0.86, 74), (0.96, 7)),
            "shoulder_flex": ((0.0, 2), (0.17, 30), (0.28, 34), (0.78, 34), (0.86, 38), (0.96, 2)),
            "elbow": ((0.0, 16), (0.28, 62), (0.78, 62), (0.96, 16)),
            "shoulder_in": ((0.0, 12), (0.28, 28), (0.78, 28), (0.96, 12)),
        },
    ),
    "Squat": Action(
        seconds=2.7,
        keys={
            "pelvis_flex": ((0.0, 0), (0.1, 0), (0.42, 24), (0.52, 24), (0.88, 0)),
            "spine_flex": ((0.0, 2), (0.1, 2), (0.42, 14), (0.52, 14), (0.88, 2)),
            "hip_flex": ((0.0, 4), (0.1, 4), (0.42, 106), (0.52, 106), (0.88, 4)),
            "hip_out": ((0.0, 9), (0.42, 16), (0.52, 16), (0.88, 9)),
            "knee": ((0.0, 7), (0.1, 7), (0.42, 112), (0.52, 112), (0.88, 7)),
            "shoulder_flex": ((0.0, 4), (0.1, 4), (0.4, 98), (0.54, 98), (0.9, 4)),
            "elbow": ((0.0, 14), (0.4, 8), (0.54, 8), (0.9, 14)),
            "neck_flex": ((0.0, 2), (0.42, -24), (0.52, -24), (0.88, 2)),
        },
    ),
    "Jumping": Action(
        seconds=2.0,
        flights=((0.42, 0.59),),
        rise=((0.0, 0.0), (0.35, 0.0), (0.42, 0.07), (0.59, 0.07), (0.66, 0.0)),
        keys={
            "pelvis_flex": ((0.0, 2), (0.1, 2), (0.3, 32), (0.42, 4), (0.58, 8), (0.7, 26), (0.95, 2)),
            "spine_flex": ((0.0, 2), (0.1, 2), (0.3, 18), (0.42, 0), (0.58, 4), (0.7, 14), (0.95, 2)),
            "hip_flex": ((0.0, 4), (0.1, 4), (0.3, 86), (0.42, 2), (0.5, 10), (0.58, 20), (0.7, 72), (0.95, 4)),
            "knee": ((0.0, 7), (0.1, 7), (0.3, 88), (0.42, 4), (0.5, 14), (0.58, 20), (0.7, 76), (0.95, 7)),
            "shoulder_flex": (
                (0.0, 2),
                (0.08, 8),
                (0.24, -36),
                (0.32, -18),
                (0.47, 104),
                (0.53, 108),
                (0.75, 40),
                (0.95, 2),
            ),
            "shoulder_out": ((0.0, 9), (0.46, 22), (0.6, 24), (0.95, 9)),
            "elbow": ((0.0, 16), (0.25, 20), (0.36, 50), (0.47, 30), (0.7, 40), (0.95, 16)),
            "neck_flex": ((0.0, 2), (0.3, -18), (0.42, -12), (0.7, -14), (0.95, 2)),
        },
    ),
    "Waving": Action(
        seconds=4.4,
        keys={},
        near={
            "shoulder_out": ((0.0, 9), (0.06, 9), (0.18, 102), (0.8, 102), (0.93, 9)),
            "shoulder_in": ((0.0, 12), (0.06, 12), (0.17, -82), (0.8, -82), (0.92, 12)),
            "elbow": (
                *((0.0, 16), (0.06, 16), (0.17, 105), (0.25, 42), (0.33, 108), (0.41, 40), (0.49, 108), (0.57, 40)),
                *((0.65, 108), (0.73, 44), (0.81, 95), (0.93, 16)),
            ),
        },
    ),
    "Kicking": Action(
        seconds=1.9,
        keys={
            "pelvis_flex": ((0.0, 2), (0.25, 12), (0.45, -12), (0.55, -12), (0.8, 2)),
            "spine_flex": ((0.0, 2), (0.25, 4), (0.46, 14), (0.8, 2)),
        },
        near={
            "hip_flex": ((0.0, 4), (0.08, 4), (0.26, -26), (0.47, 78), (0.53, 80), (0.8, 4)),
            "knee": ((0.0, 7), (0.08, 10), (0.27, 78), (0.38, 80), (0.48, 8), (0.54, 14), (0.66, 50), (0.82, 7)),
            "shoulder_flex": ((0.0, 2), (0.26, 36), (0.48, -38), (0.8, 2)),
            "shoulder_out": ((0.0, 9), (0.26, 24), (0.48, 34), (0.8, 9)),
            "elbow": ((0.0, 16), (0.26, 46), (0.48, 28), (0.8, 16)),
        },
        far={
            "hip_flex": ((0.0, 4), (0.25, 22), (0.47, -4), (0.8, 4)),
            "knee": ((0.0, 7), (0.25, 20), (0.47, 14), (0.8, 7)),
            "shoulder_flex": ((0.0, 2), (0.26, -32), (0.48, 48), (0.8, 2)),
            "shoulder_out": ((0.0, 9), (0.26, 34), (0.48, 26), (0.8, 9)),
            "elbow": ((0.0, 16), (0.26, 26), (0.48, 42), (0.8, 16)),
        },
    ),
    "PickUp": Action(
        seconds=3.6,
        keys={
            "pelvis_flex": ((0.0, 0), (0.08, 0), (0.32, 56), (0.42, 56), (0.64, 0)),
            "spine_flex": ((0.0, 2), (0.08, 2), (0.32, 36), (0.42, 36), (0.64, 2)),
            "chest_flex": ((0.0, 3), (0.08, 3), (0.32, 26), (0.42, 26), (0.64, 3)),
            "hip_flex": ((0.0, 4), (0.08, 4), (0.32, 122), (0.42, 122), (0.64, 4)),
            "knee": ((0.0, 7), (0.08, 7), (0.32, 94), (0.42, 94), (0.64, 7)),
        },
        near={
            "shoulder_flex": ((0.0, 2), (0.08, 2), (0.32, 108), (0.42, 108), (0.64, 42), (0.82, 42), (0.97, 2)),
            "elbow": ((0.0, 16), (0.08, 16), (0.32, 6), (0.42, 6), (0.64, 84), (0.82, 84), (0.97, 16)),
            "shoulder_in": ((0.0, 12), (0.32, 4), (0.42, 4), (0.64, 26), (0.82, 26), (0.97, 12)),
        },
        far={
            "shoulder_flex": ((0.0, 2), (0.08, 2), (0.32, 48), (0.42, 48), (0.64, 2)),
            "elbow": ((0.0, 16), (0.08, 16), (0.32, 40), (0.42, 40), (0.64, 16)),
        },
    ),
}


@dataclass(frozen=True, eq=False)
class Person:
    """Build and manner.

    Attributes:
        offsets: (17, 3) from each joint's parent, upright with arms hanging: x forward, y left, z up, meters.
        ankle: height of a bearing ankle, meters.
        near: `L` or `R`, the preferred side.
        tempo: 1 is middling.
        reach: factor on how far angles leave rest.
        posture: degrees by which each angle's rest differs.
        restless: factor on random motion.
    """

    offsets: Float[np.ndarray, "17 3"]
    ankle: float
    near: str
    tempo: float
    reach: float
    posture: Mapping[str, float]
    restless: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Person":
        scale = rng.uniform(0.87, 1.1)  # body heights of about 1.55 to 1.95 m
        legs, trunk, arms, hips, shoulders = scale * rng.normal(1, (0.025, 0.025, 0.03, 0.06, 0.05))
        offsets = {
            "Pelvis": (0, 0, 0),
            "LHip": (0, 0.125 * hips, 0),
            "LKnee": (0, 0, -0.445 * legs),
            "LAnkle": (0, 0, -0.425 * legs),
            "Spine": (-0.01, 0, 0.235 * trunk),
            "Thorax": (0.01, 0, 0.255 * trunk),
            "Neck": (0.02, 0, 0.11 * trunk),
            "Head": (0.015, 0, 0.115 * trunk),
            "LShoulder": (0, 0.16 * shoulders, -0.02 * trunk),
            "LElbow": (0, 0, -0.285 * arms),
            "LWrist": (0, 0, -0.25 * arms),
        }
        for joint in ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist"):
            x, y, z = offsets[f"L{joint}"]
            offsets[f"R{joint}"] = (x, -y, z)
        return cls(
            offsets=np.array([offsets[joint] for joint in H36M_17.joints], dtype=np.float64),
            ankle=0.085 * scale,
            near="L" if rng.random() < 0.3 else "R",
            tempo=rng.uniform(0.85, 1.15),
            reach=rng.uniform(0.88, 1.08),
            posture={name: rng.normal(0, 2.5) for name in (*LIMB_ANGLES, *TRUNK_ANGLES) if not name.endswith(SIDED)},
            restless=rng.uniform(0.6, 1.4),
        )


def is_synthetic(source: str) -> bool:
    """Tell whether a source is the word for these motions."""
    return source == SYNTHETIC


def read_synthetic(source: str, *, seed: int = 0) -> list[Clip]:
    """Make the clips of `synthetic_clips`, six people.

    Raises:
        InputError: the source is not the word for these motions.
    """
    if not is_synthetic(source):
        raise InputError(f"{source}: no file is read for motions that are made; wanted the word {SYNTHETIC}")
    return list(synthetic_clips(seed))


def synthetic_clips(
    seed: int = 0,
    *,
    subjects: int = 6,
    clips: int = 2,
    seconds: float = 5.0,
    fps: float = 50.0,
    actions: Iterable[str] = tuple(ACTIONS),
) -> Iterator[Clip]:
    """Make clips of made-up people `syn1`, `syn2`, ..., each doing every action `clips` times.

    A clip depends on the seed and its own name alone: more subjects or fewer actions leave the others as they are.

    Raises:
        InputError: an action is unknown, or there would be no subject, clip or frame.
    """
    chosen = tuple(actions)
    unknown = sorted(set(chosen) - ACTIONS.keys())
    if unknown or not chosen:
        raise InputError(f"unknown synthetic actions {unknown}; wanted some of {list(ACTIONS)}")
    frames = round(seconds * fps)
    if subjects < 1 or clips < 1 or frames < 1:
        raise InputError(
            f"{subjects} subjects, {clips} clips each, {seconds} s at {fps} frames per second; wanted at least one each"
        )
    for number in range(1, subjects + 1):
        person = Person.draw(np.random.default_rng((seed, number)))
        for action in chosen:
            for take in range(1, clips + 1):
                rng = np.random.default_rng((seed, number, zlib.crc32(action.encode()), take))
                joints_world = _perform(ACTIONS[action], person, frames, fps, rng)
                name, subject = f"syn{number}/{action}_{take}", f"syn{number}"
                yield Clip(name, subject, action, fps, joints_world, "synthetic", dataset=SYNTHETIC)


def _perform(
    action: Action, person: Person, frames: int, fps: float, rng: np.random.Generator
) -> Float[np.ndarray, "t 17 3"]:
    """One person's one performance of an action, from a random phase on, anywhere and facing anywhere."""
    tempo = person.tempo * rng.uniform(0.9, 1.1) * (1 + 0.06 * _wander(rng, 1, frames, fps, 0.8)[0])
    rate = tempo / action.seconds  # cycles per second
    phase = rng.random() + np.cumsum(rate) / fps
    reach = person.reach * rng.uniform(0.92, 1.06) * (1 + 0.03 * _wander(rng, 1, frames, fps, 1.0)[0])
    angles = _angles(action, person, phase, reach, fps, rng)

    curving = rng.choice((-1, 1)) * rng.uniform(0.2, 0.9) + 0.2 * _wander(rng, 1, frames, fps, 1.0)[0]
    heading = rng.uniform(0, 360) + np.cumsum(action.turning * curving) / fps  # degrees
    rotations = _rotations(angles, heading)
    joints = forward_kinematics(H36M_17.parents, person.offsets, rotations, np.zeros((frames, 3)))

    height = person.ankle + _curve(action.rise, phase) * reach if action.rise else np.full(frames, person.ankle)
    flying = np.zeros(frames, dtype=bool)
    for begin, end in action.flights:
        part = (phase % 1 - begin) / (end - begin)
        duration = (end - begin) / rate  # seconds
        now = (part > 0) & (part < 1)
        height = height + now * GRAVITY / 2 * duration**2 * part * (1 - part)
        flying |= now
    joints += _root(joints[:, [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")]], height, flying, fps)[:, None]
    joints[..., :2] += rng.uniform(-0.5, 0.5, 2)
    return joints


def _angles(
    action: Action,
    person: Person,
    phase: Float[np.ndarray, " t"],
    reach: Float[np.ndarray, " t"],
    fps: float,
    rng: np.random.Generator,
) -> dict[str, Float[np.ndarray, " t"]]:
    """Degrees of every angle of the trunk, and of the limbs with `L_` and `R_` before their names."""
    far = "R" if person.near == "L" else "L"
    curves: dict[str, tuple[Keys, float]] = {name: (action.keys.get(name, ()), 0.0) for name in TRUNK_ANGLES}
    for name in LIMB_ANGLES:
        both = action.keys.get(name, ())
        curves[f"{person.near}_{name}"] = (action.near.get(name, both), 0.0)
        curves[f"{far}_{name}"] = (action.far.get(name, both), action.lag)
    # a turn or tilt towards the left belongs to a left foot in front; for others it is the other way round
    swap = 1.0 if person.near == "L" else -1.0
    sway = _wander(rng, len(curves), len(phase), fps, 0.35)
    angles = {}
    for (name, (keys, lag)), noise in zip(curves.items(), sway, strict=True):
        base = name.removeprefix("L_").removeprefix("R_")
        rest, low, high = (TRUNK_ANGLES | LIMB_ANGLES)[base]
        sign = swap if base.endswith(SIDED) else 1.0
        excursion = sign * (_curve(keys, phase - lag) - rest) * reach if keys else 0.0
        wanted = (
            rest + person.posture.get(base, 0.0) + excursion + person.restless * SWAY.get(base, DEFAULT_SWAY) * noise
        )
        angles[name] = gaussian_filter1d(np.clip(wanted, low, high), 0.025 * fps, mode="nearest")
    return angles


def _curve(keys: Keys, phase: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """The value at each phase: a monotone cubic through the keys, without overshoot, from one cycle into the next."""
    at, value = np.array(keys, dtype=np.float64).T
    around = PchipInterpolator(np.concatenate([at - 1, at, at + 1, at + 2]), np.tile(value, 4))
    return np.asarray(around(phase % 1))


def _wander(rng: np.random.Generator, count: int, frames: int, fps: float, seconds: float) -> Float[np.ndarray, "n t"]:
    """Smooth random curves of unit variance, without anything faster than about 1 / (3 seconds) Hz."""
    sigma = seconds * fps
    margin = int(4 * sigma) + 1
    white = rng.standard_normal((count, frames + 2 * margin))
    smooth = gaussian_filter1d(white, sigma, axis=1)[:, margin:-margin]
    return np.asarray(smooth * np.sqrt(2 * np.sqrt(np.pi) * sigma))


def _rotations(
    angles: Mapping[str, Float[np.ndarray, " t"]], heading: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "t 17 3 3"]:
    """The rotation of each joint in its parent's frame."""
    rotations = np.tile(np.eye(3), (len(heading), len(H36M_17), 1, 1))

    def turn(joint: str, order: str, *about: Float[np.ndarray, " t"]) -> None:
        rotations[:, H36M_17.index(joint)] = Rotation.from_euler(
            order, np.stack(about, axis=1), degrees=True
        ).as_matrix()

    turn("Pelvis", "ZYX", heading + angles["pelvis_turn"], angles["pelvis_flex"], angles["pelvis_side"])
    for joint, name in (("Spine", "spine"), ("Thorax", "chest"), ("Neck", "neck")):
        turn(joint, "ZYX", angles[f"{name}_turn"], angles[f"{name}_flex"], angles[f"{name}_side"])
    for side, out in (("L", 1.0), ("R", -1.0)):
        for joint, name in (("Hip", "hip"), ("Shoulder", "shoulder")):
            flex, away, inward = (angles[f"{side}_{name}_{way}"] for way in ("flex", "out", "in"))
            turn(side + joint, "YXZ", -flex, out * away, -out * inward)
        turn(f"{side}Knee", "Y", angles[f"{side}_knee"])
        turn(f"{side}Elbow", "Y", -angles[f"{side}_elbow"])
    return rotations


def _root(
    ankles: Float[np.ndarray, "t 2 3"], height: Float[np.ndarray, " t"], flying: Bool[np.ndarray, " t"], fps: float
) -> Float[np.ndarray, "t 3"]:
    """Where the pelvis is, from the ankles as seen from it: the lower one at its height, the bearing one at rest.

    In flight the pelvis keeps the horizontal speed of the moments before and after.
    """
    lowest = ankles[..., 2].min(axis=1)
    up = gaussian_filter1d(height - lowest, 0.02 * fps, mode="nearest")
    if len(ankles) == 1:
        return np.stack([np.zeros(1), np.zeros(1), up], axis=1)
    bears = np.exp(
        -(ankles[..., 2] - lowest[:, None]) / 0.01
    )  # nearly all on the lower ankle, shared within a centimeter
    bears = bears[1:] * bears[:-1]
    step = -(np.diff(ankles[..., :2], axis=0) * bears[..., None]).sum(axis=1) / bears.sum(axis=1)[:, None]  # (t - 1, 2)
    grounded = np.flatnonzero(~(flying[1:] | flying[:-1]))
    moments = np.arange(len(step))
    if len(grounded):
        step = np.stack([np.interp(moments, grounded, step[grounded, axis]) for axis in range(2)], axis=1)
    step = gaussian_filter1d(step, 0.03 * fps, axis=0, mode="nearest")
    along = np.concatenate([np.zeros((1, 2)), np.cumsum(step, axis=0)])
    return np.concatenate([along, up[:, None]], axis=1)
