"""HumanEva-I from files of the shape in which people have it, made here."""

import re

import numpy as np
import pytest

from actlift.data.prepare import prepare, read_source
from actlift.data.sources.humaneva import read_humaneva
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.skeleton import H36M_17

# where the joints stand among the 15: pelvis, thorax, left and right arm, left and right leg, head
# fmt: off
PLACE_AMONG_15 = {
    "Pelvis": 0, "Thorax": 1, "LShoulder": 2, "LElbow": 3, "LWrist": 4, "RShoulder": 5, "RElbow": 6, "RWrist": 7,
    "LHip": 8, "LKnee": 9, "LAnkle": 10, "RHip": 11, "RKnee": 12, "RAnkle": 13, "Head": 14,
}
# fmt: on


def motion(seed=0):
    """(t, 15, 3) meters."""
    (clip,) = synthetic_clips(seed, subjects=1, clips=1, seconds=0.4, fps=60.0, actions=["Walking"])
    return clip.joints_world[:, [H36M_17.index(joint) for joint in PLACE_AMONG_15]]


def write(path, positions):
    np.savez_compressed(path, positions_3d=positions)
    return path


@pytest.fixture
def source(tmp_path):
    return write(
        tmp_path / "data_3d_humaneva15.npz",
        {
            "Train/S1": {"Walking 1 chunk0": motion(1), "Walking 1 chunk2": motion(2)},
            "Validate/S1": {"Walking 1 chunk0": motion(3)},
            "Validate/S2": {"Jog 1 chunk1": motion(4)},
        },
    )


def test_chunks_become_clips_of_the_person(source):
    clips = read_source(source)
    assert [(clip.name, clip.subject, clip.action, clip.fps) for clip in clips] == [
        ("Train/S1/Walking 1 chunk0", "S1", "Walking", 60.0),
        ("Train/S1/Walking 1 chunk2", "S1", "Walking", 60.0),
        ("Validate/S1/Walking 1 chunk0", "S1", "Walking", 60.0),
        ("Validate/S2/Jog 1 chunk1", "S2", "Jog", 60.0),
    ]
    assert {clip.dataset for clip in clips} == {"humaneva"}
    joints = clips[0].joints_world
    assert joints.shape == (24, 17, 3)
    for joint, place in PLACE_AMONG_15.items():
        np.testing.assert_array_equal(joints[:, H36M_17.index(joint)], motion(1)[:, place])


def test_interpolated_joints_lie_halfway(source):
    joints = dict(zip(H36M_17.joints, np.moveaxis(read_humaneva(source)[0].joints_world, 1, 0), strict=True))
    np.testing.assert_allclose(joints["Spine"], (joints["Pelvis"] + joints["Thorax"]) / 2, atol=1e-6)
    np.testing.assert_allclose(joints["Neck"], (joints["Thorax"] + joints["Head"]) / 2, atol=1e-6)


def test_a_corpus_of_virtual_cameras_that_splits_by_person(source, tmp_path):
    corpus = prepare([str(source)], tmp_path / "corpus")
    assert corpus.provenance["rig"] == "ring"
    train, test = corpus.split(["S1"])
    assert (train.subjects, test.subjects) == (("S2",), ("S1",))
    assert {view.clip.split("/")[0] for view in test.views} == {"Train", "Validate"}


def test_detections_cannot_be_used(source):
    with pytest.raises(ValueError, match=r"humaneva15\.npz: detections \(some\.npz\) go with Human3\.6M only"):
        read_source(source, detections="some.npz")


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (
            {"Train/S1": {"Walking 1 chunk0": np.zeros((5, 20, 3), "f4")}},
            "'Train/S1/Walking 1 chunk0' is float32 (5, 20",
        ),
        (
            {"Train/S1": {"Hop 1 chunk0": motion()}},
            "'Hop 1 chunk0' is no action of HumanEva-I; they are Box, Gestures,",
        ),
        ({"Test/S1": {"Jog 1 chunk0": motion()}}, "subject 'Test/S1'; wanted 'Train/' or 'Validate/' and S1 to S4"),
        ({"Train/S1": {"Jog 1 chunk0": motion() * np.nan}}, "'Train/S1/Jog 1 chunk0': frame 0, joint Pelvis"),
    ],
)
def test_files_that_are_wrong(tmp_path, positions, message):
    with pytest.raises(ValueError, match=r"bad\.npz: .*" + re.escape(message)):
        read_source(write(tmp_path / "bad.npz", positions))
