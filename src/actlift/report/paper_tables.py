"""A suite's tables: the paper's (I to IV), and what is ours beside them.

The paper's: errors per action (I: MPJPE, II: MPJVE), what training costs and its time-precision rate (III, formulas 4
and 5), errors along training (IV). Ours: P-MPJPE and N-MPJPE in the same layout, every variant's difference to the
generalist with its interval, and that difference taken apart into scale, rotation and pose.
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import (
    GENERALIST,
    MEAN_OVER_ACTIONS,
    MEAN_OVER_FRAMES,
    MEAN_OVER_PEOPLE,
    Variant,
)
from actlift.files import read_json
from actlift.report.audit import PAPER
from actlift.report.estimate import THESE_PEOPLE, decided, relative_error
from actlift.report.gains import unlearnt
from actlift.report.results import ALL, ONE, StudyResults, Suite, is_experts, is_main
from actlift.report.table_files import Table
from actlift.report.tables import arms_table, decimals
from actlift.report.words import ERRORS
from actlift.training.budget import regulated_error, time_precision_rate

PAPER_TABLES = {"mpjpe": "table1", "p_mpjpe": "table1_p", "n_mpjpe": "table1_n", "mpjve": "table2"}
MODEL, UNDECIDED, NOT_LEARNT = "model", "undecided", "not learnt"
SHARES = (0.5, 1.0)  # of the budget, at which Table III has costs
KEYS = 5  # columns that name a study in a row


def suite_tables(suite: Suite) -> dict[str, Table]:
    """All tables of a suite by name; those that its scores and curves have nothing for are left out."""
    made = [errors_table(suite, metric) for metric in PAPER_TABLES]
    made += [differences_table(suite), cost_table(suite), costs_beside_paper(suite), rates_table(suite)]
    made += [curve_table(suite), decomposition_table(suite)]
    return {table.name: table for table in made if len(table.frame)}


def errors_table(suite: Suite, metric: str) -> Table:
    """Tables I and II: a row per setting and model; columns actions, the mean over actions and over frames."""
    measure = METRICS[metric]
    parts, bold = [], []
    for study in suite.studies:
        if metric in study.scores.metrics:
            table = arms_table(study.scores, metric)
            printed = table.round(decimals(measure))
            better = printed.lt(printed.iloc[0], axis="columns")  # the generalist's row
            better.iloc[0] = ~better.any()
            parts.append(_placed(study, table.rename_axis(MODEL).reset_index()))
            bold.append(better)
    frame = _joined(parts)
    labels = _labels(frame)
    marks = pd.concat(bold, ignore_index=True).reindex(columns=frame.columns, fill_value=False) if bold else None
    number = {"mpjpe": "Table I", "mpjve": "Table II"}.get(metric, "Table I")
    return Table(
        PAPER_TABLES[metric],
        f"{number}: {measure.title}, {measure.unit}",
        f"Lower is better. Bold: a model better than its setting's generalist, and the generalist where none is. "
        f"“{MEAN_OVER_ACTIONS}” weighs every action alike, “{MEAN_OVER_FRAMES}” every frame, “{MEAN_OVER_PEOPLE}” "
        "every person.",
        frame,
        labels,
        dict.fromkeys(frame.columns[labels:], decimals(measure)),
        marks,
    )


def differences(suite: Suite) -> pd.DataFrame:
    """Every variant's difference to the generalist in % of the generalist's mean over people.

    A row for each study, metric and variant: `estimate`, its numbers, and `better`: a variant where that is sure for
    people in general once corrected for all of these rows (Holm), else "undecided" or "these people only"; "not learnt"
    of networks that do no better than the nearest training pose (:func:`actlift.report.gains.unlearnt`).
    """
    rows = []
    for study in suite.studies:
        still = unlearnt(study.scores)
        for metric in (m for m in ERRORS if m in study.scores.metrics):
            variants = list(arms_table(study.scores, metric).index)
            samples = study.scores.variations(metric, variants)
            mean = {variant: averages.loc["data", MEAN_OVER_PEOPLE] for variant, averages in samples.averages.items()}
            for variant in variants[1:]:
                relative = relative_error(samples, variant)
                rows.append(
                    {
                        **_key_columns(study),
                        MODEL: variant,
                        "metric": metric.upper(),
                        "error": mean[variant],
                        "generalist's": mean[GENERALIST],
                        "difference, %": relative.effect,
                        "low": relative.low,
                        "high": relative.high,
                        "people": relative.of.people,
                        "seeds": relative.of.seeds,
                        "estimate": relative,
                        "still": bool({variant, GENERALIST} & still),
                    }
                )
    signs = decided({place: row["estimate"] for place, row in enumerate(rows)})
    for place, row in enumerate(rows):
        unsure = UNDECIDED if row["estimate"].of.known else THESE_PEOPLE
        sure = {-1: row[MODEL], 0: unsure, 1: GENERALIST}[signs[place]]
        row["better"] = NOT_LEARNT if row.pop("still") else sure
    return _joined([pd.DataFrame(rows)])


def differences_table(suite: Suite) -> Table:
    """Every variant's difference to the generalist, with its 95 % interval (see `differences`)."""
    frame = differences(suite).drop(columns="estimate", errors="ignore")
    return Table(
        "differences",
        "Differences to the generalist, mean over people",
        "Below 0 the model is better than the generalist. Low and high: 95 % interval, Student's over people and "
        "seeds. Better: what is sure for people in general once corrected for all rows (Holm); nothing is said of "
        "networks that do no better than the nearest training pose. MPJPE in mm, MPJVE in mm/frame.",
        frame,
        _labels(frame, "metric"),
        {"error": 2, "generalist's": 2},
    )


