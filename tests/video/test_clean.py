"""Cleaning keypoints: each step mends its own fault, leaves what is right alone, and shifts nothing in time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actlift.data.noise import DetectorNoise
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.camera import random_rig
from actlift.geometry.skeleton import COCO_17, H36M_17
from actlift.video import clean
from actlift.video.clean import OneEuro, even, fill_gaps, preprocess, repair_sides, smooth, without_jumps
from actlift.video.track import Track, sizes

FPS = 30.0
MIRROR = np.array(COCO_17.mirror)
LOWER = np.array([joint[1:] in ("Hip", "Knee", "Ankle") for joint in COCO_17.joints])
ANKLES, KNEES, HIPS, WRISTS = (
    [COCO_17.index(side + part) for side in "LR"] for part in ("Ankle", "Knee", "Hip", "Wrist")
)


def coco(joints):
    """Joints of Human3.6M, (t, 17, 3), as those of COCO; the face is where the ears would be."""
    face = joints[:, H36M_17.index("Thorax")] * (-1 / 3) + joints[:, H36M_17.index("Neck")] * (4 / 3)
    return np.stack(
        [joints[:, H36M_17.index(name)] if name in H36M_17.joints else face for name in COCO_17.joints], axis=1
    )


def seen(clip, seed=0):
    """(t, 17, 2) pixels of a clip, by a camera drawn at random."""
    camera = random_rig(clip.joints_world, seed, 1)[0]
    return camera.cam_to_px(camera.world_to_cam(coco(clip.joints_world)))


def track_of(points, confidence=0.8, times_s=None):
    t = len(points)
    unseen = np.isnan(points).any(axis=-1)
    return Track(
        1,
        np.arange(t) / FPS if times_s is None else times_s,
        np.asarray(points, dtype=np.float64),
        np.where(unseen, 0.0, np.broadcast_to(confidence, (t, 17))),
    )


def tone(hz, t, fps=FPS, amplitude=20.0):
    """A pose, all of whose joints go to and fro together."""
    move = amplitude * np.sin(2 * np.pi * hz * np.arange(t) / fps)
    return 500 + 300 * clean.STANDING + move[:, None, None] * [1.0, 0.5]


@pytest.fixture(scope="module")
def walks():
    clips = synthetic_clips(1, seconds=4.0, subjects=2, clips=1, fps=FPS, actions=["Walking", "Squat"])
    return [seen(clip, seed) for seed, clip in enumerate(clips)]


# left and right


def swapped(points, frames, joints):
    points = points.copy()
    points[np.ix_(frames, np.flatnonzero(joints))] = points[np.ix_(frames, MIRROR[joints])]
    return points


@settings(max_examples=25, deadline=None)
@given(
    which=st.integers(0, 3),
    start=st.integers(0, 110),
    length=st.integers(1, 9),
    half=st.sampled_from(["lower", "upper", "both"]),
    seed=st.integers(0, 1000),
)
def test_sides_swapped_for_a_while_are_put_back(walks, which, start, length, half, seed):
    points = walks[which]
    points = points + np.random.default_rng(seed).normal(0, 0.5, points.shape)
    joints = {"lower": LOWER, "upper": ~LOWER, "both": np.ones(17, bool)}[half]
    frames = np.arange(start, min(start + length, len(points) - 1))
    repaired = repair_sides(track_of(swapped(points, frames, joints)))
    apart = np.linalg.norm(points - points[:, MIRROR], axis=-1) / sizes(points, np.ones(points.shape[:2]))[:, None]
    wrong = np.linalg.norm(repaired.points_px - points, axis=-1) > 0
    # a swap while left and right coincide is none; one that begins or ends then may be taken for that much longer
    assert (wrong * apart)[:, joints].sum() <= 0.1 * (apart[frames][:, joints].sum() + 1)


def test_confidences_go_with_their_joints(walks):
    points = walks[0]
    confidence = np.linspace(0.5, 0.9, 17) * np.ones((len(points), 1))
    wrong = swapped(points, np.arange(50, 54), np.ones(17, bool))
    wrong_confidence = swapped(confidence[..., None], np.arange(50, 54), np.ones(17, bool))[..., 0]
    repaired = repair_sides(track_of(wrong, wrong_confidence))
    np.testing.assert_array_equal(repaired.points_px, points)
    np.testing.assert_array_equal(repaired.confidence, confidence)


@pytest.mark.parametrize("mirrored", [False, True])
def test_right_sides_are_left_alone(walks, mirrored):
    """Walking, squatting and turning people; also those whom a detector sees the wrong way round all the time."""
    for points in walks:
        track = track_of(points[:, MIRROR] if mirrored else points)
        np.testing.assert_array_equal(repair_sides(track).points_px, track.points_px)


@pytest.mark.parametrize("seconds", [0.8, 2.0, 6.0])
def test_a_turn_is_no_swap(seconds):
    """Somebody who stands and turns around twice: left and right change places in the image, but not in fact."""
    t = np.arange(round(seconds * FPS) + 60)
    angle = 4 * np.pi * ((t - 30) / (seconds * FPS)).clip(0, 1)
    depth = 0.06 * np.sin(np.arange(17))
    across = clean.STANDING[:, 0] * np.cos(angle)[:, None] + depth * np.sin(angle)[:, None]
    points = 500 + 300 * np.stack([across, np.broadcast_to(clean.STANDING[:, 1], across.shape)], axis=-1)
    np.testing.assert_array_equal(repair_sides(track_of(points)).points_px, points)


def test_sides_through_gaps_and_in_a_single_frame(walks):
    points = swapped(walks[0], np.arange(40, 46), np.ones(17, bool))
    points[38:41, 5:9] = np.nan
    repaired = repair_sides(track_of(points))
    right = swapped(points, np.arange(40, 46), np.ones(17, bool))
    assert np.nanmax(np.abs(repaired.points_px - right)) == 0
    one = track_of(points[:1])
    assert repair_sides(one) is one


# single joints


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_joint_that_jumps_away_and_back_is_unseen(walks, length):
    points = walks[0].copy()
    size = sizes(points, np.ones(points.shape[:2]))[60]
    points[60 : 60 + length, WRISTS[0]] += 0.25 * size
    found = without_jumps(track_of(points))
    unseen = np.zeros(points.shape[:2], bool)
    unseen[60 : 60 + length, WRISTS[0]] = True
    np.testing.assert_array_equal(found.confidence == 0, unseen)
    np.testing.assert_array_equal(np.isnan(found.points_px).all(axis=-1), unseen)


def test_motion_is_no_jump(walks):
    for points in (*walks, tone(2.0, 90, amplitude=60.0)):
        track = track_of(points)
        np.testing.assert_array_equal(without_jumps(track).points_px, points)


def test_a_joint_that_goes_and_stays_has_not_jumped():
    points = tone(0.0, 60)
    points[30:, WRISTS[1]] += 80.0
    assert without_jumps(track_of(points)).confidence.all()


@pytest.mark.parametrize("t", [1, 2, 3])
def test_jumps_need_a_before_and_an_after(t):
    points = tone(0.0, t)
    points[-1, 3] += 100.0
    assert without_jumps(track_of(points)).confidence.all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.0, 0.97), t=st.integers(1, 40))
def test_nothing_is_unseen_after_filling_and_what_was_seen_stays(seed, share, t):
    rng = np.random.default_rng(seed)
    points = tone(1.0, t) + rng.normal(0, 2, (t, 17, 2))
    confidence = rng.uniform(0.5, 1.0, (t, 17))
    gone = rng.random((t, 17)) < share
    gone[rng.integers(t), rng.integers(17)] = False
    filled = fill_gaps(track_of(np.where(gone[..., None], np.nan, points), confidence))
    assert np.isfinite(filled.points_px).all()
    np.testing.assert_array_equal(filled.confidence, np.where(gone, 0.0, confidence))
    np.testing.assert_allclose(filled.points_px[~gone], points[~gone], atol=1e-9)


def test_a_joint_goes_along_with_the_body_while_it_is_unseen():
    """Also at the ends, and while everybody else's path is bent."""
    t = np.arange(60)
    points = tone(0.0, 60) + np.stack([200 * np.sin(t / 15), 2.0 * t], axis=-1)[:, None]
    gappy = points.copy()
    gappy[:12, 3] = gappy[20:45, WRISTS[0]] = gappy[50:, ANKLES[1]] = np.nan
    np.testing.assert_allclose(fill_gaps(track_of(gappy)).points_px, points, atol=1e-6)


