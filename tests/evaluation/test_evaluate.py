"""One evaluator over many views says what the metric functions say of each view alone."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from actlift.data.clip import Clip
from actlift.data.corpus import Corpus, View, write_corpus
from actlift.data.noise import Exact
from actlift.data.sources.synthetic import synthetic_clips
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import evaluate, score_poses
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import MEAN_OVER_FRAMES, Scores, Variant
from actlift.geometry.skeleton import H36M_17, root_relative
from actlift.lifting.predict import LifterPredictor, RoutedPredictor, load_lifter
from actlift.models.base import given, trained_on, unconditioned
from actlift.training.budget import Budget
from actlift.training.loop import ModelSpec, train
from actlift.training.run import Run

WORST_ROOT = 100.0  # meters: a displacement from one view to the next that no metric could hide


def noisy(views: Sequence[View], seed: int = 0, sigma: float = 0.05) -> list[np.ndarray]:
    """Root-relative truth with noise; every view lies far away from the next, so that a leak over a seam would show."""
    rng = np.random.default_rng(seed)
    poses = []
    for i, view in enumerate(views):
        pose = root_relative(view.pose3d_cam) + rng.normal(0, sigma, view.pose3d_cam.shape)
        poses.append((pose + (-1) ** i * 3.0 * (i % 3)).astype(np.float32))
    return poses


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Clips of 1, 2, 3 and 30 frames, by one camera."""
    rng = np.random.default_rng(0)
    standing = np.linspace([0, 0, 0.1], [0, 0, 1.7], 17) + rng.normal(0, 0.1, (17, 3))

    def clip(frames: int, name: str) -> Clip:
        joints_world = standing + rng.normal(0, 0.01, (frames, 17, 3)).cumsum(axis=0)
        return Clip(name, "S1", "Standing", 50.0, joints_world)

    folder = tmp_path_factory.mktemp("short") / "corpus"
    lengths = {"a": 1, "b": 30, "c": 2, "d": 1, "e": 3}
    return write_corpus(folder, [clip(t, n) for n, t in lengths.items()], cameras=1, keypoints=Exact())


def rows(scores: Scores) -> dict[tuple[str, str, str, str], tuple[int, float]]:
    """Frames and value by clip, camera, metric and joint."""
    t = scores.table
    keys = zip(t["clip"], t["camera"], t["metric"], t["joint"], strict=True)
    return dict(zip(keys, zip(t["frames"], t["value"], strict=True), strict=True))


@pytest.mark.parametrize("name", METRICS)
def test_every_view_scores_as_if_it_were_alone(corpus, name):
    poses = noisy(corpus.views)
    found = rows(score_poses(poses, corpus.views, variant=Variant("noise"), metrics=[name]))
    metric = METRICS[name]
    for pose, view in zip(poses, corpus.views, strict=True):
        errors = metric(pose.astype(np.float64), root_relative(view.pose3d_cam), H36M_17, view.fps) * metric.scale
        frames, value = found[view.clip, view.camera_name, name, "all"]
        assert frames == metric.frames(np.array([view.frames]), view.fps)[0]
        assert value == pytest.approx(errors.mean(), rel=1e-9, abs=1e-9)
        if METRICS[name].by_joint:
            for joint, expected in zip(H36M_17.joints, errors.mean(axis=0), strict=True):
                value = found[view.clip, view.camera_name, name, joint]
                assert value == (frames, pytest.approx(expected, rel=1e-9, abs=1e-9))


def test_views_shorter_than_a_metric_spans_have_no_row(short):
    poses = noisy(short.views)
    scored = rows(score_poses(poses, short.views, variant=Variant("noise")))
    assert {(v.clip, v.frames) for v in short.views} == {("a", 1), ("b", 30), ("c", 2), ("d", 1), ("e", 3)}
    for name, metric in METRICS.items():
        for pose, view in zip(poses, short.views, strict=True):
            found = scored.get((view.clip, view.camera_name, name, "all"))
            (frames,) = metric.frames(np.array([view.frames]), view.fps)
            if not frames:
                assert found is None
                continue
            errors = metric(pose.astype(np.float64), root_relative(view.pose3d_cam), H36M_17, view.fps) * metric.scale
            assert found == (frames, pytest.approx(errors.mean(), rel=1e-9))


