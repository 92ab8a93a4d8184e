"""The arms that are fine-tuned with frozen statistics: budgets in two parts, scores under all labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actlift.data.corpus import Corpus
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import Scores, Variant
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.models.options import Network
from actlift.recognition.discriminant import ClipRecognizer
from actlift.report.results import ALL, ONE, StudyResults
from actlift.study.arms import FINETUNING, plan_jobs
from actlift.study.experiment import run_study
from actlift.study.plan import Plan
from actlift.training.budget import Budget
from actlift.training.run import Run

CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture
def training(corpus: Corpus) -> Corpus:
    return corpus.split(["syn4"])[0]


PLAN = Plan(
    test_subjects=("syn4",),
    arms=("generalist", "finetuned", "finetuned-conditioned", "finetuned-experts", "random-finetuned-experts"),
    seeds=(0,),
    budget=Budget(90, 256),
    network=Network(receptive_field=9, channels=64),
    labels="all",
    labels_by="clip",
    precision="float32",
    device="cpu",
)


def test_an_arm_that_fine_tunes_spends_the_budget_in_two_parts(training):
    jobs = {job.variant.arm: job for job in plan_jobs(training, PLAN)}
    charge = (
        PLAN.budget.steps
        - plan_jobs(training, replace(PLAN, arms=("generalist", "conditioned")))[1].specs[0].budget.steps
    )
    assert charge > 0
    assert ClipRecognizer.multiply_adds(training) > 0
    for arm, parts in (
        ("finetuned", 1),
        ("finetuned-conditioned", 1),
        ("finetuned-experts", 3),
        ("random-finetuned-experts", 3),
    ):
        job = jobs[arm]
        assert job.base is not None
        assert len(job.specs) == parts
        finishing = sum(m.budget.steps for m in job.specs)
        total = PLAN.budget.steps - (0 if arm == "finetuned" else charge)
        assert finishing + job.base.specs[0].budget.steps == total
        assert total * FINETUNING - parts < finishing <= total * FINETUNING
        assert job.windows == total * 256
    message = "'finetuned-experts' fine-tunes 3 networks for 30% of 9 steps: give it more steps"
    with pytest.raises(ValueError, match=message):
        plan_jobs(training, replace(PLAN, arms=("generalist", "finetuned-experts"), budget=Budget(9, 8), labels=""))
    with pytest.raises(ValueError, match="neither frames nor epochs"):
        plan_jobs(training, replace(PLAN, matching=("frames",), frames=200, arms=("generalist", "finetuned")))


@pytest.mark.slow
def test_a_study_fine_tunes_networks_and_scores_them_under_all_labels(tmp_path: Path, corpus: Corpus):
    scores = run_study(tmp_path / "study", corpus, PLAN)
    assert {"generalist", "finetuned", "random-finetuned-experts", "finetuned-experts: oracle label"} <= {
        str(variant) for variant in scores.variants
    }
    _, test = corpus.split(PLAN.test_subjects)
    both = [
        LifterPredictor(load_lifter(Run.open(tmp_path / "study" / "runs" / name)))([v.keypoints for v in test.views])
        for name in ("finetuned-seed0", "generalist-for-finetuned-seed0")
    ]
    mean_of = Variant("mean")
    mean = score_poses(
        [(a + b) / 2 for a, b in zip(*both, strict=True)], test.views, variant=mean_of, metrics=("mpjpe",)
    )
    found = scores.per_action("mpjpe").loc[Variant("finetuned", mixture=True)]
    np.testing.assert_allclose(found, mean.per_action("mpjpe").loc[mean_of], rtol=1e-5)
    labels = Scores.read(tmp_path / "study" / "labels.parquet")
    assert {
        Variant("finetuned-experts", label="predicted", mixture=True),
        Variant("finetuned-conditioned", label="none"),
    } <= set(labels.variants)
    assert load_lifter(Run.open(tmp_path / "study" / "runs" / "finetuned-conditioned-seed0")).conditions == 3
    base = load_lifter(Run.open(tmp_path / "study" / "runs" / "conditioned-for-finetuned-experts-seed0"))
    assert base.conditions == 3
    told = {(cost.variant.arm, cost.run): cost for cost in StudyResults.open("study", tmp_path / "study").costs}
    for job in plan_jobs(corpus.split(PLAN.test_subjects)[0], PLAN):
        cost = told[job.variant.arm, job.run]
        assert cost.steps_total * cost.batch == job.windows, "what it went on from is a part of its cost"
        assert cost.of(ONE).steps * len(cost.steps) == pytest.approx(cost.of(ALL).steps)
        assert sum(map(cost.share, cost.steps)) == pytest.approx(1)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "study" / "runs").rglob("*.safetensors")}
    run_study(tmp_path / "study", corpus, PLAN)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "study" / "runs").rglob("*.safetensors")} == before
