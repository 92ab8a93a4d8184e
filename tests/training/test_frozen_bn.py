"""Finishing networks in evaluation mode, alone and as arms of a study."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.networks import network_of

from actlift.data.corpus import Corpus
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import Scores
from actlift.lifting.predict import LifterPredictor, lift, load_lifter
from actlift.models.options import Network
from actlift.models.tcn import TCN
from actlift.recognition.discriminant import ClipRecognizer
from actlift.study.experiment import FINISH, plan_jobs, run_study
from actlift.study.plan import FINISHED, Plan
from actlift.training.budget import Budget
from actlift.training.frozen_bn import FrozenLearner, tune_frozen
from actlift.training.loop import Interrupted, ModelSpec
from actlift.training.run import Run

CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture
def training(corpus: Corpus) -> Corpus:
    return corpus.split(["syn4"])[0]


def members(training: Corpus, steps: int = 40) -> list[ModelSpec]:
    """One for each action."""
    return [
        ModelSpec(a, rows_of([v for v in training.views if v.action == a]), Budget(steps, 32)) for a in training.actions
    ]


def start() -> TCN:
    network = network_of((3, 3), dropout=0.25)
    with torch.no_grad():
        network.head.mul_(0.1)
    return network


def error(network: TCN, training: Corpus, action: str) -> float:
    views = [v for v in training.views if v.action == action]
    poses = lift(network, [v.pose2d for v in views])
    truth = [v.pose3d_cam - v.pose3d_cam[:, :1] for v in views]
    return float(np.mean([np.linalg.norm(p - t, axis=-1).mean() for p, t in zip(poses, truth, strict=True)]))


def test_each_copy_learns_its_part_best_and_statistics_stay(tmp_path, training):
    own = members(training, 120)
    run = tune_frozen(tmp_path / "run", training, own, {m.name: start() for m in own}, **CPU)
    found = {m.name: load_lifter(run, m.name) for m in own}
    for action in training.actions:
        errors = {name: error(network, training, action) for name, network in found.items()}
        assert min(errors, key=errors.get) == action
        assert errors[action] < 0.8 * error(start(), training, action)
        for key, value in start().state_dict().items():
            if "running" in key:
                assert torch.equal(found[action].state_dict()[key], value)


def test_the_same_call_gives_the_same_bits_and_what_is_done_is_returned(tmp_path, training):
    own = members(training, 5)
    runs = [tune_frozen(tmp_path / str(i), training, own, {m.name: start() for m in own}, **CPU) for i in range(2)]
    one, other = (run.weights.read_bytes() for run in runs)
    assert one == other
    before = runs[0].weights.stat().st_mtime_ns
    again = tune_frozen(tmp_path / "0", training, own, {m.name: start() for m in own}, **CPU)
    assert again.weights.stat().st_mtime_ns == before
    assert list(again.log().columns)[:2] == ["step", "progress"]
    with pytest.raises(ValueError, match="holds another run"):
        tune_frozen(tmp_path / "0", training, own, {m.name: network_of((3, 3), seed=1) for m in own}, **CPU)


def test_what_is_stopped_resumes_to_the_same_bits(tmp_path, training, monkeypatch):
    own = members(training, 8)
    whole = tune_frozen(tmp_path / "whole", training, own, {m.name: start() for m in own}, **CPU)
    plain = FrozenLearner.step

    def interrupted(learner, number: int) -> None:
        plain(learner, number)
        if number == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(FrozenLearner, "step", interrupted)
    with pytest.raises(Interrupted, match="stopped at step 5 of 8; the same command resumes"):
        tune_frozen(tmp_path / "run", training, own, {m.name: start() for m in own}, **CPU)
    monkeypatch.undo()
    resumed = tune_frozen(tmp_path / "run", training, own, {m.name: start() for m in own}, **CPU)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
    assert resumed.log()["loss_mm"].tolist() == whole.log()["loss_mm"].tolist()


def test_members_of_several_budgets_are_refused(tmp_path, training):
    own = [*members(training, 5)[:1], *members(training, 6)[1:]]
    with pytest.raises(ValueError, match="give members of one budget, got 2 of 3"):
        tune_frozen(tmp_path / "run", training, own, {m.name: start() for m in own}, **CPU)
    assert not (tmp_path / "run").exists()


PLAN = Plan(
    test_subjects=("syn4",),
    arms=("generalist", *FINISHED),
    seeds=(0,),
    budget=Budget(90, 256),
    network=Network(receptive_field=9, channels=64),
    labels=True,
    precision="float32",
    device="cpu",
)


def test_an_arm_that_finishes_spends_the_budget_in_two_parts(training):
    jobs = {job.arm: job for job in plan_jobs(training, PLAN)}
    charge = (
        PLAN.budget.steps
        - plan_jobs(training, replace(PLAN, arms=("generalist", "conditioned")))[1].members[0].budget.steps
    )
    assert charge > 0
    assert ClipRecognizer.multiply_adds(training) > 0
    for arm, parts in (("finished", 1), ("finished-conditioned", 1), ("specialised", 3), ("random-specialised", 3)):
        job = jobs[arm]
        assert job.base is not None
        assert len(job.members) == parts
        finishing = sum(m.budget.steps for m in job.members)
        total = PLAN.budget.steps - (0 if arm == "finished" else charge)
        assert finishing + job.base.members[0].budget.steps == total
        assert total * FINISH - parts < finishing <= total * FINISH
        assert job.windows == total * 256
    with pytest.raises(ValueError, match="'specialised' finishes 3 networks for 30% of 9 steps: give it more steps"):
        plan_jobs(training, replace(PLAN, arms=("generalist", "specialised"), budget=Budget(9, 8), labels=False))
    with pytest.raises(ValueError, match="neither frames nor epochs"):
        plan_jobs(training, replace(PLAN, equalities=("frames",), frames=200, arms=("generalist", "finished")))


def test_a_study_finishes_networks_and_scores_them_under_all_labels(tmp_path: Path, corpus: Corpus):
    scores = run_study(tmp_path / "study", corpus, PLAN)
    assert {"generalist", "finished", "random-specialised", "specialised: oracle label"} <= set(scores.arms)
    _, test = corpus.split(PLAN.test_subjects)
    both = [
        LifterPredictor(load_lifter(Run.open(tmp_path / "study" / "runs" / name)))([v.keypoints for v in test.views])
        for name in ("finished-seed0", "generalist-for-finished-seed0")
    ]
    mean = score_poses([(a + b) / 2 for a, b in zip(*both, strict=True)], test.views, arm="mean", metrics=("mpjpe",))
    found = scores.per_action("mpjpe").loc["finished, mixture"]
    np.testing.assert_allclose(found, mean.per_action("mpjpe").loc["mean"], rtol=1e-5)
    labels = Scores.read(tmp_path / "study" / "labels.parquet")
    assert {"specialised, mixture: predicted label", "finished-conditioned: no label"} <= set(labels.arms)
    assert load_lifter(Run.open(tmp_path / "study" / "runs" / "finished-conditioned-seed0")).conditions == 3
    base = load_lifter(Run.open(tmp_path / "study" / "runs" / "conditioned-for-specialised-seed0"))
    assert base.conditions == 3
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "study" / "runs").rglob("*.safetensors")}
    run_study(tmp_path / "study", corpus, PLAN)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "study" / "runs").rglob("*.safetensors")} == before
