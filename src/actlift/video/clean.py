"""Cleaning tracked keypoints: sides repaired, jumps removed, gaps filled, evenly timed, smoothed.

`preprocess` does it all; each step is a function from track to track. Detectors swap left and right for a while, put a
joint somewhere else for a frame or two, miss it, and jitter; video comes at any rate, even or not. Everything here
sees the whole track and shifts nothing in time. Live, where only the past is known, `OneEuro` takes its place.

Lengths are fractions of the person's size in the image (`actlift.video.track.sizes`) and durations are seconds, so
that the same settings hold for every person and frame rate.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy import signal
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import median_filter

from actlift.errors import InputError, UnusableKeypointsError
from actlift.geometry.skeleton import COCO_17
from actlift.lifting.smoothing import butterworth, share
from actlift.video.track import Track, sizes

SIZE_S = 1.0  # over which the size of a person is taken: the median

SWITCH = 0.1  # cost of sides that change, in units of size, summed over joints
SWAPPED_PER_S = 0.15  # cost of being swapped for a second
TWIST = 10.0  # cost of hips turned against shoulders for a second, by the product of their widths in units of size
FARTHEST = 0.5  # beyond which a joint that moves farther in a frame costs no more

JUMP_S = 0.1  # longest that a joint is somewhere else
JUMP = 0.05  # least distance that it is away
JUMP_SPREADS = 6.0  # the same, in robust standard deviations of how far the joint is off between its neighbors

UNSURE = 0.2  # confidence below which a joint is not trusted; half the joint's median where that is less
UNSEEN = 0.05  # confidence below which it is not even a guess
GAP_S = 0.5  # up to which a time without a trusted place is filled even where there is a guess

FAR_S = 0.25  # from the nearest frame, beyond which nothing is known

CUTOFF_HZ = 4.0  # of keypoints; lifted poses have another, of `actlift.lifting.smoothing`

LIVE_HZ = 1.0  # cut-off of `OneEuro` at rest
LIVE_HZ_PER_SPEED = 16.0  # by which it grows with every size per second of speed
LIVE_SPEED_HZ = 3.0  # cut-off of that speed

# A person who stands upright, seen from the front, x right and y down, in units of height.
_HALF_OF_IT = {
    "Nose": (0.0, -0.92),
    "Eye": (0.02, -0.94),
    "Ear": (0.04, -0.93),
    "Shoulder": (0.11, -0.81),
    "Elbow": (0.14, -0.62),
    "Wrist": (0.15, -0.47),
    "Hip": (0.07, -0.52),
    "Knee": (0.07, -0.28),
    "Ankle": (0.07, -0.05),
}
STANDING = np.array(
    [
        np.multiply(_HALF_OF_IT[joint if joint == "Nose" else joint[1:]], (-1 if joint[0] == "R" else 1, 1))
        for joint in COCO_17.joints
    ]
)

_MIRROR = np.array(COCO_17.mirror)
_LOWER = np.array([any(part in joint for part in ("Hip", "Knee", "Ankle")) for joint in COCO_17.joints])
_LEFT, _RIGHT = (np.array([COCO_17.index(side + part) for part in ("Shoulder", "Hip")]) for side in "LR")


def preprocess(track: Track, fps: float, *, cutoff_hz: float = CUTOFF_HZ) -> Track:
    """A track to be lifted: of an even frame rate, without gaps, sides right, jumps gone, smooth.

    Args:
        track: as tracked; at least one joint is seen in it.
        fps: of the result, whose first frame has the time of the track's.
        cutoff_hz: of :func:`smooth`.

    Raises:
        UnusableKeypointsError: nothing is seen in the track.
        InputError: rates are not positive.
    """
    return smooth(even(fill_gaps(without_jumps(repair_sides(track))), fps), cutoff_hz)


# left and right


def repair_sides(track: Track) -> Track:
    """Left and right put back where a detector swapped them for a while, in the lower body, in the upper, or in both.

    Of all ways to swap the two halves of the body in some frames, the one of least cost is taken (Viterbi 1967). It
    costs how far joints move from where they were last seen, that sides change, that they are swapped at all (so that
    what lasts is left alone: a person who turns, or one who is always seen the wrong way round), and hips that face
    another way than shoulders.
    """
    if track.frames < 2:
        return track
    points = track.points_px / _size(track)[:, None, None]
    last, last_confidence = _last_seen(points, track.confidence)
    stay, cross = (
        np.minimum(np.linalg.norm(points[1:] - before, axis=-1), FARTHEST) for before in (last[:-1], last[:-1, _MIRROR])
    )
    weights = np.sqrt(track.confidence[1:] * last_confidence[:-1])
    weights = np.minimum(weights, weights[:, _MIRROR])  # of a pair, both now and both before
    gain = np.where(weights > 0, weights * (stay - cross), 0.0)  # (t - 1, 17), of a change of sides

    # hips and shoulders that face the same way have widths, left to right, of like direction
    dt = np.gradient(track.times_s)
    width, sure = points[:, _LEFT] - points[:, _RIGHT], track.confidence[:, [_LEFT, _RIGHT]].min(axis=(1, 2))
    agree = np.where(sure > 0, sure * (width[:, 0] * width[:, 1]).sum(axis=-1), 0.0)
    twisted = TWIST * dt * np.abs(agree)
    one, both = SWAPPED_PER_S * dt, 2 * SWAPPED_PER_S * dt
    against, along = np.where(agree < 0, twisted, 0.0), np.where(agree > 0, twisted, 0.0)
    # states: nothing swapped, the lower body, the upper, both
    held = np.stack([against, one + along, one + along, both + against], axis=1)  # (t, 4)
    lower, upper = (SWITCH - gain[:, part].sum(axis=1) for part in (_LOWER, ~_LOWER))
    changed = np.stack([np.zeros_like(lower), lower, upper, lower + upper], axis=1)  # (t - 1, 4), by from ^ to

    states = np.arange(4)
    between = changed[:, states[:, None] ^ states]  # (t - 1, from, to)
    cost = held[0]
    came = np.empty((track.frames - 1, 4), np.int64)
    for t in range(track.frames - 1):
        through = cost[:, None] + between[t]
        came[t] = through.argmin(axis=0)
        cost = through.min(axis=0) + held[t + 1]
    state = np.empty(track.frames, np.int64)
    state[-1] = cost.argmin()
    for t in range(track.frames - 1, 0, -1):
        state[t - 1] = came[t - 1, state[t]]

    swapped = np.where(_LOWER, (state & 1)[:, None], (state >> 1)[:, None]) == 1
    source = np.where(swapped, _MIRROR, np.arange(len(COCO_17)))  # (t, 17)
    return replace(
        track,
        points_px=np.take_along_axis(track.points_px, source[..., None], axis=1),
        confidence=np.take_along_axis(track.confidence, source, axis=1),
    )


def _last_seen(
    points: Float[np.ndarray, "t 17 2"], confidence: Float[np.ndarray, "t 17"]
) -> tuple[Float[np.ndarray, "t 17 2"], Float[np.ndarray, "t 17"]]:
    """Where every joint was last seen up to each frame; NaN and 0 before the first."""
    rows = np.arange(len(points))[:, None]
    when = np.maximum.accumulate(np.where(confidence > 0, rows, 0), axis=0)
    return np.take_along_axis(points, when[..., None], axis=0), np.take_along_axis(confidence, when, axis=0)


# single joints


def without_jumps(track: Track) -> Track:
    """Joints that are somewhere else for a frame or a few, and then back, become unseen.

    A joint has jumped if it is far from the straight line between its places before and after, compared with how far
    off that line it is as a rule, and with how far apart these places are.
    """
    t = track.frames
    points, times_s = track.points_px, track.times_s
    size = _size(track)[:, None]
    jumped = np.zeros(points.shape[:2], bool)
    spread = np.zeros(len(COCO_17))
    for length in range(1, min(round(JUMP_S * _fps(times_s)), t - 2) + 1):
        before, after = points[: t - length - 1], points[length + 1 :]  # (n, 17, 2), of runs from 1, 2, ...
        off = np.empty((length, *before.shape[:2]))
        for k in range(length):
            inside = slice(k + 1, k + 1 + len(before))
            part = (times_s[inside] - times_s[: len(before)]) / (times_s[length + 1 :] - times_s[: len(before)])
            line = before + part[:, None, None] * (after - before)
            off[k] = np.linalg.norm(points[inside] - line, axis=-1) / size[inside]
        if length == 1:
            known = ~np.isnan(off[0]).all(axis=0)
            spread[known] = 1.48 * np.nanmedian(off[0][:, known], axis=0)
        apart = np.linalg.norm(after - before, axis=-1) / size[: len(before)]
        away = off.min(axis=0) > np.maximum(np.maximum(JUMP, JUMP_SPREADS * spread), 2 * apart)
        for k in range(length):
            jumped[k + 1 : k + 1 + len(before)] |= away
    return replace(
        track,
        points_px=np.where(jumped[..., None], np.nan, points),
        confidence=np.where(jumped, 0.0, track.confidence),
    )


def fill_gaps(track: Track) -> Track:
    """Every joint somewhere in every frame; confidence is 0 where a place was made up.

    A joint is trusted if its confidence is fair. Where it is not for up to half a second, and where it is not seen, it
    is put between its trusted places before and after, relative to the body's path, without overshoot (Fritsch and
    Butland 1984); before the first and after the last it goes along with the body. Where it is not trusted for longer,
    the detector's guesses stay. A joint that is never seen is put where it is on a person who stands upright.

    Raises:
        UnusableKeypointsError: nothing is seen in the track.
    """
    confidence, times_s = track.confidence, track.times_s
    seen = confidence >= UNSEEN
    if not seen.any():
        raise UnusableKeypointsError(
            f"there is nothing to fill gaps from: no joint of person {track.person} is ever seen"
        )
    typical = np.nanmedian(np.where(seen | ~seen.any(axis=0), confidence, np.nan), axis=0)
    trusted = seen & (confidence >= np.minimum(UNSURE, typical / 2))
    keep = trusted | (seen & (_gaps_s(trusted, times_s) > GAP_S))

    path = _path(track.points_px, np.where(keep, confidence, 0.0), times_s)
    points = track.points_px - path[:, None]
    ever = np.asarray(keep.any(axis=0))
    for j in np.flatnonzero(ever):
        rows = np.flatnonzero(keep[:, j])
        points[:, j] = _between(times_s[rows], points[rows, j], times_s)
    return replace(
        track,
        points_px=_standing_in(points, ever) + path[:, None],
        confidence=np.where(keep, confidence, 0.0),
    )


def _gaps_s(trusted: Bool[np.ndarray, "t 17"], times_s: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t 17"]:
    """Seconds from the trusted place before to the one after, or from the track's beginning or to its end."""
    times = np.broadcast_to(times_s[:, None], trusted.shape)
    before = np.maximum.accumulate(np.where(trusted, times, times_s[0]), axis=0)
    after = np.minimum.accumulate(np.where(trusted, times, times_s[-1])[::-1], axis=0)[::-1]
    return np.asarray(after - before)


