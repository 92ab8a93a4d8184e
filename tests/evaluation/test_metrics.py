"""Properties of every metric, and references that share no code with them."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import minimize, minimize_scalar
from scipy.signal import butter, periodogram, sosfiltfilt
from scipy.spatial.transform import Rotation

from actlift.evaluation.metrics import (
    AUC_THRESHOLDS,
    METRICS,
    QUIET_M_PER_S,
    Metric,
    acceleration_error,
    acceleration_error_per_s2,
    auc,
    bone_length_error,
    metric,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_mpjpe,
    pck,
    peak_speed_lost,
    power_added,
    power_lost,
    velocity_error_per_s,
)
from actlift.geometry.skeleton import H36M_17

FRAMES, JOINTS, FPS = 12, len(H36M_17), 50.0
EVERY = pytest.mark.parametrize("measure", METRICS.values(), ids=METRICS.keys())
PARTED = pytest.mark.parametrize("measure", [m for m in METRICS.values() if m.span], ids=lambda m: m.name)
WHOLE = pytest.mark.parametrize("measure", [m for m in METRICS.values() if not m.span], ids=lambda m: m.name)
ONE_FRAME = pytest.mark.parametrize("measure", [m for m in METRICS.values() if m.span == 1], ids=lambda m: m.name)
SEEDS = st.integers(0, 2**32 - 1)


def poses(seed: int, frames: int = FRAMES) -> np.ndarray:
    """Root-relative joints of about human size, in meters."""
    joints = np.random.default_rng(seed).normal(scale=0.4, size=(frames, JOINTS, 3))
    return joints - joints[:, :1]


def pair(seed: int, frames: int = FRAMES, off_m: float = 0.08) -> tuple[np.ndarray, np.ndarray]:
    """A prediction about `off_m` wrong per axis, and the truth."""
    true = poses(seed, frames)
    pred = true + np.random.default_rng([seed, 1]).normal(scale=off_m, size=true.shape)
    return pred - pred[:, :1], true


@EVERY
def test_equal_input_is_perfect(measure: Metric) -> None:
    true = poses(0)
    expected = 0.0 if measure.better == "lower" else 1.0
    np.testing.assert_allclose(measure(true, true.copy(), H36M_17, FPS), expected, atol=1e-12)


@EVERY
def test_shape_is_frames_minus_span_by_named_parts(measure: Metric) -> None:
    errors = measure(*pair(1), H36M_17, FPS)
    rows = 1 if measure.span is None else FRAMES - measure.span + 1
    assert errors.shape == (rows, len(measure.parts(H36M_17)))
    assert errors.dtype == np.float64
    assert np.isfinite(errors).all()
    assert (errors >= 0).all()
    assert max(errors.mean(), measure(*pair(1)[::-1], H36M_17, FPS).mean()) > 0  # one way round, what is lost is added


@EVERY
def test_symmetric_in_time(measure: Metric) -> None:
    pred, true = pair(2)
    backwards = measure(pred[::-1].copy(), true[::-1].copy(), H36M_17, FPS)[::-1]
    np.testing.assert_allclose(backwards, measure(pred, true, H36M_17, FPS), atol=1e-12)


@EVERY
def test_one_translation_of_both_changes_nothing_but_n_mpjpe(measure: Metric) -> None:
    pred, true = pair(3)
    shift = np.array([3.0, -2.0, 5.0])
    moved, still = measure(pred + shift, true + shift, H36M_17, FPS), measure(pred, true, H36M_17, FPS)
    if measure.name == "n_mpjpe":  # its scale is about the origin: root-relative input only
        assert not np.allclose(moved, still)
    else:
        np.testing.assert_allclose(moved, still, atol=1e-12)


@EVERY
def test_one_rotation_or_reflection_of_both_changes_nothing(measure: Metric) -> None:
    pred, true = pair(4)
    turn = Rotation.random(rng=np.random.default_rng(4)).as_matrix() @ np.diag([1.0, 1.0, -1.0])
    turned = measure(pred @ turn.T, true @ turn.T, H36M_17, FPS)
    np.testing.assert_allclose(turned, measure(pred, true, H36M_17, FPS), atol=1e-12)


@ONE_FRAME
def test_frames_are_independent_of_order_and_packing(measure: Metric) -> None:
    pred, true = pair(5)
    whole = measure(pred, true, H36M_17, FPS)
    order = np.random.default_rng(5).permutation(FRAMES)
    np.testing.assert_allclose(measure(pred[order], true[order], H36M_17, FPS), whole[order], atol=1e-12)
    parts = [measure(pred[piece], true[piece], H36M_17, FPS) for piece in (slice(0, 1), slice(1, 5), slice(5, None))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-12)


@PARTED
def test_overlapping_pieces_of_a_sequence_give_the_whole(measure: Metric) -> None:
    pred, true = pair(6)
    whole = measure(pred, true, H36M_17, FPS)
    cut = 7
    head = measure(pred[:cut], true[:cut], H36M_17, FPS)
    tail = measure(pred[cut - measure.span + 1 :], true[cut - measure.span + 1 :], H36M_17, FPS)
    np.testing.assert_allclose(np.concatenate([head, tail]), whole, atol=1e-12)


@EVERY
def test_float32_agrees_with_float64_and_input_is_left_alone(measure: Metric) -> None:
    pred, true = pair(7)
    single = pred.astype(np.float32), true.astype(np.float32)
    kept = single[0].copy(), single[1].copy()
    double = measure(single[0].astype(np.float64), single[1].astype(np.float64), H36M_17, FPS)
    np.testing.assert_array_equal(measure(*single, H36M_17, FPS), double)
    np.testing.assert_array_equal(single[0], kept[0])
    np.testing.assert_array_equal(single[1], kept[1])
    away = np.float32([0.5, 1.5, 5.0])  # absolute coordinates, where float32 resolves about half a micrometer
    if measure.name not in ("n_mpjpe", "pck", "auc"):  # n: root-relative only; shares step at thresholds
        far = measure(single[0] + away, single[1] + away, H36M_17, FPS)
        np.testing.assert_allclose(far, double, atol=1e-6 * FPS**2 if measure.timed else 1e-5)


@PARTED
def test_no_frames_below_the_span(measure: Metric) -> None:
    pred, true = pair(8, frames=measure.span or 0)
    assert len(measure(pred, true, H36M_17, FPS)) == 1
    if measure.span != 1:
        with pytest.raises(ValueError, match=rf"needs {measure.span} consecutive frames, got {len(pred) - 1}"):
            inspect.unwrap(measure.function)(pred[:-1], true[:-1], *[FPS] * measure.timed)


@WHOLE
@pytest.mark.parametrize(("fps", "least"), [(50.0, 10), (30.0, 6), (29.97, 6), (240.0, 48), (5.0, 2)])
def test_whole_sequences_last_a_fifth_of_a_second(measure: Metric, fps: float, least: int) -> None:
    pred, true = pair(8, frames=least)
    assert np.isfinite(measure(pred, true, H36M_17, fps)).all()
    with pytest.raises(ValueError, match=rf"needs {least} consecutive frames, 0.2 s at .* got {least - 1}"):
        inspect.unwrap(measure.function)(pred[1:], true[1:], fps)
    lengths = np.array([0, 1, least - 1, least, 1000])
    np.testing.assert_array_equal(measure.frames(lengths, fps), [0, 0, 0, least, 1000])


@PARTED
def test_frames_that_a_mean_stands_for(measure: Metric) -> None:
    lengths = np.array([0, 1, 2, 3, 1000])
    expected = [max(n - (measure.span or 0) + 1, 0) for n in lengths]
    np.testing.assert_array_equal(measure.frames(lengths, FPS), expected)


@EVERY
def test_shapes_that_do_not_fit_are_refused(measure: Metric) -> None:
    function = inspect.unwrap(measure.function)  # as users have it, without the test run's shape checks
    further = [H36M_17] * measure.of_bones + [FPS] * measure.timed
    pred, true = pair(9)
    with pytest.raises(ValueError, match=rf"{measure.name}: pred has shape \(11, 17, 3\) and true \(12, 17, 3\)"):
        function(pred[1:], true, *further)
    with pytest.raises(ValueError, match=rf"{measure.name}: got shape \(12, 17, 2\), want \(f, j, 3\)"):
        function(pred[..., :2], true[..., :2], *further)
    with pytest.raises(ValueError, match=r"want \(f, j, 3\)"):
        function(pred[0], true[0], *further)


def test_bones_need_their_skeleton() -> None:
    pred, true = pair(10)
    with pytest.raises(ValueError, match=r"got 16 joints, but skeleton .* has 17"):
        bone_length_error(pred[:, 1:], true[:, 1:], H36M_17)


def test_unknown_metric_lists_the_known() -> None:
    assert metric("mpjve") is METRICS["mpjve"]
    with pytest.raises(ValueError, match=r"unknown metric 'mpjp'; known: mpjpe, p_mpjpe, .*bone_length_error"):
        metric("mpjp")


def test_names_are_the_keys() -> None:
    assert all(name == measure.name for name, measure in METRICS.items())


# Known values


def test_mpjpe_of_a_constant_offset_is_its_length() -> None:
    true = poses(11)
    np.testing.assert_allclose(mpjpe(true + np.array([0.03, 0.0, 0.04]), true), 0.05)


def test_velocity_and_acceleration_of_known_motions() -> None:
    true = poses(12)
    time = np.arange(FRAMES, dtype=np.float64)[:, None, None]
    direction = np.array([0.6, 0.0, 0.8])
    np.testing.assert_allclose(mpjve(true + 0.01 * time * direction, true), 0.01)
    np.testing.assert_allclose(acceleration_error(true + 0.01 * time * direction, true), 0.0, atol=1e-12)
    np.testing.assert_allclose(acceleration_error(true + 0.005 * time**2 * direction, true), 0.01)


@pytest.mark.parametrize("fps", [25.0, 120.0])
def test_errors_per_second_are_those_per_frame_times_the_rate(fps: float) -> None:
    pred, true = pair(12)
    np.testing.assert_allclose(velocity_error_per_s(pred, true, fps), fps * mpjve(pred, true))
    np.testing.assert_allclose(acceleration_error_per_s2(pred, true, fps), fps**2 * acceleration_error(pred, true))


# Over-smoothing


def swinging(hz: float, meters: float, fps: float = 60.0, seconds: float = 4.0) -> np.ndarray:
    """Joints that swing to and fro along (0.6, 0, 0.8), all alike, on top of one slow swing."""
    time = np.arange(round(seconds * fps)) / fps
    along = 0.3 * np.sin(2 * np.pi * 0.5 * time) + meters * np.sin(2 * np.pi * hz * time + 0.4)
    return poses(0, 1) + along[:, None, None] * np.array([0.6, 0.0, 0.8])


def low_passed(points: np.ndarray, hz: float, fps: float) -> np.ndarray:
    return sosfiltfilt(butter(2, hz, fs=fps, output="sos"), points, axis=0)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_smoothing_loses_and_noise_adds(seed: int) -> None:
    """What hardly shows in position and velocity errors shows here, each to its side."""
    rng = np.random.default_rng(seed)
    fps = 60.0
    walk = low_passed(rng.normal(size=(600, JOINTS, 3)), 1.0, fps)
    true = poses(seed, 1) + 0.3 * walk + 0.03 * low_passed(rng.normal(size=walk.shape), 6.0, fps)
    smoothed, noisy = low_passed(true, 2.0, fps), true + rng.normal(0, 0.01, true.shape)

    def of(pred: np.ndarray) -> dict[str, float]:
        return {name: float(measure(pred, true, H36M_17, fps).mean()) for name, measure in METRICS.items()}

    over, under = of(smoothed), of(noisy)
    assert over["mpjpe"] < under["mpjpe"] < 0.02
    assert over["mpjve"] < under["mpjve"]
    assert over["peak_speed_lost"] > 0.2
    assert over["power_lost"] > 6
    assert over["power_added"] < 0.1
    assert under["peak_speed_lost"] < 0.01
    assert under["power_lost"] < 0.1
    assert under["power_added"] > 1


@pytest.mark.parametrize("fps", [30.0, 60.0, 100.0])
@pytest.mark.parametrize("share", [0.25, 0.5, 2.0])
def test_power_of_a_swing_is_the_square_of_its_size(fps: float, share: float) -> None:
    pred, true = swinging(5.0, share * 0.1, fps), swinging(5.0, 0.1, fps)
    off = 20 * np.log10(share)
    np.testing.assert_allclose(power_lost(pred, true, fps), max(-off, 0.0), atol=0.1)
    np.testing.assert_allclose(power_added(pred, true, fps), max(off, 0.0), atol=0.1)


@pytest.mark.parametrize("hz", [0.5, 1.5, 20.0])
def test_power_outside_of_the_band_does_not_count(hz: float) -> None:
    base = swinging(5.0, 0.1)
    more = base + swinging(hz, 0.02) - swinging(hz, 0.0)
    for function in (power_lost, power_added):
        np.testing.assert_allclose(function(more, base, 60.0), 0.0, atol=0.05)


def test_power_agrees_with_a_periodogram_of_noise() -> None:
    """The mean square of white velocity within a band is the band's share of all frequencies."""
    steps = np.random.default_rng(3).normal(0, 0.01, (20_000, 1, 3))
    true, still = np.cumsum(steps, axis=0), np.zeros_like(steps)
    frequencies, density = periodogram(np.diff(true, axis=0) * 60.0, fs=60.0, axis=0)
    inside = (frequencies >= 3) & (frequencies < 10)
    power = density[inside].sum() * (frequencies[1] - frequencies[0])
    expected = 10 * np.log10((power + QUIET_M_PER_S**2) / QUIET_M_PER_S**2)
    np.testing.assert_allclose(power_lost(still, true, 60.0), expected, atol=0.1)


