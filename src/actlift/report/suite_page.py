"""What a suite found, for readers: tables and figures as files, verdicts, one page, and a few lines for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import GENERALIST, Variant
from actlift.report import figures
from actlift.report.claims import Verdict, print_verdicts, verdicts, write_verdicts
from actlift.report.estimate import THESE_PEOPLE, UNKNOWN, reach_note
from actlift.report.figures import Drawing, Panel
from actlift.report.gains_page import write_gains_page
from actlift.report.page import arm_entry, evidence, write_report
from actlift.report.paper_tables import (
    MODEL,
    NOT_LEARNT,
    UNDECIDED,
    curve_points,
    differences,
    printed_table,
    suite_tables,
)
from actlift.report.results import CONTROL, EXPERTS, StudyResults, Suite, is_experts, is_main
from actlift.report.study_page import data_note, write_study_page
from actlift.report.table_files import Table, write_table
from actlift.report.tables import arms_table
from actlift.report.words import ERRORS, EXPERTS_MATCHED, counted, duration, matching_name, metric_name, printed
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
    "C10": "with equal training frames an expert is always better",
    "C11": "trained little, experts have the lower MPJPE and MPJVE",
    "C12": "experts win Discussion and SittingDown",
    "C13": "with equal training frames an expert is always cheaper",
}


@dataclass(frozen=True, eq=False)
class SuiteReport:
    """A suite with what was found in it.

    Attributes:
        suite: the suite.
        verdicts: on every claim, under each matching of budgets.
        tables: by name, that of the verdicts among them.
    """

    suite: Suite
    verdicts: Sequence[Verdict]
    tables: Mapping[str, Table]

    @classmethod
    def open(cls, folder: Path) -> "SuiteReport":
        """Read a suite's folder.

        Raises:
            MissingInputError: where the folder holds no suite, or a study of it is not finished.
            InputError: where it holds a suite of another format, or arms that were not scored on the same clips.
        """
        suite = Suite.open(folder)
        found = verdicts(suite)
        return cls(suite, found, suite_tables(suite) | {"verdicts": verdicts_table(found)})


def write_suite_report(report: SuiteReport) -> Path:
    """Write verdicts.json, tables/, figures/, report.html and every study's own page into the suite's folder.

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
    for study in suite.studies:
        write_gains_page(study.folder)  # the study's page links it
        write_study_page(study.folder)
    page = suite.folder / "report.html"
    write_report(page, "suite.html", _contents(report, drawn))
    return page