def _path(
    points: Float[np.ndarray, "t 17 2"], weights: Float[np.ndarray, "t 17"], times_s: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "t 2"]:
    """The way of the body: from frame to frame it moves like the joints that are seen in both, in the mean.

    Unlike a mean of joints, it does not jump when a joint comes into sight.
    """
    rows = np.flatnonzero(weights.any(axis=1))
    points, weights = np.where(weights[rows, :, None] > 0, points[rows], 0.0), weights[rows]
    mean = _mean(points, weights)
    both = np.sqrt(weights[1:] * weights[:-1])
    steps = np.where(both.any(axis=1)[:, None], _mean(np.diff(points, axis=0), both), np.diff(mean, axis=0))
    return _between(times_s[rows], mean[0] + np.concatenate([np.zeros((1, 2)), steps.cumsum(axis=0)]), times_s)


def _mean(
    points: Float[np.ndarray, "*lead j 2"], weights: Float[np.ndarray, "*lead j"]
) -> Float[np.ndarray, "*lead 2"]:
    total = weights.sum(axis=-1, keepdims=True)
    return np.asarray((weights[..., None] * points).sum(axis=-2) / np.where(total > 0, total, 1.0))


def _between(
    times_s: Float[np.ndarray, " n"], values: Float[np.ndarray, "n 2"], at_s: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "t 2"]:
    """Values at other times: monotone between those that are known, held outside."""
    if len(times_s) == 1:
        return np.repeat(values.astype(np.float64), len(at_s), axis=0)
    return np.asarray(PchipInterpolator(times_s, values)(at_s.clip(times_s[0], times_s[-1])))


