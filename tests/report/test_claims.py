"""Verdicts: each claim on made-up suites of which the truth is known, its interval by another way, and the output."""

import io
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import ttest_1samp, ttest_rel
from tests.suites import EXPERTS, EXPERTS_PER_MODEL, RANDOM, SNAPSHOTS, make_suite

from actlift.evaluation.intervals import holm
from actlift.evaluation.scores import GENERALIST, Scores, Variant
from actlift.report.claims import Verdict, print_verdicts, verdicts, write_verdicts
from actlift.report.results import Suite
from actlift.report.tables import MINUS

TOTAL = (EXPERTS, RANDOM)
FRAMES = (Variant("experts", "frames"), Variant("random-experts", "frames"))
GRID = ((475, 200), (1900, 200), (475, 800), (1900, 800))

Scaled = Callable[[pd.DataFrame], object]
"""What the errors of a study's score table are multiplied with."""
Bent = Callable[[str, float], float]
"""(arm, progress) -> what a learning curve is multiplied with."""


def scale_scores(study: Path, scaled: Scaled) -> None:
    path = study / "scores.parquet"
    table = Scores.read(path).table
    Scores(table.assign(value=table["value"] * scaled(table))).save(path)


def bend_curves(study: Path, bent: Bent) -> None:
    for path in study.glob("runs/*/curve.jsonl"):
        arm = "experts" if path.parent.name.startswith("experts") else path.parent.name.split("-seed")[0]
        points = [json.loads(line) for line in path.read_text().splitlines()]
        for point in points:
            for measured in point["measured"]:
                measured["value"] *= bent(arm, point["progress"])
        path.write_text("".join(json.dumps(point) + "\n" for point in points))


def for_experts(factors: dict[str, float] | float) -> Callable[[Variant, str, str], float]:
    """A factor on the experts' errors, the same for all or by action."""
    return lambda variant, action, _: (
        1.0 if variant.arm != "experts" else factors[action] if isinstance(factors, dict) else factors
    )


def experts_by(factor: float, metric: str | None = None) -> Scaled:
    return lambda t: np.where((t["arm"] == EXPERTS.arm) & ((t["metric"] == metric) | (metric is None)), factor, 1.0)


def one_person_against_the_rest(table: pd.DataFrame) -> object:
    """On Walking experts lead by one person only."""
    mine = (table["arm"] == EXPERTS.arm) & (table["action"] == "Walking")
    return np.where(mine, np.where(table["clip"] == "Walking0", 0.5, 1.05), 1.0)


def flat(who: str) -> Bent:
    """The arm's curve is at its end from the beginning on."""
    return lambda arm, progress: 1 / (1 + 0.5 * (1 - progress) ** 2) if arm == who else 1.0


def zigzag(who: str) -> Bent:
    return lambda arm, progress: 1 + 0.03 * (-1) ** round(SNAPSHOTS * progress) if arm == who else 1.0


def leaving(arm: str, progress: float) -> float:
    return 2.0 if arm == "experts" and progress == 1 else 1.0


def row(found: list[Verdict], claim: str, budget: str = "total") -> Verdict:
    (verdict,) = (v for v in found if (v.claim, v.budget) == (claim, budget))
    return verdict


FEW = {"Eating": 1.2, "Sitting": 1.2, "Walking": 0.9}
MOST = {"Eating": 0.95, "Sitting": 1.5, "Walking": 0.95}
LEAN = {"Eating": 1.2, "Sitting": 1.2, "Walking": 1.0}


