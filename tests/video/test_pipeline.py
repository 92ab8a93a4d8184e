"""From videos and keypoints to motions and files: the right one, or one clear error and nothing half-written.

Videos are of painted people (`painted`), so that everything runs but the network of a real detector.
"""

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tests.commands import here
from tests.painted import Dots, Seen, film, seen, together

import actlift as package
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.errors import UnusableKeypointsError
from actlift.evaluation.metrics import p_mpjpe
from actlift.geometry.camera import random_rig
from actlift.geometry.framing import guessed_camera
from actlift.geometry.skeleton import COCO_17, H36M_17
from actlift.lifting.smoothing import CUTOFF_HZ, CausalSmoother, butterworth
from actlift.motion.arrays import read_motion
from actlift.motion.motion import Motion
from actlift.video.detectors import DETECTORS
from actlift.video.detectors.base import Detections
from actlift.video.keypoints.layouts import BODY_25
from actlift.video.pipeline import Lifters, at_rate, lift_track, lift_video, reprojection
from actlift.video.save import CHOICES, save_motions

av = pytest.importorskip("av", reason="PyAV is not installed")

FILES = ("npz", "csv", "json", "bvh", "trc", "glb", "html")
ANKLES = [COCO_17.index("LAnkle"), COCO_17.index("RAnkle")]


@pytest.fixture(scope="session")
def lifters() -> Lifters:
    return Lifters()


@pytest.fixture(scope="session")
def walker() -> Seen:
    return seen("Walking", seconds=1.5)


@pytest.fixture(scope="session")
def walk(walker, lifters) -> Motion:
    """The walker, lifted from their exact keypoints."""
    return lift_track(walker.track(), *walker.size, lifters=lifters)


@pytest.fixture(scope="session")
def clip(walker, tmp_path_factory) -> Path:
    """A video of the walker."""
    return film(tmp_path_factory.mktemp("video") / "walk.mp4", together(walker.points_px), walker.size)


def error_mm(joints: np.ndarray, truth: np.ndarray) -> float:
    """Mean P-MPJPE in millimeters."""
    return 1000 * float(p_mpjpe(joints.astype(np.float64), truth.astype(np.float64)).mean())


def relative(joints: np.ndarray) -> np.ndarray:
    return joints - joints[:, :1]


def apart_mm(joints: np.ndarray, others: np.ndarray) -> float:
    """Mean distance of joints relative to the pelvis, in millimeters."""
    return 1000 * float(np.linalg.norm(relative(joints) - relative(others), axis=-1).mean())


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def covers(motion: Motion) -> None:
    """The timeline has no gaps and holds every frame; so do no warnings lie outside."""
    parts = motion.action_timeline
    assert parts[0].start_s == pytest.approx(motion.start_s)
    assert all(one.stop_s == pytest.approx(other.start_s) for one, other in pairwise(parts))
    assert all(part.start_s < part.stop_s and 0 <= part.probability <= 1 for part in parts)
    assert parts[-1].stop_s > motion.times_s[-1]
    assert all(one.label != other.label for one, other in pairwise(parts))
    assert all(w.start_s >= motion.start_s - 1e-9 and w.stop_s > w.start_s for w in motion.warnings)


# ---- one person


@pytest.mark.parametrize(
    ("action", "seed", "name"),
    [
        ("Walking", 0, "aware"),
        ("Walking", 1, "aware"),
        ("Walking", 2, "generalist"),
        ("Walking", 0, "causal"),
        ("Squat", 0, "aware"),
    ],
)
def test_poses_are_near_the_truth(action, seed, name):
    who = seen(action, seconds=2.0, seed=seed)
    motion = lift_track(who.track(), *who.size, lifters=Lifters(name))
    off = error_mm(motion.joints_world, who.joints_world)
    assert off < 120
    assert motion.about["lifter"] == f"actlift {name}"
    covers(motion)


def test_the_poses_are_those_of_their_frames(walker, walk):
    """Frames out of step are farther off."""
    shifted = [
        error_mm(walk.joints_world[8:], walker.joints_world[8 - k : len(walker.joints_world) - k]) for k in (0, 8)
    ]
    assert shifted[0] < 0.8 * shifted[1]


def test_mirrored_keypoints_give_the_mirrored_motion(walker, walk, lifters):
    width, _ = walker.size
    mirrored = (np.array([width, 0]) + np.array([-1, 1]) * walker.points_px)[:, list(COCO_17.mirror)]
    motion = lift_track(walker.track(points_px=mirrored), *walker.size, lifters=lifters)
    back = motion.joints_world[:, list(H36M_17.mirror)] * (-1, 1, 1)
    assert apart_mm(back, walk.joints_world) < 10
    assert np.abs(back - walk.joints_world).max() < 0.1
    assert (motion.contacts[:, ::-1] == walk.contacts).mean() > 0.9


@pytest.mark.parametrize(("zoom", "shift"), [(0.6, (0, 0)), (1.0, (40, 10)), (0.7, (-30, 5))])
def test_where_and_how_large_people_are_hardly_matters(walker, walk, lifters, zoom, shift):
    middle = walker.points_px.mean(axis=(0, 1))
    moved = middle + zoom * (walker.points_px - middle) + shift
    motion = lift_track(walker.track(points_px=moved), *walker.size, lifters=lifters)
    assert error_mm(motion.joints_world, walk.joints_world) < 30


def test_the_unit_of_the_image_does_not_matter(walker, walk, lifters):
    large = [4 * side for side in walker.size]
    motion = lift_track(walker.track(points_px=4 * walker.points_px), *large, lifters=lifters)
    np.testing.assert_allclose(motion.joints_world, walk.joints_world, atol=2e-3)


