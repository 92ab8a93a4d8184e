"""The rules by which claims of the paper are decided: on which studies, from which numbers, in which words.

An effect is experts against the generalist: negative is a lower error. It is that of the mean over people, its interval
Student's over people and seeds (:mod:`actlift.evaluation.intervals`), or, for learning curves, which are of all test
people together, over seeds alone. A rule says where an effect leans and how sure that is by itself; the p-values of all
verdicts of a report are then corrected together.
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
from actlift.evaluation.intervals import LEVEL, holm
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_ACTIONS, MEAN_OVER_PEOPLE, Variant, Variations, aligned
from actlift.report.estimate import UNKNOWN, Estimate, decided, estimated, relative_error
from actlift.report.gains import unlearnt
from actlift.report.results import ALL, ONE, StudyResults
from actlift.report.tables import MINUS, number
from actlift.report.words import ERRORS, counted
from actlift.training.budget import regulated_error, time_precision_rate

MARGIN = 5.0  # %: a difference of error, or of cost, that still counts as about the same
SETTLED = 0.02  # of a curve's lowest error: how near a converged curve stays to it

Status = Literal["supported", "contradicted", "undecided", "these people only", "not learnt", "not tested"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A study with what people and seeds do to its errors, by metric."""

    study: StudyResults
    samples: Mapping[str, Variations]
    focus: str
    still: frozenset[Variant]  # variants that have not learnt to lift

    @classmethod
    def of(cls, study: StudyResults, focus: str) -> "Evidence":
        """Vary people and seeds for all variants of a study."""
        scores = study.scores
        samples = {metric: scores.variations(metric, scores.variants) for metric in ERRORS}
        return cls(study, samples, focus, frozenset(unlearnt(scores)))

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
        """The mean over people, the data itself first, then with every person and seed varied: (rows,)."""
        return self.samples[metric].averages[variant][MEAN_OVER_PEOPLE].to_numpy()

    def over_actions(self, metric: str, variant: Variant) -> float:
        """The mean over actions, which curves are of."""
        return float(self.samples[metric].averages[variant][MEAN_OVER_ACTIONS].iloc[0])

    def seeds(self, variant: Variant) -> int:
        """How many the arm and the generalist have, the fewer."""
        return min(len(self.samples["mpjpe"].seeds[of]) for of in (variant, GENERALIST))

    def curves(self, variant: Variant) -> dict[Variant, dict[int, pd.DataFrame]]:
        """MPJPE on the test people along training, of the arm and the generalist: for each seed a table, rows
        snapshots, columns actions. Empty where an arm lacks curves of at least 4 snapshots.
        """
        table = self.study.curves[self.study.curves["metric"] == "mpjpe"]
        found = {
            a: {
                seed: table[(table["variant"] == a) & (table["seed"] == seed)].pivot(
                    index="progress", columns="action", values="value"
                )
                for seed in self.samples["mpjpe"].seeds[a]
            }
            for a in (variant, GENERALIST)
        }
        return found if all(runs and min(map(len, runs.values())) >= 4 for runs in found.values()) else {}

    def relative(self, metric: str, variant: Variant, column: str = MEAN_OVER_PEOPLE) -> Estimate:
        """By how many % the variant's error is above the generalist's."""
        return relative_error(self.samples[metric], variant, column)

    def seconds(self, variant: Variant, counting: str = ALL) -> float:
        """Of training by the clock, the mean over seeds."""
        return self.study.cost_at(variant, networks=counting).seconds


@dataclass(frozen=True)
class Finding:
    """What a rule says of a claim.

    Attributes:
        leaning: what holds where it is sure.
        estimate: the effect.
        sentence: in plain words.
        p: how often chance alone would lead there; None where chance has no say in it.
    """

    leaning: Status
    estimate: Estimate
    sentence: str
    p: float | None

    def status(self, adjusted: float) -> Status:
        """What holds, given the p-value once corrected for all verdicts."""
        if self.p is None or adjusted <= LEVEL:
            return self.leaning
        few = self.estimate.of.people is not None and not self.estimate.of.known
        return "these people only" if few else "undecided"


def untested(why: str) -> Finding:
    """Say what a claim takes that is not there."""
    return Finding("not tested", UNKNOWN, f"{why}.", None)


NO_CURVES = untested("it takes learning curves of at least 4 snapshots")


def _leaning(direction: int, wanted: int) -> Status:
    return "undecided" if direction == 0 else "supported" if direction == wanted else "contradicted"


# The claims


