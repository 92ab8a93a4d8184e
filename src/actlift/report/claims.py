"""Verdicts on the paper's claims (`paper.json`), each decided by a stated rule on a suite's scores and curves.

An effect is experts against the generalist: negative is a lower error. Its interval is a paired bootstrap over the test
people's clips (`Scores.draws`), or, for learning curves, a t interval over seeds. A claim is supported or contradicted
only where that interval leaves out 0 and, with several seeds, the effect also exceeds what seeds explain
(`seed_margin`, brought to the effect's unit by the delta method). Intervals are not corrected for the number of claims,
actions or settings that are looked at. Experts are told the true action of every test clip (oracle).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from actlift.errors import InputError
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, BootstrapSamples, percentile_interval, seed_margin
from actlift.files import read_json, write_json
from actlift.report import tables
from actlift.report.audit import PAPER
from actlift.report.results import ALL, ONE, StudyResults, Suite
from actlift.report.tables import MINUS
from actlift.study.plan import GENERALIST
from actlift.training.budget import regulated_error, time_precision_rate

if TYPE_CHECKING:
    from rich.console import Console

EXPERTS, CONTROL = "experts", "random-experts"
MARGIN = 5.0  # %: a difference of error, or of cost, that still counts as about the same
SETTLED = 0.02  # of a curve's lowest error: how near a converged curve stays to it
ERRORS = {"mpjpe": "position error (MPJPE)", "mpjve": "velocity error (MPJVE)"}
STYLES = {"supported": "green", "contradicted": "red", "undecided": "yellow", "not tested": "dim"}

Status = Literal["supported", "contradicted", "undecided", "not tested"]


@dataclass(frozen=True)
class Estimate:
    """An effect, its 95 % interval, and how far other seeds alone may move it, in one unit; NaN where unknown."""

    effect: float
    low: float
    high: float
    seed_margin: float

    @property
    def sign(self) -> int:
        """-1 or 1 for an effect that is decided, else 0."""
        return 0 if self.doubt else int(np.sign(self.effect))

    @property
    def doubt(self) -> str:
        """Why the effect is not decided; "" where it is."""
        if math.isnan(self.low):
            return "undecided: too few clips or seeds for an interval"
        if self.low <= 0 <= self.high:
            return "undecided: it may be chance"
        return "undecided: other seeds may undo it" if abs(self.effect) < self.seed_margin else ""

    def minus(self, amount: float) -> "Estimate":
        return Estimate(self.effect - amount, self.low - amount, self.high - amount, self.seed_margin)

    def signed(self, unit: str = "") -> tuple[str, str, str]:
        """Effect and interval, such as "−3.1 %": with two decimals where all are below 1, else with one.

        An end just below 0 is "−0.0", so that [−0.0, +5.9] is seen to hold 0.
        """
        values = (self.effect, self.low, self.high)
        decimals = 2 if max(map(abs, values)) < 1 else 1
        effect, low, high = (f"{value:+.{decimals}f} {unit}".rstrip().replace("-", MINUS) for value in values)
        return effect, low, high


UNKNOWN = Estimate(math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Verdict:
    """What a suite says of one claim, under one equality of budgets.

    Attributes:
        claim, text: "C1", and what it claims.
        variant: the equality ("pooled"), and for costs how they are counted ("pooled, one expert"); "" if not tested.
        status: supported, contradicted, undecided or not tested.
        effect, low, high, unit: experts against the generalist, with its 95 % interval; NaN where there is none.
        seeds: trainings of each arm, the fewest of any; with one, other seeds may differ.
        seed_robust: whether the effect exceeds what seeds explain; None with one seed.
        control: the same effect of random-experts, which have the experts' amount of data and none of its relevance.
        where: the settings: "27f, 1,809 steps".
        sentence: the finding in plain words, with its numbers.
        definition: how it was decided.
    """

    claim: str
    text: str
    variant: str
    status: Status
    effect: float
    unit: str
    low: float
    high: float
    seeds: int
    seed_robust: bool | None
    control: Estimate | None
    where: str
    sentence: str
    definition: str

    @property
    def estimate(self) -> Estimate:
        """The effect and its interval; what seeds explain is not kept."""
        return Estimate(self.effect, self.low, self.high, math.nan)


def relative_error(
    draws: BootstrapSamples, spread: pd.DataFrame, arm: str, column: str = MEAN_OVER_ACTIONS, against: str = GENERALIST
) -> Estimate:
    """By how many % an arm's error is above the generalist's, or another's.

    Args:
        draws, spread: of one metric, as from `Scores.draws` and `Scores.seed_spread`, with both arms among them.
        column: an action or a mean.
    """
    mine, theirs = (draws.averages[a][column].to_numpy() for a in (arm, against))
    of_both = spread.loc[[arm, against]]
    return _estimate(100 * (mine / theirs - 1), 100 * of_both[column] / theirs[0], of_both["seeds"])


def verdicts(suite: Suite) -> list[Verdict]:
    """A verdict on every claim, under each equality that the suite has experts of.

    Raises:
        ValueError: where arms, or two settings that a claim pairs, were not scored on the same clips.
    """
    seen = [_Evidence.of(setting, suite.focus) for setting in suite.settings]
    found: list[Verdict] = []
    for claim in read_json(PAPER)["claims"]:
        rule = _RULES[claim["id"]]
        if suite.preset in rule.presets:
            found += _judged(claim, rule, seen)
        else:
            found.append(_verdict(claim, rule, _untested("it takes a suite of --preset " + " or ".join(rule.presets))))
    return found


def write_verdicts(path: Path, suite: Suite, found: Sequence[Verdict]) -> None:
    """Write verdicts as JSON, with the suite's command, corpus digest and seeds; numbers that are NaN become null.

    Raises:
        OSError: where the file cannot be written; an older one is then left as it was.
    """
    seeds = {seed for setting in suite.settings for arm in setting.scores.arms for seed in setting.scores.seeds(arm)}
    write_json(
        path,
        {
            "command": suite.about["command"],
            "digest": suite.about["digest"],
            "seeds": sorted(seeds),
            "verdicts": [_without_nan(asdict(verdict)) for verdict in found],
        },
    )


def print_verdicts(console: "Console", found: Sequence[Verdict]) -> None:
    """Print a table of all verdicts, then each claim with what was found of it."""
    from rich.box import SIMPLE_HEAD
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, title="The paper's claims", title_justify="left")
    for name in ("claim", "variant", "status"):
        grid.add_column(name)
    for name in ("effect\n[95 % interval]", "of random-experts\n[95 % interval]"):
        grid.add_column(name, justify="right")
    for verdict in found:
        effects = [_cell(estimate, verdict.unit) for estimate in (verdict.estimate, verdict.control)]
        grid.add_row(verdict.claim, verdict.variant, Text(verdict.status, STYLES[verdict.status]), *effects)
    console.print(grid)
    console.print(
        "Effects are experts against the generalist: negative is a lower error. Experts are told the true action.\n"
        "random-experts, the control, have as much data and none of its relevance.",
        style="dim",
        highlight=False,
    )
    for claim, text in {verdict.claim: verdict.text for verdict in found}.items():
        console.print(Text(f"\n{claim} {text}", style="dim"))
        for verdict in (v for v in found if v.claim == claim):
            line = Text.assemble((f"{verdict.status}: ", STYLES[verdict.status]), verdict.sentence)
            console.print(Padding(line, (0, 0, 0, 2)))


# What verdicts rest on


@dataclass(frozen=True, eq=False)
class _Evidence:
    """A setting with the draws of its errors and their spread over seeds, by metric."""

    setting: StudyResults
    draws: Mapping[str, BootstrapSamples]
    spreads: Mapping[str, pd.DataFrame]
    focus: str

    @classmethod
    def of(cls, setting: StudyResults, focus: str) -> "_Evidence":
        scores = setting.scores
        return cls(
            setting,
            {metric: scores.draws(metric, scores.arms) for metric in ERRORS},
            {metric: scores.seed_spread(metric) for metric in ERRORS},
            focus,
        )

    @property
    def field(self) -> int:
        return self.setting.receptive_field

    @property
    def name(self) -> str:
        about = self.setting
        frames = "" if about.frames is None else f"{about.frames:,} training frames, "
        return f"{self.field}f, {frames}{about.steps:,} steps"

    def error(self, metric: str, arm: str) -> np.ndarray:
        """Draws of the mean over actions, the data itself first: (1 + draws,)."""
        return self.draws[metric].averages[arm][MEAN_OVER_ACTIONS].to_numpy()

    def spread(self, metric: str, arm: str) -> float:
        """The standard deviation of that mean over seeds."""
        return float(self.spreads[metric].T[arm][MEAN_OVER_ACTIONS])

    def seeds(self, arm: str) -> list[int]:
        """How many the arm and the generalist have."""
        return [int(self.spreads["mpjpe"].T[name]["seeds"]) for name in (arm, GENERALIST)]

    def curves(self, arm: str) -> dict[str, list[pd.DataFrame]]:
        """MPJPE on the test people along training, of the arm and the generalist: for each seed a table, rows
        snapshots, columns actions. Empty where an arm lacks curves of at least 4 snapshots.
        """
        table = self.setting.curves[self.setting.curves["metric"] == "mpjpe"]
        found = {
            a: [
                run.pivot(index="progress", columns="action", values="value")
                for _, run in table[table["arm"] == a].groupby("run")
            ]
            for a in (arm, GENERALIST)
        }
        return found if all(runs and min(map(len, runs)) >= 4 for runs in found.values()) else {}

    def relative(self, metric: str, arm: str, column: str = MEAN_OVER_ACTIONS) -> Estimate:
        return relative_error(self.draws[metric], self.spreads[metric], arm, column)

    def seconds(self, arm: str, counting: str = ALL) -> float:
        """Of training by the clock, the mean over seeds."""
        return self.setting.cost_at(arm, networks=counting).seconds


@dataclass(frozen=True)
class _Finding:
    status: Status
    estimate: Estimate
    sentence: str


def _untested(why: str) -> _Finding:
    return _Finding("not tested", UNKNOWN, f"{why}.")


NO_CURVES = _untested("it takes learning curves of at least 4 snapshots")


def _status(sign: int, wanted: int) -> Status:
    return "undecided" if sign == 0 else "supported" if sign == wanted else "contradicted"


def _estimate(drawn: np.ndarray, spreads: Iterable[float], seeds: Iterable[int]) -> Estimate:
    """From a statistic's draws, and what each mean's standard deviation over seeds makes of it."""
    low, high = percentile_interval(drawn)
    return Estimate(float(drawn[0]), float(low), float(high), seed_margin(spreads, seeds))


def _over_seeds(mine: Sequence[float], theirs: Sequence[float], resolution: float = 0.0) -> Estimate:
    """The difference of two means over seeds with its t interval, widened by what each way cannot be resolved."""
    effect = float(np.mean(mine) - np.mean(theirs))
    margin = seed_margin([pd.Series(values).std() for values in (mine, theirs)], [len(mine), len(theirs)])
    return Estimate(effect, effect - margin - resolution, effect + margin + resolution, margin)


# The claims


def _lower(settings: Sequence[_Evidence], arm: str, metric: str) -> _Finding:
    """C1, C3."""
    (at,) = settings
    estimate = at.relative(metric, arm)
    return _Finding(_status(estimate.sign, -1), estimate, f"{_compared(at, metric, arm, estimate)}.")


def _gain(settings: Sequence[_Evidence], arm: str, metric: str) -> _Finding:
    """C2 (position: the fall, in % of what was) and C5 (velocity: in % of what is left, as the paper counts)."""
    narrow, wide = settings
    if not narrow.draws[metric].frames.equals(wide.draws[metric].frames):
        raise InputError(
            f"settings {narrow.setting.name} and {wide.setting.name} cannot be paired: they were not scored on the "
            "same clips; evaluate both on the same corpus"
        )
    falls = metric == "mpjpe"
    top, bottom = (wide, narrow) if falls else (narrow, wide)
    ratios = {a: 100 * top.error(metric, a) / bottom.error(metric, a) for a in (arm, GENERALIST)}
    spreads = [r[0] * at.spread(metric, a) / at.error(metric, a)[0] for at in (top, bottom) for a, r in ratios.items()]
    seeds = [*top.seeds(arm), *bottom.seeds(arm)]
    estimate = _estimate(ratios[arm] - ratios[GENERALIST], spreads, seeds)
    gains = {a: f"{(100 - r[0]) * (1 if falls else -1):.1f} %".replace("-", MINUS) for a, r in ratios.items()}
    sentence = (
        f"from {narrow.field} to {wide.field} frames the {ERRORS[metric]} "
        f"{'falls' if falls else 'improves, in % of what is left,'} by {gains[GENERALIST]} for the generalist and "
        f"{gains[arm]} for {arm}{_sure(estimate, 'points', min(seeds))}."
    )
    return _Finding(_status(estimate.sign, 1), estimate, sentence)


def _few_actions(settings: Sequence[_Evidence], arm: str) -> _Finding:
    """C4."""
    (at,) = settings
    overall = at.relative("mpjpe", arm)
    actions = {action: at.relative("mpjpe", arm, action) for action in at.setting.scores.actions}
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
        f"{_compared(at, 'mpjpe', arm, overall)}; experts surely win on {len(won)} of {len(actions)} actions{named}. "
        f"So {why}."
    )
    return _Finding(status, overall, sentence)


def _cheaper(settings: Sequence[_Evidence], arm: str, counting: str) -> _Finding:
    """C6."""
    (at,) = settings
    estimate = at.relative("mpjpe", arm)
    share = at.seconds(arm, counting) / at.seconds(GENERALIST)
    cheaper = 100 * share <= 100 - MARGIN
    beyond = estimate.minus(MARGIN).sign
    same = {-1: "surely", 0: "perhaps", 1: "surely not"}[beyond]
    sentence = (
        f"{_compared(at, 'mpjpe', arm, estimate, doubts=False)}: {same} less than {MARGIN:.0f} % above it; training "
        f"{counting} takes {share:.2f} of the generalist's time{'' if cheaper else ', which is not lower'}."
    )
    return _Finding(_status(beyond, -1) if cheaper else "contradicted", estimate, sentence)


def _rate(settings: Sequence[_Evidence], arm: str, counting: str) -> _Finding:
    """C7."""
    (at,) = settings
    if not at.curves(arm):
        return NO_CURVES
    (position, of_position), (velocity, of_velocity) = (_rate_of(at, metric, arm, counting) for metric in ERRORS)
    signs = [0] if UNKNOWN in (position, velocity) else [position.sign, velocity.sign]
    sentence = (
        f"seeing {_frames(at)} and at the cost of {counting}, {arm} have a time-precision rate of {of_position} and of "
        f"{of_velocity}."
    )
    return _Finding(_status(min(signs), 1), position, sentence)


def _rate_of(at: _Evidence, metric: str, arm: str, counting: str) -> tuple[Estimate, str]:
    """The experts' rate relative to the generalist's, in %, and in words."""
    regulated = regulated_error([at.setting.error_at(metric, a, 0.5) for a in (GENERALIST, arm)])
    rates, slopes = {}, {}
    for a, cost in ((arm, at.seconds(arm, counting)), (GENERALIST, at.seconds(GENERALIST))):
        error = at.error(metric, a)
        rates[a] = time_precision_rate(regulated, float(error[0]), cost) - (error - error[0]) / cost  # linear in error
        slopes[a] = at.spread(metric, a) / cost
    mine, theirs = rates[arm], rates[GENERALIST]
    what = f"{mine[0]:.2g} against {theirs[0]:.2g} {METRICS[metric].unit} per second on {ERRORS[metric]}"
    if (theirs <= 0).any():
        return UNKNOWN, f"{what.replace('-', MINUS)} (undecided: the generalist's is not surely above 0)"
    estimate = _estimate(100 * (mine / theirs - 1), [100 * s / theirs[0] for s in slopes.values()], at.seeds(arm))
    effect = estimate.signed("%")[0]
    return estimate, f"{what.replace('-', MINUS)}, {effect}{_sure(estimate, '%', min(at.seeds(arm)))}"


def _convergence(settings: Sequence[_Evidence], arm: str) -> _Finding:
    """C8."""
    (at,) = settings
    curves = at.curves(arm)
    if not curves:
        return NO_CURVES
    snapshot = 1 / min(len(run) for runs in curves.values() for run in runs)
    settled = {a: [_settled(run.mean(axis="columns")) for run in runs] for a, runs in curves.items()}
    estimate = _over_seeds(settled[arm], settled[GENERALIST], snapshot)
    alone = {a: np.mean([_settled(run[at.focus]) for run in runs]) for a, runs in curves.items()}
    sentence = (
        f"{arm} stay within {100 * SETTLED:.0f} % of their lowest error from {np.mean(settled[arm]):.2f} of their "
        f"budget on, the generalist from {np.mean(settled[GENERALIST]):.2f}{_sure(estimate, '', min(at.seeds(arm)))}, "
        f"and end at {at.error('mpjpe', arm)[0]:.1f} and {at.error('mpjpe', GENERALIST)[0]:.1f} mm; on {at.focus} "
        f"alone from {alone[arm]:.2f} and {alone[GENERALIST]:.2f}."
    )
    return _Finding(_status(estimate.sign, -1), estimate, sentence)


def _settled(curve: pd.Series) -> float:
    """The progress from which on a curve stays near its lowest value; 1 where it leaves again at its end."""
    away = curve.index[curve > (1 + SETTLED) * curve.min()]
    later = curve.index[curve.index > away.max()] if len(away) else curve.index
    return float(later.min()) if len(later) else 1.0


def _unsteadiness(settings: Sequence[_Evidence], arm: str) -> _Finding:
    """C9."""
    (at,) = settings
    curves = at.curves(arm)
    if not curves:
        return NO_CURVES
    together = {a: [_jitter(run.mean(axis="columns")) for run in runs] for a, runs in curves.items()}
    alone = {a: np.mean([_jitter(run[action]) for run in runs for action in run]) for a, runs in curves.items()}
    estimate = _over_seeds(together[arm], together[GENERALIST])
    sentence = (
        f"from snapshot to snapshot the mean error of {arm} jitters by {np.mean(together[arm]):.2f} %, the "
        f"generalist's by {np.mean(together[GENERALIST]):.2f} %{_sure(estimate, 'points', min(at.seeds(arm)))}; action "
        f"by action by {alone[arm]:.2f} and {alone[GENERALIST]:.2f} %."
    )
    return _Finding(_status(estimate.sign, -1), estimate, sentence)


def _jitter(curve: pd.Series) -> float:
    """Over the second half: how far a snapshot is from the mean of its neighbors, in % of that mean."""
    values = curve.to_numpy()[-(len(curve) // 2 + 1) :]
    between = (values[:-2] + values[2:]) / 2
    return float(100 * np.mean(np.abs(values[1:-1] - between) / between))


def _always(settings: Sequence[_Evidence], arm: str) -> _Finding:
    """C10."""
    points = {at: at.relative("mpjpe", arm) for at in settings}
    signs = [estimate.sign for estimate in points.values()]
    worst = max(points, key=lambda at: points[at].effect)
    sentence = (
        f"{arm} surely have the lower position error (MPJPE) in {signs.count(-1)} of {len(signs)} settings, the "
        f"generalist in {signs.count(1)}; worst for experts is {worst.name}: {points[worst].signed('%')[0]}"
        f"{_sure(points[worst], '%', min(worst.seeds(arm)))}. Sign changes of position error: {_crossings(points)}; of "
        f"velocity error: {_crossings({at: at.relative('mpjve', arm) for at in settings})}."
    )
    return _Finding(_status(-max(signs), 1), points[worst], sentence)


def _crossings(points: Mapping[_Evidence, Estimate]) -> str:
    """Between which numbers of frames the effect changes its sign, for every receptive field and number of steps."""
    lines: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for at, estimate in points.items():
        where = (at.field, at.setting.steps)
        lines.setdefault(where, []).append((at.setting.frames or 0, estimate.effect))
    found = [
        f"to {'worse' if after > 0 else 'better'} between {fewer:,} and {more:,} frames ({field}f, {steps:,} steps)"
        for (field, steps), line in sorted(lines.items())
        for (fewer, before), (more, after) in pairwise(sorted(line))
        if before * after < 0
    ]
    return ", ".join(found) or "none"


# Which settings decide a claim, and in which words


def _first(seen: Sequence[_Evidence]) -> tuple[_Evidence, ...]:
    return (min(seen, key=lambda at: (at.field, -at.setting.steps)),)


def _second(seen: Sequence[_Evidence]) -> tuple[_Evidence, ...]:
    """27 frames, or else the next more than the first's."""
    (first,) = _first(seen)
    wider = [at for at in seen if at.field == 27 or at.field > first.field]
    return tuple(sorted(wider, key=lambda at: (at.field != 27, at.field))[:1])


