"""Recognition and lifting in turns: the action recognized in the keypoints conditions the pose, in which the action is
recognized again (Yao, Gall and Van Gool 2012, "Coupled action recognition and pose estimation from multiple views",
IJCV: the idea that action-based training grew from).

Round 1 is told what keypoints alone say of the action, every later round what they say together with the poses of the
round before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from actlift.data.corpus import View
from actlift.data.keypoints2d import Keypoints2D
from actlift.errors import InputError
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES, Scores
from actlift.lifting.conditional import ConditionalLifter
from actlift.lifting.predict import Poses
from actlift.recognition.accuracy import Posteriors, measure

ROUND_METRICS = ("mpjpe", "mpjve")

RecognizeAgain = Callable[[Sequence[Keypoints2D], Poses], Posteriors]
"""Probabilities ``(t, actions)`` of every frame of each sequence, from its keypoints and its poses."""


@dataclass(frozen=True, eq=False)
class Round:
    """One turn of recognizing and lifting.

    Attributes:
        posteriors: probabilities of the actions in every frame of each sequence.
        labels: the action that each sequence was told, the likeliest on average over its frames.
        poses: lifted so.
    """

    posteriors: Posteriors
    labels: list[str]
    poses: Poses


def coupled_rounds(
    conditioned: ConditionalLifter,
    sequences: Sequence[Keypoints2D],
    posteriors: Posteriors,
    again: RecognizeAgain | None = None,
    rounds: int = 1,
) -> list[Round]:
    """Lift sequences as recognized, recognize them in what was lifted, and lift again.

    Args:
        conditioned: the lifters that are told an action.
        posteriors: of ``conditioned.actions``, in their order, in every frame of each sequence: what round 1 is told
            from.
        again: tells the same from keypoints and poses, such as
            :meth:`actlift.recognition.prediction.ActionRecognizer.of_poses`, in rounds after the first.
        rounds: how often to lift.

    Raises:
        InputError: for no round, several with nothing to recognize poses by or one with it, or probabilities of
            another number of sequences or actions.
    """
    if rounds < 1 or (again is None) != (rounds == 1):
        raise InputError(
            "the first round takes no recognizer of poses, and later ones do: give one and 2 rounds or more, or none "
            f"and 1; got {'none' if again is None else 'one'} and {rounds}"
        )
    actions = list(conditioned.actions)
    found: list[Round] = []
    while True:
        if len(posteriors) != len(sequences) or any(p.shape[1] != len(actions) for p in posteriors):
            raise InputError(
                f"there are {len(sequences)} sequences and {len(actions)} actions; give an array (frames, actions) of "
                "probabilities for each sequence"
            )
        labels = [actions[int(p.mean(axis=0).argmax())] for p in posteriors]
        poses = conditioned.poses(sequences, labels)
        found.append(Round(posteriors, labels, poses))
        if again is None or len(found) == rounds:
            return found
        posteriors = again(sequences, poses)


def summary(scores: Scores, posteriors: Posteriors, views: Sequence[View], actions: Sequence[str]) -> dict[str, Any]:
    """Sum up a round, JSON-able: its errors in both averages, in millimeters (per frame), and how often it was right.

    Args:
        scores: of the round, one variant, :data:`ROUND_METRICS` among its metrics.
        posteriors: in every frame of each view.
        actions: those that they are of.

    Returns:
        ``mpjpe`` and ``mpjve``, each "mean over actions" and "mean over frames"; ``frames`` and ``clips``, the shares
        of the frames, and of the clips as one camera each saw them, whose likeliest action is the true one.
    """
    recognized = measure(posteriors, views, actions)
    errors = {metric: scores.per_action(metric).iloc[0].to_dict() for metric in ROUND_METRICS}
    return {
        **{metric: {mean: of[mean] for mean in (MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES)} for metric, of in errors.items()},
        "frames": recognized.frames.top1,
        "clips": recognized.clips.top1,
    }
