"""Global motion: where in the world a person moves, from poses relative to the pelvis and the keypoints of one camera.

The camera stands still; its intrinsics are known or guessed. Found one after the other are

1. the scale: a height of the person, where one is told, sets the size of the poses;
2. the trajectory: the translations that bring the posed joints onto the keypoints, by robust linear least squares over
   all frames at once. Depth is the badly known direction and is smoothed most;
3. the floor: the direction of gravity and the height of the camera, from bodies that stand upright, from the places
   where feet rest and from how cameras are usually held, each weighed by its error;
4. the contacts: when a foot rests on the floor, by speed and height of its ankle;
5. feet that stand still: where they stand is solved for together with the trajectory, and legs are moved to reach it.

The floor is taken to be level and at one height: nothing is known of stairs, slopes and things to climb.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.ndimage import gaussian_filter1d, label
from scipy.optimize import least_squares
from scipy.sparse.linalg import splu

from actlift.errors import InputError
from actlift.geometry.camera import Camera
from actlift.geometry.skeleton import COCO_17, H36M_17

ANKLE_M = 0.10  # height of the ankle joint while the foot rests: the mean of motion capture, where the lowest is 0.085

# Stature over the length of ankle-knee-hip and hips-thorax-head. Winter, "Biomechanics and motor control of human
# movement" (2009), Fig. 4.1, after Drillis and Contini (1966), puts the ankle at 0.039 and the hip at 0.530 of it: the
# leg is 0.491. Of the stature that this factor gives 24 people of motion capture it is 0.485, give or take 0.008.
STATURE = 1.09
STATURES_M = (0.4, 2.6)

# What poses and keypoints share: 12 limb joints, and the ears, which lie halfway between Neck (mouth) and Head.
LIMBS = tuple(f"{side}{part}" for part in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle") for side in "LR")
FEET = (LIMBS.index("LAnkle"), LIMBS.index("RAnkle"))
HIPS, KNEES, ANKLES = ([H36M_17.index(f"{side}{part}") for side in "LR"] for part in ("Hip", "Knee", "Ankle"))
PELVIS, SPINE, THORAX, NECK, HEAD = (H36M_17.index(joint) for joint in ("Pelvis", "Spine", "Thorax", "Neck", "Head"))

SHORTEST = 1e-4  # of a body in the image, in focal lengths: a person some kilometers away
ROUNDS = 3  # of robust re-weighting
OUTLIER_M = 0.1  # a keypoint that far from its posed joint has half its weight
STEADY_S = 0.04  # smoothing time of the trajectory across the view
STEADY_DEPTH_S = 0.1  # and along it, for a body that looks as long as its distance; more for smaller ones
CALM_S = 0.002  # keeps long gaps from being filled with high speeds

LEAN = 0.05  # slope by which standing people lean forward from their ankles: they stand on the middle of their feet
BEND_RAD = 0.35  # a body this bent at the hips counts 0.61 for the way up
BENT_KNEE = 0.1  # and so does one whose leg spans this much less than it is long, as a fraction
ODD_DEG = (25.0, 12.0)  # a body this far off the others counts half: at first and at last
BODY_DEG = (3.0, 5.0)  # standard deviation of the way up by bodies: what all looks share, and what each has of its own
TILT_DEG = (10.0, 20.0)  # how far cameras usually look down, and its standard deviation
ROLL_DEG = 3.0  # standard deviation of how far cameras are turned about their axis
UNSURE_DEG = 6.0  # an estimated error from which on a note is made
LOOK_S = 0.6  # poses that far apart in time err independently
DEPTH_ERROR = 0.03  # of the distance of a resting foot, as a fraction
LEVEL_ERROR_M = 0.03  # of its height

QUIET_S = 0.05  # smoothing of ankles before they are differentiated
DEPTH_SPEED = 0.3  # weight of speed along the view
SLOW_M_S = 0.25  # an ankle comes to rest where it is this slow,
LOW_M = 0.08  # and so low over (or under) where resting ankles are
LEAVING = 1.5  # times as fast, or as high, it leaves
LEAST_S = 0.1  # least duration of a contact
BLEND_S = 0.2  # how long a leg's correction takes to fade before and after a contact
FARTHEST_M = 0.2  # largest correction of an ankle


@dataclass(frozen=True, eq=False)
class GlobalTrajectory:
    """A person in the world: z up, floor at z = 0, x to the camera's right, y away from it.

    The origin lies on the floor below the pelvis of the first frame.

    Attributes:
        joints_world: (t, 17, 3) float32 meters, in the order of `H36M_17`.
        contacts: (t, 2) whether the left and the right foot rest on the floor.
        camera: the one that was given, with its place in this world.
        height_m: the person's stature: as told, or as the poses have it.
        up_error_deg: standard deviation of the way up, as estimated; 0 where it was known.
        reprojection_px: median distance of the posed joints from their keypoints.
        notes: what to know before trusting it, one sentence each.
    """

    joints_world: Float[np.ndarray, "t 17 3"]
    contacts: Bool[np.ndarray, "t 2"]
    camera: Camera
    height_m: float
    up_error_deg: float
    reprojection_px: float
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Sight:
    """Poses and rays to the keypoints, of the 13 joints that both have: `LIMBS`, then the ears' midpoint.

    Attributes:
        joints: (t, 13, 3) meters from the pelvis, in the axes of the camera.
        rays: (t, 13, 2) where the keypoints lie in the plane z = 1 of the camera.
        confidence: (t, 13), 0 to 1.
        fps: frames per second.
    """

    joints: Float[np.ndarray, "t 13 3"]
    rays: Float[np.ndarray, "t 13 2"]
    confidence: Float[np.ndarray, "t 13"]
    fps: float


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
class Trajectory:
    """Where the pelvis and the resting feet are.

    Attributes:
        root_cam: (t, 3) meters.
        places_cam: (k, 3) meters, where the ankle is while it rests.
        weight: (t, 13) how far each keypoint was believed: its confidence, and less where it lies off.
    """

    root_cam: Float[np.ndarray, "t 3"]
    places_cam: Float[np.ndarray, "k 3"]
    weight: Float[np.ndarray, "t 13"]


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


def global_trajectory(
    pose3d_cam: Float[np.ndarray, "t 17 3"],
    pose2d_px: Float[np.ndarray, "t 17 2"],
    confidence: Float[np.ndarray, "t 17"],
    fps: float,
    camera: Camera,
    *,
    height_m: float | None = None,
) -> GlobalTrajectory:
    """Place poses in a world with a floor, by what a camera that stands still saw.

    Args:
        pose3d_cam: meters from the pelvis in the axes of the camera, joints in the order of `H36M_17`.
        pose2d_px: pixels, joints in the order of `COCO_17`; where the confidence is 0 they may be anything.
        confidence: 0 to 1.
        fps: frames per second.
        camera: its intrinsics count. So does its rotation, unless that is the identity: then the way up is known.
        height_m: the person's stature; without it the size of the poses is kept.

    Raises:
        ValueError: shapes do not fit or numbers are not finite, the rate or height is not possible, no keypoint has
            confidence, the poses have no extent, or no place in front of the camera brings them onto the keypoints.
    """
    _check(pose3d_cam, pose2d_px, confidence, fps, height_m)
    pose = pose3d_cam.astype(np.float64)
    looks_m = stature(pose)
    if looks_m == 0:
        raise InputError("the poses have no extent: all joints lie in the pelvis")
    if height_m is not None:
        pose = pose * (height_m / looks_m)
    sight = sighted(pose, pose2d_px, confidence, fps, camera)
    free = root_trajectory(sight)
    _check_in_front(pose + free.root_cam[:, None])
    floor, contacts = floor_and_contacts(pose, sight, free, camera)
    rests = Rests.of(contacts)
    held = root_trajectory(sight, rests, floor)
    placed_cam = planted(pose + held.root_cam[:, None], rests, held.places_cam, fps)
    _check_in_front(placed_cam)
    placed = _in_world(camera, floor, placed_cam[0, PELVIS])
    seen = sight.confidence > 0
    shared_cam = _shared(placed_cam)
    off_px = _length(camera.cam_to_px(shared_cam) - camera.cam_to_px(_on_plane(sight.rays, np.ones(seen.shape))))
    off_m = _length(shared_cam[..., :2] - sight.rays * shared_cam[..., 2:])
    return GlobalTrajectory(
        joints_world=placed.cam_to_world(placed_cam).astype(np.float32),
        contacts=contacts,
        camera=placed,
        height_m=looks_m if height_m is None else height_m,
        up_error_deg=floor.error_deg,
        reprojection_px=float(np.median(off_px[seen])),
        notes=tuple(_notes(looks_m, height_m, floor, contacts, seen, float(np.median(off_m[seen])))),
    )


def _notes(
    looks_m: float,
    height_m: float | None,
    floor: Floor,
    contacts: Bool[np.ndarray, "t 2"],
    seen: Bool[np.ndarray, "t 13"],
    off_m: float,
) -> Iterator[str]:
    if height_m is None:
        yield f"scale: assumed; the poses look {looks_m:.2f} m tall, and telling the person's height would set it"
    else:
        yield f"scale: set by a height of {height_m:.2f} m"
    if floor.error_deg > UNSURE_DEG:
        yield f"gravity: uncertain by about {floor.error_deg:.0f} degrees; little in the motion tells which way is up"
    if not contacts.any():
        yield "floor: no foot was seen to rest on it, so its height is uncertain"
    if off_m > OUTLIER_M:
        yield f"fit: the joints lie {off_m:.2f} m off their keypoints; pose, lens or scale may be wrong"
    if unseen := int((~seen.any(axis=1)).sum()):
        yield f"gaps: {unseen} of {len(seen)} frames have no keypoints; where the person is then is a guess"


def stature(pose: Float[np.ndarray, "t 17 3"]) -> float:
    """A person's height in meters, from the bones of many frames; needs no upright pose."""
    hips = pose[:, HIPS].mean(axis=1)
    legs = _length(pose[:, ANKLES] - pose[:, KNEES]) + _length(pose[:, KNEES] - pose[:, HIPS])  # (t, 2)
    trunk = _length(pose[:, THORAX] - hips) + _length(pose[:, HEAD] - pose[:, THORAX])
    return float(STATURE * np.median(legs.mean(axis=1) + trunk))


