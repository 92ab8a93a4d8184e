"""Labels: which action a lifter that knows actions is told for each view, and what that costs or gains.

A lifter "told" an action is one network per action: the expert of the action, or the conditioned network given the
action. "Untold" is what there is without a label: the generalist, or the conditioned network given "unknown". Whatever
tells the action, four labels stand side by side:

``oracle``     the true action. Not known in use.
``predicted``  the action recognized in the view's 2D keypoints, by :class:`ClipRecognizer`, learnt from training
people.
``none``       untold.
``wrong``      an action that is not the true one: on average over all of them ("random"), and the one that hurts the
               true action most ("worst").

And a fifth way, the mixture: the mean of the poses told the predicted action and untold, or the untold pose alone where
the recognizer is not sure or the two poses lie so far apart that the label may well be wrong (:class:`Gate`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from actlift.data.corpus import View
from actlift.errors import InputError
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import ALL_JOINTS, Scores
from actlift.lifting.conditional import UNKNOWN, ConditionalLifter, Gate, mixture
from actlift.lifting.predict import Poses
from actlift.recognition.accuracy import accuracy, confusion

TOLD_METRICS = ("mpjpe", "n_mpjpe", "mpjve")


@dataclass(frozen=True, eq=False)
class Labeled:
    """What labels do to a lifter that is told.

    Attributes:
        told: scores of all views under every label, which stands where an arm's name does.
        arms: scores of the arm under the labels of the module, "ARM: oracle label" and so on, and of its mixture.
        notes: how often the recognizer was right and the mixture trusted it, JSON-able.
    """

    told: Scores
    arms: Scores
    notes: dict[str, Any]


def score_labels(
    told: ConditionalLifter,
    views: Sequence[View],
    posteriors: Sequence[Float[np.ndarray, " actions"]],
    gate: Gate,
    *,
    arm: str,
    seed: int,
    run: str = "",
    metrics: Sequence[str] = TOLD_METRICS,
) -> Labeled:
    """Score a told lifter under every label; errors in millimeters, as :func:`actlift.evaluation.evaluate.score_poses`
    has them.

    Args:
        posteriors: probabilities of ``told.actions`` of each view.
        gate: of the mixture.
        arm, seed, run: what scores name.

    Raises:
        ValueError: for views of actions that there is no lifter for.
    """
    actions = list(told.actions)
    if unknown := sorted({v.action for v in views} - set(actions)):
        raise InputError(f"no lifter is told {', '.join(unknown)}; there are lifters for {', '.join(actions)}")

    def scored(poses: Poses, name: str) -> Scores:
        return score_poses(poses, views, arm=name, seed=seed, run=run, metrics=metrics)

    seen = [v.keypoints for v in views]
    untold = told.unknown(seen)
    tables = {action: scored(predictor(seen), action) for action, predictor in told.actions.items()}
    tables[UNKNOWN] = scored(untold, UNKNOWN)
    # every table has the same rows in the same order: columns of one matrix
    rows = tables[UNKNOWN].table.drop(columns=["arm", "value"])
    errors = np.stack([scores.table["value"].to_numpy() for scores in tables.values()], axis=1)
    number = {(v.clip, v.camera_name): i for i, v in enumerate(views)}
    of_row = np.array([number[key] for key in zip(rows["clip"], rows["camera"], strict=True)])

    true = np.array([actions.index(v.action) for v in views])
    recognized = np.array([int(p.argmax()) for p in posteriors])
    line = np.arange(len(rows))
    others = errors[:, :-1].sum(axis=1) - errors[line, true[of_row]]
    overall = (rows["metric"] == "mpjpe") & (rows["joint"] == ALL_JOINTS)
    worst = _worst(errors[overall.to_numpy(), :-1], true[of_row[overall.to_numpy()]], len(actions))
    values = {
        "oracle label": errors[line, true[of_row]],
        "predicted label": errors[line, recognized[of_row]],
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
        poses, trusts = mixture(told, untold, seen, told_of, gate)
        trusted[label] = float(trusts.mean())
        parts.append(scored(poses, f"{arm}, mixture: {label}"))
    notes = {
        "recognized": {
            **asdict(accuracy(np.stack(list(posteriors)), true, actions)),
            "confusion": confusion(recognized, true, len(actions)).tolist(),
        },
        "actions": actions,
        "gate": asdict(gate),
        "trusted": trusted,
    }
    return Labeled(Scores.concat(list(tables.values())), Scores.concat(parts), notes)


def _worst(errors: Float[np.ndarray, "n actions"], true: Int[np.ndarray, " n"], actions: int) -> Int[np.ndarray, " a"]:
    """For each true action the other one that makes its mean error largest."""
    worst = np.zeros(actions, np.int64)
    for action in np.unique(true):
        means = errors[true == action].mean(axis=0)
        means[action] = -np.inf
        worst[action] = int(means.argmax())
    return worst
