"""Controls that train nothing: what they are made of, and that studies score them beside what they control."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from tests.networks import network_of

from actlift.data.corpus import Corpus
from actlift.data.windows import Windows, rows_of
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Scores, Variant
from actlift.geometry.skeleton import root_relative
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.lifting.smoothing import smooth
from actlift.models.mixer import JointMixer
from actlift.models.options import Network
from actlift.models.tcn import TCN
from actlift.study import derived
from actlift.study.derived import ConstantPose, Mean, NearestPose, measure_statistics, soup
from actlift.study.experiment import run_study
from actlift.study.plan import Plan
from actlift.training.budget import Budget
from actlift.training.run import Run

CONTROLS = ("averaged", "batch-statistics", "ensemble-2", "constant-pose", "nearest-pose")
PLAN = Plan(
    test_subjects=("syn4",),
    arms=("generalist", *CONTROLS, "finetuned-experts", "soup"),
    seeds=(0,),
    budget=Budget(90, 32),
    network=Network(receptive_field=9, channels=16),
    precision="float32",
    device="cpu",
)


@pytest.fixture
def training(corpus: Corpus) -> Corpus:
    return corpus.split(["syn4"])[0]


@pytest.fixture(scope="module")
def study(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("derived") / "study"
    run_study(folder, Corpus.open(corpus_folder), PLAN)
    return folder


def keypoints(corpus: Corpus) -> list:
    return [view.keypoints for view in corpus.views]


def test_statistics_are_those_of_all_windows_without_dropout(training, monkeypatch):
    monkeypatch.setattr(derived, "BATCHES", 4)
    monkeypatch.setattr(derived, "BATCH", training.frames)  # every batch is all frames, mirrored by halves
    network = network_of((3, 3), 16, dropout=0.4)
    measured = measure_statistics(network, training, seed=0)
    assert isinstance(measured, TCN)
    rows = rows_of(training.views)
    windows, _ = Windows(training, 9).gather(rows, np.zeros(len(rows), bool))
    first, own = network.layers[0], measured.layers[0]
    taps = windows.reshape(len(rows) * 3, -1)
    before = taps @ first.weight
    torch.testing.assert_close(own.running_mean, before.mean(dim=0), rtol=0.1, atol=0.02)
    torch.testing.assert_close(own.running_var, before.var(dim=0), rtol=0.1, atol=0.02)
    assert (own.running_mean - first.running_mean).abs().max() > 0.05, "they were others"
    assert torch.equal(own.weight, first.weight)
    assert torch.equal(measured.head, network.head)
    assert not measured.training


def test_statistics_of_a_network_without_any_are_refused(training):
    with pytest.raises(ValueError, match="networks that normalize by batches, and this one does not"):
        measure_statistics(JointMixer(receptive_field=9).eval(), training, seed=0)


def test_a_soup_is_the_mean_of_weights(corpus):
    networks = [network_of((3,), 8, seed=seed) for seed in range(3)]
    mixed = soup(networks).state_dict()
    for key, value in mixed.items():
        torch.testing.assert_close(value, sum(n.state_dict()[key] for n in networks) / 3)
    same = soup([networks[0]] * 3)
    poses = [LifterPredictor(network)(keypoints(corpus)) for network in (same, networks[0])]
    for one, other in zip(*poses, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_mean_is_of_the_poses(corpus):
    networks = [network_of((3,), 8, seed=seed) for seed in range(2)]
    each = [LifterPredictor(network)(keypoints(corpus)) for network in networks]
    for mean, one, other in zip(Mean.of(networks)(keypoints(corpus)), *each, strict=True):
        np.testing.assert_allclose(mean, (one + other) / 2, atol=1e-6)
        assert mean.dtype == np.float32


def test_the_constant_pose_is_the_mean_of_all_frames(training, corpus):
    frames = np.concatenate([root_relative(view.pose3d_cam) for view in training.views])
    poses = ConstantPose.of(training)(keypoints(corpus))
    assert [len(pose) for pose in poses] == [view.frames for view in corpus.views]
    np.testing.assert_allclose(poses[3], np.broadcast_to(frames.mean(axis=0), poses[3].shape), atol=1e-6)


def test_the_nearest_pose_is_the_one_that_looks_most_alike(training, corpus, monkeypatch):
    everything = NearestPose.of(training, seed=0)
    rows = rows_of(training.views)
    monkeypatch.setattr(derived, "LOOKED_UP", 7)
    poses = np.concatenate(everything(keypoints(corpus)))
    seen = derived._looks(np.concatenate([view.pose2d for view in corpus.views]))
    nearest = cdist(seen, derived._looks(training.pose2d[rows])).argmin(axis=1)
    truth = root_relative(training.pose3d_cam[rows])[nearest]
    assert np.mean(np.abs(poses - truth).max(axis=(1, 2)) < 1e-5) > 0.99, "but for ties"
    own = np.concatenate(everything(keypoints(training)))
    np.testing.assert_allclose(own, root_relative(training.pose3d_cam[rows]), atol=1e-5)


def test_where_a_person_stands_and_how_large_changes_no_look(training):
    pose2d = training.views[0].pose2d
    np.testing.assert_allclose(derived._looks(pose2d), derived._looks(0.3 * pose2d + 0.2), atol=1e-4)


def test_few_frames_are_remembered_by_seed(training, monkeypatch):
    monkeypatch.setattr(derived, "REMEMBERED", 50)
    one, same, other = (NearestPose.of(training, seed=seed) for seed in (0, 0, 1))
    assert one.looks.shape == (50, 34)
    assert np.array_equal(one.poses, same.poses)
    assert not np.array_equal(one.poses, other.poses)


# in a study


def test_every_control_is_scored_beside_what_it_controls(study):
    scores = Scores.read(study / "scores.parquet")
    expected = [Variant(arm) for arm in ("generalist", *CONTROLS)]
    expected += [Variant("finetuned-experts", label=""), Variant("soup")]
    variants = {replace(v, label="") for v in scores.variants if not v.smoothed}
    assert set(expected) <= variants
    assert {replace(v, smoothed=False) for v in scores.variants if v.smoothed} == {
        v for v in scores.variants if not v.smoothed
    }, "every one of them as it is and smoothed"


def test_smoothed_scores_are_those_of_smoothed_poses(study, corpus):
    test = corpus.select(subjects=["syn4"])
    network = load_lifter(Run.open(study / "runs" / "generalist-seed0"))
    poses = smooth(LifterPredictor(network)(keypoints(test)), test.fps)
    wanted = score_poses(poses, test.views, variant=Variant("generalist", smoothed=True), seed=0)
    found = Scores.read(study / "scores.parquet").per_action("mpjve").T[Variant("generalist", smoothed=True)]
    assert found[MEAN_OVER_ACTIONS] == pytest.approx(wanted.per_action("mpjve").iloc[0][MEAN_OVER_ACTIONS], rel=1e-5)


def test_an_ensemble_takes_its_own_seed_and_the_next(study, corpus):
    test = corpus.select(subjects=["syn4"])
    networks = [load_lifter(Run.open(study / "runs" / f"generalist-seed{seed}")) for seed in (0, 1)]
    wanted = score_poses(Mean.of(networks)(keypoints(test)), test.views, variant=Variant("ensemble-2"), seed=0)
    found = Scores.read(study / "scores.parquet")
    assert found.seeds(Variant("generalist")) == (0,), "the other seed is no arm's"
    assert found.per_action("mpjpe").T[Variant("ensemble-2")][MEAN_OVER_ACTIONS] == pytest.approx(
        wanted.per_action("mpjpe").iloc[0][MEAN_OVER_ACTIONS], rel=1e-5
    )


def test_what_trains_nothing_leaves_no_run(study, corpus, monkeypatch):
    folders = {folder.name for folder in (study / "runs").iterdir() if (folder / "config.json").exists()}
    assert not {f"{arm}-seed0" for arm in ("batch-statistics", "ensemble-2", "soup", "constant-pose")} & folders
    table = Scores.read(study / "scores.parquet").table
    assert set(table.loc[table["arm"] == "batch-statistics", "run"]) == {"runs/generalist-seed0"}
    assert set(table.loc[table["arm"] == "nearest-pose", "run"]) == {""}
    before = Scores.read(study / "scores.parquet").table
    monkeypatch.setattr("actlift.study.experiment.score_poses", lambda *_, **__: pytest.fail("scored again"))
    assert run_study(study, corpus, PLAN).table.equals(before)