def _lower(studies: Sequence[Evidence], variant: Variant, metric: str) -> Finding:
    """C1, C3."""
    (at,) = studies
    estimate = at.relative(metric, variant)
    return Finding(
        _leaning(estimate.direction, -1), estimate, f"{_compared(at, metric, variant, estimate)}.", estimate.p
    )


def _gain(studies: Sequence[Evidence], variant: Variant, metric: str) -> Finding:
    """C2 (position: the fall, in % of what was) and C5 (velocity: in % of what is left, as the paper counts)."""
    narrow, wide = studies
    _check_pair(narrow, wide, metric)
    falls = metric == "mpjpe"
    top, bottom = aligned([of.samples[metric] for of in ((wide, narrow) if falls else (narrow, wide))])
    both = (variant, GENERALIST)
    ratios = {a: (100 * top.averages[a] / bottom.averages[a])[MEAN_OVER_PEOPLE].to_numpy() for a in both}
    estimate = estimated(ratios[variant] - ratios[GENERALIST], MEAN_OVER_PEOPLE, (top, both), (bottom, both))
    gains = {a: f"{(100 - r[0]) * (1 if falls else -1):.1f} %".replace("-", MINUS) for a, r in ratios.items()}
    sentence = (
        f"from {narrow.field} to {wide.field} frames the {ERRORS[metric]} "
        f"{'falls' if falls else 'improves, in % of what is left,'} by {gains[GENERALIST]} for the generalist and "
        f"{gains[variant]} for {variant}{_within(estimate, 'points')}."
    )
    return Finding(_leaning(estimate.direction, 1), estimate, sentence, estimate.p)


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
    won = [action for action, sign in decided(actions).items() if sign < 0]
    lead = [action for action, estimate in actions.items() if estimate.direction < 0 and action not in won]
    if overall.direction < 0 or 2 * len(won) >= len(actions) or not (won or lead):
        leaning: Status = "contradicted"
    else:
        leaning = "supported" if won else "undecided"
    tested = sum(estimate.of.known for estimate in actions.values())
    sentence = (
        f"{_compared(at, 'mpjpe', variant, overall)}; of {counted(len(actions), 'action')}, {tested} by people enough "
        f"to tell, experts surely win {', '.join(won) or 'none'} (corrected for their number) and lead, perhaps by "
        f"chance, on {', '.join(lead) or 'no other'}."
    )
    return Finding(leaning, overall, sentence, overall.p)


def _cheaper(studies: Sequence[Evidence], variant: Variant, counting: str) -> Finding:
    """C6."""
    (at,) = studies
    estimate = at.relative("mpjpe", variant)
    share = at.seconds(variant, counting) / at.seconds(GENERALIST)
    cheaper = 100 * share <= 100 - MARGIN
    beyond = estimate.minus(MARGIN)
    sentence = (
        f"{_compared(at, 'mpjpe', variant, estimate)}: the question is whether that is less than {MARGIN:.0f} %; "
        f"training {counting} takes {share:.2f} of the generalist's time{'' if cheaper else ', which is not lower'}."
    )
    if not cheaper:
        return Finding("contradicted", estimate, sentence, None)
    return Finding(_leaning(beyond.direction, -1), estimate, sentence, beyond.p)


def _rate(studies: Sequence[Evidence], variant: Variant, counting: str) -> Finding:
    """C7."""
    (at,) = studies
    if not at.curves(variant):
        return NO_CURVES
    (position, of_position), (velocity, of_velocity) = (_rate_of(at, metric, variant, counting) for metric in ERRORS)
    rates = (position, velocity)
    leaning, p = _leaning(0, 1), None
    if UNKNOWN in rates:
        position = UNKNOWN
    elif min(rate.direction for rate in rates) < 0:
        leaning, p = _leaning(-1, 1), float(holm([rate.p if rate.direction < 0 else 1.0 for rate in rates]).min())
    else:
        leaning, p = _leaning(1, 1), max(rate.p for rate in rates)
    sentence = (
        f"seeing {counted(at.field, 'frame')} and at the cost of {counting}, {variant} have a time-precision rate "
        f"of {of_position} and of {of_velocity}."
    )
    return Finding(leaning, position, sentence, p)


