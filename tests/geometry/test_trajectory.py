"""Global motion: exact motions come back, each step against what it should find, and real motion capture."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from actlift.data.clip import Clip
from actlift.data.noise import DetectorNoise
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry import floor as ground
from actlift.geometry import trajectory as trajectory_module
from actlift.geometry.camera import Camera, look_at, random_rig
from actlift.geometry.floor import Floor, Rests, resting
from actlift.geometry.sight import ANKLES, HIPS, KNEES, LIMBS, Sight, sighted
from actlift.geometry.skeleton import COCO_17, H36M_17
from actlift.geometry.trajectory import (
    GlobalTrajectory,
    check_lifted,
    global_trajectory,
    planted,
    root_trajectory,
    stature,
)

FPS = 30.0
SEEDS = st.integers(0, 2**32 - 1)


def a_camera(distance: float = 5.0, height: float = 1.6, aim: float = 0.9, azimuth: float = 0.3, **lens: Any) -> Camera:
    """A camera that looks at a point above the origin of the world."""
    position = np.array([distance * np.sin(azimuth), -distance * np.cos(azimuth), height])
    R_cam_world, t_cam_world = look_at(position, np.array([0.0, 0.0, aim]))
    usual: dict[str, Any] = {
        "focal_px": np.array([1200.0, 1190.0]),
        "center_px": np.array([950.0, 545.0]),
        "width": 1920,
        "height": 1080,
        "radial": np.zeros(3),
        "tangential": np.zeros(2),
    }
    return Camera("c", R_cam_world, t_cam_world, **{**usual, **lens})


def nowhere(camera: Camera) -> Camera:
    """The camera without its place in the world."""
    return replace(camera, R_cam_world=np.eye(3), t_cam_world=np.zeros(3))


def coco(joints: np.ndarray) -> np.ndarray:
    """Points of COCO_17 from joints of H36M_17; the ears halfway between Neck and Head, the face with them."""
    ears = joints[:, [H36M_17.index("Neck"), H36M_17.index("Head")]].mean(axis=1)
    points = np.repeat(ears[:, None], 17, axis=1)
    for name in set(COCO_17.joints) & set(H36M_17.joints):
        points[:, COCO_17.index(name)] = joints[:, H36M_17.index(name)]
    return points


def seen(joints_world: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact poses, keypoints and confidences."""
    joints_cam = camera.world_to_cam(joints_world.astype(np.float64))
    pose = (joints_cam - joints_cam[:, :1]).astype(np.float32)
    px = camera.cam_to_px(coco(joints_cam))
    return pose, px, np.ones(px.shape[:2])


def in_view_of(camera: Camera, joints_world: np.ndarray) -> np.ndarray:
    """The true joints in a world as `global_trajectory` sets it up: z up, y where the camera looks."""
    ahead = camera.R_cam_world[2] * (1, 1, 0)
    ahead /= np.linalg.norm(ahead)
    turn = np.stack([np.cross(ahead, (0, 0, 1)), ahead, (0, 0, 1)])
    return (joints_world - joints_world[0, 0] * (1, 1, 0)) @ turn.T


@pytest.fixture(scope="module")
def walk() -> np.ndarray:
    """A person of the synthetic kind who walks, 90 frames around the origin, resting ankles at about `ANKLE_M`."""
    joints = synthetic_clips(0, subjects=1, clips=1, seconds=3.0, fps=FPS, actions=["Walking"])
    clip = next(iter(joints)).joints_world.astype(np.float64)
    clip[..., :2] -= clip[:, 0, :2].mean(axis=0)
    clip[..., 2] += ground.ANKLE_M - np.percentile(clip[:, ANKLES, 2].min(axis=1), 20)
    return clip


