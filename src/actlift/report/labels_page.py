"""What being told the action is worth, for readers: tables and figures as files, one page, and a few lines for a
terminal, of a suite of --preset action-aware or of one study with labels (see :mod:`actlift.study.labels`).

A network that is told the action stands under every label side by side, and nowhere alone under the true one, which
nobody has in use (oracle). Verdicts are of the better of two ways that can be had: the network told the recognized
action, and the mixture that checks it. Differences are to the generalist, as in :mod:`actlift.report.claims`.

With e(a, b) the error on action a told b, and c(a, b) how often a is taken for b, a mistake costs c(a, b) (e(a, b) -
e(a, a)); the mean over actions of their sums is by how much the error under predicted labels should exceed that under
true ones. Where it does not, mistakes fall on clips that suffer more, or less, than others of their action.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from actlift.errors import MissingInputError
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import ALL_JOINTS, MEAN_OVER_ACTIONS, BootstrapSamples, Scores
from actlift.files import read_json
from actlift.report import figures
from actlift.report.claims import ERRORS, Estimate, relative_error
from actlift.report.figures import ARM_COLORS, INK, MARKERS, RULE, Drawing, Panel
from actlift.report.page import arm_note, counted, duration, evidence, printed, render
from actlift.report.paper_tables import Table, write_table
from actlift.report.results import StudyResults, read_about
from actlift.report.study_page import data_note, write_study_page
from actlift.report.suite_page import drawing_entry, setting_entry, title
from actlift.report.tables import MINUS, number
from actlift.study.plan import GENERALIST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

PRESET = "action-aware"
SHOWN = ("mpjpe", "n_mpjpe", "mpjve")
TOLD = {
    "oracle label": "the true action (oracle)",
    "predicted label": "the recognized action",
    "no label": "nothing",
    "wrong label, at random": "a wrong action, at random",
    "wrong label, the worst": "the wrong action that hurts most",
}
CONTROLS = {"random": "a random part (control)", "cluster": "the cluster of the pose (control)"}
NOTES = {
    "experts": "one network per action: that of the action told, or the generalist where none is",
    "experts, mixture": "mean of the poses of that network and the generalist's, or the generalist's where in doubt",
}
# what a told network is held against where that was trained: an untold one that finishes as it does
ALIKE = {
    "finished-conditioned": "finished",
    "finished-conditioned, mixture": "finished",
    "specialised": "finished",
    "specialised, mixture": "finished, mixture",
    "random-specialised": "finished",
}
MIXTURE = ", mixture"
UNTOLD = "unknown"  # the label of told.parquet that is none
KEYS = ["setting", "receptive field", "steps", "network"]
TRUTH, NOTHING, SHARE = "told the truth (oracle)", "told nothing", "how often, %"
WORSE = 1.0  # %: from which on an action is said to be worse
FULL = 30.0  # %: from which on a cell of regret has its full color
COSTLIEST = 10
OUTCOMES = {-1: "lower", 0: "undecided", 1: "higher"}
STYLES = {-1: "better", 0: "undecided", 1: "worse"}


@dataclass(frozen=True, eq=False)
class Labeled:
    """A study with labels.

    Attributes:
        setting: the study.
        arms: all that is shown: "generalist", "conditioned: oracle label", "conditioned, mixture: predicted label" and
            so on, then those that have no labels: "random-conditioned".
        draws, spreads: of the metrics that are shown.
        told: by network ("conditioned"), MPJPE in mm, mean over seeds: rows the true actions, columns the actions told
            and "unknown".
        notes: by network, the labels.json of every seed.
    """

    setting: StudyResults
    arms: tuple[str, ...]
    draws: Mapping[str, BootstrapSamples]
    spreads: Mapping[str, pd.DataFrame]
    told: Mapping[str, pd.DataFrame]
    notes: Mapping[str, Sequence[Mapping[str, Any]]]

    @classmethod
    def open(cls, setting: StudyResults) -> "Labeled":
        """Open a study's labels.

        Raises:
            FileNotFoundError: where the study has none.
            ValueError: where arms were not scored on the same clips.
        """
        folder = setting.folder
        if not (folder / "labels.parquet").is_file():
            raise MissingInputError(
                f"{folder} holds no labels: it has no labels.parquet. `actlift study --labels` scores them."
            )
        labels, main = Scores.read(folder / "labels.parquet").table, setting.scores.table
        known = {arm.removesuffix(": oracle label") for arm in labels["arm"].unique()} | {*labels["arm"].unique()}
        table = pd.concat([labels, main[~main["arm"].isin(known)]])
        scores = Scores(table[table["metric"].isin(SHOWN) & (table["joint"] == ALL_JOINTS)])
        runs: dict[str, list[Path]] = {}
        for run, arm in labels.groupby("run", sort=False)["arm"].first().items():
            if arm != GENERALIST:
                runs.setdefault(_network(str(arm)), []).append(folder / str(run))
        return cls(
            setting,
            scores.arms,
            {metric: scores.draws(metric, scores.arms) for metric in SHOWN},
            {metric: scores.seed_spread(metric) for metric in SHOWN},
            {network: _errors_told(of_network) for network, of_network in runs.items()},
            {network: [read_json(run / "labels.json") for run in of_network] for network, of_network in runs.items()},
        )

    def error(self, metric: str, arm: str, column: str = MEAN_OVER_ACTIONS) -> float:
        """The mean over seeds, in the metric's unit."""
        return float(self.draws[metric].averages[arm][column].iloc[0])

    def relative(self, metric: str, arm: str, column: str = MEAN_OVER_ACTIONS, against: str = GENERALIST) -> Estimate:
        """By how many % the arm's error is above another's."""
        return relative_error(self.draws[metric], self.spreads[metric], arm, column, against)

    def rival(self, arm: str) -> str:
        """The untold network that an arm is held against, trained alike: the generalist, or one that finishes too."""
        alike = ALIKE.get(_named(arm)[0], GENERALIST)
        return alike if alike in self.arms else GENERALIST

    def gain(self, metric: str, column: str = MEAN_OVER_ACTIONS) -> Estimate:
        """By how many % the usable arm's error is above its rival's."""
        return self.relative(metric, self.usable, column, self.rival(self.usable))

    @property
    def usable(self) -> str:
        """Of the arms that are told the recognized action, the one with the lowest MPJPE."""
        return min((a for a in self.arms if a.endswith(": predicted label")), key=lambda a: self.error("mpjpe", a))

    @property
    def actions(self) -> dict[str, Estimate]:
        """What the usable arm does to every action's MPJPE."""
        return {
            action: self.gain("mpjpe", action) for action in map(str, self.draws["mpjpe"].frames.index.unique("action"))
        }

    def confusion(self, network: str) -> pd.DataFrame:
        """How often true actions (rows, those of the test people) are taken for others, mean over seeds."""
        actions = self.notes[network][0]["actions"]
        shares = np.mean([notes["recognized"]["confusion"] for notes in self.notes[network]], axis=0, dtype=float)
        return pd.DataFrame(shares, actions, actions).loc[self.told[network].index]


