"""Labels that change within a clip."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from actlift.evaluate import root_relative
from actlift.labels import Told
from actlift.switch import around, fade, joined, lift_labelled
from networks import network_of

ACTIONS = ("Squat", "Walking", "Waving")


@pytest.fixture(scope="module")
def told() -> Told:
    network = network_of((3, 3), conditions=3)
    for layer in network.layers:
        torch.nn.init.normal_(layer.bias, 0, 0.5)
    return Told.of_conditioned(network, ACTIONS)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(0, 12))
def test_weights_sum_to_one_and_are_the_labels_away_from_changes(labels, frames):
    numbers = np.array(labels)
    weights = fade(numbers, 3, frames)
    assert weights.shape == (len(labels), 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights >= 0).all()
    for t in range(len(labels)):
        near = numbers[max(0, t - frames) : t + frames + 1]
        if (near == numbers[t]).all():
            assert weights[t, numbers[t]] == pytest.approx(1)
    if frames <= 1:
        assert np.array_equal(weights, np.eye(3)[numbers])


def test_a_change_crosses_over_evenly_about_itself():
    weights = fade(np.repeat([0, 1], 20), 2, 9)
    np.testing.assert_allclose(weights[:, 1], 1 - weights[::-1, 1], atol=1e-12)
    assert (np.diff(weights[:, 1]) >= 0).all()
    assert np.diff(weights[:, 1]).max() < 0.3


def test_a_constant_label_is_the_lifter_told_it_and_a_hard_switch_picks_frames(told, corpus):
    view = next(v for v in corpus.views if v.frames == 40)
    one, other = (told.poses([view], [action])[0] for action in ("Walking", "Waving"))
    np.testing.assert_allclose(lift_labelled(told, view, ["Walking"] * 40), one, atol=1e-6)
    labels = ["Walking"] * 15 + ["Waving"] * 25
    hard = lift_labelled(told, view, labels, fade_s=0.0)
    np.testing.assert_allclose(hard, np.concatenate([one[:15], other[15:]]), atol=1e-6)
    soft = lift_labelled(told, view, labels, fade_s=0.4)
    jumps = [np.linalg.norm(np.diff(p, 2, axis=0), axis=-1).mean(axis=1).max() for p in (hard, soft)]
    assert jumps[1] < jumps[0]


def test_errors_around_a_change_leave_the_seam_out(corpus):
    view = next(v for v in corpus.views if v.frames == 40)
    truth = root_relative(view.pose3d_cam)
    perfect = around([truth.astype(np.float32)], [view], [20], seam=False)
    assert perfect.mpjpe < 1e-3
    assert perfect.mpjve < 1e-3
    shifted = truth.copy()
    shifted[20:] += np.array([0.1, 0.0, 0.0])
    with_jump, without = (around([shifted], [view], [20], seam=seam) for seam in (False, True))
    assert with_jump.mpjpe == without.mpjpe
    assert with_jump.mpjve > 1
    assert without.mpjve == pytest.approx(0, abs=1e-9)
    true_spike = around([truth], [view], [20], seam=True).spike
    assert without.spike == pytest.approx(true_spike)
    assert with_jump.spike > without.spike


def test_joined_clips_are_of_one_person_and_camera_and_two_actions(corpus):
    pairs = joined(corpus.views, 6)
    assert len(pairs) == 6
    for view, one, other, seam in pairs:
        assert one != other
        assert view.action == one
        parts = view.clip.split(" + ")
        first, second = (
            next(v for v in corpus.views if v.clip == clip and v.camera_name == view.camera_name) for clip in parts
        )
        assert first.subject == second.subject
        assert (first.action, second.action, first.frames) == (one, other, seam)
        assert np.array_equal(view.pose2d, np.concatenate([first.pose2d, second.pose2d]))
    assert [p[0].clip for p in joined(corpus.views, 6)] == [p[0].clip for p in pairs]


def test_labels_that_do_not_fit_are_refused(told, corpus):
    view = corpus.views[0]
    with pytest.raises(ValueError, match=f"has {view.frames} frames, got 1 labels"):
        lift_labelled(told, view, ["Walking"])
    with pytest.raises(ValueError, match="no lifter for Flying"):
        lift_labelled(told, replace(view), ["Flying"] * view.frames)
    with pytest.raises(ValueError, match="a label from 0 to 1"):
        fade(np.array([2]), 2, 5)
