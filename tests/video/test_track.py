"""Tracking: who is who from frame to frame, whatever detectors leave out, add or mistake."""

import tracemalloc

import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actlift.data.noise import DetectorNoise
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.geometry.skeleton import COCO_17, H36M_17
from actlift.video.detectors.base import Detections
from actlift.video.track import Track, Tracker, sizes

FPS = 30.0
MIRROR = np.array(COCO_17.mirror)


def coco(joints):
    """Joints of Human3.6M, (t, 17, 3), as those of COCO; the face is where the ears would be."""
    face = joints[:, H36M_17.index("Thorax")] * (-1 / 3) + joints[:, H36M_17.index("Neck")] * (4 / 3)
    return np.stack(
        [joints[:, H36M_17.index(name)] if name in H36M_17.joints else face for name in COCO_17.joints], axis=1
    )


def walker(frames, x=(200.0, 1000.0), y=500.0, height=300.0, phase=0.0, fps=FPS):
    """(t, 17, 2): somebody seen from the side who walks from one x to another, arms and legs swinging."""
    t = np.arange(frames) / fps
    swing = 0.35 * np.sin(2 * np.pi * 0.9 * t + phase)
    place = {"Shoulder": -0.31, "Hip": 0.0, "Nose": -0.43, "Eye": -0.45, "Ear": -0.44}
    points = np.zeros((frames, 17, 2))
    for j, joint in enumerate(COCO_17.joints):
        part, side = (joint, 0) if joint == "Nose" else (joint[1:], 1 if joint[0] == "L" else -1)
        if part in place:
            points[:, j] = np.array([0.02 * side, place[part]])
            continue
        angle = side * swing * (1 if part in ("Knee", "Ankle") else -1)
        top, length = {"Knee": (0.0, 0.25), "Ankle": (0.0, 0.5), "Elbow": (-0.31, 0.17), "Wrist": (-0.31, 0.33)}[part]
        points[:, j, 0], points[:, j, 1] = length * np.sin(angle), top + length * np.cos(angle)
    way = np.linspace(x[0], x[1], frames)[:, None]
    return height * points + np.stack([way, np.full_like(way, y)], axis=-1)


def people(*found):
    """People of keypoints, or of (keypoints, confidence)."""
    pairs = [one if isinstance(one, tuple) else (one, 0.8) for one in found]
    points = np.array([p for p, _ in pairs], np.float32).reshape(-1, 17, 2)
    confidence = np.array([np.broadcast_to(c, 17) for _, c in pairs], np.float32).reshape(-1, 17)
    return Detections(points, confidence)


def tracked(frames, times_s=None):
    tracker = Tracker()
    for i, found in enumerate(frames):
        tracker.push(i / FPS if times_s is None else float(times_s[i]), found)
    return tracker.finish()


def nearest(track, truths):
    """For each frame with a detection, which of the true motions it is nearest to."""
    seen = np.flatnonzero(track.confidence.any(axis=1))
    rows = np.rint(track.times_s[seen] * FPS).astype(int)
    apart = [np.nanmean(np.linalg.norm(track.points_px[seen] - truth[rows], axis=-1), axis=1) for truth in truths]
    return np.argmin(apart, axis=0)


def test_one_person_is_one_track_of_what_was_found():
    walk = walker(60)
    (track,) = tracked([people(p) for p in walk])
    assert track.person == 1
    np.testing.assert_array_equal(track.points_px, walk.astype(np.float32))
    np.testing.assert_array_equal(track.confidence, np.float32(0.8))
    np.testing.assert_array_equal(track.times_s, np.arange(60) / FPS)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_people_in_very_short_videos_are_found(frames):
    walks = walker(frames, x=(200, 210)), walker(frames, x=(1200, 1210))
    tracks = tracked([people(*found) for found in zip(*walks, strict=True)])
    assert [track.frames for track in tracks] == [frames, frames]