def standing(frames: int = 60) -> np.ndarray:
    """A person of 1.75 m who stands still, facing -y, ankles where they rest.

    Heights over the ankle as fractions of the stature after Winter (2009), Fig. 4.1: knee 0.285, hip 0.530, shoulder
    0.818, ear 0.936, less the ankle's 0.039; Neck and Head half a head's third below and above the ear.
    """
    tall = 1.75
    heights = {"Ankle": 0.0, "Knee": 0.246, "Hip": 0.491, "Pelvis": 0.505, "Spine": 0.64, "Thorax": 0.779}
    heights |= {"Shoulder": 0.779, "Elbow": 0.59, "Wrist": 0.446, "Neck": 0.867, "Head": 0.927}
    aside = {"Hip": 0.06, "Knee": 0.06, "Ankle": 0.06, "Shoulder": 0.11, "Elbow": 0.13, "Wrist": 0.14}
    joints = np.zeros((17, 3))
    for j, name in enumerate(H36M_17.joints):
        part = name if name in heights else name[1:]
        joints[j, 0] = 0.0 if part == name else tall * aside[part] * (1 if name[0] == "L" else -1)
        joints[j, 2] = tall * heights[part]
    joints[:, 1] = -ground.LEAN * joints[:, 2]
    joints[:, 2] += ground.ANKLE_M
    return np.repeat(joints[None], frames, axis=0)


# --- the whole ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lens", [{}, {"radial": np.array([-0.1, 0.02, 0.0])}], ids=["pinhole", "distorted"])
def test_an_exact_walk_comes_back(walk: np.ndarray, lens: dict[str, Any]) -> None:
    camera = a_camera(**lens)
    found = global_trajectory(*seen(walk, camera), FPS, nowhere(camera))
    true = in_view_of(camera, walk)
    up_deg = np.rad2deg(np.arccos(found.camera.R_cam_world[:, 2] @ camera.R_cam_world[:, 2]))
    assert up_deg < 3
    off_m = np.linalg.norm(found.joints_world - true, axis=-1)
    assert off_m.mean() < 0.1
    assert found.reprojection_px < 2
    assert found.joints_world.dtype == np.float32


def test_the_camera_sees_the_joints_where_they_were_seen(walk: np.ndarray) -> None:
    camera = a_camera()
    pose, px, confidence = seen(walk, camera)
    found = global_trajectory(pose, px, confidence, FPS, nowhere(camera))
    again_px = found.camera.cam_to_px(found.camera.world_to_cam(coco(found.joints_world.astype(np.float64))))
    off_px = np.linalg.norm(again_px - px, axis=-1)
    assert np.median(off_px) < 2
    assert off_px.max() < 1200 / 5 * 0.1  # no joint is moved by ten centimeters
    for field in ("focal_px", "center_px", "radial", "tangential"):
        np.testing.assert_array_equal(getattr(found.camera, field), getattr(camera, field))


def test_a_known_rotation_is_kept(walk: np.ndarray) -> None:
    camera = a_camera(height=2.5)
    found = global_trajectory(*seen(walk, camera), FPS, camera)
    np.testing.assert_allclose(found.camera.R_cam_world[:, 2], camera.R_cam_world[:, 2], atol=1e-4)
    assert found.up_error_deg < 0.01
    assert np.linalg.norm(found.joints_world - in_view_of(camera, walk), axis=-1).mean() < 0.1


def test_a_standing_person_is_placed_exactly() -> None:
    camera = a_camera(azimuth=0.0)
    found = global_trajectory(*seen(standing(), camera), FPS, camera)
    np.testing.assert_allclose(found.joints_world, in_view_of(camera, standing()), atol=1e-3)
    assert found.contacts.all()


def test_the_world_begins_on_the_floor_below_the_pelvis(walk: np.ndarray) -> None:
    camera = a_camera()
    found = global_trajectory(*seen(walk, camera), FPS, nowhere(camera))
    np.testing.assert_allclose(found.joints_world[0, 0, :2], 0, atol=1e-5)
    assert abs(np.median(found.joints_world[:, ANKLES, 2][found.contacts]) - ground.ANKLE_M) < 0.02
    assert found.camera.R_cam_world[2, 1] > 0.9  # y away from the camera
    assert found.camera.position_world[1] < -3


