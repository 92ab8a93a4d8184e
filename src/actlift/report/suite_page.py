"""What a suite found, for readers: tables and figures as files, verdicts, one page, and a few lines for a terminal."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from actlift.evaluation.metrics import METRICS
from actlift.report import figures
from actlift.report.claims import CONTROL, ERRORS, EXPERTS, Estimate, Verdict, print_verdicts, verdicts, write_verdicts
from actlift.report.figures import Drawing, Panel
from actlift.report.page import arm_entry, counted, duration, evidence, printed, render
from actlift.report.paper_tables import (
    MODEL,
    UNDECIDED,
    Table,
    curve_points,
    printed_table,
    suite_tables,
    write_table,
)
from actlift.report.results import StudyResults, Suite
from actlift.report.study_page import data_note, write_study_page
from actlift.report.tables import arms_table
from actlift.study.plan import GENERALIST
from actlift.study.presets import EPOCHS

if TYPE_CHECKING:
    from rich.console import Console

STILL = 50.0  # % of the generalist's position error above it, from which a low velocity error means little
IN_SHORT = {
    "C1": "1 frame: experts have the lower MPJPE",
    "C2": "from 1 to 27 frames the generalist's MPJPE falls more",
    "C3": "27 frames: experts have the lower MPJVE",
    "C4": "trained long, the generalist wins MPJPE, experts only a few actions",
    "C5": "from 1 to 27 frames the experts' MPJVE improves more",
    "C6": "experts have about the same MPJPE for less training",
    "C7": "experts have the higher time-precision rate",
    "C8": "experts converge earlier",
    "C9": "the experts' error varies less along training",
    "C10": "with equal training frames an expert is always better and cheaper",
}
BUDGETS = {
    "pooled": "all experts together trained as long as the generalist",
    "each": "each expert trained as long as the generalist",
    "epochs": "budgets as the paper's authors ran them",
    "frames": "as many training frames for every network",
}


@dataclass(frozen=True, eq=False)
class SuiteReport:
    """A suite with what was found in it.

    Attributes:
        suite: the suite.
        verdicts: on every claim, under each equality.
        tables: by name, that of the verdicts among them.
    """

    suite: Suite
    verdicts: Sequence[Verdict]
    tables: Mapping[str, Table]

    @classmethod
    def open(cls, folder: Path) -> "SuiteReport":
        """Read a suite's folder.

        Raises:
            FileNotFoundError: where the folder holds no suite, or a study of it is not finished.
            ValueError: where it holds a suite of another format, or arms that were not scored on the same clips.
        """
        suite = Suite.open(folder)
        found = verdicts(suite)
        return cls(suite, found, suite_tables(suite) | {"verdicts": verdicts_table(found)})


def write_suite_report(report: SuiteReport) -> Path:
    """Write verdicts.json, tables/, figures/, report.html and every setting's own page into the suite's folder.

    Returns:
        report.html.

    Raises:
        OSError: where something cannot be written.
    """
    suite = report.suite
    drawn = drawings(suite, report.tables["differences"])
    write_verdicts(suite.folder / "verdicts.json", suite, report.verdicts)
    for table in report.tables.values():
        write_table(suite.folder / "tables", table)
    for drawing in drawn:
        figures.save_drawing(suite.folder / "figures", drawing)
    for setting in suite.settings:
        write_study_page(setting.folder)
    page = suite.folder / "report.html"
    render(page, "suite.html", _contents(report, drawn))
    return page


def print_suite(console: "Console", report: SuiteReport) -> None:
    """Print every arm's means beside the generalist's, and the verdicts on the paper's claims."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    frame = report.tables["differences"].frame
    for metric in ERRORS:
        grid = Grid(
            box=SIMPLE_HEAD,
            pad_edge=False,
            title=f"{_error(metric)}, {METRICS[metric].unit}, mean over actions; lower is better",
            title_justify="left",
            min_width=70,
        )
        grid.add_column("setting", overflow="fold")
        grid.add_column("arm", overflow="fold")
        grid.add_column("error", justify="right")
        grid.add_column("to the generalist [95 %]", justify="right")
        for name, rows in frame[frame["metric"] == metric.upper()].groupby("setting", sort=False):
            (reference, *_) = rows["generalist's"]
            grid.add_row(str(name), GENERALIST, f"{reference:.2f}", "")
            for row in rows.to_dict("records"):
                style = {"better": "green", "worse": "red"}.get(_judged(row), "dim")
                grid.add_row("", row[MODEL], f"{row['error']:.2f}", Text(_percent(row), style))
            grid.add_section()
        console.print(grid)
    console.print("Green: better than the generalist, red: worse, dim: undecided. Experts are told the true action.")
    print_verdicts(console, report.verdicts)


