"""The rules by which claims of the paper are decided: on which studies, from which numbers, in which words.

An effect is experts against the generalist: negative is a lower error. Its interval is a paired bootstrap over the test
people's clips (`Scores.bootstrap`), or, for learning curves, a t interval over seeds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from actlift.errors import InputError
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_ACTIONS, BootstrapSamples, Variant
from actlift.report.estimate import UNKNOWN, Estimate, relative_error
from actlift.report.results import ALL, ONE, StudyResults
from actlift.report.tables import MINUS, number
from actlift.report.words import ERRORS, counted
from actlift.training.budget import regulated_error, time_precision_rate

MARGIN = 5.0  # %: a difference of error, or of cost, that still counts as about the same
SETTLED = 0.02  # of a curve's lowest error: how near a converged curve stays to it

Status = Literal["supported", "contradicted", "undecided", "not tested"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A study with bootstrap samples of its errors and their spread over seeds, by metric."""

    study: StudyResults
    samples: Mapping[str, BootstrapSamples]
    spreads: Mapping[str, pd.DataFrame]
    focus: str

    @classmethod
    def of(cls, study: StudyResults, focus: str) -> "Evidence":
        """Draw bootstrap samples of all variants of a study."""
        scores = study.scores
        return cls(
            study,
            {metric: scores.bootstrap(metric, scores.variants) for metric in ERRORS},
            {metric: scores.seed_spread(metric) for metric in ERRORS},
            focus,
        )

    @property
    def field(self) -> int:
        """Frames that one output sees."""
        return self.study.receptive_field

    @property
    def name(self) -> str:
        """The study in short: "27f, 1,809 steps"."""
        about = self.study
        frames = "" if about.frames is None else f"{about.frames:,} training frames, "
        return f"{self.field}f, {frames}{about.steps:,} steps"

    def error(self, metric: str, variant: Variant) -> np.ndarray:
        """Bootstrap samples of the mean over actions, the data itself first: (1 + n,)."""
        return self.samples[metric].averages[variant][MEAN_OVER_ACTIONS].to_numpy()

    def spread(self, metric: str, variant: Variant) -> float:
        """The standard deviation of that mean over seeds."""
        return float(self.spreads[metric].T[variant][MEAN_OVER_ACTIONS])

    def seeds(self, variant: Variant) -> list[int]:
        """How many the arm and the generalist have."""
        return [int(self.spreads["mpjpe"].T[name]["seeds"]) for name in (variant, GENERALIST)]

    def curves(self, variant: Variant) -> dict[Variant, list[pd.DataFrame]]:
        """MPJPE on the test people along training, of the arm and the generalist: for each seed a table, rows
        snapshots, columns actions. Empty where an arm lacks curves of at least 4 snapshots.
        """
        table = self.study.curves[self.study.curves["metric"] == "mpjpe"]
        found = {
            a: [
                run.pivot(index="progress", columns="action", values="value")
                for _, run in table[table["variant"] == a].groupby("run")
            ]
            for a in (variant, GENERALIST)
        }
        return found if all(runs and min(map(len, runs)) >= 4 for runs in found.values()) else {}

    def relative(self, metric: str, variant: Variant, column: str = MEAN_OVER_ACTIONS) -> Estimate:
        """By how many % the variant's error is above the generalist's."""
        return relative_error(self.samples[metric], self.spreads[metric], variant, column)

    def seconds(self, variant: Variant, counting: str = ALL) -> float:
        """Of training by the clock, the mean over seeds."""
        return self.study.cost_at(variant, networks=counting).seconds


@dataclass(frozen=True)
class Finding:
    """What a rule says of a claim."""

    status: Status
    estimate: Estimate
    sentence: str


def untested(why: str) -> Finding:
    """Say what a claim takes that is not there."""
    return Finding("not tested", UNKNOWN, f"{why}.")


NO_CURVES = untested("it takes learning curves of at least 4 snapshots")


def _status(sign: int, wanted: int) -> Status:
    return "undecided" if sign == 0 else "supported" if sign == wanted else "contradicted"


# The claims


def _lower(studies: Sequence[Evidence], variant: Variant, metric: str) -> Finding:
    """C1, C3."""
    (at,) = studies
    estimate = at.relative(metric, variant)
    return Finding(_status(estimate.sign, -1), estimate, f"{_compared(at, metric, variant, estimate)}.")