def sighted(
    pose: Float[np.ndarray, "t 17 3"],
    pose2d_px: Float[np.ndarray, "t 17 2"],
    confidence: Float[np.ndarray, "t 17"],
    fps: float,
    camera: Camera,
) -> Sight:
    """The joints that poses and keypoints share; keypoints without confidence become the middle of the image."""
    limbs = [COCO_17.index(joint) for joint in LIMBS]
    ears = [COCO_17.index("LEar"), COCO_17.index("REar")]
    known = np.concatenate([confidence[:, limbs], confidence[:, ears].min(axis=1, keepdims=True)], axis=1)
    points_px = np.concatenate([pose2d_px[:, limbs], pose2d_px[:, ears].mean(axis=1, keepdims=True)], axis=1)
    points_px = np.where(known[..., None] > 0, points_px, camera.center_px)
    rays = camera.px_to_cam(points_px, np.ones(known.shape))[..., :2]
    sight = Sight(_shared(pose), rays, known.astype(np.float64), fps)
    if not (_depth_information(sight) > SHORTEST**2).any():
        raise InputError(
            "no frame has keypoints that tell how far away the person is: wanted two or more of shoulders, elbows, "
            "wrists, hips, knees, ankles and ears with a confidence above 0, apart from one another"
        )
    return sight