def test_a_told_height_scales_everything(walk: np.ndarray) -> None:
    camera = a_camera()
    pose, px, confidence = seen(walk, camera)
    height = stature(pose)
    small = global_trajectory((0.8 * pose).astype(np.float32), px, confidence, FPS, camera, height_m=height)
    plain = global_trajectory(pose, px, confidence, FPS, camera)
    np.testing.assert_allclose(small.joints_world, plain.joints_world, atol=1e-3)
    assert small.height_m == height
    assert small.notes[0].startswith("scale: set by a height")
    assert plain.notes[0].startswith("scale: assumed")
    assert plain.height_m == pytest.approx(height, abs=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_short_clips(frames: int) -> None:
    camera = a_camera()
    found = global_trajectory(*seen(standing(frames), camera), FPS, nowhere(camera))
    assert found.joints_world.shape == (frames, 17, 3)
    assert np.isfinite(found.joints_world).all()
    assert np.linalg.norm(found.joints_world - in_view_of(camera, standing(frames)), axis=-1).mean() < 0.1


@pytest.mark.parametrize("gap", [slice(0, 20), slice(30, 50), slice(70, 90)], ids=["start", "middle", "end"])
def test_frames_without_keypoints_are_bridged(walk: np.ndarray, gap: slice) -> None:
    camera = a_camera()
    pose, px, confidence = seen(walk, camera)
    whole = global_trajectory(pose, px, confidence, FPS, camera)
    confidence[gap], px[gap] = 0, np.nan
    found = global_trajectory(pose, px, confidence, FPS, camera)
    assert any("20 of 90 frames have no keypoints" in note for note in found.notes)
    assert not any(note.startswith("gaps") for note in whole.notes)
    root = found.camera.world_to_cam(found.joints_world[:, 0]) - whole.camera.world_to_cam(whole.joints_world[:, 0])
    assert np.linalg.norm(np.delete(root, np.r_[gap], axis=0), axis=-1).max() < 0.1
    assert np.linalg.norm(root, axis=-1).max() < 0.6


def test_a_person_in_the_air_has_no_contacts() -> None:
    t = np.arange(20)[:, None] / FPS
    flight = standing(20) + np.stack([3 * t, 0 * t, 0.4 + 1.5 * t - 4.9 * t**2], axis=-1)
    camera = a_camera()
    found = global_trajectory(*seen(flight, camera), FPS, nowhere(camera))
    assert not found.contacts.any()
    assert any(note.startswith("floor: no foot") for note in found.notes)
    assert found.joints_world[:, ANKLES, 2].min() > 0


@pytest.mark.parametrize("roll_deg", [-170, -90, 30, 60, 180])
def test_a_camera_that_is_known_to_be_askew_about_so_much(walk: np.ndarray, roll_deg: float) -> None:
    """About where gravity points is enough to find it; what comes out is the motion that a level camera gives."""
    level = a_camera()
    turn = Rotation.from_euler("z", roll_deg, degrees=True).as_matrix()
    camera = replace(
        level,
        R_cam_world=turn @ level.R_cam_world,
        t_cam_world=turn @ level.t_cam_world,
        focal_px=np.array([1200.0, 1200.0]),
    )
    about = Rotation.from_euler("z", 7, degrees=True).apply(-camera.R_cam_world[:, 2])
    found = global_trajectory(*seen(walk, camera), FPS, nowhere(camera), down_cam=about)
    assert np.rad2deg(np.arccos(found.camera.R_cam_world[:, 2] @ camera.R_cam_world[:, 2])) < 3
    assert np.linalg.norm(found.joints_world - in_view_of(camera, walk), axis=-1).mean() < 0.1


def test_how_far_poses_miss_their_keypoints(walk: np.ndarray) -> None:
    camera = a_camera()
    pose, px, confidence = seen(walk, camera)
    assert trajectory_module.misfit_m(pose, px, confidence, FPS, camera) < 0.01  # of ears that COCO puts elsewhere
    noise = np.random.default_rng(0).normal(scale=0.05, size=pose.shape)
    found = trajectory_module.misfit_m((pose + noise).astype(np.float32), px, confidence, FPS, camera)
    assert found == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.15)  # the mean length of what is across the view
    upside_down = pose * np.float32([-1, -1, 1])
    assert trajectory_module.misfit_m(upside_down, px, confidence, FPS, camera) > 0.3