@pytest.mark.parametrize(
    ("claim", "budget", "status", "options", "scaled", "bent", "words"),
    [
        ("C1", "total", "supported", {"factor": for_experts(0.95)}, None, None, "below the generalist's"),
        ("C1", "total", "contradicted", {"factor": for_experts(1.05)}, None, None, "above the generalist's"),
        ("C1", "total", "undecided", {}, None, None, "It may be chance"),
        (
            "C1",
            "total",
            "these people only",
            {"factor": for_experts(0.9), "clips": 3},
            None,
            None,
            "(3 people; 3 seeds)",
        ),
        ("C2", "total", "supported", {}, experts_by(1.1), None, "From 1 to 27 frames the position error"),
        ("C2", "total", "contradicted", {}, experts_by(0.9), None, "falls by"),
        ("C2", "total", "undecided", {}, None, None, "It may be chance"),
        ("C2", "", "not tested", {"fields": (27,)}, None, None, "a second, wider receptive field"),
        ("C3", "total", "supported", {}, experts_by(0.95, "mpjve"), None, "velocity error (MPJVE)"),
        ("C3", "total", "contradicted", {}, experts_by(1.05, "mpjve"), None, "mm/frame"),
        ("C3", "total", "undecided", {}, experts_by(0.5, "mpjpe"), None, "It may be chance"),
        ("C3", "total", "supported", {"fields": (27,)}, experts_by(0.95, "mpjve"), None, "Seeing 27 frames"),
        ("C3", "", "not tested", {"fields": (1,)}, None, None, "a second, wider receptive field"),
        ("C4", "total", "supported", {"factor": for_experts(FEW)}, None, None, "experts surely win Walking (corrected"),
        (
            "C4",
            "total",
            "contradicted",
            {"factor": for_experts(0.9)},
            None,
            None,
            "win Eating, Sitting, Walking",
        ),
        (
            "C4",
            "total",
            "contradicted",
            {"factor": for_experts(1.1)},
            None,
            None,
            "by chance, on no other",
        ),
        ("C4", "total", "contradicted", {"factor": for_experts(MOST)}, None, None, "surely win Eating, Walking"),
        ("C4", "total", "undecided", {}, None, None, "surely win none"),
        (
            "C4",
            "total",
            "undecided",
            {"factor": for_experts(LEAN)},
            one_person_against_the_rest,
            None,
            "win none (corrected for their number) and lead, perhaps by chance, on Walking",
        ),
        ("C5", "total", "supported", {}, experts_by(0.9, "mpjve"), None, "in % of what is left"),
        ("C5", "total", "contradicted", {}, experts_by(1.1, "mpjve"), None, "velocity error (MPJVE) improves"),
        ("C5", "total", "undecided", {}, None, None, "It may be chance"),
        ("C6", "total, one expert", "supported", {"factor": for_experts(1.01)}, None, None, "takes 0.33 of"),
        (
            "C6",
            "total, one expert",
            "contradicted",
            {"factor": for_experts(1.2)},
            None,
            None,
            "whether that is less than 5 %",
        ),
        (
            "C6",
            "total, one expert",
            "undecided",
            {"factor": for_experts(1.05)},
            None,
            None,
            "whether that is less than 5 %",
        ),
        (
            "C6",
            "total, all experts",
            "contradicted",
            {},
            None,
            None,
            "takes 1.00 of the generalist's time, which is not",
        ),
        ("C7", "total, one expert", "supported", {}, None, None, "at the cost of one expert"),
        ("C7", "total, all experts", "contradicted", {"factor": for_experts(1.1)}, None, None, "mm/frame per second"),
        (
            "C7",
            "total, all experts",
            "contradicted",
            {},
            experts_by(1.2, "mpjve"),
            None,
            "velocity error",
        ),
        ("C7", "total, all experts", "undecided", {}, None, None, "It may be chance"),
        ("C7", "total, all experts", "undecided", {}, experts_by(0.8, "mpjve"), None, "It may be chance"),
        (
            "C7",
            "total, one expert",
            "undecided",
            {},
            None,
            lambda arm, _: 0.3 if arm == "experts" else 1.0,
            "the generalist's is not surely above 0",
        ),
        (
            "C7",
            "total, all experts",
            "undecided",
            {"factor": for_experts(1.1)},
            lambda t: np.where((t["arm"] == "generalist") & (t["metric"] == "mpjve"), 1.5, 1.0),
            None,
            "on velocity error (MPJVE) (undecided: the generalist's is not surely above 0)",
        ),
        ("C8", "total", "supported", {}, None, flat("experts"), "on Eating alone from 0.05"),
        ("C8", "total", "contradicted", {}, None, flat("generalist"), "the generalist from 0.05"),
        (
            "C8",
            "total",
            "contradicted",
            {"factor": for_experts(0.9), "seeds": (0, 1, 2, 3, 4)},
            None,
            leaving,
            "error from 1.00 of",
        ),
        ("C8", "total", "undecided", {}, None, None, "It may be chance"),
        ("C8", "total", "undecided", {"seeds": (0,)}, None, flat("experts"), "one seed, others may differ"),
        ("C9", "total", "supported", {}, None, zigzag("generalist"), "action by action"),
        ("C9", "total", "contradicted", {}, None, zigzag("experts"), "jitters by 5.9"),
        ("C9", "total", "undecided", {}, None, None, "It may be chance"),
    ],
)
def test_a_claim_is_judged_by_what_is_true(
    claim: str,
    budget: str,
    status: str,
    options: dict[str, object],
    scaled: Scaled | None,
    bent: Bent | None,
    words: str,
    tmp_path: Path,
) -> None:
    """`scaled` and `bent` act on the widest setting alone."""
    make_suite(tmp_path / "suite", variants=TOTAL, **{"noise": 0.01, **options})
    last = tmp_path / "suite" / f"{options.get('fields', (1, 27))[-1]}f"
    if scaled:
        scale_scores(last, scaled)
    if bent:
        bend_curves(last, bent)
    verdict = row(verdicts(Suite.open(tmp_path / "suite")), claim, budget)
    assert verdict.status == status, verdict.sentence
    assert words in verdict.sentence
    if not math.isnan(verdict.estimate.low):
        assert verdict.estimate.low <= verdict.estimate.effect <= verdict.estimate.high


