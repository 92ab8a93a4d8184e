"""Which way is down in the images of a camera that is held askew: a first guess, by how people stand in them.

Lifters learn from cameras that are held about level. A phone that films on its side, or an action camera on a strap, is
not: people are lifted as such a camera would see them once it is turned upright about its axis
(`actlift.geometry.framing`), and turned back. People are mostly upright, so their bodies' axes in the image tell how
far to turn; those who lie or bend for a while are outvoted. Whether to believe it is for the lifted poses to say:
turned the right way they fit their keypoints better (`actlift.geometry.trajectory.misfit_m`).
"""

import numpy as np
from jaxtyping import Float

from actlift.geometry.framing import CroppedKeypoints, roll_of
from actlift.geometry.skeleton import H36M_17

LEVEL_DEG = 8.0  # up to which nothing is turned: runners lean by 10 degrees, and lifters know such cameras
STRANGE_DEG = 50.0  # beyond which a camera is on its side or upside down, unless somebody lies
BETTER = (
    0.94,
    0.7,
)  # most that poses may miss their keypoints by turned, over that unturned: up to STRANGE_DEG, beyond
AGAIN_DEG = 5.0  # what the lifted motion has to find it otherwise by, to be lifted again

PITCH_DEG = 10.0  # by which a camera that looks at a person usually looks down
ODD_DEG = (45.0, 15.0)  # an axis this far off the others counts half: at first and at last
ROUNDS = 6
UNSEEN = 0.05  # confidence of ankles below which the trunk alone tells the axis

PELVIS, THORAX = (H36M_17.index(joint) for joint in ("Pelvis", "Thorax"))
ANKLES = [H36M_17.index(joint) for joint in ("LAnkle", "RAnkle")]


def seen_down(frames: CroppedKeypoints, confidence: Float[np.ndarray, "t 17"]) -> Float[np.ndarray, "3"]:
    """Guess the direction of gravity in the axes of the camera, by the axes of bodies in the image.

    Of the four ways in which a camera can be turned by quarters, that which most bodies agree with is where a robust
    mean of their axes begins; long axes count more. How far the camera looks down is taken to be as usual.

    Args:
        frames: crops that are not turned.
        confidence: of the keypoints, joints in the order of `H36M_17`.
    """
    points = frames.pose2d.astype(np.float64)
    feet = confidence[:, ANKLES].max(axis=1, keepdims=True) >= UNSEEN
    axis = np.where(feet, points[:, ANKLES].mean(axis=1), points[:, PELVIS]) - points[:, THORAX]  # downwards
    turned = axis[:, 1] + 1j * axis[:, 0]  # its argument is 0 where the image's down is
    found = [_agreed(turned, quarter) for quarter in (1 + 0j, 1j, -1j, -1 + 0j)]
    roll = float(np.angle(max(found, key=lambda mean: round(abs(mean), 9))))
    pitch = np.deg2rad(PITCH_DEG)
    down_crop = np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])
    down = (down_crop @ frames.R_crop_cam).sum(axis=0)
    return np.asarray(down / np.linalg.norm(down))


def askew_deg(frames: CroppedKeypoints, down_cam: Float[np.ndarray, "3"]) -> float:
    """How far a camera is turned about the axes of its crops, in the mean: -180 to 180 degrees, 0 upright."""
    return float(np.rad2deg(np.angle(np.exp(1j * roll_of(frames.R_crop_cam, down_cam)).sum())))


def apart_deg(frames: CroppedKeypoints, one_cam: Float[np.ndarray, "3"], other_cam: Float[np.ndarray, "3"]) -> float:
    """By how many degrees two directions of gravity differ in crops, in the mean."""
    turns = np.exp(1j * (roll_of(frames.R_crop_cam, one_cam) - roll_of(frames.R_crop_cam, other_cam)))
    return float(np.rad2deg(np.abs(np.angle(turns)).mean()))


def is_better(askew: float, turned_m: float, level_m: float) -> bool:
    """Tell whether to believe that a camera is so many degrees askew, by how far poses miss their keypoints.

    Args:
        askew: in degrees.
        turned_m, level_m: `misfit_m` of what is lifted upright, and as it is.
    """
    return turned_m <= BETTER[abs(askew) > STRANGE_DEG] * level_m


def _agreed(turned: np.ndarray, start: complex) -> complex:
    """The mean of axes, as complex numbers, over those that about agree with it; it begins with a direction."""
    mean = start
    for odd_deg in np.geomspace(*ODD_DEG, ROUNDS):
        off = np.angle(turned * np.conj(mean))
        mean = complex((turned / (1 + (off / np.deg2rad(odd_deg)) ** 4)).mean())
    return mean
