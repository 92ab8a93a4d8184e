"""Tables of what labels do: every label beside the others, single actions, regret, and what mistakes cost.

With e(a, b) the error on action a told b, and c(a, b) how often a is taken for b, a mistake costs c(a, b) (e(a, b) -
e(a, a)); the mean over actions of their sums is by how much the error under predicted labels should exceed that under
true ones. Where it does not, mistakes fall on clips that suffer more, or less, than others of their action.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from actlift.evaluation.scores import GENERALIST, MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES, Variant
from actlift.report.estimate import THESE_PEOPLE, Estimate, decided
from actlift.report.labels_results import SHOWN, UNKNOWN_ACTION, LabeledStudy
from actlift.report.table_files import Table
from actlift.report.words import ERRORS, metric_name

KEYS = ["setting", "receptive field", "steps", "network"]
TRUTH, NOTHING, SHARE = "told the truth (oracle)", "told nothing", "how often, %"
COSTLIEST = 10
OUTCOMES = {-1: "lower", 0: "undecided", 1: "higher"}


def to_generalist(studies: Sequence[LabeledStudy]) -> dict[tuple[str, str, Variant], int]:
    """By study, error and variant: -1 or 1 where the difference to the generalist is sure, corrected for all."""
    return decided(
        {
            (at.study.name, metric, variant): at.relative(metric, variant)
            for at in studies
            for variant in at.variants
            if variant != GENERALIST
            for metric in ERRORS
        }
    )


def of_actions(studies: Sequence[LabeledStudy]) -> dict[tuple[str, str], int]:
    """By study and action: -1 or 1 where the usable variant's gain in MPJPE is sure, corrected for all of them."""
    return decided({(at.study.name, action): of for at in studies for action, of in at.actions.items()})


def gains(studies: Sequence[LabeledStudy]) -> dict[tuple[str, str], int]:
    """By study and error: -1 or 1 where the usable variant's gain is sure, corrected for all of them."""
    return decided({(at.study.name, metric): at.gain(metric) for at in studies for metric in ERRORS})


def outcome(estimate: Estimate, sign: int) -> str:
    """Say "lower" or "higher", "undecided" or "these people only"."""
    return OUTCOMES[sign] if estimate.of.known else THESE_PEOPLE


def label_tables(studies: Sequence[LabeledStudy]) -> tuple[Table, ...]:
    """Make all tables of studies with labels; that of rounds where an action was recognized again in lifted poses."""
    pairs = pd.concat([_pairs(at, network) for at in studies for network in at.by_label], ignore_index=True)
    made = (
        _labels_table(studies),
        _actions_table(studies),
        _regret_table(pairs),
        _mistakes_table(pairs),
        _expected_table(studies, pairs),
        _recognizer_table(studies),
        _rounds_table(studies),
    )
    return tuple(table for table in made if len(table.frame))


def _pairs(at: LabeledStudy, network: Variant) -> pd.DataFrame:
    """A row for every true action and every action told."""
    errors, shares = at.by_label[network], at.confusion(network)
    rows = errors.rename_axis("true action").reset_index()
    rows = rows.melt(["true action", UNKNOWN_ACTION], list(shares.columns), "told", "MPJPE").rename(
        columns={UNKNOWN_ACTION: NOTHING}
    )
    told_right = rows[rows["true action"] == rows["told"]].set_index("true action")["MPJPE"]
    rows[TRUTH] = rows["true action"].map(told_right)
    rows["to told nothing, %"] = 100 * (rows["MPJPE"] / rows[NOTHING] - 1)
    rows[SHARE] = 100 * shares.to_numpy().T.ravel()  # column by column, as melted
    rows[KEYS] = [*_key_columns(at).values(), str(network)]
    return rows[[*KEYS, "true action", "told", "MPJPE", TRUTH, NOTHING, "to told nothing, %", SHARE]]


