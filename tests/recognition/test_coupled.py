"""Recognition and lifting in turns: what each round is told, from what, and what is made of it."""

import numpy as np
import pytest
import torch
from tests.networks import network_of

from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES, Variant
from actlift.geometry.skeleton import root_relative
from actlift.lifting.conditional import ConditionalLifter
from actlift.recognition.coupled import ROUND_METRICS, coupled_rounds, summary
from actlift.recognition.network import RecognizerNetwork
from actlift.recognition.prediction import ActionRecognizer

ACTIONS = ["Squat", "Walking", "Waving"]


@pytest.fixture(scope="module")
def told() -> ConditionalLifter:
    network = network_of((3,), conditions=3, dropout=0.0)
    with torch.no_grad():
        for layer in network.layers:
            layer.bias.normal_(0, 1.0)
    return ConditionalLifter.from_network(network, ACTIONS)


def sure_of(sequences, numbers):
    return [np.tile(np.eye(3)[n], (s.frames, 1)) for s, n in zip(sequences, numbers, strict=True)]


def test_every_round_is_told_what_is_seen_in_the_poses_of_the_round_before(told, corpus):
    """A recognizer that, shown poses, says the action after the one they were lifted as."""
    seen = [v.keypoints for v in corpus.views[:6]]
    first = [0, 1, 2, 2, 1, 0]
    shown = []

    def next_one(sequences, poses):
        shown.append(poses)
        as_lifted = [
            int(np.argmin([np.abs(p([s])[0] - pose).max() for p in told.actions.values()]))
            for s, pose in zip(sequences, poses, strict=True)
        ]
        return sure_of(sequences, [(n + 1) % 3 for n in as_lifted])

    rounds = coupled_rounds(told, seen, sure_of(seen, first), next_one, 4)
    assert [one.labels for one in rounds] == [[ACTIONS[(n + turn) % 3] for n in first] for turn in range(4)]
    for one in rounds:
        for sequence, label, pose in zip(seen, one.labels, one.poses, strict=True):
            np.testing.assert_allclose(pose, told.actions[label]([sequence])[0], atol=1e-5)
    assert len(shown) == 3
    for poses, one in zip(shown, rounds, strict=False):
        assert poses is one.poses


def test_a_clip_is_told_what_is_likeliest_on_average_over_its_frames(told, corpus):
    seen = [corpus.views[0].keypoints]
    posterior = np.tile([0.4, 0.6, 0.0], (seen[0].frames, 1))
    posterior[: seen[0].frames // 3] = [0.0, 0.0, 1.0]
    (one,) = coupled_rounds(told, seen, [posterior])
    assert one.labels == ["Walking"]
    posterior[: seen[0].frames // 2] = [0.0, 0.0, 1.0]
    (one,) = coupled_rounds(told, seen, [posterior])
    assert one.labels == ["Waving"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rounds": 0}, "got none and 0"),
        ({"rounds": 2}, "got none and 2"),
        ({"again": lambda *_: [], "rounds": 1}, "got one and 1"),
        ({"again": lambda *_: [], "rounds": 2}, "1 sequences and 3 actions; give an array"),
        ({"posteriors": []}, "1 sequences and 3 actions; give an array"),
        ({"posteriors": [np.ones((40, 2)) / 2]}, "1 sequences and 3 actions; give an array"),
    ],
)
def test_what_makes_no_rounds_is_refused(options, words, told, corpus):
    seen = [corpus.views[0].keypoints]
    with pytest.raises(ValueError, match=words):
        coupled_rounds(told, seen, **({"posteriors": sure_of(seen, [0])} | options))


def test_a_round_in_numbers(told, corpus):
    views = corpus.views[::5]
    true = [ACTIONS.index(v.action) for v in views]
    posteriors = sure_of([v.keypoints for v in views], [(n + (i == 0)) % 3 for i, n in enumerate(true)])
    poses = told.poses([v.keypoints for v in views], ["Walking"] * len(views))
    scores = score_poses(poses, views, variant=Variant("x"), metrics=ROUND_METRICS)
    found = summary(scores, posteriors, views, ACTIONS)
    assert found["clips"] == pytest.approx(1 - 1 / len(views))
    assert found["frames"] == pytest.approx(1 - views[0].frames / sum(v.frames for v in views))
    off = [1000 * np.linalg.norm(p - root_relative(v.pose3d_cam), axis=-1) for p, v in zip(poses, views, strict=True)]
    assert found["mpjpe"][MEAN_OVER_FRAMES] == pytest.approx(np.concatenate(off).mean(), rel=1e-4)
    of_action = [
        np.concatenate([o for o, v in zip(off, views, strict=True) if v.action == action]).mean() for action in ACTIONS
    ]
    assert found["mpjpe"][MEAN_OVER_ACTIONS] == pytest.approx(np.mean(of_action), rel=1e-4)
    assert set(found["mpjve"]) == {MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES}


# recognizing in poses that are given


def test_poses_that_are_given_stand_for_those_of_the_recognizers_lifter(corpus):
    seen = [v.keypoints for v in corpus.views[:3]]
    torch.manual_seed(0)
    network = RecognizerNetwork(3, 9, 8, lifted=True).eval()
    lifter = network_of((3,))
    recognizer = ActionRecognizer(network, ACTIONS, lifter=lifter)
    own = ConditionalLifter.from_experts({}, lifter).unconditioned(seen)
    for given, usual in zip(recognizer.of_poses(seen, own), recognizer(seen), strict=True):
        np.testing.assert_allclose(given, usual, atol=1e-6)
    others = recognizer.of_poses(seen, [pose[:, ::-1].copy() for pose in own])
    assert np.abs(others[0] - recognizer(seen)[0]).max() > 1e-3
    with pytest.raises(ValueError, match="there are 3 sequences, got poses of 2: give some for each"):
        recognizer.of_poses(seen, own[:2])
    blind = ActionRecognizer(RecognizerNetwork(3, 9, 8).eval(), ACTIONS)
    with pytest.raises(ValueError, match="sees keypoints alone: give one that sees poses"):
        blind.of_poses(seen, own)
