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
from jaxtyping import Bool, Float
from scipy import sparse
from scipy.sparse.linalg import splu

from actlift.errors import InputError, UnusableKeypointsError
from actlift.geometry.camera import Camera
from actlift.geometry.floor import ANKLE_M, Floor, Rests, floor_and_contacts, mean_rays
from actlift.geometry.sight import (
    ANKLES,
    FEET,
    HEAD,
    HIPS,
    KNEES,
    PELVIS,
    THORAX,
    Sight,
    length,
    on_plane,
    shared_joints,
    sighted,
    unit,
)
from actlift.geometry.skeleton import COCO_17, H36M_17

# Stature over the length of ankle-knee-hip and hips-thorax-head. Winter, "Biomechanics and motor control of human
# movement" (2009), Fig. 4.1, after Drillis and Contini (1966), puts the ankle at 0.039 and the hip at 0.530 of it: the
# leg is 0.491. Of the stature that this factor gives 24 people of motion capture it is 0.485, give or take 0.008.
STATURE = 1.09
STATURES_M = (0.4, 2.6)

ROUNDS = 3  # of robust re-weighting
OUTLIER_M = 0.1  # a keypoint that far from its posed joint has half its weight
STEADY_S = 0.04  # smoothing time of the trajectory across the view
STEADY_DEPTH_S = 0.1  # and along it, for a body that looks as long as its distance; more for smaller ones
CALM_S = 0.002  # keeps long gaps from being filled with high speeds

UNSURE_DEG = 6.0  # an estimated error from which on a note is made
BLEND_S = 0.2  # how long a leg's correction takes to fade before and after a contact
FARTHEST_M = 0.2  # largest correction of an ankle
SHORTEST_M = 1e-3  # of a leg
STRAIGHT_M = 1e-9  # by which a straight knee is off the line from hip to ankle


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


def global_trajectory(
    pose3d_cam: Float[np.ndarray, "t 17 3"],
    pose2d_px: Float[np.ndarray, "t 17 2"],
    confidence: Float[np.ndarray, "t 17"],
    fps: float,
    camera: Camera,
    *,
    height_m: float | None = None,
    down_cam: Float[np.ndarray, "3"] | None = None,
) -> GlobalTrajectory:
    """Place poses in a world with a floor, by what a camera that stands still saw.

    Args:
        pose3d_cam: meters from the pelvis in the axes of the camera, joints in the order of `H36M_17`.
        pose2d_px: pixels, joints in the order of `COCO_17`; where the confidence is 0 they may be anything.
        confidence: 0 to 1.
        fps: frames per second.
        camera: its intrinsics count. So does its rotation, unless that is the identity: then the way up is known.
        height_m: the person's stature; without it the size of the poses is kept.
        down_cam: about where gravity points in the axes of the camera, if it is not held level: its roll counts.

    Raises:
        UnusableKeypointsError: no keypoint has confidence, or no place in front of the camera brings the poses onto the
            keypoints.
        InputError: shapes do not fit or numbers are not finite, the rate or height is not possible, or the poses have
            no extent.
    """
    check_lifted(pose3d_cam, pose2d_px, confidence, fps)
    if height_m is not None and not STATURES_M[0] <= height_m <= STATURES_M[1]:
        raise InputError(f"a height of {height_m:g}: wanted meters, {STATURES_M[0]} to {STATURES_M[1]}")
    pose = pose3d_cam.astype(np.float64)
    looks_m = stature(pose)
    if looks_m == 0:
        raise InputError("the poses have no extent: all joints lie in the pelvis")
    if height_m is not None:
        pose = pose * (height_m / looks_m)
    sight = sighted(pose, pose2d_px, confidence, fps, camera)
    free = root_trajectory(sight)
    _check_in_front(pose + free.root_cam[:, None])
    floor, contacts = floor_and_contacts(pose, sight, free.root_cam, free.weight, camera, down_cam)
    rests = Rests.of(contacts)
    held = root_trajectory(sight, rests, floor)
    placed_cam = planted(pose + held.root_cam[:, None], rests, held.places_cam, fps)
    _check_in_front(placed_cam)
    placed = _in_world(camera, floor, placed_cam[0, PELVIS])
    seen = sight.confidence > 0
    shared_cam = shared_joints(placed_cam)
    off_px = length(camera.cam_to_px(shared_cam) - camera.cam_to_px(on_plane(sight.rays, np.ones(seen.shape))))
    off_m = length(shared_cam[..., :2] - sight.rays * shared_cam[..., 2:])
    return GlobalTrajectory(
        joints_world=placed.cam_to_world(placed_cam).astype(np.float32),
        contacts=contacts,
        camera=placed,
        height_m=looks_m if height_m is None else height_m,
        up_error_deg=floor.error_deg,
        reprojection_px=float(np.median(off_px[seen])),
        notes=tuple(_notes(looks_m, height_m, floor, contacts, seen, float(np.median(off_m[seen])))),
    )


