"""Refinement: a lifted motion that lies on its own keypoints, with bones of constant length.

A lifter's joints miss the keypoints that they were lifted from, and its bones change their lengths from frame to frame.
Here the likeliest motion is found of a body whose bones have one length each, left as right, given

- the keypoints: a joint lies on the ray of its own, as far as the detector is sure of it;
- the lifter: a bone points about where the lifter has it pointing. How far off that is changes slowly, which keeps the
  jitter of keypoints out of the depth of joints;
- the bones of the lifter: their median over the clip is about as long as they are.

So places in the image come from keypoints, depth from the lifter and from how long bones look there, and what is not
seen from the lifter alone. With unit directions `u` of the bones, logarithms `s` of their lengths, the pelvis at `T`
and the joints `J` that these make, it minimizes the sum over frames of

    w |ray J_z - J_xy|² / J_z²                       over the seen joints; w falls off for those that stay far away
    |e|² + (DRIFT_S de/dt)²                          over the bones; e = (u - u lifted) / AIM
    |T - T lifted|² / ROOT_M²

and of `|s - s lifted|² / LENGTHS²` once, beside which what the keypoints say of lengths counts as much as one frame
does: errors of a detector last, and a thousand frames are no better. It takes some steps of Gauss and Newton with
the directions on their spheres (Absil, Mahony, Sepulchre, "Optimization Algorithms on Matrix Manifolds", 2008, 8.4.1),
whose normal equations are banded, with a border for the lengths. What it was chosen among and what it gives stands in
docs/decisions/refinement.md.

Poses and keypoints are smooth already when they come (`actlift.lifting.smoothing`, `actlift.video.clean`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d

from actlift.data.noise import DetectorNoise
from actlift.errors import InputError, UnusableKeypointsError
from actlift.geometry.camera import Camera
from actlift.geometry.sight import HEAD, LIMBS, NECK, length, sighted, unit
from actlift.geometry.skeleton import H36M_17, root_relative
from actlift.geometry.trajectory import check_lifted, root_trajectory
from actlift.lifting.smoothing import share

STEPS = 4
AIM = 0.2  # standard deviation of a lifted direction, as a share of the bone
DRIFT_S = 0.25  # in which a lifted direction's error changes by as much as it is large
ROOT_M = 0.1  # standard deviation of where the lifted poses have the pelvis
LENGTHS = 0.1  # standard deviation of the logarithm of a lifted bone's length
EXACT = 0.003  # standard deviation of a keypoint of confidence 1, in units of the person's size
OUTLIER = 3.0  # a keypoint that many standard deviations from its joint has half its weight
STEADY_S = 0.1  # over which the trust in a keypoint is averaged
SHORTEST_M = 1e-3  # of a bone
NEAREST_M = 0.3  # of a joint from the camera, where distances are divided by depth

ENDS = tuple(child for child, _ in H36M_17.bones)  # the joint at the end of each bone
STARTS = tuple(parent for _, parent in H36M_17.bones)
_NAMES = [H36M_17.joints[min(child, H36M_17.mirror[child])] for child in ENDS]  # the same for left and right
KINDS = np.array([sorted(set(_NAMES)).index(name) for name in _NAMES])  # bones that have one length
_BONES, _LENGTHS = len(ENDS), len(set(_NAMES))
_POSE = 3 + 2 * _BONES  # unknowns of a frame: the pelvis, and two turns of each bone
_TURNS = np.arange(3, _POSE).reshape(_BONES, 2)


def _chains() -> Float[np.ndarray, "17 16"]:
    """Which bones lead from the pelvis to each joint."""
    chains = np.zeros((len(H36M_17), _BONES))
    for bone, (child, parent) in enumerate(H36M_17.bones):  # parents come before their children
        chains[child] = chains[parent]
        chains[child, bone] = 1
    return chains


_CHAINS = _chains()
_SEEN = np.concatenate(  # of the joints of `Sight`: the last is the middle of Neck and Head
    [_CHAINS[[H36M_17.index(joint) for joint in LIMBS]], _CHAINS[[NECK, HEAD]].mean(axis=0, keepdims=True)]
)


@dataclass(frozen=True, eq=False)
class RefinedPoses:
    """A body of constant bones, in motion.

    Attributes:
        pose3d_cam: (t, 17, 3) meters from the pelvis in the axes of the camera, `H36M_17`.
        root_cam: (t, 3) meters, the pelvis in the frame of the camera.
        lengths_m: (16,) of the bones of `H36M_17`, in their order; those of left and right are the same.
    """

    pose3d_cam: Float[np.ndarray, "t 17 3"]
    root_cam: Float[np.ndarray, "t 3"]
    lengths_m: Float[np.ndarray, " 16"]


def refine(
    pose3d_cam: Float[np.ndarray, "t 17 3"],
    pose2d_px: Float[np.ndarray, "t 17 2"],
    confidence: Float[np.ndarray, "t 17"],
    fps: float,
    camera: Camera,
) -> RefinedPoses:
    """Bring lifted poses onto their keypoints, with bones of constant length.

    Args:
        pose3d_cam: meters from the pelvis in the axes of the camera, joints in the order of `H36M_17`.
        pose2d_px: pixels, joints in the order of `COCO_17`; where the confidence is 0 they may be anything.
        confidence: 0 to 1.
        fps: frames per second.
        camera: its intrinsics count.

    Raises:
        UnusableKeypointsError: no frame has keypoints that tell how far away the person is.
        InputError: shapes do not fit, numbers are not finite, or the rate is not positive.
    """
    check_lifted(pose3d_cam, pose2d_px, confidence, fps)
    pose = root_relative(pose3d_cam)
    sight = sighted(pose, pose2d_px, confidence, fps, camera)
    weight = gaussian_filter1d(trust(sight.rays, sight.confidence), STEADY_S * fps, axis=0, mode="nearest")
    weight = np.where(sight.confidence > 0, weight, 0.0)
    body = lifted = _Body(root_trajectory(sight).root_cam, _aims(pose), _sizes(pose))
    for _ in range(STEPS):
        body = body.moved(*_step(body, lifted, sight.rays, weight, fps))
    return RefinedPoses(body.pose().astype(pose3d_cam.dtype), body.root, np.exp(body.sizes)[KINDS])


class CausalRefiner:
    """Refines one person's poses as they come: :func:`refine`, of which the past is known and nothing of what comes.

    It is a Kalman filter of the errors of the lifted directions (iterated, in the form of information). Lengths are the
    likeliest after what was seen so far. Frame by frame or in pieces, the numbers are the same.

    Args:
        fps: frames per second.
        camera: its intrinsics count.

    Raises:
        InputError: for a frame rate that is not positive.
    """

    def __init__(self, fps: float, camera: Camera) -> None:
        if not 0 < fps < np.inf:
            raise InputError(f"{fps} frames per second: wanted a positive number")
        self._fps, self._camera = fps, camera
        self.reset()

    def reset(self) -> None:
        """Begin anew: the next pose is the first."""
        self._frames = 0
        self._lifted_sizes = np.zeros(_LENGTHS)  # mean over the frames so far
        self._left, self._right = np.zeros((_LENGTHS, _LENGTHS)), np.zeros(_LENGTHS)  # of the lengths, likewise
        self._weight: Float[np.ndarray, "1 13"] | float = 0.0
        self._last: tuple[Float[np.ndarray, "1 3"], Float[np.ndarray, " 48"], Float[np.ndarray, "48 48"]] | None = None

    def __call__(
        self,
        pose3d_cam: Float[np.ndarray, "t 17 3"],
        pose2d_px: Float[np.ndarray, "t 17 2"],
        confidence: Float[np.ndarray, "t 17"],
    ) -> Float[np.ndarray, "t 17 3"]:
        """Take the next frames, one or many, as for :func:`refine`; give the poses refined, of the same dtype.

        Before anything is seen that tells how far away the person is, poses stay as they are.

        Raises:
            InputError: shapes do not fit, or numbers are not finite.
        """
        check_lifted(pose3d_cam, pose2d_px, confidence, self._fps)
        frames = zip(pose3d_cam, pose2d_px, confidence, strict=True)
        return np.concatenate([self._next(*(part[None] for part in frame)) for frame in frames])

    def _next(
        self,
        pose3d_cam: Float[np.ndarray, "1 17 3"],
        pose2d_px: Float[np.ndarray, "1 17 2"],
        confidence: Float[np.ndarray, "1 17"],
    ) -> Float[np.ndarray, "1 17 3"]:
        pose = root_relative(pose3d_cam)
        rays, weight = np.zeros((1, len(_SEEN), 2)), np.zeros((1, len(_SEEN)))
        try:
            sight = sighted(pose, pose2d_px, confidence, self._fps, self._camera)
        except UnusableKeypointsError:
            if self._last is None:
                return pose3d_cam
            root = self._last[0]
        else:
            rays, root = sight.rays, root_trajectory(sight).root_cam
            fresh = trust(rays, sight.confidence)
            part = 1.0 if self._last is None else share(1 / (2 * np.pi * STEADY_S), 1 / self._fps)
            self._weight += part * (fresh - self._weight)
            weight = np.where(sight.confidence > 0, self._weight, 0.0)
        self._frames += 1
        self._lifted_sizes += (_sizes(pose) - self._lifted_sizes) / self._frames
        lifted = _Body(root, _aims(pose), self._lifted_sizes)
        counts = min(1.0, self._frames / self._fps)
        prior = LENGTHS**-2 * np.eye(_LENGTHS)
        sizes = np.linalg.solve(counts * self._left + prior, counts * self._right + prior @ self._lifted_sizes)

        before, sureness = (np.zeros(3 * _BONES), np.zeros(2 * (3 * _BONES,))) if self._last is None else self._last[1:]
        body = _Body(root, lifted.aims, sizes)
        for _ in range(STEPS):
            left, right, slopes, error = _equations(body, lifted, rays, weight)
            flat = _block_diagonal(slopes[0])
            left[0, 3:_POSE, 3:_POSE] += flat.T @ sureness @ flat
            right[0, 3:_POSE] += flat.T @ (sureness @ (error.ravel() - before))
            found = np.linalg.solve(left[0, :_POSE, :_POSE], np.c_[right[0, :_POSE], left[0, :_POSE, _POSE:]])
            body = body.moved(-found[None, :, 0], np.zeros(_LENGTHS))
        told = left[0, _POSE:, _POSE:] - left[0, _POSE:, :_POSE] @ found[:, 1:]
        self._left += (told - self._left) / self._frames
        pulled = told @ sizes - right[0, _POSE:] + left[0, _POSE:, :_POSE] @ found[:, 0]
        self._right += (pulled - self._right) / self._frames

        drift = (DRIFT_S * self._fps) ** 2
        known = np.linalg.inv(left[0, :_POSE, :_POSE])[3:, 3:]
        known = flat @ known @ flat.T + np.eye(3 * _BONES) / drift
        error = _errors(body, lifted)
        self._last = body.root, error.ravel(), np.linalg.inv(known)
        return body.pose().astype(pose3d_cam.dtype)


def trust(rays: Float[np.ndarray, "t 13 2"], confidence: Float[np.ndarray, "t 13"]) -> Float[np.ndarray, "t 13"]:
    """Read from confidences how far off keypoints may be: one over the squared standard deviation, in units of rays.

    Undoes what `actlift.data.noise.DetectorNoise` makes of errors: `exp(-(error / confidence_size)² / 2)`.
    """
    size = np.maximum(length(np.ptp(rays, axis=1)), 1e-3)[:, None]
    error2 = -2 * DetectorNoise.confidence_size**2 * np.log(np.maximum(confidence, 1e-300))
    return np.asarray(np.where(confidence > 0, 1 / (EXACT**2 + error2) / size**2, 0.0))


@dataclass(frozen=True, eq=False)
class _Body:
    """What is looked for: where the pelvis is, where bones point, and the logarithms of their lengths."""

    root: Float[np.ndarray, "t 3"]
    aims: Float[np.ndarray, "t 16 3"]
    sizes: Float[np.ndarray, " 10"]

    def pose(self) -> Float[np.ndarray, "t 17 3"]:
        return np.asarray(_CHAINS @ (np.exp(self.sizes)[KINDS, None] * self.aims))

    def moved(self, step: Float[np.ndarray, "t 35"], grown: Float[np.ndarray, " 10"]) -> "_Body":
        """Take a step; directions stay on their spheres, and turn by an eighth of a full turn at most."""
        turns = (_across(self.aims) @ step[:, _TURNS][..., None])[..., 0]
        turns /= np.maximum(1.0, length(turns))[..., None]
        return _Body(self.root + step[:, :3], unit(self.aims + turns), self.sizes + grown)


def _aims(pose: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, "t 16 3"]:
    """The directions of the bones."""
    return unit(pose[:, ENDS] - pose[:, STARTS])


def _sizes(pose: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, " 10"]:
    """The logarithms of the bones' median lengths, left and right together."""
    lengths = length(pose[:, ENDS] - pose[:, STARTS])
    return np.log([max(float(np.median(lengths[:, kind == KINDS])), SHORTEST_M) for kind in range(_LENGTHS)])


