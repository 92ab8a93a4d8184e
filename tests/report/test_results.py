"""What reports read of a study's folder, today's or an older one's."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
from tests.suites import EXPERTS, EXPERTS_PER_MODEL, RANDOM, make_suite

from actlift.evaluation.scores import GENERALIST, Scores, Variant
from actlift.report.results import StudyResults, Suite

CONDITIONED = Variant("conditioned", label="oracle")
OLD = {"total": "pooled", "per_model": "each", "per model": "each"}


def as_before(folder: Path) -> None:
    """Make a study folder what it was before variants had columns: one string for all of them."""

    def older(name: str) -> str:
        return re.sub("|".join(OLD), lambda found: OLD[found[0]], name)

    path = folder / "scores.parquet"
    scores = Scores.read(path)
    parts = [
        scores.of(variant)
        .table.assign(arm=older(str(variant)))
        .drop(columns=["matching", "label", "mixture", "smoothed"])
        for variant in scores.variants
    ]
    table = pd.concat(parts, ignore_index=True)
    table.assign(run=table["run"].map(older)).to_parquet(path)
    for run in list((folder / "runs").iterdir()):
        run.rename(run.with_name(older(run.name)))
    study = json.loads((folder / "study.json").read_text())
    del study["format"]
    study["plan"] |= {"arms": list(study.pop("arms")), "equalities": ["pooled", "each"]}
    (folder / "study.json").write_text(json.dumps(study))


def test_an_older_study_is_read_as_todays(tmp_path: Path) -> None:
    variants = (EXPERTS, EXPERTS_PER_MODEL, RANDOM, CONDITIONED)
    suite = make_suite(tmp_path / "suite", fields=(27,), variants=variants, seeds=(0, 1), clips=2)
    shutil.copytree(suite / "27f", tmp_path / "27f")
    as_before(tmp_path / "27f")
    assert set(pd.read_parquet(tmp_path / "27f" / "scores.parquet")["arm"]) == {
        "generalist",
        "experts (pooled)",
        "experts (each)",
        "random-experts (pooled)",
        "conditioned: oracle label",
    }
    (study,) = Suite.open(suite).studies
    found = StudyResults.open("27f", tmp_path / "27f")
    assert found.scores.variants == study.scores.variants == (GENERALIST, *variants)
    assert found.costs == study.costs
    pd.testing.assert_frame_equal(found.scores.table, study.scores.table)
    pd.testing.assert_frame_equal(found.curves, study.curves)
    assert found.arms == study.arms
    for variant in variants:
        assert found.error_at("mpjpe", variant) == study.error_at("mpjpe", variant)


def test_what_is_told_costs_nothing(tmp_path: Path) -> None:
    """A variant under another label has the costs of the run that both were scored of."""
    suite = make_suite(tmp_path / "suite", fields=(27,), variants=(EXPERTS, CONDITIONED), seeds=(0,), clips=2)
    (study,) = Suite.open(suite).studies
    predicted = Variant("conditioned", label="predicted", mixture=True)
    assert study.costs_of(predicted) == study.costs_of(CONDITIONED) != study.costs_of(EXPERTS)
