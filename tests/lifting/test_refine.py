"""Refinement: bodies that are known come back, symmetries hold, and the minimum is that of another making."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.camera import Camera
from actlift.geometry.framing import guessed_camera
from actlift.geometry.sight import LIMBS, shared_joints, sighted
from actlift.geometry.skeleton import COCO_17, H36M_17, mirror_points
from actlift.geometry.trajectory import root_trajectory
from actlift.lifting import refine as refinement
from actlift.lifting.refine import CausalRefiner, refine, trust

FPS = 30.0
CAMERA = guessed_camera(1280, 720)
SEEN = [H36M_17.index(joint) for joint in LIMBS]


@pytest.fixture(scope="module")
def walk() -> np.ndarray:
    """Somebody who walks 4 m before the camera, in its frame, with bones of constant length: (60, 17, 3)."""
    clip = next(iter(synthetic_clips(0, subjects=1, clips=1, seconds=2.0, fps=FPS, actions=["Walking"])))
    joints = clip.joints_world.astype(np.float64) - clip.joints_world[:, :1].mean(axis=0)
    return joints @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T + (0.2, 0.1, 4.0)


def keypoints(joints_cam: np.ndarray, camera: Camera = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Exact keypoints of COCO-17 in pixels, the face between Neck and Head, all sure."""
    points_px = camera.cam_to_px(shared_joints(joints_cam))
    order = [LIMBS.index(joint) if joint in LIMBS else len(LIMBS) for joint in COCO_17.joints]
    return points_px[:, order], np.ones((len(joints_cam), len(COCO_17)))


def as_lifted(joints_cam: np.ndarray, seed: int = 0) -> np.ndarray:
    """Poses as a lifter has them: bones turned by 9 degrees or so, and longer and shorter by 10 %, both slowly."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, np.pi, len(joints_cam))[:, None]
    pose = np.zeros_like(joints_cam)
    for child, parent in H36M_17.bones:
        bone = joints_cam[:, child] - joints_cam[:, parent]
        long = np.linalg.norm(bone, axis=-1, keepdims=True)
        turned = bone / long + sum(0.11 * rng.normal(size=3) / np.sqrt(3) * np.cos(k * t) for k in range(5))
        turned /= np.linalg.norm(turned, axis=-1, keepdims=True)
        wave = np.exp(0.14 * np.cos(rng.integers(2, 6) * t + rng.uniform(0, 2 * np.pi)))
        pose[:, child] = pose[:, parent] + long * wave * turned
    return pose


def relative(joints: np.ndarray) -> np.ndarray:
    return joints - joints[:, :1]


def apart_m(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(relative(first) - relative(second), axis=-1).mean())


def off_rays_m(joints_cam: np.ndarray, points_px: np.ndarray, camera: Camera = CAMERA) -> np.ndarray:
    """(t, 12) distances of limb joints from the rays of their keypoints."""
    rays = camera.px_to_cam(points_px[:, [COCO_17.index(joint) for joint in LIMBS]], np.ones((len(points_px), 12)))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return np.linalg.norm(np.cross(joints_cam[:, SEEN], rays), axis=-1)


def bone_lengths(pose: np.ndarray) -> np.ndarray:
    return np.stack([np.linalg.norm(pose[:, a] - pose[:, b], axis=-1) for a, b in H36M_17.bones], axis=1)


# --- what comes back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("still", "off_m"), [(True, 1e-4), (False, 0.01)])
def test_what_is_true_stays(walk, still, off_m):
    """Where the pelvis is known. A walk's is smooth along the view and so a little off."""
    joints = np.repeat(walk[:1], 60, axis=0) if still else walk
    found = refine(relative(joints), *keypoints(joints), FPS, CAMERA)
    np.testing.assert_allclose(found.pose3d_cam, relative(joints), atol=off_m)
    np.testing.assert_allclose(found.root_cam, joints[:, 0], atol=3 * off_m)
    np.testing.assert_allclose(found.lengths_m, bone_lengths(joints)[0], rtol=off_m)
    assert apart_m(found.pose3d_cam, joints) < off_m / 5


