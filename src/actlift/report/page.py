"""One HTML file that tells a stranger what a study found, how sure that is, and how to do it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.evaluation.metrics import METRICS, Metric, mpjpe
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES, Scores, seed_margin, whole_clips
from actlift.files import replacing
from actlift.geometry.skeleton import Skeleton
from actlift.report import figures, tables

ARMS = {
    "generalist": "one network for all actions",
    "experts": "one network per action; the true action is known (oracle)",
    "random-experts": "control: one network per random part of the clips, as many and as large as the actions",
    "cluster-experts": "control: one network per cluster of similar poses",
    "conditioned": "one network for all actions that is told which it is",
    "conditioned, mixture": "mean of the conditioned network's poses told and untold, or untold where in doubt",
    "finished": "the generalist, the last part of its training in evaluation mode",
    "finished, mixture": "mean of the poses of the finished network and of the one it began from",
    "finished-conditioned": "the network that is told the action, the last part of its training in evaluation mode",
    "finished-conditioned, mixture": "mean of that network's poses told and untold, untold where in doubt",
    "specialised": "a network that is told the action, and a copy of it for every action, finished on that",
    "specialised, mixture": "mean of the poses of the action's copy and of the untold network, untold where in doubt",
    "random-specialised": "control: the same for random parts of the clips, as large as the actions",
    "random-specialised, mixture": "control: mean of the poses of the random part's copy and of the untold network",
    "random-conditioned": "control: one network that is told a random part of the clips, as large as the action",
    "cluster-conditioned": "control: one network that is told the cluster of similar poses",
}
LABELS = {
    "oracle label": "the true action is known (oracle)",
    "predicted label": "the action is recognized in the 2D keypoints",
    "no label": "no action is told",
    "wrong label, at random": "a wrong action is told, on average over all of them",
    "wrong label, the worst": "the wrong action that hurts most is told",
}
HEADLINES = {"mpjpe": "Where joints are (position error, MPJPE)", "mpjve": "How they move (velocity error, MPJVE)"}
EQUALITIES = {
    "pooled": "all its networks together train for as many steps as the generalist",
    "each": "each of its networks trains for as many steps as the generalist",
    "frames": "each of its networks sees as many training frames as the generalist",
    "epochs": "each of its networks passes over its own data until it has seen about as many windows as the generalist",
}


@dataclass(frozen=True, eq=False)
class ReportContext:
    """All that a page shows.

    Attributes:
        title: heading of the page.
        scores: of every arm and seed; arms named like "generalist", "experts", "experts (pooled)".
        study: what to print under "How it was made", in this order: arms, seeds, equality, steps, split, corpus
            digest, commit, command ... Values may be nested lists and mappings.
        curves: (label, table with columns step and loss); a label that is an arm's name takes the arm's color.
        examples: mappings with `title`, `action`, `truth` (j, 3) and `predictions`, a mapping from arm to (j, 3);
            camera coordinates in meters, each about its own root when drawn and measured.
        data_note: where the 2D keypoints come from; printed beside the verdict.
        skeleton: of the examples.
        runs: mappings with `arm`, `seed`, `folder`, `steps` and `seconds`.
        reference: the arm that all others are compared with.
        labels_page: address of the page on labels; "" where there is none.
    """

    title: str
    scores: Scores
    study: Mapping[str, Any]
    curves: Sequence[tuple[str, pd.DataFrame]]
    examples: Sequence[Mapping[str, Any]]
    data_note: str
    skeleton: Skeleton
    runs: Sequence[Mapping[str, Any]]
    reference: str = "generalist"
    labels_page: str = ""


@dataclass(frozen=True)
class Verdict:
    """A sentence on one metric, and whether it names a winner."""

    text: str
    decided: bool


def write_page(path: str | Path, context: ReportContext) -> None:
    """Write the report as one HTML file that needs no network.

    Raises:
        ValueError: where the scores lack the reference, or arms were not scored on the same clips.
        OSError: where the file cannot be written; an older one is then left as it was.
    """
    render(Path(path), "page.html", _contents(context))


def render(path: Path, template: str, contents: Mapping[str, Any]) -> None:
    """Write what a template of this folder makes of its contents, whole or not at all.

    Raises OSError where the file cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    themes = {theme: Markup(figures.css_variables(theme)) for theme in ("light", "dark")}
    html = environment.get_template(template).render({**themes, **contents})
    with replacing(path) as beside:
        beside.write_text(html, encoding="utf-8")


def verdict(scores: Scores, metric: str, what: str, *, reference: str = "generalist") -> Verdict:
    """One plain sentence: which arm has the best mean over actions, by how much, and how sure that is.

    The best arm is set against the reference (the reference, where it is itself the best, against the next best). It is
    decided only where the interval over clips excludes zero and, with several seeds each, the difference also exceeds
    what seeds explain (two-sided t test at 5 %). `what` begins the sentence: "Position (MPJPE)".
    """
    measure = METRICS[metric]
    means = tables.arms_table(scores, metric, reference=reference)[MEAN_OVER_ACTIONS]
    ranked = list(means.sort_values(ascending=measure.better == "lower").index)
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


