"""Labels: recognizing clips, lifters that are told, the mixture, and the arms that labels make."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.networks import network_of

from actlift.data.corpus import Corpus
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import ALL_JOINTS, GENERALIST, Scores, Variant
from actlift.geometry.skeleton import H36M_17, root_relative
from actlift.lifting.conditional import TOLERATED, ConditionalLifter, Gate, distance_apart, mixture
from actlift.lifting.predict import LifterPredictor
from actlift.models.options import Network
from actlift.models.tensors import write_tensors
from actlift.recognition.accuracy import confidence_for
from actlift.recognition.discriminant import ClipRecognizer, describe
from actlift.report.study_page import write_study_page
from actlift.study.arms import plan_jobs
from actlift.study.experiment import run_study
from actlift.study.labels import ROUND_LABELS, score_labels
from actlift.study.plan import Plan
from actlift.training.budget import Budget
from actlift.training.run import Run

CONDITIONED = ("conditioned", "random-conditioned", "cluster-conditioned")
ACTIONS = ("Squat", "Walking", "Waving")


@pytest.fixture
def split(corpus: Corpus) -> tuple[Corpus, Corpus]:
    return corpus.split(["syn4"])


def seen(views):
    return [view.keypoints for view in views]


def told_by(strength: float) -> ConditionalLifter:
    """A network whose labels matter, the more the stronger; untold, its joints stay near the root."""
    network = network_of((3, 3), conditions=3, dropout=0.0)
    with torch.no_grad():
        network.head.mul_(0.1)
    for layer in network.layers:
        for table in (layer.gain, layer.bias):
            torch.nn.init.normal_(table, 0, strength)
            with torch.no_grad():
                table[3] = 0
    return ConditionalLifter.from_network(network, ACTIONS)


@pytest.fixture(scope="module")
def told() -> ConditionalLifter:
    return told_by(0.3)


# recognizing a clip


def test_unseen_people_are_recognized_and_probabilities_are_probabilities(split):
    training, test = split
    recognizer = ClipRecognizer.fit(training)
    posteriors = np.stack([recognizer.of_clip(v.keypoints) for v in test.views])
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    right = [ACTIONS[p.argmax()] == v.action for p, v in zip(posteriors, test.views, strict=True)]
    assert np.mean(right) > 0.9
    assert recognizer.held_out.top1 > 0.7  # learnt from one person at a time


def test_a_mirrored_clip_shows_the_same_action(split):
    training, test = split
    recognizer = ClipRecognizer.fit(training)
    for view in test.views[::5]:
        mirrored = view.pose2d[:, list(H36M_17.mirror)] * np.array([-1, 1], np.float32)
        np.testing.assert_allclose(
            recognizer.of_clip(replace(view.keypoints, pose2d=mirrored)),
            recognizer.of_clip(view.keypoints),
            atol=1e-6,
        )


def test_a_clip_is_described_whatever_its_size_place_and_length(split):
    view = split[1].views[0]
    once = describe(view.pose2d, view.fps)
    np.testing.assert_allclose(describe(view.pose2d * 0.5 + 0.2, view.fps), once, rtol=1e-3, atol=1e-3)
    assert np.isfinite(describe(view.pose2d[:1], view.fps)).all()


def test_a_saved_recognizer_says_the_same(tmp_path, split):
    training, test = split
    recognizer = ClipRecognizer.fit(training)
    recognizer.save(tmp_path / "recognizer.safetensors")
    again = ClipRecognizer.read(tmp_path / "recognizer.safetensors")
    assert np.array_equal(again.of_clip(test.views[0].keypoints), recognizer.of_clip(test.views[0].keypoints))
    assert again.held_out == recognizer.held_out


def test_a_file_that_is_no_recognizer_is_named(tmp_path):
    write_tensors(tmp_path / "other.safetensors", {"x": torch.zeros(1)}, {})
    with pytest.raises(ValueError, match="other.safetensors holds no recognizer"):
        ClipRecognizer.read(tmp_path / "other.safetensors")


def test_the_confidence_asked_for_keeps_the_share_right():
    posterior = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    truth = np.array([0, 1, 1, 0])
    assert confidence_for(posterior, truth, 0.95) == 0.8
    assert confidence_for(posterior, truth, 0.75) == 0.6
    assert confidence_for(posterior[:, ::-1].copy(), np.array([0, 1, 0, 1]), 0.95) == 1.0


# lifters that are told


def test_views_are_lifted_as_they_are_told(told, split):
    views = split[1].views[:4]
    poses = told.poses(seen(views), ["Walking", "unknown", "Squat", "Walking"])
    expected = [told.actions["Walking"], told.unconditioned, told.actions["Squat"], told.actions["Walking"]]
    for view, pose, predictor in zip(views, poses, expected, strict=True):
        np.testing.assert_allclose(pose, predictor([view.keypoints])[0], atol=1e-5)
    with pytest.raises(ValueError, match="no lifter for Flying; there are lifters for Squat, Walking, Waving, unknown"):
        told.poses(seen(views), ["Flying"] * 4)


def test_the_mixture_trusts_labels_that_are_sure_and_change_little(told, split):
    views = split[1].views[:3]
    untold = told.unconditioned(seen(views))
    sure, unsure = np.array([0.0, 0.9, 0.1]), np.array([0.3, 0.4, 0.3])
    with_label = told.poses(seen(views), ["Walking"] * 3)
    apart = [float(np.linalg.norm(a - b, axis=-1).mean()) for a, b in zip(with_label, untold, strict=True)]
    poses, trusted = mixture(told, untold, seen(views), [sure, unsure, sure], Gate(0.5, max(apart) + 1))
    assert trusted.tolist() == [1, 0, 1]
    np.testing.assert_allclose(poses[0], (with_label[0] + untold[0]) / 2)
    assert poses[1] is untold[1]
    _, trusted = mixture(told, untold, seen(views), [sure] * 3, Gate(0.5, min(apart) / 2))
    assert trusted.tolist() == [0, 0, 0]


def test_behind_the_gate_wrong_labels_cost_little_on_training_views(split):
    training, _ = split
    told = told_by(5.0)
    gate = Gate.fit(told, training.views, 0.4, seed=1)
    untold = told.unconditioned(seen(training.views))
    generator = np.random.default_rng((1, 0x6A))
    wrong = [str(generator.choice([a for a in ACTIONS if a != v.action])) for v in training.views]
    one_hot = [np.eye(3)[ACTIONS.index(label)] for label in wrong]

    def error(distance: float) -> float:
        poses, _ = mixture(told, untold, seen(training.views), one_hot, Gate(0.4, distance))
        errors = [
            np.linalg.norm(p - root_relative(v.pose3d_cam), axis=-1).mean()
            for p, v in zip(poses, training.views, strict=True)
        ]
        return float(np.mean(errors))

    allowed = TOLERATED * error(-1.0)
    assert error(gate.distance_m) <= allowed
    passed = [d for d in distance_apart(told.poses(seen(training.views), wrong), untold) if d > gate.distance_m]
    assert passed
    assert error(max(passed)) > allowed


# the arms that labels make


def test_every_label_is_scored_as_the_lifter_told_it(told, split):
    views = split[1].views
    truth = [ACTIONS.index(v.action) for v in views]
    recognized = [(t + (i % 3 == 0)) % 3 for i, t in enumerate(truth)]
    again = [(r + (i % 4 == 0)) % 3 for i, r in enumerate(recognized)]

    def frames(numbers):
        return [np.tile(np.eye(3)[n], (v.frames, 1)) for n, v in zip(numbers, views, strict=True)]

    turns = iter([again, truth])
    found = score_labels(
        told,
        views,
        frames(recognized),
        Gate(0.5, 10.0),
        again=lambda *_: frames(next(turns)),
        variant=Variant("x"),
        seed=3,
    )

    def means(label: str, metric: str = "mpjpe") -> pd.Series:
        return found.scores.per_action(metric).loc[Variant("x", label=label)]

    for name, chosen in (
        ("oracle", [ACTIONS[t] for t in truth]),
        ("predicted", [ACTIONS[r] for r in recognized]),
        ("coupled", [ACTIONS[r] for r in again]),
        ("coupled_twice", [ACTIONS[t] for t in truth]),
        ("none", ["unknown"] * len(views)),
    ):
        expected = score_poses(told.poses(seen(views), chosen), views, variant=Variant("e"), metrics=("mpjpe", "mpjve"))
        for metric in ("mpjpe", "mpjve"):
            np.testing.assert_allclose(means(name, metric), expected.per_action(metric).loc[Variant("e")], rtol=1e-5)
    others = [
        score_poses(
            told.poses(seen(views), [ACTIONS[(t + k) % 3] for t in truth]),
            views,
            variant=Variant("e"),
            metrics=("mpjpe",),
        )
        for k in (1, 2)
    ]
    both = np.stack([scores.per_action("mpjpe").loc[Variant("e")] for scores in others])
    np.testing.assert_allclose(means("wrong_random"), both.mean(axis=0), rtol=1e-5)
    by_label = found.by_label.per_action("mpjpe")
    for action in ACTIONS:
        worst = max(by_label.loc[Variant(other), action] for other in ACTIONS if other != action)
        assert means("wrong_worst")[action] == pytest.approx(worst)
    assert found.notes["recognized"]["top1"] == pytest.approx(np.mean(np.array(truth) == recognized))
    np.testing.assert_allclose(np.sum(found.notes["recognized"]["confusion"], axis=1), 1)
    for label, numbers, one in zip(ROUND_LABELS, (recognized, again, truth), found.notes["rounds"], strict=True):
        assert one["clips"] == pytest.approx(np.mean(np.array(truth) == numbers))
        assert one["mpjpe"]["mean over actions"] == pytest.approx(means(label)["mean over actions"])


def test_an_action_nobody_is_told_is_refused(told, split):
    few = ConditionalLifter({"Walking": told.actions["Walking"], "Squat": told.actions["Squat"]}, told.unconditioned)
    views = split[1].views
    with pytest.raises(ValueError, match="no lifter is told Waving"):
        score_labels(
            few, views, [np.ones((v.frames, 2)) / 2 for v in views], Gate(0.0, 1.0), variant=Variant("x"), seed=0
        )


# in a study

PLAN = Plan(
    test_subjects=("syn4",),
    arms=("generalist", "experts", *CONDITIONED),
    seeds=(0,),
    budget=Budget(70, 256),
    network=Network(receptive_field=9, channels=64),
    labels="all",
    labels_by="clip",
    precision="float32",
    device="cpu",
)


@pytest.fixture(scope="module")
def study(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels") / "study"
    run_study(folder, Corpus.open(corpus_folder), PLAN)
    return folder


def test_a_conditioned_network_spends_what_the_recognizer_leaves_and_is_told_parts(study, split):
    training, _ = split
    jobs = {job.variant.arm: job for job in plan_jobs(training, PLAN)}
    step = 3 * 256 * network_of((3, 3), 64).multiply_adds
    for arm in CONDITIONED:
        (member,) = jobs[arm].specs
        left = PLAN.budget.steps - ClipRecognizer.multiply_adds(training) / step
        assert left - 1 <= member.budget.steps <= left
        assert Run.open(study / "runs" / f"{arm}-seed0").config["identity"]["model"]["conditions"] == 3
        (generalist,) = jobs["generalist"].specs
        assert np.array_equal(member.rows, generalist.rows)
        views = {row: v for v in training.views for row in range(v.start, v.start + v.frames)}
        partition = jobs[arm].partition
        for row, condition in zip(member.rows[::37], member.conditions[::37], strict=True):
            assert views[row] in partition.training[jobs[arm].conditions[condition]]
    plain = {job.variant.arm: job for job in plan_jobs(training, replace(PLAN, labels=""))}
    assert plain["conditioned"].specs[0].budget == PLAN.budget


def test_a_budget_smaller_than_the_recognizer_is_refused(split):
    with pytest.raises(ValueError, match="more than its budget of 2: give more steps, .*or leave --labels out"):
        plan_jobs(split[0], replace(PLAN, budget=Budget(2, 16), arms=("generalist", "conditioned")))


def test_labels_stand_beside_one_another(study):
    scores = Scores.read(study / "labels.parquet")
    kinds = ["oracle label", "predicted label", "no label", "wrong label, at random", "wrong label, the worst"]
    mixed = ["oracle label", "predicted label", "wrong label, at random"]
    expected = {"generalist"}
    for arm in ("conditioned", "experts (total)"):
        expected |= {f"{arm}: {kind}" for kind in kinds} | {f"{arm}, mixture: {kind}" for kind in mixed}
    assert {str(variant) for variant in scores.variants} == expected
    experts, conditioned = Variant("experts", "total"), Variant("conditioned", label="oracle")
    of_study = Scores.read(study / "scores.parquet")
    for metric in ("mpjpe", "mpjve"):
        main, own = of_study.per_action(metric), scores.per_action(metric)
        np.testing.assert_allclose(main.loc[experts], own.loc[replace(experts, label="oracle")], rtol=1e-5)
        np.testing.assert_allclose(main.loc[GENERALIST], own.loc[replace(experts, label="none")], rtol=1e-5)
        np.testing.assert_allclose(main.loc[conditioned], own.loc[conditioned], rtol=1e-5)
        assert replace(conditioned, label="predicted") in main.index
    notes = json.loads((study / "runs" / "conditioned-seed0" / "labels.json").read_text())
    assert notes["actions"] == list(ACTIONS)
    overall = scores.table[scores.table["joint"] == ALL_JOINTS]
    assert set(overall["metric"]) >= {"mpjpe", "mpjve"}


@pytest.mark.slow
def test_the_page_of_a_study_with_labels_tells_every_arm(study):
    html = write_study_page(study).read_text(encoding="utf-8")
    assert "the action is recognized in the 2D keypoints" in html


def test_running_it_again_trains_and_scores_nothing(study, corpus_folder, monkeypatch):
    before = (study / "labels.parquet").read_bytes()
    monkeypatch.setattr("actlift.study.experiment.score_labels", None)
    monkeypatch.setattr("actlift.training.loop._Loop", None)
    run_study(study, Corpus.open(corpus_folder), PLAN)
    assert (study / "labels.parquet").read_bytes() == before


def test_conditioning_pays_where_keypoints_do_not_tell(corpus):
    """A frame alone cannot say which of two conditions it is under; told, the network gives each its own pose."""
    view = corpus.views[0]
    network = network_of((1,), conditions=2)
    with torch.no_grad():
        network.layers[0].bias[0] = 1.0
    one, other = (LifterPredictor(network.given(i))([view.keypoints])[0] for i in (0, 1))
    assert not np.allclose(one, other)
    np.testing.assert_allclose(other, LifterPredictor(network.given(2))([view.keypoints])[0])