def test_a_person_who_lies_down_is_not_taken_for_upright() -> None:
    lying = standing(60)[..., [2, 1, 0]] * (1, 1, 1) + (0, 0, 0.25)  # along x
    joints = np.concatenate([standing(30), lying])
    camera = a_camera(azimuth=0.0)
    found = global_trajectory(*seen(joints, camera), FPS, nowhere(camera))
    assert np.rad2deg(np.arccos(found.camera.R_cam_world[:, 2] @ camera.R_cam_world[:, 2])) < 6


def test_poses_that_do_not_fit_are_named(walk: np.ndarray) -> None:
    camera = a_camera()
    pose, px, confidence = seen(walk, camera)
    sideways = (pose[..., [1, 0, 2]]).astype(np.float32)
    found = global_trajectory(sideways, px, confidence, FPS, nowhere(camera))
    assert any(note.startswith("fit: ") for note in found.notes)


def test_a_body_that_tells_nothing_of_gravity_is_named() -> None:
    joints = standing(4)
    joints[:, ANKLES] = joints[:, [1, 4]] + (0.0, 0.5, 0.1)  # a body bent double
    joints[:, [2, 5]] = joints[:, [1, 4]] + (0.0, 0.25, 0.4)
    joints += np.linspace(0, 1, 4)[:, None, None] * (1.0, 0.0, 0.0)
    camera = a_camera()
    found = global_trajectory(*seen(joints, camera), FPS, nowhere(camera))
    assert found.up_error_deg > trajectory_module.UNSURE_DEG
    assert any(note.startswith("gravity: uncertain") for note in found.notes)


# --- the trajectory -----------------------------------------------------------------------------------------------


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_person_who_glides_is_found_where_they_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.4, (30, 17, 3)) * (np.arange(17) > 0)[:, None]
    camera = nowhere(a_camera(radial=np.array([rng.uniform(-0.1, 0.1), 0.0, 0.0])))
    root = rng.uniform((-1, -0.5, 4), (1, 0.5, 7)) + np.linspace(0, 1, 30)[:, None] * rng.uniform(-0.5, 0.5, 3)
    px = camera.cam_to_px(coco(pose + root[:, None]))
    found = root_trajectory(sighted(pose, px, np.ones((30, 17)), FPS, camera))
    np.testing.assert_allclose(found.root_cam, root, atol=0.02)  # what keeps gaps calm slows the ends down a little
    assert found.weight.min() > 0.9


def test_depth_and_size_cannot_be_told_apart(walk: np.ndarray) -> None:
    camera = nowhere(a_camera())
    pose, px, confidence = seen(walk, a_camera())
    one = root_trajectory(sighted(pose.astype(np.float64), px, confidence, FPS, camera)).root_cam
    two = root_trajectory(sighted(2 * pose.astype(np.float64), px, confidence, FPS, camera)).root_cam
    np.testing.assert_allclose(two, 2 * one, rtol=1e-3, atol=2e-3)


def test_wrong_keypoints_hardly_move_the_trajectory(walk: np.ndarray) -> None:
    camera = nowhere(a_camera())
    pose, px, confidence = seen(walk, a_camera())
    clean = root_trajectory(sighted(pose.astype(np.float64), px, confidence, FPS, camera))
    left, right = COCO_17.left, COCO_17.right
    px[20:26, [*left, *right]] = px[20:26, [*right, *left]]
    px[40:, COCO_17.index("LWrist")] += 300
    wrong = root_trajectory(sighted(pose.astype(np.float64), px, confidence, FPS, camera))
    assert np.linalg.norm(wrong.root_cam - clean.root_cam, axis=-1).max() < 0.1
    assert wrong.weight[40:, LIMBS.index("LWrist")].max() < 0.1


