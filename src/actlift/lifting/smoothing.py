"""Smoothing what comes out of a lifter: jitter between frames is no motion.

Offline a zero-lag Butterworth filter (`smooth`), live the 1 euro filter (`CausalSmoother`), which sees nothing of what
comes. Studies and `actlift lift` use the same, with the same cut-offs: how these were chosen, on people of the training
set, stands in docs/decisions/smoothing.md.

Poses are (t, j, 3) in meters, of an even frame rate and in axes that stand still.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import signal

from actlift.errors import InputError

CUTOFF_HZ = 4.0
ORDER = 2  # of the Butterworth filter, which runs forwards and backwards: 4 in all

LIVE_HZ = 1.0  # cut-off of `CausalSmoother` at rest
LIVE_HZ_PER_SPEED = 8.0  # by which it grows with every meter per second
LIVE_SPEED_HZ = 3.0  # cut-off of that speed


def smooth(
    poses: Sequence[Float[np.ndarray, "_ j 3"]], fps: float, cutoff_hz: float = CUTOFF_HZ
) -> list[Float[np.ndarray, "_ j 3"]]:
    """Take from each sequence what is faster than a cut-off, without delay; see :func:`butterworth`.

    Raises:
        InputError: for a cut-off or a frame rate that is not positive.
    """
    return [butterworth(pose, fps, cutoff_hz) for pose in poses]


def butterworth(points: Float[np.ndarray, "t *c"], fps: float, cutoff_hz: float) -> Float[np.ndarray, "t *c"]:
    """Take from one sequence what is faster than a cut-off, without delay.

    A Butterworth filter of second order, run forwards and backwards, which makes it one of fourth order without phase.
    Two runs would halve the power at 0.80 of the cut-off of one, which is raised by as much, so that both together do
    so at `cutoff_hz` (Winter, "Biomechanics and Motor Control of Human Movement", 2009, section 3.4.4.2), and warped as
    the bilinear transform wants it. Beyond its ends a sequence goes on as its reflection in the end point, again and
    again where it is short: motion keeps its speed, and straight lines stay straight.

    Args:
        points: any coordinates, finite, along the first axis.
        fps: frames per second.
        cutoff_hz: where power is halved. At half the frame rate or more, everything stays as it is; so does one frame.

    Returns:
        As many, of the same dtype.

    Raises:
        InputError: for a cut-off or a frame rate that is not positive.
    """
    _check(fps, cutoff_hz)
    t = len(points)
    if t < 2 or cutoff_hz > 0.499 * fps:
        return points
    once = np.arctan(np.tan(np.pi * cutoff_hz / fps) / (np.sqrt(2) - 1) ** (1 / (2 * ORDER))) * 2 / np.pi
    pad = max(round(3 * fps / cutoff_hz), 30)  # after which nothing is left of where the filter begins
    around = ((pad, pad), *((0, 0) for _ in points.shape[1:]))
    padded = np.pad(points.astype(np.float64), around, mode="reflect", reflect_type="odd")
    smoothed = signal.sosfiltfilt(signal.butter(ORDER, once, output="sos"), padded, axis=0, padtype=None)
    return np.asarray(smoothed[pad : pad + t].astype(points.dtype))


class CausalSmoother:
    """Smooths one person's poses as they come: strongly at rest, and ever less the faster a joint moves.

    The filter of Casiez, Roussel and Vogel, "1 EUR Filter" (CHI 2012), with one speed for the three coordinates of a
    joint, so that axes do not matter. It keeps what it needs of the past: frame by frame or in pieces, the numbers are
    the same.

    Args:
        fps: frames per second.
        cutoff_hz: of a joint at rest.
        hz_per_speed: by which the cut-off grows with every meter per second.

    Raises:
        InputError: for a cut-off or a frame rate that is not positive, or a negative growth.
    """

    def __init__(self, fps: float, cutoff_hz: float = LIVE_HZ, hz_per_speed: float = LIVE_HZ_PER_SPEED) -> None:
        _check(fps, cutoff_hz)
        if not 0 <= hz_per_speed < np.inf:
            raise InputError(f"a cut-off that grows by {hz_per_speed:g} Hz per m/s: wanted 0 or more")
        self._step_s, self._cutoff_hz, self._hz_per_speed = 1 / fps, cutoff_hz, hz_per_speed
        self.reset()

    def reset(self) -> None:
        """Begin anew: the next pose is the first."""
        self._last: Float[np.ndarray, "j 3"] | None = None
        self._velocity: Float[np.ndarray, "j 3"] | float = 0.0

    def __call__(self, poses: Float[np.ndarray, "t j 3"]) -> Float[np.ndarray, "t j 3"]:
        """Take the next poses, one or many; give them smoothed, of the same dtype."""
        smoothed = np.empty_like(poses)
        for i, pose in enumerate(poses.astype(np.float64)):
            if self._last is None:
                self._last = pose
            step = pose - self._last
            self._velocity += share(LIVE_SPEED_HZ, self._step_s) * (step / self._step_s - self._velocity)
            speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
            self._last = self._last + share(self._cutoff_hz + self._hz_per_speed * speed, self._step_s) * step
            smoothed[i] = self._last
        return smoothed


def share(cutoff_hz: Float[np.ndarray, "*lead"] | float, step_s: float) -> Any:
    """How much a new value counts in a low-pass of first order, beside what was before."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))


def _check(fps: float, cutoff_hz: float) -> None:
    if not 0 < fps < np.inf:
        raise InputError(f"{fps:g} frames per second: wanted a positive number")
    if not cutoff_hz > 0:
        raise InputError(f"a cut-off of {cutoff_hz:g} Hz: wanted a positive number")