def _rate_of(at: Evidence, metric: str, variant: Variant, counting: str) -> tuple[Estimate, str]:
    """The experts' rate relative to the generalist's, in %, and in words."""
    costs = {variant: at.seconds(variant, counting), GENERALIST: at.seconds(GENERALIST)}
    errors = {a: at.error(metric, a) for a in costs}
    # curves are means over actions: what an error was half-way, relative to its end, holds for the mean over people
    fallen = {a: at.study.error_at(metric, a, 0.5) / at.over_actions(metric, a) for a in costs}
    regulated = [
        regulated_error([float(errors[a][row] * fallen[a]) for a in costs]) for row in range(len(errors[variant]))
    ]
    mine, theirs = (
        np.array([time_precision_rate(*row, costs[a]) for row in zip(regulated, map(float, errors[a]), strict=True)])
        for a in costs
    )
    samples = at.samples[metric]
    what = f"{mine[0]:.2g} against {theirs[0]:.2g} {METRICS[metric].unit} per second on {ERRORS[metric]}"
    above = estimated(theirs, MEAN_OVER_PEOPLE, (samples, [GENERALIST]))
    if theirs[0] <= 0 or above.low <= 0:
        return UNKNOWN, f"{what.replace('-', MINUS)} (undecided: the generalist's is not surely above 0)"
    estimate = estimated(100 * (mine / theirs - 1), MEAN_OVER_PEOPLE, (samples, (variant, GENERALIST)))
    return estimate, f"{what.replace('-', MINUS)}, {estimate.signed('%')[0]}{_within(estimate, '%')}"


