"""Kinematics: from the rotations of a skeleton's joints to their positions."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from actlift.errors import InputError


def forward_kinematics(
    parents: Sequence[int],
    offsets: Float[np.ndarray, "j 3"],
    rotations: Float[np.ndarray, "*lead j 3 3"],
    root: Float[np.ndarray, "*lead 3"],
) -> Float[np.ndarray, "*lead j 3"]:
    """Compute the positions of the joints of a posed skeleton.

    A joint's rotation turns all that hangs on it: with `G` the product of the rotations from the root to a joint,
    `joint = parent + G[parent] @ offset[joint]` and `G[joint] = G[parent] @ rotation[joint]`.

    Args:
        parents: index of each joint's parent, in any order; -1 for the one root.
        offsets: of each joint from its parent where nothing is turned, in meters; that of the root is not used.
        rotations: of each joint relative to its parent; that of the root relative to the world.
        root: position of the root joint, in meters.

    Returns:
        Positions in meters, in the frame of reference of `root`.

    Raises:
        InputError: there is not one root, a joint does not hang on it, or there are not as many parents as offsets.
    """
    order = _root_first(parents)
    if len(parents) != len(offsets):
        raise InputError(f"got {len(parents)} parents and {len(offsets)} offsets; give one of each per joint")
    turned: Float[np.ndarray, "*lead j 3 3"] = np.empty(rotations.shape)
    joints: Float[np.ndarray, "*lead j 3"] = np.empty(rotations.shape[:-1])
    turned[..., order[0], :, :] = rotations[..., order[0], :, :]
    joints[..., order[0], :] = root
    for joint in order[1:]:
        parent = parents[joint]
        turned[..., joint, :, :] = turned[..., parent, :, :] @ rotations[..., joint, :, :]
        joints[..., joint, :] = joints[..., parent, :] + turned[..., parent, :, :] @ offsets[joint]
    return joints


def _root_first(parents: Sequence[int]) -> list[int]:
    """The joints in an order in which every parent comes before its children."""
    roots = [joint for joint, parent in enumerate(parents) if parent == -1]
    if len(roots) != 1:
        raise InputError(f"a body has one root, marked by the parent -1; got {len(roots)} in {list(parents)}")
    order = list(roots)
    for reached in order:  # grows while it is walked
        order += [joint for joint, parent in enumerate(parents) if parent == reached]
    if len(order) != len(parents):
        loose = sorted(set(range(len(parents))) - set(order))
        raise InputError(f"joints {loose} do not hang on the root; follow their parents in {list(parents)}")
    return order
