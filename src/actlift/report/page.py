"""One HTML file that tells a stranger what a study found, how sure that is, and how to do it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.evaluation.metrics import METRICS, Metric, mpjpe
from actlift.evaluation.scores import (
    GENERALIST,
    MEAN_OVER_ACTIONS,
    MEAN_OVER_FRAMES,
    Scores,
    Variant,
    seed_margin,
    whole_clips,
)
from actlift.files import render
from actlift.geometry.skeleton import Skeleton
from actlift.report import figures, tables
from actlift.report.results import is_experts
from actlift.report.words import counted, duration, printed, tail, variant_note
from actlift.study.about import About

HEADLINES = {"mpjpe": "Where joints are (position error, MPJPE)", "mpjve": "How they move (velocity error, MPJVE)"}


@dataclass(frozen=True, eq=False)
class ReportContext:
    """All that a page shows.

    Attributes:
        title: heading of the page.
        scores: of every variant and seed.
        arms: what the study says of its arms, by name.
        study: what to print under "How it was made", in this order: arms, seeds, budget matching, steps, split, corpus
            digest, commit, command ... Values may be nested lists and mappings.
        curves: (variant, table with columns step and loss).
        examples: mappings with `title`, `action`, `ground_truth` (j, 3) and `predictions`, a mapping from variant to
            (j, 3); camera coordinates in meters, each about its own root when drawn and measured.
        data_note: where the 2D keypoints come from; printed beside the verdict.
        skeleton: of the examples.
        runs: mappings with `variant`, `seed`, `folder`, `steps` and `seconds`.
        reference: the variant that all others are compared with.
        labels_page: address of the page on labels; "" where there is none.
    """

    title: str
    scores: Scores
    arms: Mapping[str, About]
    study: Mapping[str, Any]
    curves: Sequence[tuple[Variant, pd.DataFrame]]
    examples: Sequence[Mapping[str, Any]]
    data_note: str
    skeleton: Skeleton
    runs: Sequence[Mapping[str, Any]]
    reference: Variant = GENERALIST
    labels_page: str = ""


@dataclass(frozen=True)
class Verdict:
    """A sentence on one metric, and whether it decides which variant is best."""

    text: str
    decided: bool


def write_page(path: str | Path, context: ReportContext) -> None:
    """Write the report as one HTML file that needs no network.

    Raises:
        InputError: where the scores lack the reference, or arms were not scored on the same clips.
        OSError: where the file cannot be written; an older one is then left as it was.
    """
    write_report(Path(path), "page.html", _contents(context))


def write_report(path: Path, template: str, contents: Mapping[str, Any]) -> None:
    """Write what a template of this folder makes of its contents, whole or not at all.

    Raises OSError where the file cannot be written.
    """
    from markupsafe import Markup

    themes = {theme: Markup(figures.css_variables(theme)) for theme in ("light", "dark")}
    render(path, Path(__file__).with_name(template), {**themes, **contents})


def verdict(scores: Scores, metric: str, what: str, *, reference: Variant = GENERALIST) -> Verdict:
    """Say in one plain sentence which variant has the best mean over actions, by how much, and how sure that is.

    The best one is set against the reference (the reference, where it is itself the best, against the next best). It is
    decided only where the interval over clips excludes zero and, with several seeds each, the difference also exceeds
    what seeds explain (two-sided t test at 5 %). `what` begins the sentence: "Position (MPJPE)".
    """
    measure = METRICS[metric]
    column = tables.arms_table(scores, metric, reference=reference)[MEAN_OVER_ACTIONS]
    means: dict[Any, float] = column.sort_values(ascending=measure.better == "lower").to_dict()
    ranked = list(means)
    best = ranked[0]
    if len(ranked) == 1:
        return Verdict(
            f"{what}: {_quoted(best)} has {_amount(means[best], measure)}, and nothing to compare with.", False
        )
    rival = ranked[1] if best == reference else reference
    row = scores.compare(metric, best, rival).T[MEAN_OVER_ACTIONS]
    gap = abs(row["difference"])

    def size(difference: float) -> str:
        return f"{tables.signed(abs(difference), measure)[1:]}\N{NO-BREAK SPACE}{measure.unit}"

    way = "below" if measure.better == "lower" else "above"
    lead = (
        f"{_quoted(best)} is best with {_amount(means[best], measure)}, {size(gap)} "
        f"({100 * gap / means[rival]:.1f} %) {way} {_quoted(rival)}"
    )
    if np.isnan(row["low"]):
        return Verdict(f"{what}: undecided. {lead}, but with one clip per action there is no interval.", False)
    if row["low"] <= 0 <= row["high"]:
        ends = f"{tables.signed(row['low'], measure)} to {tables.signed(row['high'], measure)} {measure.unit}"
        return Verdict(f"{what}: undecided. {lead}, which may be chance (95 % interval {ends}).", False)

    near, far = sorted((row["low"], row["high"]), key=abs)
    ends = f"95 % interval {size(near)} to {size(far)} {way}"
    spread = scores.seed_spread(metric).loc[[best, rival]]
    margin = seed_margin(spread[MEAN_OVER_ACTIONS], spread["seeds"])
    if np.isnan(margin):
        return Verdict(f"{what}: {lead} ({ends}; trained with one seed, another may differ).", True)
    if gap < margin:
        return Verdict(f"{what}: undecided. {lead} ({ends}), but training with other seeds may undo it.", False)
    return Verdict(f"{what}: {lead} ({ends}).", True)


def _contents(context: ReportContext) -> dict[str, Any]:
    """Put what the template prints into words, every number of it."""
    from markupsafe import Markup

    scores, reference = context.scores, context.reference
    order = sorted(scores.metrics, key=lambda name: (name not in ("mpjpe", "mpjve"), list(METRICS).index(name)))
    variants = list(tables.arms_table(scores, order[0], reference=reference).index)
    sections = [_metric_section(scores, metric, reference) for metric in order]
    return {
        "title": context.title,
        "verdicts": [verdict(scores, m, what, reference=reference) for m, what in HEADLINES.items() if m in order],
        "data_note": context.data_note,
        "labels_page": context.labels_page,
        "cost": _cost(context.runs, variants),
        "evidence": evidence(scores, order[0], variants),
        "arms": [arm_entry(variant, context.arms, place) for place, variant in enumerate(variants)],
        "reference": reference,
        "sections": sections,
        "curves": Markup(figures.learning_curves(context.curves, variants)) if context.curves else "",
        "examples": [_example(example, context.skeleton) for example in context.examples],
        "study": [(key.replace("_", " "), printed(value)) for key, value in context.study.items()],
        "runs": [{**run, "steps": f"{run['steps']:,}", "duration": duration(run["seconds"])} for run in context.runs],
        "means": (MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES),
    }


def arm_entry(variant: Variant, arms: Mapping[str, About], place: int) -> dict[str, Any]:
    """Describe a variant as templates name it, with the place of its color."""
    rest = tail(variant)
    head, rest = (variant.arm, rest) if variant.matching else (str(variant), "")
    color = place % len(figures.ARM_COLORS)
    return {"name": str(variant), "head": head, "tail": rest, "place": color, "note": variant_note(variant, arms)}


def _metric_section(scores: Scores, metric: str, reference: Variant) -> dict[str, Any]:
    from markupsafe import Markup

    measure = METRICS[metric]
    table = tables.arms_table(scores, metric, reference=reference)
    compared = tables.comparisons(scores, metric, reference=reference)
    best = tables.best_cells(table, measure)
    clips = tables.clips_per_action(scores, metric)
    main = metric in ("mpjpe", "mpjve")

    def row(column: str) -> dict[str, Any]:
        cells = [
            {"text": tables.number(value, measure), "best": best[column].iloc[i]}
            for i, value in enumerate(table[column])
        ]
        against = [
            {
                "text": tables.signed(comparison.T[column]["difference"], measure),
                "interval": tables.interval(comparison.T[column], measure),
                "judgment": tables.judgment(comparison.T[column], measure),
            }
            for comparison in compared.values()
        ]
        return {"name": column, "clips": int(clips[column]), "cells": cells, "against": against}

    rows = [row(str(column)) for column in table.columns]
    return {
        "title": measure.title,
        "unit": measure.unit,
        "better": measure.better,
        "main": main,
        "rows": rows[:-2],
        "means": rows[-2:],
        "dots": Markup(figures.error_dots(table, metric)) if main else "",
        "differences": Markup(figures.difference_bars(table, compared, metric)) if main and compared else "",
    }


def evidence(scores: Scores, metric: str, variants: Sequence[Variant]) -> dict[str, Any]:
    """Tell how much data and how many seeds stand behind the numbers, and how far seeds spread."""
    rows = scores.table[scores.table["metric"] == metric]
    spread = scores.seed_spread(metric)
    seeds = sorted({int(n) for n in spread["seeds"]})
    return {
        "clips": counted(whole_clips(rows["clip"]).nunique(), "test clip"),
        "actions": counted(rows["action"].nunique(), "action"),
        "people": counted(rows["subject"].nunique(), "person", "people"),
        "cameras": counted(rows["camera"].nunique(), "camera"),
        "metric": METRICS[metric].title,
        "unit": METRICS[metric].unit,
        "seeds": f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else counted(seeds[0], "seed"),
        "of_arms": [
            {
                "seeds": counted(int(of["seeds"]), "seed"),
                "spread": "" if of["seeds"] < 2 else f"{of[MEAN_OVER_ACTIONS]:.2f}",
            }
            for of in map(spread.T.__getitem__, variants)
        ],
    }


def _cost(runs: Sequence[Mapping[str, Any]], variants: Sequence[Variant]) -> str:
    """What each variant's training took, all its networks together: nothing is said of equal error at unequal cost."""
    steps = {v: round(np.mean([run["steps"] for run in runs if run["variant"] == v] or [0])) for v in variants}
    amounts = sorted(set(steps.values()) - {0})
    named = (f"{n:,} steps for {', '.join(str(v) for v in variants if steps[v] == n)}" for n in amounts)
    return "; ".join(named)


