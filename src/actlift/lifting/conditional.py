"""Lifters that are told the action: one network per action or one that takes conditions, the mixture that checks its
label, and cross-fades where labels change within a clip.

A lifter "told" an action is one network per action: the expert of the action, or the conditioned network given the
action. "Untold" is what there is without a label: the generalist, or the conditioned network given "unknown".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from actlift.data.corpus import View
from actlift.data.keypoints2d import Keypoints2D
from actlift.errors import InputError
from actlift.geometry.skeleton import root_relative
from actlift.lifting.predict import LifterPredictor, Poses, Predictor, route
from actlift.lifting.stream import fade_window
from actlift.models.base import Lifter, given, unconditioned

UNKNOWN = "unknown"
FADE_S = 0.25
TOLERATED = 1.02  # error of the mixture that is told wrong actions, over the unconditioned one's, on training views


@dataclass(frozen=True, eq=False)
class ConditionalLifter:
    """A lifter for each action, and one without: see the module.

    Attributes:
        actions: predictors by action.
        unconditioned: the predictor without a label.
    """

    actions: Mapping[str, Predictor]
    unconditioned: Predictor

    @classmethod
    def from_network(cls, network: Lifter, actions: Sequence[str], *, flip: bool = True) -> "ConditionalLifter":
        """One network that takes conditions, numbered as ``actions`` are; ``flip`` as for :class:`LifterPredictor`."""
        of_action = {action: LifterPredictor(given(network, i), flip=flip) for i, action in enumerate(actions)}
        return cls(of_action, LifterPredictor(unconditioned(network), flip=flip))

    @classmethod
    def from_experts(cls, experts: Mapping[str, Lifter], generalist: Lifter) -> "ConditionalLifter":
        """One network per action, and a generalist where no action is known."""
        return cls({action: LifterPredictor(expert) for action, expert in experts.items()}, LifterPredictor(generalist))

    def poses(self, sequences: Sequence[Keypoints2D], labels: Sequence[str]) -> Poses:
        """The poses of sequences, each told its label (an action or "unknown").

        Raises:
            InputError: for a label there is no lifter for.
        """
        return route({**self.actions, UNKNOWN: self.unconditioned}, sequences, labels)


@dataclass(frozen=True)
class Gate:
    """When the mixture trusts a label.

    Attributes:
        confidence: least probability of the label.
        distance_m: largest mean distance over joints and frames between the conditioned and the unconditioned pose, in
            meters.
    """

    confidence: float
    distance_m: float

    @classmethod
    def fit(cls, conditioned: ConditionalLifter, views: Sequence[View], confidence: float, seed: int = 0) -> "Gate":
        """The largest distance at which training views that are told a wrong action, each one drawn at random, come out
        hardly worse on average than unconditioned: by the factor TOLERATED at most."""
        actions = sorted(conditioned.actions)
        generator = np.random.default_rng((seed, 0x6A))
        wrong = [str(generator.choice([a for a in actions if a != v.action])) for v in views]
        seen = [v.keypoints for v in views]
        with_label, without = conditioned.poses(seen, wrong), conditioned.unconditioned(seen)
        apart = distance_apart(with_label, without)
        order = np.argsort(apart)
        truth = [root_relative(v.pose3d_cam) for v in views]
        plain = distance_apart(without, truth)
        costs = distance_apart([(a + b) / 2 for a, b in zip(with_label, without, strict=True)], truth) - plain
        bearable = np.flatnonzero(np.cumsum(costs[order]) <= (TOLERATED - 1) * plain.sum())
        return cls(confidence, float(apart[order][bearable[-1]]) if len(bearable) else 0.0)


def mixture(
    conditioned: ConditionalLifter,
    unconditioned_poses: Poses,
    sequences: Sequence[Keypoints2D],
    posteriors: Sequence[np.ndarray],
    gate: Gate,
) -> tuple[Poses, Int[np.ndarray, " sequences"]]:
    """The mixture's poses, and which sequences' labels it trusted (1) or not (0).

    Args:
        unconditioned_poses: of the sequences.
        posteriors: probabilities of ``conditioned.actions`` of each sequence.
    """
    actions = list(conditioned.actions)
    labels = [actions[int(p.argmax())] for p in posteriors]
    with_label = conditioned.poses(sequences, labels)
    sure = np.array([p.max() >= gate.confidence for p in posteriors])
    trusted = sure & (distance_apart(with_label, unconditioned_poses) <= gate.distance_m)
    poses = [(a + b) / 2 if t else b for a, b, t in zip(with_label, unconditioned_poses, trusted, strict=True)]
    return poses, trusted.astype(np.int64)


def distance_apart(one: Poses, other: Poses) -> Float[np.ndarray, " sequences"]:
    """Mean distance of joints between two poses of each sequence, in their unit."""
    return np.array([np.linalg.norm(a - b, axis=-1).mean() for a, b in zip(one, other, strict=True)], float)


def fade(
    labels: Int[np.ndarray, " t"], kinds: int, frames: int, ahead: int | None = None
) -> Float[np.ndarray, "t kinds"]:
    """Weights of each kind of label in each frame: one-hot labels, averaged over the window of a fade.

    They sum to 1; away from changes, and everywhere with 1 frame or fewer, they are the one-hot labels. The clip's
    first and last labels go on beyond its ends.

    Args:
        labels: from 0 to ``kinds - 1``.
        frames: of the fade.
        ahead: how many frames a fade begins before its label; half of it where None, 0 where labels come live.

    Raises:
        InputError: for no labels, some that are not among the kinds, a negative fade, or one that is all ahead.
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= kinds:
        raise InputError(f"give a label from 0 to {kinds - 1} for each of at least one frame, got {labels}")
    window = fade_window(frames)
    early = (len(window) - 1) // 2 if ahead is None else ahead
    if not 0 <= early < len(window):
        raise InputError(f"a fade of {frames} frames begins 0 to {len(window) - 1} frames before a change, got {ahead}")
    padded = np.pad(labels, (len(window) - 1 - early, early), mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(np.eye(kinds)[padded], len(window), axis=0) @ window)


def lift_labeled(
    conditioned: ConditionalLifter,
    seen: Keypoints2D,
    labels: Sequence[str],
    *,
    fade_s: float = FADE_S,
    ahead: int | None = None,
) -> Float[np.ndarray, "t j 3"]:
    """The poses of a sequence whose frames are told an action each, or "unknown".

    Args:
        conditioned: the lifters.
        seen: the keypoints.
        labels: one for each frame.
        fade_s: seconds within which one lifter gives way to the next; 0 switches at once.
        ahead: as for :func:`fade`.

    Raises:
        InputError: for another number of labels than frames, a label there is no lifter for, or what :func:`fade`
            refuses.
    """
    if len(labels) != seen.frames:
        raise InputError(f"there are {seen.frames} frames of keypoints, got {len(labels)} labels: give one for each")
    kinds, numbers = np.unique(labels, return_inverse=True)
    weights = fade(numbers, len(kinds), round(fade_s * seen.fps), ahead)
    poses = np.stack(conditioned.poses([seen] * len(kinds), kinds.tolist()))
    blended: np.ndarray = np.einsum("tk,ktjc->tjc", weights, poses).astype(np.float32)
    return blended
