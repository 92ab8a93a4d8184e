"""Advice from finished studies: for each action an expert of its own, one network that is told the action, or neither.

A choice is an arm that one could train instead of the generalist: experts ("specialize") or a conditioned network
("condition"), told the true action (``oracle``: it is known beforehand, as in a gait laboratory) or the one recognized
in the 2D keypoints (``predicted``). Its gain is by how many % of the generalist's error its own is lower, at the same
receptive field, training frames and steps; below 0 it is higher. Between budgets that were studied gains are linear in
the logarithm of frames and of steps, sample by sample; beyond them there is no advice.

An action is advised the sure choice that gains most (how sure: :mod:`actlift.report.advice_gains`); to stay general
where every choice surely gains less than MARGIN; and nothing where a larger gain may hide in few people or seeds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from actlift.evaluation.scores import MEANS, Variant
from actlift.report.advice_gains import Gains, SeenBudget, common_choices, gains_at, seen_budgets
from actlift.report.advice_studies import ADVICE, TOLD, Labels, Point, Studies
from actlift.report.claim_rules import MARGIN
from actlift.report.estimate import estimated
from actlift.report.results import EXPERTS
from actlift.report.words import counted, metric_name

Error = Literal["mpjpe", "n_mpjpe", "mpjve"]
STAY, UNDECIDED = "stay general", "undecided"
KINDS = ("specialize", "condition", STAY, UNDECIDED)  # of advice
AXES = {"frames": "training frames", "steps": "steps"}


@dataclass(frozen=True)
class ActionAdvice:
    """What to do for one action.

    Attributes:
        action: its name.
        people: how many do it.
        advice: "specialize", "condition", "stay general" or "undecided".
        choice: the one advised, else the most promising: "experts (per model)", "conditioned, mixture".
        gain: of the choice, in %.
        recognized: beside a gain of who is told the true action, the same of who is told the recognized one, where that
            was scored.
        why: what makes it undecided, else "": "2 people too few".
    """

    action: str
    people: int
    advice: str
    choice: Variant
    gain: float
    recognized: float | None
    why: str


@dataclass(frozen=True)
class Crossing:
    """Where a choice's gain on an action (or on the mean over them) changes its sign, surely positive on one side and
    surely negative on the other.

    Attributes:
        action, labels, choice, axis: of what, told what, and along "frames" or "steps".
        wins: "below" or "above" the crossing.
        at, low, high: the number of frames or steps, with its 95 % interval over people and seeds, cut to what was
            studied.
    """

    action: str
    labels: str
    choice: Variant
    axis: str
    wins: str
    at: int
    low: int
    high: int

    def __str__(self) -> str:
        win = "win" if self.choice.arm == EXPERTS else "wins"
        return f"{self.choice} {win} {self.wins} {self.at:,} {AXES[self.axis]} [{self.low:,}, {self.high:,}]"


@dataclass(frozen=True, eq=False)
class Advice:
    """Advice for every action at one budget, and how it comes and goes with the budget.

    Attributes:
        studies: what it is drawn from.
        at: the budget.
        metric, other: the error that advice rests on, and the one that stands beside it.
        gains: for every budget of `lines`, error, labels, choice and action (and mean): gain, its 95 % interval (low,
            high), p, adjusted (p corrected for all actions), people, seeds; sign: 1 a sure gain, -1 a sure loss, else
            0.
        lines: the studied numbers of frames, and of steps, at which the rest of the budget was studied too.
    """

    studies: Studies
    at: Point
    metric: str
    other: str
    gains: pd.DataFrame
    lines: Mapping[str, tuple[Point, ...]]
    crossings: tuple[Crossing, ...]

    @property
    def labels(self) -> Labels:
        """Which action networks are told."""
        return self.studies.labels

    @property
    def where(self) -> str:
        """The budget and the labels, in words."""
        interpolated = " (interpolated)" if len(self.studies.weights(self.at)) > 1 else ""
        return f"at {self.at}{interpolated}, {TOLD[self.labels]}"

    @property
    def choices(self) -> tuple[Variant, ...]:
        """Those with these labels at this budget."""
        return tuple(self.rows(self.at)["choice"].unique())

    def rows(self, at: Point, metric: str | None = None, labels: str | None = None) -> pd.DataFrame:
        """The gains at a budget."""
        gains = self.gains
        chosen = (gains["metric"] == (metric or self.metric)) & (gains["labels"] == (labels or self.labels))
        return gains[chosen & (gains["at"] == at)]

    def of_actions(self, at: Point, metric: str | None = None) -> dict[str, ActionAdvice]:
        """By action, at the budget asked for or one of `lines`."""
        rows, beside = self.rows(at, metric), self.rows(at, metric, "predicted")
        recognized = beside.set_index(["action", "choice"])["gain"].to_dict() if self.labels == "oracle" else {}
        own = rows[~rows["action"].isin(MEANS)]
        return {str(action): _advised(part, recognized) for action, part in own.groupby("action")}

    def gain(self, action: str, choice: Variant, metric: str, labels: str | None = None) -> "pd.Series | None":
        """A row of the gains at the budget asked for; None where these labels were not scored."""
        rows = self.rows(self.at, metric, labels)
        rows = rows[(rows["action"] == action) & (rows["choice"] == choice)]
        return rows.iloc[0] if len(rows) else None

    @property
    def has_predicted(self) -> bool:
        """Whether recognized actions were scored at this budget."""
        return not self.rows(self.at, labels="predicted").empty

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        found, others = self.of_actions(self.at), self.of_actions(self.at, self.other)
        by = {what: [a for a in found.values() if a.advice == what] for what in KINDS}
        parts = []
        for what in dict.fromkeys(ADVICE.values()):
            if by[what]:
                names = ", ".join(a.action for a in by[what])
                lower = f"{metric_name(self.metric)} {np.mean([a.gain for a in by[what]]):.1f} % lower"
                lower += " on average" if len(by[what]) > 1 else ""
                if beside := [a.recognized for a in by[what] if a.recognized is not None]:
                    lower += f", {np.mean(beside):.1f} % {TOLD['predicted']}"
                parts.append(f"{what} for {names} ({lower})")
        parts += [f"{what} on {len(by[what])}" for what in (STAY, UNDECIDED) if by[what]]
        differing = [
            f"{other.action} ({other.advice})"
            for other in others.values()
            if UNDECIDED not in (advice := {other.advice, found[other.action].advice}) and len(advice) > 1
        ]
        apart = f". {metric_name(self.other)} says otherwise of {', '.join(differing)}" if differing else ""
        return f"Of {len(found)} actions, {self.where}: {'; '.join(parts)}{apart}."


def advise(
    folders: Sequence[Path],
    *,
    metric: Error = "mpjpe",
    receptive_field: int | None = None,
    frames: int | None = None,
    steps: int | None = None,
    labels: Labels | None = None,
) -> Advice:
    """Advice at a budget.

    Args:
        folders: of finished studies and suites.
        metric: the error that advice rests on.
        receptive_field, frames, steps: the budget; what is left out is that of the studied generalist which errs least.
        labels: which action networks are told; predicted where that was scored and this is left out.

    Raises:
        FileNotFoundError, ValueError: as :class:`Studies` has them, or where there is no choice with these labels.
    """
    studies = Studies.open(folders, labels)
    at = studies.asked(metric, receptive_field, frames, steps)
    errors = (metric, "mpjpe" if metric == "mpjve" else "mpjve")
    lines = {axis: line for axis in AXES if len(line := studies.line(at, axis)) > 1}
    points = dict.fromkeys([at, *(point for line in lines.values() for point in line)])
    studied = dict.fromkeys(p for q in points for p in studies.weights(q))
    seen = seen_budgets({p: studies.scores[p] for p in studied}, errors)
    gains = pd.concat([gains_at(seen, p, studies.weights(p), error) for p in points for error in errors])
    gains = gains.reset_index(drop=True)
    crossings = [c for axis, line in lines.items() for c in _crossings(seen, studies, gains, axis, line, metric)]
    return Advice(studies, at, *errors, gains, lines, tuple(crossings))


def _advised(rows: pd.DataFrame, recognized: Mapping[Any, float]) -> ActionAdvice:
    """Advise from an action's rows of the gains, at one budget and in one error.

    recognized: gains told the recognized action, by action and choice, to stand beside.
    """
    ranked = rows.sort_values("gain", ascending=False, kind="stable")
    sure = ranked[ranked["sign"] > 0]
    hidden = ranked[~(ranked["high"] < MARGIN)]  # few people give no interval: anything may hide in them
    row = next(part for part in (sure, hidden, ranked) if len(part)).iloc[0]
    advice, why = STAY, ""
    if len(sure):
        advice = ADVICE[row["choice"].arm]
    elif len(hidden):
        people = counted(int(row["people"]), "person", "people")
        advice, why = UNDECIDED, f"{counted(int(row['seeds']), 'seed') if row['by_seeds'] else people} too few"
    action, choice = str(row["action"]), row["choice"]
    beside = recognized.get((action, choice))
    return ActionAdvice(action, int(row["people"]), advice, choice, float(row["gain"]), beside, why)


def _crossings(
    seen: Mapping[Point, SeenBudget],
    studies: Studies,
    gains: pd.DataFrame,
    axis: str,
    line: Sequence[Point],
    metric: str,
) -> Iterator[Crossing]:
    """Find crossings along a line of budgets, for every action and mean and for every choice that all of them have."""
    studied = np.log([getattr(point, axis) for point in line])
    weights = [studies.weights(point) for point in line]
    for choice in common_choices(seen, dict.fromkeys(p for of_point in weights for p in of_point)):
        found = [Gains.of(seen, of_point, metric, choice) for of_point in weights]
        labels, of = choice
        own = gains[(gains["metric"] == metric) & (gains["labels"] == labels) & (gains["choice"] == of)]
        signs = own.pivot(index="at", columns="action", values="sign").loc[list(line)]
        for action in map(str, signs):
            sure = signs[action][signs[action] != 0].to_numpy()
            curves = np.stack([gains.rows[action] for gains in found])
            if len(sure) and np.count_nonzero(np.diff(sure)) == np.count_nonzero(np.diff(np.sign(curves[:, 0]))) == 1:
                crossed = _first_zero(studied, sure[0] * curves)
                made_of = [part for gains in found for part in gains.made_of]
                estimate = estimated(crossed, action, *made_of)
                ends = np.clip([crossed[0], estimate.low, estimate.high], studied[0], studied[-1])
                wins = "below" if sure[0] > 0 else "above"
                yield Crossing(action, labels, of, axis, wins, *(round(end) for end in np.exp(ends)))


def _first_zero(x: Float[np.ndarray, " k"], curves: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " n"]:
    """Where lines between points first reach 0 from above: the first x where they begin there, the last where never."""
    below = curves <= 0
    after = np.where(below.any(axis=0), below.argmax(axis=0), len(x) - 1)
    before = np.maximum(after - 1, 0)
    column = np.arange(curves.shape[1])
    high, low = curves[before, column], np.minimum(curves[after, column], 0)
    share = np.divide(high, high - low, out=np.zeros_like(high), where=high > 0)
    found: np.ndarray = x[before] + share * (x[after] - x[before])
    return found