def print_suite(console: "Console", report: SuiteReport) -> None:
    """Print every variant's means beside the generalist's, and the verdicts on the paper's claims."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    suite = report.suite
    frame = differences(suite)
    for metric in ERRORS:
        grid = Grid(
            box=SIMPLE_HEAD,
            pad_edge=False,
            title=f"{_error(metric)}, {METRICS[metric].unit}, mean over people; lower is better",
            title_justify="left",
            min_width=70,
        )
        grid.add_column("setting", overflow="fold")
        grid.add_column("arm", overflow="fold")
        grid.add_column("error", justify="right")
        grid.add_column("to the generalist [95 %]", justify="right")
        for name, rows in frame[frame["metric"] == metric.upper()].groupby("setting", sort=False):
            (reference, *_) = rows["generalist's"]
            grid.add_row(str(name), str(GENERALIST), f"{reference:.2f}", "")
            for row in rows.to_dict("records"):
                style = {"better": "green", "worse": "red"}.get(_judged(row), "dim")
                grid.add_row("", str(row[MODEL]), f"{row['error']:.2f}", Text(_percent(row), style))
            grid.add_section()
        console.print(grid)
    console.print("Green: better than the generalist, red: worse, dim: undecided. Experts are told the true action.")
    console.print(_reach(suite))
    print_verdicts(console, report.verdicts)


def verdicts_table(found: Sequence[Verdict]) -> Table:
    """Lay the verdicts out as a table."""
    rows = [
        {
            "claim": verdict.claim,
            "in short": IN_SHORT[verdict.claim],
            "budget matching": verdict.budget,
            "where": "; ".join(filter(None, (verdict.where, verdict.caveat))),
            "status": verdict.status,
            "for whom": verdict.whom,
            "effect": verdict.estimate.effect,
            "low": verdict.estimate.low,
            "high": verdict.estimate.high,
            "p, corrected": verdict.adjusted,
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
        "Effects are experts against the generalist, with 95 % intervals; p-values are corrected for all verdicts "
        "(Holm); the control is the same of experts for random parts of the data. How each was decided is in "
        "verdicts.json.",
        pd.DataFrame(rows),
        6,
        {**dict.fromkeys(("effect", "low", "high", "control", "control low", "control high"), 2), "p, corrected": 3},
    )


def drawings(suite: Suite, table: Table) -> list[Drawing]:
    """Draw figures 4 to 6 of the paper and, by number of training frames, where experts cross the generalist."""
    places = {variant: place for place, variant in enumerate(_variants(suite))}
    shown = [variant for variant in places if is_main(variant)]
    legend = tuple((str(variant), places[variant], False) for variant in shown)
    made = []
    if suite.preset == "action-oriented":
        made.append(_crossing(table.frame))
    for name, metric in (("figure4", "mpjpe"), ("figure5", "mpjve")):
        panels = tuple(
            figures.error_panel(arms_table(study.scores, metric).loc[shown], metric, study.title, places)
            for study in suite.studies
        )
        heading = f"Figure {name[-1]}: {METRICS[metric].title} per action"
        made.append(Drawing(name, heading, panels, legend, 3 if len(panels) < 4 else 4))
    panels = tuple(_progress(suite, places, shown))
    if panels:
        made.append(Drawing("figure6", "Figure 6: MPJPE by share of the training budget", panels, legend, 2))
    return made


def _progress(suite: Suite, places: Mapping[Variant, int], shown: Sequence[Variant]) -> "list[Panel]":
    panels = []
    for study in suite.studies:
        points = curve_points(study, "mpjpe", suite.focus)
        points = points[points["variant"].isin(shown)]
        for of, part in points.groupby("of", sort=False):
            panels.append(figures.progress_panel(part, places, "MPJPE, mm", f"{of}, {study.title}"))
    return panels


def _crossing(frame: pd.DataFrame) -> Drawing:
    """Draw differences over training frames, a color for each number of steps (and receptive field)."""
    keys = ["receptive field", "generalist's steps"]
    kinds = list(frame[keys].drop_duplicates().itertuples(index=False, name=None))
    colors = {kind: place + 1 for place, kind in enumerate(sorted(kinds))}  # the generalist's is the first
    points = pd.DataFrame(
        {
            "place": [colors[kind] for kind in frame[keys].itertuples(index=False, name=None)],
            "control": [variant.arm == CONTROL for variant in frame[MODEL]],
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
            figures.crossing_panel(points[frame["metric"] == metric], f"{metric}, mean over people")
            for metric in map(metric_name, ERRORS)
        ),
        tuple(legend),
        2,
    )


# The page


def _contents(report: SuiteReport, drawn: Sequence[Drawing]) -> dict[str, Any]:
    """Put what the template prints into words, every number of it."""
    suite, tables = report.suite, report.tables
    first = suite.studies[0]
    plan, variants = first.about["plan"], _variants(suite)
    arms = {name: about for study in suite.studies for name, about in study.arms.items()}
    found = differences(suite)
    tested = [verdict for verdict in report.verdicts if verdict.status != "not tested"]
    return {
        "title": f"One network for all actions, or one for each? ({suite.preset})",
        "preset": suite.preset,
        "sentences": _sentences(suite, found),
        "reach": _reach(suite),
        "still": _still(found),
        "claims": [list(rows) for _, rows in groupby(map(_row, tested), itemgetter("claim"))],
        "untested": _untested([verdict for verdict in report.verdicts if verdict not in tested]),
        "data_note": data_note(first.about["provenance"]),
        "evidence": evidence(first.scores, "mpjpe", variants),
        "arms": [arm_entry(variant, arms, place) for place, variant in enumerate(variants)],
        "glances": [_glance(suite, found, metric, variants[1:]) for metric in ERRORS],
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
                f"{first.about['training']['frames']:,} frames of {', '.join(first.about['training']['subjects'])}",
            ),
            ("tested on", f"{first.about['test']['frames']:,} frames of {', '.join(first.about['test']['subjects'])}"),
            ("seeds", plan["seeds"]),
            ("all training took", duration(sum(cost.seconds for study in suite.studies for cost in study.costs))),
            ("corpus digest", suite.about["digest"]),
            ("command", suite.about["command"]),
            ("commit", suite.about["commit"]),
            ("versions", suite.about["versions"]),
        ],
        "studies": [study_entry(suite.folder, study) for study in suite.studies],
        "as_words": printed,
    }


def _sentences(suite: Suite, found: pd.DataFrame) -> list[dict[str, Any]]:
    """Say which arm has the lower error, at each study: one sentence for each error and matching of budgets."""
    sentences = []
    own = found[found[MODEL].map(is_experts)]
    for metric in ERRORS:
        of_metric = own[own["metric"] == metric.upper()]
        for experts in of_metric[MODEL].unique():
            rows = of_metric[of_metric[MODEL] == experts].to_dict("records")
            parts = []
            for better, words in (
                (GENERALIST, "the generalist is better"),
                (experts, "experts are better"),
                (UNDECIDED, "undecided"),
                (THESE_PEOPLE, "seen in these people only"),
                (NOT_LEARNT, "nothing is said, as they have not learnt to lift,"),
            ):
                where = [row for row in rows if row["better"] == better]
                if not where:
                    continue
                if suite.preset == "action-oriented":
                    furthest = max(where, key=lambda row: abs(row["difference, %"]))
                    at = f"at {len(where)} of {len(rows)} points, most with {_where(suite, furthest)}"
                else:
                    at = f"at {' and '.join(_where(suite, row) for row in where)}"
                parts.append(f"{words} {at}")
            text = f"{_error(metric)}, {EXPERTS_MATCHED[experts.matching]}: {'; '.join(parts)}."
            sentences.append({"text": text, "decided": any(row["better"] in (GENERALIST, experts) for row in rows)})
    return sentences


def _still(found: pd.DataFrame) -> bool:
    """Whether experts are better in velocity while their position error is half as large again as the generalist's."""
    rows = [row for row in found.to_dict("records") if is_experts(row[MODEL])]
    better = {(row["setting"], row[MODEL]) for row in rows if row["metric"] == "MPJVE" and row["better"] == row[MODEL]}
    off = {(row["setting"], row[MODEL]) for row in rows if row["metric"] == "MPJPE" and row["difference, %"] > STILL}
    return bool(better & off)


