"""One HTML file that tells a stranger what a study found, how sure that is, and how to do it again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.evaluation.metrics import METRICS, Metric, mpjpe
from actlift.evaluation.scores import (
    GENERALIST,
    MEAN_OVER_PEOPLE,
    MEANS,
    Scores,
    Variant,
    whole_clips,
)
from actlift.files import render
from actlift.geometry.skeleton import Skeleton
from actlift.report import figures, tables
from actlift.report.estimate import Estimate, decided, difference, doubt, reach_note
from actlift.report.gains import BASELINES, unlearnt
from actlift.report.results import controls_of, is_experts
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
        labels_page, gains_page: addresses of the pages on labels, and of arms beside their controls; "" where there
            is none.
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
    gains_page: str = ""


@dataclass(frozen=True)
class Verdict:
    """A sentence on one metric, and whether it decides, for people in general, which variant is best."""

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


@dataclass(frozen=True, eq=False)
class Comparisons:
    """All comparisons of one error that verdicts speak of: (variant, rival) -> variant minus rival, mean over people.

    means: of the variants, the best first. signs: what is sure (:func:`decided`).
    """

    measure: Metric
    means: Mapping[Variant, float]
    estimates: Mapping[tuple[Variant, Variant], Estimate]
    signs: Mapping[tuple[Variant, Variant], int]


def verdicts(
    scores: Scores, arms: Mapping[str, About], headlines: Mapping[str, str], *, reference: Variant = GENERALIST
) -> list[Verdict]:
    """Say in plain words, for each error, which variant is best in the mean over people, by how much, and how sure.

    The best one is set against the reference (the reference, where it is itself the best, against the next best) and
    against its controls. What is decided stays so once corrected (Holm) for all comparisons with the reference and with
    controls, in all of these errors. Baselines, and networks that do no better than these, are not among the best.

    Args:
        arms: what the study says of its arms, by name.
        headlines: by metric, the words that a verdict begins with: "Position (MPJPE)".
    """
    estimates: dict[tuple[str, Variant, Variant], Estimate] = {}
    means: dict[str, dict[Variant, float]] = {}
    left_out = {v for v in scores.variants if v.arm in BASELINES} | unlearnt(scores)
    if reference in left_out:
        return [
            Verdict(f"{what}: nothing can be said, “{reference}” has not learnt to lift.", False)
            for what in headlines.values()
        ]
    for metric in headlines:
        column = tables.arms_table(scores, metric, reference=reference)[MEAN_OVER_PEOPLE]
        column = column[[variant not in left_out for variant in column.index]]
        ranked = column.sort_values(ascending=METRICS[metric].better == "lower", kind="stable")
        means[metric] = dict(zip(ranked.index, ranked.to_list(), strict=True))
        samples = scores.variations(metric, list(ranked.index))
        for variant in means[metric]:
            for rival in (reference, *controls_of(variant, arms, means[metric])):
                if rival != variant:
                    estimates[metric, variant, rival] = difference(samples, variant, rival)
    signs = decided(estimates)
    found = []
    for metric, what in headlines.items():
        own = {key[1:]: estimate for key, estimate in estimates.items() if key[0] == metric}
        sure = {pair: signs[metric, *pair] for pair in own}
        found.append(_verdict(what, Comparisons(METRICS[metric], means[metric], own, sure), reference))
    return found


def _verdict(what: str, of: Comparisons, reference: Variant) -> Verdict:
    best, *others = of.means
    amount = _amount(of.means[best], of.measure)
    if not others:
        return Verdict(f"{what}: {_quoted(best)} has {amount}, and nothing to compare with.", False)
    rival = others[0] if best == reference else reference
    pair = (rival, best) if best == reference else (best, rival)
    estimate, sign = of.estimates[pair], of.signs[pair]
    way = "below" if of.measure.better == "lower" else "above"
    share = f"{100 * abs(estimate.effect) / of.means[rival]:.1f}\N{NO-BREAK SPACE}%"
    gap = f"{_size(estimate.effect, of.measure)} ({share})"
    lead = f"{_quoted(best)} is best with {amount}, {gap} {way} {_quoted(rival)}"
    trained = "; trained with one seed, another may differ" if estimate.of.seeds == 1 else ""
    if math.isnan(estimate.low):
        people = counted(estimate.of.people or 0, "person", "people")
        text = f"these people only. {lead}, in {people}: too few for people in general{trained}"
    elif sign:
        near, far = sorted((estimate.low, estimate.high), key=abs)
        text = f"{lead} (95 % interval {_size(near, of.measure)} to {_size(far, of.measure)} {way}{trained})"
    else:
        ends = f"{tables.signed(estimate.low, of.measure)} to {tables.signed(estimate.high, of.measure)}"
        notes = [f"95 % interval {ends} {of.measure.unit}{trained}", estimate.needed]
        among = " among so many comparisons" if estimate.low * estimate.high > 0 else ""
        text = f"undecided. {lead}, which may be chance{among} ({'; '.join(filter(None, notes))})"
    beside = [_beside(of, best, control) for variant, control in of.estimates if variant == best and control != rival]
    return Verdict(f"{what}: {'; '.join([text, *beside])}.", bool(sign))


def _beside(of: Comparisons, best: Variant, control: Variant) -> str:
    """What the best variant is against a control of its own."""
    estimate = of.estimates[best, control]
    words = f"{'below' if estimate.effect < 0 else 'above'} its control {_quoted(control)} by"
    doubts = doubt(estimate, of.signs[best, control])
    return f"{words} {_size(estimate.effect, of.measure)}{doubts and f' ({doubts})'}"


def _size(effect: float, measure: Metric) -> str:
    return f"{tables.signed(abs(effect), measure)[1:]}\N{NO-BREAK SPACE}{measure.unit}"


def _contents(context: ReportContext) -> dict[str, Any]:
    """Put what the template prints into words, every number of it."""
    from markupsafe import Markup

    scores, reference = context.scores, context.reference
    order = sorted(scores.metrics, key=lambda name: (name not in ("mpjpe", "mpjve"), list(METRICS).index(name)))
    variants = list(tables.arms_table(scores, order[0], reference=reference).index)
    sections = [_metric_section(scores, metric, reference) for metric in order]
    return {
        "title": context.title,
        "verdicts": verdicts(
            scores, context.arms, {m: what for m, what in HEADLINES.items() if m in order}, reference=reference
        ),
        "data_note": context.data_note,
        "labels_page": context.labels_page,
        "gains_page": context.gains_page,
        "cost": _cost(context.runs, variants),
        "evidence": evidence(scores, order[0], variants),
        "arms": [arm_entry(variant, context.arms, place) for place, variant in enumerate(variants)],
        "reference": reference,
        "sections": sections,
        "curves": Markup(figures.learning_curves(context.curves, variants)) if context.curves else "",
        "examples": [_example(example, context.skeleton) for example in context.examples],
        "study": [(key.replace("_", " "), printed(value)) for key, value in context.study.items()],
        "runs": [{**run, "steps": f"{run['steps']:,}", "duration": duration(run["seconds"])} for run in context.runs],
        "means": MEANS,
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
        "rows": rows[: -len(MEANS)],
        "means": rows[-len(MEANS) :],
        "dots": Markup(figures.error_dots(table, metric)) if main else "",
        "differences": Markup(figures.difference_bars(table, compared, metric)) if main and compared else "",
    }


def evidence(scores: Scores, metric: str, variants: Sequence[Variant]) -> dict[str, Any]:
    """Tell how much data and how many seeds stand behind the numbers, how far they reach, and how far seeds spread."""
    rows = scores.table[scores.table["metric"] == metric]
    spread = scores.seed_spread(metric)
    seeds = sorted({int(n) for n in spread["seeds"]})
    return {
        "clips": counted(whole_clips(rows["clip"]).nunique(), "test clip"),
        "actions": counted(rows["action"].nunique(), "action"),
        "people": counted(rows["subject"].nunique(), "person", "people"),
        "reach": reach_note(rows["subject"].nunique(), seeds[0]),
        "cameras": counted(rows["camera"].nunique(), "camera"),
        "metric": METRICS[metric].title,
        "unit": METRICS[metric].unit,
        "seeds": f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else counted(seeds[0], "seed"),
        "of_arms": [
            {
                "seeds": counted(int(of["seeds"]), "seed"),
                "spread": "" if of["seeds"] < 2 else f"{of[MEAN_OVER_PEOPLE]:.2f}",
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
