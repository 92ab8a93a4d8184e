"""Advice from finished studies: for each action an expert of its own, one network that is told the action, or neither.

A choice is an arm that one could train instead of the generalist: experts ("specialise") or a conditioned network
("condition"), told the true action (``oracle``: it is known beforehand, as in a gait laboratory) or the one recognized
in the 2D keypoints (``predicted``). Its gain is by how many % of the generalist's error its own is lower, at the same
receptive field, training frames and steps; below 0 it is higher. Between budgets that were studied gains are linear in
the logarithm of frames and of steps, draw by draw; beyond them there is no advice.

Every action asks the same question of a handful of clips, so that some would seem to gain by luck. A gain is therefore
held against three of Student's intervals, and the widest counts: over clips, on the standard error of the paired
bootstrap (`Scores.draws`) freed of its bias for few clips (Hesterberg 2015, "What Teachers Should Know About the
Bootstrap", section 3.2); over seeds, as :mod:`actlift.report.claims` has it; and over both (Welch and Satterthwaite),
which by itself is too sure where one of the two happens to spread little. Of the gains of one choice that are called
sure, over all actions at one budget and in one error, a share of FALSE is false at most on average, and likewise of its
losses (one-sided tests; Benjamini and Hochberg 1995). What claims would leave undecided is never sure.

An action is advised the sure choice that gains most; to stay general where every choice surely gains less than MARGIN;
and nothing where a larger gain may hide in few clips or seeds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from actlift.errors import InputError
from actlift.evaluation.scores import (
    MEAN_OVER_ACTIONS,
    MEAN_OVER_FRAMES,
    BootstrapSamples,
    Scores,
    percentile_interval,
    seed_margin,
)
from actlift.files import write_json
from actlift.report import figures
from actlift.report.claims import MARGIN, Estimate
from actlift.report.figures import ARM_COLORS, INK, MARKERS, RULE, Drawing, Panel
from actlift.report.page import EQUALITIES, arm_note, counted
from actlift.report.results import StudyResults, Suite
from actlift.report.tables import MINUS
from actlift.study.plan import GENERALIST
from actlift.training.run import environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

Labels = Literal["oracle", "predicted"]
Error = Literal["mpjpe", "n_mpjpe", "mpjve"]
ADVICE = {"experts": "specialise", "specialised": "specialise", "conditioned": "condition"}
STAY, UNDECIDED = "stay general", "undecided"
TINY = 1e-24  # %², below any variance
FALSE = 0.05  # of gains called sure, how many may be chance
MEANS = (MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES)
AXES = {"frames": "training frames", "steps": "steps"}
TOLD = {"oracle": "told the true action", "predicted": "told the recognized action"}
STYLES = {"specialise": "green", "condition": "green", STAY: "", UNDECIDED: "dim"}
NOTES = {
    "experts": "one network per action",
    "experts, mixture": "mean of the action's network's poses and the generalist's, or the latter's where in doubt",
}
SIGNS = {1: "green", 0: "dim", -1: "red"}
LETTERS = {"specialise": "S", "condition": "C", STAY: "G", UNDECIDED: "?"}
# of the plan, what may differ between studies that advice is drawn from
VARIED = {"arms", "equalities", "seeds", "labels", "precision", "device", "frames", "epochs", "snapshots"} | {
    "budget.steps",
    "network.receptive_field",
}


@dataclass(frozen=True)
class Point:
    """A budget: frames that one output sees, training frames of every network (None: all there are; the equalities
    other than of frames), and optimizer steps of the generalist."""

    receptive_field: int
    frames: int | None
    steps: int

    def __str__(self) -> str:
        frames = "all training frames" if self.frames is None else f"{self.frames:,} training frames"
        return f"a receptive field of {counted(self.receptive_field, 'frame')}, {frames} and {self.steps:,} steps"


@dataclass(frozen=True, eq=False)
class Studies:
    """Finished studies of one corpus, split and kind of network, by budget.

    Attributes:
        labels: which action networks are told.
        scores: of all arms and seeds, where there is a choice with these labels.
        folders: the studies'.
        digest: the corpus's.
        aside: folders of studies without a choice with these labels.
    """

    labels: Labels
    scores: Mapping[Point, Scores]
    folders: Mapping[Point, Sequence[Path]]
    digest: str
    aside: Sequence[Path]

    @classmethod
    def open(cls, folders: Sequence[Path], labels: Labels | None = None) -> "Studies":
        """Open folders of studies and of suites; studies that differ in their arms and seeds only are joined.

        Args:
            labels: predicted where any study has those and this is left out.

        Raises:
            FileNotFoundError: where a folder holds no finished study or suite.
            ValueError: where studies differ in more than budgets, receptive field, arms and seeds, disagree on the
                same arm and seed, or none has a choice with these labels.
        """
        settings = [setting for folder in folders for setting in _settings(folder)]
        _check_alike(settings)
        groups: dict[Point, list[StudyResults]] = {}
        for setting in settings:
            groups.setdefault(Point(setting.receptive_field, setting.frames, setting.steps), []).append(setting)
        scores = {}
        for point, group in groups.items():
            try:
                # the generalist of a seed may stand in several studies; its errors are then the same
                joined = pd.concat([setting.scores.table for setting in group], ignore_index=True)
                scores[point] = Scores(joined.drop_duplicates())
            except ValueError as error:
                names = ", ".join(str(setting.folder) for setting in group)
                raise InputError(
                    f"{names} have other errors for the same arm, seed and budget: give one of them ({error})"
                ) from error
        told = {point: {label for label, _ in _choices(of_point)} for point, of_point in scores.items()}
        labels = labels or ("predicted" if "predicted" in set().union(*told.values()) else "oracle")
        kept = [point for point in scores if labels in told[point]]
        if not kept:
            arms = dict.fromkeys(arm for of_point in scores.values() for arm in of_point.arms)
            raise InputError(
                f"no study here has experts or a conditioned network {TOLD[labels]}; there is {', '.join(arms)}. "
                "`actlift study --labels` scores true and recognized actions"
            )
        paths = {point: [setting.folder for setting in group] for point, group in groups.items()}
        return cls(
            labels,
            {point: scores[point] for point in kept},
            {point: paths[point] for point in kept},
            str(settings[0].study["fixed"]["corpus"]),
            [folder for point, of_point in paths.items() if point not in kept for folder in of_point],
        )

    def asked(self, metric: str, receptive_field: int | None, frames: int | None, steps: int | None) -> Point:
        """The budget that is asked for; what is left open is taken from the study whose generalist errs least.

        Raises:
            ValueError: for a receptive field that was not studied, or frames where no study has a number of them.
        """
        known = list(self.scores)
        if receptive_field is not None:
            fields = sorted({point.receptive_field for point in known})
            known = [point for point in known if point.receptive_field == receptive_field]
            if not known:
                raise InputError(
                    f"no study here has a receptive field of {counted(receptive_field, 'frame')}; there are studies "
                    f"of {', '.join(map(str, fields))} frames"
                )
        if frames is not None:
            known = [point for point in known if point.frames is not None]
            if not known:
                raise InputError(
                    f"no study here has a number of training frames: leave --frames {frames} out, or run "
                    "`actlift study` with --equalities frames"
                )
        best = min(known, key=lambda p: float(self.scores[p].per_action(metric).T[GENERALIST][MEAN_OVER_ACTIONS]))
        return replace(
            best, frames=best.frames if frames is None else frames, steps=best.steps if steps is None else steps
        )

    def weights(self, at: Point) -> dict[Point, float]:
        """What gains are interpolated from at a budget: studied ones, with weights that sum to 1.

        Raises:
            ValueError: outside the range that was studied.
        """
        known = self.beside(at)
        frames: Mapping[Any, float] = {None: 1.0}
        if at.frames is not None:
            frames = _between({p.frames or 0 for p in known}, at.frames, "training frames")
        return {
            replace(at, frames=f, steps=s): of_frames * of_steps
            for f, of_frames in frames.items()
            for s, of_steps in _between({p.steps for p in known if p.frames == f}, at.steps, "steps").items()
        }

    def beside(self, at: Point) -> list[Point]:
        """The studied budgets that differ from this one in numbers only."""
        return [
            p
            for p in self.scores
            if p.receptive_field == at.receptive_field and (p.frames is None) == (at.frames is None)
        ]

    def line(self, at: Point, axis: str) -> tuple[Point, ...]:
        """The budgets through this one along "frames" or "steps", at the numbers that were studied."""
        found = []
        for value in sorted({getattr(p, axis) for p in self.beside(at)} - {None}):
            with suppress(ValueError):  # not studied with the other number
                self.weights(point := replace(at, **{axis: value}))
                found.append(point)
        return tuple(found)


@dataclass(frozen=True)
class ActionAdvice:
    """What to do for one action.

    Attributes:
        action: its name.
        clips: of the test people.
        advice: "specialise", "condition", "stay general" or "undecided".
        choice: the one advised, else the most promising: "experts (each)", "conditioned, mixture".
        gain: of the choice, in %.
        recognized: beside a gain of who is told the true action, the same of who is told the recognized one, where that
            was scored.
        why: what makes it undecided, else "": "2 clips too few".
    """

    action: str
    clips: int
    advice: str
    choice: str
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
        at, low, high: the number of frames or steps, with its 95 % interval over clips, cut to what was studied.
    """

    action: str
    labels: str
    choice: str
    axis: str
    wins: str
    at: int
    low: int
    high: int

    def __str__(self) -> str:
        win = "win" if _kind(self.choice) == "experts" else "wins"
        return f"{self.choice} {win} {self.wins} {self.at:,} {AXES[self.axis]} [{self.low:,}, {self.high:,}]"