def test_nobody_gives_nothing():
    tracker = Tracker()
    assert tracker.finish() == []
    for i in range(3):
        tracker.push(i / FPS, people())
    assert tracker.finish() == []
    assert tracker.active_tracks() == []


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), behind=st.floats(0.8, 0.95), hidden_s=st.floats(0.0, 0.6))
def test_two_who_cross_stay_who_they_are(seed, behind, hidden_s):
    """The one behind is out of sight for a while, in the middle; the order of people in a frame is random."""
    rng = np.random.default_rng(seed)
    truths = [walker(90), walker(90, x=(1000, 200), height=300 * behind, phase=rng.uniform(0, 6))]
    noise = DetectorNoise(swapped=0.05)
    seen = [noise.observe(truth, COCO_17, FPS, [seed, i]) for i, truth in enumerate(truths)]
    frames = []
    for t in range(90):
        found = [(points[t], confidence[t]) for points, confidence in seen]
        if abs(t - 45) / FPS < hidden_s / 2:
            found.pop()
        frames.append(people(*(found[i] for i in rng.permutation(len(found)))))
    tracks = tracked(frames)
    assert len(tracks) == 2
    for track in tracks:
        whose = nearest(track, truths)
        apart = abs(np.rint(track.times_s[track.confidence.any(axis=1)] * FPS) - 45) > 8  # where they are told apart
        assert len(set(whose[apart])) == 1


@pytest.mark.parametrize(("hidden_s", "tracks"), [(0.3, 1), (0.8, 1), (1.6, 2)])
def test_out_of_sight_is_out_of_mind_after_a_second(hidden_s, tracks):
    walk = walker(150, x=(100, 1500))
    hidden = range(60, 60 + round(hidden_s * FPS))
    found = tracked([people() if t in hidden else people(p) for t, p in enumerate(walk)])
    assert len(found) == tracks
    assert sum(track.confidence.any(axis=1).sum() for track in found) == 150 - len(hidden)
    if tracks == 1:
        assert np.isnan(found[0].points_px[list(hidden)]).all()
        assert found[0].frames == 150


def test_low_frame_rates_keep_people():
    """At two frames per second somebody may be missed once; a second is then only two frames."""
    walk = walker(20, x=(200, 1500))
    times_s = np.arange(20) / 2
    found = [people() if t in (7, 8) else people(p) for t, p in enumerate(walk)]
    assert len(tracked(found, times_s)) == 1


def test_a_cut_ends_everybody():
    walk = walker(60)
    tracker = Tracker()
    for t, points in enumerate(walk):
        tracker.push(t / FPS, people(points), cut=t == 25)
    assert [(track.person, track.frames) for track in tracker.finish()] == [(2, 35), (1, 25)]


def test_one_person_found_twice_is_one():
    rng = np.random.default_rng(0)
    walk = walker(60)
    frames = [people((p + rng.normal(0, 4, p.shape), 0.5), (p, 0.9)) for p in walk]
    (track,) = tracked(frames)
    np.testing.assert_array_equal(track.points_px, walk.astype(np.float32))


def test_found_twice_with_left_and_right_swapped_is_one():
    walk = walker(60)
    assert len(tracked([people((p, 0.9), (p[MIRROR], 0.7)) for p in walk])) == 1


def test_somebody_faint_goes_on_but_does_not_begin():
    walk = walker(60)
    assert tracked([people((p, 0.25)) for p in walk]) == []
    (track,) = tracked([people((p, 0.8 if t < 10 else 0.25)) for t, p in enumerate(walk)])
    assert track.frames == 60


def test_false_people_are_left_out():
    """Who comes and goes at random places, and who is seen for a moment, in a scene of some length."""
    rng = np.random.default_rng(1)
    frames = []
    for t, points in enumerate(walker(90)):
        found = [(points, 0.8)]
        if rng.random() < 0.3:
            found.append((rng.uniform(0, 1500, 2) + rng.normal(0, 80, (17, 2)), 0.5))
        if 40 <= t < 48:
            found.append((walker(90, x=(1400, 1400))[t], 0.8))
        frames.append(people(*found))
    (track,) = tracked(frames)
    assert track.frames == 90


def test_numbers_go_by_first_frame_and_the_list_by_length():
    short, long = walker(40), walker(90, x=(1400, 1400))
    frames = [people(*([short[t]] if t < 40 else []), *([long[t]] if t >= 20 else [])) for t in range(90)]
    assert [(track.person, track.frames) for track in tracked(frames)] == [(2, 70), (1, 40)]