def test_who_stands_still_neither_loses_nor_gains() -> None:
    still = poses(5, 1) + np.zeros((100, 1, 1))
    sway = swinging(5.0, 0.0001)[:100] - swinging(5.0, 0.0)[:100] + still
    for pred, true in ((still, sway), (sway, still)):
        for function in (power_lost, power_added):
            assert function(pred, true, 60.0).max() < 0.3
        assert peak_speed_lost(pred, true, 60.0).max() < 0.1


@pytest.mark.parametrize(("share", "lost"), [(0.5, 0.5), (0.0, 1.0), (1.0, 0.0), (2.0, 0.0)])
def test_peak_speed_lost_is_a_share(share: float, lost: float) -> None:
    true = swinging(1.0, 0.2)
    pred = true[:1] + share * (true - true[:1])
    np.testing.assert_allclose(peak_speed_lost(pred, true, 60.0), lost, atol=1e-9)
    wild = pred.copy()
    wild[100] += 1.0  # for a frame: no peak
    np.testing.assert_allclose(peak_speed_lost(wild, true, 60.0), lost, atol=0.03)


def test_pck_and_auc_count_thresholds() -> None:
    true = np.zeros((1, 4, 3))
    pred = true.copy()
    pred[0, :, 0] = [0.0, 0.0749, 0.1499, 0.2]
    np.testing.assert_array_equal(pck(pred, true), [[1, 1, 1, 0]])
    np.testing.assert_array_equal(pck(pred, true, threshold=0.1), [[1, 1, 0, 0]])
    np.testing.assert_allclose(auc(pred, true), np.array([[31, 16, 1, 0]]) / 31)