def root_trajectory(sight: Sight, rests: Rests | None = None, floor: Floor | None = None) -> Trajectory:
    """The pelvis in every frame, and where feet rest, by one linear least squares.

    A joint `p` of a pose belongs on the ray `x` of its keypoint: with the pelvis at `T`, `x (T + p)_z = (T + p)_xy`.
    Both sides are meters at the joint, the unit of a lifter's errors. To this come a penalty on accelerations, and for
    a resting foot one unknown place: the ankle is there in all its frames, on its keypoint, in the plane of the floor.

    Args:
        sight: poses and rays.
        rests: when feet rest; none where they are not known yet.
        floor: where, needed with them.
    """
    t = len(sight.joints)
    lift = sight.rays * sight.joints[..., 2:] - sight.joints[..., :2]  # (t, 13, 2), T_xy - x T_z
    steady = _steadiness(sight)
    weight = sight.confidence
    for _ in range(ROUNDS + 1):
        weighted = weight[..., None] * lift
        right = np.concatenate([weighted.sum(axis=1), -(weighted * sight.rays).sum(axis=(1, 2))[:, None]], axis=1)
        left: Any = _blocks(_information(sight.rays, weight)) + steady
        right = right.ravel()
        if rests is not None and floor is not None and len(rests.foot):
            left, right = _with_rests(left, right, sight, weight, rests, floor)
        solved = splu(left.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(right)
        root = solved[: 3 * t].reshape(t, 3)
        placed = sight.joints + root[:, None]
        off_m = _length(sight.rays * placed[..., 2:] - placed[..., :2])
        weight = sight.confidence / (1 + (off_m / OUTLIER_M) ** 2)
    return Trajectory(root, solved[3 * t :].reshape(-1, 3), weight)


def _with_rests(
    left: Any,
    right: Float[np.ndarray, " u"],
    sight: Sight,
    weight: Float[np.ndarray, "t 13"],
    rests: Rests,
    floor: Floor,
) -> tuple[Any, Float[np.ndarray, " v"]]:
    """The normal equations with three more unknowns for each stretch in which a foot rests."""
    frame, rest = rests.frames
    ankle = np.array(FEET)[rests.foot[rest]]
    k, n = len(rests.foot), len(frame)
    lengths = (rests.stop - rests.first).astype(np.float64)
    rays, total = _mean_rays(sight, weight, rests)
    places = _information(rays[:, None], total[:, None])
    places += lengths[:, None, None] * np.outer(floor.down_cam, floor.down_cam)
    level = floor.below_m * lengths[:, None] * floor.down_cam
    picks = sparse.coo_array((np.ones(n), (np.arange(n), frame)), shape=(n, len(right) // 3))
    owns = sparse.coo_array((-np.ones(n), (np.arange(n), rest)), shape=(n, k))
    gap: Any = sparse.kron(sparse.hstack([picks, owns]), np.eye(3)).tocsc()  # root - place, should be - ankle
    left = sparse.block_diag([left, _blocks(places)]) + gap.T @ gap
    right = np.concatenate([right, level.ravel()]) - gap.T @ sight.joints[frame, ankle].ravel()
    return left, right


def _mean_rays(
    sight: Sight, weight: Float[np.ndarray, "t 13"], rests: Rests
) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " k"]]:
    """The mean ray of the ankle over each rest, and the weight that is in it."""
    frame, rest = rests.frames
    ankle = np.array(FEET)[rests.foot[rest]]
    w = weight[frame, ankle] + 1e-6
    k = len(rests.foot)
    total = np.bincount(rest, w, k)
    sums = [np.bincount(rest, w * sight.rays[frame, ankle, axis], k) for axis in range(2)]
    return np.stack(sums, axis=1) / total[:, None], total


def _information(rays: Float[np.ndarray, "n j 2"], weight: Float[np.ndarray, "n j"]) -> Float[np.ndarray, "n 3 3"]:
    """The quadratic form of `sum_j weight |rays Z - (X, Y)|²` in (X, Y, Z)."""
    form = np.zeros((len(rays), 3, 3))
    weighted = weight[..., None] * rays
    form[:, 0, 0] = form[:, 1, 1] = weight.sum(axis=1)
    form[:, :2, 2] = form[:, 2, :2] = -weighted.sum(axis=1)
    form[:, 2, 2] = (weighted * rays).sum(axis=(1, 2))
    return form


def _depth_information(sight: Sight) -> Float[np.ndarray, " t"]:
    """The spread of the rays around their mean, summed over the joints: 0 where depth is unknown."""
    total = sight.confidence.sum(axis=1, keepdims=True)
    share = sight.confidence / np.maximum(total, 1e-12)
    mean = (share[..., None] * sight.rays).sum(axis=1, keepdims=True)
    return np.asarray((sight.confidence * ((sight.rays - mean) ** 2).sum(axis=-1)).sum(axis=1))


def _steadiness(sight: Sight) -> Any:
    """The quadratic form, sparse (3t, 3t), that penalizes accelerations: little across the view, more along it."""
    t, joints = sight.confidence.shape
    first: Any = sparse.eye_array(t, format="csr")
    first = first[1:] - first[:-1]
    second = first[1:] - first[:-1]
    middle = sight.rays[1:-1].mean(axis=1)
    along = _unit(_on_plane(middle, np.ones(len(middle))))
    scales = STEADY_S**4 * np.eye(3) + (STEADY_DEPTH_S**4 - STEADY_S**4) * along[:, :, None] * along[:, None]
    speeds, accelerations = (sparse.kron(differences, np.eye(3)).tocsc() for differences in (first, second))
    return joints * (
        (CALM_S * sight.fps) ** 2 * speeds.T @ speeds + sight.fps**4 * accelerations.T @ _blocks(scales) @ accelerations
    )


def _blocks(matrices: Float[np.ndarray, "n 3 3"]) -> Any:
    """The matrices along the diagonal of a sparse one."""
    n = len(matrices)
    return sparse.bsr_array((matrices, np.arange(n), np.arange(n + 1)), shape=(3 * n, 3 * n)).tocsc()


def floor_and_contacts(
    pose: Float[np.ndarray, "t 17 3"], sight: Sight, trajectory: Trajectory, camera: Camera
) -> tuple[Floor, Bool[np.ndarray, "t 2"]]:
    """The floor by the feet that rest, and the feet that rest by the floor, twice in turn.

    At first a foot may rest where it is slow and not clearly above the other one: that takes hardly any floor.
    """
    turned, turned_rad = expected_turn(pose, sight.fps, camera)
    posed = pose[:, ANKLES] + trajectory.root_cam[:, None]
    seen = _on_plane(sight.rays[:, FEET], posed[..., 2])
    feet = posed + (seen - posed) * trajectory.weight[:, FEET, None]  # as the image has them, where it is sure
    speed = ankle_speed(feet, sight.fps)
    higher = (feet[:, ::-1] - feet) @ _down(turned)  # than the other foot
    contacts = resting(speed, np.maximum(higher, 0), sight.fps)
    for _ in range(2):
        floor = fit_floor(turned, turned_rad, sight, trajectory, feet, Rests.of(contacts))
        contacts = resting(speed, np.abs(floor.above(feet)), sight.fps)
    return floor, contacts


def expected_turn(
    pose: Float[np.ndarray, "t 17 3"], fps: float, camera: Camera
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Pitch and roll of the camera in radians, and their standard deviations, before feet have a say.

    Those of a camera whose rotation is known; else the weighted mean of what bodies say and what is usual.
    """
    if not np.allclose(camera.R_cam_world, np.eye(3)):
        return _pitch_and_roll(-camera.R_cam_world[:, 2]), np.full(2, 1e-6)
    down, body_rad = body_down(pose, fps)
    usual, usual_rad = np.deg2rad([TILT_DEG[0], 0.0]), np.deg2rad([TILT_DEG[1], ROLL_DEG])
    precision = 1 / body_rad**2 + 1 / usual_rad**2
    mean = (_pitch_and_roll(down) / body_rad**2 + usual / usual_rad**2) / precision
    return mean, 1 / np.sqrt(precision)


def body_down(pose: Float[np.ndarray, "t 17 3"], fps: float) -> tuple[Float[np.ndarray, "3"], float]:
    """The direction of gravity by bodies that stand, and its standard deviation in radians.

    It is the mean direction from the spine to the ankles' midpoint, corrected by the lean of standing people, over
    straight bodies. Directions that disagree with the others count less and less, from how cameras are held onwards:
    so a person who lies for part of the time is left out.
    """
    hips, thorax, ankles = pose[:, HIPS].mean(axis=1), pose[:, THORAX], pose[:, ANKLES].mean(axis=1)
    legs = _length(pose[:, ANKLES] - pose[:, KNEES]) + _length(pose[:, KNEES] - pose[:, HIPS])
    bent_knee = 1 - (_length(pose[:, ANKLES] - pose[:, HIPS]) / np.maximum(legs, 1e-6)).min(axis=1)
    bend = _angle(ankles - hips, hips - thorax)
    weight = np.exp(-((bend / BEND_RAD) ** 2) / 2 - (bent_knee / BENT_KNEE) ** 2 / 2)
    down = _unit(ankles - pose[:, SPINE])
    left = pose[:, HIPS[0]] - pose[:, HIPS[1]]
    down = _unit(down + LEAN * _unit(np.cross(down, left)))
    usual = _down(np.deg2rad([TILT_DEG[0], 0.0]))
    mean = usual
    for odd_deg in np.geomspace(*ODD_DEG, 6):
        agreed = weight / (1 + (_angle(down, mean) / np.deg2rad(odd_deg)) ** 4)
        mean = _unit(usual + (agreed[:, None] * down).sum(axis=0))
    looks = agreed.sum() / (fps * LOOK_S)
    return mean, float(np.deg2rad(np.hypot(BODY_DEG[0], BODY_DEG[1] / np.sqrt(looks + 1e-2))))


def fit_floor(
    turned: Float[np.ndarray, "2"],
    turned_rad: Float[np.ndarray, "2"],
    sight: Sight,
    trajectory: Trajectory,
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
        return Floor(down, float(np.percentile(feet @ down, 98)), float(np.rad2deg(_length(turned_rad))))
    frame, rest = rests.frames
    lasts = np.bincount(rest, minlength=k)
    depth = np.exp(np.bincount(rest, np.log(feet[frame, rests.foot[rest], 2])) / lasts)
    rays = _on_plane(_mean_rays(sight, trajectory.weight, rests)[0], np.ones(k))
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
    along = (moved * _unit(smooth)).sum(axis=-1)
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


def planted(
    joints: Float[np.ndarray, "t 17 3"], rests: Rests, places: Float[np.ndarray, "k 3"], fps: float
) -> Float[np.ndarray, "t 17 3"]:
    """The joints with ankles in the places where they rest; before and after, the correction fades.

    Knees follow half as far. Bending the leg with its bones kept as long as they are would be no better: lifted bones
    are not of one length, and knees came out further from where they were (by 1 mm of MPJPE in motion capture).
    """
    t = len(joints)
    moves = np.zeros((t, 2, 3))
    blend = max(1, round(BLEND_S * fps))
    for foot in range(2):
        own = np.flatnonzero(rests.foot == foot)
        firsts, stops = rests.first[own], rests.stop[own]
        earlier = np.minimum(blend, firsts - np.append(0, stops)[: len(own)])
        later = np.minimum(blend, np.append(firsts, t)[1:][: len(own)] - stops)
        for rest, first, stop, rise, fall in np.stack([own, firsts, stops, earlier, later], axis=1).tolist():
            moves[first:stop, foot] = places[rest] - joints[first:stop, ANKLES[foot]]
            moves[first - rise : first, foot] += _fade(rise)[::-1] * moves[first, foot]
            moves[stop : stop + fall, foot] += _fade(fall) * moves[stop - 1, foot]
    moves *= np.minimum(1, FARTHEST_M / np.maximum(_length(moves), FARTHEST_M))[..., None]
    planted = joints.copy()
    planted[:, ANKLES] += moves
    planted[:, KNEES] += moves / 2
    return planted


def _fade(frames: int) -> Float[np.ndarray, "n 1"]:
    """From almost 1 to almost 0; two that run against each other over the same frames add up to 1."""
    return np.asarray(np.cos(np.pi / 2 * np.arange(1, frames + 1) / (frames + 1))[:, None] ** 2)


def _in_world(camera: Camera, floor: Floor, pelvis_cam: Float[np.ndarray, "3"]) -> Camera:
    """The camera in a world with its origin on the floor below the pelvis, y where the camera looks."""
    up = -floor.down_cam
    ahead = np.array([0.0, -1e-6, 1.0])  # of a camera that looks straight down, away is up in the image
    ahead = _unit(ahead - (ahead @ up) * up)
    R_cam_world = np.stack([np.cross(ahead, up), ahead, up], axis=1)
    return replace(camera, R_cam_world=R_cam_world, t_cam_world=pelvis_cam - (floor.above(pelvis_cam) + ANKLE_M) * up)


def _shared(pose: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, "t 13 3"]:
    ears = pose[:, [NECK, HEAD]].mean(axis=1, keepdims=True)
    return np.concatenate([pose[:, [H36M_17.index(joint) for joint in LIMBS]], ears], axis=1)


def _on_plane(rays: Float[np.ndarray, "*lead 2"], depth: Float[np.ndarray, "*lead"]) -> Float[np.ndarray, "*lead 3"]:
    """The points of the rays at these depths."""
    return np.concatenate([rays * depth[..., None], depth[..., None]], axis=-1)


def _down(turned: Float[np.ndarray, "2"]) -> Float[np.ndarray, "3"]:
    """Gravity in the axes of a camera that looks down by a pitch and is turned about its axis by a roll."""
    pitch, roll = turned
    return np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])


def _pitch_and_roll(down: Float[np.ndarray, "3"]) -> Float[np.ndarray, "2"]:
    return np.array([np.arcsin(np.clip(down[2], -1, 1)), np.arctan2(down[0], down[1])])


def _length(vectors: Float[np.ndarray, "*lead c"]) -> Float[np.ndarray, "*lead"]:
    return np.asarray(np.sqrt(np.einsum("...c,...c->...", vectors, vectors)))


def _unit(vectors: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead 3"]:
    return np.asarray(vectors / np.maximum(_length(vectors), 1e-12)[..., None])


def _angle(a: Float[np.ndarray, "*lead 3"], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "*lead"]:
    return np.asarray(np.arccos(np.clip((_unit(a) * _unit(b)).sum(axis=-1), -1, 1)))


def _check_in_front(joints_cam: Float[np.ndarray, "t 17 3"]) -> None:
    if joints_cam[..., 2].min() <= 0:
        raise InputError(
            "no place in front of the camera brings the poses onto the keypoints; are the poses in meters and in the "
            "axes of the camera (x right, y down, z forward), and are the keypoints of the same frames?"
        )


def _check(
    pose3d_cam: np.ndarray, pose2d_px: np.ndarray, confidence: np.ndarray, fps: float, height_m: float | None
) -> None:
    """Raise unless these can be the arguments of `global_trajectory`."""
    t = len(pose3d_cam)
    wanted = {"pose3d_cam": (t, 17, 3), "pose2d_px": (t, 17, 2), "confidence": (t, 17)}
    given = {"pose3d_cam": pose3d_cam, "pose2d_px": pose2d_px, "confidence": confidence}
    for name, shape in wanted.items():
        if given[name].shape != shape or t == 0:
            raise InputError(f"{name} has shape {given[name].shape}; wanted {shape}, of one frame or more")
    if not np.isfinite(pose3d_cam).all():
        frame, joint = np.argwhere(~np.isfinite(pose3d_cam))[0][:2]
        raise InputError(f"pose3d_cam is not finite in frame {frame}, {H36M_17.joints[joint]}; lift all frames")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise InputError("confidence must lie in [0, 1]; 0 where a keypoint is missing")
    lost = (confidence > 0) & ~np.isfinite(pose2d_px).all(axis=-1)
    if lost.any():
        frame, joint = np.argwhere(lost)[0]
        raise InputError(
            f"pose2d_px is not finite in frame {frame}, {COCO_17.joints[joint]}, with a confidence of "
            f"{confidence[frame, joint]:g}; give missing keypoints a confidence of 0"
        )
    if not 0 < fps < np.inf:
        raise InputError(f"{fps} frames per second: wanted a positive number")
    if height_m is not None and not STATURES_M[0] <= height_m <= STATURES_M[1]:
        raise InputError(f"a height of {height_m:g}: wanted meters, {STATURES_M[0]} to {STATURES_M[1]}")