def test_when_nobody_is_seen_the_body_goes_on_evenly():
    points = tone(0.0, 40) + np.arange(40.0)[:, None, None]
    gappy = points.copy()
    gappy[15:25] = np.nan
    filled = fill_gaps(track_of(gappy))
    np.testing.assert_allclose(filled.points_px, points, atol=1e-6)
    assert not filled.confidence[15:25].any()


def test_what_is_not_trusted_for_a_moment_is_filled_and_for_long_is_a_guess():
    points = tone(0.0, 90)
    confidence = np.full((90, 17), 0.8)
    confidence[20:25, 9] = confidence[40:80, 10] = confidence[30:35, 11] = 0.1
    wrong = points.copy()
    wrong[confidence == 0.1] += 60.0
    filled = fill_gaps(track_of(wrong, confidence))
    np.testing.assert_allclose(filled.points_px[:, [9, 11]], points[:, [9, 11]], atol=1e-6)
    assert not filled.confidence[20:25, 9].any()
    np.testing.assert_allclose(filled.points_px[40:80, 10], wrong[40:80, 10])
    assert (filled.confidence[40:80, 10] == 0.1).all()


def test_a_detector_that_is_never_sure_is_believed():
    points = tone(1.0, 50)
    filled = fill_gaps(track_of(points, 0.12))
    np.testing.assert_allclose(filled.points_px, points)
    assert (filled.confidence == 0.12).all()