@dataclass(frozen=True, eq=False)
class Advice:
    """Advice for every action at one budget, and how it comes and goes with the budget.

    Attributes:
        studies: what it is drawn from.
        at: the budget.
        metric, other: the error that advice rests on, and the one that stands beside it.
        gains: for every budget of `lines`, error, labels, choice and action (and mean): gain; low, high and
            seed_margin, of the paired bootstrap over clips and of seeds, as claims have them; least, most: the interval
            over both; p (one-sided), q (adjusted to all actions); sign:
            1 a sure gain, -1 a sure loss, else 0.
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
    def choices(self) -> tuple[str, ...]:
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

    def gain(self, action: str, choice: str, metric: str, labels: str | None = None) -> "pd.Series | None":
        """A row of the gains at the budget asked for; None where these labels were not scored."""
        rows = self.rows(self.at, metric, labels)
        rows = rows[(rows["action"] == action) & (rows["choice"] == choice)]
        return rows.iloc[0] if len(rows) else None

    @property
    def has_predicted(self) -> bool:
        return not self.rows(self.at, labels="predicted").empty

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        found, others = self.of_actions(self.at), self.of_actions(self.at, self.other)
        by = {what: [a for a in found.values() if a.advice == what] for what in STYLES}
        parts = []
        for what in dict.fromkeys(ADVICE.values()):
            if by[what]:
                names = ", ".join(a.action for a in by[what])
                lower = f"{_name(self.metric)} {np.mean([a.gain for a in by[what]]):.1f} % lower"
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
        apart = f". {_name(self.other)} says otherwise of {', '.join(differing)}" if differing else ""
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
    seen = {
        p: _Seen.of(studies.scores[p], errors) for p in dict.fromkeys(p for q in points for p in studies.weights(q))
    }
    gains = pd.concat([_gains(seen, p, studies.weights(p), error) for p in points for error in errors])
    gains = gains.reset_index(drop=True)
    crossings = [c for axis, line in lines.items() for c in _crossings(seen, studies, gains, axis, line, metric)]
    return Advice(studies, at, *errors, gains, lines, tuple(crossings))


# gains


@dataclass(frozen=True, eq=False)
class _Seen:
    """A studied budget: the arm of each (labels, choice), draws and spreads over seeds of each error."""

    arms: Mapping[tuple[str, str], str]
    draws: Mapping[str, BootstrapSamples]
    spreads: Mapping[str, pd.DataFrame]

    @classmethod
    def of(cls, scores: Scores, metrics: Sequence[str]) -> "_Seen":
        arms = _choices(scores)
        draws = {metric: scores.draws(metric, [GENERALIST, *arms.values()]) for metric in metrics}
        return cls(arms, draws, {metric: scores.seed_spread(metric) for metric in metrics})


def _common(seen: Mapping[Point, _Seen], points: Mapping[Point, float]) -> list[tuple[str, str]]:
    """The labels and choices that all of these budgets have."""
    first, *others = points
    return [told for told in seen[first].arms if all(told in seen[p].arms for p in others)]


def _drawn(
    seen: Mapping[Point, _Seen], weights: Mapping[Point, float], metric: str, told: tuple[str, str]
) -> pd.DataFrame:
    """Gains in %, (1 + draws) rows of which the first is the data itself; columns actions and means."""
    parts = []
    for point, weight in weights.items():
        averages = seen[point].draws[metric].averages
        parts.append(100 * weight * (1 - averages[seen[point].arms[told]] / averages[GENERALIST]))
    frames = [seen[point].draws[metric].frames for point in weights]
    if not all(frames[0].equals(other) for other in frames[1:]):
        raise InputError("the studies were not scored on the same clips: ask for advice on each")
    total: pd.DataFrame = sum(parts[1:], parts[0])
    return total


def _gains(seen: Mapping[Point, _Seen], at: Point, weights: Mapping[Point, float], metric: str) -> pd.DataFrame:
    """The rows of `Advice.gains` at a budget."""
    from scipy.stats import false_discovery_control

    parts = []
    for told in _common(seen, weights):
        drawn = _drawn(seen, weights, metric, told)
        spreads, seeds = [], []
        for point, weight in weights.items():
            theirs = seen[point].draws[metric].averages[GENERALIST].loc[0]
            for arm in (seen[point].arms[told], GENERALIST):
                row = seen[point].spreads[metric].T[arm]
                spreads.append(100 * weight * row[drawn.columns] / theirs)
                seeds.append(int(row["seeds"]))
        clips = seen[next(iter(weights))].draws[metric].frames.groupby(level="action").size()
        table = _estimated(drawn, np.stack(spreads), seeds, clips.reindex(drawn.columns))
        parts.append(
            table.assign(labels=told[0], choice=told[1], arm=seen[next(iter(weights))].arms[told], seeds=min(seeds))
        )
    gains = pd.concat(parts, ignore_index=True)
    for _, family in gains[gains["p"].notna()].groupby(["labels", "choice"]):
        for of_gains in (True, False):
            own = (family["gain"] > 0) == of_gains
            adjusted = false_discovery_control(family["p"].where(own, 1 - family["p"]))
            gains.loc[family.index[own], "q"] = adjusted[own]
    sure = ((gains["least"] > 0) | (gains["most"] < 0)) & ~(gains["q"] > FALSE)
    gains["sign"] = gains["claimed"].where(sure, 0)
    gains["at"] = pd.Series([at] * len(gains), dtype=object)
    return gains.drop(columns="claimed").assign(metric=metric)


def _estimated(
    drawn: pd.DataFrame, spreads: Float[np.ndarray, "means columns"], seeds: Sequence[int], clips: pd.Series
) -> pd.DataFrame:
    """Gains with what is known of how sure they are.

    Args:
        drawn: see `_drawn`.
        spreads, seeds: standard deviations over seeds of the means that the gains are made of, and numbers of seeds.
        clips: of the actions, NaN for means.
    """
    from scipy.stats import t

    gain, n = drawn.loc[0].to_numpy(), clips.to_numpy(float)
    low, high = percentile_interval(drawn.to_numpy())
    margins = [seed_margin(column, seeds) for column in spreads.T.tolist()]
    with np.errstate(invalid="ignore", divide="ignore"):
        of_clips = drawn.iloc[1:].var(ddof=1).to_numpy() * n / (n - 1) + TINY  # equal arms: surely no gain
        of_seeds = np.zeros(len(gain))
        sources: list[tuple[np.ndarray, Any]] = [(of_clips, n - 1)]
        if min(seeds) > 1:
            of_seeds, freedom = (spreads**2 / np.array(seeds)[:, None]).sum(axis=0) + TINY, sum(seeds) - len(seeds)
            both = (of_clips + of_seeds) ** 2 / (of_clips**2 / (n - 1) + of_seeds**2 / freedom)
            sources += [(of_seeds, freedom), (of_clips + of_seeds, both)]
        reach = np.max(np.stack([t.ppf(0.975, free) * np.sqrt(variance) for variance, free in sources]), axis=0)
        p = np.max(np.stack([t.sf(np.abs(gain) / np.sqrt(variance), free) for variance, free in sources]), axis=0)
    claimed = [Estimate(*values).sign for values in zip(gain, low, high, margins, strict=True)]
    mean = clips.isna().to_numpy()
    return pd.DataFrame(
        {
            "action": drawn.columns,
            "clips": np.where(mean, np.nansum(n), n).astype(int),
            "gain": gain,
            "low": low,
            "high": high,
            "seed_margin": margins,
            "least": np.where(mean, low, gain - reach),
            "most": np.where(mean, high, gain + reach),
            "p": p,
            "q": np.nan,
            "by_seeds": of_seeds > of_clips,
            "claimed": claimed,
        }
    )


def _advised(rows: pd.DataFrame, recognized: Mapping[Any, float]) -> ActionAdvice:
    """From an action's rows of the gains, at one budget and in one error.

    recognized: gains told the recognized action, by action and choice, to stand beside.
    """
    ranked = rows.sort_values("gain", ascending=False, kind="stable")
    sure = ranked[ranked["sign"] > 0]
    hidden = ranked[~(ranked["most"] < MARGIN)]  # one clip has no interval: anything may hide in it
    row = next(part for part in (sure, hidden, ranked) if len(part)).iloc[0]
    advice, why = STAY, ""
    if len(sure):
        advice = ADVICE[_kind(row["choice"])]
    elif len(hidden):
        few = counted(int(row["seeds"]), "seed") if row["by_seeds"] else counted(int(row["clips"]), "clip")
        advice, why = UNDECIDED, f"{few} too few"
    action, choice = str(row["action"]), str(row["choice"])
    beside = recognized.get((action, choice))
    return ActionAdvice(action, int(row["clips"]), advice, choice, float(row["gain"]), beside, why)


def _crossings(
    seen: Mapping[Point, _Seen],
    studies: Studies,
    gains: pd.DataFrame,
    axis: str,
    line: Sequence[Point],
    metric: str,
) -> Iterator[Crossing]:
    """Along a line of budgets, for every action and mean and for every choice that all of them have."""
    studied = np.log([getattr(point, axis) for point in line])
    weights = [studies.weights(point) for point in line]
    for told in _common(seen, {p: 1.0 for of_point in weights for p in of_point}):
        drawn = [_drawn(seen, of_point, metric, told) for of_point in weights]
        own = gains[(gains["metric"] == metric) & (gains["labels"] == told[0]) & (gains["choice"] == told[1])]
        signs = own.pivot(index="at", columns="action", values="sign").loc[list(line)]
        for action in map(str, signs):
            sure = signs[action][signs[action] != 0].to_numpy()
            curves = np.stack([table[action] for table in drawn])
            if len(sure) and np.count_nonzero(np.diff(sure)) == np.count_nonzero(np.diff(np.sign(curves[:, 0]))) == 1:
                crossed = np.exp(_first_zero(studied, sure[0] * curves))
                low, high = percentile_interval(crossed)
                wins = "below" if sure[0] > 0 else "above"
                yield Crossing(action, *told, axis, wins, round(crossed[0]), round(low), round(high))


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


def _between(studied: set[int], asked: int, what: str) -> dict[int, float]:
    """The studied numbers about one asked for, with the weights of an interpolation linear in the logarithm."""
    if asked in studied:
        return {asked: 1.0}
    below, above = [n for n in studied if n < asked], [n for n in studied if n > asked]
    if not below or not above:
        raise InputError(
            f"{asked:,} {what} lie outside what was studied ({', '.join(f'{n:,}' for n in sorted(studied))}): gains "
            "are interpolated between budgets, never extrapolated; ask for a number within, or run a study there"
        )
    low, high = max(below), min(above)
    share = float(np.log(asked / low) / np.log(high / low))
    return {low: 1 - share, high: share}


def _settings(folder: Path) -> tuple[StudyResults, ...]:
    if (folder / "suite.json").is_file():
        return Suite.open(folder).settings
    return (StudyResults.open(folder.name, folder),)


def _check_alike(settings: Sequence[StudyResults]) -> None:
    """Raises ValueError where studies differ in more than may differ."""
    first = settings[0]
    here = _identity(first)
    for other in settings[1:]:
        there = _identity(other)
        if differing := [key for key in here | there if here.get(key) != there.get(key)]:
            shown = "; ".join(f"{key}: {here.get(key)!r} and {there.get(key)!r}" for key in differing)
            raise InputError(
                f"{first.folder} and {other.folder} cannot be set side by side ({shown}): ask for advice on each"
            )


def _identity(setting: StudyResults) -> dict[str, Any]:
    """What must be equal in studies that advice is drawn from."""
    plan = {**setting.study["plan"], **setting.study["fixed"]}
    flat = pd.json_normalize(plan).iloc[0].to_dict()
    return {
        **{str(k): v for k, v in flat.items() if k not in VARIED},
        "rates fall by epochs": plan["epochs"] is not None,
    }


def _choices(scores: Scores) -> dict[tuple[str, str], str]:
    """Arms by (labels, choice): "experts (each): predicted label" by ("predicted", "experts (each)")."""
    arms = {}
    for arm in scores.arms:
        choice, _, label = arm.partition(": ")
        if _kind(choice) in ADVICE and (label.removesuffix(" label") or "oracle") in TOLD:
            arms[label.removesuffix(" label") or "oracle", choice] = arm
    return arms


def _kind(choice: str) -> str:
    """ "experts" of "experts (each), mixture"."""
    return choice.partition(" (")[0].partition(",")[0]


# what is written and shown


def write_advice(folder: Path, advice: Advice) -> Path:
    """Write advice.json, and figures/advice-frames-* and -steps-* where several numbers of them were studied.

    Returns:
        advice.json.

    Raises:
        OSError: where something cannot be written.
    """
    for drawing in drawings(advice):
        figures.save_drawing(folder / "figures", drawing)
    studies = advice.studies
    gains = advice.gains.assign(**pd.DataFrame([asdict(p) for p in advice.gains["at"]]).astype("Int64"))
    gains = gains.drop(columns="at")
    path = folder / "advice.json"
    write_json(
        path,
        {
            "at": asdict(advice.at),
            "interpolated_from": [{**asdict(p), "weight": w} for p, w in studies.weights(advice.at).items()],
            "metric": advice.metric,
            "labels": advice.labels,
            "left_aside": [str(folder) for folder in studies.aside],
            "sentence": advice.sentence,
            "actions": {
                metric: [asdict(found) for found in advice.of_actions(advice.at, metric).values()]
                for metric in (advice.metric, advice.other)
            },
            "along": {
                axis: [
                    {**asdict(point), "actions": [asdict(found) for found in advice.of_actions(point).values()]}
                    for point in line
                ]
                for axis, line in advice.lines.items()
            },
            "crossings": [asdict(crossing) for crossing in advice.crossings],
            "rule": {"worthwhile_gain_percent": MARGIN, "false_discovery_rate": FALSE, "text": _rule()},
            "gains": _plain(gains),
            "studies": [
                {**asdict(p), "folders": [str(f) for f in studies.folders[p]], "arms": list(scores.arms)}
                for p, scores in studies.scores.items()
            ],
            "digest": studies.digest,
            **environment(),
        },
    )
    return path


def print_advice(console: "Console", advice: Advice) -> None:
    """Print what to do for every action, how that changes with the budget, and all of it in a sentence."""
    _print_actions(console, advice)
    for axis in advice.lines:
        _print_line(console, advice, axis)
    console.print(f"{advice.sentence}\n")
    for choice in advice.choices:
        console.print(f"{choice}: {_note(choice)}.")
    notes = [_rule()]
    if len(advice.studies.weights(advice.at)) > 1:
        notes.append(
            "Between studied budgets gains are taken as linear in the logarithm; no interval knows if they are."
        )
    if advice.rows(advice.at)["seeds"].min() == 1:
        notes.append("Trained with one seed: others may differ, which no interval knows.")
    if advice.studies.aside:
        notes.append(
            f"Left aside, as no network there is {TOLD[advice.labels]}: {', '.join(map(str, advice.studies.aside))}."
        )
    if advice.labels == "oracle" and not advice.has_predicted:
        notes.append(
            "Networks are told the true action, which in use somebody has to know; what recognized actions leave of "
            "the gains was not scored here (`actlift study --labels` does)."
        )
    console.print("\n".join(notes), style="dim")


def _print_actions(console: "Console", advice: Advice) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    actions, others = (advice.of_actions(advice.at, metric) for metric in (advice.metric, advice.other))
    columns: list[tuple[str, Labels]] = [(advice.metric, advice.labels), (advice.other, advice.labels)]
    if advice.labels == "oracle" and advice.has_predicted:
        columns.insert(1, (advice.metric, "predicted"))
    several = len({found.choice for found in actions.values()}) > 1
    grid = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=f"Advice {advice.where}; gains in %, above 0 the error is lower",
        title_justify="left",
    )
    grid.add_column("action", no_wrap=True)
    grid.add_column("clips", justify="right", style="dim")
    grid.add_column("advice")
    if several:
        grid.add_column("gain of")
    for metric, labels in columns:
        recognized = "" if labels == advice.labels else ",\nrecognized"
        grid.add_column(f"{_name(metric)} gain{recognized}", justify="right", no_wrap=True)
    grid.add_column(f"by {_name(advice.other)}")
    for action, found in actions.items():
        other = others[action]
        words = Text(found.advice + (f": {found.why}" if found.why else ""), STYLES[found.advice])
        cells = [_cell(advice.gain(action, found.choice, *column)) for column in columns]
        named = f": {other.choice}" if other.advice in ADVICE.values() and other.choice != found.choice else ""
        of = [found.choice] if several else []
        grid.add_row(action, str(found.clips), words, *of, *cells, Text(other.advice + named, STYLES[other.advice]))
    grid.add_section()
    clips = str(sum(found.clips for found in actions.values()))
    for choice in advice.choices:
        cells = [_cell(advice.gain(MEAN_OVER_ACTIONS, choice, *column)) for column in columns]
        names = ["", choice] if several else [choice]
        grid.add_row(Text(MEAN_OVER_ACTIONS, "bold"), clips, *names, *cells, "")
    console.print(grid)


def _print_line(console: "Console", advice: Advice, axis: str) -> None:
    """Advice along a number of frames or steps, and where gains change their sign."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    grid = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=f"{_name(advice.metric)} gains in % by number of {_along(advice.at, axis)}; "
        + ", ".join(f"{letter} {what}" for what, letter in LETTERS.items())
        + ("; in brackets: told the recognized action" if advice.labels == "oracle" and advice.has_predicted else ""),
        title_justify="left",
        min_width=90,
    )
    grid.add_column("action", no_wrap=True)
    for point in advice.lines[axis]:
        grid.add_column(f"{getattr(point, axis):,}", justify="right", no_wrap=True)
    found = [advice.of_actions(point) for point in advice.lines[axis]]
    for action in found[0]:
        own = [of_point[action] for of_point in found]
        beside = ["" if a.recognized is None else f" ({_percent(a.recognized, '')})" for a in own]
        cells = [
            Text(f"{LETTERS[a.advice]} {_percent(a.gain, '')}{recognized}", STYLES[a.advice])
            for a, recognized in zip(own, beside, strict=True)
        ]
        grid.add_row(action, *cells)
    grid.add_section()
    for labels in dict.fromkeys((advice.labels, "predicted") if advice.has_predicted else (advice.labels,)):
        cells = []
        for point in advice.lines[axis]:
            rows = advice.rows(point, labels=labels)
            best = rows[rows["action"] == MEAN_OVER_ACTIONS].nlargest(1, "gain")
            cells += [Text(_percent(row["gain"], ""), SIGNS[row["sign"]]) for _, row in best.iterrows()]
        told = "" if labels == advice.labels else ", recognized"
        grid.add_row(Text(MEAN_OVER_ACTIONS + told, "bold"), *cells)
    console.print(grid)
    _print_crossings(console, advice, axis)


