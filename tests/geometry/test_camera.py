"""Cameras: the projection against a scalar reference, round trips, and rigs that keep people in view."""

import json
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actlift.geometry.camera import (
    FARTHEST_M,
    IMAGE_MARGIN,
    NEAREST_M,
    RIGS,
    Camera,
    human36m_like_ring,
    look_at,
    random_rig,
    wide_rig,
)

RIG = pytest.mark.parametrize("rig", RIGS.values(), ids=RIGS)
SEEDS = st.integers(0, 2**32 - 1)


def human36m_camera(seed: int = 0, **fields: Any) -> Camera:
    """A camera with distortion of the strength of Human3.6M's, somewhere, looking at about the origin."""
    rng = np.random.default_rng(seed)
    azimuth = rng.uniform(0, 2 * np.pi)
    position = np.array([5 * np.cos(azimuth), 5 * np.sin(azimuth), 1.6])
    R_cam_world, t_cam_world = look_at(position, rng.uniform((-0.2, -0.2, 0.7), (0.2, 0.2, 1.1)))
    lens: dict[str, Any] = {
        "name": "c",
        "R_cam_world": R_cam_world,
        "t_cam_world": t_cam_world,
        "focal_px": rng.uniform(1140, 1150, size=2),
        "center_px": rng.uniform(500, 520, size=2),
        "width": 1000,
        "height": 1002,
        "radial": rng.uniform((-0.21, 0.21, -0.009), (-0.19, 0.26, 0.007)),
        "tangential": rng.uniform(-0.003, 0.003, size=2),
    }
    return Camera(**{**lens, **fields})


def standing(frames: int = 3) -> np.ndarray:
    """A person of 1.8 m who stands near the origin: 17 joints in a box of 0.5 x 0.3 x 1.7 m."""
    rng = np.random.default_rng(0)
    joints = rng.uniform((-0.25, -0.15, 0.05), (0.25, 0.15, 1.75), size=(17, 3))
    joints[0, 2], joints[1, 2] = 0.05, 1.75
    return (joints + 0.01 * rng.normal(size=(frames, 1, 3)) * (1, 1, 0)).astype(np.float32)


def wandering(seed: int, reach: float) -> np.ndarray:
    """A person who walks along a random smooth path of about `reach` meters."""
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 2 * np.pi, 60)[:, None]
    path = (
        reach / 2 * np.concatenate([np.sin(phase + rng.uniform(0, 6)), np.cos(2 * phase + rng.uniform(0, 6))], axis=1)
    )
    place = rng.uniform(-3, 3, size=2)
    return standing(60) + np.concatenate([path + place, np.zeros((60, 1))], axis=1)[:, None]


def sees(camera: Camera, joints_world: np.ndarray) -> bool:
    p_cam = camera.world_to_cam(joints_world)
    px = camera.cam_to_px(p_cam)
    size = np.array([camera.width, camera.height])
    inside = (px >= IMAGE_MARGIN * size) & (px <= (1 - IMAGE_MARGIN) * size)
    return bool(inside.all() and (p_cam[..., 2] >= NEAREST_M).all())


# --- projection ---------------------------------------------------------------------------------------------------


def project_scalar(camera: Camera, point: list[float]) -> tuple[float, float]:
    """World to pixels for one point, number by number."""
    R, T = camera.R_cam_world.tolist(), camera.t_cam_world.tolist()
    X, Y, Z = (R[i][0] * point[0] + R[i][1] * point[1] + R[i][2] * point[2] + T[i] for i in range(3))
    x, y = X / Z, Y / Z
    (k1, k2, k3), (p1, p2) = camera.radial.tolist(), camera.tangential.tolist()
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return camera.focal_px[0] * xd + camera.center_px[0], camera.focal_px[1] * yd + camera.center_px[1]


@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_projection_is_the_formula(seed: int) -> None:
    camera = human36m_camera(seed)
    points = np.random.default_rng(seed).uniform((-1, -1, 0), (1, 1, 2), size=(2, 5, 3))
    got = camera.cam_to_px(camera.world_to_cam(points))
    expected = [[project_scalar(camera, point) for point in row] for row in points.tolist()]
    np.testing.assert_allclose(got, expected, atol=1e-9)


@given(seed=SEEDS, dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=50, deadline=None)
def test_pixels_and_depth_give_the_point_back(seed: int, dtype: type) -> None:
    camera = human36m_camera(seed)
    rng = np.random.default_rng(seed)
    z = rng.uniform(1, 12, size=(4, 17))
    p_cam = np.stack([*(rng.uniform(-0.42, 0.42, size=(2, 4, 17)) * z), z], axis=-1).astype(dtype)
    px = camera.cam_to_px(p_cam)
    assert px.dtype == np.float64
    np.testing.assert_allclose(camera.px_to_cam(px, p_cam[..., 2]), p_cam, atol=1e-6)
    np.testing.assert_allclose(camera.world_to_cam(camera.cam_to_world(p_cam)), p_cam, atol=1e-6)