def test_doubtful_keypoints_count_less(walk: np.ndarray) -> None:
    camera = nowhere(a_camera())
    pose, px, confidence = seen(walk, a_camera())
    sight = sighted(pose.astype(np.float64), px, confidence, FPS, camera)
    shifted = px.copy()
    shifted[:, COCO_17.index("RKnee")] += 10
    errors = []
    for sure in (1.0, 0.1, 0.0):
        confidence[:, COCO_17.index("RKnee")] = sure
        moved = root_trajectory(sighted(pose.astype(np.float64), shifted, confidence, FPS, camera))
        errors.append(np.abs(moved.root_cam[:, :2] - root_trajectory(sight).root_cam[:, :2]).mean())
    assert errors[0] > 3 * errors[1] > 3 * errors[2]


# --- gravity and floor --------------------------------------------------------------------------------------------


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_feet_spread_over_the_floor_tell_the_way_up(seed: int) -> None:
    """Places all over the floor, exact: they outweigh what is expected of the camera."""
    rng = np.random.default_rng(seed)
    pitch, roll = np.deg2rad(rng.uniform((0, -8), (35, 8)))
    down = np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])
    k, n = 24, 30
    rays = rng.uniform((-0.4, 0.05), (0.4, 0.3), size=(k, 2))
    rays = np.concatenate([rays, np.ones((k, 1))], axis=1)
    places = rays * (1.5 / (rays @ down))[:, None]
    feet = np.repeat(places, n, axis=0)[:, None].repeat(2, axis=1)  # both in one place, one after the other
    sight = Sight(
        np.zeros((k * n, 13, 3)), np.repeat(feet[:, :1, :2] / feet[:, :1, 2:], 13, 1), np.ones((k * n, 13)), FPS
    )
    first = np.arange(k) * n
    rests = Rests(np.zeros(k, dtype=int), first, first + n)
    weight = np.ones((k * n, 13))
    off = np.deg2rad(rng.uniform(-3, 3, 2))
    floor = ground.fit_floor(np.array([pitch, roll]) + off, np.deg2rad([6.0, 6.0]), sight, weight, feet, rests)
    assert np.rad2deg(np.arccos(min(1.0, floor.down_cam @ down))) < 1.5
    assert floor.below_m == pytest.approx(1.5, abs=0.06)
    np.testing.assert_allclose(floor.above(places), 0, atol=0.06)
    assert floor.error_deg < 3


def test_feet_in_one_place_leave_the_way_up_to_the_body() -> None:
    feet = np.tile([[[0.0, 1.0, 5.0]]], (60, 2, 1))
    sight = Sight(np.zeros((60, 13, 3)), np.tile([0.0, 0.2], (60, 13, 1)), np.ones((60, 13)), FPS)
    expected = np.deg2rad([10.0, 2.0])
    floor = ground.fit_floor(
        expected, np.deg2rad([4.0, 2.0]), sight, np.ones((60, 13)), feet, Rests.of(np.ones((60, 2), dtype=bool))
    )
    np.testing.assert_allclose(ground._pitch_and_roll(floor.down_cam), expected, atol=1e-3)
    np.testing.assert_allclose(floor.above(feet), 0, atol=1e-3)
    assert floor.error_deg == pytest.approx(np.hypot(4.0, 2.0), rel=0.05)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_standing_bodies_tell_the_way_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pitch, roll = np.deg2rad(rng.uniform((-5, -5), (20, 5)))
    turned = standing(30) @ Rotation.from_euler("z", rng.uniform(0, 360), degrees=True).as_matrix().T
    level = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # a level camera: x right, y down, z away
    R = Rotation.from_euler("z", -roll).as_matrix() @ Rotation.from_euler("x", pitch).as_matrix() @ level
    pose = (turned - turned[:, :1]) @ R.T
    down, error_rad = ground.body_down(pose, FPS)
    assert np.rad2deg(np.arccos(min(1.0, down @ -R[:, 2]))) < 1.5
    assert np.rad2deg(error_rad) < 7