def _where(suite: Suite, row: Mapping[Any, Any]) -> str:
    at = counted(row["receptive field"], "frame")
    if suite.preset == "action-oriented":
        at = "{training frames:,} training frames and {generalist's steps:,} steps".format_map(row)
    return f"{at} (experts {_percent(row)})"


def _reach(suite: Suite) -> str:
    """How far statements on a suite reach."""
    people, seeds = (min(study.scores.table[of].nunique() for study in suite.studies) for of in ("subject", "seed"))
    return reach_note(people, seeds)


def _percent(row: Mapping[Any, Any]) -> str:
    """ "+6.1 % [+5.1, +7.2]"."""
    return " ".join(row["estimate"].printed())


def _judged(row: Mapping[Any, Any]) -> str:
    if row["better"] in (UNDECIDED, THESE_PEOPLE, NOT_LEARNT):
        return "undecided"
    return "worse" if row["better"] == GENERALIST else "better"


def _row(verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": verdict.claim,
        "short": IN_SHORT[verdict.claim],
        "text": verdict.text,
        "budgets": [part for part in (matching_name(verdict.matching), verdict.counting) if part],
        "where": verdict.where,
        "caveat": verdict.caveat,
        "status": verdict.status,
        "style": {"green": "supported", "red": "contradicted"}.get(verdict.style, ""),
        "whom": verdict.whom,
        "effects": [of.printed(verdict.unit) for of in (verdict.estimate, verdict.control or UNKNOWN)],
        "sentence": verdict.sentence,
        "definition": verdict.definition,
    }