def _standing_in(points: Float[np.ndarray, "t 17 2"], seen: Bool[np.ndarray, " 17"]) -> Float[np.ndarray, "t 17 2"]:
    """Joints that are not among the seen are put where they are on `STANDING`, as large and where the others are."""
    if seen.all():
        return points
    others, standing = points[:, seen], STANDING[seen]
    middle, standing_middle = others.mean(axis=1, keepdims=True), standing.mean(axis=0)
    spread, standing_spread = (float(np.median(np.ptp(p, axis=-2).max(axis=-1))) for p in (others, standing))
    scale = spread / max(standing_spread, 1e-9)
    return np.where(seen[:, None], points, middle + scale * (STANDING - standing_middle))


# times


def even(track: Track, fps: float) -> Track:
    """The track at an even frame rate, from its first time to its last.

    Points are interpolated without overshoot (with a detector's noise, cubic splines are worse). Where the rate becomes
    lower, that gives a multiple of it, of which a symmetric low-pass and every so many-th frame are taken, lest fast
    motion fold into slow. Confidences are those of the nearest frame, and 0 where none is near.

    Args:
        track: without gaps.
        fps: frames per second.

    Raises:
        InputError: for a rate that is not positive, or a track with gaps.
    """
    if not 0 < fps < np.inf:
        raise InputError(f"{fps} frames per second: wanted a positive number")
    _check_filled(track)
    begin, end = track.times_s[0], track.times_s[-1]
    times_s = begin + np.arange(int(np.floor((end - begin) * fps + 1e-6)) + 1) / fps
    if track.frames == 1:
        return replace(track, times_s=times_s)
    between = PchipInterpolator(track.times_s, track.points_px)
    finer = max(1, int(np.ceil(_fps(track.times_s) / fps - 0.05)))
    fine = between((begin + np.arange((len(times_s) - 1) * finer + 1) / (finer * fps)).clip(begin, end))
    if finer > 1:
        pad = 11 * finer  # the filter's half length is 10
        fine = signal.resample_poly(_extended(fine, pad), 1, finer, axis=0)[11 : 11 + len(times_s)]
    middles = (track.times_s[1:] + track.times_s[:-1]) / 2
    nearest = np.searchsorted(middles, times_s)
    far = np.abs(track.times_s[nearest] - times_s) > FAR_S
    return replace(
        track, times_s=times_s, points_px=fine, confidence=np.where(far[:, None], 0.0, track.confidence[nearest])
    )