def test_unseen_joints_are_nan_and_zero():
    walk = walker(30)
    points, confidence = walk.copy(), np.full((30, 17), 0.8)
    confidence[5, 3] = 0.0
    points[6, 4] = np.nan
    confidence[7, 5] = np.nan
    (track,) = tracked([people((p, c)) for p, c in zip(points, confidence, strict=True)])
    unseen = np.zeros((30, 17), bool)
    unseen[[5, 6, 7], [3, 4, 5]] = True
    np.testing.assert_array_equal(np.isnan(track.points_px).all(axis=-1), unseen)
    np.testing.assert_array_equal(track.confidence == 0, unseen)


def test_half_a_body_is_followed():
    walk = walker(60)
    above = np.array([joint[1:] not in ("Hip", "Knee", "Ankle") for joint in COCO_17.joints])
    (track,) = tracked([people((p, np.where(above, 0.8, 0.0))) for p in walk])
    assert track.frames == 60


@settings(max_examples=10, deadline=None)
@given(
    scale=st.floats(0.2, 4.0),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    seed=st.integers(0, 1000),
)
def test_size_and_place_in_the_image_do_not_matter(scale, shift, seed):
    rng = np.random.default_rng(seed)
    one, other = walker(50), walker(50, x=(1000, 300), height=270)
    frames = [[p for p in pair if rng.random() > 0.1] for pair in zip(one, other, strict=True)]
    tracks = tracked([people(*found) for found in frames])
    moved = tracked([people(*(scale * p + shift for p in found)) for found in frames])
    assert [track.person for track in tracks] == [track.person for track in moved]
    for track, same in zip(tracks, moved, strict=True):
        np.testing.assert_array_equal(track.times_s, same.times_s)
        np.testing.assert_allclose(scale * track.points_px + np.array(shift), same.points_px, rtol=1e-5, atol=1e-2)


def test_pushing_again_gives_the_same_bits_and_finishing_changes_nothing():
    rng = np.random.default_rng(3)
    one, other = walker(90), walker(90, x=(1000, 200), height=250)
    frames = [people(*(p + rng.normal(0, 3, p.shape) for p in pair)) for pair in zip(one, other, strict=True)]
    straight = tracked(frames)
    tracker = Tracker()
    for t, found in enumerate(frames):
        tracker.push(t / FPS, found)
        tracker.finish()
    for track, same in zip(straight, tracker.finish(), strict=True):
        np.testing.assert_array_equal(track.points_px, same.points_px)
        np.testing.assert_array_equal(track.times_s, same.times_s)


def test_uneven_times_do_not_matter_for_who_is_who():
    rng = np.random.default_rng(4)
    times_s = np.cumsum(rng.uniform(0.005, 0.08, 120))
    x = 200 + 300 * times_s
    one = walker(120)
    frames = []
    for t, pose in enumerate(one - one.mean(axis=1, keepdims=True)):
        frames.append(people(pose + np.array([x[t], 500]), pose + np.array([1500 - x[t], 480])))
    tracks = tracked(frames, times_s)
    assert [track.frames for track in tracks] == [120, 120]
    np.testing.assert_array_equal(tracks[0].times_s, times_s)
    for track in tracks:
        steps = np.diff(track.points_px[..., 0].mean(axis=1))
        assert (steps > 0).all() or (steps < 0).all()


def test_live_people_are_those_of_the_tracks():
    one, other = walker(60), walker(60, x=(1000, 200), height=250)
    tracker = Tracker()
    for t in range(60):
        found = people(one[t], *([other[t]] if t >= 10 else []))
        tracker.push(t / FPS, found)
        present = tracker.active_tracks()
        assert [person.person for person in present] == ([1] if t < 12 else [1, 2])
        np.testing.assert_array_equal(present[0].points_px, one[t].astype(np.float32))
        np.testing.assert_array_equal(present[0].confidence, np.float32(0.8))
    tracker.push(60 / FPS, people(one[-1]))
    assert [person for person, _, _ in tracker.active_tracks()] == [1]
    assert {track.person for track in tracker.finish()} == {1, 2}


