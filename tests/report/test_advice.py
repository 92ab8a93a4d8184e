"""Planted gains are found and named, planted zeros are not; between budgets gains lie on planted lines."""

import io
import json
import math
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tests.suites import ACTIONS, EXPERTS_PER_MODEL, RANDOM_PER_MODEL, make_suite

from actlift import cli
from actlift.cli import console
from actlift.evaluation.intervals import LEVEL, holm
from actlift.evaluation.scores import COLUMNS, GENERALIST, MEAN_OVER_PEOPLE, MEANS, Scores, Variant
from actlift.report.advice import Advice, advise
from actlift.report.advice_gains import gains_at, seen_budgets
from actlift.report.advice_print import print_advice, write_advice
from actlift.report.advice_studies import Point, Studies
from actlift.report.claim_rules import MARGIN
from actlift.report.estimate import relative_error
from actlift.report.results import StudyResults

EXPERTS, CONDITIONED = Variant("experts", "frames"), Variant("conditioned")
LABELED = (
    EXPERTS_PER_MODEL,
    replace(EXPERTS_PER_MODEL, label="predicted"),
    replace(CONDITIONED, label="oracle"),
    replace(CONDITIONED, label="predicted"),
    replace(CONDITIONED, label="predicted", mixture=True),
    RANDOM_PER_MODEL,
)
Gain = Callable[[Variant, str, str], float]
"""(variant, action, metric) -> planted gain in %."""


def study(folder: Path, gain: Gain, *, frames: int | None = None, steps: int = 1800, **options) -> Path:
    """One study with planted gains over its generalist."""
    options = {"variants": (EXPERTS,), "fields": (27,), **options}
    if frames is not None:
        options["grid"] = ((frames, steps),)
    suite = make_suite(
        folder,
        factor=lambda variant, action, metric: (
            1.0 if variant == GENERALIST else 1 - gain(variant, action, metric) / 100
        ),
        **options,
    )
    return suite / ("27f" if frames is None else f"27f-{frames}-{steps}")


def grid(
    folder: Path, gain: Callable[..., float], frames=(1000, 4000, 16000), steps=(100, 400), **options
) -> list[Path]:
    """Studies of planted gain(variant, action, metric, frames, steps)."""

    def at(f: int, s: int) -> Gain:
        return lambda variant, action, metric: gain(variant, action, metric, f, s)

    return [study(folder / f"{f}-{s}", at(f, s), frames=f, steps=s, **options) for f in frames for s in steps]


def planted(variant: Variant, action: str, metric: str) -> float:
    """Experts gain on Eating, conditioning on Sitting (less with recognized actions), nothing on Walking."""
    experts = variant.arm == "experts"
    if variant.arm == "random-experts":
        return -40.0
    if action == "Eating":
        return 20.0 if experts else 5.0
    if action == "Sitting":
        gain = -10.0 if experts else 15.0
        return gain - 5 * (variant.label == "predicted") - 2 * variant.mixture
    return -12.0 if metric == "mpjpe" or not experts else 10.0