def _across(aims: Float[np.ndarray, "t b 3"]) -> Float[np.ndarray, "t b 3 2"]:
    """Two directions across each.

    After Duff et al., "Building an orthonormal basis, revisited" (JCGT 2017).
    """
    x, y, z = np.moveaxis(aims, -1, 0)
    sign = np.where(z < 0, -1.0, 1.0)
    a = -1 / (sign + z)
    first = [1 + sign * x * x * a, sign * x * y * a, -sign * x]
    second = [x * y * a, sign + y * y * a, -y]
    return np.stack([np.stack(first, axis=-1), np.stack(second, axis=-1)], axis=-1)


def _seen(
    body: _Body, rays: Float[np.ndarray, "t 13 2"], weight: Float[np.ndarray, "t 13"]
) -> tuple[Float[np.ndarray, "t 45 45"], Float[np.ndarray, "t 45"]]:
    """The normal equations of joints on their rays, in the unknowns of each frame and the lengths."""
    t = len(rays)
    lengths = np.exp(body.sizes)[KINDS, None]
    bones = lengths * body.aims
    joints = body.root[:, None] + _SEEN @ bones
    depth = np.maximum(joints[..., 2:], NEAREST_M)
    off = (joints[..., :2] - rays * joints[..., 2:]) / depth
    scale = np.sqrt(weight / (1 + weight * (off**2).sum(axis=-1) / OUTLIER**2))[..., None]

    def shown(vectors: Float[np.ndarray, "t b 3 d"]) -> Float[np.ndarray, "t 13 2 b d"]:
        """How much of what moves a bone's end moves the joints across their rays."""
        beside = vectors[:, None, :, :2] - rays[:, :, None, :, None] * vectors[:, None, :, 2:]
        return np.asarray(np.swapaxes(beside * _SEEN[:, :, None, None], 2, 3))

    root = np.broadcast_to(np.eye(2, 3), (t, len(_SEEN), 2, 3)) - rays[..., None] * np.eye(3)[2]
    turns = shown(lengths[..., None] * _across(body.aims)).reshape(t, len(_SEEN), 2, 2 * _BONES)
    grown = shown(bones[..., None])[..., 0] @ np.eye(_LENGTHS)[KINDS]
    slopes = np.concatenate([root, turns, grown], axis=-1) * (scale / depth)[..., None]
    rows = slopes.reshape(t, -1, _POSE + _LENGTHS)
    columns = np.swapaxes(rows, 1, 2)
    return columns @ rows, (columns @ (scale * off).reshape(t, -1, 1))[..., 0]