def cost_table(suite: Suite) -> Table:
    """Table III: what training took, at half and at all of the budget, of all networks together and of one.

    Seconds of a run are shared by its networks, which train side by side, by their optimizer steps. All values are
    means over seeds.
    """
    rows = []
    for study in suite.studies:
        for variant in study.scores.variants:
            for share in SHARES:
                errors = {
                    metric.upper() + of: study.error_at(metric, variant, share, action=action)
                    for action, of in ((MEAN_OVER_ACTIONS, ""), (suite.focus, f", {suite.focus}"))
                    for metric in ERRORS
                }
                if any(map(math.isnan, errors.values())):  # there are no curves
                    continue
                for counted, networks in _ways(study, variant, suite.focus).items():
                    cost = study.cost_at(variant, share, networks=networks)
                    rows.append(
                        {
                            **_key_columns(study),
                            MODEL: variant,
                            "share of budget": share,
                            "counted": counted,
                            "wall s": cost.seconds,
                            "CPU s": cost.cpu_seconds,
                            "steps": cost.steps,
                            "frames": cost.frames,
                            **errors,
                        }
                    )
    frame = _joined([pd.DataFrame(rows)])
    return Table(
        "table3",
        "Table III: cost of training, and the errors it buys",
        "Means over seeds. Seconds by the clock and of all threads, evaluation left out; networks of a model train "
        "side by side, and one's part of the seconds is that of its steps. Training frames are counted once each. "
        "Errors are those of the whole model; at half the budget from the curves on the test people, which choose "
        "nothing.",
        frame,
        _labels(frame, "counted"),
        {name: 2 if name.startswith("MPJVE") else 0 for name in frame.columns if not name.startswith("MPJPE")}
        | {"share of budget": 1, "wall s": 1, "CPU s": 1},
    )


def costs_beside_paper(suite: Suite) -> Table:
    """Table III against the paper's: what experts cost and err at half and at all of the budget, in % of the
    generalist's there.

    The paper prints one expert's cost; that of all is worked out as so many times as much.
    """
    printed = _printed_costs()
    rows = []
    for study in suite.studies:
        for variant in filter(is_experts, study.scores.variants):
            for share in SHARES:
                errors = {m: [study.error_at(m, of, share) for of in (variant, GENERALIST)] for m in ERRORS}
                if any(map(math.isnan, (value for pair in errors.values() for value in pair))):  # there are no curves
                    continue
                whole = study.cost_at(GENERALIST, share).seconds
                for counted, networks in _ways(study, variant, suite.focus).items():
                    mine = study.cost_at(variant, share, networks=networks).seconds
                    theirs = {suite.focus: "one", ALL: "all"}.get(networks)
                    rows.append(
                        {
                            **_key_columns(study),
                            MODEL: variant,
                            "share of budget": share,
                            "counted": counted,
                            "cost, %": 100 * mine / whole,
                            "the paper's cost, %": printed[share][theirs] if theirs else np.nan,
                            **{
                                name: value
                                for metric, (own, general) in errors.items()
                                for name, value in (
                                    (f"{metric.upper()}, %", 100 * own / general),
                                    (f"the paper's {metric.upper()}, %", printed[share][metric]),
                                )
                            },
                        }
                    )
    frame = _joined([pd.DataFrame(rows)])
    return Table(
        "table3_paper",
        "Table III beside the paper's: experts in % of the generalist",
        "Cost: seconds of training by the clock. The paper's is of one expert, that of Eating, seeing 243 frames, "
        f"beside the whole generalist, at 40 and 80 of its epochs; here {suite.focus} stands for it. For all experts "
        "the paper prints no cost: 15 times that of one, if each costs as much. Its MPJVE at the end is not the mean "
        "of its cells, which give 100.3 %.",
        frame,
        _labels(frame, "counted"),
        {"share of budget": 1},
    )