def test_a_camera_that_looks_straight_down_has_a_world() -> None:
    floor = Floor(np.array([0.0, 0.0, 1.0]), 3.0, 0.0)
    placed = trajectory_module._in_world(nowhere(a_camera()), floor, np.array([0.0, 0.0, 2.0]))
    np.testing.assert_allclose(placed.R_cam_world, [[1, 0, 0], [0, -1, 0], [0, 0, -1]], atol=1e-9)
    np.testing.assert_allclose(placed.cam_to_world(np.array([0.0, 0.0, 2.0])), [0, 0, 1 + ground.ANKLE_M], atol=1e-9)


# --- scale --------------------------------------------------------------------------------------------------------


def test_stature_is_that_of_the_standing_person_whatever_they_do(walk: np.ndarray) -> None:
    assert stature(standing()) == pytest.approx(1.75, rel=0.03)
    assert stature(1.1 * walk) == pytest.approx(1.1 * stature(walk))
    turned = walk @ Rotation.random(random_state=0).as_matrix().T
    assert stature(turned) == pytest.approx(stature(walk))


# --- contacts -----------------------------------------------------------------------------------------------------


def test_a_foot_rests_from_slow_until_clearly_faster() -> None:
    slow, about, fast = 0.8 * ground.SLOW_M_S, 1.3 * ground.SLOW_M_S, 2.0 * ground.SLOW_M_S
    left = np.repeat([fast, about, slow, about, fast, about, fast], 10)
    right = np.full(70, fast)
    right[20:22] = slow  # too short
    low = np.zeros((70, 2))
    contacts = resting(np.stack([left, right], axis=1), low, FPS)
    np.testing.assert_array_equal(np.flatnonzero(contacts[:, 0]), np.arange(10, 40))
    assert not contacts[:, 1].any()


def test_a_raised_foot_does_not_rest() -> None:
    still = np.zeros((40, 2))
    above = np.stack([np.zeros(40), np.full(40, 2 * ground.LOW_M)], axis=1)
    np.testing.assert_array_equal(resting(still, above, FPS), above == 0)