def _errors(body: _Body, lifted: _Body) -> Float[np.ndarray, "t 16 3"]:
    """How far directions are from the lifter's, in standard deviations."""
    return np.asarray((body.aims - lifted.aims) / AIM)


def _equations(
    body: _Body, lifted: _Body, rays: Float[np.ndarray, "t 13 2"], weight: Float[np.ndarray, "t 13"]
) -> tuple[
    Float[np.ndarray, "t 45 45"], Float[np.ndarray, "t 45"], Float[np.ndarray, "t 16 3 2"], Float[np.ndarray, "t 16 3"]
]:
    """The normal equations of every frame by itself, and the errors of directions with their slopes by the turns."""
    left, right = _seen(body, rays, weight)
    left[:, :3, :3] += ROOT_M**-2 * np.eye(3)
    right[:, :3] += ROOT_M**-2 * (body.root - lifted.root)
    slopes, error = _across(body.aims) / AIM, _errors(body, lifted)
    _add_turns(left, right, slopes, error, np.ones(len(rays)))
    return left, right, slopes, error


def _add_turns(
    left: Float[np.ndarray, "t 45 45"],
    right: Float[np.ndarray, "t 45"],
    slopes: Float[np.ndarray, "t 16 3 2"],
    pull: Float[np.ndarray, "t 16 3"],
    weight: Float[np.ndarray, " t"],
) -> None:
    """Add what pulls at directions to the equations, in place: a weight on their errors, and its product with these."""
    across = np.swapaxes(slopes, 2, 3)
    left[:, _TURNS[:, :, None], _TURNS[:, None]] += weight[:, None, None, None] * (across @ slopes)
    right[:, _TURNS] += (across @ pull[..., None])[..., 0]