def verdicts_table(found: Sequence[Verdict]) -> Table:
    """The verdicts as a table."""
    rows = [
        {
            "claim": verdict.claim,
            "in short": IN_SHORT[verdict.claim],
            "equality": verdict.variant,
            "where": verdict.where,
            "status": verdict.status,
            "effect": verdict.effect,
            "low": verdict.low,
            "high": verdict.high,
            "unit": verdict.unit,
            "control": verdict.control.effect if verdict.control else np.nan,
            "control low": verdict.control.low if verdict.control else np.nan,
            "control high": verdict.control.high if verdict.control else np.nan,
            "seeds": verdict.seeds,
        }
        for verdict in found
    ]
    return Table(
        "verdicts",
        "The paper's claims",
        "Effects are experts against the generalist, with 95 % intervals; the control is the same of experts for "
        "random parts of the data. How each was decided is in verdicts.json.",
        pd.DataFrame(rows),
        5,
        dict.fromkeys(("effect", "low", "high", "control", "control low", "control high"), 2),
    )


def drawings(suite: Suite, differences: Table) -> list[Drawing]:
    """Figures 4 to 6 of the paper and, where settings differ in training frames, where experts cross the generalist."""
    places = {arm: place for place, arm in enumerate(_arms(suite))}
    shown = [arm for arm in places if _kind(arm) in (GENERALIST, EXPERTS)]
    legend = tuple((arm, places[arm], False) for arm in shown)
    made = []
    if suite.preset == "action-oriented":
        made.append(_crossing(differences.frame))
    for name, metric in (("figure4", "mpjpe"), ("figure5", "mpjve")):
        panels = tuple(
            figures.error_panel(arms_table(setting.scores, metric).loc[shown], metric, title(setting), places)
            for setting in suite.settings
        )
        heading = f"Figure {name[-1]}: {METRICS[metric].title} per action"
        made.append(Drawing(name, heading, panels, legend, 3 if len(panels) < 4 else 4))
    panels = tuple(_progress(suite, places, shown))
    if panels:
        made.append(Drawing("figure6", "Figure 6: MPJPE by share of the training budget", panels, legend, 2))
    return made


def title(setting: StudyResults) -> str:
    """A setting in a few words, its receptive field first: "27 frames, 1,800 steps"."""
    frames = "" if setting.frames is None else f", {setting.frames:,} training frames"
    return f"{counted(setting.receptive_field, 'frame')}{frames}, {setting.steps:,} steps"


def _progress(suite: Suite, places: Mapping[str, int], shown: Sequence[str]) -> "list[Panel]":
    panels = []
    for setting in suite.settings:
        points = curve_points(setting, "mpjpe", suite.focus)
        points = points[points["arm"].isin(shown)]
        for of, part in points.groupby("of", sort=False):
            panels.append(figures.progress_panel(part, places, "MPJPE, mm", f"{of}, {title(setting)}"))
    return panels


def _crossing(frame: pd.DataFrame) -> Drawing:
    """Differences over training frames, a color for each number of steps (and receptive field)."""
    keys = ["receptive field", "generalist's steps"]
    kinds = list(frame[keys].drop_duplicates().itertuples(index=False, name=None))
    colors = {kind: place + 1 for place, kind in enumerate(sorted(kinds))}  # the generalist's is the first
    points = pd.DataFrame(
        {
            "place": [colors[kind] for kind in frame[keys].itertuples(index=False, name=None)],
            "control": frame[MODEL].map(_kind) == CONTROL,
            "frames": frame["training frames"],
            "effect": frame["difference, %"],
            "low": frame["low"],
            "high": frame["high"],
        }
    )
    legend = [
        (f"{kind}, {steps:,} steps, {counted(field, 'frame')}", place, kind == CONTROL)
        for (field, steps), place in colors.items()
        for kind in (EXPERTS, CONTROL)
    ]
    return Drawing(
        "crossing",
        "Where experts cross the generalist: differences by number of training frames",
        tuple(
            figures.crossing_panel(points[frame["metric"] == metric], f"{metric}, mean over actions")
            for metric in map(str.upper, ERRORS)
        ),
        tuple(legend),
        2,
    )


# The page