@pytest.mark.parametrize(
    ("status", "by_setting", "words"),
    [
        (
            "supported",
            (0.9, 0.9, 0.9, 0.95),
            "in 4 of 4 settings, the generalist in 0; worst for experts is 27f, 1,900",
        ),
        ("contradicted", (0.9, 1.1, 0.9, 0.9), "to worse between 475 and 1,900 frames (27f, 200 steps)"),
        ("contradicted", (1.1, 0.9, 0.9, 0.9), "to better between 475 and 1,900 frames (27f, 200 steps)"),
        ("undecided", (0.9, 1.0, 0.9, 0.9), "in 3 of 4 settings"),
    ],
)
def test_the_conjecture_is_judged_at_its_worst_setting(
    status: str, by_setting: tuple[float, ...], words: str, tmp_path: Path
) -> None:
    folder = make_suite(tmp_path / "s", preset="action-oriented", fields=(27,), variants=FRAMES, grid=GRID)
    for (frames, steps), factor in zip(GRID, by_setting, strict=True):
        scale_scores(folder / f"27f-{frames}-{steps}", lambda t, f=factor: np.where(t["arm"] == FRAMES[0].arm, f, 1.0))
    found = verdicts(Suite.open(folder))
    verdict = row(found, "C10", "frames")
    assert verdict.status == status
    assert words in verdict.sentence
    assert verdict.estimate.effect == pytest.approx(100 * (max(by_setting) - 1), abs=1.5)
    assert verdict.where == "4 settings"
    others = [v for v in found if v.claim != "C10"]
    assert [v.claim for v in others] == [f"C{n}" for n in range(1, 10)]
    assert {(v.status, v.sentence) for v in others} == {("not tested", "It takes a suite of --preset fair or paper.")}