def _example(example: Mapping[str, Any], skeleton: Skeleton) -> dict[str, Any]:
    from markupsafe import Markup

    ground_truth, predictions = example["ground_truth"], example["predictions"]
    reach_m = figures.reach(skeleton, [ground_truth, *predictions.values()])
    name = f"{example['title']}, {example['action']}"
    panels = [
        {
            "label": "ground truth",
            "error": "",
            "svg": Markup(figures.pose(skeleton, ground_truth, None, reach_m, f"{name}: ground truth")),
        }
    ]
    for variant, pred in predictions.items():
        errors = mpjpe((pred - pred[skeleton.root])[None], (ground_truth - ground_truth[skeleton.root])[None])
        svg = Markup(figures.pose(skeleton, ground_truth, pred, reach_m, f"{name}: {variant}"))
        panels.append({"label": str(variant), "error": f"{errors.mean() * METRICS['mpjpe'].scale:.0f} mm", "svg": svg})
    return {"title": example["title"], "action": example["action"], "panels": panels}


def _amount(value: float, measure: Metric) -> str:
    return f"{tables.number(value, measure)}\N{NO-BREAK SPACE}{measure.unit}"


def _quoted(variant: Variant) -> str:
    return f"“{variant}”" + (" (told the true action)" if is_experts(variant) else "")
