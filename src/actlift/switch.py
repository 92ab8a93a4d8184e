"""When the action changes within a clip: a label for every frame, lifters blended where it changes, what that costs.

Each lifter that some frame needs runs over the whole clip; frame by frame the poses are averaged with weights that
cross over from one label to the next within a fade, a Hann window wide. The fade takes away the jump that two lifters,
which disagree by some centimetres, would leave in the pose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from actlift.data.corpus import View
from actlift.evaluate import root_relative
from actlift.labels import Told

FADE_S = 0.25
AROUND_S = 0.5  # on either side of a change, what counts as around it


def fade(labels: Int[np.ndarray, " t"], kinds: int, frames: int) -> Float[np.ndarray, "t kinds"]:
    """Weights of each kind of label in each frame: one-hot labels, averaged over a Hann window of so many frames.

    They sum to 1; away from changes, and everywhere with 1 frame or fewer, they are the one-hot labels. The clip's
    first and last labels go on beyond its ends.

    Raises:
        ValueError: for no frames, or labels that are not among the kinds.
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= kinds:
        raise ValueError(f"give a label from 0 to {kinds - 1} for each of at least one frame, got {labels}")
    window = np.hanning(max(frames, 1) + 2)[1:-1]
    half = len(window) // 2
    padded = np.pad(labels, (half, len(window) - 1 - half), mode="edge")
    kernel = window / window.sum()
    return np.stack([np.convolve(kind, kernel, mode="valid") for kind in np.eye(kinds)[padded].T], axis=1)


def lift_labelled(
    told: Told, view: View, labels: Sequence[str], *, fade_s: float = FADE_S
) -> Float[np.ndarray, "t j 3"]:
    """The poses of a view whose frames are told an action each, or "unknown".

    Args:
        told: the lifters.
        labels: one for each frame.
        fade_s: seconds within which one lifter gives way to the next; 0 switches at once.

    Raises:
        ValueError: for another number of labels than frames, or a label there is no lifter for.
    """
    if len(labels) != view.frames:
        raise ValueError(f"{view.clip} has {view.frames} frames, got {len(labels)} labels: give one for each")
    kinds = sorted(set(labels))
    numbers = np.array([kinds.index(label) for label in labels])
    weights = fade(numbers, len(kinds), round(fade_s * view.fps))
    poses = np.stack([told.poses([view], [kind])[0] for kind in kinds])
    blended: np.ndarray = np.einsum("tk,ktjc->tjc", weights, poses).astype(np.float32)
    return blended


@dataclass(frozen=True)
class Around:
    """What happens within AROUND_S of changes of label, on average over clips.

    Attributes:
        mpjpe, mpjve: errors in mm and mm/frame; steps over a seam between two clips are left out.
        spike: highest mean acceleration of the joints in a frame, in m/s², mean over clips; the frames that touch a
            seam are left out.
    """

    mpjpe: float
    mpjve: float
    spike: float


def around(
    poses: Sequence[Float[np.ndarray, "_ j 3"]], views: Sequence[View], changes: Sequence[int], *, seam: bool
) -> Around:
    """Measure poses around one change in each view.

    Args:
        changes: the first frame of the new label.
        seam: whether two clips meet there.
    """
    found = []
    for pose, view, change in zip(poses, views, changes, strict=True):
        reach = round(AROUND_S * view.fps)
        near = slice(max(0, change - reach), change + reach)
        predicted, true = pose[near].astype(np.float64), root_relative(view.pose3d_cam)[near]
        at = change - near.start
        steps, accelerations = (np.diff(predicted, n, axis=0) for n in (1, 2))
        keep, kept = np.ones(len(steps), bool), np.ones(len(accelerations), bool)
        if seam:
            keep[at - 1 : at] = False
            kept[at - 2 : at] = False
        velocity = np.linalg.norm(steps - np.diff(true, axis=0), axis=-1).mean(axis=1)[keep]
        peak = (np.linalg.norm(accelerations, axis=-1).mean(axis=1)[kept] * view.fps**2).max()
        found.append((1000 * np.linalg.norm(predicted - true, axis=-1).mean(), 1000 * velocity.mean(), peak))
    return Around(*(float(x) for x in np.mean(found, axis=0)))


def joined(views: Sequence[View], pairs: int, seed: int = 0) -> list[tuple[View, str, str, int]]:
    """Pairs of clips of two actions by one person as one camera saw them, one behind the other, as many as there are.

    Returns:
        The joined view (called by its first action), its two actions, and the first frame of the second.
    """
    ordered = [views[i] for i in np.random.default_rng((seed, 0x5E)).permutation(len(views))]
    found: list[tuple[View, str, str, int]] = []
    used: set[int] = set()
    for i, one in enumerate(ordered):
        for j, other in enumerate(ordered):
            same = (one.subject, one.camera_name) == (other.subject, other.camera_name)
            if len(found) < pairs and same and one.action != other.action and not {i, j} & used:
                used |= {i, j}
                both = replace(
                    one,
                    clip=f"{one.clip} + {other.clip}",
                    pose2d=np.concatenate([one.pose2d, other.pose2d]),
                    confidence=np.concatenate([one.confidence, other.confidence]),
                    pose3d_cam=np.concatenate([one.pose3d_cam, other.pose3d_cam]),
                )
                found.append((both, one.action, other.action, one.frames))
    return found
