"""What arms gain beyond their controls: with planted errors, in numbers, in words and on the page."""

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.suites import make_suite

from actlift.evaluation.scores import GENERALIST, Scores, Variant
from actlift.report.gains import Gain, gains, unlearnt
from actlift.report.gains_page import Answer, answer, write_gains_page
from actlift.report.results import StudyResults, controls_of
from actlift.study.about import ABOUT

CONDITIONED = Variant("conditioned", label="predicted")
MIXED = replace(CONDITIONED, mixture=True)
RANDOM, CLUSTER, PAIR = Variant("random-conditioned"), Variant("cluster-conditioned"), Variant("ensemble-2")
CONSTANT, NEAREST = Variant("constant-pose"), Variant("nearest-pose")
VARIANTS = (CONDITIONED, MIXED, RANDOM, CLUSTER, PAIR, CONSTANT, NEAREST)
USUAL = {"constant-pose": 4.0, "nearest-pose": 2.0}
Smooth = Callable[[Variant, str], float]


def study(
    tmp_path: Path, factors: dict[Variant, float], *, people: int = 10, smooth: dict[str, float] | None = None
) -> Path:
    """One study of made-up errors, scored as it is and smoothed, where velocity errors are halved for everybody."""
    known = {v: factors.get(v, USUAL.get(v.arm, 1.0)) for v in VARIANTS}
    suite = make_suite(
        tmp_path / "suite",
        fields=(27,),
        variants=VARIANTS,
        factor=lambda variant, *_: known.get(variant, 1.0),
        by_field=lambda _: 1.0,
        clips=people,
        noise=0.002,
    )
    folder = suite / "27f"
    table = Scores.read(folder / "scores.parquet").table
    for arm in ("ensemble-2", "constant-pose", "nearest-pose"):
        table.loc[table["arm"] == arm, "run"] = "" if "pose" in arm else "runs/generalist-seed0"
    factor = np.where(table["metric"] == "mpjve", 0.5, 1.0) * table["arm"].map(smooth or {}).fillna(1.0)
    smoothed = table.assign(smoothed=True, value=table["value"] * factor)
    Scores(pd.concat([table, smoothed])).save(folder / "scores.parquet")
    return folder


def found(folder: Path) -> dict[tuple[Variant, str], Gain]:
    opened = StudyResults.open("27f", folder)
    both = Scores.concat([opened.scores, opened.smoothed])
    return {(of.variant, of.metric): of for of in gains(both, opened.arms)}


def said(folder: Path) -> Answer:
    opened = StudyResults.open("27f", folder)
    both = Scores.concat([opened.scores, opened.smoothed])
    return answer(gains(both, opened.arms), opened.arms, unlearnt(both))


def test_what_an_arm_is_worth_is_what_it_gains_over_the_best_of_its_controls(tmp_path):
    of = found(study(tmp_path, {CONDITIONED: 0.9, RANDOM: 1.1, CLUSTER: 0.95, PAIR: 0.5}))
    gain = of[CONDITIONED, "mpjpe"]
    assert gain.control == CLUSTER, "not the ensemble, which costs twice as much in use"
    assert gain.over_generalist.effect == pytest.approx(-10, abs=0.5)
    assert gain.over_control.effect == pytest.approx(100 * (0.9 / 0.95 - 1), abs=0.5)
    assert gain.sure == -1
    assert gain.ahead == (10, 10)
    mixed = of[MIXED, "mpjpe"]
    assert mixed.control == PAIR, "of as many poses"
    assert mixed.over_control.effect == pytest.approx(100, abs=1)
    assert mixed.sure == 1


def test_smoothed_is_held_against_smoothed(tmp_path):
    """What a filter does to everybody is no arm's gain; what it takes away is not there any more."""
    of = found(study(tmp_path, {CONDITIONED: 0.8}, smooth={"conditioned": 1.25}))
    smoothed = replace(CONDITIONED, smoothed=True)
    assert of[smoothed, "mpjve"].error == pytest.approx(0.5 * 1.25 * of[CONDITIONED, "mpjve"].error)
    assert of[CONDITIONED, "mpjve"].sure == -1
    assert of[smoothed, "mpjve"].control.smoothed
    assert of[smoothed, "mpjve"].over_control.effect == pytest.approx(0, abs=0.5)
    assert of[smoothed, "mpjve"].sure == 0


def test_what_does_no_better_than_a_remembered_pose_has_not_learnt(tmp_path):
    folder = study(tmp_path, {CONDITIONED: 2.5, RANDOM: 1.5})
    still = unlearnt(StudyResults.open("27f", folder).scores)
    assert still == {CONDITIONED}
    texts = [text for text, _ in said(folder).sentences]
    assert "Of 1 arm that know the action" in texts[0], "the mixture, which has learnt"


def test_without_baselines_nobody_is_said_not_to_have_learnt(tmp_path):
    scores = StudyResults.open("27f", study(tmp_path, {CONDITIONED: 9.0})).scores
    assert unlearnt(scores.of(GENERALIST, CONDITIONED)) == set()