def test_a_height_sets_the_scale(walker, walk, lifters):
    tall, small = (lift_track(walker.track(), *walker.size, lifters=lifters, height_m=h) for h in (2.0, 1.0))
    assert (tall.about["height_m"], small.about["height_m"]) == (2.0, 1.0)
    upright = [float(np.ptp(motion.joints_world[..., 2])) for motion in (tall, small)]
    assert upright[0] == pytest.approx(2 * upright[1], rel=0.03)
    assert apart_mm(tall.joints_world, 2 * small.joints_world) < 10
    assert 1.4 < walk.about["height_m"] < 2.1
    assert "1 m, as told" in small.about["scale"]
    assert "average" in walk.about["scale"]


def test_poses_are_smoothed_unless_told_otherwise(walker, walk, lifters):
    track = walker.track()
    told = lift_track(track, *walker.size, lifters=lifters, smoothing_hz=CUTOFF_HZ)
    np.testing.assert_array_equal(told.joints_world, walk.joints_world)
    rough, smooth = (
        lift_track(track, *walker.size, lifters=lifters, smoothing_hz=hz, refine=False) for hz in (None, CUTOFF_HZ)
    )
    poses = [relative(m.camera.world_to_cam(m.joints_world.astype(np.float64))) for m in (rough, smooth)]
    scale = np.ptp(poses[1], axis=(0, 1)).max() / np.ptp(poses[0], axis=(0, 1)).max()
    np.testing.assert_allclose(poses[1], scale * butterworth(poses[0], walk.fps, CUTOFF_HZ), atol=0.015)
    jitter = [np.linalg.norm(np.diff(pose, n=2, axis=0), axis=-1).mean() for pose in poses]
    assert jitter[1] < 0.9 * jitter[0]
    np.testing.assert_array_equal(rough.pose2d_px, walk.pose2d_px)
    assert rough.about["smoothing"] == "keypoints at 4 Hz, poses not"
    assert walk.about["smoothing"] == f"keypoints at 4 Hz, poses at {CUTOFF_HZ:g} Hz"


def test_poses_are_refined_unless_told_otherwise(walker, walk, lifters):
    track = walker.track()
    told, lifted = (lift_track(track, *walker.size, lifters=lifters, refine=on) for on in (True, False))
    np.testing.assert_array_equal(told.joints_world, walk.joints_world)

    def spread_mm(motion):
        lengths = [
            np.linalg.norm(motion.joints_world[:, a] - motion.joints_world[:, b], axis=-1) for a, b in H36M_17.bones
        ]
        return 1000 * np.std(lengths, axis=1)

    assert spread_mm(walk).max() < 1  # feet are planted after it
    assert spread_mm(lifted).max() > 5
    off = [reprojection(m.pose2d_px, m.camera, m.joints_world).mean() for m in (walk, lifted)]
    assert off[0] < 0.6 * off[1]
    assert error_mm(walk.joints_world, walker.joints_world) < error_mm(lifted.joints_world, walker.joints_world)
    assert walk.about["refined"] == "onto keypoints, with bones of constant length"
    assert lifted.about["refined"] == "not"


def test_what_the_lifter_did_not_learn_is_told_of_refined_poses_too(walker, lifters, monkeypatch):
    monkeypatch.setitem(lifters.card, "reprojection", {"limit": 0.0})
    told, lifted = (lift_track(walker.track(), *walker.size, lifters=lifters, refine=on) for on in (True, False))
    assert [w.label for w in told.warnings] == [w.label for w in lifted.warnings]
    assert any("unlike what the lifter learnt" in w.label for w in told.warnings)


def test_a_camera_may_be_given(walker, lifters):
    told = replace(walker.camera, R_cam_world=np.eye(3), t_cam_world=np.zeros(3))
    motion = lift_track(walker.track(), *walker.size, lifters=lifters, camera=told)
    assert motion.about["camera"] == "given"
    np.testing.assert_array_equal(motion.camera.focal_px, walker.camera.focal_px)
    assert error_mm(motion.joints_world, walker.joints_world) < 100
    seen_px = motion.camera.cam_to_px(motion.camera.world_to_cam(motion.joints_world))
    limbs = [H36M_17.index(joint) for joint in COCO_17.joints[5:]]
    assert np.median(np.linalg.norm(seen_px[:, limbs] - motion.pose2d_px[:, 5:], axis=-1)) < 4


def askew(who: Seen, degrees: float) -> Seen:
    """The same as a camera sees it that is turned about its axis; its lens does not distort."""
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    camera = replace(
        guessed_camera(*who.size), R_cam_world=turn @ who.camera.R_cam_world, t_cam_world=turn @ who.camera.t_cam_world
    )
    joints = camera.world_to_cam(who.joints_world)
    thorax, neck = (joints[:, H36M_17.index(name)] for name in ("Thorax", "Neck"))
    ears = np.repeat((thorax + 4 / 3 * (neck - thorax))[:, None], 5, axis=1)
    limbs = joints[:, [H36M_17.index(name) for name in COCO_17.joints[5:]]]
    return replace(who, points_px=camera.cam_to_px(np.concatenate([ears, limbs], axis=1)), camera=camera)


def in_the_camera(motion: Motion) -> np.ndarray:
    """Joints relative to the pelvis, in the axes of the camera."""
    return relative(motion.camera.world_to_cam(motion.joints_world.astype(np.float64)))


@pytest.mark.parametrize("name", ["aware", "causal"])
@pytest.mark.parametrize("roll_deg", [10, 20, 30, 45, 90, -135, 180])
def test_a_camera_held_askew_sees_the_same_motion(walker, roll_deg, name):
    """Turned by as much, and it stands upright in the world. Up to 10 degrees it may be left as it is."""
    lifters = Lifters(name)
    level, turned = (
        lift_track(who.track(), *who.size, lifters=lifters) for who in (askew(walker, 0), askew(walker, roll_deg))
    )
    assert level.about["roll_deg"] == 0
    assert abs((turned.about["roll_deg"] + roll_deg + 180) % 360 - 180) < 10
    back = in_the_camera(turned) @ Rotation.from_euler("z", roll_deg, degrees=True).as_matrix()
    small = abs(roll_deg) <= 10
    assert 1000 * np.linalg.norm(back - in_the_camera(level), axis=-1).mean() < (60 if small else 35)
    assert turned.action_timeline[0].label == level.action_timeline[0].label
    if not small:
        up = turned.camera.R_cam_world[:, 2] @ Rotation.from_euler("z", roll_deg, degrees=True).as_matrix()
        assert np.rad2deg(np.arccos(up @ level.camera.R_cam_world[:, 2])) < 8