@given(contacts=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_rests_are_the_stretches_of_contacts(contacts: list[tuple[bool, bool]]) -> None:
    given_contacts = np.array(contacts, dtype=bool)
    rests = Rests.of(given_contacts)
    again = np.zeros_like(given_contacts)
    frame, rest = rests.frames
    again[frame, rests.foot[rest]] = True
    np.testing.assert_array_equal(again, given_contacts)
    assert len(frame) == given_contacts.sum()  # no frame twice
    assert (rests.stop > rests.first).all()


# --- feet that stand ----------------------------------------------------------------------------------------------


def test_planted_ankles_stand_and_nothing_jumps(walk: np.ndarray) -> None:
    contacts = np.zeros((90, 2), dtype=bool)
    contacts[20:40, 0] = contacts[42:60, 0] = contacts[50:90, 1] = True
    rests = Rests.of(contacts)
    noise = 0.02 * np.random.default_rng(0).normal(size=(len(rests.foot), 3))
    places = np.stack(
        [walk[a:b, ANKLES[f]].mean(axis=0) for f, a, b in zip(rests.foot, rests.first, rests.stop, strict=True)]
    )
    joints = planted(walk, rests, places + noise, FPS)
    moved = joints - walk
    untouched = [j for j in range(17) if H36M_17.joints[j][1:] not in ("Knee", "Ankle")]
    np.testing.assert_array_equal(moved[:, untouched], 0)
    assert np.linalg.norm(moved[:, ANKLES], axis=-1).max() <= trajectory_module.FARTHEST_M + 1e-9
    np.testing.assert_allclose(moved[:10, ANKLES[0]], 0, atol=1e-12)  # long before
    feet = np.array(ANKLES)[rests.foot]
    off = np.linalg.norm(places + noise - joints[rests.first, feet], axis=-1)
    far = np.linalg.norm(places + noise - walk[rests.first, feet], axis=-1) >= trajectory_module.FARTHEST_M
    away = np.linalg.norm(places + noise - walk[rests.first, np.array(HIPS)[rests.foot]], axis=-1)
    legs = leg_lengths(walk)[rests.first].sum(axis=1)[np.arange(len(feet)), rests.foot]
    assert (off[~far & (away < legs)] < 1e-9).all()
    beyond = ~far & (away >= legs)
    np.testing.assert_allclose(off[beyond], (away - legs)[beyond], atol=1e-9)  # stretched towards it
    assert (~far & (away < legs)).any()


def leg_lengths(joints: np.ndarray) -> np.ndarray:
    """Of thighs and shins, left and right: (t, 2, 2)."""
    return np.stack(
        [
            np.linalg.norm(joints[:, ends] - joints[:, starts], axis=-1)
            for starts, ends in ((HIPS, KNEES), (KNEES, ANKLES))
        ],
        axis=1,
    )


@pytest.mark.parametrize("straight", [False, True])
def test_planting_a_foot_keeps_thigh_and_shin(walk: np.ndarray, straight: bool) -> None:
    joints = standing(90) if straight else walk
    contacts = np.zeros((90, 2), dtype=bool)
    contacts[20:40, 0] = contacts[50:80, 1] = True
    rests = Rests.of(contacts)
    above = joints[rests.first, np.array(ANKLES)[rests.foot]] + (0.01, 0.02, 0.04)
    placed = planted(joints, rests, above, FPS)
    assert np.abs(placed - joints)[:, KNEES].max() > 0.01
    np.testing.assert_allclose(leg_lengths(placed), leg_lengths(joints), atol=1e-9)


def test_a_correction_fades_and_is_bounded() -> None:
    contacts = np.zeros((60, 2), dtype=bool)
    contacts[25:35, 1] = True
    joints = standing(60)
    place = joints[:1, ANKLES[1]] + (0.0, 0.0, 1.0)
    moved = (planted(joints, Rests.of(contacts), place, FPS) - joints)[:, ANKLES[1], 2]
    np.testing.assert_allclose(moved[25:35], trajectory_module.FARTHEST_M)
    assert (np.diff(moved[:26]) >= -1e-12).all()
    assert (np.diff(moved[34:]) <= 1e-12).all()
    np.testing.assert_allclose(moved[:19], 0, atol=1e-12)
    np.testing.assert_allclose(moved[41:], 0, atol=1e-12)


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.update({k: a[k][:0] for k in ("pose3d_cam", "pose2d_px", "confidence")}), "of one frame or more"),
        (lambda a: a["pose3d_cam"].__setitem__((7, 2, 1), np.nan), "pose3d_cam is not finite in frame 7, RKnee"),
        (lambda a: a["pose2d_px"].__setitem__((9, 5, 0), np.nan), "pose2d_px is not finite in frame 9, LShoulder"),
        (lambda a: a["confidence"].__setitem__((0, 0), 1.5), r"confidence must lie in \[0, 1\]"),
        (lambda a: a["confidence"].fill(0), "no frame has keypoints that tell how far away the person is"),
        (lambda a: a["pose2d_px"].fill(500), "no frame has keypoints that tell how far away the person is"),
        (lambda a: a["pose3d_cam"].fill(0), "the poses have no extent"),
        (lambda a: a.update(fps=0.0), "0.0 frames per second: wanted a positive number"),
        (lambda a: a.update(height_m=175.0), "a height of 175: wanted meters, 0.4 to 2.6"),
        (lambda a: a.update(pose3d_cam=-a["pose3d_cam"]), "no place in front of the camera"),
    ],
)
def test_what_cannot_be_is_refused(change: Any, message: str) -> None:
    camera = a_camera()
    pose, px, confidence = seen(standing(), camera)
    arguments: dict[str, Any] = {
        "pose3d_cam": pose,
        "pose2d_px": px,
        "confidence": confidence,
        "fps": FPS,
        "camera": nowhere(camera),
    }
    change(arguments)
    with pytest.raises(ValueError, match=message):
        global_trajectory(**arguments)


