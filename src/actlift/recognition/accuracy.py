"""How right probabilities of actions are, and calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from actlift.data.corpus import View
from actlift.errors import InputError

BINS = 15  # of calibration errors

Posteriors = list[Float[np.ndarray, "_ actions"]]


@dataclass(frozen=True)
class Accuracy:
    """How right probabilities are, over frames or over clips as one camera each saw them.

    Attributes:
        count: of frames or clips.
        top1, top3: how often the true action is the likeliest, or among the three likeliest.
        mean_over_actions: mean over actions of top1 among their own.
        grouped: how often the likeliest action is of the true one's group.
        calibration_error: expected calibration error over 15 equal bins (see :func:`calibration_error`).
        nll: mean negative log-likelihood of the true action, in nats.
    """

    count: int
    top1: float
    top3: float
    mean_over_actions: float
    grouped: float
    calibration_error: float
    nll: float


@dataclass(frozen=True, eq=False)
class Recognition:
    """What a recognizer is worth on some views: over frames, over clips, and what it takes for what.

    ``confusion[i, j]`` is the share of the frames of action i that are taken for action j; rows of actions that nobody
    does are NaN.
    """

    actions: tuple[str, ...]
    frames: Accuracy
    clips: Accuracy
    confusion: Float[np.ndarray, "actions actions"]


def measure(
    posteriors: Posteriors, views: Sequence[View], actions: Sequence[str], groups: Mapping[str, str] | None = None
) -> Recognition:
    """Compare probabilities, one array per view, with the views' actions.

    Args:
        groups: the group of an action; one that is not there is a group of its own.

    Raises:
        InputError: for no views, arrays that do not fit them, or an action that is not among ``actions``.
    """
    if not views:
        raise InputError("nothing to measure: the selection holds no views")
    if unknown := sorted({v.action for v in views} - set(actions)):
        raise InputError(f"the recognizer does not know {', '.join(unknown)}; it knows {', '.join(actions)}")
    if [p.shape for p in posteriors] != [(v.frames, len(actions)) for v in views]:
        raise InputError("give one array (frames, actions) of probabilities for every view, in their order")
    group = [(groups or {}).get(action, action) for action in actions]
    of_clip = np.array([actions.index(v.action) for v in views])
    of_frame = np.repeat(of_clip, [v.frames for v in views])
    frames = np.concatenate(posteriors)
    clips = np.stack([p.mean(axis=0) for p in posteriors])
    return Recognition(
        tuple(actions),
        accuracy(frames, of_frame, group),
        accuracy(clips, of_clip, group),
        confusion(frames.argmax(axis=1), of_frame, len(actions)),
    )


def accuracy(
    posterior: Float[np.ndarray, "n actions"], labels: Int[np.ndarray, " n"], group: Sequence[str]
) -> Accuracy:
    """How right probabilities are of frames or clips whose true actions are ``labels``; ``group`` names the group of
    each action."""
    order = np.argsort(-posterior, axis=1, kind="stable")
    right = order == labels[:, None]
    own_group = np.array(group)[order[:, 0]] == np.array(group)[labels]
    true = np.maximum(posterior[np.arange(len(labels)), labels], np.finfo(float).tiny)
    return Accuracy(
        count=len(labels),
        top1=float(right[:, 0].mean()),
        top3=float(right[:, :3].any(axis=1).mean()),
        mean_over_actions=float(np.mean([right[labels == action, 0].mean() for action in np.unique(labels)])),
        grouped=float(own_group.mean()),
        calibration_error=calibration_error(posterior, labels),
        nll=float(-np.log(true).mean()),
    )


def confusion(
    predicted: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], actions: int
) -> Float[np.ndarray, "actions actions"]:
    """Rows of true actions, columns of predicted ones; rows sum to 1, and are NaN where nothing is of the action."""
    counts = np.bincount(labels * actions + predicted, minlength=actions**2).reshape(actions, actions)
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0))


def calibration_error(
    posterior: Float[np.ndarray, "n actions"], labels: Int[np.ndarray, " n"], bins: int = BINS
) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): how far confidence, the highest probability, is from
    accuracy in each of several equal-width bins of confidence, open below; their mean, weighted by what is in them."""
    confidence = posterior.max(axis=1)
    where = np.ceil(confidence * bins).astype(int).clip(1, bins)
    gap = confidence - (posterior.argmax(axis=1) == labels)
    return float(np.abs(np.bincount(where, weights=gap)).sum() / len(labels))


def temperature_of(
    logits: Float[np.ndarray, "n actions"],
    labels: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"] | None = None,
) -> float:
    """The temperature from 0.05 to 20 at which ``softmax(logits / temperature)`` makes the labels, weighted where
    weights are given, likeliest."""

    def nll(log_temperature: float) -> float:
        logs = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(np.average(logs[np.arange(len(labels)), labels], weights=weights))

    return float(np.exp(minimize_scalar(nll, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def confidence_for(posterior: Float[np.ndarray, "n actions"], labels: Int[np.ndarray, " n"], share: float) -> float:
    """The least confidence such that the clips of at least that confidence are right in this share; 1 if none is."""
    confidence = posterior.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (posterior.argmax(axis=1) == labels)[order]
    enough = np.flatnonzero(np.cumsum(right) >= share * np.arange(1, len(right) + 1))
    return float(confidence[order][enough[-1]]) if len(enough) else 1.0
