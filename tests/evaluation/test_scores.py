"""The long table, its pivots, and the bootstrap against a slow reference."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from actlift.evaluation.scores import (
    COLUMNS,
    GENERALIST,
    LABELS,
    MEAN_OVER_ACTIONS,
    MEAN_OVER_FRAMES,
    Scores,
    Variant,
    percentile_interval,
    seed_margin,
)

EXPERTS = Variant("experts")


def row(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "run": "runs/a",
        "arm": "generalist",
        "matching": "",
        "label": "",
        "mixture": False,
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
    assert list(table.columns) == ["sit", "walk", MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES]
    assert table.loc[GENERALIST].to_list() == [65.0, 25.0, 45.0, (65 * 100 + 25 * 400) / 500]


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


def test_an_action_an_arm_lacks_is_not_averaged_over() -> None:
    table = Scores.from_rows([row(), row(action="sit", clip="s"), row(arm="experts")]).per_action("mpjpe")
    assert np.isnan(table.loc[EXPERTS, ["sit", MEAN_OVER_ACTIONS]].to_numpy(float)).all()
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
            per_seed.append([*by_action, np.mean(by_action), overall])
        np.testing.assert_allclose(scores.per_action("mpjpe").loc[variant], np.mean(per_seed, axis=0))
        spread = scores.seed_spread("mpjpe").loc[variant]
        np.testing.assert_allclose(spread[[MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES]], np.std(per_seed, axis=0, ddof=1)[2:])
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


def test_seed_margin_is_the_half_width_of_the_t_interval() -> None:
    one, other = [41.0, 43.5, 40.2], [47.0, 44.1, 45.9]
    expected = ttest_ind(one, other).confidence_interval()
    margin = seed_margin([np.std(one, ddof=1), np.std(other, ddof=1)], [3, 3])
    assert margin == pytest.approx((expected.high - expected.low) / 2)
    assert np.isnan(seed_margin([1.0, np.nan], [3, 1]))


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


def test_compare_agrees_with_a_slow_bootstrap_that_draws_clip_by_clip() -> None:
    scores = random_scores({"walk": 9, "sit": 6, "jump": 1})
    comparison = scores.compare("mpjpe", EXPERTS, GENERALIST, draws=4000)
    assert list(comparison.index) == ["jump", "sit", "walk", MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES]
    assert comparison["clips"].to_list() == [1, 6, 9, 16, 16]

    table = scores.per_action("mpjpe")
    np.testing.assert_allclose(comparison["difference"], table.loc[EXPERTS] - table.loc[GENERALIST])

    wide = scores.table.pivot_table(index=["action", "clip", "camera", "frames"], columns="arm", values="value")
    wide = (wide["experts"] - wide["generalist"]).rename("difference").reset_index()
    views = {
        action: [part[["frames", "difference"]].to_numpy() for _, part in rows.groupby("clip")]
        for action, rows in wide.groupby("action")
    }
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(1500):
        picked = [
            np.concatenate([clips[i] for i in rng.integers(len(clips), size=len(clips))]) for clips in views.values()
        ]
        means = [np.average(difference, weights=frames) for frames, difference in (part.T for part in picked)]
        every = np.concatenate(picked)
        drawn.append([*means, np.mean(means), np.average(every[:, 1], weights=every[:, 0])])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    width = (high - low)[1:]
    assert (np.abs(comparison["low"].to_numpy()[1:] - low[1:]) < 0.1 * width).all()
    assert (np.abs(comparison["high"].to_numpy()[1:] - high[1:]) < 0.1 * width).all()
    assert np.isnan(comparison.loc["jump", ["low", "high"]].to_numpy(float)).all()


def test_draws_begin_with_the_data_and_are_missing_where_there_is_one_clip() -> None:
    scores = random_scores({"walk": 4, "jump": 1})
    drawn = scores.bootstrap("mpjpe", scores.variants, draws=50)
    assert list(drawn.averages) == list(scores.variants)
    for variant, averages in drawn.averages.items():
        assert averages.shape == (51, 4)
        pd.testing.assert_series_equal(averages.loc[0], scores.per_action("mpjpe").loc[variant], check_names=False)
        assert averages.loc[1:, "jump"].isna().all()
        assert averages.drop(columns="jump").notna().all(axis=None)
    assert drawn.frames.sum() == scores.table.loc[lambda t: (t["arm"] == "experts") & (t["seed"] == 0), "frames"].sum()


def test_draws_of_two_tables_on_the_same_clips_are_paired() -> None:
    """All errors halved: however clips are drawn, exactly half is left, though the errors themselves spread."""
    scores = random_scores({"walk": 6, "sit": 5})
    halved = Scores(scores.table.assign(value=scores.table["value"] / 2).sample(frac=1, random_state=0))
    before, after = (s.bootstrap("mpjpe", [GENERALIST]) for s in (scores, halved))
    pd.testing.assert_series_equal(before.frames, after.frames)
    whole, half = (d.averages[GENERALIST][MEAN_OVER_ACTIONS].to_numpy() for d in (before, after))
    assert whole[1:].std() > 1
    assert percentile_interval(half / whole) == (pytest.approx(0.5), pytest.approx(0.5))


def test_pairing_removes_what_clips_have_in_common() -> None:
    comparison = random_scores({"walk": 20, "sit": 20}, effect=-3, noise=1).compare("mpjpe", EXPERTS, GENERALIST)
    overall = comparison.loc[MEAN_OVER_ACTIONS]
    assert overall["low"] < -3 < overall["high"] < 0  # clips differ by 15 mm, yet 1 mm of noise decides
    assert overall["high"] - overall["low"] < 1.5


def test_compare_is_antisymmetric_reproducible_and_zero_with_itself() -> None:
    scores = random_scores({"walk": 5, "sit": 4})
    there = scores.compare("mpjpe", EXPERTS, GENERALIST, seed=3)
    back = scores.compare("mpjpe", GENERALIST, EXPERTS, seed=3)
    np.testing.assert_allclose(there["difference"], -back["difference"])
    np.testing.assert_allclose(there["low"], -back["high"], atol=1e-9)
    pd.testing.assert_frame_equal(there, scores.compare("mpjpe", EXPERTS, GENERALIST, seed=3))
    same = scores.compare("mpjpe", EXPERTS, EXPERTS)
    assert (same[["difference", "low", "high"]] == 0).all(axis=None)


@pytest.mark.slow
def test_the_interval_covers_the_truth_about_95_times_in_100() -> None:
    hits = 0
    for seed in range(200):
        scores = random_scores({"walk": 15, "sit": 15}, effect=2.0, seeds=1, cameras=1, seed=seed)
        overall = scores.compare("mpjpe", EXPERTS, GENERALIST, draws=400).loc[MEAN_OVER_ACTIONS]
        hits += overall["low"] < 2.0 < overall["high"]
    assert 0.87 <= hits / 200 <= 0.99


def test_cameras_and_seeds_of_a_clip_are_no_further_evidence() -> None:
    one = random_scores({"walk": 8}, seeds=1, cameras=1).table
    copies = [one.assign(camera=f"ring{c}", seed=s) for c in range(3) for s in range(2)]
    many = Scores(pd.concat(copies)).compare("mpjpe", EXPERTS, GENERALIST)
    pd.testing.assert_frame_equal(many, Scores(one).compare("mpjpe", EXPERTS, GENERALIST))


def test_one_clip_everywhere_gives_no_interval_at_all() -> None:
    comparison = random_scores({"walk": 1, "sit": 1}).compare("mpjpe", EXPERTS, GENERALIST)
    assert comparison[["low", "high"]].isna().all(axis=None)
    assert comparison["difference"].notna().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": "other"}, r"cannot be paired.*\('walk', 'other', 'ring0'\).*same corpus"),
        ({"camera": "ring3"}, r"cannot be paired"),
        ({"frames": 99}, r"cannot be paired.*\('walk', 'walk_1', 'ring0'\)"),
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
    assert scores.compare("mpjpe", variants[3], variants[1], draws=10)["difference"].to_list() == [2.0] * 3


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
    strings = new.table.drop(columns=["matching", "label", "mixture"]).assign(arm=[old, "another"])
    strings.to_parquet(path, index=False)
    pd.testing.assert_frame_equal(Scores.read(path).table, new.table)


@pytest.mark.parametrize("label", LABELS)
def test_every_label_has_words_that_are_read_back(tmp_path: Path, label: str) -> None:
    variant = Variant("conditioned", label=label)
    table = Scores.from_rows([row()]).table.drop(columns=["matching", "label", "mixture"])
    table.assign(arm=str(variant)).to_parquet(tmp_path / "old.parquet")
    assert Scores.read(tmp_path / "old.parquet").variants == (variant,)