def test_arrays_of_other_shapes_are_refused() -> None:
    pose, px, confidence = seen(standing(), a_camera())
    with pytest.raises(ValueError, match=r"pose2d_px has shape \(59, 17, 2\); wanted \(60, 17, 2\)"):
        check_lifted(pose, px[:-1], confidence, FPS)  # `global_trajectory` has its shapes checked


# --- real motion capture ------------------------------------------------------------------------------------------


def as_lifted(clip: Clip) -> tuple[Camera, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """A random camera, its true joints, and what detector and lifter would make of the clip: noise of about 50 mm."""
    seed = zlib.crc32(clip.name.encode())
    rng = np.random.default_rng(seed)
    (camera,) = random_rig(clip.joints_world, seed, 1)
    joints_cam = camera.world_to_cam(clip.joints_world)
    px, confidence = DetectorNoise().observe(camera.cam_to_px(coco(joints_cam)), COCO_17, FPS, seed)
    noise = 0.022 * rng.normal(size=(-(-clip.frames // 9) + 2, 17, 3)) * (0.8, 0.8, 1.6)  # a knot every 0.3 s
    smooth = np.stack(
        [np.interp(np.arange(clip.frames) / 9, np.arange(len(noise)), n) for n in noise.reshape(-1, 51).T]
    )
    pose = joints_cam - joints_cam[:, :1] + smooth.T.reshape(-1, 17, 3) * (np.arange(17) > 0)[:, None]
    return camera, joints_cam, (pose.astype(np.float32), px, confidence)


def slide_m_s(joints: np.ndarray, resting: np.ndarray) -> float:
    speed = np.linalg.norm(np.diff(joints[:, ANKLES], axis=0), axis=-1) * FPS
    return float(speed[resting[1:] & resting[:-1]].mean())


def test_people_of_motion_capture_stand_on_the_floor(actlift_data: Path) -> None:
    clips = {c.action: c for c in read_mocap_npz(actlift_data / "mocap" / "hdm05.npz") if c.subject == "HDMbd"}
    up_deg, floor_m, before, after, root_before, root_after = ([] for _ in range(6))
    hits = found_contacts = true_contacts = 0
    for action in ("Kicking", "LieDown", "PickUp", "ReachHigh", "Running", "Sneaking", "Squat", "Throwing"):
        clip = clips[action].resampled(FPS)
        camera, joints_cam, lifted = as_lifted(clip)
        found: GlobalTrajectory = global_trajectory(*lifted, FPS, nowhere(camera))
        true = in_view_of(camera, clip.joints_world.astype(np.float64))
        ankles = clip.joints_world[:, ANKLES].astype(np.float64)
        speed = np.linalg.norm(np.gradient(ankles, axis=0), axis=-1) * FPS
        rests = (speed < 0.3) & (ankles[..., 2] < 0.18)
        free = root_trajectory(sighted(lifted[0].astype(np.float64), *lifted[1:], FPS, nowhere(camera))).root_cam
        up_deg.append(np.rad2deg(np.arccos(found.camera.R_cam_world[:, 2] @ camera.R_cam_world[:, 2])))
        floor_m.append(abs((found.joints_world[:, ANKLES, 2] - ankles[..., 2])[rests].mean()))
        before.append(slide_m_s(lifted[0] + free[:, None], rests))
        after.append(slide_m_s(found.joints_world, rests))
        root_before.append(np.linalg.norm(free - joints_cam[:, 0], axis=-1).mean())
        root_after.append(
            np.linalg.norm(found.camera.world_to_cam(found.joints_world[:, 0]) - joints_cam[:, 0], axis=-1).mean()
        )
        assert np.linalg.norm(found.joints_world[:, 0] - true[:, 0], axis=-1).mean() < 0.4
        hits += (found.contacts & rests).sum()
        found_contacts += found.contacts.sum()
        true_contacts += rests.sum()
    assert np.median(up_deg) < 4
    assert max(up_deg) < 10
    assert np.mean(floor_m) < 0.04
    assert np.mean(after) < 0.2 * np.mean(before)
    assert np.mean(root_after) < np.mean(root_before)
    assert hits / found_contacts > 0.8
    assert hits / true_contacts > 0.9