def _print_crossings(console: "Console", advice: Advice, axis: str) -> None:
    crossed = {(c.labels, c.action, c.choice): c for c in advice.crossings if c.axis == axis}
    for (labels, action, choice), crossing in crossed.items():
        if labels == advice.labels and action != MEAN_OVER_FRAMES:
            beside = ""
            if labels == "oracle" and advice.has_predicted:
                beside = f"; {TOLD['predicted']}: {crossed.get(('predicted', action, choice), 'no sure crossing')}"
            console.print(f"{action}: {crossing}{beside}")
    if crossed:
        console.print()


def drawings(advice: Advice) -> list[Drawing]:
    """Gains by number of frames and of steps, a panel for each choice and error; none where only one was studied."""
    made = []
    for axis, line in advice.lines.items():
        choices = [c for c in advice.choices if all(c in set(advice.rows(point)["choice"]) for point in line)]
        legend = [
            (f"mean over actions, {TOLD[advice.labels]}; band: 95 % over clips", 1, False),
            ("single actions; dots: sure", 0, False),
        ]
        if advice.labels == "oracle" and advice.has_predicted:
            legend.append(("mean over actions, told the recognized action", 1, True))
        panels = tuple(
            Panel(
                f"{choice}, {_name(metric)}",
                f"Gain of {choice} in {_name(metric)} by number of {AXES[axis]}",
                5.4,
                3.8,
                partial(_draw_gains, advice=advice, axis=axis, metric=metric, choice=choice),
            )
            for choice in choices
            for metric in (advice.metric, advice.other)
        )
        kinds = " and ".join(sorted({_kind(c) for c in choices}))
        title = f"What {kinds} gain over the generalist, by {_along(advice.at, axis)}"
        made.append(Drawing(f"advice-{axis}", title, panels, tuple(legend), 2))
    return made