def test_claims_take_the_settings_they_speak_of(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", fields=(243, 9, 27, 1), variants=(EXPERTS_PER_MODEL, EXPERTS))
    found = verdicts(Suite.open(folder))
    where = {v.claim: v.where for v in found}
    assert where["C1"] == "1f, 1,800 steps"
    assert where["C2"] == where["C5"] == "1f, 1,800 steps; 27f, 1,800 steps"
    assert where["C3"] == "27f, 1,800 steps"
    assert {where[c] for c in ("C4", "C6", "C7", "C8", "C9")} == {"243f, 1,800 steps"}
    assert [v.budget for v in found if v.claim == "C1"] == ["per model", "total"]
    assert [v.budget for v in found if v.claim == "C7"] == [
        f"{matching}, {counting}" for matching in ("per model", "total") for counting in ("one expert", "all experts")
    ]
    assert row(found, "C10", "").sentence == "It takes a suite of --preset action-oriented."
    assert all(v.control is None for v in found)


def test_a_suite_without_experts_or_curves_tests_nothing_it_cannot(tmp_path: Path) -> None:
    alone = verdicts(Suite.open(make_suite(tmp_path / "alone", variants=())))
    assert {v.status for v in alone} == {"not tested"}
    assert row(alone, "C1", "").sentence == "No experts were trained."

    folder = make_suite(tmp_path / "bare", variants=TOTAL)
    for path in folder.glob("*/runs/*/curve.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    found = verdicts(Suite.open(folder))
    untested = [v for v in found if v.status == "not tested"]
    assert {v.claim for v in untested} == {"C7", "C8", "C9", "C10"}
    assert {v.sentence for v in untested if v.claim != "C10"} == {"It takes learning curves of at least 4 snapshots."}


# What decides


def with_seeds_apart(table: pd.DataFrame) -> object:
    """Experts are 3 % better, but by one seed alone."""
    return np.where(table["arm"] == EXPERTS.arm, table["seed"].map({0: 0.85, 1: 1.03, 2: 1.03}), 1.0)


@pytest.mark.parametrize("claim", ["C1", "C2", "C5", "C7"])
def test_what_seeds_explain_is_undecided_though_people_agree(claim: str, tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=TOTAL, noise=0.001)
    scale_scores(folder / ("1f" if claim == "C1" else "27f"), with_seeds_apart)
    budget = "total, all experts" if claim == "C7" else "total"
    verdict = row(verdicts(Suite.open(folder)), claim, budget)
    assert verdict.estimate.of.of_people < 0.2 * verdict.estimate.of.of_seeds
    assert verdict.estimate.low * verdict.estimate.high < 0
    assert verdict.status == "undecided"


def test_one_seed_decides_and_says_that_it_is_one(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=TOTAL, seeds=(4,), factor=for_experts(0.9))
    verdict = row(verdicts(Suite.open(folder)), "C1")
    assert (verdict.status, verdict.seeds) == ("supported", 1)
    assert "one seed, others may differ" in verdict.sentence
    several = row(verdicts(Suite.open(make_suite(tmp_path / "t", variants=TOTAL, factor=for_experts(0.9)))), "C1")
    assert several.seeds == 3
    assert "6 people; 3 seeds" in several.sentence


def test_three_people_decide_nothing_but_costs(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=TOTAL, clips=3, factor=for_experts(0.8))
    bend_curves(folder / "27f", zigzag("generalist"))
    found = [v for v in verdicts(Suite.open(folder)) if v.status != "not tested"]
    assert {(v.claim, v.status, v.whom) for v in found if v.claim not in ("C6", "C8", "C9")} == {
        (claim, "these people only", "these people only") for claim in ("C1", "C2", "C3", "C4", "C5", "C7")
    }
    assert row(found, "C6", "total, one expert").status == "these people only"
    costs = row(found, "C6", "total, all experts")
    assert (costs.status, costs.whom) == ("contradicted", "anybody")
    assert {v.whom for v in found if v.claim in ("C8", "C9")} == {"these people, other trainings"}
    assert {v.style for v in found if v.whom != "anybody"} == {"dim"}


def test_all_verdicts_of_a_report_are_corrected_together(tmp_path: Path) -> None:
    found = verdicts(Suite.open(make_suite(tmp_path / "s", factor=for_experts(0.97))))
    tested = [v for v in found if not math.isnan(v.p)]
    assert len(tested) == 19
    assert [v.adjusted for v in tested] == pytest.approx(list(holm([v.p for v in tested])))
    for v in tested:
        assert (v.status in ("supported", "contradicted")) == (v.adjusted <= 0.05)
    alone = [v for v in tested if v.p <= 0.05 < v.adjusted]
    assert all("among 23 verdicts it may be chance" in v.sentence for v in alone)


@pytest.mark.slow
def test_where_nothing_differs_few_studies_decide_anything(tmp_path: Path) -> None:
    """20 suites: chance alone decides one of the claims on errors in one of them, if any; two are once in four."""
    claims = ("C1", "C2", "C3", "C4", "C5")
    decided = 0
    for number in range(20):
        folder = make_suite(tmp_path / str(number), variants=TOTAL, noise=0.05, seeds=(number, 100 + number))
        found = verdicts(Suite.open(folder))
        decided += any(v.status in ("supported", "contradicted") for v in found if v.claim in claims)
    assert decided <= 3


def test_names_of_clips_and_seeds_change_no_status(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=TOTAL, factor=for_experts(FEW), clips=8)
    before = {(v.claim, v.budget): v.status for v in verdicts(Suite.open(folder))}
    assert len(set(before.values())) == 4
    for name in ("1f", "27f"):
        path = folder / name / "scores.parquet"
        table = Scores.read(path).table
        clips = table["clip"].str.replace(r"\d", lambda m: str((3 * int(m[0]) + 5) % 8), regex=True)
        seeds = table["seed"].map({0: 7, 1: 0, 2: 3})
        Scores(table.assign(clip=clips, seed=seeds).sample(frac=1, random_state=1)).save(path)
    assert {(v.claim, v.budget): v.status for v in verdicts(Suite.open(folder))} == before


def test_a_control_that_equals_the_experts_has_their_effects(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=TOTAL, factor=for_experts(FEW))
    for name in ("1f", "27f"):
        path = folder / name / "scores.parquet"
        table = Scores.read(path).table
        experts = table[table["arm"] == EXPERTS.arm]
        copied = experts.assign(arm=RANDOM.arm, run=experts["run"].str.replace("experts", "random-experts"))
        Scores(pd.concat([table[table["arm"] != RANDOM.arm], copied])).save(path)
        for run in (folder / name / "runs").glob("experts-*"):
            shutil.copytree(run, run.with_name(f"random-{run.name}"), dirs_exist_ok=True)
    tested = [v for v in verdicts(Suite.open(folder)) if v.status != "not tested"]
    assert len(tested) == 11
    for v in tested:
        assert v.control is not None
        assert v.control == v.estimate


def test_settings_scored_on_different_clips_are_not_paired(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=TOTAL)
    path = folder / "27f" / "scores.parquet"
    table = Scores.read(path).table
    Scores(table[table["clip"] != "Walking0"]).save(path)
    with pytest.raises(ValueError, match="settings 1f and 27f cannot be paired.*same clips; evaluate both on the same"):
        verdicts(Suite.open(folder))


# Numbers, by another way


def test_intervals_agree_with_t_tests_over_people(tmp_path: Path) -> None:
    """By linearization: what each person moves a ratio of means, or a difference of two, by."""
    folder = make_suite(tmp_path / "s", variants=TOTAL, noise=0.1, clips=8, factor=for_experts(FEW), seeds=(0,))
    suite = Suite.open(folder)
    narrow, wide = (
        table[table["metric"] == "mpjpe"].groupby(["subject", "arm"])["value"].mean().unstack("arm")
        for table in (study.scores.table for study in suite.studies)
    )

    def moved(mine: pd.Series, theirs: pd.Series) -> pd.Series:
        return 100 * (mine - mine.mean() / theirs.mean() * theirs) / theirs.mean()

    arms = (EXPERTS.arm, "generalist")
    relative = moved(narrow[arms[0]], narrow[arms[1]])
    gained = moved(wide[arms[0]], narrow[arms[0]]) - moved(wide[arms[1]], narrow[arms[1]])
    found = verdicts(suite)
    for claim, values in (("C1", relative), ("C2", gained)):
        interval = ttest_1samp(values, 0).confidence_interval()
        estimate = row(found, claim).estimate
        assert estimate.low - estimate.effect == pytest.approx(interval.low, rel=1e-3)
        assert estimate.high - estimate.effect == pytest.approx(interval.high, rel=1e-3)


def test_effects_agree_with_the_papers_formulas(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=TOTAL, factor=for_experts(FEW))
    suite = Suite.open(folder)
    narrow, wide = suite.studies
    found = verdicts(suite)

    velocity = {
        a: [s.scores.per_action("mpjve").loc[a, "mean over actions"] for s in (narrow, wide)]
        for a in narrow.scores.variants
    }
    improved = {a: 100 * (before - after) / after for a, (before, after) in velocity.items()}
    assert row(found, "C5").estimate.effect == pytest.approx(improved[EXPERTS] - improved[GENERALIST])

    error = wide.scores.per_action("mpjpe")["mean over actions"]
    half = (
        wide.curves[(wide.curves["progress"] == 0.5) & (wide.curves["metric"] == "mpjpe")]
        .groupby("variant")["value"]
        .mean()
    )
    for control, variant in enumerate(TOTAL):
        start = 1.2 * (half[GENERALIST] + half[variant]) / 2
        for counting, networks in (("one expert", 3), ("all experts", 1)):
            rates = (start - error[variant]) / (10 / networks), (start - error[GENERALIST]) / 10  # 10 s for each arm
            verdict = row(found, "C7", f"total, {counting}")
            effect = verdict.control.effect if control and verdict.control else verdict.estimate.effect
            assert effect == pytest.approx(100 * (rates[0] / rates[1] - 1))


def test_intervals_over_seeds_are_those_of_the_t_test(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=TOTAL)
    bend_curves(folder / "27f", zigzag("generalist"))
    suite = Suite.open(folder)
    curves = suite.studies[1].curves
    means = curves[curves["metric"] == "mpjpe"].groupby(["variant", "seed", "step"])["value"].mean()

    def jitter(values: np.ndarray) -> float:
        late = range(SNAPSHOTS // 2, SNAPSHOTS - 1)
        between = {k: (values[k - 1] + values[k + 1]) / 2 for k in late}
        return 100 * np.mean([abs(values[k] - between[k]) / between[k] for k in late])

    mine, theirs = ([jitter(means.loc[(of, s)].to_numpy()) for s in range(3)] for of in (EXPERTS, GENERALIST))
    expected = ttest_rel(mine, theirs).confidence_interval()
    verdict = row(verdicts(suite), "C9")
    assert (verdict.estimate.low, verdict.estimate.high) == pytest.approx((expected.low, expected.high))
    assert verdict.estimate.effect == pytest.approx(np.mean(mine) - np.mean(theirs))


def test_convergence_is_known_to_one_snapshot(tmp_path: Path) -> None:
    """Experts are there at the first snapshot and the generalist at the end, whatever the seed."""
    folder = make_suite(tmp_path / "s", variants=TOTAL)
    bend_curves(folder / "27f", flat("experts"))
    bend_curves(folder / "27f", lambda arm, progress: 2.0 if arm == "generalist" and progress < 1 else 1.0)
    verdict = row(verdicts(Suite.open(folder)), "C8")
    snapshot = 1 / SNAPSHOTS
    assert (verdict.estimate.effect, verdict.estimate.low, verdict.estimate.high) == pytest.approx(
        (snapshot - 1, -1, 2 * snapshot - 1)
    )


# Output


def test_verdicts_are_written_as_strict_json_with_what_made_them(tmp_path: Path) -> None:
    suite = Suite.open(make_suite(tmp_path / "s", variants=TOTAL, fields=(27,)))
    found = verdicts(suite)
    write_verdicts(tmp_path / "verdicts.json", suite, found)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    written = json.loads((tmp_path / "verdicts.json").read_text(), parse_constant=refuse)
    assert (written["command"], written["digest"]) == (suite.about["command"], suite.about["digest"])
    assert written["seeds"] == [0, 1, 2]
    assert len(written["verdicts"]) == len(found)
    first, untested = written["verdicts"][0], written["verdicts"][-1]
    assert set(first) == set(Verdict.__dataclass_fields__) - {"estimate"} | {"effect", "low", "high"}
    assert first["control"]["effect"] == found[0].control.effect
    assert (untested["status"], untested["effect"], untested["control"]) == ("not tested", None, None)


@pytest.mark.parametrize("width", [80, 120])
def test_printed_verdicts_fit_the_terminal_whole(width: int, tmp_path: Path) -> None:
    suite = Suite.open(make_suite(tmp_path / "s", factor=for_experts(FEW)))
    found = verdicts(suite)
    out = io.StringIO()
    print_verdicts(Console(file=out, width=width), found)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    flowed = " ".join(text.split())
    for verdict in found:
        assert f": {verdict.sentence}" in flowed
        assert f"{verdict.status}{f' ({verdict.whom})' if verdict.whom else ''}: {verdict.sentence[:20]}" in flowed
        assert f"{verdict.claim} {verdict.text}" in flowed
    intervals = re.findall(r"\[[+-]\d+\.\d+, [+-]\d+\.\d+\]", text.replace(MINUS, "-"))
    assert len(intervals) == 2 * sum(verdict.status != "not tested" for verdict in found)
    assert "told the true action" in flowed
