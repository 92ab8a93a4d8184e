"""Cameras: world -> camera -> pixels -> screen and back, with lens distortion; rigs of virtual cameras.

Frames of reference. `_world`: meters, right-handed, z up, floor near z = 0. `_cam`: meters, x right, y down, z
forward, as in OpenCV. `_px`: pixels, origin in the top left corner of the image, x right, y down. `_screen`: x in
[-1, 1] over the width of the image; y scaled alike and centered, so that aspect is kept.

A rig is a function of a person's motion, a seed and a number of cameras. The cameras stand still and the person never
leaves an image: a camera steps back until every joint of every frame is at least 5 % of the image away from its border
and at least 1 m in front of the camera.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.spatial.transform import Rotation

from actlift.errors import InputError, UnusableKeypointsError
from actlift.geometry.grid import on_grid

IMAGE_MARGIN = 0.05  # of width and height, on every side
NEAREST_M = 1.0
FARTHEST_M = 200.0
STEP_BACK = 1.1  # factor on the distance
GRID_BITS = 24  # of rounded cameras: multiples of 6e-8 of a meter, a pixel and one

_SHAPES: dict[str, tuple[int, ...]] = {
    "R_cam_world": (3, 3),
    "t_cam_world": (3,),
    "focal_px": (2,),
    "center_px": (2,),
    "radial": (3,),
    "tangential": (2,),
}


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with the lens distortion of Brown and Conrady, as in OpenCV.

    With `(x, y) = (X, Y) / Z` in the camera frame and `r² = x² + y²`,

        x' = x (1 + k1 r² + k2 r⁴ + k3 r⁶) + 2 p1 x y + p2 (r² + 2 x²)
        y' = y (1 + k1 r² + k2 r⁴ + k3 r⁶) + p1 (r² + 2 y²) + 2 p2 x y

    and the pixel is `(fx x' + cx, fy y' + cy)`. The published cameras of Human3.6M are given in these numbers. Code
    that circulates with them writes `p1 x y` and `p2 x²` without the factor 2; for its lenses that is less than a
    pixel.

    Attributes:
        name: of the camera.
        R_cam_world, t_cam_world: `p_cam = R_cam_world @ p_world + t_cam_world`; a rotation, and meters.
        focal_px, center_px: (fx, fy) and (cx, cy) in pixels.
        width, height: of the image in pixels.
        radial, tangential: (k1, k2, k3) and (p1, p2), without unit.

    Arrays are kept as read-only float64. Points of any float type may be transformed; results are float64.

    Raises:
        InputError: a field has the wrong shape or is not finite, R_cam_world is no rotation, or a focal length or image
            size is not positive.
    """

    name: str
    R_cam_world: Float[np.ndarray, "3 3"]
    t_cam_world: Float[np.ndarray, "3"]
    focal_px: Float[np.ndarray, "2"]
    center_px: Float[np.ndarray, "2"]
    width: int
    height: int
    radial: Float[np.ndarray, "3"]
    tangential: Float[np.ndarray, "2"]

    def __post_init__(self) -> None:
        for field, shape in _SHAPES.items():
            array = np.array(getattr(self, field), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise InputError(
                    f"camera {self.name!r}: {field} must be finite numbers of shape {shape}; got shape {array.shape}: "
                    f"{array.tolist()}"
                )
            array.flags.writeable = False
            object.__setattr__(self, field, array)
        R = self.R_cam_world
        if not np.allclose(R @ R.T, np.eye(3), atol=1e-5) or np.linalg.det(R) < 0:
            raise InputError(
                f"camera {self.name!r}: R_cam_world must be a rotation (orthonormal rows, determinant 1); got "
                f"{R.tolist()}"
            )
        if (self.focal_px <= 0).any() or self.width <= 0 or self.height <= 0:
            raise InputError(
                f"camera {self.name!r}: focal lengths and image size must be positive; got focal_px "
                f"{self.focal_px.tolist()} and an image of {self.width} x {self.height} pixels"
            )

    @property
    def position_world(self) -> Float[np.ndarray, "3"]:
        """Where the camera stands, in meters."""
        return self.cam_to_world(np.zeros(3))

    def world_to_cam(self, points_world: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead 3"]:
        """Transform meters in the world to meters in the camera frame."""
        points_cam: Float[np.ndarray, "*lead 3"] = _turned(self.R_cam_world, _float64(points_world)) + self.t_cam_world
        return points_cam

    def cam_to_world(self, points_cam: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead 3"]:
        """Transform meters in the camera frame to meters in the world."""
        return _turned(self.R_cam_world.T, _float64(points_cam) - self.t_cam_world)

    def cam_to_px(self, points_cam: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead 2"]:
        """Project meters in the camera frame to pixels, inside the image or not; NaN at or behind the camera."""
        points_px: Float[np.ndarray, "*lead 2"] = self._distort(_pinhole(points_cam)) * self.focal_px + self.center_px
        return points_px

    def px_to_cam(
        self, points_px: Float[np.ndarray, "*lead 2"], depth: Float[np.ndarray, "*lead"]
    ) -> Float[np.ndarray, "*lead 3"]:
        """Unproject pixels, with their z in meters, to points in the camera frame; undoes `cam_to_px`.

        The distortion is inverted by Newton's method to 1e-12 of a focal length. NaN pixels give NaN points.

        Raises:
            InputError: the lens maps nothing to some pixel, or the search does not find it; for a usable lens that
                happens only far outside the image.
        """
        distorted = (_float64(points_px) - self.center_px) / self.focal_px
        z = _float64(depth)[..., None]
        return np.concatenate([self._undistort(distorted) * z, z], axis=-1)

    def px_to_screen(self, points_px: Float[np.ndarray, "*lead 2"]) -> Float[np.ndarray, "*lead 2"]:
        """Scale pixels to screen: x in [-1, 1] over the width, y in [-height/width, height/width] over the height."""
        half = self.width / 2
        return (_float64(points_px) - (half, self.height / 2)) / half

    def screen_to_px(self, points_screen: Float[np.ndarray, "*lead 2"]) -> Float[np.ndarray, "*lead 2"]:
        """Scale screen to pixels; undoes `px_to_screen`."""
        half = self.width / 2
        return _float64(points_screen) * half + (half, self.height / 2)

    def rounded(self) -> "Camera":
        """Round all its numbers to a binary grid (see `on_grid`): within 6e-8 the same camera, on every processor.

        What it then sees of given points is the same bits everywhere: `world_to_cam` and `cam_to_px` only add,
        multiply and divide, in a fixed order.
        """
        rounded: dict[str, Any] = {name: on_grid(getattr(self, name), GRID_BITS) for name in _SHAPES}
        return replace(self, **rounded)

    def to_dict(self) -> dict[str, Any]:
        """Give name, numbers and nested lists of numbers, for JSON; `from_dict` gives back the same bits."""
        return {
            field.name: value.tolist() if isinstance(value := getattr(self, field.name), np.ndarray) else value
            for field in fields(self)
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Camera":
        """Make a camera of what `to_dict` wrote.

        Raises:
            InputError: entries are missing or unknown, or are no camera.
        """
        wanted = [field.name for field in fields(cls)]
        missing = [name for name in wanted if name not in record]
        unknown = [str(name) for name in record if name not in wanted]
        if missing or unknown:
            raise InputError(
                f"a camera record must have exactly {', '.join(wanted)}; missing: {', '.join(missing) or 'none'}; "
                f"unknown: {', '.join(unknown) or 'none'}"
            )
        values: dict[str, Any] = dict(record)
        for name in _SHAPES:
            try:
                values[name] = np.asarray(record[name], dtype=np.float64)
            except (ValueError, TypeError) as error:
                raise InputError(f"a camera record must have numbers as {name}; got {record[name]!r}") from error
        for name in ("name", "width", "height"):
            wanted_type, words = (str, "text") if name == "name" else ((int, float), "a number")
            if not isinstance(record[name], wanted_type):
                raise InputError(f"a camera record must have {words} as {name}; got {record[name]!r}")
        return cls(**values)

    def _distort(self, points: Float[np.ndarray, "*lead 2"]) -> Float[np.ndarray, "*lead 2"]:
        """Points of the plane z = 1 to where the lens puts them; formula in the class docstring."""
        r2 = (points**2).sum(axis=-1, keepdims=True)
        k1, k2, k3 = self.radial
        p1, p2 = self.tangential
        along = 2 * (points[..., :1] * p2 + points[..., 1:] * p1)
        moved: Float[np.ndarray, "*lead 2"] = points * (1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + along) + r2 * (p2, p1)
        return moved

    def _undistort(self, distorted: Float[np.ndarray, "*lead 2"]) -> Float[np.ndarray, "*lead 2"]:
        """The inverse of `_distort`, by Newton's method."""
        points = distorted.copy()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for _ in range(50):
                residual = self._distort(points) - distorted
                if not (np.abs(residual) > 1e-12).any():
                    break
                xx, xy, yy = self._slopes(points)
                u, v = residual[..., 0], residual[..., 1]
                points = points - np.stack([yy * u - xy * v, xx * v - xy * u], axis=-1) / (xx * yy - xy**2)[..., None]
            residual = self._distort(points) - distorted
            xx, xy, yy = self._slopes(points)
            unfolded = (xx > 0) & (xx * yy > xy**2)
        lost = np.isfinite(distorted) & ~((np.abs(residual) <= 1e-9) & unfolded[..., None])
        if lost.any():
            lost_px = (distorted * self.focal_px + self.center_px)[lost.any(axis=-1)]
            raise UnusableKeypointsError(
                f"camera {self.name!r}: {len(lost_px)} of {lost[..., 0].size} pixels cannot be undistorted, the "
                f"first is ({lost_px[0, 0]:.1f}, {lost_px[0, 1]:.1f}) for an image of {self.width} x {self.height}; "
                "give pixels inside the image, or check the distortion coefficients"
            )
        return points

    def _slopes(
        self, points: Float[np.ndarray, "*lead 2"]
    ) -> tuple[Float[np.ndarray, "*lead"], Float[np.ndarray, "*lead"], Float[np.ndarray, "*lead"]]:
        """dx'/dx, dx'/dy = dy'/dx and dy'/dy of the distortion; positive definite where the lens does not fold."""
        k1, k2, k3 = self.radial
        p1, p2 = self.tangential
        x, y = points[..., 0], points[..., 1]
        r2 = x**2 + y**2
        scale = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))  # d scale / dx = slope x, d scale / dy = slope y
        return (
            scale + slope * x**2 + 2 * p1 * y + 6 * p2 * x,
            slope * x * y + 2 * p1 * x + 2 * p2 * y,
            scale + slope * y**2 + 6 * p1 * y + 2 * p2 * x,
        )


def _float64(points: Float[np.ndarray, "*lead"]) -> Float64[np.ndarray, "*lead"]:
    return np.asarray(points, dtype=np.float64)


def _turned(R: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead 3"]:
    """`R @ p` of every point, the same bits on every processor; a matrix product adds in an order of its own."""
    x, y, z = (points[..., axis] for axis in range(3))
    turned: Float[np.ndarray, "*lead 3"] = np.stack([x * row[0] + y * row[1] + z * row[2] for row in R], axis=-1)
    return turned


def _pinhole(points_cam: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead 2"]:
    """Central projection to the plane z = 1; NaN at or behind the camera."""
    points = _float64(points_cam)
    z = points[..., 2:]
    return points[..., :2] / np.where(z > 0, z, np.nan)


def look_at(
    position_world: Float[np.ndarray, "3"], target_world: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """(R_cam_world, t_cam_world) of a camera at a position whose axis meets a target, image up being world up.

    Raises:
        InputError: the camera would look straight up or down, or stands in its target.
    """
    position = np.asarray(position_world, dtype=np.float64)
    forward = np.asarray(target_world, dtype=np.float64) - position
    right = np.array([forward[1], -forward[0], 0.0])  # forward x world up
    if np.linalg.norm(right) <= 1e-9 * max(1.0, float(np.linalg.norm(forward))):
        raise InputError(
            f"a camera at {position.tolist()} that looks at {np.asarray(target_world).tolist()} has no way up; "
            "move one of them sideways"
        )
    forward = forward / np.linalg.norm(forward)
    right = right / np.linalg.norm(right)
    R_cam_world = np.stack([right, np.cross(forward, right), forward])
    return R_cam_world, -R_cam_world @ position


def human36m_like_ring(joints_world: Float[np.ndarray, "t j 3"], seed: int | Sequence[int], n: int = 4) -> list[Camera]:
    """Place cameras like those of Human3.6M around a person: ring0, ring1, ...

    They stand evenly around the middle of the motion, up to 10 degrees off, 4 to 6 m away along the floor and 1.3 to
    1.8 m above it, and look at the middle; they step back where the person would leave the image. Focal lengths (1143
    to 1150 px), centers and distortion are drawn from about the ranges that the four published cameras of Human3.6M
    span; images have 1000 x 1000 pixels.

    Args:
        joints_world: meters; t frames of j joints.
        seed: the same seed gives the same cameras.
        n: how many.

    Raises:
        InputError: there are no joints or they are not finite, n is not positive, or the motion is too wide to be
            framed.
    """
    _check_motion(joints_world, n)
    rng = np.random.default_rng(seed)
    first = rng.uniform(0, 360)
    cameras = []
    for i in range(n):
        azimuth = np.deg2rad(first + 360 * i / n + rng.uniform(-10, 10))
        distance = rng.uniform(4, 6)
        height = rng.uniform(1.3, 1.8)
        fx = rng.uniform(1145, 1150)
        lens = _lens(
            f"ring{i}",
            focal_px=np.array([fx, fx - rng.uniform(0, 2)]),
            center_px=rng.uniform((508, 501), (520, 516)),
            size=(1000, 1000),
            radial=rng.uniform((-0.21, 0.21, -0.009), (-0.19, 0.26, 0.007)),
            tangential=rng.uniform((-0.0028, -0.0017), (0.0015, -0.0007)),
        )
        cameras.append(_step_back(lens, joints_world, _level_ray(azimuth, height), distance, swing=np.eye(3)))
    return cameras


def random_rig(joints_world: Float[np.ndarray, "t j 3"], seed: int | Sequence[int], n: int = 4) -> list[Camera]:
    """Place cameras of all kinds that see the person from anywhere: random0, random1, ...

    Drawn uniformly: azimuth; height above the floor, 0.3 to 3 m; horizontal distance from the middle of the motion, 2.5
    to 8 m, more where the person would leave the image; one of five image sizes, landscape, portrait and square; focal
    length, 700 to 2000 px; center, within 2 % of the middle of the image; roll, up to 5 degrees; the axis misses the
    middle of the motion by up to 3 degrees across and down; radial distortion that moves the corners of the image by
    12 % inwards to 5 % outwards; no tangential distortion.

    Args:
        joints_world: meters; t frames of j joints.
        seed: the same seed gives the same cameras.
        n: how many.

    Raises:
        InputError: as `human36m_like_ring`.
    """
    _check_motion(joints_world, n)
    rng = np.random.default_rng(seed)
    cameras = []
    for i in range(n):
        azimuth = rng.uniform(0, 2 * np.pi)
        distance = rng.uniform(2.5, 8)
        height = rng.uniform(0.3, 3)
        size = np.array(_RANDOM_SIZES[rng.integers(len(_RANDOM_SIZES))])
        focal = rng.uniform(700, 2000)
        lens = _drawn_lens(f"random{i}", rng, size, focal, (0.48, 0.52))
        roll, across, down = rng.uniform((-5, -3, -3), (5, 3, 3))
        swing = Rotation.from_euler("zyx", [roll, across, down], degrees=True).as_matrix()
        cameras.append(_step_back(lens, joints_world, _level_ray(azimuth, height), distance, swing))
    return cameras


def wide_rig(joints_world: Float[np.ndarray, "t j 3"], seed: int | Sequence[int], n: int = 4) -> list[Camera]:
    """Place cameras that see the person from above and below, held askew, through wide and long lenses: wide0, ...

    For lifters that must work with cameras that nobody leveled. Drawn: azimuth, uniformly; pitch, by which the camera
    looks down at the middle of the motion, -30 to 70 degrees, 5 most likely (triangular); so it stands on a slope
    through the middle, at any height, under the floor too, as people on stages and stairs are seen; distance along the
    slope, 2 to 10 m, uniformly in its logarithm, more where the person would leave the image; one of five image sizes,
    landscape, portrait and square; focal length, 0.5 to 2.5 of the longer side, uniformly in its logarithm; center,
    within 4 % of the middle of the image; roll, up to 45 degrees, uniformly, and for one camera in ten a quarter, half
    or three quarters of a turn more; the middle of the motion, up to 0.3 of the way from the image's middle to its
    border across and down; distortion as of the random rig.

    Args:
        joints_world: meters; t frames of j joints.
        seed: the same seed gives the same cameras.
        n: how many.

    Raises:
        InputError: as `human36m_like_ring`.
    """
    _check_motion(joints_world, n)
    rng = np.random.default_rng(seed)
    cameras = []
    for i in range(n):
        azimuth = rng.uniform(0, 2 * np.pi)
        pitch = np.deg2rad(rng.triangular(-30, 5, 70))
        distance = 2 * 5 ** rng.uniform()
        size = np.array(_RANDOM_SIZES[rng.integers(len(_RANDOM_SIZES))])
        focal = float(size.max()) * 0.5 * 5 ** rng.uniform()
        lens = _drawn_lens(f"wide{i}", rng, size, focal, (0.46, 0.54))
        roll = rng.uniform(-45, 45)
        across, down = np.rad2deg(np.arctan(rng.uniform(-0.3, 0.3, size=2) * size / (2 * focal)))
        quarters = int(rng.integers(1, 4)) if rng.uniform() < WIDE_TURNED else 0
        swing = Rotation.from_euler("zyx", [roll + 90 * quarters, across, down], degrees=True).as_matrix()
        slope = np.array([np.cos(pitch) * np.cos(azimuth), np.cos(pitch) * np.sin(azimuth), np.sin(pitch)])
        cameras.append(_step_back(lens, joints_world, _sloping_ray(slope), distance, swing))
    return cameras


WIDE_TURNED = 0.1  # share of cameras of the wide rig that are on their side or upside down
_RANDOM_SIZES = ((1920, 1080), (1280, 720), (1080, 1920), (720, 1280), (1000, 1000))

RIGS: dict[str, Callable[[Float[np.ndarray, "t j 3"], int | Sequence[int], int], list[Camera]]] = {
    "ring": human36m_like_ring,
    "random": random_rig,
    "wide": wide_rig,
}


def _check_motion(joints_world: Float[np.ndarray, "t j 3"], n: int) -> None:
    if n < 1:
        raise InputError(f"a rig has at least one camera; got n={n}")
    if joints_world.size == 0:
        raise InputError(f"a rig is built around a person; got joints of shape {joints_world.shape}")
    broken = np.argwhere(~np.isfinite(joints_world).all(axis=-1))
    if len(broken):
        frame, joint = broken[0]
        raise InputError(
            f"a rig needs to know where every joint is; frame {frame}, joint {joint} is "
            f"{joints_world[frame, joint].tolist()}. Drop or repair such frames first"
        )


def _lens(
    name: str,
    focal_px: Float[np.ndarray, "2"],
    center_px: Float[np.ndarray, "2"],
    size: tuple[int, int],
    radial: Float[np.ndarray, "3"],
    tangential: Float[np.ndarray, "2"],
) -> Camera:
    """A camera that has no place yet: it stands in the origin of the world, axis up."""
    return Camera(name, np.eye(3), np.zeros(3), focal_px, center_px, *size, radial, tangential)


def _drawn_lens(
    name: str, rng: np.random.Generator, size: np.ndarray, focal: float, center: tuple[float, float]
) -> Camera:
    """A lens with square pixels, its center and radial distortion drawn.

    Args:
        center: least and most of it, in widths and heights of the image.
    """
    corner_r2 = float((size**2).sum()) / (2 * focal) ** 2
    return _lens(
        name,
        focal_px=np.array([focal, focal]),
        center_px=size * rng.uniform(*center, size=2),
        size=(int(size[0]), int(size[1])),
        radial=np.array([rng.uniform(-0.12, 0.05) / corner_r2, 0.0, 0.0]),
        tangential=np.zeros(2),
    )


_Ray = Callable[[Float[np.ndarray, "3"], float], Float[np.ndarray, "3"]]
"""Gives the place of a camera by the middle of the motion and a distance in meters."""


def _level_ray(azimuth: float, height: float) -> _Ray:
    """Places at a height above the floor, in a direction of radians around world z; distances are along the floor."""
    return lambda middle, step: np.array(
        [middle[0] + step * np.cos(azimuth), middle[1] + step * np.sin(azimuth), height]
    )


def _sloping_ray(direction: Float[np.ndarray, "3"]) -> _Ray:
    """Places in a direction from the middle."""
    return lambda middle, step: middle + step * direction


def _step_back(
    lens: Camera,
    joints_world: Float[np.ndarray, "t j 3"],
    ray: _Ray,
    distance: float,
    swing: Float[np.ndarray, "3 3"],
) -> Camera:
    """The camera on a ray from the middle of the motion, at `distance` or as much further as it takes to see all.

    Args:
        lens: all but the place of the camera.
        joints_world: meters.
        ray: of places.
        distance: at which to begin, in meters.
        swing: rotation of the camera in its own frame, after it looks at the middle.
    """
    points = joints_world.reshape(-1, 3).astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high) / 2
    steps = distance * STEP_BACK ** np.arange(int(np.log(FARTHEST_M / distance) / np.log(STEP_BACK)) + 1)
    for step in steps:
        position = ray(middle, float(step))
        R_cam_world = swing @ look_at(position, middle)[0]
        camera = replace(lens, R_cam_world=R_cam_world, t_cam_world=-R_cam_world @ position)
        if _in_view(camera, camera.world_to_cam(points)).all():
            return camera
    spans = " x ".join(f"{span:.1f}" for span in high - low)
    raise InputError(
        f"camera {lens.name!r} cannot see all of the motion from up to {FARTHEST_M:.0f} m away: it spans {spans} m. "
        "Are the joints in meters? If so, cut the clip into pieces"
    )


def _in_view(camera: Camera, points_cam: Float[np.ndarray, "p 3"]) -> Bool[np.ndarray, " p"]:
    """Which points are far enough in front of the camera and from the border of its image.

    They must be so without the distortion too: far outside its image a lens formula can fold points back into it.
    """
    size = np.array([camera.width, camera.height])
    low, high = IMAGE_MARGIN * size, (1 - IMAGE_MARGIN) * size
    straight = _pinhole(points_cam) * camera.focal_px + camera.center_px
    seen = points_cam[:, 2] >= NEAREST_M
    for points_px in (straight, camera.cam_to_px(points_cam)):
        seen &= ((points_px >= low) & (points_px <= high)).all(axis=-1)
    return seen