def test_nothing_but_short_views_leaves_motion_metrics_out(short):
    single = [v for v in short.views if v.frames == 1]
    assert score_poses(noisy(single[:1]), single[:1], variant=Variant("a")).metrics == tuple(
        name for name, metric in METRICS.items() if metric.span == 1
    )
    both = score_poses(noisy(single), single, variant=Variant("a"))  # two frames in all, but of two views
    assert both.metrics == tuple(name for name, metric in METRICS.items() if metric.span == 1)


def test_a_jump_between_views_is_no_motion(corpus):
    """Every view is predicted exactly but for a constant offset of its own: velocity and acceleration are right."""
    poses = [(root_relative(v.pose3d_cam) + i * WORST_ROOT).astype(np.float64) for i, v in enumerate(corpus.views, 1)]
    scores = score_poses(
        poses, corpus.views, variant=Variant("offset"), metrics=["mpjpe", "mpjve", "acceleration_error"]
    )
    assert scores.table.query("metric != 'mpjpe'")["value"].max() < 1e-6
    assert scores.table.query("metric == 'mpjpe'")["value"].min() > WORST_ROOT * 1000


def test_a_perfect_predictor_has_no_error(corpus):
    truth = {id(view.keypoints): root_relative(view.pose3d_cam) for view in corpus.views}
    scores = evaluate(
        lambda seen: [truth[id(keypoints)] for keypoints in seen], corpus.views, variant=Variant("oracle")
    )
    assert scores.metrics == tuple(METRICS)
    for name, metric in METRICS.items():
        values = scores.table.query("metric == @name")["value"]
        if metric.better == "higher":
            assert (values == 100).all()
        else:
            assert values.abs().max() < 1e-4, name  # mm


def test_rows_tell_where_they_come_from(corpus):
    scores = score_poses(
        noisy(corpus.views), corpus.views, variant=Variant("experts"), seed=7, run="runs/x", metrics=["mpjpe"]
    )
    table = scores.table.query("joint == 'all'")
    assert len(table) == len(corpus.views)
    assert set(table["run"]) == {"runs/x"}
    assert set(table["seed"]) == {7}
    assert scores.variants == (Variant("experts"),)
    for found, view in zip(table.itertuples(), corpus.views, strict=True):
        assert (found.action, found.subject, found.camera, found.clip, found.frames) == (
            view.action,
            view.subject,
            view.camera_name,
            view.clip,
            view.frames,
        )
    joints = scores.table.query("joint != 'all'").groupby("joint").size()
    assert joints.to_dict() == dict.fromkeys(H36M_17.joints, len(corpus.views))


def test_millimeters_begin_here(corpus):
    """A prediction that is off by 10 mm at every joint but the root."""
    off = np.full((17, 3), [0.0, 0.006, 0.008])
    off[0] = 0
    poses = [root_relative(v.pose3d_cam) + off for v in corpus.views]
    scores = score_poses(poses, corpus.views, variant=Variant("off"), metrics=["mpjpe", "pck"])
    assert scores.per_action("mpjpe")[MEAN_OVER_FRAMES].item() == pytest.approx(10 * 16 / 17)
    assert scores.per_joint("mpjpe")["Head"].item() == pytest.approx(10)
    assert scores.per_joint("mpjpe")["Pelvis"].item() == pytest.approx(0, abs=1e-9)
    assert scores.per_action("pck")[MEAN_OVER_FRAMES].item() == 100


def test_scores_survive_the_disk(corpus, tmp_path: Path):
    scores = score_poses(noisy(corpus.views), corpus.views, variant=Variant("a"), metrics=["mpjpe", "mpjve"])
    scores.save(tmp_path / "scores.parquet")
    assert Scores.read(tmp_path / "scores.parquet").table.equals(scores.table)