def test_legs_that_are_never_seen_hang_below():
    points = tone(0.5, 40)
    points[:, LOWER] = np.nan
    filled = fill_gaps(track_of(points))
    shoulder, hip, knee, ankle = (
        filled.points_px[:, joints, 1].mean(axis=1) for joints in ([5, 6], HIPS, KNEES, ANKLES)
    )
    assert ((shoulder < hip) & (hip < knee) & (knee < ankle)).all()
    np.testing.assert_allclose(filled.points_px, tone(0.5, 40), atol=1.0)  # it is this pose that they are taken from
    assert not filled.confidence[:, LOWER].any()


def test_nothing_comes_from_nothing():
    with pytest.raises(ValueError, match="no joint of person 1 is ever seen"):
        fill_gaps(track_of(np.full((5, 17, 2), np.nan)))


# times


@pytest.mark.parametrize("fps", [15.0, 24.0, 30.0, 50.0, 60.0, 120.0])
@pytest.mark.parametrize("source", [24.0, 29.97, 50.0, 120.0])
def test_slow_motion_is_the_same_at_every_rate(source, fps):
    t = round(3 * source)
    times_s = 7.0 + np.arange(t) / source
    out = even(track_of(tone(1.0, t, source), times_s=times_s), fps)
    np.testing.assert_allclose(out.times_s, 7.0 + np.arange(out.frames) / fps)
    assert times_s[-1] - 1 / fps < out.times_s[-1] <= times_s[-1] + 1e-6
    expected = tone(1.0, out.frames, fps)
    inner = slice(out.frames // 10, -out.frames // 10)
    assert np.abs(out.points_px - expected)[inner].max() < 0.4  # of an amplitude of 20


def test_fast_motion_does_not_fold_into_slow():
    """Every fourth frame of 28 Hz at 120 frames per second would be 2 Hz at 30, as large as it was."""
    fast = track_of(tone(28.0, 480, 120.0), times_s=np.arange(480) / 120)
    naive = fast.points_px[::4] - tone(0.0, 120)
    assert np.abs(naive).max() > 15
    assert np.abs(even(fast, 30.0).points_px - tone(0.0, 120))[12:-12].max() < 0.01 * np.abs(naive).max()


def test_the_same_rate_changes_nothing():
    points = tone(6.0, 50)
    np.testing.assert_allclose(even(track_of(points), FPS).points_px, points, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), jitter=st.floats(0.0, 0.9))