def _draw_gains(axes: "Axes", *, advice: Advice, axis: str, metric: str, choice: str) -> None:
    line = advice.lines[axis]
    x = [getattr(point, axis) for point in line]

    def table(labels: str, column: str) -> pd.DataFrame:
        rows = pd.concat([advice.rows(point, metric, labels) for point in line])
        rows = rows[rows["choice"] == choice]
        return rows.pivot(index="action", columns="at", values=column).reindex(columns=list(line))

    color, faint = ARM_COLORS[1][0], ARM_COLORS[0][0]
    gains = table(advice.labels, "gain")
    axes.axhline(0, color=INK, linewidth=1.2)
    actions = gains.drop(index=list(MEANS))
    axes.plot(x, actions.to_numpy().T, color=faint, linewidth=0.8, alpha=0.45, zorder=2)
    sure = actions.where(table(advice.labels, "sign").drop(index=list(MEANS)) != 0)
    axes.plot(x, sure.to_numpy().T, color=faint, linestyle="", marker=MARKERS[0], markersize=3.2, zorder=2)
    low, high = (table(advice.labels, end).T[MEAN_OVER_ACTIONS] for end in ("low", "high"))
    axes.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0, zorder=3)
    axes.plot(x, gains.loc[MEAN_OVER_ACTIONS], color=color, marker=MARKERS[0], linewidth=2.4, zorder=4)
    if advice.labels == "oracle" and MEAN_OVER_ACTIONS in (predicted := table("predicted", "gain")).index:
        axes.plot(x, predicted.loc[MEAN_OVER_ACTIONS], color=color, linewidth=2, linestyle=(0, (3, 2)), zorder=4)
    last = actions[line[-1]].sort_values()
    for action in (last.index[0], last.index[-1]):
        axes.annotate(
            action, (x[-1], last[action]), (4, 0), textcoords="offset points", va="center", fontsize=8, color=INK
        )
    axes.set_xscale("log")
    axes.set_xticks(x, [f"{number:,}" for number in x])
    axes.xaxis.minorticks_off()
    axes.grid(color=RULE, linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g} %".replace("-", MINUS) if value else "0")
    axes.set_xlabel("training frames of every network" if axis == "frames" else "optimizer steps of the generalist")
    axes.set_ylabel("gain (above 0: better than the generalist)")