def _printed_costs() -> dict[float, dict[str, float]]:
    """By share of the training: the experts' figures in Table III as printed, in % of the generalist's; the cost of
    "one" and of "all"."""
    rows = read_json(PAPER)["costs"]["rows"]
    last = max(row["epochs"] for row in rows)
    found: dict[float, dict[str, float]] = {}
    for share in SHARES:
        of = {row["model"]: row for row in rows if row["epochs"] == share * last}
        mine, general = of["experts"], of["generalist"]
        one = 100 * mine["cost_s"] / general["cost_s"]
        errors = {metric: 100 * mine[metric] / general[metric] for metric in ERRORS}
        found[share] = {"one": one, "all": one * mine["networks"] / mine["networks_in_cost"], **errors}
    return found


def rates_table(suite: Suite) -> Table:
    """Table III, continued: time-precision rates (formulas 4, 5, k = 1.2), each model beside the generalist."""
    rows = []
    for study in suite.studies:
        for variant in (v for v in study.scores.variants if v != GENERALIST):
            for metric in ERRORS:
                halfway = [study.error_at(metric, a, 0.5) for a in (GENERALIST, variant)]
                if any(map(math.isnan, halfway)):  # there are no curves
                    continue
                regulated = regulated_error(halfway)
                generalist = _rate(study, metric, GENERALIST, regulated)
                for counted, networks in _ways(study, variant, suite.focus).items():
                    rate = _rate(study, metric, variant, regulated, networks)
                    rows.append(
                        {
                            **_key_columns(study),
                            MODEL: variant,
                            "metric": metric.upper(),
                            "counted": counted,
                            "regulated error": regulated,
                            "rate": rate,
                            "generalist's rate": generalist,
                            "difference, %": 100 * (rate / generalist - 1) if generalist > 0 else np.nan,
                        }
                    )
    frame = _joined([pd.DataFrame(rows)])
    return Table(
        "table3_rates",
        "Table III, continued: time-precision rate",
        "The regulated error is 1.2 times the mean of both models' errors at half the budget (formula 4); the rate is "
        "by how much the final error lies below it, per second of training by the clock (formula 5). The paper counts "
        "one expert's seconds against the whole generalist's; all networks together is what one pays for all actions.",
        frame,
        _labels(frame, "counted"),
        {"rate": 5, "generalist's rate": 5, "regulated error": 2},
    )


def curve_table(suite: Suite) -> Table:
    """Table IV: MPJPE of generalist and experts by share of the budget, mean over actions and of the focus action."""
    parts = []
    for study in suite.studies:
        points = curve_points(study, "mpjpe", suite.focus)
        points = points[points["variant"].map(is_main).astype(bool)]
        if len(points):
            points["column"] = points["variant"].map(str) + ", " + points["of"]
            wide = points.groupby(["share", "column"], sort=False)["value"].mean().unstack("column")
            wide = wide[list(points["column"].unique())].rename_axis("share of budget").rename_axis(columns=None)
            parts.append(_placed(study, wide.reset_index()))
    frame = _joined(parts)
    return Table(
        "table4",
        "Table IV: MPJPE along training, mm",
        "Means over seeds, on the test people: these curves choose nothing.",
        frame,
        _labels(frame, "share of budget"),
        {"share of budget": 2},
    )


