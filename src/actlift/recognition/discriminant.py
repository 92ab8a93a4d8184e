"""The clip recognizer: linear discriminant analysis of statistics over a whole view, a named baseline of the
network."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import softmax

from actlift.data.corpus import Corpus
from actlift.data.keypoints2d import Keypoints2D
from actlift.errors import InputError
from actlift.geometry.skeleton import H36M_17, Skeleton, mirror_points
from actlift.models.tensors import read_tensors, write_tensors
from actlift.recognition.accuracy import Accuracy, Posteriors, accuracy, confidence_for, temperature_of
from actlift.recognition.folds import leave_out, people_to_leave_out
from actlift.recognition.network import features

SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.5)
FOLDS = 5  # with fewer, what is chosen suits a recognizer of fewer people than it will learn from
SURE = 0.95  # how often the recognizer is right on held-out clips of which it is surer than the gate asks
OPERATIONS = 10  # per feature and frame, to describe a view


@dataclass(frozen=True, eq=False)
class ClipRecognizer:
    """Recognizes the action of a whole view: linear discriminant analysis (Fisher 1936) of statistics over its frames.

    The pooled covariance is drawn towards a multiple of the identity (Friedman 1989, "Regularized discriminant
    analysis", equation 18). Mirrored views show the same action, so every training view counts twice, once mirrored;
    logits of a view and of its mirror image are then equal. How far the covariance is drawn, the temperature of the
    probabilities and the confidence to ask for are chosen on training people who were left out, fold by fold.

    Attributes:
        actions: their names.
        center, scale: of the statistics over the training views.
        weights, offsets: logits are ``(statistics - center) / scale @ weights + offsets``.
        temperature: what logits are divided by.
        sure: the least confidence above which held-out clips were right as often as SURE.
        shrinkage: how far the covariance was drawn, from 0 to 1.
        held_out: how right it was on the people left out.
    """

    actions: tuple[str, ...]
    center: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    weights: Float[np.ndarray, "d actions"]
    offsets: Float[np.ndarray, " actions"]
    temperature: float
    sure: float
    shrinkage: float
    held_out: Accuracy

    @classmethod
    def fit(cls, corpus: Corpus, folds: int = FOLDS) -> "ClipRecognizer":
        """Learn the actions of a training selection, with so many folds or as many as there are people to leave out.

        Raises:
            InputError: for one action, or fewer than two people who do what somebody else does too.
        """
        actions, views = tuple(corpus.actions), corpus.views
        if len(actions) < 2:
            raise InputError(f"there is nothing to tell apart among {len(actions)} actions: give at least 2")
        straight, mirrored = (
            np.stack([describe(v.pose2d, v.fps, corpus.skeleton, mirrored=m) for v in views]) for m in (False, True)
        )
        labels = np.array([actions.index(v.action) for v in views])
        people = np.array([v.subject for v in views])
        left_out = [
            np.isin(people, sorted(own)) for own in leave_out(corpus, min(folds, len(people_to_leave_out(corpus))))
        ]
        logits = np.full((len(SHRINKAGES), len(views), len(actions)), np.nan)
        tested = np.zeros(len(views), bool)
        for out in left_out:
            known = np.isin(labels, labels[~out])
            center, scale, moments = _moments(straight[~out], mirrored[~out], labels[~out], len(actions))
            for i, shrinkage in enumerate(SHRINKAGES):
                weights, offsets = _solve(*moments, shrinkage)
                logits[i, out & known] = ((straight[out & known] - center) / scale) @ weights + offsets
            tested |= out & known
        found = []
        for i, shrinkage in enumerate(SHRINKAGES):
            temperature = temperature_of(logits[i, tested], labels[tested])
            posterior = np.asarray(softmax(logits[i, tested] / temperature, axis=1))
            found.append((accuracy(posterior, labels[tested], actions), temperature, shrinkage, posterior))
        held_out, temperature, shrinkage, posterior = min(found, key=lambda one: one[0].nll)
        center, scale, moments = _moments(straight, mirrored, labels, len(actions))
        weights, offsets = _solve(*moments, shrinkage)
        sure = confidence_for(posterior, labels[tested], SURE)
        return cls(actions, center, scale, weights, offsets, temperature, sure, shrinkage, held_out)

    @staticmethod
    def multiply_adds(corpus: Corpus, folds: int = FOLDS) -> int:
        """About what :meth:`fit` computes: describing all frames, and a covariance and its solutions per fold."""
        d = len(describe(np.zeros((2, len(corpus.skeleton), 2)), 1.0, corpus.skeleton))
        described = OPERATIONS * d * 2 * corpus.frames
        return described + (folds + 1) * (2 * len(corpus.views) * d * d + len(SHRINKAGES) * d**3)

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Posteriors:
        """The same for every frame of a sequence, ``(t, actions)`` for each: it tells whole clips."""
        return [np.tile(self.of_clip(s), (s.frames, 1)) for s in sequences]

    def of_clip(self, seen: Keypoints2D) -> Float[np.ndarray, " actions"]:
        """Calibrated probabilities of the actions of a whole sequence; they sum to 1."""
        statistics = (describe(seen.pose2d, seen.fps) - self.center) / self.scale
        return np.asarray(softmax((statistics @ self.weights + self.offsets) / self.temperature))

    def save(self, path: Path) -> None:
        """Write it as a safetensors file, whole or not at all."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("center", "scale", "weights", "offsets")}
        kept: dict[str, Any] = {k: v for k, v in asdict(self).items() if k not in arrays}
        write_tensors(path, arrays, kept)

    @classmethod
    def read(cls, path: Path) -> "ClipRecognizer":
        """Read what :meth:`save` wrote. Raises InputError for another or a damaged file."""
        tensors, kept = read_tensors(path)
        try:
            return cls(
                **{
                    **{name: tensor.numpy() for name, tensor in tensors.items()},
                    **kept,
                    "actions": tuple(kept["actions"]),
                    "held_out": Accuracy(**kept["held_out"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"{path} holds no recognizer of clips ({error})") from error


def describe(
    pose2d: Float[np.ndarray, "t j 2"], fps: float, skeleton: Skeleton = H36M_17, *, mirrored: bool = False
) -> Float[np.ndarray, " d"]:
    """Statistics over the frames of a view: mean, spread, 10th and 90th percentile of joints about the root and of bone
    directions, and mean, spread and logarithm of the mean size of velocities; units as in
    :func:`actlift.recognition.network.features`."""
    points = torch.from_numpy(mirror_points(pose2d, skeleton) if mirrored else np.asarray(pose2d)).float()
    if len(points) < 2:
        points = points.expand(2, -1, -1)
    each = features(points, fps, skeleton).flatten(1).double().numpy()
    poses, velocities = np.split(each, [each.shape[1] - 2 * len(skeleton)], axis=1)
    low, high = np.percentile(poses, (10, 90), axis=0)
    return np.concatenate(
        [each.mean(axis=0), each.std(axis=0), low, high, np.log(np.abs(velocities).mean(axis=0) + 1e-3)]
    )


def _moments(
    straight: np.ndarray, mirrored: np.ndarray, labels: np.ndarray, actions: int
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Center and scale of statistics, then what these leave: class means, pooled covariance, which classes are."""
    both, twice = np.concatenate([straight, mirrored]), np.tile(labels, 2)
    center, scale = both.mean(axis=0), both.std(axis=0) + 1e-6
    both = (both - center) / scale
    counts = np.bincount(twice, minlength=actions)
    means = np.zeros((actions, both.shape[1]))
    np.add.at(means, twice, both)
    means /= np.maximum(counts, 1)[:, None]
    rest = both - means[twice]
    return center, scale, (means, rest.T @ rest / len(rest), counts > 0)


def _solve(
    means: np.ndarray, covariance: np.ndarray, present: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offsets of the logits; classes that are not there get an offset that rules them out."""
    drawn = (1 - shrinkage) * covariance
    drawn[np.diag_indices_from(drawn)] += shrinkage * np.trace(covariance) / len(covariance)
    weights = np.linalg.solve(drawn, means.T)
    return weights, np.where(present, -0.5 * np.einsum("kd,dk->k", means, weights), -1e9)
