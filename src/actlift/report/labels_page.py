"""What being told the action is worth, for readers: tables and figures as files, one page, and a few lines for a
terminal, of a suite of --preset action-aware or of one study with labels (see :mod:`actlift.report.labels_results`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actlift.errors import MissingInputError
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import GENERALIST, Variant
from actlift.report import figures
from actlift.report.estimate import THESE_PEOPLE, Estimate, doubt, reach_note
from actlift.report.figures import Drawing
from actlift.report.gains_page import write_gains_page
from actlift.report.labels_figures import held_against, label_drawings, middle_of
from actlift.report.labels_results import SHOWN, LabeledStudy, network_of
from actlift.report.labels_tables import OUTCOMES, gains, label_tables, of_actions, to_generalist
from actlift.report.page import evidence, write_report
from actlift.report.results import StudyResults, read_about
from actlift.report.study_page import data_note, write_study_page
from actlift.report.suite_page import drawing_entry, study_entry
from actlift.report.table_files import Table, write_table
from actlift.report.tables import MINUS, number
from actlift.report.words import ERRORS, counted, duration, metric_name, printed, variant_note

if TYPE_CHECKING:
    from rich.console import Console

PRESET = "action-aware"
WORSE = 1.0  # %: from which on an action is said to be worse
STYLES = {-1: "better", 0: "undecided", 1: "worse"}
Signs = Mapping[tuple[str, str, Variant], int]


@dataclass(frozen=True, eq=False)
class LabelsReport:
    """What labels do, at the budgets of a suite or in one study.

    Attributes:
        folder: of the suite or study.
        about: its suite.json or study.json.
        studies: the finished ones.
        missing: names of those that are not finished.
        tables: by name.
    """

    folder: Path
    about: Mapping[str, Any]
    studies: tuple[LabeledStudy, ...]
    missing: tuple[str, ...]
    tables: Mapping[str, Table]

    @classmethod
    def open(cls, folder: Path) -> "LabelsReport":
        """Read the folder of a suite, whose studies need not all be finished, or of a study.

        Raises:
            MissingInputError: where no study with labels is finished.
            InputError: where it holds a suite of another format, or variants that were not scored on the same clips.
        """
        missing: list[str] = []
        if (folder / "suite.json").is_file():
            about: Mapping[str, Any] = read_about(folder)
            places = {name: folder / where for name, where in about["settings"].items()}
            missing = [name for name, at in places.items() if not (at / "labels.parquet").is_file()]
            if len(missing) == len(places):
                raise MissingInputError(f"no study in {folder} is finished: `actlift study` goes on with them")
            studies = [StudyResults.open(name, at) for name, at in places.items() if name not in missing]
        else:
            studies = [StudyResults.open(folder.resolve().name, folder)]
            about = studies[0].about
        found = tuple(map(LabeledStudy.open, studies))
        return cls(folder, about, found, tuple(missing), {table.name: table for table in label_tables(found)})

    @property
    def of_suite(self) -> bool:
        """Whether it is a suite's."""
        return "settings" in self.about

    @property
    def middle(self) -> LabeledStudy:
        """The study that regret is shown of."""
        return middle_of(self.studies)

    @property
    def variants(self) -> list[Variant]:
        """All variants of all studies."""
        return list(dict.fromkeys(variant for at in self.studies for variant in at.variants))


def write_labels_report(report: LabelsReport) -> Path:
    """Write tables/, figures/ and the page: report.html of a suite, with every study's own; labels.html of a study.

    Returns:
        The page.

    Raises:
        OSError: where something cannot be written.
    """
    drawn = label_drawings(report.studies)
    for table in report.tables.values():
        write_table(report.folder / "tables", table)
    for drawing in drawn:
        figures.save_drawing(report.folder / "figures", drawing)
    if report.of_suite:
        for at in report.studies:
            write_gains_page(at.study.folder)  # the study's page links it
            write_study_page(at.study.folder)
    page = report.folder / ("report.html" if report.of_suite else "labels.html")
    write_report(page, "labels.html", _contents(report, drawn))
    return page