def test_uneven_times_become_even(seed, jitter):
    rng = np.random.default_rng(seed)
    times_s = (np.arange(120) + rng.uniform(0, jitter, 120)) / FPS
    points = 500 + 300 * clean.STANDING + 40 * np.sin(2 * np.pi * times_s)[:, None, None]
    out = even(track_of(points, times_s=times_s), FPS)
    expected = 500 + 300 * clean.STANDING + 40 * np.sin(2 * np.pi * out.times_s)[:, None, None]
    assert np.abs(out.points_px - expected).max() < 1.5


def test_confidence_is_that_of_the_nearest_frame_and_none_far_from_any():
    times_s = np.concatenate([np.arange(30) / FPS, 3 + np.arange(30) / FPS])
    confidence = np.where(np.arange(60) == 10, 0.0, 0.8)[:, None] * np.ones(17)
    out = even(track_of(tone(0.0, 60), confidence, times_s), 60.0)
    far = (out.times_s > times_s[29] + 0.251) & (out.times_s < 3 - 0.251)
    assert far.sum() > 80
    assert not out.confidence[far].any()
    gone = ~far & ~out.confidence.any(axis=1)
    assert set(np.rint(out.times_s[gone] * 60).astype(int)) <= {19, 20, 21}
    assert gone[20]


@pytest.mark.parametrize("fps", [0.0, -5.0, float("inf"), float("nan")])
def test_rates_are_positive(fps):
    with pytest.raises(ValueError, match="frames per second: wanted a positive number"):
        even(track_of(tone(0.0, 5)), fps)


def test_gaps_are_refused_where_they_would_spread():
    points = tone(0.0, 10)
    points[4, ANKLES[0]] = np.nan
    for step in (lambda track: even(track, FPS), smooth):
        with pytest.raises(ValueError, match="gaps, the first in frame 4, LAnkle: fill them first"):
            step(track_of(points))


# smoothing


@pytest.mark.parametrize("kind", ["butterworth", "savgol"])
@pytest.mark.parametrize(
    ("fps", "cutoff_hz"), [(30.0, 3.0), (30.0, 4.0), (60.0, 3.0), (60.0, 4.0), (60.0, 6.0), (100.0, 8.0)]
)
def test_smoothing_keeps_what_is_slow_halves_the_power_at_the_cutoff_and_shifts_nothing(kind, cutoff_hz, fps):
    def through(hz):
        """Amplitude, relative, and phase in degrees of a tone after smoothing, by its product with sine and cosine."""
        t = round(8 * fps)
        out = smooth(track_of(tone(hz, t, fps), times_s=np.arange(t) / fps), cutoff_hz, kind=kind)
        wave = np.exp(-2j * np.pi * hz * np.arange(t) / fps)
        x = out.points_px[:, 0, 0] - 500
        inner = slice(round(2 * fps), round(6 * fps))  # whole periods of whole and half Hz
        value = 2j * (wave * (x - x[inner].mean()))[inner].mean() / 20
        return abs(value), np.rad2deg(np.angle(value))

    slow, slow_phase = through(0.5)
    half, half_phase = through(cutoff_hz)
    fast, _ = through(2.0 * cutoff_hz)
    assert slow == pytest.approx(1.0, abs=0.005)
    assert half == pytest.approx(np.sqrt(0.5), abs=0.01 if kind == "butterworth" else 0.12)
    assert fast < 0.3
    assert max(abs(slow_phase), abs(half_phase)) < 1