def _step(
    body: _Body, lifted: _Body, rays: Float[np.ndarray, "t 13 2"], weight: Float[np.ndarray, "t 13"], fps: float
) -> tuple[Float[np.ndarray, "t 35"], Float[np.ndarray, " 10"]]:
    """A step of Gauss and Newton for all frames and the lengths."""
    t = len(rays)
    left, right, slopes, error = _equations(body, lifted, rays, weight)
    stiff = (DRIFT_S * fps) ** 2
    drift = stiff * np.diff(error, axis=0)
    pull, neighbors = np.zeros_like(error), np.zeros(t)
    for part, sign in ((slice(1, None), 1), (slice(None, -1), -1)):
        pull[part] += sign * drift
        neighbors[part] += 1
    _add_turns(left, right, slopes, pull, stiff * neighbors)
    beside = -stiff * np.swapaxes(slopes[1:], 2, 3) @ slopes[:-1]  # of each frame with the one before

    rows, columns = np.tril_indices(_POSE)
    banded = np.zeros((t, _POSE, 2 * _POSE))  # by column of the whole matrix: its diagonal and what stands below
    banded[:, columns, rows - columns] = left[:, rows, columns]
    rows, columns = _TURNS[:, :, None], _TURNS[:, None]
    banded[:-1, columns, _POSE + rows - columns] = beside
    wanted = np.concatenate([right[:, :_POSE, None], left[:, :_POSE, _POSE:]], axis=-1).reshape(t * _POSE, -1)
    solved = solveh_banded(banded.reshape(t * _POSE, -1).T, wanted, lower=True, overwrite_ab=True, check_finite=False)
    solved = solved.reshape(t, _POSE, -1)

    border = left[:, _POSE:, :_POSE] @ solved
    counts = min(1.0, t / fps)
    told = counts * (left[:, _POSE:, _POSE:] - border[..., 1:]).mean(axis=0) + LENGTHS**-2 * np.eye(_LENGTHS)
    pulled = counts * (right[:, _POSE:] - border[..., 0]).mean(axis=0) + LENGTHS**-2 * (body.sizes - lifted.sizes)
    grown = -np.linalg.solve(told, pulled)
    return -solved[..., 0] - solved[..., 1:] @ grown, grown


def _block_diagonal(blocks: Float[np.ndarray, "b 3 2"]) -> Float[np.ndarray, "r c"]:
    """A matrix with these blocks on its diagonal."""
    n = np.arange(len(blocks))
    matrix = np.zeros((len(blocks), 3, len(blocks), 2))
    matrix[n, :, n] = blocks
    return matrix.reshape(3 * len(blocks), 2 * len(blocks))
