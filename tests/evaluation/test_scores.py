"""The long table, its pivots, and comparisons against scipy's t tests."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from actlift.evaluation.intervals import MIN_PEOPLE
from actlift.evaluation.scores import (
    COLUMNS,
    GENERALIST,
    LABELS,
    MEAN_OVER_ACTIONS,
    MEAN_OVER_FRAMES,
    MEAN_OVER_PEOPLE,
    MEANS,
    Scores,
    Variant,
    aligned,
)

EXPERTS = Variant("experts")


def row(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "run": "runs/a",
        "arm": "generalist",
        "matching": "",
        "label": "",
        "mixture": False,
        "smoothed": False,
        "seed": 0,
        "action": "walk",
        "subject": "S1",
        "camera": "ring0",
        "clip": "walk_1",
        "metric": "mpjpe",
        "joint": "all",
        "frames": 100,
        "value": 40.0,
    }
    return base | changes


def random_scores(
    clips: dict[str, int], effect: float = -3.0, noise: float = 1.0, seeds: int = 2, cameras: int = 2, seed: int = 0
) -> Scores:
    """Two arms; `experts` differ by about `effect` from `generalist`, whose clips differ among themselves far more."""
    rng = np.random.default_rng(seed)
    rows = []
    for action, count in clips.items():
        for clip in range(count):
            level, own = rng.normal(60, 15), rng.normal(effect, noise)
            for camera in range(cameras):
                frames = int(rng.integers(20, 200))
                for s in range(seeds):
                    for arm in ("generalist", "experts"):
                        value = level + (own if arm == "experts" else 0.0) + rng.normal(0, 0.1)
                        names = {"action": action, "clip": f"{action}{clip}", "camera": f"ring{camera}"}
                        rows.append(row(run=f"{arm}{s}", arm=arm, seed=s, frames=frames, value=value, **names))
    return Scores.from_rows(rows)


# Pivots


def test_per_action_weighs_frames_inside_an_action_and_actions_alike() -> None:
    scores = Scores.from_rows(
        [
            row(action="walk", clip="w1", frames=100, value=10.0),
            row(action="walk", clip="w2", frames=300, value=30.0),
            row(action="sit", clip="s1", frames=100, value=65.0),
            row(action="sit", clip="s1", frames=100, value=1000.0, joint="Head"),
            row(action="sit", clip="s1", frames=100, value=1000.0, metric="mpjve"),
        ]
    )
    table = scores.per_action("mpjpe")
    assert list(table.columns) == ["sit", "walk", *MEANS]
    assert table.loc[GENERALIST].to_list() == [65.0, 25.0, 45.0, (65 * 100 + 25 * 400) / 500, 45.0]


def test_per_action_averages_seeds_last_and_keeps_the_order_of_arms() -> None:
    scores = Scores.from_rows(
        [
            row(arm="random-experts", seed=0, value=1.0),
            row(arm="experts", seed=0, value=10.0),
            row(arm="experts", seed=1, value=20.0),
            row(arm="experts", seed=1, clip="walk_2", frames=100, value=40.0),
        ]
    )
    table = scores.per_action("mpjpe")
    assert list(table.index) == [Variant("random-experts"), EXPERTS] == list(scores.variants)
    assert table.loc[EXPERTS, "walk"] == (10.0 + 30.0) / 2


def test_every_person_is_the_mean_over_his_or_her_own_actions() -> None:
    scores = Scores.from_rows(
        [
            row(arm=arm, subject=person, action=action, clip=f"{person}{action}{clip}", seed=seed, frames=frames,
                value=start + seed + place)
            for place, (arm, start) in enumerate((("generalist", 10.0), ("experts", 30.0)))
            for seed in (0, 1)
            for person, action, clip, frames in
            (("S1", "walk", 0, 100), ("S1", "walk", 1, 300), ("S1", "sit", 0, 50), ("S2", "walk", 0, 10))
        ]
    )  # fmt: skip
    table = scores.table.copy()
    table["value"] += np.random.default_rng(0).normal(0, 1, len(table))
    scores = Scores(table)
    found = scores.per_person("mpjpe")
    assert list(found.columns) == ["S1", "S2"]
    for variant in (GENERALIST, EXPERTS):
        own = table[table["arm"] == variant.arm]
        for person in ("S1", "S2"):
            of_seeds = [
                np.mean([np.average(g["value"], weights=g["frames"]) for _, g in of_seed.groupby("action")])
                for _, of_seed in own[own["subject"] == person].groupby("seed")
            ]
            assert found.loc[variant, person] == pytest.approx(np.mean(of_seeds))
    means = scores.per_action("mpjpe")[MEAN_OVER_PEOPLE]
    np.testing.assert_allclose(found.mean(axis="columns"), means.loc[found.index])


def test_an_action_an_arm_lacks_is_not_averaged_over() -> None:
    table = Scores.from_rows([row(), row(action="sit", clip="s"), row(arm="experts")]).per_action("mpjpe")
    assert np.isnan(table.loc[EXPERTS, ["sit", MEAN_OVER_ACTIONS, MEAN_OVER_PEOPLE]].to_numpy(float)).all()
    assert table.loc[EXPERTS, MEAN_OVER_FRAMES] == 40.0


def test_pivots_agree_with_plain_numpy_on_random_scores() -> None:
    scores = random_scores({"walk": 5, "sit": 3})
    for variant in scores.variants:
        per_seed = []
        for seed in scores.seeds(variant):
            rows = scores.table[(scores.table["arm"] == variant.arm) & (scores.table["seed"] == seed)]
            by_action = [
                np.average(part["value"], weights=part["frames"])
                for part in (rows[rows["action"] == action] for action in scores.actions)
            ]
            overall = np.average(rows["value"], weights=rows["frames"])
            per_seed.append([*by_action, np.mean(by_action), overall, np.mean(by_action)])  # of one person
        np.testing.assert_allclose(scores.per_action("mpjpe").loc[variant], np.mean(per_seed, axis=0))
        spread = scores.seed_spread("mpjpe").loc[variant]
        np.testing.assert_allclose(spread[[MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES]], np.std(per_seed, axis=0, ddof=1)[2:4])
        assert spread["seeds"] == 2


def test_seed_spread_is_the_deviation_of_every_average_over_seeds() -> None:
    values = {"walk": [10.0, 14.0, 15.0], "sit": [30.0, 30.0, 60.0]}
    scores = Scores.from_rows(
        [row(action=a, clip=a, seed=s, value=v) for a, of_seeds in values.items() for s, v in enumerate(of_seeds)]
    )
    spread = scores.seed_spread("mpjpe").loc[GENERALIST]
    for action, of_seeds in values.items():
        assert spread[action] == pytest.approx(np.std(of_seeds, ddof=1))
    assert spread[MEAN_OVER_ACTIONS] == pytest.approx(np.std([20.0, 22.0, 37.5], ddof=1))


def test_seed_spread_of_one_seed_is_unknown() -> None:
    spread = Scores.from_rows([row()]).seed_spread("mpjpe")
    assert spread.loc[GENERALIST, "seeds"] == 1
    assert np.isnan(spread.loc[GENERALIST, MEAN_OVER_ACTIONS])


def test_per_joint_keeps_the_order_of_joints() -> None:
    scores = Scores.from_rows(
        [
            row(joint="RHip", frames=10, value=1.0),
            row(joint="Head", frames=10, value=2.0),
            row(joint="RHip", frames=30, value=5.0, clip="walk_2"),
            row(joint="Head", frames=30, value=2.0, clip="walk_2"),
            row(joint="all"),
        ]
    )
    table = scores.per_joint("mpjpe")
    assert list(table.columns) == ["RHip", "Head"]
    assert table.loc[GENERALIST].to_list() == [4.0, 2.0]
    with pytest.raises(ValueError, match=r"metric 'mpjpe' was not scored joint by joint"):
        Scores.from_rows([row()]).per_joint("mpjpe")
    with pytest.raises(ValueError, match=r"metric 'mpjpe' was not scored over joint \"all\""):
        Scores.from_rows([row(joint="Head")]).per_action("mpjpe")


# Comparison


def of_people(
    people: dict[str, dict[str, int]], effects: dict[str, float], *, seeds: int = 2, noise: float = 1.0
) -> Scores:
    """Two arms; `people`: by person how many clips of every action; `effects`: by person what experts differ by."""
    rng = np.random.default_rng(len(people))
    rows = []
    for person, actions in people.items():
        for action, count in actions.items():
            for clip in range(count):
                level, frames = rng.normal(60, 15), int(rng.integers(20, 200))
                for s in range(seeds):
                    for arm in ("generalist", "experts"):
                        value = level + (arm == "experts") * effects[person] + rng.normal(0, noise)
                        names = {"action": action, "subject": person, "clip": f"{person}{action}{clip}"}
                        rows.append(row(run=f"{arm}{s}", arm=arm, seed=s, frames=frames, value=value, **names))
    return Scores.from_rows(rows)


FIVE = {f"P{n}": {"walk": 1 + n % 3, "sit": 1} if n else {"walk": 2} for n in range(5)}
EFFECTS = dict(zip(FIVE, (-3.0, -1.0, -4.0, 0.5, -2.0), strict=True))


def by_person(scores: Scores, keys: list[str]) -> pd.DataFrame:
    """Of every person (and what else is asked) the mean over own actions of frame-weighted means, a column an arm."""
    table = scores.table.assign(weighted=lambda t: t["value"] * t["frames"])
    sums = table.groupby([*keys, "subject", "action", "arm"])[["weighted", "frames"]].sum()
    means = sums["weighted"] / sums["frames"]
    return means.groupby([*keys, "subject", "arm"]).mean().unstack("arm")


def test_the_mean_over_people_is_that_of_their_means_over_their_own_actions() -> None:
    scores = of_people(FIVE, EFFECTS)
    expected = by_person(scores, []).mean()
    found = scores.per_action("mpjpe")[MEAN_OVER_PEOPLE]
    assert found[GENERALIST] == pytest.approx(expected["generalist"])
    assert found[EXPERTS] == pytest.approx(expected["experts"])


def test_over_people_compare_is_the_paired_t_test() -> None:
    scores = of_people(FIVE, EFFECTS, seeds=1)
    of = by_person(scores, [])
    expected = ttest_rel(of["experts"], of["generalist"])
    found = scores.compare("mpjpe", EXPERTS, GENERALIST).T[MEAN_OVER_PEOPLE]
    interval = expected.confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    assert (found["p"], found["people"]) == (pytest.approx(expected.pvalue), 5)


def test_over_seeds_it_is_the_t_test_paired_by_seed_where_people_agree() -> None:
    """All people alike: what is left are the seeds, whose noise the arms share."""
    rng = np.random.default_rng(0)
    rows = []
    for s in range(4):
        shared, own = rng.normal(0, 5), rng.normal(-3, 1)
        for person in range(6):
            for arm, offset in (("generalist", 0.0), ("experts", own)):
                names = {"run": f"{arm}{s}", "arm": arm, "seed": s, "subject": f"P{person}", "clip": f"c{person}"}
                rows.append(row(**names, value=60 + shared + offset))
    scores = Scores.from_rows(rows)
    means = scores.table.groupby(["seed", "arm"])["value"].mean().unstack("arm")
    expected = ttest_rel(means["experts"], means["generalist"])
    found = scores.compare("mpjpe", EXPERTS, GENERALIST).T[MEAN_OVER_PEOPLE]
    assert found["p"] == pytest.approx(expected.pvalue)
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected.confidence_interval()))


def test_compare_has_a_row_for_every_action_and_mean() -> None:
    scores = of_people(FIVE, EFFECTS)
    comparison = scores.compare("mpjpe", EXPERTS, GENERALIST)
    assert list(comparison.index) == ["sit", "walk", MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES, MEAN_OVER_PEOPLE]
    assert comparison["people"].to_list() == [4, 5, 0, 0, 5]
    assert comparison["clips"].to_list() == [4, 10, 14, 14, 14]
    table = scores.per_action("mpjpe")
    np.testing.assert_allclose(comparison["difference"], table.loc[EXPERTS] - table.loc[GENERALIST])
    known = comparison["people"] >= MIN_PEOPLE
    assert comparison.loc[known, ["low", "high", "p"]].notna().all(axis=None)
    assert comparison.loc[~known, ["low", "high", "p"]].isna().all(axis=None)  # the papers' means have none
    widths = (comparison["high"] - comparison["low"])[known]
    np.testing.assert_allclose((comparison["high"] + comparison["low"])[known] / 2, comparison["difference"][known])
    assert (widths > 0).all()


def test_few_people_give_no_interval_however_many_clips_there_are() -> None:
    scores = of_people({f"P{n}": {"walk": 50} for n in range(MIN_PEOPLE - 1)}, dict.fromkeys(FIVE, -3.0), noise=0.1)
    comparison = scores.compare("mpjpe", EXPERTS, GENERALIST)
    assert comparison[["low", "high", "p"]].isna().all(axis=None)
    assert comparison["difference"].notna().all()


def test_variations_begin_with_the_data_and_one_that_does_not_do_an_action_moves_nothing_there() -> None:
    scores = of_people(FIVE, EFFECTS)
    varied = scores.variations("mpjpe", scores.variants)
    assert list(varied.averages) == list(scores.variants)
    for variant, averages in varied.averages.items():
        assert list(averages.index) == ["data", *(f"person {name}" for name in FIVE), "seed 0", "seed 1"]
        expected = scores.per_action("mpjpe").loc[variant]
        pd.testing.assert_series_equal(averages.loc["data"], expected, check_names=False)
        data, person = averages.loc["data"], averages.loc["person P0"]
        assert person["sit"] == data["sit"]
        assert person["walk"] != data["walk"]
        assert (averages.filter(like="person", axis="index")[MEAN_OVER_FRAMES] == data[MEAN_OVER_FRAMES]).all()
    one = scores.table[(scores.table["arm"] == "experts") & (scores.table["seed"] == 0)]
    assert varied.frames.sum() == one["frames"].sum()


def test_a_statistic_may_span_two_tables_on_the_same_people() -> None:
    """All errors halved: whoever counts for more, exactly half is left, though the errors themselves spread."""
    scores = of_people(FIVE, EFFECTS)
    halved = Scores(scores.table.assign(value=scores.table["value"] / 2).sample(frac=1, random_state=0))
    fewer = Scores(halved.table[halved.table["seed"] == 0])
    for other in (halved, fewer):
        before, after = aligned([s.variations("mpjpe", [GENERALIST]) for s in (scores, other)])
        pd.testing.assert_series_equal(before.frames, after.frames)
        whole, half = (of.averages[GENERALIST][MEAN_OVER_PEOPLE].to_numpy() for of in (before, after))
        assert len(whole) == len(half) == 1 + 5 + 2
        people = slice(1, 6)
        np.testing.assert_allclose((half / whole)[people], half[0] / whole[0], rtol=1e-5)
        assert before.uncertainty(whole, MEAN_OVER_PEOPLE, [GENERALIST]).of_people > 1
        ratio = before.uncertainty(half / whole, MEAN_OVER_PEOPLE, [GENERALIST])
        assert ratio.of_people == pytest.approx(0, abs=0.01)


def test_pairing_removes_what_people_have_in_common() -> None:
    people = {f"P{n}": {"walk": 3, "sit": 3} for n in range(8)}
    overall = of_people(people, dict.fromkeys(people, -3.0)).compare("mpjpe", EXPERTS, GENERALIST).T[MEAN_OVER_PEOPLE]
    assert overall["low"] < -3 < overall["high"] < 0  # people differ by 6 mm, yet 1 mm of noise decides
    assert overall["high"] - overall["low"] < 2.5


def test_compare_is_antisymmetric_and_zero_with_itself() -> None:
    scores = of_people(FIVE, EFFECTS)
    there = scores.compare("mpjpe", EXPERTS, GENERALIST)
    back = scores.compare("mpjpe", GENERALIST, EXPERTS)
    np.testing.assert_allclose(there["difference"], -back["difference"])
    np.testing.assert_allclose(there["low"], -back["high"], rtol=1e-9)
    same = scores.compare("mpjpe", EXPERTS, EXPERTS)
    assert (same["difference"] == 0).all()
    assert same.loc[MEAN_OVER_PEOPLE, ["low", "high", "p"]].to_list() == [0, 0, 1]


def test_clips_and_cameras_of_a_person_are_no_further_evidence() -> None:
    one = of_people(FIVE, EFFECTS, seeds=1).table
    copies = [one.assign(camera=f"ring{c}", clip=one["clip"] + str(c)) for c in range(3)]
    many = Scores(pd.concat(copies)).compare("mpjpe", EXPERTS, GENERALIST)
    expected = Scores(one).compare("mpjpe", EXPERTS, GENERALIST)
    pd.testing.assert_frame_equal(many.drop(columns="clips"), expected.drop(columns="clips"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": "other"}, r"cannot be paired.*\('walk', 'S1', 'other', 'ring0'\).*same corpus"),
        ({"camera": "ring3"}, r"cannot be paired"),
        ({"frames": 99}, r"cannot be paired.*\('walk', 'S1', 'walk_1', 'ring0'\)"),
    ],
)
def test_arms_scored_on_different_things_are_not_compared(changes: dict[str, object], message: str) -> None:
    scores = Scores.from_rows([row(), row(**({"arm": "experts"} | changes))])
    with pytest.raises(ValueError, match=message):
        scores.compare("mpjpe", EXPERTS, GENERALIST)


@pytest.mark.parametrize("changes", [{"clip": "other"}, {"frames": 99}])
def test_seeds_scored_on_different_things_are_not_averaged(changes: dict[str, object]) -> None:
    scores = Scores.from_rows([row(), row(**({"seed": 1} | changes)), row(arm="experts")])
    with pytest.raises(ValueError, match=r"the seeds of 'generalist' were not all scored on the same"):
        scores.compare("mpjpe", EXPERTS, GENERALIST)


def test_unknown_names_list_the_known() -> None:
    scores = Scores.from_rows([row(), row(arm="experts")])
    with pytest.raises(ValueError, match=r"no metric 'pck'; these scores have: mpjpe"):
        scores.per_action("pck")
    with pytest.raises(ValueError, match=r"no arm 'expert'; these scores have: generalist, experts"):
        scores.compare("mpjpe", Variant("expert"), GENERALIST)
    with pytest.raises(ValueError, match=r"no arm 'expert'"):
        scores.seeds(Variant("expert"))


# The table


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{key: value for key, value in row().items() if key != "clip"}],
            r"missing columns: clip; unknown columns: none",
        ),
        ([row(color="red")], r"unknown columns: color"),
        ([row(seed=0.5)], r"column 'seed' must hold int and holds float64"),
        ([row(frames=True)], r"column 'frames' must hold int and holds bool"),
        ([row(value="40")], r"column 'value' must hold float"),
        ([row(value=True)], r"column 'value' must hold float and holds bool"),
        ([row(arm=None)], r"column 'arm' must hold str"),
        ([row(subject=1)], r"column 'subject' must hold str and holds int64"),
        ([row(value=np.nan)], r"1 rows: value must be finite; the first is .*'clip': 'walk_1'"),
        ([row(value=np.inf)], r"value must be finite"),
        ([row(frames=0)], r"frames must be at least 1"),
        ([row(), row(value=1.0)], r"1 rows: scored twice"),
    ],
)
def test_what_is_no_score_is_refused(rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scores.from_rows(rows)


def test_dtypes_are_settled_and_the_given_table_is_left_alone() -> None:
    given = pd.DataFrame([row(value=40)]).astype({"seed": "int32"})
    scores = Scores(given)
    assert given["seed"].dtype == "int32"
    assert list(scores.table.columns) == list(COLUMNS)
    assert scores.table["seed"].dtype == "int64"
    assert scores.table["value"].dtype == "float64"


def test_empty_scores_have_nothing_to_tell() -> None:
    scores = Scores.from_rows([])
    assert (scores.variants, scores.actions, scores.metrics) == ((), (), ())
    with pytest.raises(ValueError, match=r"no metric 'mpjpe'; these scores have: none"):
        scores.per_action("mpjpe")


def test_concat() -> None:
    one, two = Scores.from_rows([row()]), Scores.from_rows([row(arm="experts")])
    assert Scores.concat([one, two]).variants == (GENERALIST, EXPERTS)
    with pytest.raises(ValueError, match="scored twice"):
        Scores.concat([one, one])
    with pytest.raises(ValueError, match="nothing to concatenate"):
        Scores.concat([])


def test_saved_and_read_again(tmp_path: Path) -> None:
    scores = random_scores({"walk": 2, "sit": 2})
    path = tmp_path / "scores.parquet"
    path.write_bytes(b"what lay here before")
    scores.save(path)
    pd.testing.assert_frame_equal(Scores.read(path).table, scores.table)
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.parquet"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.parquet"
    Scores.from_rows([row()]).save(path)
    before = path.read_bytes()

    def full_disk(_: pd.DataFrame, beside: Path, **__: object) -> None:
        beside.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full_disk)
    with pytest.raises(OSError, match=r"scores\.parquet"):
        Scores.from_rows([row(value=1.0)]).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.parquet"]


def test_reading_what_is_no_score_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    with pytest.raises(FileNotFoundError, match=r"scores\.parquet"):
        Scores.read(path)
    Scores.from_rows([row()]).save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"scores\.parquet: cannot be read as scores"):
        Scores.read(path)
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"scores\.parquet: .*missing columns: run"):
        Scores.read(path)


# Variants


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (GENERALIST, "generalist"),
        (Variant("experts", "total"), "experts (total)"),
        (Variant("experts", "per_model", "none"), "experts (per model): no label"),
        (Variant("conditioned", label="oracle"), "conditioned: oracle label"),
        (Variant("conditioned", label="predicted", mixture=True), "conditioned, mixture: predicted label"),
        (Variant("conditioned", label="wrong_random", mixture=True), "conditioned, mixture: wrong label, at random"),
        (Variant("experts", "total", "wrong_worst"), "experts (total): wrong label, the worst"),
        (Variant("finetuned", mixture=True), "finetuned, mixture"),
    ],
)
def test_the_words_of_a_variant(variant: Variant, words: str) -> None:
    assert str(variant) == words


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matching": "pooled"}, r"the matching of 'generalist' is 'pooled'; known: total, per_model, frames, epochs"),
        ({"label": "orcale"}, r"the label of 'generalist' is 'orcale'; known: oracle, predicted"),
        ({"mixture": 1}, r"column 'mixture' must hold bool and holds int64"),
    ],
)
def test_variants_that_are_none_of_ours_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scores.from_rows([row(**changes)])


def test_rows_that_differ_in_a_variants_fields_are_averaged_apart() -> None:
    variants = [
        Variant("experts", "total", "oracle"),
        Variant("experts", "total", "oracle", mixture=True),
        Variant("experts", "per_model", "oracle"),
        Variant("experts", "per_model"),
    ]
    scores = Scores.from_rows(
        [row(**asdict(v), value=float(i), clip=c) for i, v in enumerate(variants) for c in ("a", "b")]
    )
    assert scores.variants == tuple(variants)
    for i, variant in enumerate(variants):
        assert scores.per_action("mpjpe").loc[variant, "walk"] == i
        assert scores.of(variant).variants == (variant,)
        assert (scores.of(variant).table["value"] == i).all()
    assert scores.of(variants[2], variants[0]).variants == (variants[0], variants[2])
    assert scores.compare("mpjpe", variants[3], variants[1])["difference"].to_list() == [2.0] * 4


@pytest.mark.parametrize(
    ("old", "variant"),
    [
        ("generalist", GENERALIST),
        ("before", Variant("before")),
        ("experts (pooled)", Variant("experts", "total")),
        ("cluster-experts (each)", Variant("cluster-experts", "per_model")),
        ("random-experts (frames)", Variant("random-experts", "frames")),
        ("experts (epochs): no label", Variant("experts", "epochs", "none")),
        ("experts (each), mixture: predicted label", Variant("experts", "per_model", "predicted", mixture=True)),
        ("conditioned: oracle label", Variant("conditioned", label="oracle")),
        ("conditioned: wrong label, the worst", Variant("conditioned", label="wrong_worst")),
        ("finished, mixture", Variant("finetuned", mixture=True)),
        (
            "finished-conditioned, mixture: wrong label, at random",
            Variant("finetuned-conditioned", label="wrong_random", mixture=True),
        ),
        ("specialised: predicted label", Variant("finetuned-experts", label="predicted")),
        ("random-specialised", Variant("random-finetuned-experts")),
        ("mine (of 3): the first", Variant("mine (of 3): the first")),
    ],
)
def test_files_from_before_there_were_columns_of_variants_are_read(tmp_path: Path, old: str, variant: Variant) -> None:
    path = tmp_path / "scores.parquet"
    new = Scores.from_rows([row(**asdict(variant)), row(arm="another", seed=1)])
    strings = new.table.drop(columns=["matching", "label", "mixture", "smoothed"]).assign(arm=[old, "another"])
    strings.to_parquet(path, index=False)
    pd.testing.assert_frame_equal(Scores.read(path).table, new.table)


@pytest.mark.parametrize("label", LABELS)
def test_every_label_has_words_that_are_read_back(tmp_path: Path, label: str) -> None:
    variant = Variant("conditioned", label=label)
    table = Scores.from_rows([row()]).table.drop(columns=["matching", "label", "mixture", "smoothed"])
    table.assign(arm=str(variant)).to_parquet(tmp_path / "old.parquet")
    assert Scores.read(tmp_path / "old.parquet").variants == (variant,)
