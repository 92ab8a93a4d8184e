"""Bodies of constant bones: forward kinematics must give back what came, and nothing may flip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation
from tests.exports import walking

from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.body import JOINTS, PARENTS, PLACES, TIPS, Y_UP_WORLD, Body, body_from_joints
from actlift.geometry.rotations import forward_kinematics
from actlift.geometry.skeleton import H36M_17

FPS = 60.0
CHILD, PARENT = np.array(H36M_17.bones).T
HIPS = [i for i, child in enumerate(CHILD) if H36M_17.joints[child] in ("LHip", "RHip")]

# Somebody 1.75 m tall in the rest pose, not quite the same on both sides; meters from the parent.
STANDING = {
    "Pelvis": (0, 0, 0),
    "RHip": (-0.13, 0, 0),
    "RKnee": (0, 0, -0.45),
    "RAnkle": (0, 0, -0.42),
    "LHip": (0.12, 0, 0),
    "LKnee": (0, 0, -0.44),
    "LAnkle": (0, 0, -0.43),
    "Spine": (0, 0, 0.23),
    "Thorax": (0, 0, 0.25),
    "Neck": (0, 0, 0.12),
    "Head": (0, 0, 0.11),
    "LShoulder": (0.16, 0, -0.02),
    "LElbow": (0.29, 0, 0),
    "LWrist": (0.25, 0, 0),
    "RShoulder": (-0.17, 0, -0.02),
    "RElbow": (-0.28, 0, 0),
    "RWrist": (-0.26, 0, 0),
}
LIMITS = {  # degrees about x (to the person's left), y (backwards) and z (up), at most
    "Pelvis": (40, 40, 180),
    "Spine": (25, 20, 30),
    "Thorax": (20, 20, 25),
    "Neck": (30, 30, 60),
    "Hip": (60, 30, 30),
    "Shoulder": (60, 60, 60),
    "Knee": (0, 0, 0),
    "Elbow": (0, 0, 0),
}


def turned(degrees: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) by degrees about the fixed axes x, y and z, in this order."""
    return Rotation.from_euler("xyz", degrees.reshape(-1, 3), degrees=True).as_matrix().reshape(*degrees.shape, 3)


def posed(joint_angles: dict[str, tuple[float, float, float]], **moved: tuple[float, float, float]) -> np.ndarray:
    """One frame of the standing body with some joints turned, by degrees about x, y and z, and some offsets changed."""
    offsets = np.array([(STANDING | moved)[joint] for joint in H36M_17.joints], dtype=np.float64)
    degrees = np.array([joint_angles.get(joint, (0, 0, 0)) for joint in H36M_17.joints], dtype=np.float64)
    rotations = turned(degrees)
    return forward_kinematics(H36M_17.parents, offsets, rotations, np.array([0.3, 4.0, 0.95]))


def dancing(seed: int, frames: int = 120, **moved: tuple[float, float, float]) -> np.ndarray:
    """The standing body with every joint turning smoothly and at random within its limits; knees and elbows bend."""
    rng = np.random.default_rng(seed)
    curves = gaussian_filter1d(rng.normal(size=(frames, 17, 3)), 20, axis=0, mode="wrap")
    curves /= np.abs(curves).max(axis=0)
    for j, joint in enumerate(H36M_17.joints):
        curves[:, j] *= LIMITS.get(joint.removeprefix("L").removeprefix("R"), LIMITS.get(joint, (0, 0, 0)))
    for joint, axis, sign in (("LKnee", 0, 1), ("RKnee", 0, 1), ("LElbow", 2, -1), ("RElbow", 2, 1)):
        bend = gaussian_filter1d(rng.normal(size=frames), 20, mode="wrap")
        bend = (bend - bend.min()) / np.ptp(bend)
        curves[:, H36M_17.index(joint), axis] = sign * (3 + 120 * bend)
    offsets = np.array([(STANDING | moved)[joint] for joint in H36M_17.joints], dtype=np.float64)
    root = gaussian_filter1d(rng.normal(size=(frames, 3)), 20, axis=0, mode="wrap")
    return forward_kinematics(H36M_17.parents, offsets, turned(curves), root)


def turns(rotations: np.ndarray) -> np.ndarray:
    """Degrees by which each joint turns from frame to frame, (t - 1, j)."""
    steps = np.swapaxes(rotations[:-1], -1, -2) @ rotations[1:]
    return np.degrees(Rotation.from_matrix(steps.reshape(-1, 3, 3)).magnitude()).reshape(steps.shape[:2])