@pytest.mark.parametrize("kind", ["butterworth", "savgol"])
@pytest.mark.parametrize("t", [1, 2, 3, 4, 5, 6, 9, 20])
def test_short_tracks_are_smoothed_and_straight_ones_stay(kind, t):
    straight = tone(0.0, t) + 3.0 * np.arange(t)[:, None, None]
    np.testing.assert_allclose(smooth(track_of(straight), kind=kind).points_px, straight, atol=1e-6)
    noisy = straight + np.random.default_rng(0).normal(0, 1, straight.shape)
    out = smooth(track_of(noisy), kind=kind)
    assert np.isfinite(out.points_px).all()
    assert np.abs(out.points_px - straight).mean() <= np.abs(noisy - straight).mean()


def test_time_backwards_is_smoothed_alike():
    points = tone(1.0, 60) + np.random.default_rng(1).normal(0, 3, (60, 17, 2))
    there, back = smooth(track_of(points)), smooth(track_of(points[::-1]))
    inner = slice(15, -15)
    np.testing.assert_allclose(there.points_px[inner], back.points_px[::-1][inner], atol=0.05)


def test_a_cutoff_above_half_the_rate_does_nothing():
    points = tone(6.0, 40)
    np.testing.assert_array_equal(smooth(track_of(points), 15.0).points_px, points)


def test_smoothing_wants_even_times_and_a_cutoff():
    with pytest.raises(ValueError, match="make the track even"):
        smooth(track_of(tone(0.0, 4), times_s=np.array([0.0, 0.1, 0.15, 0.3])))
    with pytest.raises(ValueError, match="cut-off of 0.0 Hz"):
        smooth(track_of(tone(0.0, 4)), 0.0)


# all of it