def _both(seen: Sequence[_Evidence]) -> tuple[_Evidence, ...]:
    pair = (*_first(seen), *_second(seen))
    return pair if len(set(pair)) == 2 else ()


def _long(seen: Sequence[_Evidence]) -> tuple[_Evidence, ...]:
    return (max(seen, key=lambda at: (at.field, at.setting.steps)),)


@dataclass(frozen=True)
class _Rule:
    """How a claim is decided: on which settings, in which unit, by which judge for every way of counting costs.

    ``presets``: of the suites that can tell.
    """

    settings: Callable[[Sequence[_Evidence]], tuple[_Evidence, ...]]
    unit: str
    definition: str
    judges: Mapping[str, Callable[[Sequence[_Evidence], str], _Finding]]
    presets: tuple[str, ...] = ("fair", "paper")


_BY_CLIPS = " 95 % interval: paired bootstrap over clips; with several seeds a t test over them must agree."
_BY_SEEDS = " 95 % interval: t over seeds. Curves are of the test people; shares are of each arm's own budget."
_RULES: dict[str, _Rule] = {
    "C1": _Rule(
        _first,
        "%",
        "MPJPE, mean over actions, relative to the generalist's, at the smallest receptive field: supported if lower."
        + _BY_CLIPS,
        {"": partial(_lower, metric="mpjpe")},
    ),
    "C2": _Rule(
        _both,
        "points",
        "By how many % of itself MPJPE (mean over actions) falls from the smallest receptive field to 27 frames, "
        "or the next: the generalist's fall minus the experts', supported if above 0." + _BY_CLIPS,
        {"": partial(_gain, metric="mpjpe")},
    ),
    "C3": _Rule(
        _second,
        "%",
        "MPJVE, mean over actions, relative to the generalist's, at 27 frames, or the next above the smallest: "
        "supported if lower." + _BY_CLIPS,
        {"": partial(_lower, metric="mpjve")},
    ),
    "C4": _Rule(
        _long,
        "%",
        "MPJPE relative to the generalist's at the largest receptive field: supported if surely higher in the mean "
        "over actions, and surely lower on at least one action and fewer than half; contradicted if experts win "
        "overall, on half of the actions or more, or lead on none." + _BY_CLIPS,
        {"": _few_actions},
    ),
    "C5": _Rule(
        _both,
        "points",
        "(before - after) / after of MPJVE (mean over actions), in %, from the smallest receptive field to 27 frames, "
        "or the next: experts minus generalist, supported if above 0." + _BY_CLIPS,
        {"": partial(_gain, metric="mpjve")},
    ),
    "C6": _Rule(
        _long,
        "%",
        f"MPJPE (mean over actions) at the largest receptive field: supported if surely less than {MARGIN:.0f} % above "
        f"the generalist's (the interval's upper end) at a cost at least {MARGIN:.0f} % lower; contradicted if surely "
        "more, or at no lower cost. Cost: seconds of training by the clock, mean over seeds; one expert's is its share "
        "of the arm's steps." + _BY_CLIPS,
        {counting: partial(_cheaper, counting=counting) for counting in (ONE, ALL)},
    ),
    "C7": _Rule(
        _long,
        "%",
        "Time-precision rate (the paper's formulas 4 and 5, k = 1.2) at the largest receptive field, relative to the "
        "generalist's: supported if surely higher on MPJPE (the effect given) and MPJVE, contradicted if surely lower "
        "on either. Half-way errors are those of the snapshot nearest to half the training; cost as for C6; the "
        "interval holds both fixed." + _BY_CLIPS,
        {counting: partial(_rate, counting=counting) for counting in (ONE, ALL)},
    ),
    "C8": _Rule(
        _long,
        "share of budget",
        f"The first snapshot from which on MPJPE (mean over actions) stays within {SETTLED:.0%} of the curve's lowest, "
        "at the largest receptive field; a curve that leaves at its end counts 1. Experts minus generalist, supported "
        "if below 0; the interval is widened by one snapshot each way." + _BY_SEEDS,
        {"": _convergence},
    ),
    "C9": _Rule(
        _long,
        "points",
        "Over the second half of training, how far MPJPE (mean over actions) is from the mean of its neighboring "
        "snapshots, in % of it, at the largest receptive field. Experts minus generalist, supported if below 0. A mean "
        "of many networks is steadier than one network by averaging alone: compare action by action." + _BY_SEEDS,
        {"": _unsteadiness},
    ),
    "C10": _Rule(
        tuple,
        "%",
        "MPJPE (mean over actions) relative to the generalist's at each number of frames and of steps; the effect is "
        "the worst for experts. Supported if surely lower at all, contradicted if surely higher at any. Steps are "
        "equal by design, so that only “better” is tested; sign changes are of the estimates." + _BY_CLIPS,
        {"": _always},
        presets=("action-oriented",),
    ),
}


