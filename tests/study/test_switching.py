"""Labels that change within a clip."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.networks import WIDTHS, network_of

from actlift.cli.study import switching
from actlift.data.corpus import Corpus, write_corpus
from actlift.data.noise import Exact
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.skeleton import root_relative
from actlift.lifting.conditional import UNKNOWN, ConditionalLifter, fade, lift_labeled
from actlift.lifting.predict import LifterPredictor
from actlift.lifting.stream import RoutedStream
from actlift.models.options import Network
from actlift.recognition.network import RecognizerNetwork
from actlift.recognition.prediction import ActionRecognizer, recognized_labels
from actlift.recognition.training import train_recognizer
from actlift.study.experiment import run_study
from actlift.study.plan import Plan
from actlift.study.switching import DRAWN, JOINED, TO_NOTHING, TO_WRONG, interrupted, joined, measure_switching
from actlift.training.budget import Budget

ACTIONS = ("Squat", "Walking", "Waving")
LABELS = st.lists(st.tuples(st.sampled_from((*ACTIONS, UNKNOWN)), st.integers(1, 20)), min_size=1, max_size=6).map(
    lambda runs: [label for label, frames in runs for _ in range(frames)]
)


def conditioned(widths=(3, 3), **options):
    network = network_of(widths, conditions=3, **options)
    for layer in network.layers:
        torch.nn.init.normal_(layer.bias, 0, 0.5)
    return network


def lifters(network):
    """A network for every label."""
    return {label: network.given(i) for i, label in enumerate((*ACTIONS, UNKNOWN))}


@pytest.fixture(scope="module")
def told() -> ConditionalLifter:
    return ConditionalLifter.from_network(conditioned(), ACTIONS)


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Corpus:
    """Two people, three actions, clips of three seconds, two cameras."""
    clips = synthetic_clips(0, subjects=2, clips=1, seconds=3.0, fps=25.0, actions=ACTIONS)
    return write_corpus(tmp_path_factory.mktemp("long") / "corpus", clips, cameras=2, keypoints=Exact())


# weights


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(0, 12), st.data())
def test_weights_sum_to_one_and_are_the_labels_away_from_changes(labels, frames, data):
    numbers = np.array(labels)
    ahead = data.draw(st.none() | st.integers(0, max(frames, 1) - 1))
    weights = fade(numbers, 3, frames, ahead)
    assert weights.shape == (len(labels), 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights >= 0).all()
    for t in range(len(labels)):
        near = numbers[max(0, t - frames) : t + frames + 1]
        if (near == numbers[t]).all():
            assert weights[t, numbers[t]] == pytest.approx(1)
    if frames <= 1:
        assert np.array_equal(weights, np.eye(3)[numbers])


def test_a_change_crosses_over_evenly_about_itself_as_a_raised_cosine():
    weights = fade(np.repeat([0, 1], 20), 2, 9)
    np.testing.assert_allclose(weights[:, 1], 1 - weights[::-1, 1], atol=1e-12)
    np.testing.assert_allclose(weights[15:25, 1], (1 - np.cos(np.pi * np.arange(10) / 9)) / 2, atol=1e-12)


def test_a_fade_that_does_not_look_ahead_begins_with_its_label():
    weights = fade(np.repeat([0, 1], 20), 2, 9, ahead=0)
    assert (weights[:20, 1] == 0).all()
    assert weights[20, 1] > 0
    np.testing.assert_allclose(weights[28:, 1], 1)


# poses


def test_a_constant_label_is_the_lifter_told_it_and_a_hard_switch_picks_frames(told, corpus):
    view = next(v for v in corpus.views if v.frames == 40)
    one, other = (told.poses([view.keypoints], [action])[0] for action in ("Walking", "Waving"))
    np.testing.assert_allclose(lift_labeled(told, view.keypoints, ["Walking"] * 40), one, atol=1e-6)
    labels = ["Walking"] * 15 + ["Waving"] * 25
    hard = lift_labeled(told, view.keypoints, labels, fade_s=0.0)
    np.testing.assert_array_equal(hard, np.concatenate([one[:15], other[15:]]))
    soft = lift_labeled(told, view.keypoints, labels, fade_s=0.4)
    jumps = [np.linalg.norm(np.diff(p, 2, axis=0), axis=-1).mean(axis=1).max() for p in (hard, soft)]
    assert jumps[1] < jumps[0]


@settings(max_examples=40, deadline=None)
@given(widths=WIDTHS, causal=st.booleans(), flip=st.booleans(), frames=st.integers(0, 30), labels=LABELS)
def test_a_routed_stream_is_the_whole_sequence(long, widths, causal, flip, frames, labels):
    network = conditioned(widths, causal=causal)
    plain = lifters(network)
    lifted = {label: LifterPredictor(lifter, flip=flip) for label, lifter in plain.items()}
    told, t = ConditionalLifter(lifted, lifted.pop(UNKNOWN)), len(labels)
    seen = replace(
        long.views[0].keypoints,
        fps=10.0,
        pose2d=np.random.default_rng(t).normal(size=(t, 17, 2)).astype(np.float32),
        confidence=np.ones((t, 17), np.float32),
    )
    stream = RoutedStream(plain, fade_frames=frames, flip=flip)
    assert stream.ahead == (0 if causal else min(network.receptive_field // 2, max(frames - 1, 0) // 2))
    expected = lift_labeled(told, seen, labels, fade_s=frames / 10, ahead=stream.ahead)
    for _ in range(2):  # it begins anew after its end
        poses = [stream.push(*pushed) for pushed in zip(seen.pose2d, labels, strict=True)]
        assert [pose is None for pose in poses] == [now < stream.delay for now in range(t)]
        found = [*(pose for pose in poses if pose is not None), *stream.flush()]
        np.testing.assert_allclose(np.stack(found), expected, atol=2e-5, rtol=0)


def test_recognized_labels_are_told_where_they_are_sure(corpus):
    torch.manual_seed(0)
    recognized = ActionRecognizer(RecognizerNetwork(3, receptive_field=9, channels=8).eval(), ACTIONS, temperature=0.3)
    view = corpus.views[-1]
    always, never = (recognized_labels(recognized, view.keypoints, sure=sure) for sure in (0.0, 1.1))
    assert len(always) == view.frames
    assert set(always) <= set(ACTIONS)
    assert set(never) == {UNKNOWN}
    some = recognized_labels(recognized, view.keypoints, sure=0.5)
    assert all(label in (told, UNKNOWN) for label, told in zip(some, always, strict=True))


# what a change costs


def test_joined_clips_are_of_one_person_and_camera_and_two_actions(corpus):
    pairs = joined(corpus.views, 6)
    assert len(pairs) == 6
    seen = []
    for pair in pairs:
        views = [
            next(v for v in corpus.views if v.clip == clip and v.camera_name == pair.view.camera_name)
            for clip in pair.view.clip.split(" + ")
        ]
        first, second = views
        assert first.subject == second.subject == pair.view.subject
        assert first.action != second.action
        assert pair.labels == [first.action] * first.frames + [second.action] * second.frames
        assert pair.changes == [pair.seam] == [first.frames]
        assert np.array_equal(pair.view.pose2d, np.concatenate([first.pose2d, second.pose2d]))
        assert np.array_equal(pair.view.pose3d_cam, np.concatenate([first.pose3d_cam, second.pose3d_cam]))
        seen += [(v.clip, v.camera_name) for v in views]
    assert len(set(seen)) == len(seen)
    assert [p.view.clip for p in joined(corpus.views, 6)] == [p.view.clip for p in pairs]
    assert [p.view.clip for p in joined(corpus.views, 6, seed=1)] != [p.view.clip for p in pairs]


def test_interrupted_clips_are_told_something_else_for_a_second(long):
    found = interrupted(long.views, 5, [*ACTIONS, UNKNOWN])
    assert len(found) == 5
    for clip in found:
        first, last = clip.changes
        assert last - first == pytest.approx(clip.view.fps, abs=1)
        assert set(clip.labels[:first] + clip.labels[last:]) == {clip.view.action}
        (other,) = set(clip.labels[first:last])
        assert other != clip.view.action
        # half a second on either side of both changes
        assert clip.near.sum() == pytest.approx(2 * clip.view.fps, abs=2)
        assert clip.near[first:last].all()


class Truth:
    """Knows the truth of some views by their keypoints, shifted by meters where told a wrong action."""

    def __init__(self, views, action: str, shift: float = 0.0) -> None:
        self.action, self.shift = action, shift
        self.views = {v.pose2d.tobytes(): v for v in views}

    def __call__(self, sequences):
        views = [self.views[s.pose2d.tobytes()] for s in sequences]
        off = [self.shift * (v.action != self.action) for v in views]
        return [(root_relative(v.pose3d_cam) + by).astype(np.float32) for v, by in zip(views, off, strict=True)]


def test_what_a_switch_costs_is_what_lifters_differ_by(long):
    """The wrong lifter is off by 0.1 m along every axis, the others are right."""
    views = [*long.views, *(pair.view for pair in joined(long.views, 80))]
    told = ConditionalLifter({a: Truth(views, a, 0.1) for a in ACTIONS}, Truth(views, UNKNOWN))
    found = measure_switching(told, Truth(views, UNKNOWN), long.views, clips=4)
    wrong, off_mm = found.table.loc[TO_WRONG], 100 * np.sqrt(3)
    for way in ("generalist", "told nothing", "told the truth throughout"):
        assert wrong.loc[way, "mpjpe_near"] < 1e-3
        assert wrong.loc[way, "mpjve_near"] < 1e-3
    assert wrong.loc["interrupted, at once", "mpjpe_near"] == pytest.approx(
        off_mm / 2, rel=0.05
    )  # for one of two seconds
    assert wrong.loc["interrupted, at once", "mpjpe_away"] < 1e-3
    assert wrong.loc["interrupted, at once", "speed_max"] == pytest.approx(
        off_mm / 1000 * 25, rel=0.3
    )  # within one frame
    assert wrong.loc["interrupted, at once", "acceleration_max"] == pytest.approx(off_mm / 1000 * 25**2, rel=0.3)
    faded = [f"interrupted, {fading}" for fading in ("at once", "0.1 s fade", "0.25 s fade", "0.5 s fade")]
    assert wrong.loc[faded, "acceleration_p95"].is_monotonic_decreasing
    assert (found.table.loc[TO_NOTHING, "mpjpe_near"] < 1e-3).all()
    assert found.scenes[TO_WRONG] == {"clips": 4, "changes": pytest.approx([-0.48, 0.48])}
    assert found.recognized.empty


def test_the_step_over_a_seam_counts_among_spikes_but_not_among_velocity_errors(long):
    views = [*long.views, *(pair.view for pair in joined(long.views, 80))]
    told = ConditionalLifter({a: Truth(views, a) for a in ACTIONS}, Truth(views, UNKNOWN))
    found = measure_switching(told, told.unconditioned, long.views, clips=3).table.loc[JOINED]
    assert found.loc["true timeline, at once", "mpjve_near"] < 1e-3
    assert found.loc["true timeline, at once", "speed_max"] > 1
    still = measure_switching(
        told, lambda seen: [np.zeros((s.frames, 17, 3), np.float32) for s in seen], long.views, clips=3
    )
    assert still.table.loc[JOINED].loc["generalist", "speed_max"] == 0
    expected = []
    for pair in joined(long.views, 3):
        steps = 1000 * np.linalg.norm(np.diff(root_relative(pair.view.pose3d_cam), axis=0), axis=-1).mean(axis=1)
        near = np.arange(pair.seam - 12, pair.seam + 11)
        expected.append(steps[near[near != pair.seam - 1]].mean())
    assert still.table.loc[JOINED].loc["generalist", "mpjve_near"] == pytest.approx(np.mean(expected))


def test_what_is_recognized_stands_beside_the_truth_and_all_is_saved(told, long, tmp_path):
    torch.manual_seed(0)
    recognized = ActionRecognizer(RecognizerNetwork(3, receptive_field=9, channels=8).eval(), ACTIONS)
    found = measure_switching(told, told.unconditioned, long.views, recognized, clips=2)
    assert {"recognized, at once", "recognized where sure, 0.25 s fade"} <= set(found.table.loc[JOINED].index)
    shares = found.recognized.set_index(["way", "frames"])
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares.loc["recognized", "nothing"] == 0).all()
    assert not found.table.isna().any().any()
    assert set(found.traces["scene"]) == set(DRAWN)
    traces = found.traces.groupby(["scene", "way"])
    assert set(traces.groups) == {(scene, way) for scene, (_, _, ways) in DRAWN.items() for way in ways}
    for _, trace in traces:
        np.testing.assert_allclose(trace["seconds"], np.arange(-25, 25) / 25)
    found.save(tmp_path / "switching.json", {"seed": 0})
    content = json.loads((tmp_path / "switching.json").read_text())
    assert content["seed"] == 0
    assert content["table"][0]["way"] == "generalist"
    assert len(content["traces"]) == len(traces)


# the command


@pytest.fixture(scope="module")
def study(tmp_path_factory, long):
    network = Network(receptive_field=9, channels=16)
    plan = Plan(("syn2",), arms=("conditioned",), seeds=(0,), budget=Budget(4, 16), network=network, device="cpu")
    run_study(folder := tmp_path_factory.mktemp("studies") / "study", long, plan)
    return folder


def test_the_command_measures_prints_and_writes(tmp_path, capfd, long, study):
    switching(study, long.folder, clips=2, out=tmp_path / "out")
    printed = " ".join(capfd.readouterr().out.split())
    for words in (JOINED, TO_WRONG, TO_NOTHING, "true timeline, 0.25 s fade", "test people, seed 0", "synthetic"):
        assert words in printed
    content = json.loads((tmp_path / "out" / "switching.json").read_text())
    assert content["people"] == ["syn2"]
    assert {row["way"] for row in content["table"]} >= {"generalist", "interrupted, at once"}
    files = [f"switching-{theme}.{suffix}" for theme in ("dark", "light") for suffix in ("png", "svg")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [*files, "switching.json"]
    switching(study, long.folder, people="training", clips=2, out=tmp_path / "again")
    assert json.loads((tmp_path / "again" / "switching.json").read_text())["people"] == ["syn1"]


def test_the_command_refuses_what_would_be_no_test(tmp_path, corpus, long, study):
    with pytest.raises(ValueError, match="was made from another corpus than"):
        switching(study, corpus.folder)
    with pytest.raises(FileNotFoundError, match="generalist-seed7 is no run folder"):
        switching(study, long.folder, seed=7)
    others = corpus.split(["syn1"])[0]
    run = train_recognizer(tmp_path / "run", others, model={"receptive_field": 9, "channels": 8}, budget=Budget(2, 16))
    with pytest.raises(ValueError, match="run was trained on syn2: scores on them say nothing"):
        switching(study, long.folder, recognizer=run.folder)


# errors


def test_labels_that_do_not_fit_are_refused(told, corpus):
    view = corpus.views[0]
    with pytest.raises(ValueError, match=f"there are {view.frames} frames of keypoints, got 1 labels"):
        lift_labeled(told, view.keypoints, ["Walking"])
    with pytest.raises(ValueError, match="no lifter for Flying"):
        lift_labeled(told, view.keypoints, ["Flying"] * view.frames)
    with pytest.raises(ValueError, match="a label from 0 to 1"):
        fade(np.array([2]), 2, 5)
    with pytest.raises(ValueError, match="a fade of 5 frames begins 0 to 4 frames before a change, got 5"):
        fade(np.array([1]), 2, 5, ahead=5)
    with pytest.raises(ValueError, match="a fade lasts 0 frames or more, got -5"):
        lift_labeled(told, view.keypoints, ["Walking"] * view.frames, fade_s=-0.2)


def test_clips_that_cannot_show_a_change_are_refused(told, corpus, long):
    with pytest.raises(ValueError, match="too few clips: wanted at least one of 2.5 s, and two of 1 s"):
        measure_switching(told, told.unconditioned, corpus.views)
    one = [v for v in long.views if v.action == "Walking"]
    with pytest.raises(ValueError, match="too few clips"):
        measure_switching(told, told.unconditioned, one)
