"""What is seen of a person: poses relative to the pelvis, and the rays of one camera to their keypoints."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from actlift.errors import UnusableKeypointsError
from actlift.geometry.camera import Camera
from actlift.geometry.skeleton import COCO_17, H36M_17

# What poses and keypoints share: 12 limb joints, and the ears, which lie halfway between Neck (mouth) and Head.
LIMBS = tuple(f"{side}{part}" for part in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle") for side in "LR")
FEET = (LIMBS.index("LAnkle"), LIMBS.index("RAnkle"))
HIPS, KNEES, ANKLES = ([H36M_17.index(f"{side}{part}") for side in "LR"] for part in ("Hip", "Knee", "Ankle"))
PELVIS, SPINE, THORAX, NECK, HEAD = (H36M_17.index(joint) for joint in ("Pelvis", "Spine", "Thorax", "Neck", "Head"))

SHORTEST = 1e-4  # of a body in the image, in focal lengths: a person some kilometers away


@dataclass(frozen=True, eq=False)
class Sight:
    """Poses and rays to the keypoints, of the 13 joints that both have: `LIMBS`, then the ears' midpoint.

    Attributes:
        joints: (t, 13, 3) meters from the pelvis, in the axes of the camera.
        rays: (t, 13, 2) where the keypoints lie in the plane z = 1 of the camera.
        confidence: (t, 13), 0 to 1.
        fps: frames per second.
    """

    joints: Float[np.ndarray, "t 13 3"]
    rays: Float[np.ndarray, "t 13 2"]
    confidence: Float[np.ndarray, "t 13"]
    fps: float


def sighted(
    pose: Float[np.ndarray, "t 17 3"],
    pose2d_px: Float[np.ndarray, "t 17 2"],
    confidence: Float[np.ndarray, "t 17"],
    fps: float,
    camera: Camera,
) -> Sight:
    """Find the joints that poses and keypoints share; keypoints without confidence become the middle of the image.

    Args:
        pose: meters from the pelvis in the axes of the camera, joints in the order of `H36M_17`.
        pose2d_px: pixels, joints in the order of `COCO_17`.
        confidence: 0 to 1.
        fps: frames per second.
        camera: its intrinsics count.

    Raises:
        UnusableKeypointsError: no frame has keypoints that tell how far away the person is.
    """
    limbs = [COCO_17.index(joint) for joint in LIMBS]
    ears = [COCO_17.index("LEar"), COCO_17.index("REar")]
    known = np.concatenate([confidence[:, limbs], confidence[:, ears].min(axis=1, keepdims=True)], axis=1)
    points_px = np.concatenate([pose2d_px[:, limbs], pose2d_px[:, ears].mean(axis=1, keepdims=True)], axis=1)
    points_px = np.where(known[..., None] > 0, points_px, camera.center_px)
    rays = camera.px_to_cam(points_px, np.ones(known.shape))[..., :2]
    sight = Sight(shared_joints(pose), rays, known.astype(np.float64), fps)
    if not (depth_information(sight) > SHORTEST**2).any():
        raise UnusableKeypointsError(
            "no frame has keypoints that tell how far away the person is: wanted two or more of shoulders, elbows, "
            "wrists, hips, knees, ankles and ears with a confidence above 0, apart from one another"
        )
    return sight


def depth_information(sight: Sight) -> Float[np.ndarray, " t"]:
    """Sum the spread of the rays around their mean over the joints: 0 where depth is unknown."""
    total = sight.confidence.sum(axis=1, keepdims=True)
    share = sight.confidence / np.maximum(total, 1e-12)
    mean = (share[..., None] * sight.rays).sum(axis=1, keepdims=True)
    return np.asarray((sight.confidence * ((sight.rays - mean) ** 2).sum(axis=-1)).sum(axis=1))


def shared_joints(pose: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, "t 13 3"]:
    """Pick the joints of a pose that keypoints share: `LIMBS`, then the ears' midpoint."""
    ears = pose[:, [NECK, HEAD]].mean(axis=1, keepdims=True)
    return np.concatenate([pose[:, [H36M_17.index(joint) for joint in LIMBS]], ears], axis=1)


def on_plane(rays: Float[np.ndarray, "*lead 2"], depth: Float[np.ndarray, "*lead"]) -> Float[np.ndarray, "*lead 3"]:
    """Place points on rays (of z = 1) at these depths."""
    return np.concatenate([rays * depth[..., None], depth[..., None]], axis=-1)


def length(vectors: Float[np.ndarray, "*lead c"]) -> Float[np.ndarray, "*lead"]:
    """Measure the lengths of vectors."""
    return np.asarray(np.sqrt(np.einsum("...c,...c->...", vectors, vectors)))


def unit(vectors: Float[np.ndarray, "*lead 3"]) -> Float[np.ndarray, "*lead 3"]:
    """Scale vectors to a length of 1."""
    return np.asarray(vectors / np.maximum(length(vectors), 1e-12)[..., None])