def _judged(claim: Mapping[str, str], rule: _Rule, seen: Sequence[_Evidence]) -> Iterator[Verdict]:
    """The verdicts on one claim, one for each equality and way of counting."""
    settings = rule.settings(seen)
    arms = dict.fromkeys(a for at in settings for a in at.setting.scores.arms if a.partition(" (")[0] == EXPERTS)
    if not settings:
        yield _verdict(claim, rule, _untested("it takes a second, wider receptive field"))
    elif not arms:
        yield _verdict(claim, rule, _untested("no experts were trained"))
    for arm in arms:
        control = CONTROL + arm.removeprefix(EXPERTS)
        known = all(control in at.setting.scores.arms for at in settings)
        for counting, judge in rule.judges.items():
            beside = judge(settings, control).estimate if known else None
            yield _verdict(claim, rule, judge(settings, arm), arm, counting, settings, beside)


def _verdict(
    claim: Mapping[str, str],
    rule: _Rule,
    finding: _Finding,
    arm: str = "",
    counting: str = "",
    settings: Sequence[_Evidence] = (),
    control: Estimate | None = None,
) -> Verdict:
    estimate = finding.estimate
    margin = estimate.seed_margin
    return Verdict(
        claim=claim["id"],
        text=claim["text"],
        variant=", ".join(filter(None, [arm.partition(" (")[2].rstrip(")"), counting])),
        status=finding.status,
        effect=estimate.effect,
        unit=rule.unit,
        low=estimate.low,
        high=estimate.high,
        seeds=min((n for at in settings for n in at.seeds(arm)), default=0),
        seed_robust=None if math.isnan(margin) else abs(estimate.effect) >= margin,
        control=None if control is UNKNOWN else control,
        where="; ".join(at.name for at in settings) if len(settings) < 3 else f"{len(settings)} settings",
        sentence=finding.sentence[:1].upper() + finding.sentence[1:],
        definition=rule.definition,
    )