def test_a_level_camera_sees_what_it_saw_before_cameras_were_turned(walker, lifters, monkeypatch):
    now = lift_track(walker.track(), *walker.size, lifters=lifters)
    monkeypatch.setattr("actlift.video.pipeline.LEVEL_DEG", 360.0)
    np.testing.assert_array_equal(
        lift_track(walker.track(), *walker.size, lifters=lifters).joints_world, now.joints_world
    )


def test_a_camera_whose_rotation_is_known_is_turned_by_that(walker, lifters):
    """Whatever the person does: here they seem to lie in a camera that is held level."""
    lies = askew(walker, 90)
    level = lift_track(askew(walker, 0).track(), *walker.size, lifters=lifters)
    for known, roll_deg in ((lies.camera, -90.0), (askew(walker, 2).camera, 0.0)):
        motion = lift_track(lies.track(), *walker.size, lifters=lifters, camera=known)
        assert motion.about["roll_deg"] == pytest.approx(roll_deg, abs=8)
        np.testing.assert_allclose(motion.camera.R_cam_world[:, 2], known.R_cam_world[:, 2], atol=1e-3)
        if roll_deg:
            back = in_the_camera(motion) @ Rotation.from_euler("z", 90, degrees=True).as_matrix()
            assert 1000 * np.linalg.norm(back - in_the_camera(level), axis=-1).mean() < 35


def test_somebody_who_lies_down_does_not_turn_the_camera(actlift_data, walker, lifters):
    """Who lies down across the image looks, for most of the time, like who stands before a camera on its side."""
    clips = read_mocap_npz(actlift_data / "mocap" / "hdm05.npz")
    down = [clip.resampled(30.0) for clip in clips if clip.action == "LieDown" and clip.subject == "HDMbk"]
    assert len(down) == 6
    for clip in down:
        (camera,) = random_rig(clip.joints_world, zlib.crc32(clip.name.encode()), 1)
        who = askew(replace(walker, joints_world=clip.joints_world, camera=camera), 0)
        motion = lift_track(who.track(), *who.size, lifters=lifters)
        assert abs(motion.about["roll_deg"]) < 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"camera": guessed_camera(640, 480)}, "640 x 480 pixels, but those to lift have 320 x 180"),
        ({"height_m": 178.0}, "a height of 178: wanted meters"),
        ({"height_m": 0.0}, "a height of 0: wanted meters"),
        ({"height_m": float("nan")}, "wanted meters"),
        ({"smoothing_hz": 0.0}, "smoothing at 0 Hz: wanted a positive cut-off"),
        ({"smoothing_hz": float("inf")}, "wanted a positive cut-off"),
        ({"fps": 0.0}, "0 frames per second: wanted a positive number"),
        ({"fps": float("nan")}, "wanted a positive number"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_detected(walker, clip, tmp_path, lifters, options, words):
    with pytest.raises(ValueError, match=words):
        lift_track(walker.track(), *walker.size, lifters=lifters, **options)
    detector = Dots()
    with pytest.raises(ValueError, match=words):
        lift_video(clip, keep=tmp_path / "new" / "detections.bin", detector=detector, lifters=lifters, **options)
    assert detector.calls == 0
    assert not list(tmp_path.iterdir())


def test_unknown_lifters_are_refused():
    with pytest.raises(ValueError, match="no lifter 'best'; there are aware, generalist and causal"):
        Lifters("best")


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 10])
def test_few_frames_are_lifted_too(walker, lifters, frames):
    few = replace(walker, points_px=walker.points_px[:frames])
    motion = lift_track(few.track(), *walker.size, lifters=lifters, fps=30.0)
    assert motion.frames == frames
    covers(motion)
    assert error_mm(motion.joints_world, walker.joints_world[:frames]) < 150


@pytest.mark.parametrize("fps", [12.5, 24.0, 25.0, 30000 / 1001, 50.0, 60.0, 120.0])
@pytest.mark.parametrize("start_s", [0.0, 7.3])
def test_every_frame_of_the_source_has_its_own_in_the_motion(lifters, fps, start_s):
    who = seen(seconds=1.0, fps=fps)
    for frames in (len(who.points_px), len(who.points_px) - 1):
        part = replace(who, points_px=who.points_px[:frames])
        track = part.track(times_s=start_s + np.arange(frames) / fps)
        motion = lift_track(track, *who.size, lifters=lifters, fps=fps)
        assert motion.frames == frames
        np.testing.assert_allclose(motion.times_s, track.times_s, atol=1e-9)
        covers(motion)
        off = np.linalg.norm(motion.pose2d_px - part.points_px, axis=-1)
        assert np.median(off) < 1.5
        assert off[-1].mean() < 6
        assert error_mm(motion.joints_world, who.joints_world[:frames]) < 120


def test_uneven_times_are_evened(lifters):
    """A third of the frames, at random."""
    fine = seen(seconds=1.5, fps=120.0)
    rows = np.sort(np.random.default_rng(0).choice(np.arange(1, 179), 60, replace=False))
    rows = np.concatenate([[0], rows, [179]])
    track = fine.track()
    uneven = replace(
        track, times_s=track.times_s[rows], points_px=track.points_px[rows], confidence=track.confidence[rows]
    )
    motion = lift_track(uneven, *fine.size, lifters=lifters)
    regular = lift_track(track, *fine.size, lifters=lifters)
    assert motion.fps == regular.fps == 30
    assert apart_mm(motion.joints_world, regular.joints_world) < 25