def test_auc_is_the_mean_pck_over_its_thresholds() -> None:
    pred, true = pair(13)
    assert len(AUC_THRESHOLDS) == 31
    np.testing.assert_allclose(np.diff(AUC_THRESHOLDS), 0.005)
    np.testing.assert_allclose(auc(pred, true), np.mean([pck(pred, true, t) for t in AUC_THRESHOLDS], axis=0))


def test_bones_scaled_about_the_root_grow_alike() -> None:
    true = poses(14)
    child, parent = np.array(H36M_17.bones).T
    lengths = np.linalg.norm(true[:, child] - true[:, parent], axis=-1)
    np.testing.assert_allclose(bone_length_error(1.1 * true, true, H36M_17), 0.1 * lengths)
    np.testing.assert_allclose(bone_length_error(0.9 * true, true, H36M_17), 0.1 * lengths)
    assert METRICS["bone_length_error"].parts(H36M_17)[0].split("-") == [
        H36M_17.joints[H36M_17.bones[0][0]],
        H36M_17.joints[H36M_17.bones[0][1]],
    ]


# Alignments


@given(seed=SEEDS, scale=st.floats(0.05, 20.0))
@settings(max_examples=50, deadline=None)
def test_p_mpjpe_ignores_a_similarity_of_the_prediction(seed: int, scale: float) -> None:
    rng = np.random.default_rng([seed, 2])
    pred, true = pair(seed, frames=3)
    turn = Rotation.random(3, rng=rng).as_matrix()
    moved = scale * pred @ turn.swapaxes(1, 2) + rng.normal(size=(3, 1, 3))
    np.testing.assert_allclose(p_mpjpe(moved, true), p_mpjpe(pred, true), atol=1e-9)