def print_labels(console: "Console", report: LabelsReport) -> None:
    """Print every study's errors under every label, then the verdict."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    colors = {-1: "green", 0: "dim", 1: "red"}
    signs = to_generalist(report.studies)
    for at in report.studies:
        grid = Grid(
            box=SIMPLE_HEAD,
            pad_edge=False,
            title=f"{at.study.title}: mean over people, to the generalist [95 %]; lower is better",
            title_justify="left",
            min_width=70,
        )
        for name in ("network", "told"):
            grid.add_column(name, overflow="fold")
        for metric in ERRORS:
            grid.add_column(f"{metric.upper()}\n{METRICS[metric].unit}", justify="right")
            grid.add_column("to the generalist", justify="right")
        for variant in at.variants:
            cells: list[str | Text] = []
            for metric in ERRORS:
                of = at.relative(metric, variant)
                cells.append(number(at.error(metric, variant), METRICS[metric]))
                sign = signs.get((at.study.name, metric, variant), 0)
                cells.append("" if variant == GENERALIST else Text("\n".join(of.printed()), colors[sign]))
            grid.add_row(*at.named(variant), *cells)
        console.print(grid)
    console.print(_reach(report))
    console.print("Green: better than the generalist, red: worse, dim: undecided.\n")
    for line in (*(sentence["text"] for sentence in _sentences(report)), *_unfinished(report)):
        console.print(line)


def _contents(report: LabelsReport, drawn: Sequence[Drawing]) -> dict[str, Any]:
    """Put what the template prints into words, every number of it."""
    first, signs = report.studies[0].study, to_generalist(report.studies)
    study, plan, about = first.about, first.about["plan"], report.about
    arms = {name: about for at in report.studies for name, about in at.study.arms.items()}
    networks = dict.fromkeys(replace(variant, label="") for variant in report.variants)
    seeds = sorted({int(seed) for at in report.studies for seed in at.study.scores.table["seed"].unique()})
    return {
        "title": "Does knowing the action help here?",
        "sentences": _sentences(report),
        "reach": _reach(report),
        "against": held_against(report.studies),
        "unfinished": _unfinished(report),
        "data_note": data_note(study["provenance"]),
        "evidence": evidence(first.scores.of(GENERALIST), "mpjpe", [GENERALIST]),
        "networks": [{"name": str(of), "note": variant_note(of, arms, labeled=True)} for of in networks],
        "glances": [_glance(report, metric, signs) for metric in ERRORS] if len(report.studies) > 1 else [],
        "labels": [_label_rows(at, signs) for at in report.studies],
        "actions": _by_action(report),
        "drawings": {drawing.name: drawing_entry(drawing) for drawing in drawn},
        "mistakes": _entry(report.tables["mistakes"], report.middle.study.name)
        if "mistakes" in report.tables
        else None,
        "expected": _entry(report.tables["expected"]),
        "recognizer": _entry(report.tables["recognizer"]),
        "rounds": _entry(report.tables["rounds"]) if "rounds" in report.tables else None,
        "files": {name: [f"tables/{name}.{kind}" for kind in ("csv", "md", "tex")] for name in report.tables},
        "middle": report.middle.study.title,
        "worse": f"{WORSE:.0f}",
        "made": [
            ("preset", about.get("preset", "none: one study")),
            (
                "steps",
                ", ".join(f"{at.study.name}: {at.study.steps:,}" for at in report.studies)
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
            ("all training took", duration(sum(cost.seconds for at in report.studies for cost in at.study.costs))),
            ("corpus digest", study["fixed"]["corpus"]),
            ("command", about["command"]),
            ("commit", about["commit"]),
            ("versions", about["versions"]),
        ],
        "studies": [
            {
                **study_entry(report.folder, at.study),
                "command": at.study.about["command"],
                "commit": at.study.about["commit"],
            }
            for at in report.studies
        ],
        "as_words": printed,
    }


def _reach(report: LabelsReport) -> str:
    """How far statements reach."""
    seeds = min(len(at.study.scores.seeds(at.rival(at.usable))) for at in report.studies)
    return reach_note(min(at.people for at in report.studies), seeds)


def _sentences(report: LabelsReport) -> list[dict[str, Any]]:
    """The verdict: all studies in one sentence, then each in one."""
    count = len(report.studies)
    found = gains(report.studies)
    signs = {metric: [found[at.study.name, metric] for at in report.studies] for metric in ERRORS}
    position = set(signs["mpjpe"])
    few = not any(at.gain("mpjpe").of.known for at in report.studies)
    answer = "Yes" if position == {-1} else "In part" if -1 in position else "Undecided" if position == {0} else "No"
    parts = []
    for metric, of in signs.items():
        outcomes = [(words, of.count(sign)) for sign, words in OUTCOMES.items() if sign in of]
        if few:
            of = [at.gain(metric).direction for at in report.studies]
            outcomes = [(f"{words} in these people", of.count(sign)) for sign, words in OUTCOMES.items() if sign in of]
        told = ", ".join(f"{words} at {n}" if count > 1 else words for words, n in outcomes)
        parts.append(f"{ERRORS[metric]} {told}")
    where = f", at {count} settings" if count > 1 else ""
    against = held_against(report.studies)
    first = f"A network that is told the action recognized in the 2D keypoints, against {against}{where}"
    answer = f"Nobody can say of {counted(report.studies[0].people, 'person', 'people')}" if few else answer
    return [
        {"text": f"{answer}. {first}: {'; '.join(parts)}.", "sign": min(position) or max(position)},
        *(_sentence(at, {metric: found[at.study.name, metric] for metric in ERRORS}) for at in report.studies),
        {"text": _otherwise(report), "sign": 0},
    ]


def _sentence(at: LabeledStudy, signs: Mapping[str, int]) -> dict[str, Any]:
    """What a user gets at one budget."""
    of = {metric: at.gain(metric) for metric in ERRORS}
    against = "" if at.rival(at.usable) == GENERALIST else f", against {at.rival(at.usable)}"
    n = of["mpjpe"].of.seeds
    seeds = counted(n, "seed") if n > 1 else "one seed, others may differ"
    effects = []
    for metric, estimate in of.items():
        doubts = doubt(estimate, signs[metric]).removeprefix(THESE_PEOPLE)  # the interval's brackets say so
        notes = "; ".join(filter(None, (doubts, doubts and estimate.needed)))
        effects.append(" ".join(filter(None, (metric_name(metric), *estimate.printed(), notes and f"({notes})"))))
    worse = sum(estimate.effect > WORSE for estimate in at.actions.values())
    return {
        "text": f"{at.study.title} ({at.named(at.usable)[0]}{against}): {', '.join(effects)}; {seeds}. MPJPE is "
        f"more than {WORSE:.0f} % higher in {worse} of {len(at.actions)} actions.",
        "sign": signs["mpjpe"],
    }


def _otherwise(report: LabelsReport) -> str:
    """What else could be told, in one sentence: the oracle's figures stand among others."""
    network = network_of(report.middle.usable)
    parts = []
    for variant in report.variants:
        own = variant.label in ("oracle", "none", "wrong_random") and network == replace(variant, label="")
        if own or not (variant.label or variant.mixture or variant == GENERALIST):
            studies = [at for at in report.studies if variant in at.variants]
            effects = [at.relative("mpjpe", variant).effect for at in studies]
            ends = dict.fromkeys(f"{end:+.1f}".replace("-", MINUS) for end in (min(effects), max(effects)))
            words = studies[0].named(variant)[1] if own else studies[0].words(variant)
            parts.append(f"{words}: {' to '.join(ends)}\N{NO-BREAK SPACE}%")
    return f"MPJPE against the generalist's, of “{network}” told something else, and of others: {'; '.join(parts)}."


