"""Where the floor is and when feet rest on it.

The floor's direction and height are found from bodies that stand upright, from the places where feet rest and from how
cameras are usually held, each weighed by its error.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d, label
from scipy.optimize import least_squares

from actlift.geometry.camera import Camera
from actlift.geometry.sight import ANKLES, FEET, HIPS, KNEES, SPINE, THORAX, Sight, length, on_plane, unit

ANKLE_M = 0.10  # height of the ankle joint while the foot rests: the mean of motion capture, where the lowest is 0.085

LEAN = 0.05  # slope by which standing people lean forward from their ankles: they stand on the middle of their feet
BEND_RAD = 0.35  # a body this bent at the hips counts 0.61 for the way up
BENT_KNEE = 0.1  # and so does one whose leg spans this much less than it is long, as a fraction
ODD_DEG = (25.0, 12.0)  # a body this far off the others counts half: at first and at last
BODY_DEG = (3.0, 5.0)  # standard deviation of the way up by bodies: what all looks share, and what each has of its own
TILT_DEG = (10.0, 20.0)  # how far cameras usually look down, and its standard deviation
ROLL_DEG = (3.0, 8.0)  # standard deviation of how far cameras are turned about their axis: from level, from a guess
LOOK_S = 0.6  # poses that far apart in time err independently
DEPTH_ERROR = 0.03  # of the distance of a resting foot, as a fraction
LEVEL_ERROR_M = 0.03  # of its height

QUIET_S = 0.05  # smoothing of ankles before they are differentiated
DEPTH_SPEED = 0.3  # weight of speed along the view
SLOW_M_S = 0.25  # an ankle comes to rest where it is this slow,
LOW_M = 0.08  # and so low over (or under) where resting ankles are
LEAVING = 1.5  # times as fast, or as high, it leaves
LEAST_S = 0.1  # least duration of a contact


@dataclass(frozen=True, eq=False)
class Rests:
    """Stretches of time in which a foot rests: `foot` 0 is the left, from frame `first` to before `stop`."""

    foot: Int[np.ndarray, " k"]
    first: Int[np.ndarray, " k"]
    stop: Int[np.ndarray, " k"]

    @classmethod
    def of(cls, contacts: Bool[np.ndarray, "t 2"]) -> "Rests":
        edges = np.diff(contacts.astype(np.int8), axis=0, prepend=0, append=0).T  # (2, t + 1)
        foot, first = np.nonzero(edges == 1)
        return cls(foot, first, np.nonzero(edges == -1)[1])

    @property
    def frames(self) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Of every frame of every stretch, its number and that of the stretch."""
        lengths = self.stop - self.first
        rest = np.repeat(np.arange(len(lengths)), lengths)
        return np.arange(len(rest)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + self.first[rest], rest


@dataclass(frozen=True, eq=False)
class Floor:
    """The level plane in which ankles rest, `ANKLE_M` above the floor: `down_cam @ p_cam == below_m`.

    Attributes:
        down_cam: (3,) the direction of gravity.
        below_m: how far the plane lies below the camera.
        error_deg: standard deviation of the direction, as estimated.
    """

    down_cam: Float[np.ndarray, "3"]
    below_m: float
    error_deg: float

    def above(self, points_cam: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead"]:
        """How far points are above the plane, in meters."""
        return np.asarray(self.below_m - points_cam @ self.down_cam)


def floor_and_contacts(
    pose: Float[np.ndarray, "t 17 3"],
    sight: Sight,
    root_cam: Float[np.ndarray, "t 3"],
    weight: Float[np.ndarray, "t 13"],
    camera: Camera,
    down_cam: Float[np.ndarray, "3"] | None = None,
) -> tuple[Floor, Bool[np.ndarray, "t 2"]]:
    """The floor by the feet that rest, and the feet that rest by the floor, twice in turn.

    At first a foot may rest where it is slow and not clearly above the other one: that takes hardly any floor. See
    `expected_turn` for `down_cam`.
    """
    turned, turned_rad = expected_turn(pose, sight.fps, camera, down_cam)
    posed = pose[:, ANKLES] + root_cam[:, None]
    seen = on_plane(sight.rays[:, FEET], posed[..., 2])
    feet = posed + (seen - posed) * weight[:, FEET, None]  # as the image has them, where it is sure
    speed = ankle_speed(feet, sight.fps)
    higher = (feet[:, ::-1] - feet) @ _down(turned)  # than the other foot
    contacts = resting(speed, np.maximum(higher, 0), sight.fps)
    for _ in range(2):
        floor = fit_floor(turned, turned_rad, sight, weight, feet, Rests.of(contacts))
        contacts = resting(speed, np.abs(floor.above(feet)), sight.fps)
    return floor, contacts


def expected_turn(
    pose: Float[np.ndarray, "t 17 3"], fps: float, camera: Camera, down_cam: Float[np.ndarray, "3"] | None = None
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Pitch and roll of the camera in radians, and their standard deviations, before feet have a say.

    Those of a camera whose rotation is known; else the weighted mean of what bodies say and what is usual: a camera
    that is held level, or with about the roll at which gravity points along `down_cam`.
    """
    if not np.allclose(camera.R_cam_world, np.eye(3)):
        return _pitch_and_roll(-camera.R_cam_world[:, 2]), np.full(2, 1e-6)
    roll = 0.0 if down_cam is None else float(_pitch_and_roll(down_cam)[1])
    down, body_rad = body_down(pose, fps, roll)
    pitch_said, roll_said = _pitch_and_roll(down)
    said = np.array([pitch_said, roll + math.remainder(roll_said - roll, 2 * math.pi)])  # less than half a turn off
    usual = np.array([np.deg2rad(TILT_DEG[0]), roll])
    usual_rad = np.deg2rad([TILT_DEG[1], ROLL_DEG[down_cam is not None]])
    precision = 1 / body_rad**2 + 1 / usual_rad**2
    return (said / body_rad**2 + usual / usual_rad**2) / precision, 1 / np.sqrt(precision)


def body_down(pose: Float[np.ndarray, "t 17 3"], fps: float, roll: float = 0.0) -> tuple[Float[np.ndarray, "3"], float]:
    """The direction of gravity by bodies that stand, and its standard deviation in radians.

    It is the mean direction from the spine to the ankles' midpoint, corrected by the lean of standing people, over
    straight bodies. Directions that disagree with the others count less and less, from how cameras are held onwards
    (this one: with about that roll, in radians): so a person who lies for part of the time is left out.
    """
    hips, thorax, ankles = pose[:, HIPS].mean(axis=1), pose[:, THORAX], pose[:, ANKLES].mean(axis=1)
    legs = length(pose[:, ANKLES] - pose[:, KNEES]) + length(pose[:, KNEES] - pose[:, HIPS])
    bent_knee = 1 - (length(pose[:, ANKLES] - pose[:, HIPS]) / np.maximum(legs, 1e-6)).min(axis=1)
    bend = _angle(ankles - hips, hips - thorax)
    weight = np.exp(-((bend / BEND_RAD) ** 2) / 2 - (bent_knee / BENT_KNEE) ** 2 / 2)
    down = unit(ankles - pose[:, SPINE])
    left = pose[:, HIPS[0]] - pose[:, HIPS[1]]
    down = unit(down + LEAN * unit(np.cross(down, left)))
    usual = _down(np.array([np.deg2rad(TILT_DEG[0]), roll]))
    mean = usual
    for odd_deg in np.geomspace(*ODD_DEG, 6):
        agreed = weight / (1 + (_angle(down, mean) / np.deg2rad(odd_deg)) ** 4)
        mean = unit(usual + (agreed[:, None] * down).sum(axis=0))
    looks = agreed.sum() / (fps * LOOK_S)
    return mean, float(np.deg2rad(np.hypot(BODY_DEG[0], BODY_DEG[1] / np.sqrt(looks + 1e-2))))


def fit_floor(
    turned: Float[np.ndarray, "2"],
    turned_rad: Float[np.ndarray, "2"],
    sight: Sight,
    weight: Float[np.ndarray, "t 13"],
    feet: Float[np.ndarray, "t 2 3"],
    rests: Rests,
) -> Floor:
    """The plane on which feet rest, from pitch and roll as expected and from where feet rest.

    A foot at rest is seen on a ray `r` (of z = 1) at a depth `d`, so `down @ r = below / d`. Rays are exact and depths
    are not; in this form, unlike in that of a plane through points, the errors of depths do not bend the plane. It is
    fitted by non-linear least squares in pitch, roll and `below`. Feet that rest elsewhere than on the floor count as
    the inverse hyperbolic sine of their distance: little.
    """
    k = len(rests.foot)
    if not k:
        down = _down(turned)
        return Floor(down, float(np.percentile(feet @ down, 98)), float(np.rad2deg(length(turned_rad))))
    frame, rest = rests.frames
    lasts = np.bincount(rest, minlength=k)
    depth = np.exp(np.bincount(rest, np.log(feet[frame, rests.foot[rest], 2])) / lasts)
    rays = on_plane(mean_rays(sight, weight, rests)[0], np.ones(k))
    below = float(np.median(depth * (rays @ _down(turned))))
    error_m = np.hypot(DEPTH_ERROR * below, LEVEL_ERROR_M) / np.sqrt(1 + lasts / (sight.fps * LOOK_S))

    def residuals(unknown: np.ndarray) -> np.ndarray:
        off = np.median(depth) * (rays @ _down(unknown[:2]) - unknown[2] / depth) / error_m
        return np.concatenate([(unknown[:2] - turned) / turned_rad, np.arcsinh(off)])

    found: Any = least_squares(residuals, [*turned, below], x_scale=[*turned_rad, LEVEL_ERROR_M])
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    return Floor(_down(found.x[:2]), float(found.x[2]), float(np.rad2deg(np.sqrt(covariance[0, 0] + covariance[1, 1]))))


def ankle_speed(feet: Float[np.ndarray, "t 2 3"], fps: float) -> Float[np.ndarray, "t 2"]:
    """Meters per second, what is along the view counting less: there it is badly known."""
    smooth = gaussian_filter1d(feet, QUIET_S * fps, axis=0, mode="nearest")
    moved = np.gradient(smooth, axis=0) * fps if len(feet) > 1 else np.zeros(feet.shape)
    along = (moved * unit(smooth)).sum(axis=-1)
    across2 = (moved**2).sum(axis=-1) - along**2
    return np.asarray(np.sqrt(np.maximum(across2, 0) + (DEPTH_SPEED * along) ** 2))


def resting(speed: Float[np.ndarray, "t 2"], above: Float[np.ndarray, "t 2"], fps: float) -> Bool[np.ndarray, "t 2"]:
    """When a foot rests: from slow and low on, for as long as it stays about so, with hysteresis."""
    effort = np.maximum(speed / SLOW_M_S, above / LOW_M)
    about = effort < LEAVING
    contacts = np.zeros(about.shape, dtype=bool)
    for foot in range(2):
        stretches, count = label(about[:, foot])
        frames = np.bincount(stretches, minlength=count + 1)
        lowest = np.full(count + 1, np.inf)
        np.minimum.at(lowest, stretches, effort[:, foot])
        rests = (lowest < 1) & (frames >= min(LEAST_S * fps, len(about)))
        rests[0] = False
        contacts[:, foot] = rests[stretches]
    return contacts


def mean_rays(
    sight: Sight, weight: Float[np.ndarray, "t 13"], rests: Rests
) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " k"]]:
    """Average the ray of the ankle over each rest; also give the weight that is in it."""
    frame, rest = rests.frames
    ankle = np.array(FEET)[rests.foot[rest]]
    w = weight[frame, ankle] + 1e-6
    k = len(rests.foot)
    total = np.bincount(rest, w, k)
    sums = [np.bincount(rest, w * sight.rays[frame, ankle, axis], k) for axis in range(2)]
    return np.stack(sums, axis=1) / total[:, None], total


def _down(turned: Float[np.ndarray, "2"]) -> Float[np.ndarray, "3"]:
    """Gravity in the axes of a camera that looks down by a pitch and is turned about its axis by a roll."""
    pitch, roll = turned
    return np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])


def _pitch_and_roll(down: Float[np.ndarray, "3"]) -> Float[np.ndarray, "2"]:
    return np.array([np.arcsin(np.clip(down[2], -1, 1)), np.arctan2(down[0], down[1])])


def _angle(a: Float[np.ndarray, "*lead 3"], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "*lead"]:
    return np.asarray(np.arccos(np.clip((unit(a) * unit(b)).sum(axis=-1), -1, 1)))
