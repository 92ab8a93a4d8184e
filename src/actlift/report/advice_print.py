"""Advice for readers: advice.json and figures as files, tables and a sentence for a terminal."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from actlift.evaluation.intervals import LEVEL, MIN_PEOPLE
from actlift.evaluation.scores import MEAN_OVER_PEOPLE, MEANS, Variant
from actlift.files import write_json
from actlift.report import figures
from actlift.report.advice import AXES, STAY, UNDECIDED, ActionAdvice, Advice, Crossing
from actlift.report.advice_studies import ADVICE, TOLD, Labels, Point
from actlift.report.claim_rules import MARGIN
from actlift.report.figures import ARM_COLORS, INK, MARKERS, RULE, Drawing, Panel
from actlift.report.tables import MINUS
from actlift.report.words import metric_name, variant_note
from actlift.training.run import environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

STYLES = {"specialize": "green", "condition": "green", STAY: "", UNDECIDED: "dim"}
SIGNS = {1: "green", 0: "dim", -1: "red"}
LETTERS = {"specialize": "S", "condition": "C", STAY: "G", UNDECIDED: "?"}


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
    gains = gains.drop(columns="at").astype({"choice": str, "variant": str})
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
                metric: [_with_words(found) for found in advice.of_actions(advice.at, metric).values()]
                for metric in (advice.metric, advice.other)
            },
            "along": {
                axis: [
                    {**asdict(point), "actions": [_with_words(found) for found in advice.of_actions(point).values()]}
                    for point in line
                ]
                for axis, line in advice.lines.items()
            },
            "crossings": [_with_words(crossing) for crossing in advice.crossings],
            "rule": {"worthwhile_gain_percent": MARGIN, "family_wise_error_rate": LEVEL, "text": _rule()},
            "gains": _plain(gains),
            "studies": [
                {
                    **asdict(p),
                    "folders": [str(f) for f in studies.folders[p]],
                    "variants": list(map(str, scores.variants)),
                }
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
        console.print(f"{choice}: {variant_note(choice, advice.studies.arms, labeled=True)}.")
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
            "the gains was not scored here (`actlift study --labels all` does)."
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
    grid.add_column("people", justify="right", style="dim")
    grid.add_column("advice", overflow="fold")
    if several:
        grid.add_column("gain of", overflow="fold")
    for metric, labels in columns:
        recognized = "" if labels == advice.labels else ",\nrecognized"
        grid.add_column(f"{metric_name(metric)} gain{recognized}", justify="right", no_wrap=True)
    grid.add_column(f"by {metric_name(advice.other)}", overflow="fold")
    for action, found in actions.items():
        other = others[action]
        words = Text(found.advice + (f": {found.why}" if found.why else ""), STYLES[found.advice])
        cells = [_gain_cell(advice.gain(action, found.choice, *column)) for column in columns]
        named = f": {other.choice}" if other.advice in ADVICE.values() and other.choice != found.choice else ""
        of = [str(found.choice)] if several else []
        grid.add_row(action, str(found.people), words, *of, *cells, Text(other.advice + named, STYLES[other.advice]))
    grid.add_section()
    for choice in advice.choices:
        rows = [advice.gain(MEAN_OVER_PEOPLE, choice, *column) for column in columns]
        names = ["", str(choice)] if several else [str(choice)]
        people = "" if rows[0] is None else str(rows[0]["people"])
        grid.add_row(Text(MEAN_OVER_PEOPLE, "bold"), people, *names, *map(_gain_cell, rows), "")
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
        title=f"{metric_name(advice.metric)} gains in % by number of {_along(advice.at, axis)}; "
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
        beside = ["" if a.recognized is None else f" ({_signed(a.recognized, '')})" for a in own]
        cells = [
            Text(f"{LETTERS[a.advice]} {_signed(a.gain, '')}{recognized}", STYLES[a.advice])
            for a, recognized in zip(own, beside, strict=True)
        ]
        grid.add_row(action, *cells)
    grid.add_section()
    for labels in dict.fromkeys((advice.labels, "predicted") if advice.has_predicted else (advice.labels,)):
        cells = []
        for point in advice.lines[axis]:
            rows = advice.rows(point, labels=labels)
            best = rows[rows["action"] == MEAN_OVER_PEOPLE].nlargest(1, "gain")
            cells += [Text(_signed(row["gain"], ""), SIGNS[row["sign"]]) for _, row in best.iterrows()]
        told = "" if labels == advice.labels else ", recognized"
        grid.add_row(Text(MEAN_OVER_PEOPLE + told, "bold"), *cells)
    console.print(grid)
    _print_crossings(console, advice, axis)


def _print_crossings(console: "Console", advice: Advice, axis: str) -> None:
    crossed = {(c.labels, c.action, c.choice): c for c in advice.crossings if c.axis == axis}
    for (labels, action, choice), crossing in crossed.items():
        if labels == advice.labels:
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
            (f"mean over people, {TOLD[advice.labels]}; band: 95 % interval", 1, False),
            ("single actions; dots: sure", 0, False),
        ]
        if advice.labels == "oracle" and advice.has_predicted:
            legend.append(("mean over people, told the recognized action", 1, True))
        panels = tuple(
            Panel(
                f"{choice}, {metric_name(metric)}",
                f"Gain of {choice} in {metric_name(metric)} by number of {AXES[axis]}",
                5.4,
                3.8,
                partial(_draw_gains, advice=advice, axis=axis, metric=metric, choice=choice),
            )
            for choice in choices
            for metric in (advice.metric, advice.other)
        )
        kinds = " and ".join(sorted({c.arm for c in choices}))
        title = f"What {kinds} gain over the generalist, by {_along(advice.at, axis)}"
        made.append(Drawing(f"advice-{axis}", title, panels, tuple(legend), 2))
    return made


def _draw_gains(axes: "Axes", *, advice: Advice, axis: str, metric: str, choice: Variant) -> None:
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
    low, high = (table(advice.labels, end).T[MEAN_OVER_PEOPLE] for end in ("low", "high"))
    axes.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0, zorder=3)
    axes.plot(x, gains.loc[MEAN_OVER_PEOPLE], color=color, marker=MARKERS[0], linewidth=2.4, zorder=4)
    if advice.labels == "oracle" and MEAN_OVER_PEOPLE in (predicted := table("predicted", "gain")).index:
        axes.plot(x, predicted.loc[MEAN_OVER_PEOPLE], color=color, linewidth=2, linestyle=(0, (3, 2)), zorder=4)
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


def _signed(value: float, unit: str = " %") -> str:
    return f"{value:+.{0 if abs(value) >= 100 else 1}f}{unit}".replace("-", MINUS)


def _along(at: Point, axis: str) -> str:
    """ "training frames, at 200 steps"."""
    if axis == "frames":
        return f"{AXES[axis]}, at {at.steps:,} steps"
    return AXES[axis] + ("" if at.frames is None else f", at {at.frames:,} training frames")


def _gain_cell(row: "pd.Series | None") -> "str | Any":
    """A gain with its interval, green where it is sure, red where a loss is."""
    from rich.text import Text

    if row is None:
        return ""
    within = "no interval" if pd.isna(row["low"]) else f"{_signed(row['low'], '')}, {_signed(row['high'], '')}"
    return Text(f"{_signed(row['gain'], '')} [{within}]", SIGNS[row["sign"]])


def _rule() -> str:
    return (
        "Intervals hold for 95 %, over people and seeds, and are wide where there are few of either; an action that "
        f"fewer than {MIN_PEOPLE} test people do has none. Advised is what surely gains most for people in general: "
        f"where nothing is to be gained, {100 * LEVEL:.0f} % of studies find any sure gain of a choice (Holm). "
        f"“{STAY}”: no choice gains more than {MARGIN:.0f} %. “{UNDECIDED}”: one might."
    )


def _plain(frame: pd.DataFrame) -> Any:
    """Rows as JSON has them; NaN becomes null."""
    return json.loads(frame.to_json(orient="records", double_precision=10))


def _with_words(found: ActionAdvice | Crossing) -> dict[str, Any]:
    """What JSON holds of it: the choice by its words."""
    return {**asdict(found), "choice": str(found.choice)}