def test_a_prediction_of_another_length_is_refused(corpus):
    poses = noisy(corpus.views)
    poses[5] = poses[5][:-1]
    view = corpus.views[5]
    message = (
        f"{view.clip} seen by {view.camera_name}: predicted {poses[5].shape}, the truth is {view.pose3d_cam.shape}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        score_poses(poses, corpus.views, variant=Variant("a"))
    poses = noisy(corpus.views)
    poses[0] = poses[0][:, :16]
    with pytest.raises(ValueError, match=r"predicted \(10, 16, 3\), the truth is \(10, 17, 3\)"):
        score_poses(poses, corpus.views, variant=Variant("a"))


def test_too_few_predictions_are_refused(corpus):
    with pytest.raises(ValueError, match="47 predictions for 48 views"):
        score_poses(noisy(corpus.views)[:-1], corpus.views, variant=Variant("a"))


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="nothing to score: the selection holds no views"):
        score_poses([], [], variant=Variant("a"))


def test_an_unknown_metric_lists_the_known_before_anything_is_predicted(corpus):
    def predictor(_: Sequence[View]) -> list[np.ndarray]:
        raise AssertionError("no time should be spent on predictions that cannot be scored")

    with pytest.raises(ValueError, match="unknown metric 'mpjp'; known: mpjpe, p_mpjpe, n_mpjpe, mpjve"):
        evaluate(predictor, corpus.views, variant=Variant("a"), metrics=["mpjp"])


def test_not_a_number_is_refused(corpus):
    poses = noisy(corpus.views)
    poses[3][0, 4] = np.nan
    view = corpus.views[3]
    with pytest.raises(ValueError, match=f"{view.clip} seen by {view.camera_name}: .* not finite"):
        score_poses(poses, corpus.views, variant=Variant("a"))


# people it was trained on


@pytest.fixture
def known(tmp_path, corpus) -> Run:
    """A run trained on syn1."""
    rows = rows_of(corpus.select(subjects=["syn1"]).views)
    spec = ModelSpec("everything", rows, Budget(1, 4))
    selection = corpus.select(subjects=["syn1"])
    return train(tmp_path / "run", selection, [spec], model={"widths": [3], "channels": 4}, device="cpu")


def test_people_it_was_trained_on_are_refused_whatever_corpus_or_clip(known, corpus, tmp_path):
    predictor = LifterPredictor(load_lifter(known))
    other = write_corpus(
        tmp_path / "other",
        synthetic_clips(7, subjects=2, clips=1, seconds=0.4, fps=25.0, actions=["Jumping"]),
        keypoints=Exact(),
    )
    for views in (corpus.views, other.views):
        with pytest.raises(ValueError, match="mine was trained on syn1: scores on them say nothing. Unseen: syn2"):
            evaluate(predictor, views, variant=Variant("mine"))
    routed = RoutedPredictor({"a": predictor}, lambda _: "a")
    with pytest.raises(ValueError, match="was trained on syn1"):
        evaluate(routed, other.views, variant=Variant("routed"))
    assert len(evaluate(predictor, other.select(subjects=["syn2"]).views, variant=Variant("mine")).table)
    assert len(evaluate(predictor, other.views, variant=Variant("mine"), known_people=True).table)


def test_what_is_made_of_a_network_keeps_whom_it_was_trained_on(tmp_path, corpus):
    selection = corpus.select(subjects=["syn1", "syn2"])
    rows = rows_of(selection.views)
    spec = ModelSpec("everything", rows, Budget(1, 4), conditions=np.zeros(len(rows), np.int64))
    model = {"widths": [3], "channels": 4, "conditions": 3}
    network = load_lifter(train(tmp_path / "run", selection, [spec], model=model, device="cpu"))
    for made in (given(network, 1), unconditioned(network)):
        assert trained_on(made) == {"syn1", "syn2"}
        with pytest.raises(ValueError, match="was trained on syn1, syn2"):
            evaluate(LifterPredictor(made), corpus.views, variant=Variant("made"))