def _glance(report: LabelsReport, metric: str, signs: Signs) -> dict[str, Any]:
    """Rows networks and what they are told, columns studies: differences to the generalist."""
    rows = []
    for variant in report.variants:
        cells = []
        for at in report.studies:
            if variant == GENERALIST:
                cells.append(_plain_cell(number(at.error(metric, variant), METRICS[metric])))
            elif variant in at.variants:
                sign = signs[at.study.name, metric, variant]
                cells.append(_effect_cell(at.relative(metric, variant), sign, bold=variant == at.usable))
            else:
                cells.append(_plain_cell(""))
        named = next(at for at in report.studies if variant in at.variants).named(variant)
        rows.append((*named, cells))
    return {"title": metric_name(metric), "unit": METRICS[metric].unit, "groups": _grouped(rows)}


def _unfinished(report: LabelsReport) -> list[str]:
    return [f"Not finished, so not shown: {', '.join(report.missing)}."] if report.missing else []


def _label_rows(at: LabeledStudy, signs: Signs) -> dict[str, Any]:
    """A study's table."""
    rows = []
    for variant in at.variants:
        cells, bold = [], variant == at.usable
        for metric in SHOWN:
            cells.append(_plain_cell(number(at.error(metric, variant), METRICS[metric]), bold=bold))
            if metric in ERRORS:
                of, sign = at.relative(metric, variant), signs.get((at.study.name, metric, variant), 0)
                cells.append(_plain_cell("") if variant == GENERALIST else _effect_cell(of, sign, bold=bold))
        rows.append((*at.named(variant), cells))
    return {"title": at.study.title, "groups": _grouped(rows)}


def _grouped(rows: Sequence[tuple[str, str, Any]]) -> dict[str, list[tuple[str, Any]]]:
    """Rows of cells by network, each with what it is told."""
    groups: dict[str, list[tuple[str, Any]]] = {}
    for network, told, cells in rows:
        groups.setdefault(network, []).append((told, cells))
    return groups


def _by_action(report: LabelsReport) -> dict[str, Any]:
    """Rows actions, columns studies: the usable variant's difference to the generalist."""
    found, signs = {at.study.name: at.actions for at in report.studies}, of_actions(report.studies)
    first = next(iter(found.values()))
    rows = [
        {"name": action, "cells": [_effect_cell(of[action], signs[name, action]) for name, of in found.items()]}
        for action in first
    ]
    return {"head": [at.study.name for at in report.studies], "rows": rows}


def _effect_cell(estimate: Estimate, sign: int, *, bold: bool = False) -> dict[str, Any]:
    effect, interval = estimate.printed()
    return {"text": effect, "bold": bold, "interval": interval, "judged": STYLES[sign]}


def _plain_cell(text: str, *, bold: bool = False) -> dict[str, Any]:
    return {"text": text, "bold": bold, "interval": "", "judged": ""}


def _entry(table: Table, only: str | None = None) -> dict[str, Any]:
    """A table for the page: of one study, or of all, which are then named in its first column."""
    cells, frame = table.cells(), table.frame
    kept = [c for c in frame.columns if c not in ("receptive field", "steps") and (c != "setting" or only is None)]
    if frame["network"].nunique() < 2:
        kept.remove("network")
    chosen = cells if only is None else cells[frame["setting"] == only]
    return {"title": table.title, "note": table.note, "head": kept, "rows": chosen[kept].to_numpy().tolist()}