# ---- rates


def test_the_same_rate_is_the_identity(walk):
    assert at_rate(walk, walk.fps) is walk


@pytest.mark.parametrize("factor", [2, 4])
def test_finer_rates_go_through_the_same_places(walk, factor):
    fine = at_rate(walk, walk.fps * factor)
    assert fine.frames == (walk.frames - 1) * factor + 1
    assert fine.start_s == walk.start_s
    for one, other in ((fine.joints_world, walk.joints_world), (fine.pose2d_px, walk.pose2d_px)):
        np.testing.assert_allclose(one[::factor], other, atol=1e-4)
        assert np.abs(np.diff(one, axis=0)).max() < np.abs(np.diff(other, axis=0)).max()
    np.testing.assert_array_equal(fine.contacts[::factor], walk.contacts)
    np.testing.assert_array_equal(fine.confidence[::factor], walk.confidence)
    back = at_rate(fine, walk.fps)
    np.testing.assert_allclose(back.joints_world, walk.joints_world, atol=1e-5)


def test_frames_may_go_on_for_less_than_one_behind_the_last(walk):
    line = np.broadcast_to(walk.times_s[:, None, None] * (1.0, 2.0, 3.0), (walk.frames, 17, 3)).astype(np.float32)
    straight = replace(walk, joints_world=line)
    on = at_rate(straight, 120.0, until_s=walk.times_s[-1] + 3 / 120)
    assert on.frames == (walk.frames - 1) * 4 + 1 + 3
    np.testing.assert_allclose(on.joints_world[:, 0], on.times_s[:, None] * (1.0, 2.0, 3.0), atol=1e-4)


@pytest.mark.parametrize("fps", [0.0, -30.0, float("inf"), float("nan")])
def test_rates_that_are_none_are_refused(walk, fps):
    with pytest.raises(ValueError, match="wanted a positive number"):
        at_rate(walk, fps)


# ---- warnings


def test_good_keypoints_raise_no_warnings(walk):
    assert walk.warnings == ()


def test_hidden_legs_are_warned_of_when_they_are_hidden(walker, lifters):
    confidence = np.full((45, 17), 0.9)
    confidence[:25, ANKLES] = 0.0
    points = np.where(confidence[..., None] > 0, walker.points_px, np.nan)
    motion = lift_track(walker.track(points_px=points, confidence=confidence), *walker.size, lifters=lifters)
    (warning,) = [w for w in motion.warnings if "feet not seen" in w.label]
    assert warning.start_s == 0
    assert warning.stop_s == pytest.approx(25 / 30, abs=0.1)
    assert np.isfinite(motion.joints_world).all()
    hidden = ("LAnkle", "RAnkle", "LKnee", "RKnee", "LHip", "RHip", "LWrist")
    confidence[:, [COCO_17.index(joint) for joint in hidden]] = 0.0
    points = np.where(confidence[..., None] > 0, walker.points_px, np.nan)
    motion = lift_track(walker.track(points_px=points, confidence=confidence), *walker.size, lifters=lifters)
    (warning,) = [w for w in motion.warnings if "hardly seen" in w.label]
    assert warning.stop_s - warning.start_s == pytest.approx(1.5)


def test_tiny_people_are_warned_of(walker, lifters):
    middle = walker.points_px.mean(axis=(0, 1))
    tiny = middle + 0.25 * (walker.points_px - middle)
    motion = lift_track(walker.track(points_px=tiny), *walker.size, lifters=lifters)
    assert any("smaller than" in w.label for w in motion.warnings)


def test_what_is_no_body_is_warned_of(lifters):
    rng = np.random.default_rng(0)
    shuffled = seen().points_px[:, rng.permutation(17)]
    who = seen()
    motion = lift_track(who.track(points_px=shuffled), *who.size, lifters=lifters)
    assert any("unlike what the lifter learnt" in w.label for w in motion.warnings)


# ---- videos


def lifted(
    path: Path, folder: Path, lifters: Lifters, detector: Dots | None = None, formats=FILES, **options
) -> list[Motion]:
    """All of it, into a folder."""
    motions = lift_video(path, keep=folder / "detections.bin", detector=detector or Dots(), lifters=lifters, **options)
    save_motions(motions, folder, formats, video=path)
    assert not [name for name in names(folder) if name.endswith(".part")]
    return motions


@pytest.fixture(scope="session")
def straight(clip, lifters, tmp_path_factory) -> Path:
    """The folder of an uninterrupted run on the walker's video."""
    folder = tmp_path_factory.mktemp("straight") / "walk"
    lifted(clip, folder, lifters)
    return folder


def same_files(folder: Path, other: Path) -> None:
    assert names(folder) == names(other)
    for name in names(folder):
        if name.endswith(".npz"):
            with np.load(folder / name) as a, np.load(other / name) as b:
                assert a.files == b.files
                for key in a.files:
                    np.testing.assert_array_equal(a[key], b[key])
        else:
            assert (folder / name).read_bytes() == (other / name).read_bytes(), name


def test_a_video_gives_the_motion_and_its_files(walker, straight):
    assert names(straight) == sorted(["detections.bin", *(f"walk.{name}" for name in FILES)])
    assert all((straight / name).stat().st_size > 500 for name in names(straight))
    with np.load(straight / "walk.npz") as file:
        (joints,) = [file[key] for key in file.files if file[key].shape == (45, 17, 3)]
    assert error_mm(joints, walker.joints_world) < 120


def test_the_same_command_twice_gives_the_same_bits(clip, straight, lifters, tmp_path):
    lifted(clip, tmp_path / "walk", lifters)
    same_files(tmp_path / "walk", straight)
    detector = Dots()
    lifted(clip, tmp_path / "walk", lifters, detector)  # again, in the same folder
    assert detector.calls == 0
    same_files(tmp_path / "walk", straight)