@pytest.mark.parametrize("t", [1, 2, 5, 40])
def test_prepared_is_even_and_whole(t):
    rng = np.random.default_rng(t)
    points = tone(1.0, t) + rng.normal(0, 2, (t, 17, 2))
    points[t // 2, 3:8] = np.nan
    track = track_of(points, times_s=5.0 + np.cumsum(rng.uniform(0.02, 0.05, t)))
    out = preprocess(track, 50.0)
    assert out.person == track.person
    assert out.times_s[0] == track.times_s[0]
    np.testing.assert_allclose(np.diff(out.times_s), 0.02)
    assert abs(out.times_s[-1] - track.times_s[-1]) < 0.02 + 1e-6
    assert np.isfinite(out.points_px).all()
    assert (out.confidence >= 0).all()


def test_place_and_size_in_the_image_do_not_matter(walks):
    points, confidence = DetectorNoise(swapped=0.05, missed=0.05).observe(walks[0], COCO_17, FPS, 0)
    track = track_of(points, confidence)
    moved = replace(track, points_px=0.3 * points + np.array([300.0, -80.0]))
    expected = 0.3 * preprocess(track, 50.0).points_px + np.array([300.0, -80.0])
    np.testing.assert_allclose(preprocess(moved, 50.0).points_px, expected, atol=1e-6)


def test_real_motion_comes_out_better(actlift_data):
    """Motion capture with the noise of a detector: each step brings keypoints and their velocities closer to truth."""
    clips = read_mocap_npz(actlift_data / "mocap" / "hdm05.npz")[::16]
    raw, mended, smoothed = [], [], []
    for seed, clip in enumerate(clips):
        clip = clip.resampled(FPS)
        truth = seen(clip, seed)
        points, confidence = DetectorNoise(swapped=0.03).observe(truth, COCO_17, FPS, seed)
        track = track_of(points, confidence)
        size = sizes(truth, np.ones(truth.shape[:2]))[:, None]

        def off(track, truth=truth, size=size):
            wrong = track.points_px - truth
            error = np.linalg.norm(wrong, axis=-1) / size
            return error.mean(), np.linalg.norm(np.diff(wrong, axis=0), axis=-1).mean() * FPS / size.mean()

        raw.append(off(track))
        mended.append(off(fill_gaps(without_jumps(repair_sides(track)))))
        smoothed.append(off(preprocess(track, FPS)))
    raw, mended, smoothed = (np.mean(figures, axis=0) for figures in (raw, mended, smoothed))
    assert mended[0] < 0.9 * raw[0]
    assert smoothed[0] < 0.97 * mended[0]
    assert smoothed[1] < 0.6 * raw[1]


# live


def reference(times_s, values, size):
    """The 1 euro filter of one point as its paper has it, speed in sizes per second."""

    def alpha(cutoff, dt):
        tau = 1 / (2 * np.pi * cutoff)
        return 1 / (1 + tau / dt)

    out, speed = [values[0]], np.zeros(2)
    for i in range(1, len(values)):
        dt = times_s[i] - times_s[i - 1]
        a = alpha(clean.LIVE_SPEED_HZ, dt)
        speed = a * (values[i] - out[-1]) / dt / size + (1 - a) * speed
        a = alpha(clean.LIVE_HZ + clean.LIVE_HZ_PER_SPEED * np.hypot(*speed), dt)
        out.append(a * values[i] + (1 - a) * out[-1])
    return np.array(out)


def live(track):
    smoother = OneEuro()
    return np.stack(
        [smoother(float(t), p, c) for t, p, c in zip(track.times_s, track.points_px, track.confidence, strict=True)]
    )


def test_live_smoothing_is_the_filter_of_the_paper():
    rng = np.random.default_rng(2)
    times_s = np.cumsum(rng.uniform(0.01, 0.06, 80))
    points = 500 + 300 * clean.STANDING + 40 * np.sin(3 * times_s)[:, None, None]  # of constant size
    out = live(track_of(points, 1.0, times_s))
    size = float(sizes(points[0], np.ones(17)))
    for j in (0, 9, 16):
        np.testing.assert_allclose(out[:, j], reference(times_s, points[:, j], size), atol=1e-6)


def test_live_smoothing_calms_what_rests_and_follows_what_moves():
    rng = np.random.default_rng(3)
    still, moving = tone(0.0, 150), tone(1.0, 150, amplitude=80.0)
    noise = rng.normal(0, 2, still.shape)
    rest = live(track_of(still + noise, 1.0))[30:]
    assert np.diff(rest, axis=0).std() < 0.4 * np.diff(noise, axis=0).std()
    lag = np.abs(live(track_of(moving, 1.0)) - moving)[30:]
    assert lag.mean() < 0.1 * np.abs(moving - still).mean()


def test_live_gaps_go_along_with_the_body():
    points = tone(0.0, 60) + 4.0 * np.arange(60)[:, None, None]
    gappy = points.copy()
    gappy[30:45, WRISTS[0]] = np.nan
    gappy[50] = np.nan
    whole, out = live(track_of(points, 1.0)), live(track_of(gappy, 1.0))
    np.testing.assert_allclose(out[:50], whole[:50], atol=0.5)
    np.testing.assert_array_equal(out[50], out[49])


def test_live_joints_that_were_never_seen_stand_in():
    points = tone(0.0, 20)
    points[:, LOWER] = np.nan
    points[12:, ANKLES[0]] = [480.0, 520.0]
    out = live(track_of(points, 1.0))
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[:12], tone(0.0, 12), atol=1.0)
    np.testing.assert_allclose(out[12, ANKLES[0]], [480.0, 520.0])


def test_live_times_increase_and_somebody_is_there():
    points = tone(0.0, 1)[0]
    with pytest.raises(ValueError, match="a joint that is seen"):
        OneEuro()(0.0, points, np.zeros(17))
    smoother = OneEuro()
    smoother(1.0, points, np.ones(17))
    with pytest.raises(ValueError, match="times must increase"):
        smoother(1.0, points, np.ones(17))
