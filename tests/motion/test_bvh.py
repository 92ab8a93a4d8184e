"""BVH: read back by pybvh, whose forward kinematics must give the joints."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tests.exports import motion_of, walking

from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.geometry.body import JOINTS, PARENTS, PLACES, Y_UP_WORLD
from actlift.geometry.skeleton import H36M_17
from actlift.motion.bvh import continuous_euler, write_bvh

pybvh = pytest.importorskip("pybvh")


def joints_of(path: Path) -> tuple[object, np.ndarray]:
    """What pybvh reads, and where it puts the joints of H36M_17: meters in the world, z up."""
    bvh = pybvh.read_bvh_file(path)
    positions = bvh.node_positions() @ Y_UP_WORLD / 100
    node = {n.name: i for i, n in enumerate(bvh.nodes)}
    rows = {place: node[joint] for joint, place in PLACES.items()} | {"Head": node["EndSiteHead"]}
    return bvh, positions[:, [rows[joint] for joint in H36M_17.joints]]


def test_another_reader_sees_the_same_motion(tmp_path: Path) -> None:
    motion = walking(seconds=2.0, fps=29.97)
    write_bvh(motion, tmp_path / "walk.bvh")
    bvh, joints = joints_of(tmp_path / "walk.bvh")
    assert np.abs(joints - motion.joints_world).max() < 2e-4  # the spine bends by degrees against the pelvis
    assert bvh.frame_time == 1 / 29.97
    assert bvh.frame_count == motion.frames
    assert set(bvh.joint_names) == set(JOINTS)
    assert bvh.world_up == "+y"


def test_the_text_is_what_importers_expect(tmp_path: Path) -> None:
    """The text itself: six channels for the root, three for joints, none without length, no number that is not one."""
    motion = walking(seconds=0.5)
    write_bvh(motion, tmp_path / "walk.bvh")
    hierarchy, frames = (tmp_path / "walk.bvh").read_text().split("MOTION\n")
    assert hierarchy.count("{") == hierarchy.count("}")
    assert hierarchy.count("End Site") == 5
    lines = [line.split() for line in hierarchy.splitlines()]
    offsets = np.array([line[1:] for line in lines if line[0] == "OFFSET"], dtype=float)
    assert (offsets[0] == 0).all()
    assert np.linalg.norm(offsets[1:], axis=1).min() > 1.0, "shorter than a centimeter: importers may drop the bone"
    channels = [line[2:] for line in lines if line[0] == "CHANNELS"]
    assert channels[0][:3] == ["Xposition", "Yposition", "Zposition"]
    assert all(sorted(c[-3:]) == ["Xrotation", "Yrotation", "Zrotation"] for c in channels)
    count, time, *rows = frames.splitlines()
    assert count == f"Frames: {motion.frames}"
    assert float(time.removeprefix("Frame Time: ")) == 1 / motion.fps
    numbers = np.array([row.split() for row in rows], dtype=float)
    assert numbers.shape == (motion.frames, sum(map(len, channels)))
    assert np.isfinite(numbers).all()
    np.testing.assert_allclose(numbers[:, :3] @ Y_UP_WORLD / 100, motion.joints_world[:, 0], atol=1e-8)


def test_somebody_who_turns_three_times_has_curves_without_jumps(tmp_path: Path) -> None:
    motion = walking(seconds=3.0)
    spin = Rotation.from_rotvec(np.linspace(0, 6 * np.pi, motion.frames)[:, None] * (0, 0, 1)).as_matrix()
    write_bvh(motion_of(np.einsum("tij,tkj->tki", spin, motion.joints_world)), tmp_path / "spin.bvh")
    rows = (tmp_path / "spin.bvh").read_text().split("Frame Time: ")[1].splitlines()[1:]
    channels = np.array([row.split() for row in rows], dtype=float)
    assert np.abs(np.diff(channels[:, 3:], axis=0)).max() < 30
    heading = channels[:, 3]
    assert abs(heading[-1] - heading[0]) > 900


def test_real_motion_comes_back(tmp_path: Path, actlift_data: Path) -> None:
    clips = {clip.name: clip for clip in read_mocap_npz(actlift_data / "mocap" / "cmu.npz")}
    for name in ("CMU02/02_05", "CMU10/10_05", "CMU49/49_18"):  # boxing, a kick, balancing
        clip = clips[name]
        write_bvh(motion_of(clip.joints_world, clip.fps), tmp_path / "clip.bvh")
        bvh, joints = joints_of(tmp_path / "clip.bvh")
        assert np.linalg.norm(joints - clip.joints_world, axis=-1).mean() < 1e-3
        assert np.abs(np.diff(np.degrees(bvh.joint_angles), axis=0)).max() < 60


@given(seed=st.integers(0, 2**32 - 1), order=st.sampled_from(["YZX", "XYZ"]))
@settings(max_examples=30, deadline=None)
def test_euler_angles_give_the_rotations_and_run_on(seed: int, order: str) -> None:
    """Along a path that turns about a wandering axis, now and then through the pose in which the angles lock."""
    rng = np.random.default_rng(seed)
    axes = np.cumsum(rng.normal(size=(400, 3)), axis=0)
    axes *= np.radians(2) / np.linalg.norm(axes, axis=1, keepdims=True)
    path = np.empty((400, 3, 3))
    here = Rotation.random(random_state=rng) if seed % 2 else Rotation.from_euler(order, [0, 80, 0], degrees=True)
    for i, axis in enumerate(axes):
        here = Rotation.from_rotvec(axis) * here
        path[i] = here.as_matrix()
    angles = continuous_euler(path, order)
    back = Rotation.from_euler(order, angles, degrees=True).as_matrix()
    np.testing.assert_allclose(back, path, atol=1e-9)
    assert np.abs(angles[0, 1]) <= 90
    near = np.abs(np.cos(np.radians(angles[:, 1]))) < 0.2
    calm = ~(near[1:] | near[:-1])
    assert np.abs(np.diff(angles, axis=0))[calm].max(initial=0) < 2 / 0.2 + 1e-6
    assert np.abs(np.diff(angles, axis=0)).max() < 181


def test_angles_pass_straight_through_the_lock() -> None:
    """A somersault about the middle axis: its angle runs on, the others stay, though one set ends at 90 degrees."""
    middle = np.linspace(0, 700, 200)
    angles = np.stack([np.full(200, 10.0), middle, np.full(200, -20.0)], axis=1)
    path = Rotation.from_euler("YZX", angles, degrees=True).as_matrix()
    np.testing.assert_allclose(continuous_euler(path, "YZX"), angles, atol=1e-6)


def test_locked_angles_are_right_and_warn_nobody() -> None:
    path = Rotation.from_euler("YZX", [[10, 90, 30]], degrees=True).as_matrix()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        angles = continuous_euler(path, "YZX")
    np.testing.assert_allclose(Rotation.from_euler("YZX", angles, degrees=True).as_matrix(), path, atol=1e-9)


def test_one_frame_is_a_motion(tmp_path: Path) -> None:
    motion = walking(seconds=0.02)
    assert motion.frames == 1
    write_bvh(motion, tmp_path / "pose.bvh")
    _, joints = joints_of(tmp_path / "pose.bvh")
    np.testing.assert_allclose(joints, motion.joints_world, atol=1e-6)


def test_parents_of_the_file_are_those_of_the_rig(tmp_path: Path) -> None:
    write_bvh(walking(seconds=0.1), tmp_path / "a.bvh")
    parents, stack = {}, []
    for line in (tmp_path / "a.bvh").read_text().split("MOTION")[0].splitlines():
        words = line.split()
        if words[0] in ("ROOT", "JOINT", "End"):
            name = words[1]
            parents.setdefault(name, stack[-1] if stack else None)
        elif words[0] == "{":
            stack.append(name)
        elif words[0] == "}":
            stack.pop()
    del parents["Site"]
    assert parents == {joint: None if p == -1 else JOINTS[p] for joint, p in zip(JOINTS, PARENTS, strict=True)}