@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_screen_and_pixels_are_one_to_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(100, 4000, size=2))
    camera = human36m_camera(width=width, height=height)
    px = rng.uniform(-100, 4100, size=(7, 2))
    np.testing.assert_allclose(camera.screen_to_px(camera.px_to_screen(px)), px, atol=1e-9)


def test_the_screen_keeps_aspect() -> None:
    camera = human36m_camera(width=1920, height=1080)
    corners = np.array([[0.0, 0.0], [1920, 1080], [960, 540]])
    np.testing.assert_allclose(camera.px_to_screen(corners), [[-1, -0.5625], [1, 0.5625], [0, 0]])


def test_points_behind_the_camera_have_no_pixel() -> None:
    px = human36m_camera().cam_to_px(np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0], [0.1, 0.1, 1.0]]))
    assert np.isnan(px[:2]).all()
    assert np.isfinite(px[2]).all()


def test_nan_pixels_give_nan_points() -> None:
    points = human36m_camera().px_to_cam(np.array([[np.nan, np.nan], [500.0, 500.0]]), np.array([4.0, 4.0]))
    assert np.isnan(points[0, :2]).all()
    assert np.isfinite(points[1]).all()


def test_pixels_that_no_ray_reaches_are_refused() -> None:
    camera = human36m_camera(radial=np.array([-0.5, 0.0, 0.0]))  # bends every ray to within 0.55 focal lengths
    px = camera.center_px + camera.focal_px * [[0.1, 0.0], [0.9, 0.0]]
    with pytest.raises(ValueError, match="camera 'c': 1 of 2 pixels cannot be undistorted, the first is"):
        camera.px_to_cam(px, np.ones(2))


def test_position_is_the_point_that_the_camera_has_for_origin() -> None:
    camera = human36m_camera()
    np.testing.assert_allclose(camera.world_to_cam(camera.position_world), 0, atol=1e-12)
    assert np.hypot(*camera.position_world[:2]) == pytest.approx(5)
    assert camera.position_world[2] == pytest.approx(1.6)


# --- the record ---------------------------------------------------------------------------------------------------


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_camera_survives_json_to_the_bit(seed: int) -> None:
    camera = human36m_camera(seed)
    again = Camera.from_dict(json.loads(json.dumps(camera.to_dict())))
    for field, value in vars(camera).items():
        np.testing.assert_array_equal(getattr(again, field), value)


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_rounded_camera_is_the_same_within_its_grid_and_stays_so(seed: int) -> None:
    camera = random_rig(standing(), seed, 1)[0]
    rounded = camera.rounded().to_dict()
    for name, value in camera.to_dict().items():
        if name in ("name", "width", "height"):
            assert rounded[name] == value
        else:
            np.testing.assert_allclose(rounded[name], value, rtol=0, atol=2.0**-25)
    assert Camera.from_dict(rounded).rounded().to_dict() == rounded


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_transforms_are_the_matrix_product(seed: int) -> None:
    camera = random_rig(standing(), seed, 1)[0]
    points = standing(5)
    expected = points @ camera.R_cam_world.T + camera.t_cam_world
    np.testing.assert_allclose(camera.world_to_cam(points), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(camera.cam_to_world(expected), points, rtol=0, atol=1e-12)
    assert camera.world_to_cam(points[0, 0]).shape == (3,)


def test_records_with_other_entries_are_refused() -> None:
    record = human36m_camera().to_dict()
    del record["radial"]
    with pytest.raises(ValueError, match="missing: radial; unknown: zoom"):
        Camera.from_dict({**record, "zoom": 2})


def test_records_with_arrays_of_other_shapes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its error would come before ours
    record = human36m_camera().to_dict()
    with pytest.raises(
        ValueError, match=r"camera 'c': t_cam_world must be finite numbers of shape \(3,\); got shape \(2,\)"
    ):
        Camera.from_dict({**record, "t_cam_world": [0.0, 1.0]})


def test_arrays_of_a_camera_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        human36m_camera().radial[0] = 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"focal_px": np.array([1000.0, np.nan])}, "focal_px must be finite"),
        ({"R_cam_world": 2 * np.eye(3)}, "R_cam_world must be a rotation"),
        ({"R_cam_world": np.diag([1.0, 1.0, -1.0])}, "R_cam_world must be a rotation"),
        ({"focal_px": np.array([1000.0, 0.0])}, "must be positive"),
        ({"width": 0}, "an image of 0 x 1002 pixels"),
    ],
)
def test_what_is_no_camera_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        human36m_camera(**fields)