def decomposition_table(suite: Suite) -> Table:
    """By how much the generalist's error is exceeded, by action: scale + rotation + pose = MPJPE difference, in mm."""
    parts = []
    for study in suite.studies:
        if not {"mpjpe", "n_mpjpe", "p_mpjpe"} <= set(study.scores.metrics):
            continue
        whole, unscaled, posed = (arms_table(study.scores, m) for m in ("mpjpe", "n_mpjpe", "p_mpjpe"))
        pieces = {"MPJPE": whole, "scale": whole - unscaled, "rotation": unscaled - posed, "pose": posed}
        for variant in whole.index[1:]:
            shown = pd.DataFrame({name: table.T[variant] - table.T[GENERALIST] for name, table in pieces.items()})
            shown = shown.rename_axis("action").reset_index()
            shown.insert(0, MODEL, variant)
            parts.append(_placed(study, shown))
    frame = _joined(parts)
    return Table(
        "decomposition",
        "Where the difference to the generalist lies, mm",
        "Positive: the generalist is better. Scale: what one factor per frame takes away (MPJPE - N-MPJPE). Rotation: "
        "what turning the pose takes away besides (N-MPJPE - P-MPJPE), a shift about the pose's center with it. Pose: "
        "what remains (P-MPJPE). The three add up to the difference in MPJPE. Where the root stands is in none of "
        "them: poses are relative to it.",
        frame,
        _labels(frame, "action"),
        dict.fromkeys(frame.columns, 2),
    )


def curve_points(study: StudyResults, metric: str, focus: str) -> pd.DataFrame:
    """Errors along training: variant, seed, share (of the budget, to 1 / snapshots), of (mean or focus), value."""
    curves = study.curves[study.curves["metric"] == metric]
    times = int(study.about["plan"]["snapshots"]) or 1
    curves = curves.assign(share=np.floor(curves["progress"].astype(float) * times + 1e-9) / times)
    keys = ["variant", "seed", "share"]
    of_all = curves.groupby(keys, sort=False)["value"].mean().reset_index().assign(of=MEAN_OVER_ACTIONS)
    of_one = curves[curves["action"] == focus][[*keys, "value"]].assign(of=focus)
    return pd.concat([of_all, of_one], ignore_index=True)[[*keys, "of", "value"]]


def printed_table(number: str) -> Table:
    """A table of the paper as printed ("I" or "II"), on Human3.6M."""
    paper = read_json(PAPER)
    (found,) = (table for table in paper["tables"] if table["id"] == number)
    rows = [
        {
            "receptive field": "" if row["receptive_field"] is None else str(row["receptive_field"]),
            "unit epochs": "" if row["unit_epochs"] is None else f"{row['unit_epochs']:,}",
            MODEL: row["model"],
            "source": row["source"],
            **row["per_action"],
            "average": row["average"],
        }
        for row in found["rows"]
    ]
    return Table(
        f"printed{number}",
        f"Table {number} as the paper has it (Human3.6M): {found['title'].lower()}, {found['unit']}",
        "Source “log”: the authors' training logs, where they differ from what is printed. Another data set, another "
        "2D detector and larger networks: set the signs of differences beside ours, not the values.",
        pd.DataFrame(rows),
        4,
        {} if found["metric"] == "mpjpe" else dict.fromkeys(paper["actions"] + ["average"], 2),
    )


def _key_columns(study: StudyResults) -> dict[str, Any]:
    """What names a study in a row."""
    return {  # KEYS of them
        "setting": study.name,
        "receptive field": study.receptive_field,
        "generalist's epochs": study.about["plan"]["epochs"],
        "training frames": study.frames,
        "generalist's steps": study.steps,
    }


def _placed(study: StudyResults, table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([pd.DataFrame([_key_columns(study)] * len(table), index=table.index), table], axis="columns")


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One below the other, without the columns that name nothing."""
    if not parts:
        return pd.DataFrame()
    frame = pd.concat(parts, ignore_index=True)
    return frame.drop(columns=[name for name in frame.columns[:KEYS] if frame[name].isna().all()])


def _labels(frame: pd.DataFrame, last: str = MODEL) -> int:
    """How many columns there are up to the one named."""
    return list(frame.columns).index(last) + 1 if len(frame) else 0


def _ways(study: StudyResults, variant: Variant, focus: str) -> dict[str, str]:
    """The ways of counting a variant's cost: how the table calls them, and how `StudyResults.cost_at` does; none where
    it was trained for another arm, or not at all."""
    costs = study.costs_of(variant)
    if not costs:
        return {}
    first = costs[0]
    count = len(first.steps)
    if count == 1:
        return {"its one network": ALL}
    of_focus = {f"one network, {focus}": focus} if focus in first.steps else {}
    return {f"all {count} networks": ALL, "one network, mean": ONE, **of_focus}


def _rate(study: StudyResults, metric: str, variant: Variant, regulated: float, networks: str = ALL) -> float:
    seconds = study.cost_at(variant, networks=networks).seconds
    return time_precision_rate(regulated, study.error_at(metric, variant), seconds)
