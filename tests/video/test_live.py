"""Lifting live: what comes frame by frame is what the causal network makes of the whole."""

import numpy as np
import pytest

from actlift.data.sources.synthetic import synthetic_clips
from actlift.evaluation.metrics import p_mpjpe
from actlift.geometry.camera import random_rig
from actlift.geometry.framing import CausalCrop, guessed_camera
from actlift.geometry.skeleton import COCO_17, H36M_17, remap
from actlift.lifting.predict import lift, load_lifter
from actlift.lifting.pretrained import CAUSAL, pretrained
from actlift.lifting.refine import CausalRefiner
from actlift.lifting.smoothing import CausalSmoother
from actlift.video.clean import OneEuro
from actlift.video.live import LiveLifter
from actlift.video.track import ActiveTrack


@pytest.fixture(scope="module")
def walk():
    """A person on screen, at 30 frames per second: pixels of COCO-17, and the pose in the camera's axes."""
    clip = next(iter(synthetic_clips(fps=30.0, seconds=3.0)))
    camera = random_rig(clip.joints_world, 0, 1)[0]
    pose3d_cam = camera.world_to_cam(clip.joints_world)
    thorax, neck = (pose3d_cam[:, H36M_17.index(joint)] for joint in ("Thorax", "Neck"))
    head = np.repeat((thorax + (neck - thorax) * 4 / 3)[:, None], 5, axis=1)
    joints = np.concatenate([head, pose3d_cam[:, [H36M_17.index(j) for j in COCO_17.joints[5:]]]], axis=1)
    return camera.cam_to_px(joints).astype(np.float32), pose3d_cam, camera


def live(points_px, times_s, camera, person=1, **options):
    lifter = LiveLifter(camera.width, camera.height, **options)
    ones = np.ones(17, np.float32)
    return [
        p
        for t, points in zip(times_s, points_px, strict=True)
        for p in lifter.push(t, [ActiveTrack(person, points, ones)])
    ]


@pytest.mark.parametrize(("smooth_poses", "refine"), [(False, False), (True, False), (False, True), (True, True)])
def test_poses_are_those_of_the_whole_sequence(walk, smooth_poses, refine):
    points_px, _, camera = walk
    times_s = np.arange(len(points_px)) / 30
    found = live(points_px, times_s.tolist(), camera, smooth=smooth_poses, refine=refine)
    np.testing.assert_allclose([p.time_s for p in found], times_s, atol=1e-9)
    smooth = OneEuro()
    clean = np.stack([smooth(float(t), p, np.ones(17, np.float32)) for t, p in zip(times_s, points_px, strict=True)])
    frames = CausalCrop(guessed_camera(camera.width, camera.height), 30.0)(remap(clean, COCO_17, H36M_17))
    whole = frames.to_cam(lift(load_lifter(pretrained(CAUSAL)), [frames.pose2d])[0])
    if refine:
        lifted, ones = whole, np.ones(clean.shape[:2])
        whole = CausalRefiner(30.0, guessed_camera(camera.width, camera.height))(lifted, clean, ones)
        assert np.abs(lifted - whole).max() > 5e-3
    if smooth_poses:
        rough, whole = whole, CausalSmoother(30.0)(whole)
        assert np.abs(rough - whole).max() > 5e-3
    np.testing.assert_allclose(np.stack([p.pose3d_cam for p in found]), whole, atol=1e-3)


def test_a_slow_camera_gives_poses_at_the_rate_of_the_network_that_are_near_the_truth(walk):
    points_px, truth, camera = walk
    times_s = np.arange(len(points_px)) / 30
    found = live(points_px[::2], times_s[::2].tolist(), camera)
    np.testing.assert_allclose([p.time_s for p in found], times_s[: len(found)], atol=1e-9)
    own = np.stack([p.pose3d_cam for p in found])
    assert p_mpjpe(own, truth[: len(own)]).mean() < 0.12


def test_somebody_who_comes_back_later_begins_anew(walk):
    points_px, _, camera = walk
    lifter = LiveLifter(camera.width, camera.height)
    ones = np.ones(17, np.float32)
    first = lifter.push(0.0, [ActiveTrack(1, points_px[0], ones)])
    assert lifter.push(1.5, []) == []
    again = lifter.push(3.0, [ActiveTrack(1, points_px[0], ones), ActiveTrack(2, points_px[5], ones)])
    assert [p.person for p in again] == [1, 2]
    np.testing.assert_array_equal(again[0].pose3d_cam, first[0].pose3d_cam)
