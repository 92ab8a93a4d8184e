"""Every row of ARMS through the same checks, and an arm of one's own."""

from dataclasses import replace

import numpy as np
import pytest
from tests.networks import network_of

from actlift.data.corpus import Corpus
from actlift.evaluation.scores import GENERALIST, Variant
from actlift.lifting.predict import LifterPredictor
from actlift.models.options import Network
from actlift.models.tcn import TCN
from actlift.study.about import ABOUT, About
from actlift.study.arms import ARMS, Derived, Experts, Generalist, Job, arms_of, plan_jobs
from actlift.study.experiment import run_study
from actlift.study.partitions import PARTITIONS
from actlift.study.plan import Plan
from actlift.training.budget import Budget
from actlift.training.run import Run

PLAN = Plan(
    test_subjects=("syn4",),
    arms=tuple(ARMS),
    matching=("total", "per_model"),
    seeds=(0, 3),
    budget=Budget(30, 16),
    network=Network(receptive_field=9, channels=16),
    precision="float32",
    device="cpu",
)


@pytest.fixture
def split(corpus: Corpus) -> tuple[Corpus, Corpus]:
    return corpus.split(PLAN.test_subjects)


TRAINED = [name for name, arm in ARMS.items() if not isinstance(arm, Derived)]


def networks_of(job: Job) -> dict[str, TCN]:
    """Untrained, of the job's shape (or of what it is made of), each unlike the others."""
    specs = [spec for of in job.sources or (job,) for spec in of.specs]
    conditions = len(job.conditions)
    return {
        f"{i if job.sources else spec.name}": network_of((3, 3), conditions=conditions, seed=i)
        for i, spec in enumerate(specs, 1)
    }