def smooth(
    track: Track, cutoff_hz: float = CUTOFF_HZ, *, kind: Literal["butterworth", "savgol"] = "butterworth"
) -> Track:
    """The track without what is faster than a cut-off (3 dB), and without delay.

    Args:
        track: without gaps, of an even frame rate. A cut-off of at least half its rate leaves it as it is.
        cutoff_hz: in Hz.
        kind: the Butterworth filter that poses go through as well (`actlift.lifting.smoothing.butterworth`), or a
            Savitzky-Golay filter of third order over one period of the cut-off, which is then about its own. As smooth
            at rest, the latter blunts fast motion more.

    Raises:
        InputError: for a cut-off that is not positive, or a track with gaps or uneven times.
    """
    if not cutoff_hz > 0:
        raise InputError(f"a cut-off of {cutoff_hz} Hz: wanted a positive number")
    _check_filled(track)
    steps = np.diff(track.times_s)
    if len(steps) and np.ptp(steps) > 0.01 * steps.mean():
        raise InputError(f"steps of {steps.min():.4f} to {steps.max():.4f} s: make the track even before smoothing it")
    fps, t = _fps(track.times_s), track.frames
    if t == 1 or cutoff_hz > 0.499 * fps:
        return track
    if kind == "savgol":
        width = min(2 * round(fps / cutoff_hz / 2) + 1, t - 1 + t % 2)
        return (
            track if width <= 3 else replace(track, points_px=signal.savgol_filter(track.points_px, width, 3, axis=0))
        )
    return replace(track, points_px=butterworth(track.points_px, fps, cutoff_hz))


