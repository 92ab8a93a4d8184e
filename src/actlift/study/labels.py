"""Labels: which action a lifter that takes actions is told for each view, and what that costs or gains.

A "conditioned" lifter is one network per action: the expert of the action, or the conditioned network given the action.
"Unconditioned" is what there is without a label: the generalist, or the conditioned network given "unknown". Whatever
tells the action, these labels stand side by side:

``oracle``        the true action. Not known in use.
``predicted``     the action recognized in the view's 2D keypoints, by one of :mod:`actlift.study.recognizers`, learnt
                  from training people.
``coupled``       the action recognized again, in the view's keypoints and the poses that ``predicted`` gives.
``coupled_twice`` and once more, in the poses that this gives (:mod:`actlift.recognition.coupled`).
``none``          unconditioned.
``wrong_random``  an action that is not the true one, on average over all of them.
``wrong_worst``   of those the one that hurts the true action most.

And another way, the mixture: the mean of the poses conditioned on the predicted action and unconditioned, or the
unconditioned pose alone where the recognizer is not sure or the two poses lie so far apart that the label may well be
wrong (:class:`Gate`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from actlift.data.corpus import View
from actlift.errors import InputError
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import ALL_JOINTS, LABELS, Scores, Variant
from actlift.lifting.conditional import UNKNOWN, ConditionalLifter, Gate, mixture
from actlift.lifting.predict import Poses
from actlift.recognition.accuracy import Posteriors, accuracy, confusion
from actlift.recognition.coupled import RecognizeAgain, coupled_rounds, summary

LABEL_METRICS = ("mpjpe", "n_mpjpe", "mpjve")
ROUND_LABELS = ("predicted", "coupled", "coupled_twice")  # what each round is told


@dataclass(frozen=True, eq=False)
class LabelScores:
    """What labels do to a conditioned lifter.

    Attributes:
        by_label: scores of all views conditioned on every label ("unknown" is none), which stands where an arm does.
        scores: of the arm under the labels of the module, and of its mixture.
        notes: how often the recognizer was right and the mixture trusted it, and what came of each round of
            recognizing and lifting in turns (:func:`actlift.recognition.coupled.summary`), JSON-able.
    """

    by_label: Scores
    scores: Scores
    notes: dict[str, Any]


def score_labels(
    conditioned: ConditionalLifter,
    views: Sequence[View],
    posteriors: Posteriors,
    gate: Gate,
    *,
    again: RecognizeAgain | None = None,
    variant: Variant,
    seed: int,
    run: str = "",
    metrics: Sequence[str] = LABEL_METRICS,
) -> LabelScores:
    """Score a conditioned lifter under every label; errors in millimeters, as
    :func:`actlift.evaluation.evaluate.score_poses` has them.

    Args:
        posteriors: probabilities of ``conditioned.actions`` in every frame of each view.
        gate: of the mixture.
        again: recognizes the action in poses too; the labels ``coupled`` are left out where None.
        variant: what scores name, whatever its label and mixture.
        seed, run: what scores name beside it.

    Raises:
        InputError: for views of actions that there is no lifter for.
    """
    actions = list(conditioned.actions)
    if unknown := sorted({v.action for v in views} - set(actions)):
        raise InputError(f"no lifter is told {', '.join(unknown)}; there are lifters for {', '.join(actions)}")

    def scored(poses: Poses, of: Variant) -> Scores:
        return score_poses(poses, views, variant=of, seed=seed, run=run, metrics=metrics)

    seen = [v.keypoints for v in views]
    unconditioned = conditioned.unconditioned(seen)
    tables = {action: scored(predictor(seen), Variant(action)) for action, predictor in conditioned.actions.items()}
    tables[UNKNOWN] = scored(unconditioned, Variant(UNKNOWN))
    true = np.array([actions.index(v.action) for v in views])
    rounds = coupled_rounds(conditioned, seen, posteriors, again, 1 if again is None else len(ROUND_LABELS))
    told = {
        label: np.array([actions.index(action) for action in one.labels])
        for label, one in zip(ROUND_LABELS, rounds, strict=False)
    }
    of_clips = [p.mean(axis=0) for p in posteriors]
    parts = _under_labels(tables, views, true, told, variant)

    generator = np.random.default_rng((seed, 0x3A))
    wrong = (true + generator.integers(1, len(actions), len(true))) % len(actions)
    certain = np.eye(len(actions))
    trusted = {}
    for label, believed in (
        ("oracle", list(certain[true])),
        ("predicted", of_clips),
        ("wrong_random", list(certain[wrong])),
    ):
        poses, trusts = mixture(conditioned, unconditioned, seen, believed, gate)
        trusted[LABELS[label]] = float(trusts.mean())
        parts.append(scored(poses, replace(variant, label=label, mixture=True)))
    notes = {
        "recognized": {
            **asdict(accuracy(np.stack(of_clips), true, actions)),
            "confusion": confusion(told["predicted"], true, len(actions)).tolist(),
        },
        "actions": actions,
        "gate": asdict(gate),
        "trusted": trusted,
        "rounds": [
            summary(Scores.concat(parts).of(replace(variant, label=label)), one.posteriors, views, actions)
            for label, one in zip(ROUND_LABELS, rounds, strict=False)
        ],
    }
    return LabelScores(Scores.concat(list(tables.values())), Scores.concat(parts), notes)


def predicted_poses(
    conditioned: ConditionalLifter,
    views: Sequence[View],
    posteriors: Posteriors,
    gate: Gate,
    variant: Variant,
) -> dict[Variant, Poses]:
    """The poses of a conditioned lifter that is told the predicted action of every view, and those of its mixture.

    Args:
        posteriors, gate, variant: as for :func:`score_labels`.
    """
    actions = list(conditioned.actions)
    seen = [v.keypoints for v in views]
    of_clips = [p.mean(axis=0) for p in posteriors]
    told = replace(variant, label="predicted")
    poses = conditioned.poses(seen, [actions[int(p.argmax())] for p in of_clips])
    mixed, _ = mixture(conditioned, conditioned.unconditioned(seen), seen, of_clips, gate)
    return {told: poses, replace(told, mixture=True): mixed}


def _under_labels(
    tables: Mapping[str, Scores],
    views: Sequence[View],
    true: Int[np.ndarray, " n"],
    told: Mapping[str, Int[np.ndarray, " n"]],
    variant: Variant,
) -> list[Scores]:
    """Scores under every label, picked row by row from those conditioned on each action, of which "unknown" is last.

    Args:
        told: by label, the number of the action that each view is told.
    """
    actions = len(tables) - 1
    # every table has the same rows in the same order: columns of one matrix
    rows = tables[UNKNOWN].table
    errors = np.stack([scores.table["value"].to_numpy() for scores in tables.values()], axis=1)
    number = {(v.clip, v.camera_name): i for i, v in enumerate(views)}
    of_row = np.array([number[key] for key in zip(rows["clip"], rows["camera"], strict=True)])

    line = np.arange(len(rows))
    others = errors[:, :-1].sum(axis=1) - errors[line, true[of_row]]
    overall = ((rows["metric"] == "mpjpe") & (rows["joint"] == ALL_JOINTS)).to_numpy()
    worst = _worst(errors[overall, :-1], true[of_row[overall]], actions)
    values = {
        "oracle": errors[line, true[of_row]],
        **{label: errors[line, numbers[of_row]] for label, numbers in told.items()},
        "none": errors[:, -1],
        "wrong_random": others / (actions - 1),
        "wrong_worst": errors[line, worst[true[of_row]]],
    }
    return [
        Scores(rows.assign(**asdict(replace(variant, label=label, mixture=False)), value=value))
        for label, value in values.items()
    ]


def _worst(errors: Float[np.ndarray, "n actions"], true: Int[np.ndarray, " n"], actions: int) -> Int[np.ndarray, " a"]:
    """For each true action the other one that makes its mean error largest."""
    worst = np.zeros(actions, np.int64)
    for action in np.unique(true):
        means = errors[true == action].mean(axis=0)
        means[action] = -np.inf
        worst[action] = int(means.argmax())
    return worst