def test_memory_is_a_few_hundred_bytes_a_person_and_frame():
    walks = [walker(60, x=(x, x + 100)) for x in (200, 800, 1400)]
    frames = [people(*found) for found in zip(*walks, strict=True)]
    tracker = Tracker()
    tracemalloc.start()
    for t, found in enumerate(frames):
        tracker.push(t / FPS, found)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 400 * len(walks) * len(frames)


def test_size_is_about_the_diagonal_and_shrugs_at_one_joint():
    walk = walker(50)
    diagonal = np.linalg.norm(np.ptp(walk, axis=1), axis=-1)
    size = sizes(walk, np.ones((50, 17)))
    np.testing.assert_allclose(size, diagonal, rtol=0.25)
    wrong = walk.copy()
    wrong[:, 9] += 2 * diagonal[:, None]
    confidence = np.ones((50, 17))
    confidence[:, 9] = 0.02
    np.testing.assert_allclose(sizes(wrong, confidence), size, rtol=0.15)


@pytest.mark.parametrize("time_s", [1.0, 0.5, float("nan")])
def test_times_must_increase(time_s):
    tracker = Tracker()
    tracker.push(1.0, people())
    with pytest.raises(ValueError, match="times must increase"):
        tracker.push(time_s, people())


def test_other_joints_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its error would come before ours
    with pytest.raises(ValueError, match="COCO_17"):
        Tracker().push(0.0, Detections(np.zeros((1, 26, 2), np.float32), np.ones((1, 26), np.float32)))
    with pytest.raises(ValueError, match="COCO_17"):
        Tracker().push(0.0, Detections(np.zeros((2, 17, 2), np.float32), np.ones((1, 17), np.float32)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times_s": np.zeros(0)}, "of at least one frame"),
        ({"times_s": np.array([0.0, 0.1, 0.1])}, "increase"),
        ({"times_s": np.array([0.0, 0.1, np.inf])}, "increase"),
        ({"times_s": np.arange(2.0)}, "shapes"),
        ({"confidence": np.full((3, 17), 1.5)}, "0 to 1"),
        ({"points_px": np.full((3, 17, 2), np.nan)}, "no place"),
    ],
)
def test_what_is_no_track_is_refused(change, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its error would come before ours
    good = {"times_s": np.arange(3.0), "points_px": np.zeros((3, 17, 2)), "confidence": np.ones((3, 17))}
    assert Track(1, **good).frames == 3
    with pytest.raises(ValueError, match=message):
        Track(1, **{**good, **change})


def test_real_walkers_cross(actlift_data):
    """Motion capture of people who walk, composed in one image in which they meet; detector noise, short occlusion."""
    clips = [c for c in read_mocap_npz(actlift_data / "mocap" / "cmu.npz") if c.action == "Walking"]
    walks = []
    for clip in clips:
        joints = coco(clip.resampled(FPS).joints_world)
        way = joints[-1].mean(axis=0)[:2] - joints[0].mean(axis=0)[:2]
        if np.linalg.norm(way) > 2.5:
            ahead = way / np.linalg.norm(way)
            walks.append(np.stack([200 * joints[..., :2] @ ahead, 600 - 200 * joints[..., 2]], axis=-1))
    assert len(walks) >= 4
    exchanged = 0
    for seed in range(6):
        one, other = walks[seed % len(walks)], walks[(3 * seed + 1) % len(walks)]
        n = min(len(one), len(other))
        other = (other * [-1, 1])[:, MIRROR]
        truths = [one[:n] - [one[n // 2, :, 0].mean(), 0], other[:n] - [other[n // 2, :, 0].mean(), 0]]
        seen = [DetectorNoise().observe(truth, COCO_17, FPS, [seed, i]) for i, truth in enumerate(truths)]
        frames = []
        for t in range(n):
            hidden = abs(truths[0][t, :, 0].mean() - truths[1][t, :, 0].mean()) < 40
            frames.append(people(*((p[t], c[t]) for p, c in seen[: 1 if hidden else 2])))
        tracks = tracked(frames)
        assert len(tracks) == 2
        exchanged += sum(len(set(nearest(track, truths)[[0, 1, -2, -1]])) > 1 for track in tracks)
    assert exchanged == 0