@pytest.mark.parametrize("seed", range(3))
def test_lifted_poses_come_nearer_to_their_rays_and_to_the_truth(walk, seed):
    lifted = as_lifted(walk, seed)
    points_px, confidence = keypoints(walk)
    before = lifted + root_trajectory(sighted(lifted, points_px, confidence, FPS, CAMERA)).root_cam[:, None]
    found = refine(lifted, points_px, confidence, FPS, CAMERA)
    off_m = off_rays_m(found.pose3d_cam + found.root_cam[:, None], points_px)
    assert off_rays_m(before, points_px).mean() > 0.015
    assert off_m.mean() < 0.005
    assert np.quantile(off_m, 0.99) < 0.015
    assert apart_m(found.pose3d_cam, walk) < 0.85 * apart_m(lifted, walk)
    speeds = [
        apart_m(np.diff(relative(pose), axis=0), np.diff(relative(walk), axis=0)) for pose in (found.pose3d_cam, lifted)
    ]
    assert speeds[0] < speeds[1]


def test_bones_are_constant_and_left_is_as_long_as_right(walk):
    lifted = as_lifted(walk)
    found = refine(lifted.astype(np.float32), *keypoints(walk), FPS, CAMERA)
    lengths = bone_lengths(found.pose3d_cam)
    assert found.pose3d_cam.dtype == np.float32
    assert bone_lengths(lifted).std(axis=0).max() > 0.01
    np.testing.assert_allclose(lengths, np.broadcast_to(found.lengths_m, lengths.shape), atol=1e-5)
    of = dict(zip([H36M_17.joints[child] for child, _ in H36M_17.bones], found.lengths_m, strict=True))
    for joint in H36M_17.left:
        assert of[H36M_17.joints[joint]] == of[H36M_17.joints[H36M_17.mirror[joint]]]
    np.testing.assert_array_equal(found.pose3d_cam[:, 0], 0)