def test_four_people_or_more_decide_for_people_in_general(tmp_path):
    position, velocity, *_ = said(study(tmp_path / "many", {CONDITIONED: 0.9, MIXED: 0.9})).sentences
    assert position == (
        "Position error (MPJPE): knowing the action helps. Of 2 arms that know the action, 2 are surely better than "
        "the best control, 0 surely worse.",
        -1,
    )
    assert velocity[1] == -1
    few = said(study(tmp_path / "few", {CONDITIONED: 0.9, MIXED: 0.9}, people=3)).sentences
    assert few[0] == (
        "Position error (MPJPE), these people only: 2 of 2 arms that know the action are below the best of their "
        "controls.",
        0,
    )
    assert not any(sign for _, sign in few)
    one_loses = said(study(tmp_path / "worse", {CONDITIONED: 0.9, MIXED: 1.2})).sentences
    assert one_loses[0][1] == 1, "some lose"


def test_where_nothing_differs_people_needed_are_told(tmp_path):
    folder = study(tmp_path, {})
    texts = [text for text, sign in said(folder).sentences if not sign]
    assert len(texts) == 4
    assert "no gain is sure" in texts[0]
    spread = float(re.search(r"People differ by ([\d.]+) points", texts[3])[1])
    gain = found(folder)[replace(CONDITIONED, smoothed=True), "mpjpe"].over_control
    assert spread == pytest.approx(gain.of.of_people * np.sqrt(10), rel=0.5, abs=0.1)
    assert re.search(r"5\s% takes \d+, 3\s% takes \d+, 2\s% takes \d+ people", texts[3])


def test_the_arm_that_errs_least_is_named_whatever_it_knows(tmp_path):
    knows = said(study(tmp_path / "a", {CONDITIONED: 0.9})).sentences[2][0]
    assert re.search(r"has conditioned: predicted label, smoothed \(5\d.\d mm\), which knows the action", knows)
    least = said(study(tmp_path / "b", {CONDITIONED: 0.9, PAIR: 0.8})).sentences[2][0]
    assert re.search(r"has ensemble-2, smoothed \(4\d.\d mm\), which knows nothing of the action", least)


def test_what_is_told_is_what_users_get(tmp_path):
    told = said(study(tmp_path, {CONDITIONED: 0.9})).told
    for metric in ("mpjpe", "mpjve"):
        assert {of.variant for of in told[metric]} == {replace(v, smoothed=True) for v in (CONDITIONED, MIXED)}


def test_every_arm_that_knows_the_action_has_controls():
    for name, about in ABOUT.items():
        if about.partition == "action" and about.labeled:
            assert about.controls, name
            assert about.mixture_controls, name
    experts = Variant("experts", "total")
    matched = [Variant("random-experts", "total"), Variant("random-experts", "per_model")]
    assert controls_of(experts, ABOUT, [experts, *matched]) == matched[:1], "of the same budgets"
    known = [*VARIANTS, replace(PAIR, smoothed=True), Variant("finetuned", mixture=True)]
    assert controls_of(replace(MIXED, smoothed=True), ABOUT, known) == [replace(PAIR, smoothed=True)]


@pytest.fixture
def page(tmp_path) -> str:
    folder = study(tmp_path, {CONDITIONED: 0.9, RANDOM: 1.1, MIXED: 2.2})
    return write_gains_page(folder).read_text(encoding="utf-8")


def words(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)))


def test_the_page_shows_every_arm_and_what_it_rests_on(page):
    text = words(page)
    for variant in VARIANTS:
        assert str(variant) in text
    for part in ("People in general", "constant-pose 2", "nearest-pose 1", "as it is", "smoothed", "27 frames"):
        assert part in text
    assert "has not learnt to lift, and nothing is said of it: conditioned, mixture: predicted label" in text
    assert "<script" not in page
    assert page.count("<svg") == 1


def test_what_has_not_learnt_is_gray(page):
    rows = re.findall(r"<tr><th[^>]*>(?:<span[^>]*>. </span>)?(.*?)</th>(.*?)</tr>", page, flags=re.DOTALL)
    judged = {unescape(name): re.findall(r'class="effect (\w+)"', cells) for name, cells in rows}
    assert set(judged[str(MIXED)]) == {"undecided"}
    assert judged[str(CONDITIONED)][0] == "better"


def test_the_table_is_a_file_too(tmp_path):
    folder = study(tmp_path, {CONDITIONED: 0.9})
    write_gains_page(folder)
    table = pd.read_csv(folder / "gains.csv")
    row = table.query("arm == 'conditioned: predicted label' and metric == 'mpjpe' and not smoothed").iloc[0]
    gain = found(folder)[CONDITIONED, "mpjpe"]
    assert row["over control, %"] == pytest.approx(gain.over_control.effect)
    assert row["over control, % low"] < row["over control, %"] < row["over control, % high"]
    assert row["control"] == str(gain.control)
    assert row["people"] == 10