@given(seed=SEEDS, scale=st.floats(0.05, 20.0))
@settings(max_examples=50, deadline=None)
def test_n_mpjpe_ignores_a_scale_of_the_prediction(seed: int, scale: float) -> None:
    pred, true = pair(seed, frames=3)
    np.testing.assert_allclose(n_mpjpe(scale * pred, true), n_mpjpe(pred, true), atol=1e-9)


@pytest.mark.parametrize("off_m", [0.05, 5.0], ids="off by {} m".format)
def test_p_mpjpe_agrees_with_scipy_frame_by_frame(off_m: float) -> None:
    """scipy's Procrustes allows reflections; where it takes one, the best proper rotation is found by optimization."""
    pred, true = pair(15, off_m=off_m)
    errors = p_mpjpe(pred, true)
    reflected = 0
    for frame in range(FRAMES):
        x = pred[frame] - pred[frame].mean(axis=0)
        y = true[frame] - true[frame].mean(axis=0)
        turn, strength = orthogonal_procrustes(x, y)
        if np.linalg.det(turn) > 0:
            expected = np.linalg.norm(strength / np.sum(x**2) * x @ turn - y, axis=1)
        else:
            reflected += 1
            expected = _proper_procrustes_by_optimization(x, y)
        np.testing.assert_allclose(errors[frame], expected, atol=1e-5)
    assert (reflected > 0) == (off_m > 0.1)


