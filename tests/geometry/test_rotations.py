"""Kinematics: against a recursion over plain lists, and what no pose may change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from actlift.geometry.rotations import forward_kinematics
from actlift.geometry.skeleton import H36M_17


def body(seed: int, *lead: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rotations = (
        Rotation.from_rotvec(rng.normal(size=(*lead, 17, 3)).reshape(-1, 3)).as_matrix().reshape(*lead, 17, 3, 3)
    )
    return rng.normal(size=(17, 3)), rotations, rng.normal(size=(*lead, 3))


def recursive(joint: int, parents: tuple[int, ...], offsets: list, rotations: list, root: list) -> tuple[list, list]:
    """Position of a joint and its rotation in the world, element by element."""
    if parents[joint] == -1:
        return root, rotations[joint]
    position, turned = recursive(parents[joint], parents, offsets, rotations, root)
    here = [position[r] + sum(turned[r][k] * offsets[joint][k] for k in range(3)) for r in range(3)]
    product = [[sum(turned[r][k] * rotations[joint][k][c] for k in range(3)) for c in range(3)] for r in range(3)]
    return here, product


def test_forward_kinematics_is_the_recursion() -> None:
    offsets, rotations, root = body(0, 5)
    got = forward_kinematics(H36M_17.parents, offsets, rotations, root)
    for frame in range(5):
        for joint in range(17):
            position, _ = recursive(
                joint, H36M_17.parents, offsets.tolist(), rotations[frame].tolist(), root[frame].tolist()
            )
            np.testing.assert_allclose(got[frame, joint], position, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_bones_keep_their_lengths(seed: int) -> None:
    offsets, rotations, root = body(seed, 3, 4)
    joints = forward_kinematics(H36M_17.parents, offsets, rotations, root)
    child, parent = np.array(H36M_17.bones).T
    lengths = np.linalg.norm(joints[..., child, :] - joints[..., parent, :], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(np.linalg.norm(offsets[child], axis=-1), lengths.shape))


def test_without_rotation_offsets_add_up() -> None:
    offsets, _, root = body(1)
    joints = forward_kinematics(H36M_17.parents, offsets, np.broadcast_to(np.eye(3), (17, 3, 3)), root)
    np.testing.assert_allclose(joints[0], root)
    np.testing.assert_allclose(joints[3], root + offsets[1] + offsets[2] + offsets[3])


def test_parents_may_come_after_their_children() -> None:
    offsets, rotations, root = body(2, 6)
    order = np.random.default_rng(0).permutation(17)
    place = np.argsort(order)
    parents = [-1 if H36M_17.parents[j] == -1 else int(place[H36M_17.parents[j]]) for j in order]
    shuffled = forward_kinematics(parents, offsets[order], rotations[:, order], root)
    np.testing.assert_array_equal(shuffled, forward_kinematics(H36M_17.parents, offsets, rotations, root)[:, order])


@pytest.mark.parametrize(
    ("parents", "message"),
    [
        ((-1, -1, 0), "one root, marked by the parent -1; got 2"),
        ((1, 2, 0), "one root, marked by the parent -1; got 0"),
        ((-1, 2, 1), r"joints \[1, 2\] do not hang on the root"),
        ((-1, 0), "got 2 parents and 3 offsets"),
    ],
)
def test_what_is_no_body_is_refused(parents: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forward_kinematics(parents, np.zeros((3, 3)), np.broadcast_to(np.eye(3), (3, 3, 3)), np.zeros(3))