@dataclass(frozen=True, eq=False)
class LabelsReport:
    """What labels do, at the budgets of a suite or in one study.

    Attributes:
        folder: of the suite or study.
        about: its suite.json or study.json.
        settings: the finished studies.
        missing: names of those that are not finished.
        tables: by name.
    """

    folder: Path
    about: Mapping[str, Any]
    settings: tuple[Labeled, ...]
    missing: tuple[str, ...]
    tables: Mapping[str, Table]

    @classmethod
    def open(cls, folder: Path) -> "LabelsReport":
        """Read the folder of a suite, whose studies need not all be finished, or of a study.

        Raises:
            FileNotFoundError: where no study with labels is finished.
            ValueError: where it holds a suite of another format, or arms that were not scored on the same clips.
        """
        missing: list[str] = []
        if (folder / "suite.json").is_file():
            about: Mapping[str, Any] = read_about(folder)
            places = {name: folder / where for name, where in about["settings"].items()}
            missing = [name for name, at in places.items() if not (at / "labels.parquet").is_file()]
            if len(missing) == len(places):
                raise MissingInputError(f"no study in {folder} is finished: `actlift study` goes on with them")
            settings = [StudyResults.open(name, at) for name, at in places.items() if name not in missing]
        else:
            settings = [StudyResults.open(folder.resolve().name, folder)]
            about = settings[0].study
        found = tuple(map(Labeled.open, settings))
        return cls(folder, about, found, tuple(missing), {table.name: table for table in _tables(found)})

    @property
    def of_suite(self) -> bool:
        return "settings" in self.about

    @property
    def middle(self) -> Labeled:
        """The study that regret is shown of: the middle number of steps, the widest receptive field."""
        steps = sorted({at.setting.steps for at in self.settings})
        return max(
            (at for at in self.settings if at.setting.steps == steps[len(steps) // 2]),
            key=lambda at: at.setting.receptive_field,
        )


def write_labels_report(report: LabelsReport) -> Path:
    """Write tables/, figures/ and the page: report.html of a suite, with every setting's own; labels.html of a study.

    Returns:
        The page.

    Raises:
        OSError: where something cannot be written.
    """
    drawn = drawings(report)
    for table in report.tables.values():
        write_table(report.folder / "tables", table)
    for drawing in drawn:
        figures.save_drawing(report.folder / "figures", drawing)
    if report.of_suite:
        for at in report.settings:
            write_study_page(at.setting.folder)
    page = report.folder / ("report.html" if report.of_suite else "labels.html")
    render(page, "labels.html", _contents(report, drawn))
    return page


def print_labels(console: "Console", report: LabelsReport) -> None:
    """Print every setting's errors under every label, then the verdict."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    colors = {-1: "green", 0: "dim", 1: "red"}
    for at in report.settings:
        grid = Grid(
            box=SIMPLE_HEAD,
            pad_edge=False,
            title=f"{title(at.setting)}: mean over actions, to the generalist [95 %]; lower is better",
            title_justify="left",
            min_width=70,
        )
        for name in ("network", "told"):
            grid.add_column(name, overflow="fold")
        for metric in ERRORS:
            grid.add_column(f"{metric.upper()}\n{METRICS[metric].unit}", justify="right")
            grid.add_column("to the generalist", justify="right")
        for arm in at.arms:
            cells: list[str | Text] = []
            for metric in ERRORS:
                of = at.relative(metric, arm)
                cells.append(number(at.error(metric, arm), METRICS[metric]))
                cells.append("" if arm == GENERALIST else Text(_percent(of).replace(" [", "\n["), colors[of.sign]))
            grid.add_row(*_named(arm), *cells)
        console.print(grid)
    console.print("Green: better than the generalist, red: worse, dim: undecided.\n")
    for line in (*(sentence["text"] for sentence in _sentences(report)), *_unfinished(report)):
        console.print(line)


# tables


def _tables(settings: Sequence[Labeled]) -> tuple[Table, ...]:
    pairs = pd.concat([_pairs(at, network) for at in settings for network in at.told], ignore_index=True)
    return (
        _labels_table(settings),
        _actions_table(settings),
        _regret_table(pairs),
        _mistakes_table(pairs),
        _expected_table(settings, pairs),
        _recognizer_table(settings),
    )


def _pairs(at: Labeled, network: str) -> pd.DataFrame:
    """A row for every true action and every action told."""
    errors, shares = at.told[network], at.confusion(network)
    rows = errors.rename_axis("true action").reset_index()
    rows = rows.melt(["true action", UNTOLD], list(shares.columns), "told", "MPJPE").rename(columns={UNTOLD: NOTHING})
    told_right = rows[rows["true action"] == rows["told"]].set_index("true action")["MPJPE"]
    rows[TRUTH] = rows["true action"].map(told_right)
    rows["to told nothing, %"] = 100 * (rows["MPJPE"] / rows[NOTHING] - 1)
    rows[SHARE] = 100 * shares.to_numpy().T.ravel()  # column by column, as melted
    rows[KEYS] = [*_place(at).values(), network]
    return rows[[*KEYS, "true action", "told", "MPJPE", TRUTH, NOTHING, "to told nothing, %", SHARE]]


def _labels_table(settings: Sequence[Labeled]) -> Table:
    rows = []
    for at in settings:
        for arm in at.arms:
            network, told = _named(arm)
            row = {**_place(at), "network": network, "told": told}
            for metric in SHOWN:
                name, of = _name(metric), at.relative(metric, arm)
                row[name] = at.error(metric, arm)
                if arm != GENERALIST and metric in ERRORS:
                    row |= {f"{name} difference, %": of.effect, f"{name} low": of.low, f"{name} high": of.high}
                    row |= {f"{name} seed margin": of.seed_margin, f"{name} is": OUTCOMES[of.sign]}
            rows.append(row)
    frame = pd.DataFrame(rows)
    return Table(
        "labels",
        "Every network under every label, mean over actions",
        "Differences are to the generalist, in % of its error, with their 95 % paired bootstrap interval over clips; "
        "seed margin: how far other seeds alone may move them (t test at 5 %). Undecided: 0 is inside the interval, "
        "or other seeds may undo it. The true action is not known in use (oracle). MPJPE and N-MPJPE in mm, MPJVE in "
        "mm/frame.",
        frame.fillna({c: "" for c in frame if str(c).endswith(" is")}),
        5,
        {"MPJVE": 2},
    )


def _actions_table(settings: Sequence[Labeled]) -> Table:
    rows = [
        {
            **_place(at),
            "told the recognized action": _named(at.usable)[0],
            "against": at.rival(at.usable),
            "action": action,
            "MPJPE": at.error("mpjpe", at.usable, action),
            "the other's": at.error("mpjpe", at.rival(at.usable), action),
            "difference, %": of.effect,
            "low": of.low,
            "high": of.high,
        }
        for at in settings
        for action, of in at.actions.items()
    ]
    return Table(
        "actions",
        "Every action: MPJPE of the network told the recognized action, against one told nothing",
        "In mm; differences in % of the other's, with 95 % paired bootstrap intervals over the action's clips, of "
        "which there may be few. Of the networks told and their mixtures, the one with the lowest MPJPE.",
        pd.DataFrame(rows),
        6,
    )


def _regret_table(pairs: pd.DataFrame) -> Table:
    return Table(
        "regret",
        "Every true action told every action",
        "MPJPE in mm, mean over seeds, and by how much it is above that of the same network told nothing; how often "
        "the true action is taken for the other.",
        pairs.drop(columns=[TRUTH, NOTHING]),
        6,
    )


def _mistakes_table(pairs: pd.DataFrame) -> Table:
    frame = pairs[(pairs["true action"] != pairs["told"]) & (pairs[SHARE] > 0)]
    frame = frame.assign(adds=frame[SHARE] / 100 * (frame["MPJPE"] - frame[TRUTH]) / pairs["true action"].nunique())
    frame = frame.sort_values("adds", ascending=False, kind="stable").groupby(["setting", "network"]).head(COSTLIEST)
    frame = frame.sort_values(KEYS[1:], kind="stable", ignore_index=True)
    return Table(
        "mistakes",
        "The recognizer's costliest mistakes",
        "MPJPE in mm. Adds: what the mistake adds to the mean over actions, in mm: how often it happens, times by how "
        "much the error is above that of the network told the truth (oracle), shared among all actions. Below 0 the "
        "mistake does no harm.",
        frame[[*KEYS, "true action", "told", SHARE, "MPJPE", TRUTH, NOTHING, "adds"]].rename(
            columns={"told": "taken for", "MPJPE": "MPJPE told so"}
        ),
        6,
        {"adds": 3, SHARE: 0},
    )


def _expected_table(settings: Sequence[Labeled], pairs: pd.DataFrame) -> Table:
    weighted = (pairs["MPJPE"] * pairs[SHARE] / 100).groupby([pairs["setting"], pairs["network"]]).sum()
    rows = [
        {
            **_place(at),
            "network": network,
            NOTHING: at.error("mpjpe", f"{network}: no label"),
            TRUTH: at.error("mpjpe", f"{network}: oracle label"),
            "recognized, as expected": weighted[at.setting.name, network] / len(of_network),
            "recognized, as measured": at.error("mpjpe", f"{network}: predicted label"),
        }
        for at in settings
        for network, of_network in at.told.items()
    ]
    frame = pd.DataFrame(rows)
    return Table(
        "expected",
        "What the recognizer's mistakes should cost, and what they do",
        "MPJPE, mm, mean over actions. Expected: every true action's error told every action, weighted by how often it "
        "is taken for that. Measured above it: mistakes fall on clips that suffer more from them than others of their "
        "action.",
        frame,
        4,
        dict.fromkeys(frame.columns[4:], 2),
    )


def _recognizer_table(settings: Sequence[Labeled]) -> Table:
    rows = []
    for at in settings:
        for network, notes in at.notes.items():
            rows.append(
                {
                    **_place(at),
                    "network": network,
                    "clips": int(notes[0]["recognized"]["count"]),
                    **{
                        name: 100 * float(np.mean([of["recognized"][key] for of in notes]))
                        for name, key in (
                            ("right, %", "top1"),
                            ("among the first three, %", "top3"),
                            ("right, mean over actions, %", "mean_over_actions"),
                            ("calibration error, %", "calibration_error"),
                        )
                    },
                    **{
                        f"trusted: {words}, %": 100 * float(np.mean([of["trusted"][label] for of in notes]))
                        for words, label in (
                            ("right labels", "oracle label"),
                            ("recognized labels", "predicted label"),
                            ("wrong labels", "wrong label, at random"),
                        )
                    },
                }
            )
    return Table(
        "recognizer",
        "The recognizer of clips, and how often the mixture trusts a label",
        "On the test people; a clip counts once for each camera that saw it. Calibration error: how far its confidence "
        "is from how often it is right, on average. Right and wrong labels (one drawn at random for each clip) come "
        "with full confidence, recognized ones with the recognizer's own.",
        pd.DataFrame(rows),
        4,
    )


# figures


def drawings(report: LabelsReport) -> list[Drawing]:
    """Differences by number of steps, where there are several, and regret beside the recognizer's confusions."""
    networks = list(dict.fromkeys(network for at in report.settings for network in at.told))
    made = []
    if len({at.setting.steps for at in report.settings}) > 1:
        panels = []
        lines = {network: _lines(report, network) for network in networks}
        for network in networks:
            rival = report.middle.rival(network)
            apart = "" if rival == GENERALIST else f", against {rival}"
            for field in sorted({at.setting.receptive_field for at in report.settings if network in at.told}):
                for metric in ERRORS:
                    heading = f"{_name(metric)}, {counted(field, 'frame')}, {network}{apart}"
                    draw = partial(_draw_steps, report=report, lines=lines[network], field=field, metric=metric)
                    panels.append(Panel(heading, f"Differences by steps, {heading}", 5.2, 3.8, draw))
        heading = f"Differences to {_against(report)} by optimizer steps, mean over actions"
        legend = tuple(dict.fromkeys(line for of_network in lines.values() for line in of_network.values()))
        made.append(Drawing("steps", heading, tuple(panels), legend, 2))
    at = report.middle
    panels = []
    for network, errors in at.told.items():
        regret = 100 * (errors.drop(columns=UNTOLD).div(errors[UNTOLD], axis=0) - 1)
        panels.append(_heat(regret, f"{network}: MPJPE told an action, against told nothing, %", "told", signed=True))
    confusion = 100 * at.confusion(next(iter(at.told)))
    panels.append(_heat(confusion, "The recognizer: how often, %", "recognized", signed=False))
    legend = (
        (f"worse than told nothing (full color: {FULL:.0f} % and more)", 2, False),
        ("better", 1, False),
        ("recognized so", 4, False),
    )
    heading = f"Every true action told every action, {title(at.setting)}"
    made.append(Drawing("regret", heading, tuple(panels), legend, len(panels)))
    return made


def _lines(report: LabelsReport, network: str) -> dict[str, tuple[str, int, bool]]:
    """The arms of a panel, each with its words, place among the colors and whether it is dashed (oracle)."""
    arms = dict.fromkeys(arm for at in report.settings for arm in at.arms)
    untold = {GENERALIST, *ALIKE.values()}
    others = [arm for arm in arms if ": " not in arm and MIXTURE not in arm and arm not in untold]
    places = {arm: place % len(ARM_COLORS) for place, arm in enumerate(others, 4)}
    return {
        f"{network}{MIXTURE}: predicted label": (f"mixture, told {TOLD['predicted label']}", 1, False),
        f"{network}: predicted label": (f"told {TOLD['predicted label']}", 2, False),
        f"{network}: oracle label": (f"told {TOLD['oracle label']}", 2, True),
        f"{network}: no label": (f"told {TOLD['no label']}", 3, False),
        **{arm: (_words(arm), places[arm], False) for arm in others if ALIKE.get(arm) == ALIKE.get(network)},
    }


def _draw_steps(
    axes: "Axes", *, report: LabelsReport, lines: Mapping[str, tuple[str, int, bool]], field: int, metric: str
) -> None:
    settings = sorted((s for s in report.settings if s.setting.receptive_field == field), key=lambda s: s.setting.steps)
    axes.axhline(0, color=INK, linewidth=1.2)
    for number_of_line, (arm, (_, place, dashed)) in enumerate(lines.items()):
        own = [at for at in settings if arm in at.arms]
        points = [(at.setting.steps, at.relative(metric, arm, against=at.rival(arm))) for at in own]
        x = [steps * 1.035 ** (number_of_line - len(lines) / 2) for steps, _ in points]  # beside each other, not hidden
        color, marker = ARM_COLORS[place][0], MARKERS[place]
        style = (0, (3, 2)) if dashed else "-"
        axes.plot(x, [of.effect for _, of in points], color=color, linewidth=2, linestyle=style, zorder=3)
        axes.scatter(x, [of.effect for _, of in points], s=22, color=color, marker=marker, zorder=4)
        axes.vlines(x, [of.low for _, of in points], [of.high for _, of in points], color=color, linewidth=1.4)
    axes.set_xscale("log")
    ticks = [at.setting.steps for at in settings]
    axes.set_xticks(ticks, [f"{steps:,}" for steps in ticks])
    axes.set_xlim(ticks[0] / 1.6, ticks[-1] * 1.6)
    axes.xaxis.minorticks_off()
    axes.grid(color=RULE, linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g} %".replace("-", MINUS) if value else "0")
    axes.margins(y=0.12)
    for side_x, words, side in ((0.0, "below 0: better", "left"), (1.0, "above 0: worse", "right")):
        axes.text(side_x, 1.01, words, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=INK)
    axes.set_xlabel("optimizer steps of the generalist")
    axes.set_ylabel("difference to the untold network")


def _heat(values: pd.DataFrame, heading: str, across: str, *, signed: bool) -> Panel:
    """Whole % of true actions (rows) by other ones, colored by what they are."""
    size = 0.235 * max(values.shape)
    return Panel(
        heading, heading, 1.5 + size, 1.5 + size, partial(_draw_heat, values=values, across=across, signed=signed)
    )


def _draw_heat(axes: "Axes", *, values: pd.DataFrame, across: str, signed: bool) -> None:
    from matplotlib.patches import Rectangle

    for (y, x), value in np.ndenumerate(values.to_numpy()):
        place = 4 if not signed else 2 if value > 0 else 1
        strength = 0.85 * min(abs(value) / (FULL if signed else 100), 1)
        own = values.index[y] == values.columns[x]
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=ARM_COLORS[place][0], alpha=strength, linewidth=0))
        if own:
            axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=INK, linewidth=0.9, zorder=3))
        text = f"{value:{'+' if signed and abs(value) < 100 else ''}.0f}".replace("-", MINUS)
        if round(value):
            axes.text(x + 0.5, y + 0.53, text, ha="center", va="center", fontsize=6.5, color=INK)
    rows, columns = values.shape
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.set_aspect("equal")
    axes.set_xticks(np.arange(columns) + 0.5, list(values.columns), rotation=90, fontsize=8)
    axes.set_yticks(np.arange(rows) + 0.5, list(values.index), fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel(across)
    axes.set_ylabel("true action")


# the page


def _contents(report: LabelsReport, drawn: Sequence[Drawing]) -> dict[str, Any]:
    """What the template prints, every number already in words."""
    first = report.settings[0].setting
    study, plan, about = first.study, first.study["plan"], report.about
    arms = list(dict.fromkeys(arm for at in report.settings for arm in at.arms))
    networks = dict.fromkeys(_named(arm)[0] for arm in arms)
    scores = Scores(first.scores.table[first.scores.table["arm"] == GENERALIST])
    seeds = sorted(
        {seed for at in report.settings for arm in at.setting.scores.arms for seed in at.setting.scores.seeds(arm)}
    )
    shown = title(report.middle.setting)
    return {
        "title": "Does knowing the action help here?",
        "sentences": _sentences(report),
        "against": _against(report),
        "unfinished": _unfinished(report),
        "data_note": data_note(study["provenance"]),
        "evidence": evidence(scores, "mpjpe", [GENERALIST]),
        "networks": [{"name": network, "note": _note(network)} for network in networks],
        "glances": [_glance(report, metric) for metric in ERRORS] if len(report.settings) > 1 else [],
        "labels": [_label_rows(at) for at in report.settings],
        "actions": _by_action(report),
        "drawings": {drawing.name: drawing_entry(drawing) for drawing in drawn},
        "mistakes": _entry(report.tables["mistakes"], report.middle.setting.name),
        "expected": _entry(report.tables["expected"]),
        "recognizer": _entry(report.tables["recognizer"]),
        "files": {name: [f"tables/{name}.{kind}" for kind in ("csv", "md", "tex")] for name in report.tables},
        "middle": shown,
        "worse": f"{WORSE:.0f}",
        "made": [
            ("preset", about.get("preset", "none: one study")),
            (
                "steps",
                ", ".join(f"{at.setting.name}: {at.setting.steps:,}" for at in report.settings)
                + ("" if about.get("scale", 1) == 1 else f" (scaled by {about['scale']:g})"),
            ),
            (
                "network and batch",
                f"{plan['network']['channels']} channels, dropout {plan['network']['dropout']:g}, batches of "
                f"{plan['budget']['batch']} windows",
            ),
            ("trained on", f"{study['training']['frames']:,} frames of {', '.join(study['training']['subjects'])}"),
            ("tested on", f"{study['test']['frames']:,} frames of {', '.join(study['test']['subjects'])}"),
            ("seeds", seeds),
            ("all training took", duration(sum(cost.seconds for at in report.settings for cost in at.setting.costs))),
            ("corpus digest", study["fixed"]["corpus"]),
            ("command", about["command"]),
            ("commit", about["commit"]),
            ("versions", about["versions"]),
        ],
        "settings": [
            {
                **setting_entry(report.folder, at.setting),
                "command": at.setting.study["command"],
                "commit": at.setting.study["commit"],
            }
            for at in report.settings
        ],
        "as_words": printed,
    }


def _sentences(report: LabelsReport) -> list[dict[str, Any]]:
    """The verdict: all settings in one sentence, then each in one."""
    count = len(report.settings)
    signs = {metric: [at.gain(metric).sign for at in report.settings] for metric in ERRORS}
    position = set(signs["mpjpe"])
    answer = "Yes" if position == {-1} else "In part" if -1 in position else "Undecided" if position == {0} else "No"
    parts = []
    for metric, of in signs.items():
        outcomes = [(words, of.count(sign)) for sign, words in OUTCOMES.items() if sign in of]
        told = ", ".join(f"{words} at {n}" if count > 1 else words for words, n in outcomes)
        parts.append(f"{ERRORS[metric]} {told}")
    where = f", at {count} settings" if count > 1 else ""
    first = f"A network that is told the action recognized in the 2D keypoints, against {_against(report)}{where}"
    return [
        {"text": f"{answer}. {first}: {'; '.join(parts)}.", "sign": min(position) or max(position)},
        *map(_sentence, report.settings),
        {"text": _otherwise(report), "sign": 0},
    ]


def _against(report: LabelsReport) -> str:
    """In words, what verdicts and the figure compare with."""
    alike = all(at.rival(arm) == GENERALIST for at in report.settings for arm in at.arms)
    return "the generalist" if alike else "an untold network that was trained alike"


def _sentence(at: Labeled) -> dict[str, Any]:
    """What a user gets at one budget."""
    of = {metric: at.gain(metric) for metric in ERRORS}
    against = "" if at.rival(at.usable) == GENERALIST else f", against {at.rival(at.usable)}"
    margins = [f"±{estimate.seed_margin:.1f}" for estimate in of.values() if not math.isnan(estimate.seed_margin)]
    seeds = f"other seeds alone may move these by {' and '.join(margins)}" if margins else "one seed, others may differ"
    effects = [
        f"{_name(metric)} {_percent(estimate)}{f' ({estimate.doubt})' if estimate.doubt else ''}"
        for metric, estimate in of.items()
    ]
    worse = sum(estimate.effect > WORSE for estimate in at.actions.values())
    return {
        "text": f"{title(at.setting)} ({_named(at.usable)[0]}{against}): {', '.join(effects)}; {seeds}. MPJPE is "
        f"more than {WORSE:.0f} % higher in {worse} of {len(at.actions)} actions.",
        "sign": of["mpjpe"].sign,
    }


def _otherwise(report: LabelsReport) -> str:
    """What else could be told, in one sentence: the oracle's figures stand among others."""
    network = _network(report.middle.usable)
    wanted = [f"{network}: {label}" for label in ("oracle label", "no label", "wrong label, at random")]
    known = dict.fromkeys(arm for at in report.settings for arm in at.arms)
    arms = [arm for arm in known if arm in wanted or (": " not in arm and MIXTURE not in arm and arm != GENERALIST)]
    told = []
    for arm in arms:
        effects = [at.relative("mpjpe", arm).effect for at in report.settings if arm in at.arms]
        ends = dict.fromkeys(f"{end:+.1f}".replace("-", MINUS) for end in (min(effects), max(effects)))
        told.append(f"{_named(arm)[1] if arm in wanted else _words(arm)}: {' to '.join(ends)}\N{NO-BREAK SPACE}%")
    return f"MPJPE against the generalist's, of “{network}” told something else, and of others: {'; '.join(told)}."


def _glance(report: LabelsReport, metric: str) -> dict[str, Any]:
    """Rows networks and what they are told, columns settings: differences to the generalist."""
    arms = dict.fromkeys(arm for at in report.settings for arm in at.arms)
    rows = {
        arm: [
            _cell(at.relative(metric, arm), bold=arm == at.usable) if arm in at.arms else _text("")
            for at in report.settings
        ]
        for arm in arms
    }
    rows[GENERALIST] = [_text(number(at.error(metric, GENERALIST), METRICS[metric])) for at in report.settings]
    return {"title": _name(metric), "unit": METRICS[metric].unit, "groups": _grouped(rows)}


def _unfinished(report: LabelsReport) -> list[str]:
    return [f"Not finished, so not shown: {', '.join(report.missing)}."] if report.missing else []


def _label_rows(at: Labeled) -> dict[str, Any]:
    """A setting's table."""
    rows = {}
    for arm in at.arms:
        cells = []
        for metric in SHOWN:
            cells.append(_text(number(at.error(metric, arm), METRICS[metric]), bold=arm == at.usable))
            if metric in ERRORS:
                of = at.relative(metric, arm)
                cells.append(_text("") if arm == GENERALIST else _cell(of, bold=arm == at.usable))
        rows[arm] = cells
    return {"title": title(at.setting), "groups": _grouped(rows)}


def _grouped(rows: Mapping[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """The rows of arms by network, each with what it is told."""
    groups: dict[str, list[tuple[str, Any]]] = {}
    for arm, cells in rows.items():
        network, told = _named(arm)
        groups.setdefault(network, []).append((told, cells))
    return groups


def _by_action(report: LabelsReport) -> dict[str, Any]:
    """Rows actions, columns settings: the usable arm's difference to the generalist."""
    found = [at.actions for at in report.settings]
    rows = [{"name": action, "cells": [_cell(of[action]) for of in found]} for action in found[0]]
    return {"head": [at.setting.name for at in report.settings], "rows": rows}


def _cell(estimate: Estimate, *, bold: bool = False) -> dict[str, Any]:
    effect, _, interval = _percent(estimate).partition(" [")
    return {**_text(effect, bold=bold), "interval": f"[{interval}", "judged": STYLES[estimate.sign]}


def _text(text: str, *, bold: bool = False) -> dict[str, Any]:
    return {"text": text, "bold": bold, "interval": "", "judged": ""}


def _entry(table: Table, only: str | None = None) -> dict[str, Any]:
    """A table for the page: of one setting, or of all, which are then named in its first column."""
    cells, frame = table.cells(), table.frame
    kept = [c for c in frame.columns if c not in ("receptive field", "steps") and (c != "setting" or only is None)]
    if frame["network"].nunique() < 2:
        kept.remove("network")
    chosen = cells if only is None else cells[frame["setting"] == only]
    return {"title": table.title, "note": table.note, "head": kept, "rows": chosen[kept].to_numpy().tolist()}


# words


def _network(arm: str) -> str:
    """ "conditioned" of "conditioned, mixture: predicted label"."""
    return arm.partition(": ")[0].removesuffix(MIXTURE)


def _named(arm: str) -> tuple[str, str]:
    """The network and what it is told."""
    network, _, label = arm.partition(": ")
    return network, TOLD.get(label) or CONTROLS.get(network.partition("-")[0], "")


def _words(arm: str) -> str:
    network, told = _named(arm)
    return f"{network}, told {told}" if told else network


def _note(network: str) -> str:
    name, _, equality = network.partition(" (")
    return NOTES.get(name + equality.partition(")")[2]) or arm_note(network)


def _name(metric: str) -> str:
    return metric.upper().replace("_", "-")


def _percent(estimate: Estimate) -> str:
    """ "+6.1 % [+5.1, +7.2]"."""
    effect, low, high = estimate.signed()
    within = "no interval" if math.isnan(estimate.low) else f"{low}, {high}"
    return f"{effect}\N{NO-BREAK SPACE}% [{within}]"


def _place(at: Labeled) -> dict[str, Any]:
    setting = at.setting
    return {"setting": setting.name, "receptive field": setting.receptive_field, "steps": setting.steps}


def _errors_told(runs: Sequence[Path]) -> pd.DataFrame:
    """MPJPE of every true action (rows) told every action or none (columns), mean over the runs' seeds."""
    tables = [Scores.read(run / "told.parquet").table for run in runs]
    kept = [table[(table["metric"] == "mpjpe") & (table["joint"] == ALL_JOINTS)] for table in tables]
    scores = Scores(pd.concat(kept))
    return scores.per_action("mpjpe")[list(scores.actions)].T
