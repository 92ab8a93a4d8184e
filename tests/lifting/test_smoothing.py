"""Filters of poses, by what they do to tones, lines and noise, and against other makings of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actlift.lifting import smoothing
from actlift.lifting.smoothing import CUTOFF_HZ, CausalSmoother, butterworth, smooth


def tone(hz: float, t: int, fps: float) -> np.ndarray:
    """Joints that swing to and fro by 20 cm."""
    rest = np.random.default_rng(0).normal(0, 0.4, (1, 17, 3))
    return rest + 0.2 * np.sin(2 * np.pi * hz * np.arange(t) / fps)[:, None, None]


def noise(t: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (t, 17, 3))


def gain(hz: float, cutoff_hz: float, fps: float) -> complex:
    """What becomes of a tone of amplitude 1: amplitude and phase, by its product with sine and cosine."""
    t = round(8 * fps)
    wave = np.exp(-2j * np.pi * hz * np.arange(t) / fps)
    out = butterworth(tone(hz, t, fps), fps, cutoff_hz)[:, 0, 0]
    inner = slice(round(2 * fps), round(6 * fps))  # whole periods of whole and half Hz
    return complex(2j * (wave * (out - out[inner].mean()))[inner].mean() / 0.2)


# offline


@pytest.mark.parametrize(("fps", "cutoff_hz"), [(25.0, 6.0), (30.0, 4.0), (60.0, 2.0), (60.0, 6.0), (240.0, 12.0)])
@pytest.mark.parametrize("octaves", [-2, -1, 0, 0.75])
def test_gains_are_those_of_a_fourth_order_without_delay_and_half_the_power_at_the_cutoff(fps, cutoff_hz, octaves):
    hz = round(2 * cutoff_hz * 2.0**octaves) / 2
    found = gain(hz, cutoff_hz, fps)
    warped = np.tan(np.pi * hz / fps) / np.tan(np.pi * cutoff_hz / fps)
    assert abs(found) == pytest.approx(1 / (1 + (np.sqrt(2) - 1) * warped**4), abs=0.003)
    if octaves == 0:
        assert abs(found) ** 2 == pytest.approx(0.5, abs=0.005)
    assert abs(np.rad2deg(np.angle(found))) < 1


@pytest.mark.parametrize("t", [0, 1, 2, 3, 4, 5, 9, 30])
@pytest.mark.parametrize("cutoff_hz", [0.1, 2.0, 6.0, 12.0, 15.0, 100.0])
def test_short_sequences_are_smoothed_and_straight_ones_stay(t, cutoff_hz):
    straight = tone(0.0, t, 30.0) + 0.03 * np.arange(t)[:, None, None]
    np.testing.assert_allclose(butterworth(straight, 30.0, cutoff_hz), straight, atol=1e-5)
    rough = straight + noise(t)
    out = butterworth(rough, 30.0, cutoff_hz)
    assert out.shape == rough.shape
    assert np.isfinite(out).all()
    if t > 2:  # two are always in line
        assert np.abs(out - straight).mean() <= np.abs(rough - straight).mean() + 1e-12


def test_a_cutoff_from_half_the_rate_on_changes_nothing():
    rough = noise(40)
    np.testing.assert_array_equal(butterworth(rough, 30.0, 15.0), rough)
    assert np.abs(butterworth(rough, 30.0, 14.0) - rough).max() > 1e-3


@given(seed=st.integers(0, 1000), factor=st.floats(-3, 3), shift=st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_it_is_linear_whatever_the_axes(seed, factor, shift):
    first, second = noise(50, seed), noise(50, seed + 1)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    together = butterworth(factor * first @ turn + second + shift, 60.0, 6.0)
    parts = factor * butterworth(first, 60.0, 6.0) @ turn + butterworth(second, 60.0, 6.0) + shift
    np.testing.assert_allclose(together, parts, atol=1e-9)


def test_time_backwards_is_smoothed_alike():
    rough = noise(90)
    there, back = butterworth(rough, 60.0, 6.0), butterworth(rough[::-1].copy(), 60.0, 6.0)[::-1]
    np.testing.assert_allclose(there[15:-15], back[15:-15], atol=2e-4)


def test_sequences_are_smoothed_one_by_one_and_keep_their_kind():
    poses = [noise(t).astype(np.float32) for t in (1, 7, 60)]
    kept = [pose.copy() for pose in poses]
    found = smooth(poses, 60.0)
    for out, pose, before in zip(found, poses, kept, strict=True):
        assert out.dtype == np.float32
        np.testing.assert_array_equal(pose, before)
        np.testing.assert_allclose(out, butterworth(before.astype(np.float64), 60.0, CUTOFF_HZ), atol=1e-6)
    assert smooth([], 60.0) == []


@pytest.mark.parametrize(("fps", "cutoff_hz"), [(0.0, 4.0), (np.nan, 4.0), (30.0, 0.0), (30.0, -1.0), (30.0, np.nan)])
def test_rates_are_positive(fps, cutoff_hz):
    with pytest.raises(ValueError, match="wanted a positive number"):
        smooth([noise(3)], fps, cutoff_hz)
    with pytest.raises(ValueError, match="wanted a positive number"):
        CausalSmoother(fps, cutoff_hz)


# live


def reference(values: np.ndarray, fps: float, cutoff_hz: float, beta: float) -> np.ndarray:
    """The 1 euro filter of one joint as its paper has it."""

    def alpha(cutoff):
        tau = 1 / (2 * np.pi * cutoff)
        return 1 / (1 + tau * fps)

    out, velocity = [values[0]], np.zeros(3)
    for value in values[1:]:
        a = alpha(smoothing.LIVE_SPEED_HZ)
        velocity = a * (value - out[-1]) * fps + (1 - a) * velocity
        a = alpha(cutoff_hz + beta * np.sqrt((velocity**2).sum()))
        out.append(a * value + (1 - a) * out[-1])
    return np.array(out)


@pytest.mark.parametrize(("cutoff_hz", "beta"), [(1.0, 0.0), (2.0, 4.0)])
def test_live_smoothing_is_the_filter_of_the_paper(cutoff_hz, beta):
    values = tone(1.0, 80, 30.0) + 0.1 * noise(80)
    out = CausalSmoother(30.0, cutoff_hz, beta)(values)
    for j in (0, 9, 16):
        np.testing.assert_allclose(out[:, j], reference(values[:, j], 30.0, cutoff_hz, beta), atol=1e-12)


@given(cuts=st.lists(st.integers(0, 60), max_size=6))
@settings(max_examples=20, deadline=None)
def test_frame_by_frame_or_in_pieces_the_numbers_are_the_same(cuts):
    values = (tone(1.0, 60, 30.0) + noise(60)).astype(np.float32)
    whole = CausalSmoother(30.0)(values)
    assert whole.dtype == np.float32
    smoother = CausalSmoother(30.0)
    pieces = np.concatenate([smoother(piece) for piece in np.split(values, sorted(cuts))])
    np.testing.assert_array_equal(pieces, whole)
    smoother.reset()
    np.testing.assert_array_equal(np.concatenate([smoother(pose[None]) for pose in values]), whole)


def test_nothing_of_what_comes_is_seen():
    values = noise(60)
    other = values.copy()
    other[40:] += 1.0
    np.testing.assert_array_equal(CausalSmoother(30.0)(values)[:40], CausalSmoother(30.0)(other)[:40])


def test_it_calms_what_rests_and_follows_what_moves():
    rough = 0.1 * noise(150)
    rest = CausalSmoother(30.0)(tone(0.0, 150, 30.0) + rough)[30:]
    assert np.diff(rest, axis=0).std() < 0.5 * np.diff(rough, axis=0).std()
    moving = tone(1.0, 150, 30.0)
    lag = np.abs(CausalSmoother(30.0)(moving) - moving)[30:]
    assert lag.mean() < np.abs(CausalSmoother(30.0, hz_per_speed=0.0)(moving) - moving)[30:].mean()
    assert lag.mean() < 0.3 * np.abs(moving - moving.mean(axis=0)).mean()


def test_axes_do_not_matter():
    values = tone(1.0, 60, 30.0) + noise(60)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    np.testing.assert_allclose(CausalSmoother(30.0)(values @ turn), CausalSmoother(30.0)(values) @ turn, atol=1e-12)


def test_a_cutoff_that_falls_with_speed_is_refused():
    with pytest.raises(ValueError, match="wanted 0 or more"):
        CausalSmoother(30.0, 1.0, -1.0)
