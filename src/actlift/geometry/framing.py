"""Virtual camera crops: keypoints as a camera would see them that looks at the person and fills its image with them.

What a lifter sees should not depend on where in the image a person is, nor on how far away. So every frame gets a
virtual camera in the place of the real one: turned so that its axis meets the middle of the person, and zoomed so that
the person has unit extent. Middle and extent are averaged over time, so that the person still moves within the crop.
What is lifted in the crop is turned back by the known rotation. Where a camera is held askew and it is known how, crops
are turned about their axes too, until people stand upright in them.

Turning a camera about its center is exact for known intrinsics; with guessed ones (`guessed_camera`) what is seen
aslant stays a little aslant.

Source: virtual cameras on the crop, and their rotation undone after lifting, as in Yu et al. 2021, "PCLs:
Geometry-aware neural reconstruction of 3D pose with perspective crop layers" (CVPR), here on keypoints over time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from actlift.errors import InputError
from actlift.geometry.camera import Camera
from actlift.geometry.skeleton import H36M_17

STEADY_S = 0.5  # time over which middle and extent are averaged: standard deviation, or time constant where causal
GUESSED_FOCAL = 0.85  # of the longer side of the image, 61 degrees across it: phones film so
SMALLEST = 1e-3  # extent in focal lengths: a person 200 m away
TRUNK = tuple(H36M_17.index(joint) for joint in ("LHip", "RHip", "LShoulder", "RShoulder"))


@dataclass(frozen=True, eq=False)
class CroppedKeypoints:
    """Keypoints in the crops of virtual cameras that follow a person.

    Attributes:
        pose2d: (t, 17, 2) float32, units of the person's extent, x right, y down.
        R_crop_cam: (t, 3, 3) `p_crop = R_crop_cam @ p_cam`.
        extent: (t,) of the person, in focal lengths: meters of body per meter of distance.
    """

    pose2d: Float[np.ndarray, "t 17 2"]
    R_crop_cam: Float[np.ndarray, "t 3 3"]
    extent: Float[np.ndarray, " t"]

    def to_cam(self, points: Float[np.ndarray, "t j 3"]) -> Float[np.ndarray, "t j 3"]:
        """Turn points from the axes of the crops into those of the camera."""
        return np.asarray(np.einsum("tij,tki->tkj", self.R_crop_cam, points).astype(points.dtype))

    def from_cam(self, points_cam: Float[np.ndarray, "t j 3"]) -> Float[np.ndarray, "t j 3"]:
        """Turn points from the axes of the camera into those of the crops."""
        return np.asarray(np.einsum("tij,tkj->tki", self.R_crop_cam, points_cam).astype(points_cam.dtype))


def guessed_camera(width: int, height: int) -> Camera:
    """A camera in the origin with a focal length that suits most phones and video cameras, and no distortion."""
    focal = GUESSED_FOCAL * max(width, height)
    middle = np.array([width / 2, height / 2])
    return Camera(
        "guessed", np.eye(3), np.zeros(3), np.array([focal, focal]), middle, width, height, np.zeros(3), np.zeros(2)
    )


def virtual_camera_crop(
    points_px: Float[np.ndarray, "t 17 2"],
    camera: Camera,
    fps: float,
    down_cam: Float[np.ndarray, "3"] | None = None,
) -> CroppedKeypoints:
    """Crop the keypoints of one person, in the order of `H36M_17`, as virtual cameras see them.

    Args:
        points_px: pixels, without gaps.
        camera: its intrinsics count.
        fps: frames per second.
        down_cam: the direction of gravity in the axes of the camera: crops are turned so that it points down in them.
            Without, they are turned as the camera is.

    Raises:
        InputError: for no frames, points that are not finite, or pixels that the lens cannot have made.
    """

    def steady(values: Float[np.ndarray, "t *c"]) -> Float[np.ndarray, "t *c"]:
        return np.asarray(gaussian_filter1d(values, STEADY_S * fps, axis=0, mode="nearest"))

    return _cropped(points_px, camera, steady, steady, down_cam)


class CausalCrop:
    """Crops the keypoints of one person as they come: middle and extent follow from what was seen so far.

    Args:
        camera: its intrinsics count.
        fps: frames per second.
        down_cam: as for `virtual_camera_crop`.
    """

    def __init__(self, camera: Camera, fps: float, down_cam: Float[np.ndarray, "3"] | None = None) -> None:
        self._camera, self._down_cam = camera, down_cam
        self._middle, self._extent = _Average(fps), _Average(fps)

    def __call__(self, points_px: Float[np.ndarray, "t 17 2"]) -> CroppedKeypoints:
        """Take the next frames, one or more; see `virtual_camera_crop`."""
        return _cropped(points_px, self._camera, self._middle, self._extent, self._down_cam)


def _cropped(
    points_px: Float[np.ndarray, "t 17 2"],
    camera: Camera,
    steady_middle: Callable[[np.ndarray], np.ndarray],
    steady_extent: Callable[[np.ndarray], np.ndarray],
    down_cam: Float[np.ndarray, "3"] | None,
) -> CroppedKeypoints:
    if not len(points_px) or not np.isfinite(points_px).all():
        raise InputError("a virtual camera needs at least one frame, and keypoints without gaps: fill them first")
    plane = camera.px_to_cam(points_px, np.ones(points_px.shape[:2]))  # (t, 17, 3), z = 1
    middle = steady_middle(plane[:, TRUNK, :2].mean(axis=1))
    R_crop_cam = _looking_at(np.concatenate([middle, np.ones((len(middle), 1))], axis=1))
    if down_cam is not None:
        R_crop_cam = _turned_back(roll_of(R_crop_cam, down_cam)) @ R_crop_cam
    turned = np.einsum("tij,tkj->tki", R_crop_cam, plane)
    projected = turned[..., :2] / turned[..., 2:]
    extent = np.exp(steady_extent(np.log(_extent(projected))))
    pose2d = projected / extent[:, None, None]
    return CroppedKeypoints(pose2d.astype(np.float32), R_crop_cam, extent)


def roll_of(R_crop_cam: Float[np.ndarray, "t 3 3"], down_cam: Float[np.ndarray, "3"]) -> Float[np.ndarray, " t"]:
    """How far crops are turned about their axes, in radians: 0 where gravity points down in them, or along the axis.

    It is positive where what is upright has its head to the left: where gravity points to the right.
    """
    down = R_crop_cam @ down_cam
    return np.asarray(np.arctan2(down[:, 0], down[:, 1]))


def _turned_back(roll: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t 3 3"]:
    """The rotations about the axis that take a roll away."""
    cos, sin, zero = np.cos(roll), np.sin(roll), np.zeros(len(roll))
    return np.moveaxis(np.array([[cos, -sin, zero], [sin, cos, zero], [zero, zero, zero + 1]]), -1, 0)


class _Average:
    """An exponential moving average that begins with its first value."""

    def __init__(self, fps: float) -> None:
        self._keep = np.exp(-1 / (STEADY_S * fps))
        self._state: np.ndarray | None = None

    def __call__(self, values: Float[np.ndarray, "t *c"]) -> Float[np.ndarray, "t *c"]:
        state = self._keep * values[:1] if self._state is None else self._state
        average, self._state = lfilter([1 - self._keep], [1, -self._keep], values, axis=0, zi=state)
        return np.asarray(average)


def _extent(plane: Float[np.ndarray, "t j 2"]) -> Float[np.ndarray, " t"]:
    """Root mean square distance of the joints from their mean."""
    spread = (plane - plane.mean(axis=1, keepdims=True)) ** 2
    return np.asarray(np.sqrt(spread.sum(axis=-1).mean(axis=-1)).clip(SMALLEST))


def _looking_at(directions: Float[np.ndarray, "t 3"]) -> Float[np.ndarray, "t 3 3"]:
    """The least rotations that turn directions in front of the camera onto its axis."""
    forward = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    x, y, z = forward.T
    # Rodrigues' formula for the rotation about forward x axis
    rows = [[1 - x * x / (1 + z), -x * y / (1 + z), -x], [-x * y / (1 + z), 1 - y * y / (1 + z), -y], [x, y, z]]
    return np.moveaxis(np.array(rows), -1, 0)