def _proper_procrustes_by_optimization(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Errors (j,) after the best rotation and scale of x, from several starts."""

    def residual(parameters: np.ndarray) -> np.ndarray:
        return parameters[3] * Rotation.from_rotvec(parameters[:3]).apply(x) - y

    starts = Rotation.random(12, rng=np.random.default_rng(0)).as_rotvec()
    fits = [minimize(lambda p: np.sum(residual(p) ** 2), [*start, 0.1], tol=1e-12) for start in starts]
    # A negative scale would be a point reflection: not a similarity that keeps the body's handedness.
    best = min((fit for fit in fits if fit.x[3] >= 0), key=lambda fit: fit.fun)
    return np.linalg.norm(residual(best.x), axis=1)


def test_p_mpjpe_does_not_accept_a_mirror_image() -> None:
    true = poses(16)
    assert p_mpjpe(true * np.array([-1.0, 1.0, 1.0]), true).mean() > 0.05


def test_p_mpjpe_of_degenerate_poses() -> None:
    true = poses(17)
    to_centroid = np.linalg.norm(true - true.mean(axis=1, keepdims=True), axis=-1)
    np.testing.assert_allclose(p_mpjpe(np.ones_like(true), true), to_centroid)  # the prediction is one point
    np.testing.assert_allclose(p_mpjpe(true, np.ones_like(true)), 0.0, atol=1e-12)  # the truth is one point
    np.testing.assert_allclose(p_mpjpe(np.ones_like(true), np.zeros_like(true)), 0.0, atol=1e-12)
    line = np.linspace(0, 1, JOINTS)[:, None] * np.array([1.0, 2.0, 2.0])
    turned = 2.0 * Rotation.random(rng=np.random.default_rng(0)).apply(line)
    np.testing.assert_allclose(p_mpjpe(turned[None], line[None]), 0.0, atol=1e-7)
    flat = true * np.array([1.0, 1.0, 0.0])
    np.testing.assert_allclose(p_mpjpe(flat[:, :, [2, 0, 1]], flat), 0.0, atol=1e-7)


def test_n_mpjpe_scale_is_the_least_squares_one() -> None:
    pred, true = pair(18, frames=1, off_m=0.3)
    best = minimize_scalar(lambda s: np.sum((s * pred - true) ** 2), tol=1e-12)
    np.testing.assert_allclose(n_mpjpe(pred, true), np.linalg.norm(best.x * pred - true, axis=-1), atol=1e-6)
    np.testing.assert_allclose(n_mpjpe(np.zeros_like(true), true), np.linalg.norm(true, axis=-1))


@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_alignment_lowers_the_squared_error_it_minimizes(seed: int) -> None:
    """Only the sum of squares is sure to fall: the mean distance may rise in a frame with one wild joint."""
    pred, true = pair(seed, frames=4, off_m=0.3)

    def squares(errors: np.ndarray) -> np.ndarray:
        return np.sum(errors**2, axis=1)

    assert (squares(p_mpjpe(pred, true)) <= squares(mpjpe(pred, true)) + 1e-12).all()
    assert (squares(n_mpjpe(pred, true)) <= squares(mpjpe(pred, true)) + 1e-12).all()