@pytest.fixture(scope="module")
def labeled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(tmp_path_factory.mktemp("labeled") / "s", planted, variants=LABELED, clips=8)


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Experts gain 10 % less for every doubling of frames, but on Walking lose 8 % everywhere; 0 is at 4000 frames on
    Eating and 8000 on Sitting."""

    def gain(variant: Variant | None, action: str, metric: str, frames: int, steps: int) -> float:
        del variant, metric, steps
        zero = {"Eating": 4000, "Sitting": 8000}.get(action)
        return -8.0 if zero is None else 10 * math.log2(zero / frames)

    return grid(tmp_path_factory.mktemp("crossing"), gain, frames=(1000, 2000, 16000), noise=0.01)


def gain_of(
    advice: Advice, action: str, choice: Variant, metric: str = "mpjpe", labels: str | None = None
) -> pd.Series:
    row = advice.gain(action, choice, metric, labels)
    assert row is not None
    return row


def test_planted_gains_are_named_and_planted_zeros_are_not(labeled: Path) -> None:
    found = advise([labeled]).of_actions(Point(27, None, 1800))
    assert [(a.advice, a.choice) for a in (found["Eating"], found["Sitting"])] == [
        ("specialize", EXPERTS_PER_MODEL),
        ("condition", CONDITIONED),
    ]
    assert found["Walking"].advice == "stay general"
    assert [a.gain for a in found.values()] == pytest.approx([20, 10, -12], abs=2)
    assert all(choice.arm != "random-experts" for choice in advise([labeled]).choices)


def test_a_gain_that_is_not_worth_it_stays_general_and_one_that_may_be_is_undecided(tmp_path: Path) -> None:
    zero = study(tmp_path / "zero", lambda *_: 0.0, noise=0.002, clips=8)
    assert {a.advice for a in advise([zero]).of_actions(Point(27, None, 1800)).values()} == {"stay general"}
    few = study(tmp_path / "few", lambda *_: 0.0, noise=0.2, clips=5)
    found = advise([few]).of_actions(Point(27, None, 1800))
    assert {a.advice for a in found.values()} == {"undecided"}
    assert all(a.why in ("5 people too few", "3 seeds too few") for a in found.values())
    rows = advise([few]).rows(Point(27, None, 1800))
    assert (rows["high"].iloc[:3] > MARGIN).all()
    for people, words in ((1, "1 person too few"), (3, "3 people too few")):
        advice = advise([study(tmp_path / words, lambda *_: 50.0, clips=people)])
        assert {a.why for a in advice.of_actions(Point(27, None, 1800)).values()} == {words}
        assert (advice.rows(advice.at)["sign"] == 0).all()


def test_effect_and_interval_are_those_of_claims(labeled: Path) -> None:
    """And the mean over people is called sure where an effect by itself is."""
    scores = StudyResults.open("s", labeled).scores
    for labels in ("oracle", "predicted"):
        advice = advise([labeled], labels=labels)
        for metric in ("mpjpe", "mpjve"):
            samples = scores.variations(metric, scores.variants)
            for row in advice.rows(advice.at, metric).to_dict("records"):
                claimed = relative_error(samples, row["variant"], row["action"])
                assert row["gain"] == pytest.approx(-claimed.effect)
                assert (row["low"], row["high"]) == pytest.approx((-claimed.high, -claimed.low), nan_ok=True)
                assert row["p"] == pytest.approx(claimed.p, nan_ok=True)
                if row["action"] == MEAN_OVER_PEOPLE:
                    assert row["sign"] == (-claimed.direction if claimed.p <= LEVEL else 0)


def test_actions_are_corrected_for_their_number(labeled: Path) -> None:
    rows = advise([labeled], labels="oracle").rows(Point(27, None, 1800))
    for _, family in rows[rows["action"].isin(ACTIONS)].groupby("choice"):
        assert len(family) == len(ACTIONS)
        assert family["adjusted"].to_list() == pytest.approx(list(holm(family["p"].to_list())))
        assert family["sign"].to_list() == [
            np.sign(gain) if p <= LEVEL else 0 for gain, p in zip(family["gain"], family["adjusted"], strict=True)
        ]
    means = rows[rows["action"].isin(MEANS)].groupby("action")["p"]
    assert means.count().to_dict() == {MEANS[0]: 0, MEANS[1]: 0, MEANS[2]: rows["choice"].nunique()}


def test_false_calls_are_as_rare_as_said() -> None:
    """Twelve actions of four to seven people, nothing to find: uncorrected intervals find something in many studies."""
    rng, point, reps = np.random.default_rng(0), Point(27, None, 1), 40
    naive, called = [], []
    for _ in range(reps):
        of_people = 0.05 * rng.standard_normal(7)
        rows = [
            (
                "r",
                *astuple(variant),
                seed,
                f"a{action}",
                f"p{person}",
                "c",
                f"{action}-{person}",
                "mpjpe",
                "all",
                100,
                v,
            )
            for action in range(12)
            for person in range(4 + action % 4)
            for variant, level in (
                (GENERALIST, 60.0),
                (EXPERTS_PER_MODEL, 60 * math.exp(of_people[person] + 0.1 * rng.standard_normal())),
            )
            for seed in range(2)
            for v in [level * math.exp(0.01 * rng.standard_normal())]
        ]
        seen = seen_budgets({point: Scores(pd.DataFrame(rows, columns=list(COLUMNS)))}, ("mpjpe",))
        gains = gains_at(seen, point, {point: 1.0}, "mpjpe")
        gains = gains[~gains["action"].isin(MEANS)]
        naive.append(((gains["low"] > 0) | (gains["high"] < 0)).any())
        called.append((gains["sign"] > 0).any())
    assert np.mean(naive) > 0.2
    assert np.mean(called) <= LEVEL + 2 * math.sqrt(LEVEL * (1 - LEVEL) / reps)


def test_between_budgets_gains_lie_on_planted_lines(tmp_path: Path) -> None:
    def gain(variant: Variant | None, action: str, metric: str, frames: int, steps: int) -> float:
        del variant, metric
        return {"Eating": 30.0, "Sitting": 0.0, "Walking": -20.0}[action] - math.log(frames) + 2 * math.log(steps)

    folders = grid(tmp_path, gain, frames=(1000, 16000), noise=0.0, seeds=(0,), clips=2)
    for frames, steps in ((16000, 100), (2500, 100), (15000, 230)):
        advice = advise(folders, frames=frames, steps=steps)
        for action in ACTIONS:
            expected = gain(None, action, "", frames, steps)
            assert gain_of(advice, action, EXPERTS)["gain"] == pytest.approx(expected)
        assert ("(interpolated)" in advice.sentence) == ((frames, steps) != (16000, 100))


def test_an_interpolated_interval_is_that_of_the_weighted_sum(crossing: list[Path]) -> None:
    """Of both studies' gains, person by person and seed by seed."""
    advice = advise(crossing, frames=4000, steps=100)
    row = gain_of(advice, "Walking", EXPERTS)
    at = {p.frames: s.variations("mpjpe", s.variants) for p, s in advice.studies.scores.items() if p.steps == 100}
    gains = {
        frames: 100 * (1 - of.averages[EXPERTS]["Walking"] / of.averages[GENERALIST]["Walking"]).to_numpy()
        for frames, of in at.items()
    }
    sums = 2 / 3 * gains[2000] + 1 / 3 * gains[16000]
    reach = at[2000].uncertainty(sums, "Walking", [EXPERTS]).reach()
    assert row["gain"] == pytest.approx(sums[0])
    assert (row["low"], row["high"]) == pytest.approx((sums[0] - reach, sums[0] + reach))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (
            {"frames": 999, "steps": 100},
            "999 training frames lie outside what was studied (1,000, 2,000, 16,000)",
        ),
        ({"frames": 40000}, "never extrapolated"),
        ({"steps": 401}, "401 steps lie outside what was studied (100, 400)"),
        ({"frames": 0}, "0 training frames lie outside"),
        ({"receptive_field": 243}, "no study here has a receptive field of 243 frames; there are studies of 27 frames"),
        ({"labels": "predicted"}, "no study here has experts or a conditioned network told the recognized action"),
    ],
)
def test_what_was_not_studied_is_refused(crossing: list[Path], asked: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        advise(crossing, **asked)
    assert why in str(error.value)


def test_frames_are_refused_where_no_study_has_a_number_of_them(labeled: Path) -> None:
    with pytest.raises(ValueError, match="leave --frames 5000 out"):
        advise([labeled], frames=5000)


def test_left_open_the_budget_is_that_of_the_best_generalist(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "s", variants=(EXPERTS,), fields=(1, 27), grid=((1000, 100), (2000, 100)))
    assert advise([folder]).at == Point(27, 1000, 100)
    assert advise([folder], receptive_field=1, frames=1500).at == Point(1, 1500, 100)


def test_crossings_are_where_they_were_planted(crossing: list[Path]) -> None:
    advice = advise(crossing, frames=2000, steps=100)
    found = {c.action: c for c in advice.crossings if c.axis == "frames"}
    for action, zero in (("Eating", 4000), ("Sitting", 8000)):
        assert found[action].at == pytest.approx(zero, rel=0.1)
        assert found[action].low < found[action].at < found[action].high
        assert found[action].wins == "below"
    assert "Walking" not in found
    assert not [c for c in advice.crossings if c.axis == "steps"]
    assert str(found["Eating"]).startswith("experts (frames) win below ")


def test_oracle_figures_have_recognized_ones_beside(labeled: Path) -> None:
    assert advise([labeled]).labels == "predicted"
    advice = advise([labeled], labels="oracle")
    sitting = advice.of_actions(advice.at)["Sitting"]
    assert (sitting.gain, sitting.recognized) == pytest.approx((15, 10), abs=2)
    assert "told the recognized action" in advice.sentence
    out = io.StringIO()
    print_advice(Console(file=out, width=120, markup=False, highlight=False), advice)
    (line,) = (line for line in out.getvalue().splitlines() if line.strip().startswith("Sitting"))
    for labels in ("oracle", "predicted"):
        assert f"{gain_of(advice, 'Sitting', CONDITIONED, labels=labels)['gain']:+.1f} [" in line


def test_errors_that_disagree_are_told(labeled: Path) -> None:
    advice = advise([labeled])
    assert advice.of_actions(advice.at, "mpjve")["Walking"].advice == "specialize"
    assert "MPJVE says otherwise of Walking (specialize)" in advice.sentence
    other = advise([labeled], metric="mpjve")
    assert (other.metric, other.other) == ("mpjve", "mpjpe")
    assert "MPJPE says otherwise of Walking (stay general)" in other.sentence


def test_seeds_of_several_folders_are_joined(tmp_path: Path) -> None:
    apart = [study(tmp_path / f"s{seed}", planted, seeds=(seed,), variants=LABELED) for seed in (0, 1, 2)]
    together = study(tmp_path / "all", planted, seeds=(0, 1, 2), variants=LABELED)
    pd.testing.assert_frame_equal(advise(apart).gains, advise([together]).gains)
    # an arm added in a folder of its own brings its generalist along, whose errors are the same
    added = study(tmp_path / "added", planted, variants=LABELED[2:5])
    experts = study(tmp_path / "experts", planted, variants=LABELED[:2])
    assert set(advise([experts, added]).choices) == set(advise([together]).choices)
    other = study(tmp_path / "other", planted, seeds=(0,), variants=LABELED, noise=0.1)
    with pytest.raises(ValueError, match="have other errors for the same arm, seed and budget"):
        advise([apart[0], other])


def test_folders_that_cannot_be_advised_on(labeled: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no finished study"):
        advise([tmp_path])
    other = study(tmp_path / "other", planted, variants=LABELED, clips=8)
    about = json.loads((other / "study.json").read_text())
    about["plan"]["network"]["channels"] = 64
    (other / "study.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"cannot be set side by side \(network.channels: 128 and 64\)"):
        advise([labeled, other])
    (other / "scores.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"scores\.parquet"):
        advise([other])


def test_studies_without_a_choice_are_left_aside(labeled: Path, tmp_path: Path) -> None:
    alone = study(tmp_path / "alone", planted, frames=1000, steps=10, variants=(), clips=8)
    assert Studies.open([labeled, alone]).aside == [alone]
    assert advise([labeled, alone]).at.frames is None


@pytest.mark.slow
def test_everything_is_written(crossing: list[Path], tmp_path: Path) -> None:
    advice = advise(crossing[::2], frames=3000)
    assert write_advice(tmp_path, advice) == tmp_path / "advice.json"
    figures = {f"advice-frames-{theme}.{kind}" for theme in ("light", "dark") for kind in ("svg", "png")}
    assert {p.name for p in (tmp_path / "figures").iterdir()} == figures

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found = json.loads((tmp_path / "advice.json").read_text(), parse_constant=refuse)
    assert found["at"] == {"receptive_field": 27, "frames": 3000, "steps": 100}
    assert sum(p["weight"] for p in found["interpolated_from"]) == pytest.approx(1)
    assert [p["frames"] for p in found["along"]["frames"]] == [1000, 2000, 16000]
    assert {c["action"] for c in found["crossings"]} >= {"Eating", "Sitting"}
    assert {a["action"]: a["advice"] for a in found["actions"]["mpjpe"]}["Walking"] == "stay general"
    assert found["sentence"] == advice.sentence
    assert len(found["gains"]) == len(advice.gains)
    pd.testing.assert_frame_equal(advise(crossing[::2], frames=3000).gains, advice.gains)


def test_the_verb_prints_it(labeled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(console, "CONSOLE", Console(file=out, width=120, markup=False, highlight=False))
    cli.advise([labeled], labels="oracle", out=tmp_path)
    text = " ".join(out.getvalue().split())
    assert advise([labeled], labels="oracle").sentence in text
    assert "specialize" in text
    assert "told the true action" in text
    assert (tmp_path / "advice.json").exists()
