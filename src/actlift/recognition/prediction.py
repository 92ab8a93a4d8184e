"""Recognizing actions with a trained network: probabilities for every frame, and labels without flicker."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.signal import lfilter
from scipy.special import softmax
from torch import Tensor

from actlift.data.keypoints2d import Keypoints2D
from actlift.errors import InputError
from actlift.geometry.skeleton import mirror_points
from actlift.lifting.conditional import UNKNOWN
from actlift.lifting.predict import Poses, lift
from actlift.models.base import Lifter, inference_form, make_network
from actlift.models.tensors import of_member, read_tensors
from actlift.recognition.accuracy import Posteriors
from actlift.recognition.network import RecognizerNetwork, features, statistics
from actlift.training.run import Run

EVERYBODY = "everybody"  # the member that is used
LIFTER = "lifter"  # what stands before its tensors
BLOCK = 2048  # frames whose windows are described at once
SMOOTHING_S = 0.25  # time constant of recognized probabilities
SURE = 0.8  # what an action needs of these to be told


class ActionRecognizer:
    """Probabilities of actions for every frame of whole sequences, and one label for each.

    Mirrored keypoints show the same action, so logits are averaged over both.

    Args:
        recognizer: the network, in evaluation mode.
        actions: names of its outputs.
        temperature: what logits are divided by.
        lifter: whose poses the network sees beside the keypoints, where it takes lifted poses.
        sure: the least confidence above which clips of people left out were right nearly always; 1 where unknown.
    """

    def __init__(
        self,
        recognizer: RecognizerNetwork,
        actions: Sequence[str],
        temperature: float = 1.0,
        lifter: Lifter | None = None,
        sure: float = 1.0,
    ) -> None:
        if len(actions) != recognizer.actions:
            raise InputError(f"the recognizer tells {recognizer.actions} actions apart, got {len(actions)} names")
        if (lifter is not None) != recognizer.lifted:
            raise InputError(f"this recognizer takes {'' if recognizer.lifted else 'no '}lifted poses")
        self.recognizer = recognizer
        self.actions = tuple(actions)
        self.temperature = temperature
        self.lifter = None if lifter is None else inference_form(lifter)
        self.sure = sure

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Posteriors:
        """Probabilities ``(t, actions)`` of every frame of each sequence; they sum to 1."""
        return [self.posterior(s.pose2d, s.fps) for s in sequences]

    def of_poses(self, sequences: Sequence[Keypoints2D], poses: Poses) -> Posteriors:
        """The same, where these poses are seen beside the keypoints instead of those of the recognizer's lifter.

        Raises:
            InputError: for a recognizer that sees no poses, or one pose array too many or too few.
        """
        if len(poses) != len(sequences):
            raise InputError(f"there are {len(sequences)} sequences, got poses of {len(poses)}: give some for each")
        return [self.posterior(s.pose2d, s.fps, pose) for s, pose in zip(sequences, poses, strict=True)]

    def posterior(
        self, pose2d: Float[np.ndarray, "t j 2"], fps: float, pose3d: Float[np.ndarray, "t j 3"] | None = None
    ) -> Float[np.ndarray, "t actions"]:
        """Probabilities of every frame of a sequence in screen units; see :meth:`logits`."""
        return np.asarray(softmax(self.logits(pose2d, fps, pose3d) / self.temperature, axis=1))

    def of_clip(self, seen: Keypoints2D) -> Float[np.ndarray, " actions"]:
        """Probabilities of a whole sequence, the mean over its frames."""
        return np.asarray(self.posterior(seen.pose2d, seen.fps).mean(axis=0))

    def label_of(self, seen: Keypoints2D) -> str:
        """The action likeliest on average over the sequence."""
        return self.actions[int(self.of_clip(seen).argmax())]

    @torch.no_grad()
    def logits(
        self, pose2d: Float[np.ndarray, "t j 2"], fps: float, pose3d: Float[np.ndarray, "t j 3"] | None = None
    ) -> Float[np.ndarray, "t actions"]:
        """Uncalibrated logits of every frame of a sequence in screen units, whose windows end where it does.

        Args:
            pose2d: keypoints.
            fps: frames per second.
            pose3d: joints in camera meters, wherever the root, to be seen in place of what the recognizer's lifter
                makes of the keypoints.

        Raises:
            InputError: for an empty sequence, another number of joints, or poses for a recognizer that sees none.
        """
        if pose3d is not None and self.lifter is None:
            raise InputError(
                "this recognizer sees keypoints alone: give one that sees poses (`actlift recognize --lifter`)"
            )
        if pose3d is None and self.lifter is not None:
            pose3d = lift(self.lifter, [pose2d])[0]
        blocks = []
        for first in range(0, max(len(pose2d), 1), BLOCK):
            low = max(first - self.recognizer.receptive_field, 0)  # no window of the block reaches so far
            high = first + BLOCK + self.recognizer.receptive_field
            seen = describe(self.recognizer, pose2d[low:high], None if pose3d is None else pose3d[low:high], fps)
            both = self.recognizer(seen[:, first - low : first - low + BLOCK].flatten(0, 1)).unflatten(0, (2, -1))
            blocks.append(both.mean(dim=0).double())
        return np.asarray(torch.cat(blocks))


def load_recognizer(run: Run, member: str = EVERYBODY) -> ActionRecognizer:
    """The calibrated recognizer of a finished run, or one of those that left people out.

    Raises:
        MissingInputError: if training has not ended.
        InputError: for an unknown member (lists the known), or weights that are no recognizer's.
    """
    run.check_member(member)
    tensors, metadata = read_tensors(run.weights)
    identity = run.identity
    if "temperature" not in metadata:
        raise InputError(f"{run.folder} holds no recognizer (no temperature): `actlift recognize` trains one")
    network = RecognizerNetwork(len(identity.actions), **identity.model)
    lifter = make_network(identity.lifter["model"]) if identity.lifter else None
    try:
        network.load_state_dict(of_member(tensors, member))
        if lifter is not None:
            lifter.load_state_dict(of_member(tensors, LIFTER))
            lifter.eval()
    except RuntimeError as error:  # of torch, for tensors of other shapes
        raise InputError(f"{run.folder} holds no recognizer ({error}): `actlift recognize` trains one") from error
    return ActionRecognizer(
        network.eval(), identity.actions, float(metadata["temperature"]), lifter, float(metadata.get("sure", 1.0))
    )


def smoothed(posterior: Float[np.ndarray, "t actions"], seconds: float, fps: float) -> Float[np.ndarray, "t actions"]:
    """Probabilities after an exponential moving average of their logarithms, with a time constant. Sees the past only.

    Raises:
        InputError: for a time constant or frame rate that is not positive.
    """
    if not (seconds > 0 and fps > 0):
        raise InputError(f"smoothing needs a positive time constant and frame rate, got {seconds} s and {fps} fps")
    keep = np.exp(-1 / (seconds * fps))
    logs = np.log(np.maximum(posterior, np.finfo(float).tiny))
    average, _ = lfilter([1 - keep], [1, -keep], logs, axis=0, zi=keep * logs[:1])
    return np.asarray(softmax(average, axis=1))


def steady_labels(
    posterior: Float[np.ndarray, "t actions"], *, margin: float = 0.1, hold: int = 10
) -> Int[np.ndarray, " t"]:
    """One action per frame, with hysteresis: another one takes over at the last of ``hold`` frames in a row in which it
    is the likeliest and leads the present one by at least ``margin`` of probability.

    Raises:
        InputError: for a margin outside [0, 1) or a hold of fewer than 2 frames.
    """
    if not 0 <= margin < 1 or hold < 2:
        raise InputError(f"a margin is from 0 to below 1 and a hold at least 2 frames, got {margin} and {hold}")
    likeliest = posterior.argmax(axis=1)
    first = np.flatnonzero(np.diff(likeliest, prepend=-1))  # of every run of frames with one likeliest action
    long = np.diff(first, append=len(likeliest)) >= hold
    labels = np.empty(len(posterior), np.int64)
    present, since = int(likeliest[0]), 0
    for start, stop in zip(first[long], np.append(first, len(likeliest))[1:][long], strict=True):
        rival = int(likeliest[start])
        run = posterior[start:stop]
        ahead = run[:, rival] - run[:, present] >= margin
        held = np.lib.stride_tricks.sliding_window_view(ahead, hold).all(axis=1)
        if rival != present and held.any():
            change = int(start) + int(held.argmax()) + hold - 1
            labels[since:change] = present
            present, since = rival, change
    labels[since:] = present
    return labels


def recognized_labels(recognized: ActionRecognizer, seen: Keypoints2D, *, sure: float = SURE) -> list[str]:
    """What to tell each frame: the recognized action, smoothed and without flicker, or "unknown" where it is not sure.

    Args:
        sure: the least probability of an action that is told; 0 always tells one.
    """
    chances = smoothed(recognized.posterior(seen.pose2d, seen.fps), SMOOTHING_S, seen.fps)
    steady = steady_labels(chances)
    likely = chances[np.arange(len(chances)), steady] >= sure
    labels: list[str] = np.where(likely, np.array(recognized.actions)[steady], UNKNOWN).tolist()
    return labels


def describe(
    network: RecognizerNetwork,
    pose2d: Float[np.ndarray, "t j 2"],
    pose3d: Float[np.ndarray, "t j 3"] | None,
    fps: float,
) -> Float[Tensor, "2 t features 2"]:
    """What a recognizer takes of every frame of a sequence, as it is and mirrored.

    Args:
        network: whose windows these are.
        pose2d: keypoints in screen units.
        pose3d: joints in camera meters, wherever the root; where the network takes lifted poses.
        fps: frames per second.

    Raises:
        InputError: for an empty sequence, another number of joints, or a frame rate that is not positive.
    """
    skeleton = network.skeleton
    if pose2d.ndim != 3 or not len(pose2d) or pose2d.shape[1] != len(skeleton):
        raise InputError(
            f"wanted at least one frame of the {len(skeleton)} joints of {skeleton.name}, got {pose2d.shape}"
        )
    each = []
    for points in (pose2d, pose3d):
        if points is not None:
            own = np.concatenate([points[:1], points])  # the first frame stands still
            both = torch.from_numpy(np.stack([own, mirror_points(own, skeleton)])).float()
            each.append(features(both, fps, skeleton).flatten(-2))
    return statistics(torch.cat(each, dim=-1), network.receptive_field, causal=network.causal)