def _gain(studies: Sequence[Evidence], variant: Variant, metric: str) -> Finding:
    """C2 (position: the fall, in % of what was) and C5 (velocity: in % of what is left, as the paper counts)."""
    narrow, wide = studies
    _check_pair(narrow, wide, metric)
    falls = metric == "mpjpe"
    top, bottom = (wide, narrow) if falls else (narrow, wide)
    ratios = {a: 100 * top.error(metric, a) / bottom.error(metric, a) for a in (variant, GENERALIST)}
    spreads = [r[0] * at.spread(metric, a) / at.error(metric, a)[0] for at in (top, bottom) for a, r in ratios.items()]
    seeds = [*top.seeds(variant), *bottom.seeds(variant)]
    estimate = Estimate.from_samples(ratios[variant] - ratios[GENERALIST], spreads, seeds)
    gains = {a: f"{(100 - r[0]) * (1 if falls else -1):.1f} %".replace("-", MINUS) for a, r in ratios.items()}
    sentence = (
        f"from {narrow.field} to {wide.field} frames the {ERRORS[metric]} "
        f"{'falls' if falls else 'improves, in % of what is left,'} by {gains[GENERALIST]} for the generalist and "
        f"{gains[variant]} for {variant}{_sure(estimate, 'points', min(seeds))}."
    )
    return Finding(_status(estimate.sign, 1), estimate, sentence)


def _check_pair(one: Evidence, other: Evidence, metric: str) -> None:
    """Refuse two studies that were not scored on the same clips."""
    if not one.samples[metric].frames.equals(other.samples[metric].frames):
        raise InputError(
            f"settings {one.study.name} and {other.study.name} cannot be paired: they were not scored on the "
            "same clips; evaluate both on the same corpus"
        )


