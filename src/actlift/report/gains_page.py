"""The page that sets every arm beside what controls it: ``gains.html`` of a study folder, and ``gains.csv``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from actlift.evaluation.intervals import people_needed
from actlift.evaluation.metrics import METRICS, Metric
from actlift.evaluation.scores import GENERALIST, Scores, Variant
from actlift.files import replacing
from actlift.report.estimate import Estimate, doubt, reach_note, whom
from actlift.report.figures import ARM_COLORS, INK, RULE, Panel, panel_svg
from actlift.report.gains import BASELINES, Gain, gains, unlearnt
from actlift.report.page import write_report
from actlift.report.results import StudyResults, controls_of
from actlift.report.study_page import data_note
from actlift.report.tables import number
from actlift.report.words import counted, variant_note
from actlift.study.about import About

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADLINES = {"mpjpe": "position error (MPJPE)", "mpjve": "velocity error (MPJVE)"}
EFFECTS = (5.0, 3.0, 2.0)  # %, for which people are counted


def write_gains_page(folder: Path) -> Path:
    """Write ``gains.html`` and ``gains.csv`` into a study folder, and give the page's path.

    Raises:
        MissingInputError: where the folder holds no finished study.
        OSError: where a file cannot be written.
    """
    study = StudyResults.open(folder.name, folder)
    scores = Scores.concat([part for part in (study.scores, study.smoothed) if len(part.table)])
    found = gains(scores, study.arms)
    with replacing(folder / "gains.csv") as beside:
        _table(found).to_csv(beside, index=False)
    path = folder / "gains.html"
    write_report(path, "gains.html", _contents(study, scores, found))
    return path


@dataclass(frozen=True)
class Answer:
    """What a page begins with.

    Attributes:
        sentences: and of each whether it is sure for people in general: -1 that some gain and none lose, 1 that some
            lose, else 0.
        told: the arms that know the action, told what users would know; by metric what each gains over its control.
    """

    sentences: tuple[tuple[str, int], ...]
    told: Mapping[str, tuple[Gain, ...]]


def answer(found: Sequence[Gain], arms: Mapping[str, About], still: set[Variant]) -> Answer:
    """Say what knowing the action is worth beyond controls, which arm errs least, and how many people it takes to tell.

    Args:
        found: of all variants.
        arms: what the study says of its arms.
        still: variants that have not learnt to lift, of which nothing is said.
    """
    usable = _as_used([of for of in found if of.control is not None and _knows(of.variant, arms)])
    told = {metric: tuple(of for of in usable if of.metric == metric) for metric in HEADLINES}
    said = [_worth(HEADLINES[metric], own, still) for metric, own in told.items() if own]
    errors = _as_used([of for of in found if of.metric == "mpjpe"])
    if said and errors:
        best = min(errors, key=lambda of: of.error)
        knows = "knows the action" if _knows(best.variant, arms) else "knows nothing of the action"
        said.append((f"The lowest position error of all has {best.variant} ({best.error:.1f} mm), which {knows}.", 0))
    spreads = [
        of.over_control.of.of_people * math.sqrt(of.over_control.of.people or 0)
        for of in told["mpjpe"]
        if of.over_control.of.known
    ]
    if spreads:
        typical = float(np.median(spreads))
        amounts = {effect: people_needed(effect, typical) for effect in EFFECTS}
        needed = ", ".join(f"{effect:g}\N{NO-BREAK SPACE}% takes {people:,}" for effect, people in amounts.items())
        differ = f"People differ by {typical:.1f} points in what knowing the action does to their position error"
        said.append((f"{differ}: to see (with a probability of 80 %) a difference of {needed} people.", 0))
    return Answer(tuple(said), told)


def _as_used(found: Sequence[Gain]) -> list[Gain]:
    """Of these the ones that users get: told what is recognized, and smoothed, as far as there are such."""
    told = "predicted" if any(of.variant.label == "predicted" for of in found) else "oracle"
    kept = [of for of in found if of.variant.label in ("", told)]
    return [of for of in kept if of.variant.smoothed] or kept


def _worth(what: str, told: Sequence[Gain], still: set[Variant]) -> tuple[str, int]:
    """What knowing the action is worth in one error."""
    learnt = [of for of in told if not {of.variant, of.control} & still]
    if not learnt:
        return f"{what[:1].upper()}{what[1:]}: nothing can be said, these networks have not learnt to lift.", 0
    known = f"{counted(len(learnt), 'arm')} that know the action"
    if not any(of.over_control.of.known for of in learnt):
        leading = sum(of.over_control.direction < 0 for of in learnt)
        below = f"{leading} of {known} are below the best of their controls"
        return f"{what[:1].upper()}{what[1:]}, these people only: {below}.", 0
    signs = [of.sure for of in learnt]
    better, worse = signs.count(-1), signs.count(1)
    verdict = (
        "knowing the action helps" if better and not worse else "no gain, and some lose" if worse and not better else ""
    )
    verdict = verdict or ("no gain is sure" if not better else "it depends on the arm")
    return (
        f"{what[:1].upper()}{what[1:]}: {verdict}. Of {known}, {better} "
        f"{'is' if better == 1 else 'are'} surely better than the best control, {worse} surely worse.",
        1 if worse else -min(better, 1),
    )


def _knows(variant: Variant, arms: Mapping[str, About]) -> bool:
    about = arms.get(variant.arm)
    return about is not None and not about.control and about.partition == "action"


def _contents(study: StudyResults, scores: Scores, found: Sequence[Gain]) -> dict[str, Any]:
    from markupsafe import Markup

    still = unlearnt(study.scores) | unlearnt(study.smoothed)
    order = _order(study.scores.variants, study.arms)
    metrics = [metric for metric in METRICS if any(of.metric == metric for of in found)]
    said = answer(found, study.arms, still)
    people, seeds = (int(scores.table[of].nunique()) for of in ("subject", "seed"))
    folds = study.about.get("folds")
    return {
        "title": "What is knowing the action worth, beside what else could explain it?",
        "sentences": [{"text": text, "sign": sign} for text, sign in said.sentences],
        "told": _told(said, still),
        "headlines": list(HEADLINES.values()),
        "reach": reach_note(people, seeds),
        "whom": whom(people),
        "data_note": data_note(study.about["provenance"]),
        "baselines": _baselines(found),
        "still": sorted({str(replace(variant, smoothed=False)) for variant in still}),
        "folds": "" if not folds else _folds_note(folds),
        "arms": [
            {
                "name": str(variant),
                "note": variant_note(variant, study.arms),
                "control": _is_control(variant, study.arms),
            }
            for variant, _ in order
        ],
        "tables": [_section(METRICS[metric], order, found, still) for metric in metrics],
        "figure": Markup(panel_svg(_people_panel(scores, order, study.arms))) if people > 1 else "",
        "study": [
            ("setting", study.title),
            ("seeds", ", ".join(map(str, study.about["plan"]["seeds"]))),
            ("command", study.about["command"]),
            ("commit", study.about["commit"]),
            ("corpus digest", study.about["fixed"]["corpus"]),
        ],
    }


def _told(said: Answer, still: set[Variant]) -> list[dict[str, Any]]:
    """Rows of arms that know the action: name, control, and in each error the gain over that and what it means."""
    by_arm: dict[Variant, dict[str, Gain]] = {}
    for metric, told in said.told.items():
        for of in told:
            by_arm.setdefault(of.variant, {})[metric] = of
    return [
        {
            "name": str(variant),
            "cells": [_meant(of[metric], METRICS[metric], still) if metric in of else None for metric in HEADLINES],
        }
        for variant, of in by_arm.items()
    ]


def _meant(gain: Gain, measure: Metric, still: set[Variant]) -> dict[str, Any]:
    half = _half(gain, measure, still)
    words = {"better": "better", "worse": "worse", "undecided": doubt(gain.over_control, 0)}[half["judged"]]
    if {gain.variant, gain.control} & still:
        words = "not learnt"
    return {"control": half["control"], "effect": half["beyond"], "judged": half["judged"], "words": words}


def _order(variants: Sequence[Variant], arms: Mapping[str, About]) -> list[tuple[Variant, bool]]:
    """Unsmoothed variants, each followed by those of its controls that did not stand yet, baselines last; and which of
    them stand there as a control."""
    found: dict[Variant, bool] = {}
    mains = [v for v in variants if not _is_control(v, arms)]
    for variant in mains:
        found.setdefault(variant, False)
        for control in controls_of(variant, arms, variants):
            found.setdefault(control, _is_control(control, arms))
    for variant in variants:
        found.setdefault(variant, True)
    return sorted(found.items(), key=lambda of: of[0].arm in BASELINES)


def _is_control(variant: Variant, arms: Mapping[str, About]) -> bool:
    about = arms.get(variant.arm)
    return about is not None and about.control


def _section(
    measure: Metric, order: Sequence[tuple[Variant, bool]], found: Sequence[Gain], still: set[Variant]
) -> dict[str, Any]:
    of = {gain.variant: gain for gain in found if gain.metric == measure.name}
    rows = []
    for variant, control in order:
        halves = [of.get(replace(variant, smoothed=smoothed)) for smoothed in (False, True)]
        if any(halves):
            rows.append(
                {
                    "name": str(variant),
                    "control": control,
                    "halves": [_half(gain, measure, still) for gain in halves],
                }
            )
    return {"title": measure.title, "unit": measure.unit, "better": measure.better, "rows": rows}


def _half(gain: Gain | None, measure: Metric, still: set[Variant]) -> dict[str, Any]:
    """The cells of a variant, as it is or smoothed."""
    if gain is None:
        return {"error": "", "over": ("", ""), "control": "", "beyond": ("", ""), "judged": "", "ahead": ""}
    good = -1 if measure.better == "lower" else 1
    sure = 0 if {gain.variant, gain.control} & still else gain.sure
    compared = gain.variant != replace(GENERALIST, smoothed=gain.variant.smoothed)
    return {
        "error": number(gain.error, measure),
        "over": gain.over_generalist.printed(),
        "control": "" if gain.control is None else str(replace(gain.control, smoothed=False)),
        "beyond": gain.over_control.printed(),
        "judged": "undecided" if not sure else "better" if sure == good else "worse",
        "ahead": f"{gain.ahead[0]} of {gain.ahead[1]}" if compared else "",
    }


def _baselines(found: Sequence[Gain]) -> str:
    """The errors of the baselines in words; "" where none was scored."""
    told = [
        f"{of.variant.arm} {number(of.error, METRICS['mpjpe'])} mm"
        for of in found
        if of.metric == "mpjpe" and of.variant.arm in BASELINES and not of.variant.smoothed
    ]
    return ", ".join(told)


def _folds_note(folds: Mapping[str, Any]) -> str:
    untested = folds["untested"]
    alone: dict[str, list[str]] = {}
    for action, person in folds["alone"].items():
        alone.setdefault(person, []).append(action)
    told = [
        f"Everybody is held out once, in {len(folds['people'])} folds, and scored by networks that saw nothing of them."
    ]
    if alone:
        listed = "; ".join(f"{person}: {', '.join(actions)}" for person, actions in sorted(alone.items()))
        told.append(
            f"{counted(len(folds['alone']), 'action')} that one person alone does are trained on and never scored "
            f"({listed})."
        )
    if untested:
        told.append(f"Never scored for that reason: {', '.join(untested)}.")
    told.append("Folds share most of their training people, which no interval can allow for in full.")
    return " ".join(told)


def _people_panel(scores: Scores, order: Sequence[tuple[Variant, bool]], arms: Mapping[str, About]) -> Panel:
    """Each person's error relative to the generalist's, smoothed where it was: arms that are no baselines."""
    smoothed = any(variant.smoothed for variant in scores.variants)
    of_people = scores.by_smoothing()[smoothed].per_person("mpjpe").T
    reference = of_people[replace(GENERALIST, smoothed=smoothed)]
    rows = {
        str(variant): 100 * (of_people[replace(variant, smoothed=smoothed)] / reference - 1)
        for variant, _ in order
        if variant != GENERALIST and variant.arm not in BASELINES
        and replace(variant, smoothed=smoothed) in of_people
    }  # fmt: skip
    controls = {str(variant) for variant, _ in order if _is_control(variant, arms)}
    title = f"MPJPE relative to the generalist's{', both smoothed' if smoothed else ''}: a dot for every person"
    return Panel(title, title, 9.0, 0.9 + 0.3 * len(rows), partial(_draw_people, rows=rows, controls=controls))


def _draw_people(axes: "Axes", *, rows: Mapping[str, pd.Series], controls: set[str]) -> None:
    for y, (name, values) in enumerate(rows.items()):
        color = ARM_COLORS[0 if name in controls else 1][0]
        axes.scatter(values, np.full(len(values), y), s=14, facecolor="none", edgecolor=color, linewidth=1)
        axes.vlines(float(values.mean()), y - 0.32, y + 0.32, color=color, linewidth=2.4)
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    reach = float(np.quantile(np.abs(np.concatenate([of.to_numpy() for of in rows.values()])), 0.98)) if rows else 1.0
    axes.set_xlim(-1.15 * reach, 1.15 * reach)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.tick_params(length=0)
    axes.set_xlabel("% of the generalist's error; the bar is the mean of people's; left is better")


def _table(found: Sequence[Gain]) -> pd.DataFrame:
    """All gains as a table, one row a variant and metric."""
    return pd.DataFrame([_row(of) for of in found])


def _row(of: Gain) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "arm": str(replace(of.variant, smoothed=False)),
        "smoothed": of.variant.smoothed,
        "metric": of.metric,
        "unit": METRICS[of.metric].unit,
        "error": of.error,
    }
    for name, estimate in (("generalist", of.over_generalist), ("control", of.over_control)):
        plain |= _interval(f"over {name}, %", estimate)
    return plain | {
        "control": "" if of.control is None else str(replace(of.control, smoothed=False)),
        "sure": of.sure,
        "people ahead": of.ahead[0],
        "people": of.ahead[1],
    }


def _interval(name: str, estimate: Estimate) -> dict[str, float]:
    known = not math.isnan(estimate.effect)
    return {
        name: estimate.effect,
        f"{name} low": estimate.low if known else math.nan,
        f"{name} high": estimate.high if known else math.nan,
    }