@pytest.mark.parametrize("name", TRAINED)
def test_an_arm_trains_one_job_for_each_matching_and_seed_within_the_budget(name, split):
    training, _ = split
    jobs = ARMS[name].jobs(name, training, PLAN)
    assert [job.seed for job in jobs] == list(PLAN.seeds) * (len(jobs) // len(PLAN.seeds))
    assert {job.variant.arm for job in jobs} == {name}
    assert len({job.folder for job in jobs}) == len(jobs)
    assert len({(job.variant, job.seed) for job in jobs}) == len(jobs)
    whole = PLAN.budget.windows
    for job in jobs:
        parts = len(PARTITIONS[ARMS[name].about.partition](training.views).training) if job.partition else 1
        assert len(job.specs) == (parts if ARMS[name].about.per_part else 1)
        most = whole * parts if job.variant.matching == "per_model" else whole
        assert most - 16 * parts < job.windows <= most
        for spec in job.specs:
            assert set(spec.rows) <= set(np.arange(len(training.pose2d)))
            assert (spec.conditions is None) == (not job.conditions)


@pytest.mark.parametrize("name", [name for name in ARMS if name not in TRAINED])
def test_an_arm_that_is_made_of_others_trains_nothing(name, split):
    training, test = split
    jobs = ARMS[name].jobs(name, training, PLAN)
    assert [job.seed for job in jobs] == list(PLAN.seeds)
    for job in jobs:
        assert not job.specs
        assert job.windows == 0
        assert [of.seed for of in job.sources] == (
            [job.seed + i for i in range(ARMS[name].seeds)] if job.sources else []
        )
        assert {of.variant.arm for of in job.sources} == ({ARMS[name].base} if job.sources else set())
        assert job.run == (f"runs/{job.sources[0].folder}" if job.sources else "")
    poses = ARMS[name].poses(networks_of(jobs[0]), jobs[0], test.views)
    assert [pose.shape for pose in poses] == [view.pose3d_cam.shape for view in test.views]


@pytest.mark.parametrize("name", TRAINED)
def test_the_networks_of_a_job_predict_every_view_and_each_by_its_own(name, split):
    training, test = split
    job = ARMS[name].jobs(name, training, PLAN)[0]
    networks = networks_of(job)
    poses = ARMS[name].poses(networks, job, test.views)
    assert [pose.shape for pose in poses] == [view.pose3d_cam.shape for view in test.views]
    part_of = job.partition.part_of if job.partition else lambda _: "everything"
    for view, pose in list(zip(test.views, poses, strict=True))[::5]:
        part = part_of(view)
        own = networks["everything"].given(job.conditions.index(part)) if job.conditions else networks[part]
        np.testing.assert_allclose(pose, LifterPredictor(own)([view.keypoints])[0], atol=1e-5)


@pytest.mark.parametrize("name", ARMS)
def test_what_goes_on_from_another_training_starts_from_its_network(name, split):
    job = ARMS[name].jobs(name, split[0], PLAN)[0]
    if job.base is None:
        return
    (base,) = networks_of(job.base).values()
    starts = job.starts(base)
    assert set(starts) == {spec.name for spec in job.specs}
    assert {start.conditions for start in starts.values()} == {len(job.conditions)}
    assert job.base.folder == f"{job.base.variant.arm}-for-{name}-seed0"
    for part, start in starts.items():
        if ARMS[name].about.per_part:
            seen = [split[1].views[0].keypoints]
            told = LifterPredictor(base.given(job.base.conditions.index(part)))(seen)
            np.testing.assert_allclose(LifterPredictor(start)(seen)[0], told[0], atol=1e-6)
        else:
            assert start is base


@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if arm.about.labeled])
def test_an_arm_that_is_scored_under_labels_takes_every_action_and_none(name, split):
    training, test = split
    job = ARMS[name].jobs(name, training, PLAN)[0]
    networks, unconditioned = networks_of(job), network_of((3, 3), seed=9)
    conditional = ARMS[name].conditional(networks, job, unconditioned)
    assert list(conditional.actions) == list(training.actions)
    views = test.views[::5]
    seen = [view.keypoints for view in views]
    truly = conditional.poses(seen, [view.action for view in views])
    for one, other in zip(truly, ARMS[name].poses(networks, job, views), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    nothing = networks["everything"].given(3) if job.conditions else unconditioned
    np.testing.assert_allclose(conditional.unconditioned(seen)[0], LifterPredictor(nothing)(seen)[0], atol=1e-5)


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_says_what_reports_need(name):
    about = ARMS[name].about
    assert about.note
    assert about.against in ARMS
    assert about.control == about.note.startswith(("control: ", "baseline: "))
    assert all(ABOUT[control].control or control == about.against for control in about.controls)
    assert all(ABOUT[control].control for control in about.mixture_controls)
    assert not about.mixture_controls or about.mixture
    assert about.partition in ("", *PARTITIONS)
    assert not about.mixtures_alike or ARMS[about.against].about.mixture


def test_every_row_has_the_words_of_its_name():
    assert {name: ARMS[name].about for name in ABOUT} == ABOUT


def test_arms_are_trained_once_each_after_the_generalist(split):
    plan = replace(PLAN, arms=("experts", "generalist", "experts"), matching=("total",), seeds=(0,))
    assert arms_of(plan) == ("generalist", "experts")
    assert [job.variant for job in plan_jobs(split[0], plan)] == [GENERALIST, Variant("experts", "total")]


def test_an_arm_of_ones_own_is_a_class_and_a_row(corpus, tmp_path, monkeypatch):
    """Half the steps: a class that changes another arm's jobs, and nothing else anywhere."""

    class Hurried(Generalist):
        def jobs(self, name, training, plan):
            return super().jobs(name, training, replace(plan, budget=Budget(plan.budget.steps // 2, plan.budget.batch)))

    monkeypatch.setitem(ARMS, "hurried", Hurried(About("the generalist in half the time")))
    monkeypatch.setitem(ARMS, "again", Experts(About("experts again", partition="action", per_part=True)))
    plan = replace(PLAN, arms=("hurried", "again"), matching=("total",), seeds=(0,), budget=Budget(6, 16))
    scores = run_study(tmp_path / "study", corpus, plan)
    as_they_are, _ = scores.by_smoothing()
    assert as_they_are.variants == (GENERALIST, Variant("hurried"), Variant("again", "total"))
    members = Run.open(tmp_path / "study" / "runs" / "hurried-seed0").config["identity"]["members"]
    assert [member["steps"] for member in members.values()] == [3]