def arm_note(arm: str) -> str:
    """What an arm is, in words, from its name, the equality in brackets and the label behind a colon; "" if it is none
    of ours."""
    arm, _, label = arm.partition(": ")
    name, _, equality = arm.partition(" (")
    equality, _, kind = equality.partition(")")
    notes = [ARMS.get(name + kind, ARMS.get(name, "")), LABELS.get(label, ""), EQUALITIES.get(equality, "")]
    return "; ".join(note for note in notes if note)


def _contents(context: ReportContext) -> dict[str, Any]:
    """What the template prints, every number already in words."""
    from markupsafe import Markup

    scores, reference = context.scores, context.reference
    order = sorted(scores.metrics, key=lambda name: (name not in ("mpjpe", "mpjve"), list(METRICS).index(name)))
    arms = list(tables.arms_table(scores, order[0], reference=reference).index)
    sections = [_metric_section(scores, metric, reference) for metric in order]
    return {
        "title": context.title,
        "verdicts": [verdict(scores, m, what, reference=reference) for m, what in HEADLINES.items() if m in order],
        "data_note": context.data_note,
        "labels_page": context.labels_page,
        "cost": _cost(context.runs, arms),
        "evidence": evidence(scores, order[0], arms),
        "arms": [arm_entry(arm, place) for place, arm in enumerate(arms)],
        "reference": reference,
        "sections": sections,
        "curves": Markup(figures.learning_curves(context.curves, arms)) if context.curves else "",
        "examples": [_example(example, context.skeleton) for example in context.examples],
        "study": [(key.replace("_", " "), printed(value)) for key, value in context.study.items()],
        "runs": [{**run, "steps": f"{run['steps']:,}", "duration": duration(run["seconds"])} for run in context.runs],
        "means": (MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES),
    }


def arm_entry(arm: str, place: int) -> dict[str, Any]:
    """An arm as templates name it, with the place of its color."""
    head, bracket, tail = arm.partition(" (")
    color = place % len(figures.ARM_COLORS)
    return {"name": arm, "head": head, "tail": bracket + tail, "place": color, "note": arm_note(arm)}


def _metric_section(scores: Scores, metric: str, reference: str) -> dict[str, Any]:
    from markupsafe import Markup

    measure = METRICS[metric]
    table = tables.arms_table(scores, metric, reference=reference)
    compared = tables.comparisons(scores, metric, reference=reference)
    best = tables.best_cells(table, measure)
    clips = tables.clips_per_action(scores, metric)
    main = metric in ("mpjpe", "mpjve")

    def row(column: str) -> dict[str, Any]:
        cells = [
            {"text": tables.number(table.loc[a, column], measure), "best": best.loc[a, column]} for a in table.index
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


def evidence(scores: Scores, metric: str, arms: Sequence[str]) -> dict[str, Any]:
    """How much data and how many seeds stand behind the numbers, and how far seeds spread."""
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
                "seeds": counted(int(spread["seeds"][arm]), "seed"),
                "spread": "" if spread["seeds"][arm] < 2 else f"{spread[MEAN_OVER_ACTIONS][arm]:.2f}",
            }
            for arm in arms
        ],
    }


def _cost(runs: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> str:
    """What each arm's training took, all its networks together: nothing is said of equal error at unequal cost."""
    steps = {arm: round(np.mean([run["steps"] for run in runs if run["arm"] == arm] or [0])) for arm in arms}
    amounts = sorted(set(steps.values()) - {0})
    named = (f"{n:,} steps for {', '.join(arm for arm in arms if steps[arm] == n)}" for n in amounts)
    return "; ".join(named)


def _example(example: Mapping[str, Any], skeleton: Skeleton) -> dict[str, Any]:
    from markupsafe import Markup

    truth, predictions = example["truth"], example["predictions"]
    reach_m = figures.reach(skeleton, [truth, *predictions.values()])
    name = f"{example['title']}, {example['action']}"
    panels = [
        {"label": "truth", "error": "", "svg": Markup(figures.pose(skeleton, truth, None, reach_m, f"{name}: truth"))}
    ]
    for arm, pred in predictions.items():
        errors = mpjpe((pred - pred[skeleton.root])[None], (truth - truth[skeleton.root])[None])
        svg = Markup(figures.pose(skeleton, truth, pred, reach_m, f"{name}: {arm}"))
        panels.append({"label": arm, "error": f"{errors.mean() * METRICS['mpjpe'].scale:.0f} mm", "svg": svg})
    return {"title": example["title"], "action": example["action"], "panels": panels}


def printed(value: object) -> str:
    """A value of a study as words; nested lists and mappings in one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {printed(entry)}" for key, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(printed(entry) for entry in value)
    return (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000 else str(value)
    )


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what it counts."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _amount(value: float, measure: Metric) -> str:
    return f"{tables.number(value, measure)}\N{NO-BREAK SPACE}{measure.unit}"


def _quoted(arm: str) -> str:
    return f"“{arm}”" + (" (told the true action)" if arm.partition(" (")[0] == "experts" else "")