# Words


def _compared(at: _Evidence, metric: str, arm: str, estimate: Estimate, *, doubts: bool = True) -> str:
    mine, theirs = (tables.number(at.error(metric, a)[0], METRICS[metric]) for a in (arm, GENERALIST))
    return (
        f"seeing {_frames(at)}, {arm} have a {ERRORS[metric]} {abs(estimate.effect):.1f} % "
        f"{'below' if estimate.effect < 0 else 'above'} the generalist's, {mine} against {theirs} "
        f"{METRICS[metric].unit}{_sure(estimate, '%', min(at.seeds(arm)), doubts=doubts)}"
    )


def _frames(at: _Evidence) -> str:
    return f"{at.field} frame{'s' * (at.field > 1)}"


def _sure(estimate: Estimate, unit: str, seeds: int, *, doubts: bool = True) -> str:
    """The interval, the number of seeds, and what is doubtful, in brackets."""
    _, low, high = estimate.signed(unit)
    parts = [
        "" if math.isnan(estimate.low) else f"95 % interval {low.removesuffix(unit).strip()} to {high}",
        "one seed, others may differ" if seeds == 1 else f"{seeds} seeds",
        estimate.doubt if doubts else "",
    ]
    return f" ({'; '.join(filter(None, parts))})"


def _cell(estimate: Estimate | None, unit: str) -> str:
    """An effect above its interval; nothing where there is none."""
    if estimate is None or math.isnan(estimate.effect):
        return ""
    effect, low, high = estimate.signed()
    return f"{effect} {unit}" + ("" if math.isnan(estimate.low) else f"\n[{low}, {high}]")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