def _labels_table(studies: Sequence[LabeledStudy]) -> Table:
    rows = []
    signs = to_generalist(studies)
    for at in studies:
        for variant in at.variants:
            network, told = at.named(variant)
            row = {**_key_columns(at), "network": network, "told": told}
            for metric in SHOWN:
                name, of = metric_name(metric), at.relative(metric, variant)
                row[name] = at.error(metric, variant)
                if variant != GENERALIST and metric in ERRORS:
                    row |= {f"{name} difference, %": of.effect, f"{name} low": of.low, f"{name} high": of.high}
                    row[f"{name} is"] = outcome(of, signs[at.study.name, metric, variant])
            rows.append(row)
    frame = pd.DataFrame(rows)
    return Table(
        "labels",
        "Every network under every label, mean over people",
        "Differences are to the generalist, in % of its error, with their 95 % interval, Student's over people and "
        "seeds. Lower or higher: sure for people in general once corrected for all differences of this table (Holm). "
        "The true action is not known in use (oracle). MPJPE and N-MPJPE in mm, MPJVE in mm/frame.",
        frame.fillna({c: "" for c in frame if str(c).endswith(" is")}),
        5,
        {"MPJVE": 2},
    )


def _actions_table(studies: Sequence[LabeledStudy]) -> Table:
    signs = of_actions(studies)
    rows = [
        {
            **_key_columns(at),
            "told the recognized action": at.named(at.usable)[0],
            "against": str(at.rival(at.usable)),
            "action": action,
            "MPJPE": at.error("mpjpe", at.usable, action),
            "the other's": at.error("mpjpe", at.rival(at.usable), action),
            "difference, %": of.effect,
            "low": of.low,
            "high": of.high,
            "people": of.of.people,
            "is": outcome(of, signs[at.study.name, action]),
        }
        for at in studies
        for action, of in at.actions.items()
    ]
    return Table(
        "actions",
        "Every action: MPJPE of the network told the recognized action, against one told nothing",
        "In mm; differences in % of the other's, with 95 % intervals, Student's over the people who do the action. "
        "Lower or higher: sure for people in general once corrected for all differences of this table (Holm). Of the "
        "networks told and their mixtures, the one with the lowest MPJPE.",
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


def _expected_table(studies: Sequence[LabeledStudy], pairs: pd.DataFrame) -> Table:
    weighted = (pairs["MPJPE"] * pairs[SHARE] / 100).groupby([pairs["setting"], pairs["network"]]).sum()
    rows = [
        {
            **_key_columns(at),
            "network": str(network),
            NOTHING: at.error("mpjpe", replace(network, label="none"), MEAN_OVER_ACTIONS),
            TRUTH: at.error("mpjpe", replace(network, label="oracle"), MEAN_OVER_ACTIONS),
            "recognized, as expected": weighted[at.study.name, str(network)] / len(of_network),
            "recognized, as measured": at.error("mpjpe", replace(network, label="predicted"), MEAN_OVER_ACTIONS),
        }
        for at in studies
        for network, of_network in at.by_label.items()
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


def _recognizer_table(studies: Sequence[LabeledStudy]) -> Table:
    rows = []
    for at in studies:
        for network, notes in at.notes.items():
            rows.append(
                {
                    **_key_columns(at),
                    "network": str(network),
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


def _rounds_table(studies: Sequence[LabeledStudy]) -> Table:
    """Recognizing and lifting in turns, a row a round."""
    rows = []
    for at in studies:
        for network, notes in at.notes.items():
            seeds = [rounds for of in notes if len(rounds := of.get("rounds", ())) > 1]
            for number, of_seeds in enumerate(zip(*seeds, strict=True), 1):
                row = {**_key_columns(at), "network": str(network), "round": number, "seeds": len(of_seeds)}
                for metric in ERRORS:
                    for mean in (MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES):
                        row[f"{metric_name(metric)}, {mean}"] = float(np.mean([of[metric][mean] for of in of_seeds]))
                for what in ("frames", "clips"):
                    row[f"{what} right, %"] = 100 * float(np.mean([of[what] for of in of_seeds]))
                rows.append(row)
    frame = pd.DataFrame(rows)
    return Table(
        "rounds",
        "Recognizing and lifting in turns",
        "Means over seeds, on the test people. Round 1 is told the action recognized in the keypoints, every later "
        "round what is recognized in the keypoints and in the poses of the round before. A clip counts once for each "
        "camera that saw it. MPJPE in mm, MPJVE in mm/frame.",
        frame,
        5,
        {str(name): 2 for name in frame if str(name).startswith("MPJVE")},
    )


def _key_columns(at: LabeledStudy) -> dict[str, Any]:
    """What names a study in a row."""
    study = at.study
    return {"setting": study.name, "receptive field": study.receptive_field, "steps": study.steps}