def _extended(points: Float[np.ndarray, "t j 2"], frames: int) -> Float[np.ndarray, "n j 2"]:
    """Continued at both ends by its reflection in the end point, again and again: motion goes on with its speed."""
    return np.pad(points, ((frames, frames), (0, 0), (0, 0)), mode="reflect", reflect_type="odd")


# live


class OneEuro:
    """Smooths one person's keypoints as they come: strongly at rest, and ever less the faster a joint moves.

    The filter of Casiez, Roussel and Vogel, "1 EUR Filter" (CHI 2012), for all joints at once, in units of the
    person's size, for uneven times. A joint that is not trusted counts by its confidence; one that is not seen goes
    along with the body; one that was never seen is put where it is on a person who stands upright.
    """

    def __init__(self) -> None:
        self._time_s = -np.inf

    def __call__(
        self, time_s: float, points_px: Float[np.ndarray, "17 2"], confidence: Float[np.ndarray, " 17"]
    ) -> Float[np.ndarray, "17 2"]:
        """Take the next frame, give its keypoints in pixels: smooth, without gaps.

        Args:
            time_s: seconds, more than of the frame before.
            points_px: joints in the order of `COCO_17`; NaN where unseen.
            confidence: 0 where unseen.

        Raises:
            InputError: for a time that does not increase, or a first frame in which nothing is seen.
        """
        if not time_s > self._time_s:
            raise InputError(f"a frame at {time_s} s cannot follow one at {self._time_s} s: times must increase")
        seen = (confidence > 0) & np.isfinite(points_px).all(axis=-1)
        found = np.where(seen[:, None], points_px, 0.0)
        if self._time_s == -np.inf:
            if not seen.any():
                raise InputError("the first frame of a person needs a joint that is seen")
            self._seen = seen
            self._points = found
            self._size = float(sizes(found, seen * confidence))
            self._velocity = np.zeros_like(found)
        elif seen.any():
            dt = time_s - self._time_s
            new, known = seen & ~self._seen, seen & self._seen
            trust = np.where(known, (confidence / UNSURE).clip(0.0, 1.0), 0.0)[:, None]
            off = np.where(known[:, None], found - self._points, 0.0)
            self._size += share(LIVE_HZ, dt) * (float(sizes(found, seen * confidence)) - self._size)
            self._velocity += trust * share(LIVE_SPEED_HZ, dt) * (off / dt - self._velocity)
            speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True) / self._size
            steps = share(LIVE_HZ + LIVE_HZ_PER_SPEED * speed, dt) * off
            along = _mean(steps, trust[:, 0])
            self._points = np.where(new[:, None], found, self._points + trust * steps + (1 - trust) * along)
            self._seen = self._seen | new
        self._time_s = time_s
        return np.asarray(_standing_in(self._points[None], self._seen)[0])


def _fps(times_s: Float[np.ndarray, " t"]) -> float:
    """Frames per second, by the median step."""
    return float(1 / np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0


def _size(track: Track) -> Float[np.ndarray, " t"]:
    """Of the person, in pixels, steady: the median over a while."""
    seen = track.confidence.any(axis=1)
    if not seen.any():
        return np.ones(track.frames)
    found = np.interp(track.times_s, track.times_s[seen], sizes(track.points_px[seen], track.confidence[seen]))
    return np.asarray(median_filter(found, 2 * round(SIZE_S * _fps(track.times_s) / 2) + 1, mode="nearest"))


def _check_filled(track: Track) -> None:
    unseen = np.argwhere(~np.isfinite(track.points_px).all(axis=-1))
    if len(unseen):
        frame, joint = unseen[0]
        raise InputError(
            f"person {track.person} has gaps, the first in frame {frame}, {COCO_17.joints[joint]}: fill them first"
        )