def _few_actions(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C4."""
    (at,) = studies
    overall = at.relative("mpjpe", variant)
    actions = {action: at.relative("mpjpe", variant, action) for action in at.study.scores.actions}
    won = [action for action, estimate in actions.items() if estimate.sign < 0]
    lean = [action for action, estimate in actions.items() if estimate.effect < 0]
    status: Status = "contradicted"
    if overall.sign < 0:
        why = "experts win overall"
    elif overall.sign == 0:
        status, why = "undecided", "nobody surely wins overall"
    elif 2 * len(won) >= len(actions):
        why = "the generalist wins overall, but on half of the actions or more experts do"
    elif won:
        status, why = "supported", "the generalist wins overall, experts on a few actions"
    elif lean:
        status, why = (
            "undecided",
            f"the generalist wins overall; experts lead on {', '.join(lean)}, but it may be chance",
        )
    else:
        why = "the generalist wins overall, and experts lead on no action"
    named = f": {', '.join(won)}" if won else ""
    sentence = (
        f"{_compared(at, 'mpjpe', variant, overall)}; experts surely win on {len(won)} of {len(actions)} "
        f"actions{named}. So {why}."
    )
    return Finding(status, overall, sentence)


def _cheaper(studies: Sequence[Evidence], variant: Variant, counting: str) -> Finding:
    """C6."""
    (at,) = studies
    estimate = at.relative("mpjpe", variant)
    share = at.seconds(variant, counting) / at.seconds(GENERALIST)
    cheaper = 100 * share <= 100 - MARGIN
    beyond = estimate.minus(MARGIN).sign
    same = {-1: "surely", 0: "perhaps", 1: "surely not"}[beyond]
    sentence = (
        f"{_compared(at, 'mpjpe', variant, estimate, doubts=False)}: {same} less than {MARGIN:.0f} % above it; "
        f"training {counting} takes {share:.2f} of the generalist's time{'' if cheaper else ', which is not lower'}."
    )
    return Finding(_status(beyond, -1) if cheaper else "contradicted", estimate, sentence)


def _rate(studies: Sequence[Evidence], variant: Variant, counting: str) -> Finding:
    """C7."""
    (at,) = studies
    if not at.curves(variant):
        return NO_CURVES
    (position, of_position), (velocity, of_velocity) = (_rate_of(at, metric, variant, counting) for metric in ERRORS)
    signs = [0] if UNKNOWN in (position, velocity) else [position.sign, velocity.sign]
    sentence = (
        f"seeing {counted(at.field, 'frame')} and at the cost of {counting}, {variant} have a time-precision rate "
        f"of {of_position} and of {of_velocity}."
    )
    return Finding(_status(min(signs), 1), position, sentence)


def _rate_of(at: Evidence, metric: str, variant: Variant, counting: str) -> tuple[Estimate, str]:
    """The experts' rate relative to the generalist's, in %, and in words."""
    regulated = regulated_error([at.study.error_at(metric, a, 0.5) for a in (GENERALIST, variant)])
    rates, slopes = {}, {}
    for a, cost in ((variant, at.seconds(variant, counting)), (GENERALIST, at.seconds(GENERALIST))):
        error = at.error(metric, a)
        rates[a] = time_precision_rate(regulated, float(error[0]), cost) - (error - error[0]) / cost  # linear in error
        slopes[a] = at.spread(metric, a) / cost
    mine, theirs = rates[variant], rates[GENERALIST]
    what = f"{mine[0]:.2g} against {theirs[0]:.2g} {METRICS[metric].unit} per second on {ERRORS[metric]}"
    if (theirs <= 0).any():
        return UNKNOWN, f"{what.replace('-', MINUS)} (undecided: the generalist's is not surely above 0)"
    estimate = Estimate.from_samples(
        100 * (mine / theirs - 1), [100 * s / theirs[0] for s in slopes.values()], at.seeds(variant)
    )
    effect = estimate.signed("%")[0]
    return estimate, f"{what.replace('-', MINUS)}, {effect}{_sure(estimate, '%', min(at.seeds(variant)))}"


def _convergence(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C8."""
    (at,) = studies
    curves = at.curves(variant)
    if not curves:
        return NO_CURVES
    snapshot = 1 / min(len(run) for runs in curves.values() for run in runs)
    settled = {a: [_settled(run.mean(axis="columns")) for run in runs] for a, runs in curves.items()}
    estimate = Estimate.from_seeds(settled[variant], settled[GENERALIST], snapshot)
    alone = {a: np.mean([_settled(run[at.focus]) for run in runs]) for a, runs in curves.items()}
    sure = _sure(estimate, "", min(at.seeds(variant)))
    sentence = (
        f"{variant} stay within {100 * SETTLED:.0f} % of their lowest error from {np.mean(settled[variant]):.2f} of "
        f"their budget on, the generalist from {np.mean(settled[GENERALIST]):.2f}{sure}, "
        f"and end at {at.error('mpjpe', variant)[0]:.1f} and {at.error('mpjpe', GENERALIST)[0]:.1f} mm; on {at.focus} "
        f"alone from {alone[variant]:.2f} and {alone[GENERALIST]:.2f}."
    )
    return Finding(_status(estimate.sign, -1), estimate, sentence)


def _settled(curve: pd.Series) -> float:
    """The progress from which on a curve stays near its lowest value; 1 where it leaves again at its end."""
    away = curve.index[curve > (1 + SETTLED) * curve.min()]
    later = curve.index[curve.index > away.max()] if len(away) else curve.index
    return float(later.min()) if len(later) else 1.0


def _unsteadiness(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C9."""
    (at,) = studies
    curves = at.curves(variant)
    if not curves:
        return NO_CURVES
    together = {a: [_jitter(run.mean(axis="columns")) for run in runs] for a, runs in curves.items()}
    alone = {a: np.mean([_jitter(run[action]) for run in runs for action in run]) for a, runs in curves.items()}
    estimate = Estimate.from_seeds(together[variant], together[GENERALIST])
    sure = _sure(estimate, "points", min(at.seeds(variant)))
    sentence = (
        f"from snapshot to snapshot the mean error of {variant} jitters by {np.mean(together[variant]):.2f} %, the "
        f"generalist's by {np.mean(together[GENERALIST]):.2f} %{sure}; "
        f"action by action by {alone[variant]:.2f} and {alone[GENERALIST]:.2f} %."
    )
    return Finding(_status(estimate.sign, -1), estimate, sentence)


def _jitter(curve: pd.Series) -> float:
    """Over the second half: how far a snapshot is from the mean of its neighbors, in % of that mean."""
    values = curve.to_numpy()[-(len(curve) // 2 + 1) :]
    between = (values[:-2] + values[2:]) / 2
    return float(100 * np.mean(np.abs(values[1:-1] - between) / between))


def _always(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C10."""
    points = {at: at.relative("mpjpe", variant) for at in studies}
    signs = [estimate.sign for estimate in points.values()]
    worst = max(points, key=lambda at: points[at].effect)
    sentence = (
        f"{variant} surely have the lower position error (MPJPE) in {signs.count(-1)} of {len(signs)} settings, the "
        f"generalist in {signs.count(1)}; worst for experts is {worst.name}: {points[worst].signed('%')[0]}"
        f"{_sure(points[worst], '%', min(worst.seeds(variant)))}. Sign changes of position error: "
        f"{_crossings(points)}; of velocity error: {_crossings({at: at.relative('mpjve', variant) for at in studies})}."
    )
    return Finding(_status(-max(signs), 1), points[worst], sentence)


def _crossings(points: Mapping[Evidence, Estimate]) -> str:
    """Between which numbers of frames the effect changes its sign, for every receptive field and number of steps."""
    lines: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for at, estimate in points.items():
        where = (at.field, at.study.steps)
        lines.setdefault(where, []).append((at.study.frames or 0, estimate.effect))
    found = [
        f"to {'worse' if after > 0 else 'better'} between {fewer:,} and {more:,} frames ({field}f, {steps:,} steps)"
        for (field, steps), line in sorted(lines.items())
        for (fewer, before), (more, after) in pairwise(sorted(line))
        if before * after < 0
    ]
    return ", ".join(found) or "none"


def _everywhere(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C11."""
    points = {(at, metric): at.relative(metric, variant) for at in studies for metric in ERRORS}
    return _all_lower(
        {
            f"seeing {counted(at.field, 'frame')}, {ERRORS[metric]}": estimate
            for (at, metric), estimate in points.items()
        },
        variant,
        min(seeds for at in studies for seeds in at.seeds(variant)),
    )


def _on_actions(studies: Sequence[Evidence], variant: Variant, actions: Sequence[str]) -> Finding:
    """C12."""
    (at,) = studies
    if missing := [action for action in actions if action not in at.study.scores.actions]:
        return untested(f"nobody here does {' or '.join(missing)}")
    points = {
        f"{action}, {ERRORS[metric]}": at.relative(metric, variant, action) for action in actions for metric in ERRORS
    }
    return _all_lower(points, variant, min(at.seeds(variant)))


def _all_lower(points: Mapping[str, Estimate], variant: Variant, seeds: int) -> Finding:
    """Say that the experts' errors are lower in all of these comparisons, or higher in one; the worst is the effect."""
    worst = max(points.values(), key=lambda estimate: estimate.effect)
    signs = [estimate.sign for estimate in points.values()]
    told = "; ".join(
        f"{what} {estimate.signed('%')[0]}{_sure(estimate, '%', seeds)}" for what, estimate in points.items()
    )
    sentence = (
        f"{variant} surely have the lower error in {signs.count(-1)} of {len(signs)} comparisons, the generalist in "
        f"{signs.count(1)}: {told}."
    )
    return Finding(_status(-max(signs), 1), worst, sentence)


def _sooner(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C13."""
    lines: dict[tuple[int, int], list[Evidence]] = {}
    for at in sorted(studies, key=lambda at: at.study.steps):
        lines.setdefault((at.field, at.study.frames or 0), []).append(at)
    ahead = {pair: _across(*pair, variant) for line in lines.values() for pair in pairwise(line)}
    if not ahead:
        return untested("it takes two numbers of steps")
    behind = [at.name for at in studies if at.relative("mpjpe", variant).sign > 0]
    worst = max(ahead, key=lambda pair: ahead[pair].effect)
    signs = [estimate.sign for estimate in ahead.values()]
    fewer, more = worst
    sentence = (
        f"after fewer steps than the generalist {variant} already have a surely lower position error (MPJPE) in "
        f"{signs.count(-1)} of {len(signs)} pairs of settings; worst for experts are {fewer.name} against the "
        f"generalist's {more.study.steps:,}: {ahead[worst].signed('%')[0]}"
        f"{_sure(ahead[worst], '%', min(*fewer.seeds(variant), *more.seeds(variant)))}. After as many steps they are "
        f"surely worse in {len(behind)} of {len(studies)} settings{': ' if behind else ''}{'; '.join(behind)}."
    )
    status = "contradicted" if behind else _status(max(signs), -1) if max(signs) < 0 else "undecided"
    return Finding(status, ahead[worst], sentence)


def _across(mine: Evidence, theirs: Evidence, variant: Variant) -> Estimate:
    """By how many % the variant's MPJPE in one study is above the generalist's in another."""
    _check_pair(mine, theirs, "mpjpe")
    own, other = mine.error("mpjpe", variant), theirs.error("mpjpe", GENERALIST)
    spreads = [100 * at.spread("mpjpe", a) / other[0] for at, a in ((mine, variant), (theirs, GENERALIST))]
    seeds = [mine.seeds(variant)[0], theirs.seeds(GENERALIST)[0]]
    return Estimate.from_samples(100 * (own / other - 1), spreads, seeds)


# Which studies decide a claim, and in which words


def _first(seen: Sequence[Evidence]) -> tuple[Evidence, ...]:
    return (min(seen, key=lambda at: (at.field, -at.study.steps)),)


def _second(seen: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """27 frames, or else the next more than the first's."""
    (first,) = _first(seen)
    wider = [at for at in seen if at.field == 27 or at.field > first.field]
    return tuple(sorted(wider, key=lambda at: (at.field != 27, at.field))[:1])


def _both(seen: Sequence[Evidence]) -> tuple[Evidence, ...]:
    pair = (*_first(seen), *_second(seen))
    return pair if len(set(pair)) == 2 else ()


def _limited(seen: Sequence[Evidence]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys((*_first(seen), *_second(seen))))


def _long(seen: Sequence[Evidence]) -> tuple[Evidence, ...]:
    return (max(seen, key=lambda at: (at.field, at.study.steps)),)


@dataclass(frozen=True)
class Rule:
    """How a claim is decided: on which studies, in which unit, by which judge for every way of counting costs.

    ``presets``: of the suites that can tell.
    """

    studies: Callable[[Sequence[Evidence]], tuple[Evidence, ...]]
    unit: str
    definition: str
    judges: Mapping[str, Callable[[Sequence[Evidence], Variant], Finding]]
    presets: tuple[str, ...] = ("fair", "paper")


_BY_CLIPS = " 95 % interval: paired bootstrap over clips; with several seeds a t test over them must agree."
_BY_SEEDS = " 95 % interval: t over seeds. Curves are of the test people; shares are of each arm's own budget."
RULES: dict[str, Rule] = {
    "C1": Rule(
        _first,
        "%",
        "MPJPE, mean over actions, relative to the generalist's, at the smallest receptive field: supported if lower."
        + _BY_CLIPS,
        {"": partial(_lower, metric="mpjpe")},
    ),
    "C2": Rule(
        _both,
        "points",
        "By how many % of itself MPJPE (mean over actions) falls from the smallest receptive field to 27 frames, "
        "or the next: the generalist's fall minus the experts', supported if above 0." + _BY_CLIPS,
        {"": partial(_gain, metric="mpjpe")},
    ),
    "C3": Rule(
        _second,
        "%",
        "MPJVE, mean over actions, relative to the generalist's, at 27 frames, or the next above the smallest: "
        "supported if lower." + _BY_CLIPS,
        {"": partial(_lower, metric="mpjve")},
    ),
    "C4": Rule(
        _long,
        "%",
        "MPJPE relative to the generalist's at the largest receptive field: supported if surely higher in the mean "
        "over actions, and surely lower on at least one action and fewer than half; contradicted if experts win "
        "overall, on half of the actions or more, or lead on none." + _BY_CLIPS,
        {"": _few_actions},
    ),
    "C5": Rule(
        _both,
        "points",
        "(before - after) / after of MPJVE (mean over actions), in %, from the smallest receptive field to 27 frames, "
        "or the next: experts minus generalist, supported if above 0." + _BY_CLIPS,
        {"": partial(_gain, metric="mpjve")},
    ),
    "C6": Rule(
        _long,
        "%",
        f"MPJPE (mean over actions) at the largest receptive field: supported if surely less than {MARGIN:.0f} % above "
        f"the generalist's (the interval's upper end) at a cost at least {MARGIN:.0f} % lower; contradicted if surely "
        "more, or at no lower cost. Cost: seconds of training by the clock, mean over seeds; one expert's is its share "
        "of the arm's steps." + _BY_CLIPS,
        {counting: partial(_cheaper, counting=counting) for counting in (ONE, ALL)},
    ),
    "C7": Rule(
        _long,
        "%",
        "Time-precision rate (the paper's formulas 4 and 5, k = 1.2) at the largest receptive field, relative to the "
        "generalist's: supported if surely higher on MPJPE (the effect given) and MPJVE, contradicted if surely lower "
        "on either. Half-way errors are those of the snapshot nearest to half the training; cost as for C6; the "
        "interval holds both fixed." + _BY_CLIPS,
        {counting: partial(_rate, counting=counting) for counting in (ONE, ALL)},
    ),
    "C8": Rule(
        _long,
        "share of budget",
        f"The first snapshot from which on MPJPE (mean over actions) stays within {SETTLED:.0%} of the curve's lowest, "
        "at the largest receptive field; a curve that leaves at its end counts 1. Experts minus generalist, supported "
        "if below 0; the interval is widened by one snapshot each way." + _BY_SEEDS,
        {"": _convergence},
    ),
    "C9": Rule(
        _long,
        "points",
        "Over the second half of training, how far MPJPE (mean over actions) is from the mean of its neighboring "
        "snapshots, in % of it, at the largest receptive field. Experts minus generalist, supported if below 0. A mean "
        "of many networks is steadier than one network by averaging alone: compare action by action." + _BY_SEEDS,
        {"": _unsteadiness},
    ),
    "C10": Rule(
        tuple,
        "%",
        "MPJPE (mean over actions) relative to the generalist's at each number of frames and of steps; the effect is "
        "the worst for experts. Supported if surely lower at all, contradicted if surely higher at any. Steps are "
        "equal by design, so that only “better” is tested; sign changes are of the estimates." + _BY_CLIPS,
        {"": _always},
        presets=("action-oriented",),
    ),
    "C11": Rule(
        _limited,
        "%",
        "MPJPE and MPJVE (mean over actions) relative to the generalist's, at the smallest receptive field and at 27 "
        "frames, or the next: supported if all are surely lower, contradicted if any is surely higher; the effect is "
        "the worst for experts." + _BY_CLIPS,
        {"": _everywhere},
    ),
    "C12": Rule(
        _long,
        "%",
        "MPJPE and MPJVE of these actions relative to the generalist's, at the largest receptive field (the paper does "
        "not say in which error): supported if all are surely lower, contradicted if any is surely higher; the effect "
        "is the worst for experts." + _BY_CLIPS,
        {"": partial(_on_actions, actions=("Discussion", "SittingDown"))},
    ),
    "C13": Rule(
        tuple,
        "%",
        "MPJPE (mean over actions) of experts relative to that of the generalist that took the next higher number of "
        "steps, at each number of training frames; the effect is the worst for experts. Supported if surely lower at "
        "all: what the generalist reaches, experts reach for less. Contradicted if, after equal steps, experts are "
        "surely worse anywhere: they would need more. A network's step costs the same in both." + _BY_CLIPS,
        {"": _sooner},
        presets=("action-oriented",),
    ),
}


# Words


def _compared(at: Evidence, metric: str, variant: Variant, estimate: Estimate, *, doubts: bool = True) -> str:
    mine, theirs = (number(at.error(metric, a)[0], METRICS[metric]) for a in (variant, GENERALIST))
    return (
        f"seeing {counted(at.field, 'frame')}, {variant} have a {ERRORS[metric]} {abs(estimate.effect):.1f} % "
        f"{'below' if estimate.effect < 0 else 'above'} the generalist's, {mine} against {theirs} "
        f"{METRICS[metric].unit}{_sure(estimate, '%', min(at.seeds(variant)), doubts=doubts)}"
    )


def _sure(estimate: Estimate, unit: str, seeds: int, *, doubts: bool = True) -> str:
    """The interval, the number of seeds, and what is doubtful, in brackets."""
    _, low, high = estimate.signed(unit)
    parts = [
        "" if math.isnan(estimate.low) else f"95 % interval {low.removesuffix(unit).strip()} to {high}",
        "one seed, others may differ" if seeds == 1 else f"{seeds} seeds",
        estimate.doubt if doubts else "",
    ]
    return f" ({'; '.join(filter(None, parts))})"