def _convergence(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C8."""
    (at,) = studies
    curves = at.curves(variant)
    if not curves:
        return NO_CURVES
    snapshot = 1 / min(len(run) for runs in curves.values() for run in runs.values())
    settled = {a: {s: _settled(run.mean(axis="columns")) for s, run in runs.items()} for a, runs in curves.items()}
    estimate = Estimate.from_seeds(settled[variant], settled[GENERALIST], snapshot)
    alone = {a: np.mean([_settled(run[at.focus]) for run in runs.values()]) for a, runs in curves.items()}
    mine, theirs = (np.mean(list(settled[a].values())) for a in (variant, GENERALIST))
    ends = {a: at.over_actions("mpjpe", a) for a in (variant, GENERALIST)}
    sentence = (
        f"{variant} stay within {100 * SETTLED:.0f} % of their lowest error from {mine:.2f} of "
        f"their budget on, the generalist from {theirs:.2f}{_within(estimate, '')}, "
        f"and end at {ends[variant]:.1f} and {ends[GENERALIST]:.1f} mm; on {at.focus} "
        f"alone from {alone[variant]:.2f} and {alone[GENERALIST]:.2f}."
    )
    return Finding(_leaning(estimate.direction, -1), estimate, sentence, estimate.p)


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
    together = {a: {s: _jitter(run.mean(axis="columns")) for s, run in runs.items()} for a, runs in curves.items()}
    alone = {
        a: np.mean([_jitter(run[action]) for run in runs.values() for action in run]) for a, runs in curves.items()
    }
    estimate = Estimate.from_seeds(together[variant], together[GENERALIST])
    mine, theirs = (np.mean(list(together[a].values())) for a in (variant, GENERALIST))
    sentence = (
        f"from snapshot to snapshot the mean error of {variant} jitters by {mine:.2f} %, the "
        f"generalist's by {theirs:.2f} %{_within(estimate, 'points')}; "
        f"action by action by {alone[variant]:.2f} and {alone[GENERALIST]:.2f} %."
    )
    return Finding(_leaning(estimate.direction, -1), estimate, sentence, estimate.p)


def _jitter(curve: pd.Series) -> float:
    """Over the second half: how far a snapshot is from the mean of its neighbors, in % of that mean."""
    values = curve.to_numpy()[-(len(curve) // 2 + 1) :]
    between = (values[:-2] + values[2:]) / 2
    return float(100 * np.mean(np.abs(values[1:-1] - between) / between))


def _always(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C10."""
    points = {at: at.relative("mpjpe", variant) for at in studies}
    signs = list(decided(points).values())
    worst = max(points, key=lambda at: points[at].effect)
    p = _lower_everywhere(list(points.values()))
    sentence = (
        f"{variant} surely have the lower position error (MPJPE) in {signs.count(-1)} of {len(signs)} settings, the "
        f"generalist in {signs.count(1)}; worst for experts is {worst.name}: {points[worst].signed('%')[0]}"
        f"{_within(points[worst], '%')}. Sign changes of position error: "
        f"{_crossings(points)}; of velocity error: {_crossings({at: at.relative('mpjve', variant) for at in studies})}."
    )
    return Finding(_leaning(points[worst].direction, -1), points[worst], sentence, p)


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
    return _all_lower(
        {
            f"seeing {counted(at.field, 'frame')}, {ERRORS[metric]}": at.relative(metric, variant)
            for at in studies
            for metric in ERRORS
        },
        variant,
    )


def _on_actions(studies: Sequence[Evidence], variant: Variant, actions: Sequence[str]) -> Finding:
    """C12."""
    (at,) = studies
    if missing := [action for action in actions if action not in at.study.scores.actions]:
        return untested(f"nobody here does {' or '.join(missing)}")
    return _all_lower(
        {
            f"{action}, {ERRORS[metric]}": at.relative(metric, variant, action)
            for action in actions
            for metric in ERRORS
        },
        variant,
    )


def _all_lower(points: Mapping[str, Estimate], variant: Variant) -> Finding:
    """Say that the experts' errors are lower in all of these comparisons, or higher in one; the worst is the effect."""
    worst = max(points.values(), key=lambda estimate: estimate.effect)
    signs = list(decided(points).values())
    told = "; ".join(f"{what} {of.signed('%')[0]}{_within(of, '%')}" for what, of in points.items())
    sentence = (
        f"{variant} surely have the lower error in {signs.count(-1)} of {len(signs)} comparisons, the generalist in "
        f"{signs.count(1)}: {told}."
    )
    return Finding(_leaning(worst.direction, -1), worst, sentence, _lower_everywhere(list(points.values())))


def _lower_everywhere(points: Sequence[Estimate]) -> float:
    """How often chance alone leads to what these effects say together: lower in all, or, where one is not, higher in
    any of them."""
    above = [of.p if of.direction > 0 else 1.0 for of in points]
    return float(holm(above).min()) if min(above) < 1 else max(of.p for of in points)


def _sooner(studies: Sequence[Evidence], variant: Variant) -> Finding:
    """C13."""
    lines: dict[tuple[int, int], list[Evidence]] = {}
    for at in sorted(studies, key=lambda at: at.study.steps):
        lines.setdefault((at.field, at.study.frames or 0), []).append(at)
    ahead = {pair: _across(*pair, variant) for line in lines.values() for pair in pairwise(line)}
    if not ahead:
        return untested("it takes two numbers of steps")
    equal = {at: at.relative("mpjpe", variant) for at in studies}
    behind = [at.name for at, sign in decided(equal).items() if sign > 0]
    (fewer, more), worst = max(ahead.items(), key=lambda of: of[1].effect)
    signs = list(decided(ahead).values())
    sentence = (
        f"after fewer steps than the generalist {variant} already have a surely lower position error (MPJPE) in "
        f"{signs.count(-1)} of {len(signs)} pairs of settings; worst for experts are {fewer.name} against the "
        f"generalist's {more.study.steps:,}: {worst.signed('%')[0]}{_within(worst, '%')}. After as many steps they are "
        f"surely worse in {len(behind)} of {len(studies)} settings{': ' if behind else ''}{'; '.join(behind)}."
    )
    if behind:
        return Finding("contradicted", worst, sentence, _lower_everywhere(list(equal.values())))
    leaning: Status = "supported" if worst.direction < 0 else "undecided"
    return Finding(leaning, worst, sentence, _lower_everywhere(list(ahead.values())))


def _across(mine: Evidence, theirs: Evidence, variant: Variant) -> Estimate:
    """By how many % the variant's MPJPE in one study is above the generalist's in another."""
    _check_pair(mine, theirs, "mpjpe")
    own, other = aligned([of.samples["mpjpe"] for of in (mine, theirs)])
    ratio = 100 * (own.averages[variant][MEAN_OVER_PEOPLE] / other.averages[GENERALIST][MEAN_OVER_PEOPLE] - 1)
    return estimated(ratio.to_numpy(), MEAN_OVER_PEOPLE, (own, [variant]), (other, [GENERALIST]))


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


_BY_PEOPLE = " 95 % interval: Student's over people and seeds, the widest of either and both."
_BY_SEEDS = " 95 % interval: t over seeds. Curves are of the test people; shares are of each arm's own budget."
RULES: dict[str, Rule] = {
    "C1": Rule(
        _first,
        "%",
        "MPJPE, mean over people, relative to the generalist's, at the smallest receptive field: supported if lower."
        + _BY_PEOPLE,
        {"": partial(_lower, metric="mpjpe")},
    ),
    "C2": Rule(
        _both,
        "points",
        "By how many % of itself MPJPE (mean over people) falls from the smallest receptive field to 27 frames, "
        "or the next: the generalist's fall minus the experts', supported if above 0." + _BY_PEOPLE,
        {"": partial(_gain, metric="mpjpe")},
    ),
    "C3": Rule(
        _second,
        "%",
        "MPJVE, mean over people, relative to the generalist's, at 27 frames, or the next above the smallest: "
        "supported if lower." + _BY_PEOPLE,
        {"": partial(_lower, metric="mpjve")},
    ),
    "C4": Rule(
        _long,
        "%",
        "MPJPE relative to the generalist's at the largest receptive field: supported if surely higher in the mean "
        "over people, and surely lower on at least one action and fewer than half; contradicted if experts win "
        "overall, on half of the actions or more, or lead on none. Actions are corrected for their number (Holm); one "
        "that fewer than 4 people do cannot be sure." + _BY_PEOPLE,
        {"": _few_actions},
    ),
    "C5": Rule(
        _both,
        "points",
        "(before - after) / after of MPJVE (mean over people), in %, from the smallest receptive field to 27 frames, "
        "or the next: experts minus generalist, supported if above 0." + _BY_PEOPLE,
        {"": partial(_gain, metric="mpjve")},
    ),
    "C6": Rule(
        _long,
        "%",
        f"MPJPE (mean over people) at the largest receptive field: supported if surely less than {MARGIN:.0f} % above "
        f"the generalist's (the interval's upper end) at a cost at least {MARGIN:.0f} % lower; contradicted if surely "
        "more, or at no lower cost. Cost: seconds of training by the clock, mean over seeds; one expert's is its share "
        "of the arm's steps." + _BY_PEOPLE,
        {counting: partial(_cheaper, counting=counting) for counting in (ONE, ALL)},
    ),
    "C7": Rule(
        _long,
        "%",
        "Time-precision rate (the paper's formulas 4 and 5, k = 1.2) at the largest receptive field, relative to the "
        "generalist's: supported if surely higher on MPJPE (the effect given) and MPJVE, contradicted if surely lower "
        "on either (two looks, Holm). Half-way errors: those of the mean over people, times what the curve (mean over "
        "actions) had at the snapshot nearest to half the training over what it ends at; the interval holds that share "
        "and the cost (as for C6) fixed." + _BY_PEOPLE,
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
        "MPJPE (mean over people) relative to the generalist's at each number of frames and of steps; the effect is "
        "the worst for experts. Supported if surely lower at all, contradicted if surely higher at any. Steps are "
        "equal by design, so that only “better” is tested; sign changes are of the estimates." + _BY_PEOPLE,
        {"": _always},
        presets=("action-oriented",),
    ),
    "C11": Rule(
        _limited,
        "%",
        "MPJPE and MPJVE (mean over people) relative to the generalist's, at the smallest receptive field and at 27 "
        "frames, or the next: supported if all are surely lower, contradicted if any is surely higher; the effect is "
        "the worst for experts." + _BY_PEOPLE,
        {"": _everywhere},
    ),
    "C12": Rule(
        _long,
        "%",
        "MPJPE and MPJVE of these actions relative to the generalist's, at the largest receptive field (the paper does "
        "not say in which error): supported if all are surely lower, contradicted if any is surely higher; the effect "
        "is the worst for experts." + _BY_PEOPLE,
        {"": partial(_on_actions, actions=("Discussion", "SittingDown"))},
    ),
    "C13": Rule(
        tuple,
        "%",
        "MPJPE (mean over people) of experts relative to that of the generalist that took the next higher number of "
        "steps, at each number of training frames; the effect is the worst for experts. Supported if surely lower at "
        "all: what the generalist reaches, experts reach for less. Contradicted if, after equal steps, experts are "
        "surely worse anywhere: they would need more. A network's step costs the same in both." + _BY_PEOPLE,
        {"": _sooner},
        presets=("action-oriented",),
    ),
}


# Words


def _compared(at: Evidence, metric: str, variant: Variant, estimate: Estimate) -> str:
    mine, theirs = (number(at.error(metric, a)[0], METRICS[metric]) for a in (variant, GENERALIST))
    return (
        f"seeing {counted(at.field, 'frame')}, {variant} have a {ERRORS[metric]} {abs(estimate.effect):.1f} % "
        f"{'below' if estimate.effect < 0 else 'above'} the generalist's, {mine} against {theirs} "
        f"{METRICS[metric].unit}{_within(estimate, '%')}"
    )


def _within(estimate: Estimate, unit: str) -> str:
    """The interval, and on how many people and seeds it rests, in brackets."""
    _, low, high = estimate.signed(unit)
    parts = [
        "" if math.isnan(estimate.low) else f"95 % interval {low.removesuffix(unit).strip()} to {high}",
        "" if estimate.of.people is None else counted(estimate.of.people, "person", "people"),
        "one seed, others may differ" if estimate.of.seeds == 1 else f"{estimate.of.seeds} seeds",
    ]
    return f" ({'; '.join(filter(None, parts))})"
