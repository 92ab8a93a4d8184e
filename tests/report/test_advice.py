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
from scipy.stats import t
from tests.suites import ACTIONS, EXPERTS_PER_MODEL, RANDOM_PER_MODEL, make_suite

from actlift import cli
from actlift.cli import console
from actlift.evaluation.scores import COLUMNS, GENERALIST, MEAN_OVER_ACTIONS, Scores, Variant
from actlift.report.advice import Advice, advise
from actlift.report.advice_gains import FALSE, SeenBudget, gains_at
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
    few = study(tmp_path / "few", lambda *_: 0.0, noise=0.2, clips=2)
    found = advise([few]).of_actions(Point(27, None, 1800))
    assert {a.advice for a in found.values()} == {"undecided"}
    assert all(a.why in ("2 clips too few", "3 seeds too few") for a in found.values())
    alone = study(tmp_path / "alone", lambda *_: 50.0, clips=1)
    assert {a.why for a in advise([alone]).of_actions(Point(27, None, 1800)).values()} == {"1 clip too few"}
    rows = advise([few]).rows(Point(27, None, 1800))
    assert (rows["most"].iloc[:3] > MARGIN).all()


def test_effect_interval_and_seeds_are_those_of_claims(labeled: Path) -> None:
    """And the mean over actions is called sure where claims call it decided."""
    scores = StudyResults.open("s", labeled).scores
    for labels in ("oracle", "predicted"):
        advice = advise([labeled], labels=labels)
        for metric in ("mpjpe", "mpjve"):
            samples, spread = scores.bootstrap(metric, scores.variants), scores.seed_spread(metric)
            for row in advice.rows(advice.at, metric).to_dict("records"):
                claimed = relative_error(samples, spread, row["variant"], row["action"])
                assert row["gain"] == pytest.approx(-claimed.effect)
                assert (row["low"], row["high"]) == pytest.approx((-claimed.high, -claimed.low))
                assert row["seed_margin"] == pytest.approx(claimed.seed_margin)
                if row["action"] == MEAN_OVER_ACTIONS:
                    assert row["sign"] == -claimed.sign
                assert row["sign"] in (0, -claimed.sign)


def test_intervals_are_students_and_false_discoveries_benjamini_and_hochbergs(labeled: Path) -> None:
    """With clips of equal length and difficulty so near that ratios are linear, by formula from the rows alone."""
    advice = advise([labeled], labels="oracle")
    rows = advice.rows(advice.at)
    table = StudyResults.open("s", labeled).scores.table
    table = table[(table["metric"] == "mpjpe") & (table["joint"] == "all")]
    columns = ["arm", "matching", "label", "mixture", "seed", "clip"]
    values = table.pivot_table(index="action", columns=columns, values="value")
    for row in rows[rows["action"].isin(ACTIONS)].to_dict("records"):
        mine, theirs = (
            values.loc[row["action"]].xs(astuple(of), level=columns[:4]).dropna().unstack("clip")
            for of in (row["variant"], GENERALIST)
        )
        ratio = mine.to_numpy().mean() / theirs.to_numpy().mean()
        residual = (mine.mean() - ratio * theirs.mean()) / theirs.to_numpy().mean()
        of_clips = residual.var(ddof=1) / len(residual)
        of_seeds = sum(of.mean(axis="columns").var(ddof=1) / 3 for of in (mine, theirs)) / theirs.to_numpy().mean() ** 2
        welch = (of_clips + of_seeds) ** 2 / (of_clips**2 / (len(residual) - 1) + of_seeds**2 / 4)
        sources = ((of_clips, len(residual) - 1), (of_seeds, 4), (of_clips + of_seeds, welch))
        reach = 100 * max(t.ppf(0.975, freedom) * math.sqrt(variance) for variance, freedom in sources)
        assert row["most"] - row["gain"] == pytest.approx(reach, rel=0.1)
        assert row["gain"] - row["least"] == pytest.approx(row["most"] - row["gain"])
    for _, family in rows[rows["p"].notna()].groupby("choice"):
        for sign in (1, -1):
            seen = np.sign(family["gain"]) == sign
            shown = family.assign(p=family["p"].where(seen, 1 - family["p"]))[["p", "q"]].assign(seen=seen)
            rows_of = shown.sort_values("p").to_dict("records")
            for i, row in enumerate(rows_of):
                if row["seen"]:
                    adjusted = min(len(rows_of) * rows_of[j]["p"] / (j + 1) for j in range(i, len(rows_of)))
                    assert row["q"] == pytest.approx(adjusted)


def test_false_calls_are_as_rare_as_said() -> None:
    """Twelve actions of two to five clips, nothing to find: intervals by themselves find something in most studies."""
    rng, point, reps = np.random.default_rng(0), Point(27, None, 1), 25
    naive, called = [], []
    for _ in range(reps):
        rows = [
            ("r", *astuple(variant), seed, f"a{action}", "p", "c", f"{action}-{clip}", "mpjpe", "all", 100, value)
            for action in range(12)
            for clip in range(2 + action % 4)
            for variant, level in ((GENERALIST, 60.0), (EXPERTS_PER_MODEL, 60 * math.exp(0.1 * rng.standard_normal())))
            for seed in range(2)
            for value in [level * math.exp(0.01 * rng.standard_normal())]
        ]
        seen = {point: SeenBudget.of(Scores(pd.DataFrame(rows, columns=list(COLUMNS))), ("mpjpe",))}
        gains = gains_at(seen, point, {point: 1.0}, "mpjpe").dropna(subset="p")
        naive.append(((gains["low"] > 0) | (gains["high"] < 0)).any())
        called.append((gains["sign"] > 0).any())
    assert np.mean(naive) > 0.7
    assert np.mean(called) <= FALSE + 2 * math.sqrt(FALSE * (1 - FALSE) / reps)


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


def test_an_interpolated_interval_is_that_of_the_same_samples(crossing: list[Path]) -> None:
    """The percentiles of the weighted sum of both studies' samples, which had the same clips drawn."""
    advice = advise(crossing, frames=4000, steps=100)
    row = gain_of(advice, "Walking", EXPERTS)
    at = {p: s.bootstrap("mpjpe", s.variants).averages for p, s in advice.studies.scores.items() if p.steps == 100}
    samples = {
        p.frames: 100 * (1 - averages[EXPERTS]["Walking"] / averages[GENERALIST]["Walking"])
        for p, averages in at.items()
    }
    sums = 2 / 3 * samples[2000] + 1 / 3 * samples[16000]
    assert row["gain"] == pytest.approx(sums[0])
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.percentile(sums[1:], [2.5, 97.5])))


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
    other = study(tmp_path / "other", planted, variants=LABELED)
    about = json.loads((other / "study.json").read_text())
    about["plan"]["network"]["channels"] = 64
    (other / "study.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"cannot be set side by side \(network.channels: 128 and 64\)"):
        advise([labeled, other])
    (other / "scores.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"scores\.parquet"):
        advise([other])


def test_studies_without_a_choice_are_left_aside(labeled: Path, tmp_path: Path) -> None:
    alone = study(tmp_path / "alone", planted, frames=1000, steps=10, variants=())
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
