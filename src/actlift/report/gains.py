"""What an arm gains beyond its controls, for people: as its poses are and smoothed, in every error that is shown.

An arm's gain over the generalist may be that of averaging, of other normalization statistics, of the data set's name,
of any other split: each has a control (:attr:`actlift.study.about.About.controls`) of the same cost in use, and what an
arm knows of the action is worth what it gains over the best of them. Velocity errors are those of jitter more than of
motion, so that everything stands twice, once through the filter that users' poses go through.

Networks that do no better than the nearest training pose (:func:`unlearnt`) have not learnt to lift, and nothing is
said of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_PEOPLE, Scores, Variant, Variations
from actlift.report.estimate import UNKNOWN, Estimate, decided, relative_error
from actlift.report.results import controls_of
from actlift.study.about import About

SHOWN = ("mpjpe", "p_mpjpe", "mpjve", "acceleration_error")
BASELINES = ("constant-pose", "nearest-pose")


@dataclass(frozen=True, eq=False)
class Gain:
    """A variant in one error, the mean over people.

    Attributes:
        variant: of a study.
        metric: which error.
        error: in the metric's unit.
        over_generalist: in %, against the generalist smoothed alike.
        control: the best of its controls, smoothed alike; None where it has none.
        over_control: in %, against that.
        sure: -1 or 1 where the last is decided, corrected for all that the page compares; else 0.
        ahead: people whose error is below the generalist's, of how many.
    """

    variant: Variant
    metric: str
    error: float
    over_generalist: Estimate
    control: Variant | None
    over_control: Estimate
    ahead: tuple[int, int]
    sure: int = 0


def gains(scores: Scores, arms: Mapping[str, About], metrics: Sequence[str] = SHOWN) -> list[Gain]:
    """What every variant gains over the generalist and over the best of its controls.

    Args:
        scores: as they are and smoothed.
        arms: what the study says of its arms, by name.

    Raises:
        InputError: where variants were not scored on the same clips.
    """
    found = []
    for metric in (m for m in metrics if m in scores.metrics):
        of_metric = Scores(scores.table[scores.table["metric"] == metric])
        for part in of_metric.by_smoothing():
            if GENERALIST not in {replace(v, smoothed=False) for v in part.variants}:
                continue
            samples = part.variations(metric, part.variants)
            by_person = part.per_person(metric)
            found += [_gain(variant, metric, samples, by_person, arms) for variant in part.variants]
    signs = decided({(of.variant, of.metric): of.over_control for of in found if of.control is not None})
    return [replace(of, sure=signs.get((of.variant, of.metric), 0)) for of in found]


def unlearnt(scores: Scores) -> set[Variant]:
    """The variants that do no better than the nearest training pose, or the constant one, in MPJPE (mean over people).

    Nobody, where no baseline, or another metric alone, was scored.
    """
    if "mpjpe" not in scores.metrics:
        return set()
    table = scores.per_action("mpjpe").T
    errors = {variant: float(table[variant][MEAN_OVER_PEOPLE]) for variant in scores.variants}
    of_baselines = [error for variant, error in errors.items() if variant.arm in BASELINES]
    if not of_baselines:
        return set()
    least = min(of_baselines)
    return {variant for variant, error in errors.items() if variant.arm not in BASELINES and error >= least}


def _gain(
    variant: Variant, metric: str, samples: Variations, by_person: pd.DataFrame, arms: Mapping[str, About]
) -> Gain:
    generalist = replace(GENERALIST, smoothed=variant.smoothed)
    means = {v: float(rows[MEAN_OVER_PEOPLE].iloc[0]) for v, rows in samples.averages.items()}
    controls = controls_of(variant, arms, list(means))
    sign = 1 if METRICS[metric].better == "lower" else -1
    control = min(controls, key=lambda v: sign * means[v]) if controls else None
    mine, theirs = by_person.T[variant], by_person.T[generalist]
    return Gain(
        variant,
        metric,
        means[variant],
        relative_error(samples, variant, against=generalist) if variant != generalist else UNKNOWN,
        control,
        UNKNOWN if control is None else relative_error(samples, variant, against=control),
        (int((sign * mine < sign * theirs).sum()), len(mine)),
    )