def _untested(found: Sequence[Verdict]) -> dict[str, list[str]]:
    """Claims that were not tested, by what they take."""
    claims: dict[str, list[str]] = {}
    for verdict in found:
        named = claims.setdefault(verdict.sentence, [])
        named += [words for words in (f"{verdict.claim} ({IN_SHORT[verdict.claim]})",) if words not in named]
    return claims


def _glance(suite: Suite, found: pd.DataFrame, metric: str, variants: Sequence[Variant]) -> dict[str, Any]:
    """Rows studies, columns variants: differences to the generalist."""
    rows = []
    for study in suite.studies:
        part = found[(found["setting"] == study.name) & (found["metric"] == metric.upper())]
        by = {row[MODEL]: row for row in part.to_dict("records")}
        cells = []
        for row in map(by.get, variants):
            effect, interval = row["estimate"].printed() if row else ("", "")
            cells.append({"effect": effect, "interval": interval, "judged": _judged(row)} if row else None)
        reference = next(iter(by.values()))["generalist's"] if by else np.nan
        rows.append({"name": study.title, "reference": f"{reference:.{1 + (metric == 'mpjve')}f}", "cells": cells})
    return {"title": _error(metric), "unit": METRICS[metric].unit, "rows": rows}


def drawing_entry(drawing: Drawing) -> dict[str, Any]:
    """Describe a drawing as templates show it, with its files."""
    from markupsafe import Markup

    panels = [{"title": panel.title, "svg": Markup(figures.panel_svg(panel))} for panel in drawing.panels]
    files = [f"figures/{drawing.name}-{theme}.{kind}" for theme in ("light", "dark") for kind in ("svg", "png")]
    legend = [{"words": words, "place": place, "dashed": dashed} for words, place, dashed in drawing.legend]
    return {"title": drawing.title, "panels": panels, "files": files, "legend": legend}


def _table(suite: Suite, table: Table) -> dict[str, Any]:
    """A table with its rows grouped by study, and without the controls where these are many."""
    cells, frame = table.cells(), table.frame
    bold = table.bold if table.bold is not None else pd.DataFrame(False, frame.index, frame.columns)
    if table.name in ("table3", "table3_rates", "decomposition"):
        cells = cells[frame[MODEL].map(is_main).astype(bool)]
    skipped = [
        name
        for name in ("setting", "receptive field", "generalist's epochs", "training frames", "generalist's steps")
        if name in frame.columns and "setting" in frame.columns
    ]
    groups: dict[str, list[list[dict[str, Any]]]] = {}
    titles = {study.name: study.title for study in suite.studies}
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


def study_entry(within: Path, study: StudyResults) -> dict[str, Any]:
    """Describe a study as templates name it, with its page and runs, seen from a folder that it lies in."""
    folder = study.folder.relative_to(within).as_posix()
    return {
        "name": study.name,
        "title": study.title,
        "page": f"{folder}/report.html",
        "digest": study.about["fixed"]["corpus"],
        "runs": [
            {
                "folder": f"{folder}/{cost.run}",
                "arm": str(replace(cost.variant, label="")),
                "seed": cost.seed,
                "steps": f"{cost.steps_total:,}",
                "duration": duration(cost.seconds),
            }
            for cost in study.costs
        ],
    }


def scaled(suite: Suite) -> list[str]:
    """Tell how many steps each study's generalist took, and of how many that is a scaled number."""
    scale = float(suite.about["scale"])
    words = "" if scale == 1 else f", scaled by {scale:g}"
    lines = []
    for study in suite.studies:
        what = f"a step number of the grid{words}: "
        if study.frames is None:
            what = f"{counted(EPOCHS[study.receptive_field], 'pass', 'passes')} over all training frames{words}: "
        lines.append(f"{study.name}: {what}{study.steps:,}")
    return lines


def _variants(suite: Suite) -> list[Variant]:
    """All variants of all studies, the generalist first."""
    variants = dict.fromkeys(variant for study in suite.studies for variant in study.scores.variants)
    return [GENERALIST, *(variant for variant in variants if variant != GENERALIST)]


def _error(metric: str) -> str:
    """ "Position error (MPJPE)" of "mpjpe"."""
    return ERRORS[metric][0].upper() + ERRORS[metric][1:]