def directions(joints: np.ndarray) -> np.ndarray:
    bones = joints[:, CHILD] - joints[:, PARENT]
    return bones / np.linalg.norm(bones, axis=-1, keepdims=True)


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Radians between directions, exact for small ones too."""
    return np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(axis=-1))


def local(body: Body, joint: str, frame: int = 0) -> np.ndarray:
    """The turn of a joint as axis times degrees."""
    return np.degrees(Rotation.from_matrix(body.rotations[frame, JOINTS.index(joint)]).as_rotvec())


def test_the_rig_is_a_tree_that_covers_the_skeleton() -> None:
    assert PARENTS[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(PARENTS) if joint)
    assert set(PLACES.values()) | {"Head"} == set(H36M_17.joints)
    leaves = set(range(len(JOINTS))) - set(PARENTS)
    assert {JOINTS.index(joint) for joint in TIPS} == leaves


def test_the_rest_pose_has_no_rotation() -> None:
    body = body_from_joints(posed({})[None], FPS)
    np.testing.assert_allclose(body.rotations, np.broadcast_to(np.eye(3), body.rotations.shape), atol=1e-9)
    assert all(np.linalg.norm(offset) > 0.01 for offset in body.offsets[1:])
    mirrored = body.offsets[[JOINTS.index("Left" + joint) for joint in ("Arm", "UpLeg", "Foot")]]
    assert (mirrored[:2, 0] > 0).all(), "left is +x: the rest pose faces the camera"
    toes = body.tips[TIPS.index("LeftFoot")]
    assert toes[1] < 0
    assert toes[2] < 0


@pytest.mark.parametrize(
    ("joint", "degrees", "rig"),
    [
        ("LKnee", (70, 0, 0), "LeftLeg"),  # about the axis to the left: the shin goes back
        ("RKnee", (30, 0, 0), "RightLeg"),
        ("LElbow", (0, 0, -80), "LeftForeArm"),  # the forearm goes forward
        ("RElbow", (0, 0, 80), "RightForeArm"),
        ("Pelvis", (0, 0, 90), "Hips"),
        ("Thorax", (0, 0, 30), None),  # the shoulders turn against the hips
    ],
)
def test_a_turn_of_one_joint_is_a_turn_of_that_joint(joint: str, degrees: tuple[int, int, int], rig: str) -> None:
    body = body_from_joints(np.repeat(posed({joint: degrees})[None], 9, axis=0), FPS)
    if rig is None:  # smoothing gives the rest pose's twist of 1 % a say
        np.testing.assert_allclose(local(body, "Spine1"), degrees, atol=1.0)
        return
    for name in JOINTS:
        np.testing.assert_allclose(local(body, name), degrees if name == rig else 0, atol=1e-6, err_msg=name)


@given(seed=st.integers(0, 2**32 - 1), triangle=st.booleans())
@settings(max_examples=15, deadline=None)
def test_positions_to_rotations_to_positions(seed: int, triangle: bool) -> None:
    hips = {"LHip": (0.09, 0.02, -0.1), "RHip": (-0.1, 0.02, -0.1)} if triangle else {}
    joints = dancing(seed, **hips)
    body = body_from_joints(joints, FPS)
    np.testing.assert_allclose(body.joints_world(), joints, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(body.rotations), 1, atol=1e-9)
    np.testing.assert_allclose(
        body.rotations @ np.swapaxes(body.rotations, -1, -2),
        np.broadcast_to(np.eye(3), body.rotations.shape),
        atol=1e-9,
    )
    assert turns(body.rotations).max() < 25


@given(seed=st.integers(0, 2**32 - 1), noise_m=st.floats(0.001, 0.05))
@settings(max_examples=15, deadline=None)
def test_bones_point_where_they_pointed(seed: int, noise_m: float) -> None:
    """Of any joints, however they jitter; hips alone are a fit, for a pelvis is one piece."""
    joints = dancing(seed)
    joints += np.random.default_rng(seed).normal(scale=noise_m, size=joints.shape)
    body = body_from_joints(joints, FPS)
    again = body.joints_world()
    off = angles(directions(again), directions(joints))
    assert np.delete(off, HIPS, axis=1).max() < 1e-6
    np.testing.assert_allclose(again[:, 0], joints[:, 0])
    line, fitted = (j[:, H36M_17.index("LHip")] - j[:, H36M_17.index("RHip")] for j in (joints, again))
    assert angles(line, fitted).max() < 1e-6


def test_bones_are_as_long_as_their_median() -> None:
    joints = dancing(0)
    joints += np.random.default_rng(0).normal(scale=0.02, size=joints.shape)
    again = body_from_joints(joints, FPS).joints_world()
    before, after = (np.linalg.norm(j[:, CHILD] - j[:, PARENT], axis=-1) for j in (joints, again))
    rigid = [i for i, child in enumerate(CHILD) if i not in HIPS and H36M_17.joints[child] != "Spine"]
    np.testing.assert_allclose(
        after[:, rigid], np.broadcast_to(np.median(before, axis=0)[rigid], after[:, rigid].shape)
    )


def test_a_straight_limb_holds_its_plane() -> None:
    """An arm turned inwards by 50 degrees stretches, and for a third of a second even bends a little the wrong way."""
    bend = np.concatenate([np.linspace(70, 3, 15), np.tile([2.0, -3.0], 10), np.linspace(3, 70, 15)])
    frames = [posed({"LShoulder": (50, 0, 0), "LElbow": (0, 0, -degrees)}) for degrees in bend]
    body = body_from_joints(np.stack(frames), FPS)
    twist = np.array([local(body, "LeftArm", frame) for frame in range(len(bend))])
    np.testing.assert_allclose(twist[:, 1:], 0, atol=1e-6)
    assert twist[:, 0].min() > 30  # it fades, but neither drops nor flips
    assert twist[:, 0].max() < 51
    assert turns(body.rotations).max() < 10


def test_a_limb_folded_back_on_itself_points_where_it_should() -> None:
    joints = posed({"LElbow": (0, 0, -180), "RKnee": (180, 0, 0)})[None]
    again = body_from_joints(joints, FPS).joints_world()
    np.testing.assert_allclose(again, joints, atol=1e-6)


def test_a_body_moved_and_turned_moves_and_turns_its_root_alone() -> None:
    joints = dancing(3)
    turn = Rotation.from_euler("z", 75, degrees=True).as_matrix()
    one, other = body_from_joints(joints, FPS), body_from_joints(joints @ turn.T + (1, 2, 0.5), FPS)
    np.testing.assert_allclose(other.rotations[:, 1:], one.rotations[:, 1:], atol=1e-7)
    np.testing.assert_allclose(other.rotations[:, 0], turn @ one.rotations[:, 0], atol=1e-9)
    np.testing.assert_allclose(other.root_world, one.root_world @ turn.T + (1, 2, 0.5))


def test_people_made_up_by_other_code_come_back() -> None:
    for clip in synthetic_clips(1, subjects=1, clips=1, seconds=2.0):
        body = body_from_joints(clip.joints_world, clip.fps)
        np.testing.assert_allclose(body.joints_world(), clip.joints_world, atol=2e-4, err_msg=clip.name)
        assert turns(body.rotations).max() < 20, clip.name


def test_real_motion_keeps_its_shape_and_never_flips(actlift_data) -> None:
    """Every third of CMU's clips: in frames in which no bone turns by over 15 degrees, no joint turns by 30.

    Bones of that data are nearly constant: what remains, under a millimeter, is also its rounding to 0.1 mm.
    """
    errors = []
    for clip in read_mocap_npz(actlift_data / "mocap" / "cmu.npz")[::3]:
        joints = clip.joints_world.astype(np.float64)
        body = body_from_joints(joints, clip.fps)
        errors.append(np.linalg.norm(body.joints_world() - joints, axis=-1).mean())
        calm = angles(directions(joints)[1:], directions(joints)[:-1]).max(axis=1) < np.radians(15)
        assert turns(body.rotations)[calm].max() < 30, clip.name
    assert np.mean(errors) < 0.001
    assert max(errors) < 0.002


def test_files_with_y_up_see_what_the_camera_saw() -> None:
    np.testing.assert_allclose(Y_UP_WORLD @ Y_UP_WORLD.T, np.eye(3))
    assert np.linalg.det(Y_UP_WORLD) == 1
    np.testing.assert_array_equal(Y_UP_WORLD @ (0, 0, 1), (0, 1, 0))  # up is y
    np.testing.assert_array_equal(Y_UP_WORLD @ (0, -1, 0), (0, 0, 1))  # towards the camera is z


def test_what_is_no_body_is_refused() -> None:
    joints = np.array(walking().joints_world)
    joints[7, H36M_17.index("LKnee")] = joints[7, H36M_17.index("LHip")]
    with pytest.raises(ValueError, match="frame 7: the bone to LKnee has no direction"):
        body_from_joints(joints, FPS)
    joints = posed({}, Spine=(0.2, 0, 0))[None]
    with pytest.raises(ValueError, match="frame 0: the trunk, which must not lie along the line of the hips, has no"):
        body_from_joints(joints, FPS)
    joints = posed({}, LHip=(0, 0, -0.1), RHip=(0, 0, -0.1))[None]
    with pytest.raises(ValueError, match="the line of the hips has no direction"):
        body_from_joints(joints, FPS)
