"""Labels: which action a lifter that knows actions is told for each view, and what that costs or gains.

A lifter "told" an action is one network per action: the expert of the action, or the conditioned network given the
action. "Untold" is what there is without a label: the generalist, or the conditioned network given "unknown". Whatever
tells the action, four labels stand side by side:

``oracle``     the true action. Not known in use.
``predicted``  the action recognised in the view's 2D keypoints, by :class:`Discriminant`, learnt from training people.
``none``       untold.
``wrong``      an action that is not the true one: on average over all of them ("random"), and the one that hurts the
               true action most ("worst").

And a fifth way, the mixture: the mean of the poses told the predicted action and untold, or the untold pose alone where
the recogniser is not sure or the two poses lie so far apart that the label may well be wrong (:class:`Gate`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import softmax

from actlift.data.corpus import Corpus, View
from actlift.evaluate import root_relative, score_poses
from actlift.models.recognizer import features
from actlift.models.tcn import TCN
from actlift.models.weights import read_tensors, write_tensors
from actlift.predict import Lifted, Poses, Predictor
from actlift.recognize import Accuracy, accuracy, confusion, leave_out, people_to_leave_out, temperature_of
from actlift.scores import ALL_JOINTS, Scores
from actlift.skeleton import H36M_17, Skeleton

UNKNOWN = "unknown"
SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.5)
FOLDS = 5  # with fewer, what is chosen suits a recogniser of fewer people than it will learn from
SURE = 0.95  # how often the recogniser is right on held-out clips of which it is surer than the gate asks
TOLERATED = 1.02  # error of the mixture that is told wrong actions, over the untold one's, on training views
TOLD_METRICS = ("mpjpe", "n_mpjpe", "mpjve")
OPERATIONS = 10  # per feature and frame, to describe a view


@dataclass(frozen=True, eq=False)
class Discriminant:
    """Recognises the action of a whole view: linear discriminant analysis (Fisher 1936) of statistics over its frames.

    The pooled covariance is drawn towards a multiple of the identity (Friedman 1989, "Regularized discriminant
    analysis", equation 18). Mirrored views show the same action, so every training view counts twice, once mirrored;
    logits of a view and of its mirror image are then equal. How far the covariance is drawn, the temperature of the
    probabilities and the confidence to ask for are chosen on training people who were left out, fold by fold.

    Attributes:
        actions: their names.
        centre, scale: of the statistics over the training views.
        weights, offsets: logits are ``(statistics - centre) / scale @ weights + offsets``.
        temperature: what logits are divided by.
        sure: the least confidence above which held-out clips were right as often as SURE.
        shrinkage: how far the covariance was drawn, from 0 to 1.
        held_out: how right it was on the people left out.
    """

    actions: tuple[str, ...]
    centre: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    weights: Float[np.ndarray, "d actions"]
    offsets: Float[np.ndarray, " actions"]
    temperature: float
    sure: float
    shrinkage: float
    held_out: Accuracy

    @classmethod
    def fit(cls, corpus: Corpus, folds: int = FOLDS) -> "Discriminant":
        """Learn the actions of a training selection, with so many folds or as many as there are people to leave out.

        Raises:
            ValueError: for one action, or fewer than two people who do what somebody else does too.
        """
        actions, views = tuple(corpus.actions), corpus.views
        if len(actions) < 2:
            raise ValueError(f"there is nothing to tell apart among {len(actions)} actions: give at least 2")
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
            centre, scale, moments = _moments(straight[~out], mirrored[~out], labels[~out], len(actions))
            for i, shrinkage in enumerate(SHRINKAGES):
                weights, offsets = _solve(*moments, shrinkage)
                logits[i, out & known] = ((straight[out & known] - centre) / scale) @ weights + offsets
            tested |= out & known
        found = []
        for i, shrinkage in enumerate(SHRINKAGES):
            temperature = temperature_of(logits[i, tested], labels[tested])
            posterior = np.asarray(softmax(logits[i, tested] / temperature, axis=1))
            found.append((accuracy(posterior, labels[tested], actions), temperature, shrinkage, posterior))
        held_out, temperature, shrinkage, posterior = min(found, key=lambda one: one[0].nll)
        centre, scale, moments = _moments(straight, mirrored, labels, len(actions))
        weights, offsets = _solve(*moments, shrinkage)
        sure = _confidence_for(posterior, labels[tested], SURE)
        return cls(actions, centre, scale, weights, offsets, temperature, sure, shrinkage, held_out)

    @staticmethod
    def multiply_adds(corpus: Corpus, folds: int = FOLDS) -> int:
        """About what :meth:`fit` computes: describing all frames, and a covariance and its solutions per fold."""
        d = len(describe(np.zeros((2, len(corpus.skeleton), 2)), 1.0, corpus.skeleton))
        described = OPERATIONS * d * 2 * corpus.frames
        return described + (folds + 1) * (2 * len(corpus.views) * d * d + len(SHRINKAGES) * d**3)

    def posterior(self, view: View) -> Float[np.ndarray, " actions"]:
        """Calibrated probabilities of the actions of a view; they sum to 1."""
        statistics = (describe(view.pose2d, view.fps) - self.centre) / self.scale
        return np.asarray(softmax((statistics @ self.weights + self.offsets) / self.temperature))

    def save(self, path: Path) -> None:
        """Write it as a safetensors file, whole or not at all."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("centre", "scale", "weights", "offsets")}
        kept: dict[str, Any] = {k: v for k, v in asdict(self).items() if k not in arrays}
        write_tensors(path, arrays, kept)

    @classmethod
    def read(cls, path: Path) -> "Discriminant":
        """Read what :meth:`save` wrote. Raises ValueError for another or a damaged file."""
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
            raise ValueError(f"{path} holds no recogniser of clips ({error})") from error


def describe(
    pose2d: Float[np.ndarray, "t j 2"], fps: float, skeleton: Skeleton = H36M_17, *, mirrored: bool = False
) -> Float[np.ndarray, " d"]:
    """Statistics over the frames of a view: mean, spread, 10th and 90th percentile of joints about the root and of bone
    directions, and mean, spread and logarithm of the mean size of velocities; units as in
    :func:`actlift.models.recognizer.features`."""
    points = torch.from_numpy(np.asarray(pose2d)).float()
    if mirrored:
        points = points[:, list(skeleton.mirror)] * torch.tensor([-1.0, 1.0])
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
    """Centre and scale of statistics, then what these leave: class means, pooled covariance, which classes are."""
    both, twice = np.concatenate([straight, mirrored]), np.tile(labels, 2)
    centre, scale = both.mean(axis=0), both.std(axis=0) + 1e-6
    both = (both - centre) / scale
    counts = np.bincount(twice, minlength=actions)
    means = np.zeros((actions, both.shape[1]))
    np.add.at(means, twice, both)
    means /= np.maximum(counts, 1)[:, None]
    rest = both - means[twice]
    return centre, scale, (means, rest.T @ rest / len(rest), counts > 0)


def _solve(
    means: np.ndarray, covariance: np.ndarray, present: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offsets of the logits; classes that are not there get an offset that rules them out."""
    drawn = (1 - shrinkage) * covariance
    drawn[np.diag_indices_from(drawn)] += shrinkage * np.trace(covariance) / len(covariance)
    weights = np.linalg.solve(drawn, means.T)
    return weights, np.where(present, -0.5 * np.einsum("kd,dk->k", means, weights), -1e9)


def _confidence_for(posterior: Float[np.ndarray, "n actions"], labels: Int[np.ndarray, " n"], share: float) -> float:
    """The least confidence such that the clips of at least that confidence are right in this share; 1 if none is."""
    confidence = posterior.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (posterior.argmax(axis=1) == labels)[order]
    enough = np.flatnonzero(np.cumsum(right) >= share * np.arange(1, len(right) + 1))
    return float(confidence[order][enough[-1]]) if len(enough) else 1.0


# lifters that are told


@dataclass(frozen=True, eq=False)
class Told:
    """A lifter for each action, and one without: see the module.

    Attributes:
        actions: predictors by action.
        unknown: the predictor without a label.
    """

    actions: Mapping[str, Predictor]
    unknown: Predictor

    @classmethod
    def of_conditioned(cls, network: TCN, actions: Sequence[str]) -> "Told":
        """One network that takes conditions, numbered as ``actions`` are."""
        given = {action: Lifted(network.given(i)) for i, action in enumerate(actions)}
        return cls(given, Lifted(network.given(network.conditions)))

    @classmethod
    def of_experts(cls, experts: Mapping[str, TCN], generalist: TCN) -> "Told":
        """One network per action, and a generalist where no action is known."""
        return cls({action: Lifted(expert) for action, expert in experts.items()}, Lifted(generalist))

    def poses(self, views: Sequence[View], labels: Sequence[str]) -> Poses:
        """The poses of views, each told its label (an action or "unknown").

        Raises:
            ValueError: for a label there is no lifter for.
        """
        by_label = {**self.actions, UNKNOWN: self.unknown}
        if missing := sorted(set(labels) - set(by_label)):
            raise ValueError(f"no lifter for {', '.join(missing)}; there are lifters for {', '.join(by_label)}")
        found: dict[int, Float[np.ndarray, "t j 3"]] = {}
        for label, predictor in by_label.items():
            own = [i for i, told in enumerate(labels) if told == label]
            found |= zip(own, predictor([views[i] for i in own]), strict=True) if own else ()
        return [found[i] for i in range(len(views))]


@dataclass(frozen=True)
class Gate:
    """When the mixture trusts a label.

    Attributes:
        confidence: least probability of the label.
        distance_m: largest mean distance over joints and frames between the pose told and untold, in metres.
    """

    confidence: float
    distance_m: float

    @classmethod
    def fit(cls, told: Told, views: Sequence[View], confidence: float, seed: int = 0) -> "Gate":
        """The largest distance at which training views that are told a wrong action, each one drawn at random, come out
        hardly worse on average than untold: by the factor TOLERATED at most."""
        actions = sorted(told.actions)
        generator = np.random.default_rng((seed, 0x6A))
        wrong = [str(generator.choice([a for a in actions if a != v.action])) for v in views]
        with_label, without = told.poses(views, wrong), told.unknown(views)
        apart = _apart(with_label, without)
        order = np.argsort(apart)
        truth = [root_relative(v.pose3d_cam) for v in views]
        untold = _apart(without, truth)
        costs = _apart([(a + b) / 2 for a, b in zip(with_label, without, strict=True)], truth) - untold
        bearable = np.flatnonzero(np.cumsum(costs[order]) <= (TOLERATED - 1) * untold.sum())
        return cls(confidence, float(apart[order][bearable[-1]]) if len(bearable) else 0.0)


def mixture(
    told: Told, untold_poses: Poses, views: Sequence[View], posteriors: Sequence[np.ndarray], gate: Gate
) -> tuple[Poses, Int[np.ndarray, " views"]]:
    """The mixture's poses, and which views' labels it trusted (1) or not (0).

    Args:
        untold_poses: of the views.
        posteriors: probabilities of ``told.actions`` of each view.
    """
    actions = list(told.actions)
    labels = [actions[int(p.argmax())] for p in posteriors]
    with_label = told.poses(views, labels)
    sure = np.array([p.max() >= gate.confidence for p in posteriors])
    trusted = sure & (_apart(with_label, untold_poses) <= gate.distance_m)
    poses = [(a + b) / 2 if t else b for a, b, t in zip(with_label, untold_poses, trusted, strict=True)]
    return poses, trusted.astype(np.int64)


def _apart(one: Poses, other: Poses) -> Float[np.ndarray, " views"]:
    return np.array([np.linalg.norm(a - b, axis=-1).mean() for a, b in zip(one, other, strict=True)], float)


# scores


@dataclass(frozen=True, eq=False)
class Labelled:
    """What labels do to a lifter that is told.

    Attributes:
        told: scores of all views under every label, which stands where an arm's name does.
        arms: scores of the arm under the labels of the module, "ARM: oracle label" and so on, and of its mixture.
        notes: how often the recogniser was right and the mixture trusted it, JSON-able.
    """

    told: Scores
    arms: Scores
    notes: dict[str, Any]


def score_labels(
    told: Told,
    views: Sequence[View],
    posteriors: Sequence[Float[np.ndarray, " actions"]],
    gate: Gate,
    *,
    arm: str,
    seed: int,
    run: str = "",
    metrics: Sequence[str] = TOLD_METRICS,
) -> Labelled:
    """Score a told lifter under every label; errors in millimetres, as :func:`actlift.evaluate.score_poses` has them.

    Args:
        posteriors: probabilities of ``told.actions`` of each view.
        gate: of the mixture.
        arm, seed, run: what scores name.

    Raises:
        ValueError: for views of actions that there is no lifter for.
    """
    actions = list(told.actions)
    if unknown := sorted({v.action for v in views} - set(actions)):
        raise ValueError(f"no lifter is told {', '.join(unknown)}; there are lifters for {', '.join(actions)}")

    def scored(poses: Poses, name: str) -> Scores:
        return score_poses(poses, views, arm=name, seed=seed, run=run, metrics=metrics)

    untold = told.unknown(views)
    tables = {action: scored(predictor(views), action) for action, predictor in told.actions.items()}
    tables[UNKNOWN] = scored(untold, UNKNOWN)
    # every table has the same rows in the same order: columns of one matrix
    rows = tables[UNKNOWN].table.drop(columns=["arm", "value"])
    errors = np.stack([scores.table["value"].to_numpy() for scores in tables.values()], axis=1)
    number = {(v.clip, v.camera_name): i for i, v in enumerate(views)}
    of_row = np.array([number[key] for key in zip(rows["clip"], rows["camera"], strict=True)])

    true = np.array([actions.index(v.action) for v in views])
    recognised = np.array([int(p.argmax()) for p in posteriors])
    line = np.arange(len(rows))
    others = errors[:, :-1].sum(axis=1) - errors[line, true[of_row]]
    overall = (rows["metric"] == "mpjpe") & (rows["joint"] == ALL_JOINTS)
    worst = _worst(errors[overall.to_numpy(), :-1], true[of_row[overall.to_numpy()]], len(actions))
    values = {
        "oracle label": errors[line, true[of_row]],
        "predicted label": errors[line, recognised[of_row]],
        "no label": errors[:, -1],
        "wrong label, at random": others / (len(actions) - 1),
        "wrong label, the worst": errors[line, worst[true[of_row]]],
    }
    parts = [Scores(rows.assign(arm=f"{arm}: {label}", value=value)) for label, value in values.items()]

    generator = np.random.default_rng((seed, 0x3A))
    wrong = (true + generator.integers(1, len(actions), len(true))) % len(actions)
    certain = np.eye(len(actions))
    trusted = {}
    for label, told_of in (
        ("oracle label", list(certain[true])),
        ("predicted label", list(posteriors)),
        ("wrong label, at random", list(certain[wrong])),
    ):
        poses, trusts = mixture(told, untold, views, told_of, gate)
        trusted[label] = float(trusts.mean())
        parts.append(scored(poses, f"{arm}, mixture: {label}"))
    notes = {
        "recognised": {
            **asdict(accuracy(np.stack(list(posteriors)), true, actions)),
            "confusion": confusion(recognised, true, len(actions)).tolist(),
        },
        "actions": actions,
        "gate": asdict(gate),
        "trusted": trusted,
    }
    return Labelled(Scores.concat(list(tables.values())), Scores.concat(parts), notes)


def _worst(errors: Float[np.ndarray, "n actions"], true: Int[np.ndarray, " n"], actions: int) -> Int[np.ndarray, " a"]:
    """For each true action the other one that makes its mean error largest."""
    worst = np.zeros(actions, np.int64)
    for action in np.unique(true):
        means = errors[true == action].mean(axis=0)
        means[action] = -np.inf
        worst[action] = int(means.argmax())
    return worst