def _contents(report: SuiteReport, drawn: Sequence[Drawing]) -> dict[str, Any]:
    """What the template prints, every number already in words."""
    suite, tables = report.suite, report.tables
    first = suite.settings[0]
    plan, arms = first.study["plan"], _arms(suite)
    differences = tables["differences"].frame
    tested = [verdict for verdict in report.verdicts if verdict.status != "not tested"]
    return {
        "title": f"One network for all actions, or one for each? ({suite.preset})",
        "preset": suite.preset,
        "sentences": _sentences(suite, differences),
        "still": _still(differences),
        "claims": [list(rows) for _, rows in groupby(map(_row, tested), itemgetter("claim"))],
        "untested": [_row(verdict) for verdict in report.verdicts if verdict not in tested],
        "data_note": data_note(first.study["provenance"]),
        "evidence": evidence(first.scores, "mpjpe", arms),
        "arms": [arm_entry(arm, place) for place, arm in enumerate(arms)],
        "glances": [_glance(suite, differences, metric, arms[1:]) for metric in ERRORS],
        "drawings": {drawing.name: drawing_entry(drawing) for drawing in drawn},
        "tables": {name: _table(suite, table) for name, table in tables.items()},
        "printed": [_table(suite, printed_table(number)) for number in ("I", "II")],
        "focus": suite.focus,
        "made": [
            ("preset", suite.preset),
            ("steps", scaled(suite)),
            (
                "network and batch",
                f"{plan['network']['channels']} channels, dropout {plan['network']['dropout']:g}, batches of "
                f"{plan['budget']['batch']} windows (the paper: 1,024 channels, dropout 0.25, batches of 1,024)",
            ),
            (
                "trained on",
                f"{first.study['training']['frames']:,} frames of {', '.join(first.study['training']['subjects'])}",
            ),
            ("tested on", f"{first.study['test']['frames']:,} frames of {', '.join(first.study['test']['subjects'])}"),
            ("seeds", plan["seeds"]),
            ("all training took", duration(sum(cost.seconds for setting in suite.settings for cost in setting.costs))),
            ("corpus digest", suite.about["digest"]),
            ("command", suite.about["command"]),
            ("commit", suite.about["commit"]),
            ("versions", suite.about["versions"]),
        ],
        "settings": [setting_entry(suite.folder, setting) for setting in suite.settings],
        "as_words": printed,
    }


def _sentences(suite: Suite, differences: pd.DataFrame) -> list[dict[str, Any]]:
    """Who wins each error, at each setting, under each equality: one sentence for each error and equality."""
    told = []
    own = differences[differences[MODEL].map(_kind) == EXPERTS]
    for metric in ERRORS:
        for arm, rows in own[own["metric"] == metric.upper()].groupby(MODEL, sort=False):
            equality = str(arm).partition("(")[2].rstrip(")")
            by = {str(winner): part.to_dict("records") for winner, part in rows.groupby("better")}
            parts = []
            for winner, words in (
                (GENERALIST, "the generalist is better"),
                (str(arm), "experts are better"),
                (UNDECIDED, "undecided"),
            ):
                if winner not in by:
                    continue
                if suite.preset == "action-oriented":
                    furthest = max(by[winner], key=lambda row: abs(row["difference, %"]))
                    at = f"at {len(by[winner])} of {len(rows)} points, most with {_place(suite, furthest)}"
                else:
                    at = f"at {' and '.join(_place(suite, row) for row in by[winner])}"
                parts.append(f"{words} {at}")
            text = f"{_error(metric)}, {BUDGETS[equality]}: {'; '.join(parts)}."
            told.append({"text": text, "decided": set(by) != {UNDECIDED}})
    return told


def _still(differences: pd.DataFrame) -> bool:
    """Whether an arm wins velocity while its position error is half as large again as the generalist's, or more."""
    by_arm = differences.set_index(["setting", MODEL, "metric"])[["difference, %", "better"]].unstack("metric")
    wins = by_arm["better", "MPJVE"] == by_arm.index.get_level_values(MODEL)
    return bool((wins & (by_arm["difference, %", "MPJPE"] > STILL)).any())


def _place(suite: Suite, row: Mapping[Any, Any]) -> str:
    at = counted(row["receptive field"], "frame")
    if suite.preset == "action-oriented":
        at = "{training frames:,} training frames and {generalist's steps:,} steps".format_map(row)
    return f"{at} (experts {_percent(row)})"


def _percent(row: Mapping[Any, Any]) -> str:
    """ "+6.1 % [+5.1, +7.2]"."""
    return _effect(Estimate(row["difference, %"], row["low"], row["high"], math.nan), "%")


def _effect(estimate: Estimate | None, unit: str) -> str:
    """An effect and its interval; nothing where there is none."""
    if estimate is None or math.isnan(estimate.effect):
        return ""
    effect, low, high = estimate.signed()
    within = "no interval" if math.isnan(estimate.low) else f"{low}, {high}"
    return f"{effect}\N{NO-BREAK SPACE}{unit} [{within}]"


def _judged(row: Mapping[Any, Any]) -> str:
    return "undecided" if row["better"] == UNDECIDED else "worse" if row["better"] == GENERALIST else "better"


def _row(verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": verdict.claim,
        "short": IN_SHORT[verdict.claim],
        "text": verdict.text,
        "variant": verdict.variant,
        "where": verdict.where,
        "status": verdict.status,
        "effect": _effect(verdict.estimate, verdict.unit),
        "control": _effect(verdict.control, verdict.unit),
        "sentence": verdict.sentence,
        "definition": verdict.definition,
    }


