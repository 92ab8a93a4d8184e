"""Framing keypoints: what a lifter sees depends neither on the place in the image nor on the distance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.camera import Camera, random_rig
from actlift.geometry.framing import CausalCrop, guessed_camera, roll_of, virtual_camera_crop


@pytest.fixture(scope="module")
def clip():
    return next(iter(synthetic_clips()))


def by(causal: bool):
    """How to frame: as it comes, or all at once."""
    return (lambda points_px, camera, fps: CausalCrop(camera, fps)(points_px)) if causal else virtual_camera_crop


def seen(camera: Camera, clip):
    pose3d_cam = camera.world_to_cam(clip.joints_world)
    return pose3d_cam, camera.cam_to_px(pose3d_cam)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), causal=st.booleans())
def test_frames_are_cameras_that_look_at_the_person(clip, seed, causal):
    """Projecting the turned joints gives the framed keypoints, in units of the extent."""
    camera = random_rig(clip.joints_world, seed, 1)[0]
    pose3d_cam, points_px = seen(camera, clip)
    found = by(causal)(points_px, camera, clip.fps)
    np.testing.assert_allclose(
        found.R_crop_cam @ found.R_crop_cam.transpose(0, 2, 1), np.tile(np.eye(3), (clip.frames, 1, 1)), atol=1e-9
    )
    turned = found.from_cam(pose3d_cam)
    projected = turned[..., :2] / turned[..., 2:] / found.extent[:, None, None]
    np.testing.assert_allclose(found.pose2d, projected, atol=1e-4)
    np.testing.assert_allclose(found.to_cam(turned), pose3d_cam, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(angles=st.tuples(*[st.floats(-12.0, 12.0)] * 2), causal=st.booleans())
def test_turning_the_camera_changes_nothing_but_a_little_roll(clip, angles, causal):
    """Where the person is in the image does not matter: distances in the frame stay."""
    camera = replace(random_rig(clip.joints_world, 0, 1)[0], radial=np.zeros(3))
    swing = Rotation.from_euler("xy", angles, degrees=True).as_matrix()
    swung = replace(camera, R_cam_world=swing @ camera.R_cam_world, t_cam_world=swing @ camera.t_cam_world)
    one, other = (by(causal)(seen(c, clip)[1], c, clip.fps) for c in (camera, swung))
    # middles are averaged on the image plane, which a turn bends a little where the person moves
    spans = [np.linalg.norm(f.pose2d[:, :, None] - f.pose2d[:, None], axis=-1) for f in (one, other)]
    np.testing.assert_allclose(spans[0], spans[1], atol=0.02)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), roll=st.floats(-180, 180), causal=st.booleans())
def test_gravity_points_down_in_upright_crops(clip, seed, roll, causal):
    """They are the crops of before, turned in the image plane; so a turned camera has the same upright crops."""
    camera = replace(random_rig(clip.joints_world, seed, 1)[0], radial=np.zeros(3))
    turn = Rotation.from_euler("z", roll, degrees=True).as_matrix()
    askew = replace(camera, R_cam_world=turn @ camera.R_cam_world, t_cam_world=turn @ camera.t_cam_world)
    found, plain = [], []
    for c in (camera, askew):
        pose3d_cam, points_px = seen(c, clip)
        down_cam = -c.R_cam_world[:, 2]
        if causal:
            plain.append(CausalCrop(c, clip.fps)(points_px))
            found.append(CausalCrop(c, clip.fps, down_cam)(points_px))
        else:
            plain.append(virtual_camera_crop(points_px, c, clip.fps))
            found.append(virtual_camera_crop(points_px, c, clip.fps, down_cam))
        np.testing.assert_allclose((found[-1].R_crop_cam @ down_cam)[:, 0], 0, atol=1e-9)
        assert ((found[-1].R_crop_cam @ down_cam)[:, 1] > 0).all()
        np.testing.assert_allclose(roll_of(found[-1].R_crop_cam, down_cam), 0, atol=1e-9)
        angles = roll_of(plain[-1].R_crop_cam, down_cam)
        z, turned_z = (
            f.pose2d @ (1, 1j) * np.exp(1j * a)[:, None] for f, a in ((plain[-1], angles), (found[-1], 0 * angles))
        )
        np.testing.assert_allclose(z, turned_z, atol=1e-4)
        np.testing.assert_allclose(found[-1].to_cam(found[-1].from_cam(pose3d_cam)), pose3d_cam, atol=1e-6)
    np.testing.assert_allclose(found[0].pose2d, found[1].pose2d, atol=1e-4)


def test_zoom_changes_nothing(clip):
    camera = replace(random_rig(clip.joints_world, 1, 1)[0], radial=np.zeros(3))
    zoomed = replace(camera, focal_px=2 * camera.focal_px)
    one, other = (virtual_camera_crop(seen(c, clip)[1], c, clip.fps) for c in (camera, zoomed))
    np.testing.assert_allclose(one.pose2d, other.pose2d, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 60), max_size=4))
def test_frames_that_come_a_few_at_a_time_are_those_of_the_whole(clip, cuts):
    """So a frame does not depend on what comes after it."""
    camera = random_rig(clip.joints_world, 2, 1)[0]
    points_px = seen(camera, clip)[1]
    whole = CausalCrop(camera, clip.fps)(points_px)
    crop = CausalCrop(camera, clip.fps)
    parts = [crop(part) for part in np.split(points_px, np.cumsum(cuts)) if len(part)]
    np.testing.assert_allclose(np.concatenate([part.pose2d for part in parts]), whole.pose2d, atol=1e-6)


def test_the_person_is_in_the_middle_and_of_unit_extent(clip):
    camera = guessed_camera(1080, 1920)
    assert camera.focal_px[0] == pytest.approx(0.85 * 1920)
    still = np.repeat(clip.joints_world[:1], 5, axis=0) @ np.diag([1.0, -1.0, -1.0])[[0, 2, 1]] + [0.3, 1.5, 4.0]
    found = virtual_camera_crop(camera.cam_to_px(still), camera, 30.0)
    spread = found.pose2d - found.pose2d.mean(axis=1, keepdims=True)
    assert np.sqrt((spread**2).sum(axis=-1).mean()) == pytest.approx(1, abs=0.05)
    assert np.abs(found.pose2d[:, [1, 4, 11, 14]].mean(axis=1)).max() < 0.05


def test_gaps_are_refused():
    points = np.full((3, 17, 2), np.nan)
    for broken in (points, points[:0]):
        with pytest.raises(ValueError, match="keypoints without gaps"):
            virtual_camera_crop(broken, guessed_camera(100, 100), 30.0)