# --- placing cameras ----------------------------------------------------------------------------------------------


@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_look_at_puts_the_target_on_the_axis_and_up_up(seed: int) -> None:
    position, target = np.random.default_rng(seed).uniform(-5, 5, size=(2, 3))
    R, t = look_at(position, target)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    np.testing.assert_allclose(R @ position + t, 0, atol=1e-12)
    np.testing.assert_allclose(R @ target + t, [0, 0, np.linalg.norm(target - position)], atol=1e-9)
    up = R @ [0, 0, 1]
    assert up[0] == pytest.approx(0)  # no roll
    assert up[1] < 0  # y points down


@pytest.mark.parametrize("target", [(1.0, 2.0, 9.0), (1.0, 2.0, 0.0), (1.0, 2.0, 3.0)])
def test_looking_straight_up_or_down_is_refused(target: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="has no way up; move one of them sideways"):
        look_at(np.array([1.0, 2.0, 3.0]), np.array(target))


@RIG
@given(seed=SEEDS, reach=st.floats(0, 25))
@settings(max_examples=25, deadline=None)
def test_nobody_leaves_the_image(rig: Any, seed: int, reach: float) -> None:
    joints = wandering(seed, reach)
    cameras = rig(joints, seed, 3)
    assert len({camera.name for camera in cameras}) == 3
    for camera in cameras:
        assert sees(camera, joints)
        p_cam = camera.world_to_cam(joints)
        np.testing.assert_allclose(camera.px_to_cam(camera.cam_to_px(p_cam), p_cam[..., 2]), p_cam, atol=1e-6)


@RIG
def test_every_pixel_of_a_rig_camera_has_a_ray(rig: Any) -> None:
    for seed in range(20):
        for camera in rig(standing(), seed, 4):
            grid = np.stack(np.meshgrid(np.linspace(0, camera.width, 9), np.linspace(0, camera.height, 9)), axis=-1)
            points = camera.px_to_cam(grid, np.ones((9, 9)))
            np.testing.assert_allclose(camera.cam_to_px(points), grid, atol=1e-6)


@pytest.mark.parametrize("rig", [human36m_like_ring, random_rig])
def test_the_head_is_above_the_feet_in_the_image(rig: Any) -> None:
    feet_and_head = np.array([[[0.0, 0.0, 0.1], [0.0, 0.0, 1.7]]])
    for seed in range(20):
        for camera in rig(feet_and_head, seed, 4):
            (x_feet, y_feet), (x_head, y_head) = camera.cam_to_px(camera.world_to_cam(feet_and_head))[0]
            assert y_head < y_feet
            assert abs(x_head - x_feet) < 0.15 * (y_feet - y_head)


@RIG
def test_the_seed_decides(rig: Any) -> None:
    first, again, other = (rig(standing(), seed, 4) for seed in ([3, 1], [3, 1], [3, 2]))
    assert [camera.to_dict() for camera in first] == [camera.to_dict() for camera in again]
    assert [camera.to_dict() for camera in first] != [camera.to_dict() for camera in other]


def test_the_ring_stands_as_documented() -> None:
    joints = standing()
    middle = (joints.min(axis=(0, 1)) + joints.max(axis=(0, 1))) / 2
    for seed in range(30):
        cameras = human36m_like_ring(joints, seed)
        assert [camera.name for camera in cameras] == ["ring0", "ring1", "ring2", "ring3"]
        offsets = np.array([camera.position_world - middle for camera in cameras])
        distance = np.hypot(offsets[:, 0], offsets[:, 1])
        assert ((distance >= 4) & (distance <= 6)).all()
        height = offsets[:, 2] + middle[2]
        assert ((height >= 1.3) & (height <= 1.8)).all()
        azimuth = np.rad2deg(np.arctan2(offsets[:, 1], offsets[:, 0]))
        gaps = np.diff(np.append(azimuth, azimuth[0])) % 360
        assert ((gaps >= 70) & (gaps <= 110)).all()
        for camera in cameras:
            assert (camera.width, camera.height) == (1000, 1000)
            assert ((camera.focal_px >= 1143) & (camera.focal_px <= 1150)).all()
            assert ((camera.center_px >= 501) & (camera.center_px <= 520)).all()
            np.testing.assert_allclose(camera.world_to_cam(middle)[:2], 0, atol=1e-6)