def test_a_joint_that_is_not_seen_goes_where_the_lifter_has_it(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    wrist = COCO_17.index("LWrist")
    confidence[20:, wrist] = 0
    points_px[20:, wrist] = np.nan
    found = refine(lifted, points_px, confidence, FPS, CAMERA)
    points_px[20:, wrist] = 1e4
    np.testing.assert_array_equal(refine(lifted, points_px, confidence, FPS, CAMERA).pose3d_cam, found.pose3d_cam)
    forearms = [p[30:, H36M_17.index("LWrist")] - p[30:, H36M_17.index("LElbow")] for p in (found.pose3d_cam, lifted)]
    first, second = (bone / np.linalg.norm(bone, axis=-1, keepdims=True) for bone in forearms)
    assert np.rad2deg(np.arccos((first * second).sum(axis=-1).clip(-1, 1))).max() < 8


def test_frames_without_keypoints_keep_the_lifters_directions(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    confidence[25:45] = 0
    found = refine(lifted, points_px, confidence, FPS, CAMERA)
    assert np.isfinite(found.pose3d_cam).all()
    assert apart_m(found.pose3d_cam[25:45], lifted[25:45]) < 0.08
    assert apart_m(found.pose3d_cam, walk) < apart_m(lifted, walk)


def test_what_the_detector_is_not_sure_of_counts_less(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    moved = points_px + (0, 15.0) * (np.arange(17) == COCO_17.index("RKnee"))[:, None]
    off = []
    for sure in (1.0, 0.5, 0.05):
        confidence[:, COCO_17.index("RKnee")] = sure
        found = refine(lifted, moved, confidence, FPS, CAMERA)
        off.append(off_rays_m(found.pose3d_cam + found.root_cam[:, None], moved)[:, LIMBS.index("RKnee")].mean())
    assert off[0] < off[1] < off[2]


def test_one_wild_keypoint_does_not_carry_the_body_away(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    clean = refine(lifted, points_px, confidence, FPS, CAMERA).pose3d_cam
    points_px[30, COCO_17.index("RAnkle")] += 200
    found = refine(lifted, points_px, confidence, FPS, CAMERA).pose3d_cam
    assert np.linalg.norm(found - clean, axis=-1).max() < 0.15
    assert apart_m(found, clean) < 0.01


# --- symmetries ---------------------------------------------------------------------------------------------------


def test_mirrored_input_gives_the_mirrored_motion(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    mirrored_px = ((CAMERA.width, 0) + points_px * (-1, 1))[:, list(COCO_17.mirror)]
    found = refine(lifted, points_px, confidence, FPS, CAMERA)
    other = refine(mirror_points(lifted, H36M_17), mirrored_px, confidence, FPS, CAMERA)
    np.testing.assert_allclose(other.pose3d_cam, mirror_points(found.pose3d_cam, H36M_17), atol=1e-6)


def test_time_backwards_gives_the_motion_backwards(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    found = refine(lifted, points_px, confidence, FPS, CAMERA)
    other = refine(lifted[::-1].copy(), points_px[::-1].copy(), confidence, FPS, CAMERA)
    np.testing.assert_allclose(other.pose3d_cam[::-1], found.pose3d_cam, atol=1e-6)


def test_the_unit_of_the_image_does_not_matter(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    large = replace(CAMERA, focal_px=3 * CAMERA.focal_px, center_px=3 * CAMERA.center_px, width=3840, height=2160)
    found = refine(lifted, points_px, confidence, FPS, CAMERA)
    np.testing.assert_allclose(
        refine(lifted, 3 * points_px, confidence, FPS, large).pose3d_cam, found.pose3d_cam, atol=1e-6
    )


# --- the minimum --------------------------------------------------------------------------------------------------


def test_the_pose_is_a_minimum_by_another_making(walk, monkeypatch):
    """The residuals of the module docstring, written joint by joint, minimized with derivatives by differences."""
    monkeypatch.setattr(refinement, "STEPS", 30)
    lifted = as_lifted(walk)[::20]
    points_px, confidence = keypoints(walk[::20])
    confidence *= np.linspace(0.6, 1.0, 17)
    found = refine(lifted, points_px, confidence, 2.0, CAMERA)
    sight = sighted(lifted, points_px, confidence, 2.0, CAMERA)
    root = root_trajectory(sight).root_cam
    weight = np.sqrt(trust(sight.rays, sight.confidence))
    t = len(lifted)

    def residuals(values):
        roots, aims = np.split(values.reshape(t, 51), [3], axis=1)
        aims = aims.reshape(t, 16, 3)
        aims = aims / np.linalg.norm(aims, axis=-1, keepdims=True)
        rows, before = [], None
        for frame in range(t):
            joints, errors = {0: roots[frame]}, []
            for b, (child, parent) in enumerate(H36M_17.bones):
                joints[child] = joints[parent] + found.lengths_m[b] * aims[frame, b]
                bone = lifted[frame, child] - lifted[frame, parent]
                errors.append((aims[frame, b] - bone / np.linalg.norm(bone)) / refinement.AIM)
            seen = shared_joints(np.stack([joints[j] for j in range(17)])[None])[0]
            for j, (x, y, z) in enumerate(seen):
                r = weight[frame, j] * np.hypot(*(np.array([x, y]) - sight.rays[frame, j] * z)) / z
                rows.append([refinement.OUTLIER * np.sqrt(np.log1p((r / refinement.OUTLIER) ** 2))])
            rows += [np.ravel(errors), (roots[frame] - root[frame]) / refinement.ROOT_M]
            if before is not None:
                rows.append(refinement.DRIFT_S * 2.0 * (np.ravel(errors) - before))
            before = np.ravel(errors)
        return np.concatenate(rows)

    bones = np.stack([found.pose3d_cam[:, a] - found.pose3d_cam[:, b] for a, b in H36M_17.bones], axis=1)
    start = np.concatenate([found.root_cam, bones.reshape(t, -1)], axis=1).ravel()
    cost = 0.5 * (residuals(start) ** 2).sum()
    assert least_squares(residuals, start, max_nfev=20).cost > 0.999 * cost
    rng = np.random.default_rng(0)
    assert all(0.5 * (residuals(start + 0.005 * rng.normal(size=start.shape)) ** 2).sum() > cost for _ in range(5))


def test_few_frames_are_refined_too(walk):
    for frames in (1, 2, 3):
        lifted = as_lifted(walk)[:frames]
        found = refine(lifted, *keypoints(walk[:frames]), FPS, CAMERA).pose3d_cam
        assert apart_m(found, walk[:frames]) < apart_m(lifted, walk[:frames])


def test_time_grows_with_frames_and_no_faster(walk):
    def seconds(frames):
        joints = walk[np.arange(frames) % len(walk)]
        lifted, (points_px, confidence) = as_lifted(joints), keypoints(joints)
        began = time.process_time()
        refine(lifted, points_px, confidence, FPS, CAMERA)
        return time.process_time() - began

    seconds(60)
    short, long = (min(seconds(frames) for _ in range(2)) for frames in (200, 1600))
    assert long < 3 * 8 * short
    assert 1600 / long > 300  # frames per second


# --- as they come -------------------------------------------------------------------------------------------------


def test_live_poses_do_not_depend_on_what_comes_nor_on_pieces(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    whole = CausalRefiner(FPS, CAMERA)(lifted, points_px, confidence)
    pieces = CausalRefiner(FPS, CAMERA)
    parts = [pieces(lifted[a:b], points_px[a:b], confidence[a:b]) for a, b in ((0, 1), (1, 20), (20, 35))]
    np.testing.assert_allclose(np.concatenate(parts), whole[:35], atol=1e-12)
    pieces.reset()
    np.testing.assert_allclose(pieces(lifted[:5], points_px[:5], confidence[:5]), whole[:5], atol=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_live_poses_come_nearer_to_the_truth_and_their_bones_settle(walk, seed):
    lifted = as_lifted(walk, seed)
    found = CausalRefiner(FPS, CAMERA)(lifted, *keypoints(walk))
    assert apart_m(found, walk) < 0.9 * apart_m(lifted, walk)
    lengths = bone_lengths(found)
    assert lengths[30:].std(axis=0).max() < 0.5 * bone_lengths(lifted)[30:].std(axis=0).max()
    assert np.abs(np.diff(lengths[30:], axis=0)).max() < 0.002
    for joint in H36M_17.left:
        bones = [child for child, _ in H36M_17.bones]
        np.testing.assert_allclose(lengths[:, bones.index(joint)], lengths[:, bones.index(H36M_17.mirror[joint])])


def test_live_poses_stay_until_somebody_is_seen_and_go_on_when_nobody_is(walk):
    lifted = as_lifted(walk)
    points_px, confidence = keypoints(walk)
    confidence[:10] = confidence[40:] = 0
    points_px[confidence == 0] = np.nan
    found = CausalRefiner(FPS, CAMERA)(lifted, points_px, confidence)
    np.testing.assert_array_equal(found[:10], lifted[:10])
    assert np.isfinite(found).all()
    assert apart_m(found[10:40], walk[10:40]) < apart_m(lifted[10:40], walk[10:40])
    assert apart_m(found[55:], lifted[55:]) < 0.06


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.update(fps=0.0), "wanted a positive number"),
        (lambda a: a["pose3d_cam"].__setitem__((3, 2), np.nan), "pose3d_cam is not finite in frame 3, RKnee"),
        (lambda a: a["pose2d_px"].__setitem__((4, 9), np.nan), "pose2d_px is not finite in frame 4, LWrist"),
        (lambda a: a.update(confidence=2 * a["confidence"]), r"confidence must lie in \[0, 1\]"),
        (lambda a: a.update(confidence=0 * a["confidence"]), "how far away the person is"),
    ],
)
def test_what_cannot_be_is_refused(walk, change, words):
    points_px, confidence = keypoints(walk)
    given = {
        "pose3d_cam": as_lifted(walk),
        "pose2d_px": points_px,
        "confidence": confidence,
        "fps": FPS,
        "camera": CAMERA,
    }
    change(given)
    with pytest.raises(ValueError, match=words):
        refine(**given)


@pytest.mark.parametrize("fps", [0.0, np.nan, np.inf])
def test_live_rates_that_cannot_be_are_refused(fps):
    with pytest.raises(ValueError, match="wanted a positive number"):
        CausalRefiner(fps, CAMERA)
