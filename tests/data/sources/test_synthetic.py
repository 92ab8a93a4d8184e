import numpy as np
import pytest

from actlift.data.sources.synthetic import ACTIONS, synthetic_clips
from actlift.geometry.skeleton import H36M_17


def joint(clip, name):
    return clip.joints_world[:, H36M_17.index(name)].astype(np.float64)


def forward(clip):
    """(t, 3): where the pelvis faces, level."""
    left = joint(clip, "LHip") - joint(clip, "RHip")
    ahead = np.stack([left[:, 1], -left[:, 0], np.zeros(clip.frames)], axis=1)
    return ahead / np.linalg.norm(ahead, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def clips():
    return list(synthetic_clips(3))


def test_everybody_does_everything(clips):
    assert len(ACTIONS) >= 6
    assert len(clips) == len({clip.name for clip in clips}) == 6 * len(ACTIONS) * 2
    assert {(clip.subject, clip.action) for clip in clips} == {(f"syn{n}", a) for n in range(1, 7) for a in ACTIONS}
    assert {(clip.fps, clip.frames) for clip in clips} == {(50.0, 250)}


def test_a_clip_depends_on_seed_and_name_alone(clips):
    few = list(synthetic_clips(3, subjects=2, clips=1, actions=["Squat"]))
    named = {clip.name: clip for clip in clips}
    for clip in few:
        np.testing.assert_array_equal(clip.joints_world, named[clip.name].joints_world)
    other = next(synthetic_clips(4, actions=["Squat"]))
    assert np.abs(other.joints_world - few[0].joints_world).max() > 0.1


def test_takes_differ(clips):
    named = {clip.name: clip for clip in clips}
    for action in ACTIONS:
        first, second = (named[f"syn1/{action}_{take}"].joints_world for take in (1, 2))
        assert np.abs((first - first[:, :1]) - (second - second[:, :1])).max() > 0.1


def test_bones_keep_their_length_and_people_differ(clips):
    lengths = {}
    for clip in clips:
        bones = np.stack(
            [clip.joints_world[:, child] - clip.joints_world[:, parent] for child, parent in H36M_17.bones]
        )
        length = np.linalg.norm(bones, axis=-1)  # (bones, t)
        assert np.ptp(length, axis=1).max() < 1e-5
        lengths.setdefault(clip.subject, length[:, 0])
        np.testing.assert_allclose(length[:, 0], lengths[clip.subject], atol=1e-5)
    legs = [length[[1, 2]].sum() for length in lengths.values()]
    assert 0.7 < min(legs) < max(legs) - 0.03 < 1.0


def test_knees_and_elbows_bend_the_right_way(clips):
    for clip in clips:
        for side in "LR":
            thigh = joint(clip, f"{side}Knee") - joint(clip, f"{side}Hip")
            shin = joint(clip, f"{side}Ankle") - joint(clip, f"{side}Knee")
            left = joint(clip, "LHip") - joint(clip, "RHip")
            bend = np.einsum("tc,tc->t", np.cross(thigh, shin), left)  # about the left axis, downwards to backwards
            angle = np.degrees(
                np.arccos(np.einsum("tc,tc->t", thigh, shin) / np.linalg.norm(thigh[0]) / np.linalg.norm(shin[0]))
            )
            assert (bend[angle > 15] > 0).all(), clip.name
            assert angle.max() < 146, clip.name
            upper = joint(clip, f"{side}Elbow") - joint(clip, f"{side}Shoulder")
            fore = joint(clip, f"{side}Wrist") - joint(clip, f"{side}Elbow")
            cosine = np.einsum("tc,tc->t", upper, fore) / np.linalg.norm(upper[0]) / np.linalg.norm(fore[0])
            assert np.degrees(np.arccos(cosine)).max() < 146, clip.name
            # with the arm hanging, a forearm points forwards
            hanging = (upper[:, 2] < -0.9 * np.linalg.norm(upper[0])) & (cosine < 0.85)
            assert (np.einsum("tc,tc->t", fore, forward(clip))[hanging] > 0).all(), clip.name


def test_feet_stand_on_the_floor(clips):
    for clip in clips:
        ankles = np.stack([joint(clip, "LAnkle"), joint(clip, "RAnkle")], axis=1)[..., 2]
        assert ankles.min() > 0.05, clip.name
        assert np.median(ankles.min(axis=1)) < 0.13, clip.name
        assert clip.joints_world[..., 2].min() > 0, clip.name
        if not ACTIONS[clip.action].flights:
            assert ankles.min(axis=1).max() < 0.14, clip.name


def test_bearing_feet_hardly_slide(clips):
    for clip in clips:
        if ACTIONS[clip.action].flights:
            continue
        ankles = np.stack([joint(clip, "LAnkle"), joint(clip, "RAnkle")], axis=1)
        speed = np.linalg.norm(np.diff(ankles[..., :2], axis=0), axis=-1) * clip.fps
        bearing = np.take_along_axis(speed, ankles[1:, :, 2].argmin(axis=1)[:, None], axis=1)
        assert np.median(bearing) < 0.2, clip.name


def test_motion_is_smooth_and_nothing_is_faster_than_people_are(clips):
    for clip in clips:
        step = np.diff(clip.joints_world.astype(np.float64), axis=0) * clip.fps
        assert np.linalg.norm(step, axis=-1).max() < 12, clip.name  # what a corpus would cut out
        assert np.linalg.norm(np.diff(step, axis=0), axis=-1).max() * clip.fps < 250, clip.name


def test_actions_are_what_they_are_called(clips):
    for clip in clips:
        pelvis = joint(clip, "Pelvis")
        leg = np.linalg.norm(joint(clip, "LHip")[0] - joint(clip, "LKnee")[0]) * 2
        way = np.linalg.norm(np.diff(pelvis[:, :2], axis=0), axis=1).sum() * clip.fps / clip.frames
        ahead = np.einsum("tc,tc->t", np.diff(pelvis, axis=0), forward(clip)[1:]).sum()
        wrists = np.stack([joint(clip, "LWrist"), joint(clip, "RWrist")], axis=1)[..., 2]
        ankles = np.stack([joint(clip, "LAnkle"), joint(clip, "RAnkle")], axis=1)[..., 2]
        if clip.action == "Walking":
            assert 0.6 < way < 1.8, clip.name
            assert ahead > 2, clip.name
        if clip.action == "Running":
            assert way > 1.7, clip.name
            assert ahead > 7, clip.name
        if clip.action in ("Sitting", "Squat"):
            assert pelvis[:, 2].min() < 0.75 * leg + 0.1, clip.name
        if clip.action == "Jumping":
            assert ankles.min(axis=1).max() > 0.2, clip.name
        if clip.action == "Waving":
            assert (wrists.max(axis=1) > joint(clip, "Thorax")[:, 2]).mean() > 0.3, clip.name
        if clip.action == "Kicking":
            assert ankles.max() > 0.4 * leg, clip.name
        if clip.action == "PickUp":
            assert wrists.min() < 0.45, clip.name


@pytest.mark.parametrize(
    "wrong", [{"actions": ["Flying"]}, {"actions": []}, {"subjects": 0}, {"clips": 0}, {"seconds": 0.001}]
)
def test_nothing_to_make(wrong):
    with pytest.raises(ValueError, match="wanted"):
        next(synthetic_clips(**wrong))


def test_one_frame():
    assert next(synthetic_clips(seconds=0.02)).frames == 1