def test_random_cameras_stand_as_documented() -> None:
    joints = standing()
    middle = (joints.min(axis=(0, 1)) + joints.max(axis=(0, 1))) / 2
    cameras = [camera for seed in range(60) for camera in random_rig(joints, seed)]
    places = np.array([camera.position_world for camera in cameras])
    focal = np.array([camera.focal_px for camera in cameras])
    assert ((places[:, 2] >= 0.3) & (places[:, 2] <= 3)).all()
    assert ((focal >= 700) & (focal <= 2000)).all()
    assert np.hypot(*(places - middle)[:, :2].T).min() >= 2.5
    assert len({(camera.width, camera.height) for camera in cameras}) == 5
    quadrants = np.arctan2(*(places - middle)[:, :2].T) // (np.pi / 2)
    assert np.bincount(quadrants.astype(int) + 2, minlength=4).min() > 30
    towards = np.array([camera.world_to_cam(middle) for camera in cameras])
    assert np.rad2deg(np.arctan2(np.hypot(towards[:, 0], towards[:, 1]), towards[:, 2])).max() < 4.5
    axis_up = np.array([camera.R_cam_world @ [0, 0, 1] for camera in cameras])
    assert np.rad2deg(np.abs(np.arctan2(axis_up[:, 0], -axis_up[:, 1]))).max() < 8


def test_wide_cameras_stand_as_documented() -> None:
    joints = standing()
    middle = (joints.min(axis=(0, 1)) + joints.max(axis=(0, 1))) / 2
    cameras = [camera for seed in range(150) for camera in wide_rig(joints, seed)]
    offsets = np.array([camera.position_world - middle for camera in cameras])
    distance = np.linalg.norm(offsets, axis=1)
    assert distance.min() >= 2
    assert np.percentile(distance, 5) < 3 < 8 < np.percentile(distance, 95)
    pitch = np.rad2deg(np.arcsin(offsets[:, 2] / distance))
    assert -30 <= pitch.min() < -20
    assert 55 < pitch.max() <= 70
    focal = np.array([camera.focal_px[0] / max(camera.width, camera.height) for camera in cameras])
    assert 0.5 <= focal.min() < 0.55
    assert 2.2 < focal.max() <= 2.5
    assert len({(camera.width, camera.height) for camera in cameras}) == 5
    at = np.array([camera.px_to_screen(camera.cam_to_px(camera.world_to_cam(middle))) for camera in cameras])
    halves = np.array([(1, camera.height / camera.width) for camera in cameras])
    assert 0.3 < np.abs(at / halves).max() < 0.45  # with that of the lens's center
    # turned as the camera would be that looks at the middle and is level, then by the roll
    turns = [camera.R_cam_world @ look_at(camera.position_world, middle)[0].T for camera in cameras]
    roll = np.rad2deg([np.arctan2(turn[1, 0], turn[0, 0]) for turn in turns])
    upright = np.abs(roll) < 50  # to which come some degrees by the middle's place
    assert 0.85 < upright.mean() < 0.97  # of those turned by quarters some come back to 45
    assert np.abs(roll[upright]).max() > 40
    assert len(set(np.round(roll[~upright] / 90).astype(int) % 4) - {0}) == 3


@RIG
def test_a_motion_too_wide_to_frame_is_refused(rig: Any) -> None:
    with pytest.raises(ValueError, match=f"cannot see all of the motion from up to {FARTHEST_M:.0f} m away: it spans"):
        rig(1000 * wandering(0, 5), 0, 4)  # millimeters


@RIG
def test_broken_joints_are_refused(rig: Any) -> None:
    joints = standing()
    joints[2, 5, 1] = np.nan
    with pytest.raises(ValueError, match="frame 2, joint 5 is"):
        rig(joints, 0, 4)


@RIG
def test_a_rig_needs_cameras_and_joints(rig: Any) -> None:
    with pytest.raises(ValueError, match="at least one camera; got n=0"):
        rig(standing(), 0, 0)
    with pytest.raises(ValueError, match=r"got joints of shape \(0, 17, 3\)"):
        rig(np.zeros((0, 17, 3)), 0, 4)


@RIG
def test_real_people_stay_in_view(rig: Any, actlift_data: Path) -> None:
    with np.load(actlift_data / "mocap" / "cmu.npz") as corpus:
        ends = np.cumsum(corpus["frames"])
        joints = corpus["root_m"][:, None] + corpus["joint_offset_tenth_mm"] * np.float32(1e-4)
    for i in range(0, len(ends), 20):
        clip = joints[ends[i - 1] if i else 0 : ends[i]][::4]
        assert all(sees(camera, clip) for camera in rig(clip, i, 4))