@pytest.mark.parametrize("stop", [0, 1, 31, 44])
def test_a_stopped_run_goes_on_to_the_same_bits(clip, straight, lifters, tmp_path, stop):
    folder = tmp_path / "walk"
    with pytest.raises(KeyboardInterrupt):
        lifted(clip, folder, lifters, Dots(fails_at=stop))
    assert names(folder) == ([] if stop == 0 else ["detections.bin"])
    detector = Dots()
    lifted(clip, folder, lifters, detector)
    assert detector.calls == 45 - stop
    same_files(folder, straight)


def test_a_killed_run_goes_on_to_the_same_bits(clip, straight, lifters, tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    whole = (straight / "detections.bin").read_bytes()
    (folder / "detections.bin").write_bytes(whole[: len(whole) * 2 // 3])
    detector = Dots()
    lifted(clip, folder, lifters, detector)
    assert 0 < detector.calls <= 16
    same_files(folder, straight)


def test_ctrl_c_while_showing_progress_loses_nothing(clip, lifters, tmp_path):
    def on_progress(_stage, done, _total):
        if done == 7:
            raise KeyboardInterrupt

    keep = tmp_path / "detections.bin"
    try:
        lift_video(clip, keep=keep, detector=Dots(), lifters=lifters, on_progress=on_progress)
    except KeyboardInterrupt as interrupt:  # held, as notebooks do
        detector = Dots()
        lift_video(clip, keep=keep, detector=detector, lifters=lifters)
        assert detector.calls == 45 - 7
        del interrupt


def test_several_people_one_of_whom_comes_and_goes(lifters, tmp_path):
    one, other = seen(seconds=2.0), seen("Waving", seconds=2.0, seed=1)
    points = together(one.points_px, other.points_px + np.array([320, 0]))
    points[:20, 1] = np.nan
    points[50:, 1] = np.nan
    path = film(tmp_path / "two.mp4", points, (640, 180))
    motions = lifted(path, tmp_path / "out", lifters)
    assert [motion.person for motion in motions] == [1, 2]
    assert [motion.frames for motion in motions] == [60, 30]
    assert motions[1].start_s == pytest.approx(20 / 30)
    for motion, who, rows in zip(motions, (one, other), (slice(0, 60), slice(20, 50)), strict=True):
        covers(motion)
        assert error_mm(motion.joints_world, who.joints_world[rows]) < 120
        assert (motion.source, motion.camera.width) == ("two.mp4", 640)
    wanted = ["detections.bin", "two.html", *(f"two_person{n}.{f}" for n in (1, 2) for f in FILES if f != "html")]
    assert names(tmp_path / "out") == sorted(wanted)

    detector = Dots()
    (second,) = lifted(path, tmp_path / "out", lifters, detector, formats=("npz",), person=2)
    assert detector.calls == 0
    np.testing.assert_array_equal(second.joints_world, motions[1].joints_world)
    assert names(tmp_path / "out") == sorted(wanted)  # under the same name as before
    with pytest.raises(ValueError, match=r"no person 7 in two\.mp4; there are 1, 2"):
        lifted(path, tmp_path / "out", lifters, person=7)


def test_one_of_whom_too_little_is_seen_does_not_cost_the_others(walker, lifters, tmp_path):
    """The detector sees a face beside the walker, and nothing else of its owner."""
    face = np.array([[0, 0], [4, -3], [-4, -3], [8, 0], [-8, 0]])

    class Faces(Dots):
        def __call__(self, image):
            (body,) = super().__call__(image).points_px
            points = np.full((2, 17, 2), np.nan, np.float32)
            points[0], points[1, :5] = body, body[0] + np.array([150, 0]) + face
            return Detections(points, np.where(np.isfinite(points[..., 0]), 0.9, 0.0).astype(np.float32))

    path = film(tmp_path / "two.mp4", together(walker.points_px), walker.size)
    with pytest.warns(RuntimeWarning, match=r"person 2 of two\.mp4 cannot be lifted: no frame has keypoints that tell"):
        (motion,) = lift_video(path, keep=tmp_path / "kept", detector=Faces(), lifters=lifters)
    assert motion.person == 1
    with pytest.raises(UnusableKeypointsError, match=r"person 2 of two\.mp4 cannot be lifted"):
        lift_video(path, keep=tmp_path / "kept", detector=Faces(), lifters=lifters, person=2)


def test_of_whom_a_lens_cannot_have_made_the_keypoints_does_not_cost_the_others(walker, lifters, tmp_path):
    beyond = walker.points_px + np.array([4000, 0])
    path = tmp_path / "two.npz"
    np.savez(path, keypoints=np.stack([walker.points_px, beyond], axis=1))
    lens = replace(guessed_camera(*walker.size), radial=np.array([-0.1, 0, 0]))
    with pytest.warns(RuntimeWarning, match=r"person 2 of two\.npz cannot be lifted: .*cannot be undistorted"):
        (motion,) = lift_video(path, keep=tmp_path / "k", lifters=lifters, fps=30.0, size=walker.size, camera=lens)
    assert motion.person == 1


def test_a_bug_is_no_person_of_whom_too_little_is_seen(clip, lifters, tmp_path, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr("actlift.video.pipeline.global_trajectory", broken)
    with pytest.raises(ValueError, match="^operands could not be broadcast together$"):
        lifted(clip, tmp_path / "out", lifters)


def test_nobody_is_followed_across_a_cut(walker, lifters, tmp_path):
    path = film(tmp_path / "cut.mp4", together(walker.points_px), walker.size, scene=lambda index: int(index >= 20))
    motions = lifted(path, tmp_path / "out", lifters)
    spans = sorted((motion.start_s, motion.frames) for motion in motions)
    assert spans == [(0.0, 20), (pytest.approx(20 / 30), 25)]
    assert {motion.person for motion in motions} == {1, 2}


def test_nobody_at_all_is_an_error(walker, lifters, tmp_path):
    path = film(tmp_path / "empty.mp4", [np.empty((0, 17, 2))] * 20, walker.size)
    with pytest.raises(ValueError, match=r"nobody is seen in empty\.mp4"):
        lifted(path, tmp_path / "out", lifters)
    assert names(tmp_path / "out") == ["detections.bin"]


@pytest.mark.parametrize("frames", [1, 5])
def test_very_short_videos(walker, lifters, tmp_path, frames):
    path = film(tmp_path / "short.mp4", together(walker.points_px)[:frames], walker.size)
    (motion,) = lifted(path, tmp_path / "out", lifters)
    assert motion.frames == frames
    covers(motion)
    assert set(names(tmp_path / "out")) > {"short.bvh", "short.html"}


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_portrait_and_turned_videos_are_upright(lifters, tmp_path, turn):
    who = seen(seconds=1.0, portrait=True)
    path = film(tmp_path / "phone.mp4", together(who.points_px), who.size, turn=turn)
    (motion,) = lift_video(path, keep=tmp_path / "kept", detector=Dots(), lifters=lifters)
    assert (motion.camera.width, motion.camera.height) == who.size == (180, 320)
    assert np.nanmedian(np.linalg.norm(motion.pose2d_px - who.points_px, axis=-1)) < 1.5
    assert error_mm(motion.joints_world, who.joints_world) < 120
    assert (motion.joints_world[:, H36M_17.index("Head"), 2] > motion.joints_world[:, 0, 2]).all()


@pytest.mark.parametrize("fps", [24.0, 120.0])
def test_the_motion_has_the_rate_of_the_video(lifters, tmp_path, fps):
    who = seen(seconds=1.0, fps=fps)
    path = film(tmp_path / "rate.mp4", together(who.points_px), who.size, fps=fps)
    (motion,) = lift_video(path, keep=tmp_path / "kept", detector=Dots(), lifters=lifters)
    assert (motion.fps, motion.frames) == (fps, fps)
    assert error_mm(motion.joints_world, who.joints_world) < 120
    speed = np.linalg.norm(np.diff(motion.joints_world, axis=0), axis=-1) * fps
    assert speed.max() < 15  # meters a second: it does not tremble
    (other,) = lift_video(path, keep=tmp_path / "kept", detector=Dots(), lifters=lifters, fps=50.0)
    assert (other.fps, other.frames) == (50, int((fps - 1) / fps * 50) + 1)


def test_variable_frame_rates_keep_their_times(lifters, tmp_path):
    """60 frames a second at first, 20 later, as phones do in the dark."""
    fine = seen(seconds=2.0, fps=60.0)
    rows = np.concatenate([np.arange(0, 60), np.arange(60, 120, 3)])
    path = film(tmp_path / "vfr.mp4", together(fine.points_px)[rows], fine.size, fps=60.0, times_s=rows / 60)
    (motion,) = lift_video(path, keep=tmp_path / "kept", detector=Dots(), lifters=lifters, fps=60.0)
    assert motion.frames == 118
    assert np.median(np.linalg.norm(motion.pose2d_px - fine.points_px[:118], axis=-1)) < 1.5
    assert error_mm(motion.joints_world, fine.joints_world[:118]) < 120


def test_a_part_of_a_video_is_that_part(clip, walk, lifters, tmp_path):
    (part,) = lift_video(clip, keep=tmp_path / "kept", detector=Dots(), lifters=lifters, start_s=0.5, end_s=1.2)
    assert (part.start_s, part.frames) == (pytest.approx(0.5), 21)
    assert error_mm(part.joints_world, walk.joints_world[15:36]) < 60


def test_a_file_that_breaks_off_gives_what_there_is(clip, lifters, tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    with pytest.warns(RuntimeWarning, match=r"broken\.mp4: .* Copy or record it again"):
        (motion,) = lifted(path, tmp_path / "out", lifters)
    assert 20 < motion.frames < 45
    with pytest.warns(RuntimeWarning, match="Copy or record it again"):  # told again, though all is known
        lifted(path, tmp_path / "out", lifters)


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def without_index(clip: Path) -> bytes:
    """As a recorder leaves it whose battery ran out: the index, here in front of the pictures, is missing."""
    content = clip.read_bytes()
    return content[: content.index(b"moov") - 4] + content[content.index(b"mdat") - 4 :]


BROKEN: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "empty.mp4": (lambda path, _: path.write_bytes(b""), "is empty (0 bytes)"),
    "text.mp4": (lambda path, _: path.write_text("no video " * 50), "is no video"),
    "unfinished.mp4": (lambda path, clip: path.write_bytes(without_index(clip)), "ends before its index (moov)"),
    "sound.mp4": (lambda path, _: sound(path), "holds no video, but audio"),
    "missing.mp4": (lambda _path, _: None, "no such file"),
    "folder.mp4": (lambda path, _: path.mkdir(), "a folder without images"),
    "empty.json": (lambda path, _: path.write_text(""), "empty.json"),
    "other.json": (lambda path, _: path.write_text('{"a": 1}'), "other.json"),
    "other.npz": (lambda path, _: np.savez(path, a=np.zeros(3)), "other.npz"),
}


# ---- the command


@pytest.fixture
def command(monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """Runs the command's entry point in this process; there is a detector called dots."""

    def run(*words: object) -> tuple[int, str, str]:
        module = ModuleType("actlift.video.detectors.dots")
        module.make_dots = lambda _weights: Dots()
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(DETECTORS, "dots", ("dots", "make_dots"))
        capfd.readouterr()
        return here(monkeypatch, "lift", *words), *capfd.readouterr()

    return run


def refused(answer: tuple[int, str, str], words: str) -> None:
    code, _, err = answer
    assert code == 1
    assert err.startswith("actlift: ")
    assert words in " ".join(err.split())
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_source_is_one_clear_error(command, clip, tmp_path, name):
    make, words = BROKEN[name]
    make(tmp_path / name, clip)
    out = tmp_path / "out"
    refused(command(tmp_path / name, "--detector", "dots", "--out", out), words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--start", "9"), "no frame from 9"),
        (("--start", "1", "--end", "0.5"), "the end after it"),
        (("--start=-1",), "the start must be 0 or later"),
        (("--height", "178"), "wanted meters"),
        (("--fps", "0"), "wanted a positive number"),
        (("--smoothing=-1",), "wanted a positive cut-off"),
        (("--camera", "CAMERA"), "640 x 480 pixels, but those to lift have 320 x 180"),
        (("--camera", "missing.json"), "missing.json: no such file"),
        (("--detector", "best"), "there is no detector 'best'; there are auto"),
        (("--size", "big"), "a size is a width and a height"),
    ],
)
def test_options_that_cannot_be_are_one_clear_error(command, clip, tmp_path, options, words):
    camera = tmp_path / "camera.json"
    camera.write_text(json.dumps({"focal_px": 500, "width": 640, "height": 480}))
    options = [str(camera) if word == "CAMERA" else word for word in options]
    detector = () if "--detector" in options else ("--detector", "dots")
    refused(command(clip, *detector, "--out", tmp_path / "out", *options), words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--person", "7"), "no person 7"), (("--formats", "npz", "fbx"), "no format is known for fbx")],
)
def test_what_is_not_there_leaves_no_files_of_motions(command, clip, tmp_path, options, words):
    out = tmp_path / "out"
    refused(command(clip, "--detector", "dots", "--out", out, *options), words)
    assert not out.exists() or names(out) in ([], ["detections.bin"])


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_folder_that_cannot_be_written_is_one_clear_error(command, clip, tmp_path, below):
    (tmp_path / "taken").write_text("a file")
    out = tmp_path / "taken" / below
    refused(command(clip, "--detector", "dots", "--out", out), "taken")
    refused(command(coco_file(tmp_path, seen(seconds=0.5)), "--fps", "30", "--out", out), "taken")
    assert (tmp_path / "taken").read_text() == "a file"
    assert names(tmp_path) == ["keypoints.json", "taken"]


def test_ctrl_c_stops_the_command_and_the_same_command_goes_on(command, clip, straight, tmp_path, monkeypatch):
    out = tmp_path / "walk"
    words = (clip, "--detector", "dots", "--out", out, "--formats", *FILES)
    usual = Dots.__call__

    def stopping(self, image):
        if self.calls == 31:
            raise KeyboardInterrupt
        return usual(self, image)

    with monkeypatch.context() as patch:
        patch.setattr(Dots, "__call__", stopping)
        code, _, err = command(*words)
    assert code == 130
    assert "Traceback" not in err
    assert names(out) == ["detections.bin"]
    code, printed, err = command(*words)
    assert (code, err) == (0, "")
    assert "45 frames" in printed
    assert "person 1: 0.0 to 1.5 s" in printed
    same_files(out, straight)


@pytest.mark.parametrize(
    ("words", "hz"), [((), CUTOFF_HZ), (("--smoothing", "0"), None), (("--smoothing", "6.5"), 6.5)]
)
def test_the_command_smooths_as_told(command, walker, lifters, tmp_path, words, hz):
    keypoints, out = coco_file(tmp_path, walker), tmp_path / "out"
    code, printed, err = command(keypoints, "--fps", "30", "--out", out, "--formats", "npz", "json", *words)
    assert (code, err) == (0, "")
    about = f"keypoints at 4 Hz, poses {'not' if hz is None else f'at {hz:g} Hz'}"
    assert about in " ".join(printed.split())
    assert read_motion(out / "keypoints.npz").about["smoothing"] == about
    assert about in (out / "keypoints.json").read_text()
    (expected,) = lift_video(keypoints, keep=out / "none", lifters=lifters, fps=30.0, smoothing_hz=hz)
    np.testing.assert_array_equal(read_motion(out / "keypoints.npz").joints_world, expected.joints_world)


def test_the_command_refines_as_told(command, walker, lifters, tmp_path):
    keypoints, out = coco_file(tmp_path, walker), tmp_path / "out"
    code, printed, err = command(keypoints, "--fps", "30", "--out", out, "--formats", "npz", "--no-refine")
    assert (code, err) == (0, "")
    assert "refined: not" in " ".join(printed.split())
    (expected,) = lift_video(keypoints, keep=out / "none", lifters=lifters, fps=30.0, refine=False)
    np.testing.assert_array_equal(read_motion(out / "keypoints.npz").joints_world, expected.joints_world)


def test_live_poses_are_smoothed_unless_told_otherwise(command, clip, tmp_path):
    found = []
    for words in (("--smoothing", "0"), ()):
        words = ("--detector", "dots", "--out", tmp_path / "out", "--formats", "npz", "--live", "--end", "0.5", *words)
        code, printed, err = command(clip, *words)
        assert (code, err) == (0, "")
        found.append([json.loads(line)["pose3d_cam"] for line in printed.splitlines() if line.startswith("{")])
    rough, smoothed = np.array(found)
    assert len(rough) == 15
    np.testing.assert_allclose(smoothed, CausalSmoother(30.0)(rough), atol=1e-3)
    assert np.abs(smoothed - rough).max() > 5e-3


# ---- files of keypoints


def coco_file(folder: Path, who: Seen) -> Path:
    """COCO annotations; the sizes of the images are in the file, their rate is not."""
    path = folder / "keypoints.json"
    rows = np.concatenate([who.points_px, np.full((*who.points_px.shape[:2], 1), 2.0)], axis=-1).reshape(-1, 51)
    images = [
        {"id": i, "file_name": f"{i:06}.png", "width": who.size[0], "height": who.size[1]} for i in range(len(rows))
    ]
    found = [{"image_id": i, "category_id": 1, "keypoints": row.tolist()} for i, row in enumerate(rows)]
    path.write_text(json.dumps({"images": images, "annotations": found}))
    return path


def openpose_folder(folder: Path, who: Seen) -> Path:
    """One file a frame, of BODY_25 without feet."""
    folder = folder / "openpose"
    folder.mkdir()
    thorax, pelvis = (
        who.points_px[:, [COCO_17.index(f"L{j}"), COCO_17.index(f"R{j}")]].mean(axis=1) for j in ("Shoulder", "Hip")
    )
    known = {"NeckBase": thorax, "Pelvis": pelvis} | {
        joint: who.points_px[:, COCO_17.index(joint)] for joint in COCO_17.joints
    }
    for i in range(len(who.points_px)):
        numbers = [[*known[joint][i], 0.8] if joint in known else [0.0] * 3 for joint in BODY_25.joints]
        people = [{"pose_keypoints_2d": np.ravel(numbers).tolist()}]
        (folder / f"walk_{i:012}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def numpy_file(folder: Path, who: Seen) -> Path:
    path = folder / "keypoints.npz"
    np.savez(path, keypoints=who.points_px)
    return path


@pytest.mark.parametrize(("make", "sure"), [(coco_file, 1.0), (openpose_folder, 0.8), (numpy_file, 1.0)])
def test_files_of_keypoints_give_the_motion_of_their_video(walker, lifters, tmp_path, make, sure):
    known = np.full(walker.points_px.shape[:2], sure, np.float32)
    walk = lift_track(walker.track(confidence=known), *walker.size, lifters=lifters)
    path = make(tmp_path, walker)
    keep = tmp_path / "detections.bin"
    (motion,) = lift_video(path, keep=keep, lifters=lifters, fps=30.0, size=walker.size)
    assert not keep.exists()
    assert (motion.fps, motion.frames, motion.source) == (30, 45, path.name)
    assert apart_mm(motion.joints_world, walk.joints_world) < (1 if make is not openpose_folder else 25)
    assert motion.about["keypoints"]
    (part,) = lift_video(path, keep=keep, lifters=lifters, fps=30.0, size=walker.size, start_s=0.5, end_s=1.0)
    assert (part.start_s, part.frames) == (pytest.approx(0.5), 15)
    for start_s, end_s in ((2.0, None), (1.0, 0.5)):
        with pytest.raises(ValueError, match=f"no frame from {start_s:g}"):
            lift_video(path, keep=keep, lifters=lifters, fps=30.0, size=walker.size, start_s=start_s, end_s=end_s)


def test_the_command_lifts_keypoints(command, walker, tmp_path):
    out = tmp_path / "out"
    formats = [name for name in FILES if name != "csv"]
    code, printed, err = command(coco_file(tmp_path, walker), "--fps", 30, "--out", out, "--formats", *formats)
    assert (code, err) == (0, "")
    assert names(out) == sorted(f"keypoints.{name}" for name in formats)
    assert all(f"keypoints.{name}" in printed for name in formats)
    assert "Walking" in printed
    assert "45 frames in" in printed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", "320x180"), "--fps"),
        (("--fps", "30"), "--size"),
        (("--fps", "30", "--size", "320x180", "--formats", "mp4"), "leave out the format mp4"),
        (("--fps", "30", "--size", "320x180", "--layout", "mine"), "coco_17"),
    ],
)
def test_what_a_file_of_keypoints_does_not_tell_has_to_be_given(command, walker, tmp_path, options, words):
    path = openpose_folder(tmp_path, walker)
    refused(command(path, "--out", tmp_path / "out", *options), words)
    assert not (tmp_path / "out").exists()


def test_nobody_in_a_file_of_keypoints_is_an_error(command, walker, tmp_path):
    nobody = replace(walker, points_px=np.zeros_like(walker.points_px))
    refused(
        command(numpy_file(tmp_path, nobody), "--fps", 30, "--size", "320x180", "--out", tmp_path / "out"),
        "keypoints.npz",
    )
    assert not (tmp_path / "out").exists()


# ---- from Python


def test_one_call_lifts_a_video(clip, straight, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    detector = Dots()
    motion = package.lift(clip, detector=detector)
    everybody = package.lift_everybody(str(clip), detector=Dots())
    assert isinstance(motion, Motion)
    assert len(everybody) == 1
    np.testing.assert_array_equal(motion.joints_world, everybody[0].joints_world)
    assert detector.calls == 45
    assert motion.action_timeline[0].label == "Walking"
    motion.save(tmp_path / "walk.bvh")
    assert (tmp_path / "walk.bvh").read_bytes() == (straight / "walk.bvh").read_bytes()
    assert names(tmp_path) == ["walk.bvh"]  # and nothing else
    assert package.lift(clip, detector=Dots(), height_m=1.5).about["height_m"] == 1.5
    with pytest.raises(FileNotFoundError, match="no such file"):
        package.lift("missing.mp4", detector=Dots())


# ---- the real thing


@pytest.mark.slow
def test_the_command_on_a_real_clip(actlift_data, tmp_path):
    """A woman walks through the picture from frame 57 to 190."""
    video, weights = (actlift_data.parent / name for name in ("videos/sports2d_demo.mp4", "weights"))
    if not (video.is_file() and weights.is_dir()):
        pytest.skip("there is no real video, or no weights of a detector")
    words = ["lift", video, "--weights", weights, "--out", tmp_path, "--formats", *CHOICES, "--segments"]
    done = subprocess.run(
        [sys.executable, "-m", "actlift", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    written = names(tmp_path)
    assert "sports2d_demo.html" in written
    assert "sports2d_demo_overlay.mp4" in written
    assert all((tmp_path / name).stat().st_size > 500 for name in written)
    motions = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    began_s, ended_s = 57 / 30, 190 / 30
    walking_s = [
        sum(
            min(part["stop_s"], ended_s) - max(part["start_s"], began_s)
            for part in motion["action_timeline"]
            if part["label"] == "Walking" and part["start_s"] < ended_s and part["stop_s"] > began_s
        )
        for motion in motions
    ]
    assert max(walking_s) > 0.9 * (ended_s - began_s)