# words


def _name(metric: str) -> str:
    return metric.upper().replace("_", "-")


def _percent(value: float, unit: str = " %") -> str:
    return f"{value:+.{0 if abs(value) >= 100 else 1}f}{unit}".replace("-", MINUS)


def _along(at: Point, axis: str) -> str:
    """ "training frames, at 200 steps"."""
    if axis == "frames":
        return f"{AXES[axis]}, at {at.steps:,} steps"
    return AXES[axis] + ("" if at.frames is None else f", at {at.frames:,} training frames")


def _note(choice: str) -> str:
    """What a choice is, in words, whatever it is told."""
    name, _, equality = choice.partition(" (")
    equality, _, mixed = equality.partition(")")
    what = NOTES.get(name + mixed) or arm_note(name)
    return "; ".join(filter(None, (what, EQUALITIES.get(equality))))


def _cell(row: "pd.Series | None") -> "str | Any":
    """A gain with its interval, green where it is sure, red where a loss is."""
    from rich.text import Text

    if row is None:
        return ""
    gain, least, most = Estimate(row["gain"], row["least"], row["most"], float("nan")).signed()
    within = "no interval" if np.isnan(row["least"]) else f"{least}, {most}"
    return Text(f"{gain} [{within}]", SIGNS[row["sign"]])


def _rule() -> str:
    return (
        "Intervals hold for 95 %, over clips and over seeds, and are wide where there are few of either; those of the "
        "mean over actions are the report's, over clips. Advised is what surely gains most: of a choice's sure "
        f"gains {100 * FALSE:.0f} % may be chance (Benjamini and Hochberg). “{STAY}”: no choice gains more than "
        f"{MARGIN:.0f} %. “{UNDECIDED}”: one might."
    )


def _plain(frame: pd.DataFrame) -> Any:
    """Rows as JSON has them; NaN becomes null."""
    return json.loads(frame.to_json(orient="records", double_precision=10))
