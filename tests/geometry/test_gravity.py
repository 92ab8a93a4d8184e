"""Which way is down: by people's axes in the image, whichever way the camera is turned."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from actlift.data.clip import Clip
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.camera import Camera, random_rig
from actlift.geometry.framing import CroppedKeypoints, virtual_camera_crop
from actlift.geometry.gravity import apart_deg, askew_deg, is_better, seen_down

SURE = np.ones((1, 17))


@pytest.fixture(scope="module")
def walk() -> Clip:
    (clip,) = synthetic_clips(subjects=1, clips=1, seconds=3.0, actions=["Walking"])
    return clip


def rolled(camera: Camera, degrees: float) -> Camera:
    """The camera turned about its axis: what is upright in it leans to the left."""
    R = Rotation.from_euler("z", -degrees, degrees=True).as_matrix()
    return replace(camera, R_cam_world=R @ camera.R_cam_world, t_cam_world=R @ camera.t_cam_world, radial=np.zeros(3))


def framed(clip: Clip, camera: Camera) -> CroppedKeypoints:
    return virtual_camera_crop(camera.cam_to_px(camera.world_to_cam(clip.joints_world)), camera, clip.fps)


@settings(max_examples=25, deadline=None)
@given(degrees=st.floats(-180, 180), seed=st.integers(0, 200))
def test_people_who_walk_tell_how_the_camera_is_turned(walk, degrees, seed):
    camera = rolled(random_rig(walk.joints_world, seed, 1)[0], degrees)
    frames = framed(walk, camera)
    down = seen_down(frames, np.tile(SURE, (walk.frames, 1)))
    assert np.linalg.norm(down) == pytest.approx(1)
    assert apart_deg(frames, down, -camera.R_cam_world[:, 2]) < 8
    true_deg = askew_deg(frames, -camera.R_cam_world[:, 2])
    off = (askew_deg(frames, down) - true_deg + 180) % 360 - 180
    assert abs(off) < 8
    assert abs((true_deg - degrees + 180) % 360 - 180) < 20  # the rig itself turns cameras by up to 5 degrees


@pytest.mark.parametrize(("share", "turned"), [(0.3, False), (0.7, True)])
def test_the_longer_part_of_the_time_counts(walk, share, turned):
    """Frames in which the body lies across the image are outvoted; most of them outvote."""
    frames = framed(walk, rolled(random_rig(walk.joints_world, 3, 1)[0], 0))
    lies = int(share * walk.frames)
    pose2d = frames.pose2d.copy()
    pose2d[:lies] = pose2d[:lies, :, ::-1] * (-1, 1)
    found = askew_deg(frames, seen_down(replace(frames, pose2d=pose2d), np.tile(SURE, (walk.frames, 1))))
    assert (abs(found) > 75) == turned
    assert turned or abs(found) < 12


def test_without_feet_the_trunk_tells(walk):
    camera = rolled(random_rig(walk.joints_world, 4, 1)[0], 70)
    frames = framed(walk, camera)
    pose2d = frames.pose2d.copy()
    pose2d[:, [2, 3, 5, 6]] = np.random.default_rng(0).normal(size=(walk.frames, 4, 2))  # guesses
    confidence = np.ones((walk.frames, 17))
    confidence[:, [2, 3, 5, 6]] = 0
    down = seen_down(replace(frames, pose2d=pose2d), confidence)
    assert apart_deg(frames, down, -camera.R_cam_world[:, 2]) < 12


def test_directions_apart_in_crops():
    frames = CroppedKeypoints(np.zeros((3, 17, 2), np.float32), np.tile(np.eye(3), (3, 1, 1)), np.ones(3))
    up, left, down, askew = np.array([[0, -1, 0], [-1, 0, 0], [0, 1, 0], [np.sin(0.3), np.cos(0.3), 0.5]])
    assert apart_deg(frames, down, left) == pytest.approx(90)
    assert apart_deg(frames, left, up) == pytest.approx(90)
    assert askew_deg(frames, askew) == pytest.approx(np.rad2deg(0.3))
    assert askew_deg(frames, left) == pytest.approx(-90)


def test_a_camera_on_its_side_takes_more_to_be_believed_than_one_askew():
    assert is_better(30.0, 9.0, 10.0)
    assert not is_better(90.0, 9.0, 10.0)
    assert is_better(-90.0, 5.0, 10.0)
    assert not is_better(-20.0, 10.0, 10.0)
    assert is_better(180.0, 1.0, np.inf)
    assert not is_better(180.0, np.inf, 1.0)