def _glance(suite: Suite, differences: pd.DataFrame, metric: str, arms: Sequence[str]) -> dict[str, Any]:
    """Rows settings, columns arms: differences to the generalist."""
    rows = []
    for setting in suite.settings:
        part = differences[(differences["setting"] == setting.name) & (differences["metric"] == metric.upper())]
        by = {row[MODEL]: row for row in part.to_dict("records")}
        cells = [
            {"text": _percent(row).partition(" ["), "judged": _judged(row)} if (row := by.get(arm)) else None
            for arm in arms
        ]
        reference = next(iter(by.values()))["generalist's"] if by else np.nan
        rows.append({"name": title(setting), "reference": f"{reference:.{1 + (metric == 'mpjve')}f}", "cells": cells})
    return {"title": _error(metric), "unit": METRICS[metric].unit, "rows": rows}


def drawing_entry(drawing: Drawing) -> dict[str, Any]:
    """A drawing as templates show it, with its files."""
    from markupsafe import Markup

    panels = [{"title": panel.title, "svg": Markup(figures.panel_svg(panel))} for panel in drawing.panels]
    files = [f"figures/{drawing.name}-{theme}.{kind}" for theme in ("light", "dark") for kind in ("svg", "png")]
    legend = [{"words": words, "place": place, "dashed": dashed} for words, place, dashed in drawing.legend]
    return {"title": drawing.title, "panels": panels, "files": files, "legend": legend}


def _table(suite: Suite, table: Table) -> dict[str, Any]:
    """A table with its rows grouped by setting, and without the controls where these are many."""
    cells, frame = table.cells(), table.frame
    bold = table.bold if table.bold is not None else pd.DataFrame(False, frame.index, frame.columns)
    if table.name in ("table3", "table3_rates", "decomposition"):
        cells = cells[frame[MODEL].map(_kind).isin((GENERALIST, EXPERTS))]
    skipped = [
        name
        for name in ("setting", "receptive field", "generalist's epochs", "training frames", "generalist's steps")
        if name in frame.columns and "setting" in frame.columns
    ]
    groups: dict[str, list[list[dict[str, Any]]]] = {}
    titles = {setting.name: title(setting) for setting in suite.settings}
    for (_, row), marks in zip(cells.iterrows(), bold.loc[cells.index].to_dict("records"), strict=True):
        name = titles[row["setting"]] if skipped else ""
        kept = [{"text": row[c], "bold": marks[c]} for c in frame.columns if c not in skipped]
        groups.setdefault(name, []).append(kept)
    return {
        "title": table.title,
        "note": table.note,
        "head": [c for c in frame.columns if c not in skipped],
        "labels": table.labels - len(skipped),
        "groups": groups,
        "files": []
        if table.name.startswith("printed")
        else [f"tables/{table.name}.{kind}" for kind in ("csv", "md", "tex")],
    }


def setting_entry(within: Path, setting: StudyResults) -> dict[str, Any]:
    """A setting as templates name it, with its page and runs, seen from a folder that it lies in."""
    folder = setting.folder.relative_to(within).as_posix()
    return {
        "name": setting.name,
        "title": title(setting),
        "page": f"{folder}/report.html",
        "digest": setting.study["fixed"]["corpus"],
        "runs": [
            {
                "folder": f"{folder}/{cost.run}",
                "arm": cost.arm,
                "seed": cost.seed,
                "steps": f"{cost.steps_total:,}",
                "duration": duration(cost.seconds),
            }
            for cost in setting.costs
        ],
    }


def scaled(suite: Suite) -> list[str]:
    """How many steps each setting's generalist took, and of how many that is a scaled number."""
    scale = float(suite.about["scale"])
    words = "" if scale == 1 else f", scaled by {scale:g}"
    told = []
    for setting in suite.settings:
        what = f"a step number of the grid{words}: "
        if setting.frames is None:
            what = f"{counted(EPOCHS[setting.receptive_field], 'pass', 'passes')} over all training frames{words}: "
        told.append(f"{setting.name}: {what}{setting.steps:,}")
    return told


def _arms(suite: Suite) -> list[str]:
    """All arms of all settings, the generalist first."""
    arms = dict.fromkeys(arm for setting in suite.settings for arm in setting.scores.arms)
    return [GENERALIST, *(arm for arm in arms if arm != GENERALIST)]


def _error(metric: str) -> str:
    """ "Position error (MPJPE)" of "mpjpe"."""
    return ERRORS[metric][0].upper() + ERRORS[metric][1:]


def _kind(arm: str) -> str:
    """ "experts" of "experts (pooled)"."""
    return arm.partition(" (")[0]