def misfit_m(
    pose3d_cam: Float[np.ndarray, "t 17 3"],
    pose2d_px: Float[np.ndarray, "t 17 2"],
    confidence: Float[np.ndarray, "t 17"],
    fps: float,
    camera: Camera,
) -> float:
    """How far posed joints lie from the rays of their keypoints, where they fit best: meters, mean by confidence.

    It is infinite where they fit best behind the camera. Arguments and errors are those of `global_trajectory`.
    """
    sight = sighted(pose3d_cam.astype(np.float64), pose2d_px, confidence, fps, camera)
    root_cam = root_trajectory(sight).root_cam
    if np.median(root_cam[:, 2]) <= 0:
        return np.inf
    placed = sight.joints + root_cam[:, None]
    off_m = length(sight.rays * placed[..., 2:] - placed[..., :2])
    return float((sight.confidence * off_m).sum() / sight.confidence.sum())


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
    legs = length(pose[:, ANKLES] - pose[:, KNEES]) + length(pose[:, KNEES] - pose[:, HIPS])  # (t, 2)
    trunk = length(pose[:, THORAX] - hips) + length(pose[:, HEAD] - pose[:, THORAX])
    return float(STATURE * np.median(legs.mean(axis=1) + trunk))


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
        off_m = length(sight.rays * placed[..., 2:] - placed[..., :2])
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
    rays, total = mean_rays(sight, weight, rests)
    places = _information(rays[:, None], total[:, None])
    places += lengths[:, None, None] * np.outer(floor.down_cam, floor.down_cam)
    level = floor.below_m * lengths[:, None] * floor.down_cam
    picks = sparse.coo_array((np.ones(n), (np.arange(n), frame)), shape=(n, len(right) // 3))
    owns = sparse.coo_array((-np.ones(n), (np.arange(n), rest)), shape=(n, k))
    gap: Any = sparse.kron(sparse.hstack([picks, owns]), np.eye(3)).tocsc()  # root - place, should be - ankle
    left = sparse.block_diag([left, _blocks(places)]) + gap.T @ gap
    right = np.concatenate([right, level.ravel()]) - gap.T @ sight.joints[frame, ankle].ravel()
    return left, right


def _information(rays: Float[np.ndarray, "n j 2"], weight: Float[np.ndarray, "n j"]) -> Float[np.ndarray, "n 3 3"]:
    """The quadratic form of `sum_j weight |rays Z - (X, Y)|²` in (X, Y, Z)."""
    form = np.zeros((len(rays), 3, 3))
    weighted = weight[..., None] * rays
    form[:, 0, 0] = form[:, 1, 1] = weight.sum(axis=1)
    form[:, :2, 2] = form[:, 2, :2] = -weighted.sum(axis=1)
    form[:, 2, 2] = (weighted * rays).sum(axis=(1, 2))
    return form


def _steadiness(sight: Sight) -> Any:
    """The quadratic form, sparse (3t, 3t), that penalizes accelerations: little across the view, more along it."""
    t, joints = sight.confidence.shape
    first: Any = sparse.eye_array(t, format="csr")
    first = first[1:] - first[:-1]
    second = first[1:] - first[:-1]
    middle = sight.rays[1:-1].mean(axis=1)
    along = unit(on_plane(middle, np.ones(len(middle))))
    scales = STEADY_S**4 * np.eye(3) + (STEADY_DEPTH_S**4 - STEADY_S**4) * along[:, :, None] * along[:, None]
    speeds, accelerations = (sparse.kron(differences, np.eye(3)).tocsc() for differences in (first, second))
    return joints * (
        (CALM_S * sight.fps) ** 2 * speeds.T @ speeds + sight.fps**4 * accelerations.T @ _blocks(scales) @ accelerations
    )


def _blocks(matrices: Float[np.ndarray, "n 3 3"]) -> Any:
    """The matrices along the diagonal of a sparse one."""
    n = len(matrices)
    return sparse.bsr_array((matrices, np.arange(n), np.arange(n + 1)), shape=(3 * n, 3 * n)).tocsc()


def planted(
    joints: Float[np.ndarray, "t 17 3"], rests: Rests, places: Float[np.ndarray, "k 3"], fps: float
) -> Float[np.ndarray, "t 17 3"]:
    """The joints with ankles in the places where they rest; before and after, the correction fades.

    Thighs and shins keep their lengths: knees bend as far as it takes, in the plane in which they are bent. A place
    that a leg cannot reach is not reached.
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
    moves *= np.minimum(1, FARTHEST_M / np.maximum(length(moves), FARTHEST_M))[..., None]
    planted = joints.copy()
    planted[:, KNEES], planted[:, ANKLES] = _bent(joints[:, HIPS], joints[:, KNEES], joints[:, ANKLES], moves)
    return planted


def _bent(
    hips: Float[np.ndarray, "t 2 3"],
    knees: Float[np.ndarray, "t 2 3"],
    ankles: Float[np.ndarray, "t 2 3"],
    moves: Float[np.ndarray, "t 2 3"],
) -> tuple[Float[np.ndarray, "t 2 3"], Float[np.ndarray, "t 2 3"]]:
    """Knees and ankles of legs whose ankles are moved, with bones as long as before.

    The leg is turned by the smallest angle that points it to where its ankle goes, and then bent in its plane.
    """
    thigh, shin = length(knees - hips), length(ankles - knees)
    old, new = ankles - hips, ankles + moves - hips
    reach = length(new).clip(np.abs(thigh - shin) + SHORTEST_M, np.maximum(thigh + shin, SHORTEST_M))
    before, towards = unit(old), unit(new)
    half = unit(before + towards)  # a reflection in `before`, then in `half`, turns one into the other
    out = knees - hips - STRAIGHT_M * np.eye(3)[2]  # a straight leg bends towards the camera
    bend = out - _dot(out, before) * before
    bend = bend - 2 * _dot(bend, half) * half
    along = (reach**2 + thigh**2 - shin**2) / (2 * reach)
    across = np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
    return hips + along[..., None] * towards + across[..., None] * unit(bend), hips + reach[..., None] * towards


def _dot(first: Float[np.ndarray, "*lead 3"], second: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead 1"]:
    return np.asarray((first * second).sum(axis=-1, keepdims=True))


def _fade(frames: int) -> Float[np.ndarray, "n 1"]:
    """From almost 1 to almost 0; two that run against each other over the same frames add up to 1."""
    return np.asarray(np.cos(np.pi / 2 * np.arange(1, frames + 1) / (frames + 1))[:, None] ** 2)


def _in_world(camera: Camera, floor: Floor, pelvis_cam: Float[np.ndarray, "3"]) -> Camera:
    """The camera in a world with its origin on the floor below the pelvis, y where the camera looks."""
    up = -floor.down_cam
    ahead = np.array([0.0, -1e-6, 1.0])  # of a camera that looks straight down, away is up in the image
    ahead = unit(ahead - (ahead @ up) * up)
    R_cam_world = np.stack([np.cross(ahead, up), ahead, up], axis=1)
    return replace(camera, R_cam_world=R_cam_world, t_cam_world=pelvis_cam - (floor.above(pelvis_cam) + ANKLE_M) * up)


def _check_in_front(joints_cam: Float[np.ndarray, "t 17 3"]) -> None:
    if joints_cam[..., 2].min() <= 0:
        raise UnusableKeypointsError(
            "no place in front of the camera brings the poses onto the keypoints; are the poses in meters and in the "
            "axes of the camera (x right, y down, z forward), and are the keypoints of the same frames?"
        )


def check_lifted(pose3d_cam: np.ndarray, pose2d_px: np.ndarray, confidence: np.ndarray, fps: float) -> None:
    """Raise unless these can be lifted poses and their keypoints, as `global_trajectory` takes them.

    Raises:
        InputError: shapes do not fit, numbers are not finite, or the rate is not positive.
    """
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
